//! Starling's side of the wire, for the conformance suite.
//!
//! `posts.rs` contains what it posts to webhooks.

#![allow(
    clippy::indexing_slicing,
    reason = "indexing a JSON object returns null for a missing key"
)]

use std::sync::Arc;

use anymail_core::{Address, AddressError, EmailBackend, JsonMap, Secret, Status, WebhookAuth};
use anymail_test_utils::conformance::{
    Credentials, Failure, File, Harness, HarnessError, MessageIds, Posts, Profile, Report, Signer,
    Target, Understood,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::backend::Starling;
use super::posts::{self, StarlingSigner};

/// Knows Starling's API.
pub struct StarlingHarness;

impl Harness for StarlingHarness {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let key = Secret::new(&*target.secret);
        Ok(Arc::new(Starling::new(&target.url, key, target.timeout)?))
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        if request.uri().path() != "/v3/mail/send" {
            return Err("unknown path".into());
        }
        let json: Value = serde_json::from_slice(request.body())?;
        let mails = json["personalizations"].as_array();
        let mails = mails.ok_or("there are no personalizations")?;
        let count = |mail: &Value, list: &str| mail[list].as_array().map_or(0, Vec::len);
        let all = mails.iter();
        let all = all.flat_map(|mail| ["to", "cc", "bcc"].map(|list| count(mail, list)));
        if all.sum::<usize>() > 1000 || mails.is_empty() {
            return Err("Starling accepts 1 to 1,000 recipients per call, including copies".into());
        }
        mails.iter().map(|mail| understood(&json, mail)).collect()
    }

    fn response(&self, _: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        let all = |status| reports.iter().all(|report| report.status() == Some(status));
        let first = reports.first()?;
        match () {
            () if all(Status::Queued) => {
                let response = Response::builder().status(202);
                let response = response.header("x-message-id", &first.id);
                response.body(Bytes::new()).ok()
            }
            () if all(Status::Failed) => Some(refusal(400, &first.error_message)),
            // Only webhooks report the status of each recipient.
            () => None,
        }
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        let status = match failure.http_status {
            422 => 400,
            other => other,
        };
        refusal(status, &failure.error_message)
    }

    fn credentials(&self, secret: &str) -> Credentials {
        Credentials::bearer(secret)
    }

    fn profile(&self) -> Profile {
        let map = |json: Value| json.as_object().cloned().unwrap_or_default();
        let spy = json!([{"email": "spy@example.com"}]);
        Profile {
            accepts_as: Status::Queued,
            message_ids: MessageIds::PerCall,
            message_id: |n| format!("Starling-{n:013}_{:x}", n * 7919),
            responses_have_a_body: false,
            recipients_per_call: Some(1000),
            template_id: "d-0123456789abcdef".to_owned(),
            esp_extra: map(options()),
            recipient_keys: map(json!({"personalizations": [{"to": spy, "bcc": spy}]})),
            subject_key: Some("subject".to_owned()),
            ..Profile::default()
        }
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        posts::all(auth, sent)
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::new(StarlingSigner))
    }
}

/// Options that only Starling has.
fn options() -> Value {
    json!({
        "ip_pool_name": "slow",
        "asm": {"group_id": 7, "groups_to_display": [7, 8]},
        "mail_settings": {"sandbox_mode": {"enable": true}},
        "batch_number": 4711, "urgent": false, "lanes": ["left", "right"]
    })
}

fn refusal(status: u16, words: &str) -> Response<Bytes> {
    let error = json!({"message": words, "field": null, "help": null});
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json");
    let body = json!({"errors": [error]}).to_string();
    response.body(body.into()).unwrap_or_default()
}

/// Reads one message; fields that it does not set come from the whole request.
fn understood(all: &Value, mail: &Value) -> Result<Understood, HarnessError> {
    let text = |json: &Value| json.as_str().map(str::to_owned);
    let bodies = |wanted: &[&str], is: bool| {
        let bodies = items(&all["content"]).filter_map(|body| {
            let (kind, value) = (body["type"].as_str()?, body["value"].as_str()?);
            Some((kind.to_owned(), value.to_owned()))
        });
        let chosen = bodies.filter(|(kind, _)| wanted.contains(&kind.as_str()) == is);
        chosen.collect::<Vec<_>>()
    };
    let body = |kind: &str| bodies(&[kind], true).pop().map(|(_, value)| value);
    let pairs = |name: &str| {
        let own = mail[name].as_object().into_iter().flatten();
        let for_all = all[name].as_object().into_iter().flatten();
        let for_all = for_all.filter(|(key, _)| mail[name].get(key.as_str()).is_none());
        let pairs = own.chain(for_all);
        let pairs: Vec<_> = pairs
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        pairs
    };
    let settings = &all["tracking_settings"];
    let tags = items(&all["categories"]).filter_map(Value::as_str);
    let is_option = |name: &str| options().get(name).is_some();
    let extra = all.as_object().into_iter().flatten();
    Ok(Understood {
        from: Some(person(&all["from"])?),
        to: people(&mail["to"])?,
        cc: people(&mail["cc"])?,
        bcc: people(&mail["bcc"])?,
        reply_to: people(&all["reply_to_list"])?,
        subject: text(&mail["subject"]).or(text(&all["subject"])),
        text: body("text/plain"),
        html: body("text/html"),
        alternatives: bodies(&["text/plain", "text/html"], false),
        headers: pairs("headers"),
        attachments: items(&all["attachments"])
            .map(file)
            .collect::<Result<_, _>>()?,
        metadata: pairs("custom_args").into_iter().collect(),
        tags: tags.map(str::to_owned).collect(),
        track_opens: settings["open_tracking"]["enable"].as_bool(),
        track_clicks: settings["click_tracking"]["enable"].as_bool(),
        send_at: all["send_at"].as_i64(),
        template_id: text(&all["template_id"]),
        merge_data: mail["dynamic_template_data"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
        extra: extra
            .filter(|(name, _)| is_option(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<JsonMap>(),
        ..Understood::default()
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
        name: Some(text("filename")),
        content_type: text("type"),
        content: STANDARD.decode(text("content"))?.into(),
        inline: text("disposition") == "inline",
        content_id: json["content_id"].as_str().map(str::to_owned),
    })
}
