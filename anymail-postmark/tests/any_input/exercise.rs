//! What is done with any bytes, by the fuzz targets and by `any_input.rs`.
//!
//! Nothing here may panic but for a fault of ours.

#![allow(dead_code, reason = "each target uses one of the functions")]
#![allow(clippy::expect_used, reason = "what fails should panic")]

use anymail_core::{Event, InboundMessage, Webhook, WebhookAuth};
use anymail_postmark::{PostmarkInboundWebhook, PostmarkTrackingWebhook};
use bytes::Bytes;

/// A body at the tracking webhook.
pub(crate) fn tracking(input: &[u8]) {
    webhook(&PostmarkTrackingWebhook::new(WebhookAuth::none()), input);
}

/// A body at the inbound webhook.
pub(crate) fn inbound(input: &[u8]) {
    webhook(&PostmarkInboundWebhook::new(WebhookAuth::none()), input);
}

/// A raw mail.
pub(crate) fn raw_mime(input: &[u8]) {
    let mail = InboundMessage::from_raw(input.to_vec());
    look_at(&mail);
    let text = serde_json::to_string(&mail).expect("a mail goes into JSON");
    let back: InboundMessage = serde_json::from_str(&text).expect("and comes back");
    assert!(back == mail, "a mail changes on its way through JSON");
}

fn webhook(webhook: &dyn Webhook, input: &[u8]) {
    let request = http::Request::post("/").body(Bytes::copy_from_slice(input));
    let request = request.expect("a request");
    let events = match webhook.parse(&request) {
        Ok(events) => events,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(events.len(), 1);
    for event in events {
        assert!(!event.dedup_key().is_empty());
        if let Event::Inbound(event) = &event {
            look_at(&event.message);
        }
        let text = serde_json::to_string(&event).expect("an event goes into JSON");
        let back: Event = serde_json::from_str(&text).expect("and comes back");
        assert!(back == event, "an event changes on its way through JSON");
    }
}

/// Decodes everything that is decoded when asked for.
fn look_at(mail: &InboundMessage) {
    let _ = (mail.text(), mail.html(), format!("{mail:?}"));
    let lists = [&mail.from, &mail.to, &mail.cc, &mail.bcc, &mail.reply_to];
    for address in lists.into_iter().flatten() {
        let _ = (address.to_address(), address.to_string());
    }
    for (_, value) in &mail.headers {
        assert!(
            !value.contains(['\r', '\n']),
            "a header's value has two lines"
        );
    }
    for part in mail.attachments().chain(mail.inlines()) {
        let _ = (part.content(), part.text());
        assert!(
            !part
                .filename()
                .is_some_and(|name| name.contains(['\r', '\n']))
        );
    }
}
