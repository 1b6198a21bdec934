//! What Postmark posts to webhooks, in the shapes of
//! <https://postmarkapp.com/developer/webhooks/webhooks-overview>.

use std::sync::Arc;

use anymail_core::{EventType, RejectReason, WebhookAuth, WebhookKind};
use anymail_test_utils::conformance::{Expected, File, Post, Posts, Report, Understood};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

pub(crate) fn posts(auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
    let webhooks = anymail_postmark::webhooks(auth).into_iter();
    webhooks
        .map(|webhook| {
            let posts = match webhook.kind() {
                WebhookKind::Tracking => tracking(sent),
                _ => inbound(),
            };
            Posts {
                webhook: Arc::clone(&webhook),
                posts,
            }
        })
        .collect()
}

fn request(json: &Value) -> Request<Bytes> {
    let request = Request::post("/").header("content-type", "application/json");
    request.body(json.to_string().into()).unwrap_or_default()
}

const AT: &str = "2026-09-05T16:33:54.9070259Z";
const AT_UNIX: i64 = 1_788_626_034;

fn tracking(sent: &Report) -> Vec<Post> {
    use EventType as T;
    let first = sent.recipients.first();
    let email = first.map(|it| it.address.ascii_email()).unwrap_or_default();
    let event = |record: &str, own: Value| {
        let mut event = json!({
            "RecordType": record,
            "MessageID": sent.id,
            "MessageStream": "outbound",
            "ServerID": 23,
            "Tag": sent.message.tags.first(),
            "Metadata": sent.message.metadata,
        });
        if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
            event.extend(own);
        }
        event
    };
    let expected = |kind| Expected::of(sent, kind).at(AT_UNIX);
    let post = |json: &Value, expected| Post::new(request(json), [expected]);
    let delivery = |to: &str| {
        let details = "250 2.0.0 OK";
        event(
            "Delivery",
            json!({"Recipient": to, "DeliveredAt": AT, "Details": details}),
        )
    };
    let open = |at: &str, first: bool| {
        let agent = "Mozilla/5.0";
        let own = json!({"Recipient": email, "ReceivedAt": at, "FirstOpen": first,
            "UserAgent": agent, "Geo": {}});
        event("Open", own)
    };
    let bounce = |id: i64, kind: &str, at: &str| {
        let own = json!({"ID": id, "Type": kind, "Email": email, "BouncedAt": at,
            "CanActivate": true});
        event("Bounce", own)
    };
    let click = json!({"Recipient": email, "ReceivedAt": AT, "ClickLocation": "HTML",
        "OriginalLink": "https://example.com/confirm"});
    let complaint = json!({"ID": 692_560_174_i64, "Type": "SpamComplaint",
        "TypeCode": 100_001, "Email": email, "BouncedAt": AT});
    let change = json!({"Recipient": email, "Origin": "Recipient", "ChangedAt": AT,
        "SuppressSending": true, "SuppressionReason": "ManualSuppression"});
    // The complete payload of one that was seen.
    let bare = json!({"RecordType": "Bounce", "ID": 7, "Type": "Unsubscribe", "TypeCode": 16,
        "Tag": "", "MessageID": "00000000-0000-0000-0000-000000000001", "ServerID": 23});
    let of_bare = Expected {
        message_id: Some("00000000-0000-0000-0000-000000000001".to_owned()),
        ..Expected::nothing(T::Unsubscribed).reason(RejectReason::Unsubscribed)
    };
    vec![
        post(&delivery(&email), expected(T::Delivered))
            .unlike(request(&delivery("another@example.com"))),
        post(&open(AT, true), expected(T::Opened))
            .unlike(request(&open("2026-09-05T16:33:54.9070260Z", true))),
        post(&event("Click", click), expected(T::Clicked)),
        post(
            &bounce(692_560_173, "HardBounce", "2026-09-05T12:33:54-04:00"),
            expected(T::Bounced).reason(RejectReason::Bounced),
        )
        .unlike(request(&bounce(
            692_560_172,
            "HardBounce",
            "2026-09-05T12:33:54-04:00",
        ))),
        post(&bounce(692_560_175, "Transient", AT), expected(T::Deferred)),
        post(
            &bounce(692_560_176, "BadEmailAddress", AT),
            expected(T::Rejected).reason(RejectReason::Invalid),
        ),
        post(
            &event("SpamComplaint", complaint),
            expected(T::Complained).reason(RejectReason::Spam),
        ),
        post(
            &event("SubscriptionChange", change),
            expected(T::Unsubscribed).reason(RejectReason::Unsubscribed),
        ),
        post(&bare, of_bare),
    ]
}

fn inbound() -> Vec<Post> {
    let mailbox = |email: &str| json!({"Email": email, "Name": "", "MailboxHash": ""});
    let mail = |id: &str| {
        request(&json!({
            "From": "customer@example.org",
            "FromFull": mailbox("customer@example.org"),
            "To": "support@inbound.example.com",
            "ToFull": [mailbox("support@inbound.example.com")],
            "CcFull": [mailbox("copy@example.org")],
            "OriginalRecipient": "support@inbound.example.com",
            "Subject": "A question",
            "MessageID": id,
            "Date": "Wed, 11 Oct 2017 18:31:04 -0700",
            "TextBody": "Where is my order?",
            "HtmlBody": "<p>Where is my order? <img src=\"cid:logo@x\"></p>",
            "Headers": [{"Name": "Return-Path", "Value": "<customer@example.org>"}],
            "Attachments": [
                {"Name": "a.txt", "ContentType": "text/plain", "Content": "YQ==",
                "ContentLength": 1},
                {"Name": "logo.png", "ContentType": "image/png", "Content": "UE5H",
                "ContentLength": 3, "ContentID": "logo@x"},
            ],
        }))
    };
    let expected = || {
        let people = |email: &str| email.parse().into_iter().collect();
        Expected::inbound(Understood {
            from: "customer@example.org".parse().ok(),
            to: people("support@inbound.example.com"),
            cc: people("copy@example.org"),
            subject: Some("A question".to_owned()),
            text: Some("Where is my order?".to_owned()),
            html: Some("<p>Where is my order? <img src=\"cid:logo@x\"></p>".to_owned()),
            attachments: vec![
                File {
                    name: Some("a.txt".to_owned()),
                    content_type: "text/plain".to_owned(),
                    content: "a".into(),
                    ..File::default()
                },
                File {
                    name: Some("logo.png".to_owned()),
                    content_type: "image/png".to_owned(),
                    content: "PNG".into(),
                    inline: true,
                    content_id: Some("logo@x".to_owned()),
                },
            ],
            ..Understood::default()
        })
    };
    vec![
        Post::new(mail("22c74902-a0c1-4511-804f-341342852c90"), [expected()])
            .unlike(mail("22c74902-a0c1-4511-804f-341342852c92")),
        Post::new(mail("22c74902-a0c1-4511-804f-341342852c91"), [expected()]),
    ]
}
