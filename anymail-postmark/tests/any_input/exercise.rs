//! What the fuzz targets and `any_input.rs` do with any bytes.
//!
//! A panic in this code is a bug in the library.

#![allow(dead_code, reason = "each target uses one of the functions")]
#![allow(clippy::expect_used, reason = "a failing test panics")]

use anymail_core::{
    Event, Form, HmacSha256Keys, InboundMessage, StandardWebhooks, Webhook, WebhookAuth,
    WebhookSignature,
};
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

/// A raw message.
pub(crate) fn raw_mime(input: &[u8]) {
    let mail = InboundMessage::from_raw(input.to_vec());
    look_at(&mail);
    let text = serde_json::to_string(&mail).expect("a mail goes into JSON");
    let back: InboundMessage = serde_json::from_str(&text).expect("and comes back");
    assert!(back == mail, "a mail changes on its way through JSON");
}

/// A form: its media type in the first line, followed by the body.
pub(crate) fn form(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (kind, body) = input.split_at(end.unwrap_or(input.len()));
    let Ok(kind) = http::HeaderValue::from_bytes(kind) else {
        return;
    };
    let request = http::Request::post("/").header("content-type", kind);
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let request = request.body(body).expect("a request");
    for field in Form::read(&request).into_iter().flatten() {
        let _ = (field.text(), field.to_attachment(), format!("{field:?}"));
    }
}

/// A forged signature: one header value per line, followed by the body.
pub(crate) fn signature(input: &[u8]) {
    let mut lines = input.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let mut request = http::Request::post("/")
        .body(Bytes::new())
        .expect("a request");
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        if let Ok(value) = http::HeaderValue::from_bytes(line()) {
            request.headers_mut().append(name, value);
        }
    }
    *request.body_mut() = Bytes::copy_from_slice(line());
    let keys = || ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let standard = StandardWebhooks::new(keys()).expect("a key");
    assert!(standard.verify(&request).is_err());
    let hmac = HmacSha256Keys::new(keys()).expect("a key");
    assert!(hmac.verify_hex(&[b"signed"], input).is_err());
    assert!(hmac.verify_base64(&[b"signed"], input).is_err());
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

/// Decodes everything that is decoded lazily.
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
