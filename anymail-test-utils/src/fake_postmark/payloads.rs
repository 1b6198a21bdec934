//! Builds the JSON of webhooks, with the documented keys.
//!
//! Bounces have the same JSON in the API: see `bounces.rs`. Inbound messages are in `inbound.rs`.

use serde_json::{Value, json};

use super::fields::set;
use super::message::SentMessage;
use super::state::{SERVER_ID, now};
use super::streams::{InactiveReason, SuppressionOrigin};

/// The receiving server's response, for `Details` and `MessageEvents`.
pub(super) const DELIVERED: &str = "smtp;250 2.0.0 OK delivered by the fake Postmark";

pub(super) fn delivery(message: &SentMessage, recipient: &str) -> Value {
    let mut payload = json!({
        "RecordType": "Delivery",
        "MessageStream": message.stream,
        "ServerID": SERVER_ID,
        "MessageID": message.id,
        "Recipient": recipient,
        "DeliveredAt": now(),
        "Details": DELIVERED,
        "Metadata": message.metadata,
    });
    add_tag(&mut payload, message);
    payload
}

/// Samples disagree about whether a missing tag is absent or empty; here, it is absent.
fn add_tag(payload: &mut Value, message: &SentMessage) {
    if let Some(tag) = &message.tag {
        set(payload, "Tag", tag.as_str());
    }
}

pub(super) fn open(message: &SentMessage, recipient: &str, first: bool) -> Value {
    let mut payload = json!({
        "RecordType": "Open",
        "MessageStream": message.stream,
        "FirstOpen": first,
        "Platform": "WebMail",
        "ReadSeconds": 5,
    });
    add_visit(&mut payload, message, recipient);
    payload
}

pub(super) fn click(message: &SentMessage, recipient: &str, link: &str) -> Value {
    let html = message.html_body.as_deref().unwrap_or_default();
    let mut payload = json!({
        "RecordType": "Click",
        "MessageStream": message.stream,
        "ClickLocation": if html.contains(link) { "HTML" } else { "Text" },
        "Platform": "Desktop",
        "OriginalLink": link,
    });
    add_visit(&mut payload, message, recipient);
    payload
}

/// Adds who opens or clicks, which is always the same person on the same machine.
fn add_visit(payload: &mut Value, message: &SentMessage, recipient: &str) {
    let client = json!({"Name": "Chrome 130.0", "Company": "Google", "Family": "Chrome"});
    let os = json!({"Name": "Linux", "Company": "Canonical", "Family": "Linux"});
    let geo = json!({
        "CountryISOCode": "NL",
        "Country": "Netherlands",
        "RegionISOCode": "NH",
        "Region": "North Holland",
        "City": "Amsterdam",
        "Zip": "1012",
        "Coords": "52.3740,4.8897",
        "IP": "203.0.113.42",
    });
    set(payload, "Client", client);
    set(payload, "OS", os);
    set(
        payload,
        "UserAgent",
        "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0",
    );
    set(payload, "Geo", geo);
    set(payload, "MessageID", message.id.as_str());
    set(payload, "Metadata", json!(message.metadata));
    set(payload, "ReceivedAt", now());
    set(payload, "Recipient", recipient);
    add_tag(payload, message);
}

/// Builds the payload for an address that became inactive because of a message.
pub(super) fn suppressed_by(
    message: &SentMessage,
    recipient: &str,
    reason: InactiveReason,
) -> Value {
    json!({
        "RecordType": "SubscriptionChange",
        "MessageID": message.id,
        "ServerID": SERVER_ID,
        "MessageStream": message.stream,
        "ChangedAt": now(),
        "Recipient": recipient,
        "Origin": SuppressionOrigin::Recipient.as_str(),
        "SuppressSending": true,
        "SuppressionReason": reason.as_str(),
        "Tag": message.tag,
        "Metadata": message.metadata,
    })
}

/// Builds the payload for an address that the server's owner suppressed.
pub(super) fn suppressed_by_customer(stream: &str, recipient: &str) -> Value {
    change_by_customer(stream, recipient, Some(InactiveReason::ManualSuppression))
}

/// Builds the payload for an address that the server's owner reactivated.
pub(super) fn reactivated(stream: &str, recipient: &str) -> Value {
    change_by_customer(stream, recipient, None)
}

fn change_by_customer(stream: &str, recipient: &str, reason: Option<InactiveReason>) -> Value {
    json!({
        "RecordType": "SubscriptionChange",
        "MessageID": null,
        "ServerID": SERVER_ID,
        "MessageStream": stream,
        "ChangedAt": now(),
        "Recipient": recipient,
        "Origin": SuppressionOrigin::Customer.as_str(),
        "SuppressSending": reason.is_some(),
        "SuppressionReason": reason.map(InactiveReason::as_str),
        "Tag": null,
        "Metadata": {},
    })
}
