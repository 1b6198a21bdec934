//! The paths that must stay fast, as functions that can be run repeatedly.

use std::hint::black_box;

use anymail_core::{Address, Mailer, Message, Webhook, WebhookAuth};
use anymail_postmark::{
    PostmarkBackend, PostmarkConfig, PostmarkInboundWebhook, PostmarkTrackingWebhook, bench,
};
use bytes::Bytes;
use http::Request;
use tokio::runtime::Runtime;

use super::{Catcher, near, prepared, small};

/// Creates the function that is counted; its creation is not counted.
pub type Setup = fn() -> Box<dyn FnMut()>;

pub struct Path {
    pub name: &'static str,
    /// The number of instructions when this was written, on x86-64 with AVX2, with rustc 1.95.
    pub instructions: u64,
    pub setup: Setup,
    /// The part that is not ours. Its instructions are subtracted.
    pub beyond: Option<Setup>,
    /// How many units one run processes. The instructions are for one unit.
    pub times: usize,
    /// The target.
    pub asked: Option<u64>,
}

/// A path of one unit in which everything counts.
const WHOLE: Path = Path {
    name: "",
    instructions: 0,
    setup: || Box::new(|| {}),
    beyond: None,
    times: 1,
    asked: None,
};

/// The number of sends: enough that it does not matter how often one of them waits for its response.
const SENDS: usize = 100;

pub const PATHS: [Path; 9] = [
    Path {
        name: "a single send over loopback, without those of bare reqwest posting the same bytes",
        instructions: 11_320,
        setup: send_one,
        beyond: Some(|| bare("email", 1, SENDS)),
        times: SENDS,
        asked: Some(12_000),
    },
    Path {
        name: "a message in a batch of 500 over loopback, without those of bare reqwest posting the same bytes",
        instructions: 9_190,
        setup: send_500,
        beyond: Some(|| bare("email/batch", 500, 1)),
        times: 500,
        asked: Some(9_300),
    },
    Path {
        name: "write a message with an attachment of 1 MiB",
        instructions: 2_765_000,
        setup: || write(&[super::with_attachment(1 << 20)]),
        ..WHOLE
    },
    Path {
        name: "write a batch for 500 that shares HTML and an attachment",
        instructions: 1_197_000,
        setup: || write(&[super::batch_of_500(2 << 10, 1 << 10)]),
        ..WHOLE
    },
    Path {
        name: "check and prepare 500 small messages",
        instructions: 1_946_000,
        setup: prepare_500,
        ..WHOLE
    },
    Path {
        name: "write 500 small messages, read their response",
        instructions: 3_735_000,
        setup: answer_500,
        ..WHOLE
    },
    Path {
        name: "read 8 addresses",
        instructions: 58_000,
        setup: read_addresses,
        ..WHOLE
    },
    Path {
        name: "read tracking events of all kinds",
        instructions: 1_900_000,
        setup: read_tracking,
        ..WHOLE
    },
    Path {
        name: "read an inbound message of 1 MiB",
        instructions: 8_772_000,
        setup: read_inbound,
        ..WHOLE
    },
];

/// The server runs in a separate thread, which does not count.
fn send_one() -> Box<dyn FnMut()> {
    let (mailer, runtime) = (near_mailer(), runtime());
    let message = small(0);
    Box::new(move || {
        for _ in 0..SENDS {
            black_box(runtime.block_on(mailer.send(&message)).unwrap());
        }
    })
}

/// Sends this number of messages in one call, this number of times, without our code.
fn bare(path: &str, messages: usize, times: usize) -> Box<dyn FnMut()> {
    let messages: Vec<_> = (0..messages).map(small).collect();
    let messages = block_on(prepared(&backend(), &messages));
    let config = config();
    let body = bench::bodies(&messages, &config).next().unwrap();
    let body = Bytes::from(body.unwrap().collect::<Vec<_>>().concat());
    let url = format!("{}/{path}", near::serve());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = runtime();
    let post = async move || {
        let request = client
            .post(&url)
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .header("X-Postmark-Server-Token", TOKEN)
            .body(body.clone());
        request.send().await.unwrap().bytes().await.unwrap()
    };
    Box::new(move || {
        for _ in 0..times {
            black_box(runtime.block_on(post()));
        }
    })
}

pub fn send_500() -> Box<dyn FnMut()> {
    let (mailer, runtime) = (near_mailer(), runtime());
    let messages: Vec<_> = (0..500).map(small).collect();
    Box::new(move || {
        let results = runtime.block_on(mailer.send_all(&messages));
        assert!(black_box(results).iter().all(Result::is_ok));
    })
}

pub const TOKEN: &str = "POSTMARK_API_TEST";

fn near_mailer() -> Mailer {
    let config = PostmarkConfig::new(TOKEN).api_url(near::serve());
    Mailer::new(PostmarkBackend::new(config).unwrap())
}

fn config() -> PostmarkConfig {
    // Without TLS, Postmark's own URL is refused. Nothing is sent.
    PostmarkConfig::new("server-token").api_url("http://127.0.0.1:9")
}

fn backend() -> PostmarkBackend {
    PostmarkBackend::new(config()).unwrap()
}

fn write(messages: &[Message]) -> Box<dyn FnMut()> {
    let messages = block_on(prepared(&backend(), messages));
    let config = config();
    Box::new(move || {
        for body in bench::bodies(&messages, &config) {
            body.unwrap().for_each(|piece| drop(black_box(piece)));
        }
    })
}

fn prepare_500() -> Box<dyn FnMut()> {
    let messages: Vec<_> = (0..500).map(small).collect();
    let mailer = Mailer::new(Catcher::like(&backend()));
    let runtime = runtime();
    Box::new(move || {
        black_box(runtime.block_on(mailer.send_all(&messages)));
    })
}

fn answer_500() -> Box<dyn FnMut()> {
    let messages: Vec<_> = (0..500).map(small).collect();
    let messages = block_on(prepared(&backend(), &messages));
    let rows = messages.iter().enumerate().map(|(n, message)| {
        serde_json::json!({
            "ErrorCode": 0,
            "Message": "OK",
            "MessageID": format!("b7bc2f4a-e38e-4336-af7d-{n:012x}"),
            "SubmittedAt": "2026-11-24T10:27:15.1234567Z",
            "To": message.to()[0].to_ascii(),
        })
    });
    let answer = serde_json::Value::from_iter(rows).to_string();
    let config = config();
    Box::new(move || {
        let results = bench::answered(&messages, &config, &answer);
        assert!(black_box(results).iter().all(Result::is_ok));
    })
}

/// Addresses as users type them.
pub const ADDRESSES: [&str; 8] = [
    "ann@example.com",
    "customer4711@mail.example.co.uk",
    "first.last+tag@sub.example.org",
    "Ann <ann@example.com>",
    "Ann Example <ann.example@example.com>",
    "\"Doe, Ann\" <ann.doe@example.com>",
    "Anvil Shop GmbH <shop@anvils.example.com>",
    "Ann <ann@příklad.cz>",
];

fn read_addresses() -> Box<dyn FnMut()> {
    Box::new(|| {
        for text in ADDRESSES {
            black_box(black_box(text).parse::<Address>().unwrap());
        }
    })
}

fn read_tracking() -> Box<dyn FnMut()> {
    let payloads = super::tracking_payloads();
    let requests: Vec<_> = payloads.into_iter().map(post).collect();
    let webhook = PostmarkTrackingWebhook::new(WebhookAuth::none());
    Box::new(move || {
        for request in &requests {
            black_box(webhook.parse(request).unwrap());
        }
    })
}

fn read_inbound() -> Box<dyn FnMut()> {
    let request = post(super::inbound_payload(&super::inbound_mail(1 << 20)));
    let webhook = PostmarkInboundWebhook::new(WebhookAuth::none());
    Box::new(move || {
        black_box(webhook.parse(&request).unwrap());
    })
}

fn post(body: Bytes) -> Request<Bytes> {
    Request::post("/").body(body).unwrap()
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}
