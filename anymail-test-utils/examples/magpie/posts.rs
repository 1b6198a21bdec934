//! What Magpie posts to webhooks, and how it signs it.

use std::sync::Arc;

use anymail_core::{Address, EventType, HmacSha256Keys, RejectReason, WebhookAuth};
use anymail_test_utils::conformance::{
    Expected, File, HarnessError, Post, Posts, Report, Signer, Signing, Understood,
};
use bytes::Bytes;
use http::{Request, header};
use serde_json::{Value, json};

use super::harness::{Part, read_form};
use super::signature::MagpieSignature;
use super::webhook::{MagpieInboundWebhook, MagpieWebhook};

/// The boundary between two parts.
pub const BOUNDARY: &str = "a-line-between-two-parts";
const FORM: &str = "application/x-www-form-urlencoded";

/// Signs as Magpie does.
pub struct MagpieSigner;

impl Signer for MagpieSigner {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let signature = MagpieSignature::new(keys.iter().copied())?;
        Ok(WebhookAuth::signature(signature))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let time = how.unix_seconds.to_string();
        let token = format!("{:0>50}", how.unix_seconds);
        let signed = [time.as_bytes(), token.as_bytes()];
        let signature = how.spell(&HmacSha256Keys::new([how.key])?.sign_hex(&signed));
        let signed = [
            ("timestamp", time.into_bytes()),
            ("token", token.into_bytes()),
            ("signature", signature),
        ];
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.ok_or("there is no Content-Type")?.to_str()?;
        let body = match kind {
            "application/json" => {
                let mut json: Value = serde_json::from_slice(request.body())?;
                let fields: Result<serde_json::Map<_, _>, HarnessError> = signed
                    .into_iter()
                    .map(|(name, value)| Ok((name.to_owned(), String::from_utf8(value)?.into())))
                    .collect();
                if let Some(map) = json.as_object_mut() {
                    map.insert("signature".to_owned(), fields?.into());
                }
                json.to_string().into()
            }
            FORM => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in form_urlencoded::parse(request.body()) {
                    if signed.iter().all(|(own, _)| *own != name) {
                        form.append_pair(&name, &value);
                    }
                }
                let mut body = form.finish();
                for (name, value) in signed {
                    let value: String = form_urlencoded::byte_serialize(&value).collect();
                    body.push_str(&format!("&{name}={value}"));
                }
                body.into()
            }
            _ => {
                let mut parts = read_form(request)?;
                parts.retain(|part| signed.iter().all(|(own, _)| *own != part.name));
                parts.extend(signed.map(|(name, value)| text(name, value)));
                write_form(&parts)
            }
        };
        *request.body_mut() = body;
        Ok(())
    }

    fn covers_body(&self) -> bool {
        false
    }
}

/// Returns both webhooks.
pub fn all(auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
    vec![
        Posts {
            webhook: Arc::new(MagpieWebhook::new(auth.clone())),
            posts: news(sent),
        },
        Posts {
            webhook: Arc::new(MagpieInboundWebhook::new(auth)),
            posts: mails(),
        },
    ]
}

const AT: i64 = 1_790_000_000;
const LINK: &str = "https://example.com/?a=b&c=%20d";

/// Returns what Magpie posts about a message, one event per post.
fn news(sent: &Report) -> Vec<Post> {
    let data = |id: &str, event: &str, more: Value| {
        let email = sent.recipients.first().map(|it| it.address.ascii_email());
        let mut data = json!({
            "id": id, "event": event, "timestamp": AT as f64 + 0.25, "recipient": email,
            "message": {"headers": {"message-id": sent.id.trim_matches(['<', '>'])}},
            "user-variables": sent.message.metadata, "tags": sent.message.tags,
            "campaigns": [], "flags": {"is-test-mode": false}
        });
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        data
    };
    // The suite signs the request. Without keys to verify with, the post contains a signature
    // anyway, and a different one in each attempt.
    let post = |data: &Value, token: Option<&str>| {
        let mut json = json!({ "event-data": data });
        if let (Some(token), Some(json)) = (token, json.as_object_mut()) {
            let signature = json!({"timestamp": "1790000001", "token": token, "signature": "00"});
            json.insert("signature".to_owned(), signature);
        }
        let request = Request::post("/").header("content-type", "application/json");
        request.body(json.to_string().into()).unwrap_or_default()
    };
    let expected = |kind| Expected::of(sent, kind).at(AT);
    let delivered = |id| data(id, "delivered", json!({"delivery-status": {"code": 250}}));
    let failed = |id, severity: &str, reason: &str| {
        let status = json!({"code": 550, "message": "5.1.1 No such user"});
        let more = json!({"severity": severity, "reason": reason, "delivery-status": status});
        data(id, "failed", more)
    };
    let one = |data: Value, expected| Post::new(post(&data, None), [expected]);
    vec![
        one(delivered("first"), expected(EventType::Delivered))
            .repeated_as(post(&delivered("first"), Some("b")))
            .unlike(post(&delivered("another"), None)),
        one(
            failed("2", "temporary", "generic"),
            expected(EventType::Deferred),
        ),
        one(
            failed("3", "permanent", "bounce"),
            expected(EventType::Bounced)
                .reason(RejectReason::Bounced)
                .server_said("5.1.1 No such user"),
        ),
        one(
            failed("4", "permanent", "suppress-complaint"),
            expected(EventType::Bounced).reason(RejectReason::Spam),
        ),
        one(
            data("7", "clicked", json!({ "url": LINK })),
            expected(EventType::Clicked).link(LINK),
        ),
        one(
            data("5", "complained", json!({})),
            expected(EventType::Complained),
        ),
        one(
            data("6", "news to come", json!({})),
            expected(EventType::Unknown),
        ),
    ]
}

fn text(name: &str, value: impl Into<Bytes>) -> Part {
    Part {
        name: name.to_owned(),
        filename: None,
        content_type: None,
        content: value.into(),
    }
}

fn file(name: &str, filename: &str, kind: &str, content: &'static [u8]) -> Part {
    Part {
        name: name.to_owned(),
        filename: Some(filename.to_owned()),
        content_type: Some(kind.to_owned()),
        content: content.into(),
    }
}

/// Writes `multipart/form-data`.
pub fn write_form(parts: &[Part]) -> Bytes {
    let mut body = Vec::new();
    for part in parts {
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; ").bytes());
        body.extend(format!("name=\"{}\"", part.name).bytes());
        if let Some(filename) = &part.filename {
            let filename = filename.replace('\\', "\\\\").replace('"', "\\\"");
            body.extend(format!("; filename=\"{filename}\"").bytes());
        }
        if let Some(kind) = &part.content_type {
            body.extend(format!("\r\nContent-Type: {kind}").bytes());
        }
        body.extend(b"\r\n\r\n");
        body.extend(&part.content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body.into()
}

/// Returns inbound messages: one without attachments as a plain form, one with attachments in
/// parts.
fn mails() -> Vec<Post> {
    let fields = |id: &str, text: &str, token: Option<&str>| {
        let headers = json!([
            ["From", "Ann <ann@example.com>"],
            ["To", "shop@example.com"],
            ["Subject", "=?utf-8?q?Your_receipt_=E2=9C=93?="],
            ["Message-Id", format!("<{id}@example.com>")]
        ]);
        let mut fields = vec![
            ("recipient", "shop+4711@example.com".to_owned()),
            ("sender", "ann@example.com".to_owned()),
            ("from", "Ann <ann@example.com>".to_owned()),
            ("subject", "Your receipt ✓".to_owned()),
            ("body-plain", text.to_owned()),
            ("stripped-text", "what is not quoted".to_owned()),
            ("message-headers", headers.to_string()),
        ];
        if let Some(token) = token {
            fields.extend([
                ("timestamp", "1790000001".to_owned()),
                ("token", token.to_owned()),
                ("signature", "00".to_owned()),
            ]);
        }
        fields
    };
    let plain = |id: &str, text: &str, token: Option<&str>| {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields(id, text, token))
            .finish();
        let request = Request::post("/").header("content-type", FORM);
        request.body(form.into()).unwrap_or_default()
    };
    let html = "<img src=\"cid:logo\">";
    let with_files = |id: &str, words: &str, token: Option<&str>| {
        let fields = fields(id, words, token).into_iter();
        let mut parts: Vec<_> = fields.map(|(name, value)| text(name, value)).collect();
        parts.extend([
            text("body-html", html),
            text("attachment-count", "2"),
            text("content-id-map", r#"{"<logo>": "attachment-2"}"#),
            file(
                "attachment-1",
                "pří \"loha\".txt",
                "text/plain",
                b"a file\r\n",
            ),
            file(
                "attachment-2",
                "logo.png",
                "image/png",
                b"\x89PNG\r\n\0\xff",
            ),
        ]);
        let kind = format!("multipart/form-data; boundary=\"{BOUNDARY}\"");
        let request = Request::post("/").header("content-type", kind);
        request.body(write_form(&parts)).unwrap_or_default()
    };
    let mail = |text: &str| Understood {
        from: Address::new("Ann", "ann@example.com").ok(),
        to: Address::parse_list("shop@example.com").unwrap_or_default(),
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
    let logo = File {
        inline: true,
        content_id: Some("logo".to_owned()),
        ..attached("logo.png", "image/png", b"\x89PNG\r\n\0\xff")
    };
    let (wrong, late) = ("It is wrong.", "It is wrong & late: 100%\r\n");
    let whole = Understood {
        html: Some(html.to_owned()),
        attachments: vec![
            attached("pří \"loha\".txt", "text/plain", b"a file\r\n"),
            logo,
        ],
        ..mail(late)
    };
    vec![
        Post::new(plain("first", wrong, None), expected(mail(wrong)))
            .repeated_as(plain("first", wrong, Some("b")))
            .unlike(plain("another", wrong, None)),
        Post::new(with_files("files", late, None), expected(whole))
            .repeated_as(with_files("files", late, Some("b")))
            .unlike(with_files("other files", late, None)),
    ]
}
