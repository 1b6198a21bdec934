//! The made-up ESP's side of the wire.

use std::sync::Arc;

use anymail_core::{Address, AddressError, EmailBackend, JsonMap, Status};
use anymail_test_utils::conformance::{
    Answer, Credentials, File, Harness, HarnessError, Profile, Target, Trouble, Understood,
};
use anymail_test_utils::{FakeEspBackend, FakeEspConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

pub(crate) struct FakeEspHarness;

impl Harness for FakeEspHarness {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let config = FakeEspConfig::new(&*target.secret, &*target.url).timeout(target.timeout);
        Ok(Arc::new(FakeEspBackend::new(config)?))
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        if request.uri().path() != "/v1/messages" {
            return Err("there is nothing here".into());
        }
        let json: Value = serde_json::from_slice(request.body())?;
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let pairs = |name: &str| {
            let map = json[name].as_object().cloned().unwrap_or_default();
            map.into_iter().map(|(name, value)| {
                let value = value.as_str().unwrap_or_default().to_owned();
                (name, value)
            })
        };
        Ok(vec![Understood {
            from: Some(person(&json["sender"])?),
            to: people(&json["to"])?,
            cc: people(&json["cc"])?,
            bcc: people(&json["bcc"])?,
            reply_to: people(&json["answer_to"])?,
            envelope_sender: text("bounce_to"),
            subject: text("subject"),
            text: text("plain"),
            html: text("html"),
            headers: pairs("headers").collect(),
            attachments: items(&json["files"]).map(file).collect::<Result<_, _>>()?,
            metadata: pairs("labels").collect(),
            tags: items(&json["tags"])
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            track_opens: json["watch_opens"].as_bool(),
            send_at: json["not_before"].as_i64(),
            extra: json
                .as_object()
                .and_then(|map| {
                    Some(JsonMap::from_iter(
                        [map.get_key_value("pool")?]
                            .map(|(key, value)| (key.clone(), value.clone())),
                    ))
                })
                .unwrap_or_default(),
            ..Understood::default()
        }])
    }

    fn answer(&self, _: &Request<Bytes>, answers: &[Answer]) -> Option<Response<Bytes>> {
        let [answer] = answers else { return None };
        let mut rows = Vec::new();
        for recipient in &answer.recipients {
            let state = match recipient.status {
                Status::Queued => "accepted",
                Status::Rejected => "blocked",
                Status::Invalid => "malformed",
                _ => return None,
            };
            rows.push(json!({"email": recipient.address.ascii_email(), "state": state}));
        }
        Some(response(202, &json!({"id": answer.id, "recipients": rows})))
    }

    fn trouble(&self, trouble: &Trouble) -> Response<Bytes> {
        let json = json!({"error": {"code": "no", "says": trouble.words}});
        response(trouble.http_status, &json)
    }

    fn credentials(&self, secret: &str) -> Credentials {
        Credentials::bearer(secret)
    }

    fn profile(&self) -> Profile {
        Profile {
            accepts_as: Status::Queued,
            esp_extra: JsonMap::from_iter([("pool".to_owned(), json!("slow"))]),
            recipient_keys: JsonMap::from_iter(
                ["to", "cc", "bcc"]
                    .map(|key| (key.to_owned(), json!([{"email": "spy@x.example"}]))),
            ),
            subject_key: Some("subject".to_owned()),
            ..Profile::default()
        }
    }
}

fn response(status: u16, json: &Value) -> Response<Bytes> {
    let response = Response::builder().status(status);
    response.body(json.to_string().into()).unwrap_or_default()
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
        ..File::default()
    })
}
