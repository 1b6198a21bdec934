//! What Postmark posts to webhooks, in the shapes of
//! <https://postmarkapp.com/developer/webhooks/webhooks-overview>.

use std::sync::Arc;

use anymail_core::{WebhookAuth, WebhookKind};
use anymail_test_utils::conformance::Posts;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

pub(crate) fn posts(auth: WebhookAuth) -> Vec<Posts> {
    let webhooks = anymail_postmark::webhooks(auth).into_iter();
    webhooks
        .map(|webhook| {
            let payloads = match webhook.kind() {
                WebhookKind::Tracking => tracking(),
                _ => inbound(),
            };
            Posts {
                webhook: Arc::clone(&webhook),
                requests: payloads.iter().map(request).collect(),
            }
        })
        .collect()
}

fn request(json: &Value) -> Request<Bytes> {
    let request = Request::post("/").header("content-type", "application/json");
    request.body(json.to_string().into()).unwrap_or_default()
}

fn tracking() -> Vec<Value> {
    let ann = "ann@example.com";
    vec![
        event(
            "Delivery",
            json!({"Recipient": ann, "DeliveredAt": "2026-09-05T16:33:54.9070259Z",
            "Details": "250 2.0.0 OK"}),
        ),
        event(
            "Delivery",
            json!({"Recipient": "bob@example.com",
            "DeliveredAt": "2026-09-05T16:33:54.9070259Z", "Details": "250 2.0.0 OK"}),
        ),
        event(
            "Open",
            json!({"Recipient": ann, "ReceivedAt": "2026-09-05T17:02:11Z",
            "FirstOpen": true, "UserAgent": "Mozilla/5.0", "Geo": {}}),
        ),
        event(
            "Open",
            json!({"Recipient": ann, "ReceivedAt": "2026-09-06T08:00:00Z",
            "FirstOpen": false, "UserAgent": "Mozilla/5.0", "Geo": {}}),
        ),
        event(
            "Click",
            json!({"Recipient": ann, "ReceivedAt": "2026-09-05T17:02:15Z",
            "ClickLocation": "HTML", "OriginalLink": "https://example.com/confirm"}),
        ),
        event(
            "Bounce",
            json!({"ID": 692_560_173_i64, "Type": "HardBounce", "TypeCode": 1,
            "Email": ann, "BouncedAt": "2026-09-05T16:34:00-04:00", "CanActivate": true}),
        ),
        event(
            "SpamComplaint",
            json!({"ID": 692_560_174_i64, "Type": "SpamComplaint",
            "TypeCode": 100_001, "Email": ann, "BouncedAt": "2026-09-07T10:00:00Z"}),
        ),
        event(
            "SubscriptionChange",
            json!({"Recipient": ann, "Origin": "Recipient",
            "ChangedAt": "2026-09-07T10:00:00Z", "SuppressSending": true,
            "SuppressionReason": "ManualSuppression"}),
        ),
        // All there was of one that has been seen.
        json!({"RecordType": "Bounce", "ID": 7, "Type": "Unsubscribe", "TypeCode": 16, "Tag": "",
            "MessageID": "00000000-0000-0000-0000-000000000001", "ServerID": 23}),
    ]
}

fn event(record: &str, own: Value) -> Value {
    let mut event = json!({
        "RecordType": record,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "MessageStream": "outbound",
        "ServerID": 23,
        "Tag": "welcome",
        "Metadata": {"order": "4711"},
    });
    if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
        event.extend(own);
    }
    event
}

fn inbound() -> Vec<Value> {
    let mailbox = |email: &str| json!({"Email": email, "Name": "", "MailboxHash": ""});
    let mail = |id: &str| {
        json!({
            "From": "customer@example.org",
            "FromFull": mailbox("customer@example.org"),
            "To": "support@inbound.example.com",
            "ToFull": [mailbox("support@inbound.example.com")],
            "OriginalRecipient": "support@inbound.example.com",
            "Subject": "A question",
            "MessageID": id,
            "Date": "Wed, 11 Oct 2017 18:31:04 -0700",
            "TextBody": "Where is my order?",
            "Headers": [{"Name": "Return-Path", "Value": "<customer@example.org>"}],
            "Attachments": [{"Name": "a.txt", "ContentType": "text/plain", "Content": "YQ==",
                "ContentLength": 1}],
        })
    };
    vec![
        mail("22c74902-a0c1-4511-804f-341342852c90"),
        mail("22c74902-a0c1-4511-804f-341342852c91"),
    ]
}
