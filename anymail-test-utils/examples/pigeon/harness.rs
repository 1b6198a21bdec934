//! Pigeon's side of the wire, for the conformance suite.

#![allow(
    clippy::indexing_slicing,
    reason = "indexing a JSON object returns null for a missing key"
)]

use std::sync::Arc;

use anymail_core::{
    Address, AddressError, EmailBackend, EventType, HmacSha256Keys, RejectReason, Secret, Status,
    WebhookAuth,
};
use anymail_test_utils::conformance::{
    Credentials, Expected, Failure, File, Harness, HarnessError, Post, Posts, Profile, Report,
    Signer, Signing, Target, Understood,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};

use crate::backend::Pigeon;
use crate::signature::PigeonSignature;
use crate::webhook::{PigeonInboundWebhook, PigeonWebhook};

/// Knows Pigeon's API.
pub struct PigeonHarness;

impl Harness for PigeonHarness {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let key = Secret::new(&*target.secret);
        Ok(Arc::new(Pigeon::new(&target.url, key, target.timeout)?))
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        if request.uri().path() != "/v1/mails" {
            return Err("unknown path".into());
        }
        let json: Value = serde_json::from_slice(request.body())?;
        let mails = json["mails"]
            .as_array()
            .ok_or("there is no list of mails")?;
        if mails.len() > 100 {
            return Err("Pigeon accepts at most 100 messages per call".into());
        }
        mails.iter().map(mail).collect()
    }

    fn response(&self, _: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        let mut results = Vec::new();
        for report in reports {
            let mut people = Vec::new();
            for recipient in &report.recipients {
                let state = match recipient.status {
                    Status::Sent => "sent",
                    Status::Queued => "waiting",
                    Status::Invalid => "no_such_address",
                    Status::Rejected => "blocked",
                    Status::Failed => "failed",
                    _ => return None, // Pigeon reports no other status
                };
                // Pigeon writes addresses in lower case.
                let email = recipient.address.key();
                let why = if state == "failed" {
                    &report.error_message
                } else {
                    ""
                };
                people.push(json!({"email": email.as_str(), "state": state, "why": why}));
            }
            results.push(json!({"id": report.id, "people": people}));
        }
        Some(response(200, &json!({"results": results})))
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        response(
            failure.http_status,
            &json!({"error": failure.error_message}),
        )
    }

    fn credentials(&self, secret: &str) -> Credentials {
        Credentials::bearer(secret)
    }

    fn profile(&self) -> Profile {
        let spy = json!([{"email": "spy@example.com"}]);
        let map = |json: Value| json.as_object().cloned().unwrap_or_default();
        Profile {
            recipients_per_call: Some(100),
            esp_extra: map(options()),
            subject_key: Some("subject".to_owned()),
            recipient_keys: map(json!({"to": spy, "cc": spy, "bcc": spy})),
            ..Profile::default()
        }
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        vec![
            Posts {
                webhook: Arc::new(PigeonWebhook::new(auth.clone())),
                posts: news(sent),
            },
            Posts {
                webhook: Arc::new(PigeonInboundWebhook::new(auth)),
                posts: mails(),
            },
        ]
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::new(PigeonSigner))
    }
}

/// Signs as Pigeon does.
pub struct PigeonSigner;

impl Signer for PigeonSigner {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let signature = PigeonSignature::new(keys.iter().copied())?;
        Ok(WebhookAuth::signature(signature))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let time = how.unix_seconds.to_string();
        let signed = [time.as_bytes(), b".", request.body()];
        let signature = HmacSha256Keys::new([how.key])?.sign_hex(&signed);
        let signature = HeaderValue::from_bytes(&how.spell(&signature))?;
        let headers = request.headers_mut();
        headers.insert("Pigeon-Time", how.unix_seconds.into());
        headers.insert("Pigeon-Signature", signature);
        Ok(())
    }
}

const AT: i64 = 1_790_000_000;

/// Returns what Pigeon posts about a message.
fn news(sent: &Report) -> Vec<Post> {
    let event = |id: u32, what: &str, why: &str, attempt: u32| {
        let email = sent.recipients.first().map(|it| it.address.ascii_email());
        json!({
            "id": id, "what": what, "why": why, "at": AT, "mail": sent.id, "email": email,
            "metadata": sent.message.metadata, "labels": sent.message.tags, "attempt": attempt
        })
    };
    let post = |events: Value| {
        let request = Request::post("/").header("content-type", "application/json");
        request.body(events.to_string().into()).unwrap_or_default()
    };
    let expected = |kind| Expected::of(sent, kind).at(AT);
    vec![
        Post::new(
            post(json!([event(1, "delivered", "", 1)])),
            [expected(EventType::Delivered)],
        )
        .repeated_as(post(json!([event(1, "delivered", "", 2)])))
        .unlike(post(json!([event(6, "delivered", "", 1)]))),
        Post::new(
            post(json!([
                event(2, "returned", "no such address", 1),
                event(3, "delayed", "mailbox full", 1),
                event(4, "news to come", "", 1)
            ])),
            [
                expected(EventType::Bounced).reason(RejectReason::Invalid),
                expected(EventType::Deferred),
                expected(EventType::Unknown),
            ],
        ),
        Post::new(
            post(json!([event(5, "returned", "blocked", 1)])),
            [expected(EventType::Bounced).reason(RejectReason::Blocked)],
        ),
    ]
}

/// Returns inbound messages.
fn mails() -> Vec<Post> {
    let form = |id: u32, text: &str, attempt: u32| {
        let files = r#"[{"name": "a.txt", "type": "text/plain", "data": "YSBmaWxl"}]"#;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("id", &id.to_string())
            .append_pair("attempt", &attempt.to_string())
            .append_pair("from", "Ann <ann@example.com>")
            .append_pair("to", "shop@example.com")
            .append_pair("recipient", "shop+4711@example.com")
            .append_pair("subject", "Your receipt ✓")
            .append_pair("text", text)
            .append_pair("files", files)
            .finish();
        let form_type = "application/x-www-form-urlencoded";
        let request = Request::post("/").header("content-type", form_type);
        request.body(form.into()).unwrap_or_default()
    };
    let expected = |text: &str| {
        Expected::inbound(Understood {
            from: Address::new("Ann", "ann@example.com").ok(),
            to: vec!["shop@example.com".parse()]
                .into_iter()
                .flatten()
                .collect(),
            subject: Some("Your receipt ✓".to_owned()),
            text: Some(text.to_owned()),
            attachments: vec![File {
                name: Some("a.txt".to_owned()),
                content_type: "text/plain".to_owned(),
                content: "a file".into(),
                ..File::default()
            }],
            ..Understood::default()
        })
        .to("shop+4711@example.com")
    };
    let (wrong, late) = ("It is wrong.", "It is wrong & late: 100%");
    vec![
        Post::new(form(1, wrong, 1), [expected(wrong)])
            .repeated_as(form(1, wrong, 2))
            .unlike(form(3, wrong, 1)),
        Post::new(form(2, late, 1), [expected(late)]),
    ]
}

fn response(status: u16, json: &Value) -> Response<Bytes> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json");
    response.body(json.to_string().into()).unwrap_or_default()
}

fn mail(json: &Value) -> Result<Understood, HarnessError> {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let map = |name: &str| json[name].as_object().cloned().unwrap_or_default();
    let pairs = |name: &str| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        map(name)
            .into_iter()
            .map(move |(name, value)| (name, text(&value)))
    };
    Ok(Understood {
        from: Some(person(&json["from"])?),
        to: people(&json["to"])?,
        cc: people(&json["cc"])?,
        bcc: people(&json["bcc"])?,
        reply_to: json
            .get("reply_to")
            .map(person)
            .transpose()?
            .into_iter()
            .collect(),
        subject: text("subject"),
        text: text("text"),
        html: text("html"),
        headers: pairs("headers").collect(),
        attachments: items(&json["files"]).map(file).collect::<Result<_, _>>()?,
        metadata: pairs("metadata").collect(),
        tags: items(&json["labels"])
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        track_opens: json["track_opens"].as_bool(),
        send_at: json["send_at"].as_i64(),
        template_id: text("template"),
        merge_data: map("values"),
        extra: json
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| options().get(name).is_some())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..Understood::default()
    })
}

/// Options that only Pigeon has.
fn options() -> Value {
    json!({
        "loft": "east", "ring": true, "weight": 7, "routes": ["sea", "land"],
        "escort": {"birds": 2}
    })
}

fn items(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn person(json: &Value) -> Result<Address, AddressError> {
    let text = |name: &str| json[name].as_str().unwrap_or_default();
    Address::new(text("name"), text("email"))
}

fn people(json: &Value) -> Result<Vec<Address>, AddressError> {
    items(json).map(person).collect()
}

fn file(json: &Value) -> Result<File, HarnessError> {
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    Ok(File {
        name: Some(text("name")),
        content_type: text("type"),
        content: STANDARD.decode(text("data"))?.into(),
        inline: !text("cid").is_empty(),
        content_id: Some(text("cid")).filter(|id| !id.is_empty()),
    })
}
