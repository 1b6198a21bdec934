//! Parsing webhooks.

use std::hint::black_box;

use anymail_core::{Event, Webhook, WebhookAuth};
use anymail_postmark::{PostmarkInboundWebhook, PostmarkTrackingWebhook};
use bytes::Bytes;
use http::Request;
use mail_parser::MessageParser;
use serde_json::Value;

use crate::measure::{Clock, Row, side_by_side};
use crate::scenarios;

/// Every record type and bounce type that Postmark posts.
pub fn tracking() -> Row {
    let payloads = scenarios::tracking_payloads();
    let requests: Vec<_> = payloads.into_iter().map(post).collect();
    let webhook = PostmarkTrackingWebhook::new(WebhookAuth::none());
    side_by_side(
        Clock::Processor,
        200,
        || {
            for request in &requests {
                black_box(webhook.parse(request).unwrap());
            }
        },
        || {
            for request in &requests {
                black_box(serde_json::from_slice::<Value>(request.body()).unwrap());
            }
        },
    )
    .time(
        "tracking webhook to event: time over `serde_json::from_slice::<Value>`",
        Some(1.25),
    )
}

/// From the webhook's body to the decoded text and attachments, compared with mail-parser, which gets
/// the raw message and decodes while parsing.
pub fn inbound() -> Row {
    let mail = scenarios::inbound_mail(5 << 20);
    let request = post(scenarios::inbound_payload(&mail));
    let webhook = PostmarkInboundWebhook::new(WebhookAuth::none());
    side_by_side(
        Clock::Processor,
        100,
        || {
            let events = webhook.parse(&request).unwrap();
            let [Event::Inbound(event)] = &*events else {
                unreachable!()
            };
            black_box(event.message.text().unwrap());
            black_box(event.message.html().unwrap());
            for part in event.message.attachments() {
                black_box(part.content());
            }
        },
        || {
            let message = MessageParser::default().parse(mail.as_bytes()).unwrap();
            black_box(message.body_text(0).unwrap());
            black_box(message.body_html(0).unwrap());
            for part in message.attachments() {
                black_box(part.contents());
            }
        },
    )
    .time(
        "inbound RawEmail of 5 MiB: time over mail-parser alone",
        Some(1.3),
    )
}

fn post(body: Bytes) -> Request<Bytes> {
    Request::post("/").body(body).unwrap()
}
