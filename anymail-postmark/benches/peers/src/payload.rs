//! Writing requests, without the network.

use std::collections::HashMap;
use std::hint::black_box;
use std::slice;

use anymail_core::{Message, PreparedMessage};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, bench};
use base64::Engine;
use base64::engine::{Simd, general_purpose::PAD};
use bytes::Bytes;
use postmark::api::Body;
use postmark::api::email::{Attachment, SendEmailRequest};

use crate::measure::{Clock, Row, side_by_side};
use crate::scenarios;

fn config() -> PostmarkConfig {
    PostmarkConfig::new("server-token")
}

async fn prepared(messages: &[Message]) -> Vec<PreparedMessage> {
    let backend = PostmarkBackend::new(config()).unwrap();
    scenarios::prepared(&backend, messages).await
}

/// Both write into memory that they allocate: ours one piece at a time, as the HTTP client requests
/// them, the other everything at once.
pub async fn large_attachment() -> Row {
    let message = scenarios::with_attachment(scenarios::LARGE);
    let content = message.attachments.items()[0].content().clone();
    let (messages, config) = (prepared(&[message]).await, config());
    let engine = Simd::standard(PAD);
    let pair = side_by_side(
        Clock::Processor,
        200,
        || {
            for body in bench::bodies(&messages, &config) {
                body.unwrap().for_each(|piece| drop(black_box(piece)));
            }
        },
        || {
            let mut out = vec![0; content.len().div_ceil(3) * 4];
            engine.encode_slice(&content, &mut out).unwrap();
            black_box(out);
        },
    );
    pair.time(
        "payload with a 10 MiB attachment: time over base64 alone",
        Some(1.2),
    )
}

/// Makes glibc's malloc keep memory instead of returning it to the system. Otherwise, a body of 50 MB
/// is new memory in each round, and most of the time is spent in the kernel, in all programs.
pub const KEEP_MEMORY: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "2000000000"),
    ("MALLOC_TRIM_THRESHOLD_", "4000000000"),
];

/// Ours produces the pieces that the HTTP client gets; content that all rows share is in memory once.
pub async fn batch() -> [Row; 3] {
    let message = scenarios::batch_of_500(20 << 10, 100 << 10);
    let (messages, config) = (prepared(slice::from_ref(&message)).await, config());
    let outputs: Vec<_> = bench::bodies(&messages, &config)
        .map(|body| in_one_piece(body.unwrap()))
        .collect();
    let ours = || {
        for body in bench::bodies(&messages, &config) {
            body.unwrap().for_each(|piece| drop(black_box(piece)));
        }
    };
    let copy = || {
        for output in &outputs {
            black_box(output.to_vec());
        }
    };
    let over_copy = side_by_side(Clock::Processor, 40, ours, copy);
    let put_together = || {
        for body in bench::bodies(&messages, &config) {
            black_box(in_one_piece(body.unwrap()));
        }
    };
    let one_piece_over_copy = side_by_side(Clock::Processor, 40, put_together, copy);

    let file = Simd::standard(PAD).encode(message.attachments.items()[0].content());
    let by_hand = || {
        // Two calls, like ours, because 500 messages exceed 50 MB.
        for rows in [0..250, 250..500] {
            let requests: Vec<_> = rows.map(|n| row(&message, &file, n)).collect();
            black_box(serde_json::to_vec(&requests).unwrap());
        }
    };
    let over_peer = side_by_side(Clock::Processor, 20, ours, by_hand);
    let kept = KEEP_MEMORY
        .iter()
        .all(|(name, _)| std::env::var_os(name).is_some());
    let (asked, memory) = match kept {
        true => (None, ", in memory that malloc keeps"),
        false => (Some(()), ""),
    };
    [
        over_copy.time(
            format!(
                "batch of 500 with a shared 20 KiB HTML body and a 100 KiB attachment{memory}: \
                 time over a memcpy of the output"
            ),
            asked.map(|()| 4.0),
        ),
        one_piece_over_copy.time(
            format!("the same with its pieces joined{memory}: time over the memcpy"),
            None,
        ),
        over_peer.speed(
            format!("the same over the `postmark` crate 2.0 building the same body{memory}: speed"),
            asked.map(|()| 5.0),
            1.0,
        ),
    ]
}

fn in_one_piece(body: impl Iterator<Item = Bytes>) -> Vec<u8> {
    body.collect::<Vec<_>>().concat()
}

fn row(message: &Message, file: &str, n: usize) -> SendEmailRequest {
    let html = message.html_body.value().unwrap();
    let metadata = HashMap::from([("customer".to_owned(), n.to_string())]);
    SendEmailRequest::builder()
        .from("Anvil Shop <shop@example.com>")
        .to(scenarios::recipient(n))
        .subject("The anvils of spring")
        .body(Body::html(html.clone()))
        .metadata(metadata)
        .attachments(vec![Attachment {
            name: "catalogue.pdf".to_owned(),
            content: file.to_owned(),
            content_type: "application/pdf".to_owned(),
            content_id: None,
        }])
        .build()
}
