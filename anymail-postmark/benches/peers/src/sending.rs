//! Sending over loopback, to a server in a separate process.

use std::future::Future;
use std::hint::black_box;

use anymail_core::{Mailer, Message};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, bench};
use bytes::Bytes;
use missive::providers::PostmarkMailer;
use missive::{Email, EmailClient};
use postmark::Query;
use postmark::api::Body;
use postmark::api::email::{SendEmailBatchRequest, SendEmailRequest};
use postmark::reqwest::PostmarkClient;
use tokio::runtime::Runtime;

use crate::measure::{Asked, Clock, Row, side_by_side};
use crate::scenarios;
use crate::server::{Kind, Server};

/// The fake keeps no message with this token.
const TOKEN: &str = "POSTMARK_API_TEST";
const MANY: usize = 10_000;

pub fn mailer(server: &Server) -> Mailer {
    let config = PostmarkConfig::new(TOKEN).api_url(&server.url);
    Mailer::new(PostmarkBackend::new(config).unwrap())
}

/// Only the rows over loopback have targets; the others help to interpret them.
fn asked(server: &Server, at_least: f64) -> Option<f64> {
    (server.kind == Kind::Near).then_some(at_least)
}

fn rounds(server: &Server, near: usize) -> usize {
    match server.kind {
        Kind::Near => near,
        Kind::Far => 5,
        Kind::Fake => near.div_ceil(5),
    }
}

pub fn one_after_another(runtime: &Runtime, server: &Server) -> Row {
    const SENDS: usize = 20;
    let kind = server.kind;
    let mailer = mailer(server);
    let message = scenarios::small(1);
    let config = PostmarkConfig::new(TOKEN);
    let backend = PostmarkBackend::new(config.clone()).unwrap();
    let messages = runtime.block_on(scenarios::prepared(
        &backend,
        std::slice::from_ref(&message),
    ));
    let body = bench::bodies(&messages, &config).next().unwrap().unwrap();
    let body = Bytes::from(body.collect::<Vec<_>>().concat());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/email", server.url);
    let ours = on(runtime, || async {
        for _ in 0..SENDS {
            black_box(mailer.send(&message).await.unwrap());
        }
    });
    let bare = on(runtime, || async {
        for _ in 0..SENDS {
            let request = client
                .post(&url)
                .header("Accept", "application/json")
                .header("Content-Type", "application/json")
                .header("X-Postmark-Server-Token", TOKEN)
                .body(body.clone());
            let answer = request.send().await.unwrap();
            black_box(answer.bytes().await.unwrap());
        }
    });
    side_by_side(Clock::Wall, rounds(server, 500), ours, bare).speed(
        format!(
            "one send after another{kind}, over bare reqwest posting prepared bytes: throughput"
        ),
        asked(server, 0.95),
        1.0,
    )
}

pub fn calls_of_many(runtime: &Runtime, server: &Server) -> Row {
    let messages: Vec<Message> = (0..MANY).map(scenarios::small).collect();
    let before = calls(runtime, server);
    runtime.block_on(mailer(server).send_all(&messages));
    Row {
        what: "10,000 unrelated messages: HTTP calls".to_owned(),
        asked: Some(Asked::Exactly(20.0)),
        got: (calls(runtime, server) - before) as f64,
        range: None,
        note: String::new(),
    }
}

pub fn many(runtime: &Runtime, server: &Server) -> [Row; 3] {
    let kind = server.kind;
    // Libraries that send one by one send only a part.
    let few = if server.kind == Kind::Far { 50 } else { 1_000 };
    let scale = (MANY / few) as f64;
    let messages: Vec<Message> = (0..MANY).map(scenarios::small).collect();
    let mailer = mailer(server);
    let send_all = || {
        let results = runtime.block_on(mailer.send_all(&messages));
        assert!(results.iter().all(Result::is_ok));
    };

    let requests: Vec<SendEmailRequest> = (0..MANY).map(request).collect();
    let client = PostmarkClient::builder()
        .base_url(&server.url)
        .server_token(TOKEN)
        .build();
    let postmark_one_by_one = on(runtime, || async {
        for request in &requests[..few] {
            black_box(request.clone().execute(&client).await.unwrap());
        }
    });
    let rounds = |near| rounds(server, near);
    let over_postmark = side_by_side(Clock::Wall, rounds(25), send_all, postmark_one_by_one);

    let emails: Vec<Email> = (0..few).map(email).collect();
    let missive = PostmarkMailer::new(TOKEN).base_url(&server.url);
    let missive = EmailClient::new(missive);
    let missive_one_by_one = on(runtime, || async {
        for email in &emails {
            black_box(missive.deliver(email.clone()).await.unwrap());
        }
    });
    let over_missive = side_by_side(Clock::Wall, rounds(25), send_all, missive_one_by_one);

    let by_hand = on(runtime, || async {
        for rows in requests.chunks(500) {
            let rows: SendEmailBatchRequest = rows.to_vec();
            black_box(rows.execute(&client).await.unwrap());
        }
    });
    let over_batches = side_by_side(Clock::Wall, rounds(100), send_all, by_hand);
    [
        over_postmark.speed(
            format!("10,000 messages{kind}, over the `postmark` crate one by one: throughput"),
            asked(server, 30.0),
            scale,
        ),
        over_missive.speed(
            format!("10,000 messages{kind}, over `missive` one by one: throughput"),
            asked(server, 30.0),
            scale,
        ),
        over_batches.speed(
            format!(
                "10,000 messages{kind}, over batches of 500 made by hand with the `postmark` \
                 crate: throughput"
            ),
            asked(server, 1.0),
            1.0,
        ),
    ]
}

fn on<F: Future>(runtime: &Runtime, run: impl Fn() -> F) -> impl Fn() {
    move || {
        runtime.block_on(run());
    }
}

fn calls(runtime: &Runtime, server: &Server) -> u64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = async { client.get(&server.url).send().await.unwrap().text().await };
    runtime.block_on(text).unwrap().parse().unwrap()
}

fn request(n: usize) -> SendEmailRequest {
    SendEmailRequest::builder()
        .from("Anvil Shop <shop@example.com>")
        .to(scenarios::recipient(n))
        .subject("Your receipt")
        .body(Body::text(
            "Thank you for the anvil. It is on its way.\n".to_owned(),
        ))
        .build()
}

fn email(n: usize) -> Email {
    Email::new()
        .from("Anvil Shop <shop@example.com>")
        .to(scenarios::recipient(n).as_str())
        .subject("Your receipt")
        .text_body("Thank you for the anvil. It is on its way.\n")
}
