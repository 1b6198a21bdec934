//! What Starling posts to webhooks, and how it signs it.

use std::sync::Arc;

use anymail_core::{Address, EventType, HmacSha256Keys, RejectReason, WebhookAuth};
use anymail_test_utils::conformance::{
    Expected, File, HarnessError, Post, Posts, Report, Signer, Signing, Understood,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use super::signature::StarlingSignature;
use super::webhook::{StarlingInboundWebhook, StarlingWebhook};

const BOUNDARY: &str = "xYzZY";

/// Signs as Starling does.
pub struct StarlingSigner;

/// Creates the key pair for one of the suite's texts.
pub fn pair(text: &str) -> Result<SigningKey, HarnessError> {
    let secret = HmacSha256Keys::new([text])?.sign_hex(&[b"pair"]);
    let half = secret.get(..32).unwrap_or_default(); // 32 bytes that are surely in range
    Ok(SigningKey::from_slice(half.as_bytes())?)
}

/// Returns the public key as Starling's settings page shows it: a `SubjectPublicKeyInfo` (RFC
/// 5480).
pub fn public(text: &str) -> Result<String, HarnessError> {
    // The prefix of every uncompressed point of P-256.
    const HEAD: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
          \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let point = pair(text)?.verifying_key().to_sec1_point(false);
    Ok(STANDARD.encode([HEAD, point.as_bytes()].concat()))
}

impl Signer for StarlingSigner {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let keys: Result<Vec<_>, _> = keys.iter().map(|key| public(key)).collect();
        Ok(WebhookAuth::signature(StarlingSignature::new(keys?)?))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let signed = [how.unix_seconds.to_string().as_bytes(), request.body()].concat();
        let signature: Signature = pair(how.key)?.sign(&signed);
        let signature = how.spell(&STANDARD.encode(signature.to_der()));
        let headers = request.headers_mut();
        headers.insert("X-Starling-Timestamp", how.unix_seconds.into());
        headers.insert("X-Starling-Signature", HeaderValue::from_bytes(&signature)?);
        Ok(())
    }
}

/// Returns both webhooks.
pub fn all(auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
    vec![
        Posts {
            webhook: Arc::new(StarlingWebhook::new(auth.clone())),
            posts: news(sent),
        },
        Posts {
            webhook: Arc::new(StarlingInboundWebhook::new(auth)),
            posts: mails(),
        },
    ]
}

const AT: i64 = 1_790_000_000;
const LINK: &str = "https://example.com/?a=b&c=%20d";

/// Returns what Starling posts about a message, several events per post.
fn news(sent: &Report) -> Vec<Post> {
    let event = |id: &str, event: &str, more: Value| {
        let email = sent.recipients.first().map(|it| it.address.ascii_email());
        let mut json = json!({
            "sg_event_id": id, "event": event, "timestamp": AT, "email": email,
            "sg_message_id": format!("{}.filter0001p1mdw1.16648.5515E0B88.0", sent.id),
            "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>"
        });
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            // A single category is not a list, and metadata is merged into the fields.
            match &*sent.message.tags {
                [] => {}
                [one] => drop(json.insert("category".to_owned(), one.as_str().into())),
                several => drop(json.insert("category".to_owned(), several.into())),
            }
            json.extend(
                sent.message
                    .metadata
                    .iter()
                    .map(|(key, value)| (key.clone(), value.as_str().into())),
            );
            json.extend(more);
        }
        json
    };
    let post = |events: &[Value], attempt: &'static str| {
        let request = Request::post("/")
            .header("content-type", "application/json")
            .header("x-attempt", attempt);
        request
            .body(json!(events).to_string().into())
            .unwrap_or_default()
    };
    let expected = |kind| Expected::of(sent, kind).at(AT);
    let delivered = |id| event(id, "delivered", json!({"response": "250 OK", "tls": 1}));
    let bounce = |id, kind: &str| {
        let more = json!({"type": kind, "reason": "550 5.1.1 no", "status": "5.1.1"});
        event(id, "bounce", more)
    };
    let dropped = |id, reason: &str| event(id, "dropped", json!({"reason": reason}));
    vec![
        Post::new(
            post(&[delivered("first")], "1"),
            [expected(EventType::Delivered)],
        )
        .repeated_as(post(&[delivered("first")], "2"))
        .unlike(post(&[delivered("another")], "1")),
        Post::new(
            post(
                &[
                    event("2", "processed", json!({})),
                    event(
                        "3",
                        "deferred",
                        json!({"response": "450 later", "attempt": "5"}),
                    ),
                    bounce("4", "bounce"),
                    bounce("5", "blocked"),
                    event("6", "news to come", json!({})),
                    event("10", "click", json!({ "url": LINK })),
                ],
                "1",
            ),
            [
                expected(EventType::Queued),
                expected(EventType::Deferred).server_said("450 later"),
                expected(EventType::Bounced).reason(RejectReason::Bounced),
                expected(EventType::Bounced).reason(RejectReason::Blocked),
                expected(EventType::Unknown),
                expected(EventType::Clicked).link(LINK),
            ],
        ),
        Post::new(
            post(
                &[
                    dropped("7", "Invalid"),
                    dropped("8", "Spam Reporting Address"),
                    event("9", "spamreport", json!({})),
                ],
                "1",
            ),
            [
                expected(EventType::Rejected).reason(RejectReason::Invalid),
                expected(EventType::Rejected).reason(RejectReason::Spam),
                expected(EventType::Complained),
            ],
        ),
    ]
}

/// Returns inbound messages, which are always multipart forms.
fn mails() -> Vec<Post> {
    let post = |id: &str, text: &str, files: &[&[u8]]| {
        let headers = format!(
            "Received: by mx.example.com\r\n\twith SMTP\r\nFrom: Ann <ann@example.com>\r\n\
             To: shop@example.com\r\nCc: \"Doe, Eve\" <eve@example.com>\r\n\
             Subject: =?utf-8?q?Your_receipt_=E2=9C=93?=\r\nMessage-ID: <{id}@example.com>\r\n"
        );
        let info = r#"{"attachment1": {"filename": "příloha \"1\".txt", "type": "text/plain"},
            "attachment2": {"filename": "logo.png", "type": "image/png", "content-id": "logo"}}"#;
        let mut body = Vec::new();
        for (name, value) in [
            ("headers", &*headers),
            ("from", "Ann <ann@example.com>"),
            ("to", "shop@example.com"),
            ("subject", "Your receipt ✓"),
            ("text", text),
            (
                "envelope",
                r#"{"to": ["shop+4711@example.com"], "from": "ann@example.com"}"#,
            ),
            ("attachments", if files.is_empty() { "0" } else { "2" }),
            (
                "attachment-info",
                if files.is_empty() { "{}" } else { info },
            ),
            ("spam_score", "0.1"),
        ] {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n").bytes());
        }
        for (place, content) in files.iter().enumerate() {
            let number = place + 1;
            let head = format!(
                "Content-Disposition: form-data; name=\"attachment{number}\"; \
                 filename=\"file{number}\"\r\nContent-Type: application/octet-stream"
            );
            body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").bytes());
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = Request::post("/").header("content-type", kind);
        request.body(body.into()).unwrap_or_default()
    };
    let mail = |text: &str| Understood {
        from: Address::new("Ann", "ann@example.com").ok(),
        to: Address::parse_list("shop@example.com").unwrap_or_default(),
        cc: Address::parse_list("\"Doe, Eve\" <eve@example.com>").unwrap_or_default(),
        envelope_sender: Some("ann@example.com".to_owned()),
        subject: Some("Your receipt ✓".to_owned()),
        text: Some(text.to_owned()),
        ..Understood::default()
    };
    let expected = |mail| [Expected::inbound(mail).to("shop+4711@example.com")];
    let attached = |name: &str, kind: &str, content: &'static [u8]| File {
        name: Some(name.to_owned()),
        content_type: kind.to_owned(),
        content: content.into(),
        ..File::default()
    };
    let (wrong, late) = ("It is wrong.", "It is wrong & late: 100%\r\n");
    let contents: [&'static [u8]; 2] = [b"a file\r\n", b"\x89PNG\r\n\0\xff"];
    let whole = Understood {
        attachments: vec![
            attached("příloha \"1\".txt", "text/plain", contents[0]),
            File {
                inline: true,
                content_id: Some("logo".to_owned()),
                ..attached("logo.png", "image/png", contents[1])
            },
        ],
        ..mail(late)
    };
    vec![
        Post::new(post("first", wrong, &[]), expected(mail(wrong))).unlike(post(
            "another",
            wrong,
            &[],
        )),
        Post::new(post("files", late, &contents), expected(whole)),
    ]
}
