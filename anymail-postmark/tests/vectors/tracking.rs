//! `tracking.json`: Postmark's payload and the corresponding event.
//!
//! `README.md` explains the keys of a case.

use std::path::Path;

use anymail_core::{Event, TrackingEvent, Webhook, WebhookAuth, WebhookError, WebhookErrorKind};
use anymail_postmark::PostmarkTrackingWebhook;
use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One trial per case.
pub(crate) fn trials(dir: &Path) -> Vec<Trial> {
    let webhook = || PostmarkTrackingWebhook::new(WebhookAuth::none());
    trials_of(&super::TRACKING, dir, move |payload| {
        parse(&webhook(), payload).map(|event| match event {
            Event::Tracking(event) => facts(&event),
            other => json!(format!("{other:?}")),
        })
    })
}

/// Returns the cases of a file as trials: `facts` reads a payload, and its result must match the
/// expected one.
pub(crate) fn trials_of(
    file: &'static super::File,
    dir: &Path,
    facts: impl Fn(&Value) -> Result<Value, WebhookError> + Clone + Send + 'static,
) -> Vec<Trial> {
    let trial = |case: Value| {
        let facts = facts.clone();
        let name = case["name"].as_str().expect("a case has a name").to_owned();
        file.trial(&name, move || {
            judge(&case["expect"], facts(&case["payload"]))
        })
    };
    file.cases(dir).into_iter().map(trial).collect()
}

fn judge(expect: &Value, found: Result<Value, WebhookError>) -> Result<(), Failed> {
    let found = match (&expect["error"], found) {
        (Value::String(kind), Err(error)) => {
            let found = match error.kind() {
                WebhookErrorKind::WrongWebhook => "wrong_webhook".to_owned(),
                other => format!("{other:?}"),
            };
            return if found == *kind {
                Ok(())
            } else {
                Err(format!("expected {kind}, found {found}").into())
            };
        }
        (Value::Null, Ok(found)) => found,
        (_, found) => return Err(format!("expected {expect}, found {found:?}").into()),
    };
    let expected = expect["event"]
        .as_object()
        .expect("a case expects an event or an error");
    let differs = |(key, value): &(&String, &Value)| found[key.as_str()] != normalized(key, value);
    let wrong: Vec<_> = expected.iter().filter(differs).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let line = |(key, value): &(&String, &Value)| {
        format!("{key}: expected {value}, found {}", found[key.as_str()])
    };
    Err(wrong.iter().map(line).collect::<Vec<_>>().join("\n").into())
}

/// Normalizes an expected value for the comparison.
fn normalized(key: &str, value: &Value) -> Value {
    match (key, value.as_str()) {
        ("timestamp" | "date", Some(text)) => instant(Some(
            OffsetDateTime::parse(text, &Rfc3339).expect("RFC 3339"),
        )),
        ("text" | "html", Some(text)) => json!(text.replace("\r\n", "\n")),
        ("attachments" | "inlines", None) => {
            let mut parts = value.clone();
            for part in parts.as_array_mut().expect("parts are an array") {
                if part["content_type"] == "message/rfc822" {
                    *part = json!({"content_type": "message/rfc822"});
                }
            }
            parts
        }
        _ => value.clone(),
    }
}

/// An instant, with microseconds.
pub(crate) fn instant(time: Option<OffsetDateTime>) -> Value {
    json!(time.map(|time| time.unix_timestamp_nanos().div_euclid(1_000).to_string()))
}

/// Returns the only event of a payload.
pub(crate) fn parse(webhook: &dyn Webhook, payload: &Value) -> Result<Event, WebhookError> {
    let request = http::Request::post("/")
        .header("Content-Type", "application/json")
        .body(Bytes::from(payload.to_string()))
        .expect("a request");
    let mut events = webhook.parse(&request)?;
    assert_eq!(events.len(), 1);
    let event = events.remove(0);
    let text = serde_json::to_string(&event).expect("an event goes into JSON");
    let back: Event = serde_json::from_str(&text).expect("an event comes back out of JSON");
    assert_eq!(back, event);
    Ok(event)
}

fn facts(event: &TrackingEvent) -> Value {
    json!({
        "event_type": event.event_type,
        "timestamp": instant(event.timestamp),
        "event_id": event.event_id,
        "message_id": event.message_id,
        "recipient": event.recipient,
        "tags": event.tags,
        "metadata": event.metadata,
        "reject_reason": event.reject_reason,
        "description": event.description,
        "mta_response": event.mta_response,
        "user_agent": event.user_agent,
        "click_url": event.click_url,
    })
}
