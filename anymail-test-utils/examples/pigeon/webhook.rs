//! The webhooks: Pigeon posts a list of events as JSON, and each inbound message as a form.

use anymail_core::{
    Event, EventType, Form, InboundAddress, InboundAttachment, InboundEvent, InboundMessage,
    RawBytes, RejectReason, TrackingEvent, Webhook, WebhookAuth, WebhookError, WebhookErrorKind,
    WebhookKind, dedup_key,
};
use bytes::Bytes;
use http::Request;
use serde_json::Value;
use time::OffsetDateTime;

use crate::backend::NAME;

/// Receives events about sent messages.
#[derive(Debug)]
pub struct PigeonWebhook {
    auth: WebhookAuth,
}

impl PigeonWebhook {
    /// Creates a webhook with this authentication.
    pub fn new(auth: WebhookAuth) -> Self {
        Self { auth }
    }
}

impl Webhook for PigeonWebhook {
    fn esp(&self) -> &str {
        NAME
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Tracking
    }

    fn auth(&self) -> &WebhookAuth {
        &self.auth
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let fail = |kind, words: &str| WebhookError::new(self, kind, words);
        let json: Value = serde_json::from_slice(request.body())
            .map_err(|_| fail(WebhookErrorKind::MalformedBody, "the body is not JSON"))?;
        let events = json
            .as_array()
            .ok_or_else(|| fail(WebhookErrorKind::WrongShape, "the body is not a list"))?;
        Ok(events.iter().map(event).collect())
    }
}

/// A missing or unknown value is not an error: it becomes `None` or `Unknown`.
fn event(json: &Value) -> Event {
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| json.get(name).and_then(Value::as_i64);
    let id = number("id").map(|id| id.to_string());
    let (event_type, reject_reason) = match text("what").as_deref() {
        Some("delivered") => (EventType::Delivered, None),
        Some("delayed") => (EventType::Deferred, None),
        Some("returned") => (EventType::Bounced, Some(reason(text("why").as_deref()))),
        Some("opened") => (EventType::Opened, None),
        _ => (EventType::Unknown, None),
    };
    let raw = json.to_string();
    // Pigeon numbers its events. If the number is missing, the whole event replaces it.
    let key = dedup_key(&[id.as_deref().unwrap_or(&raw)]);
    let mut event = TrackingEvent::new(NAME, event_type, key, RawBytes::new(raw));
    event.event_id = id;
    event.timestamp = number("at").and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    event.message_id = text("mail");
    event.recipient = text("email");
    event.reject_reason = reject_reason;
    let metadata = json.get("metadata").and_then(Value::as_object);
    for (key, value) in metadata.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        event.metadata.insert(key.clone(), value.to_owned());
    }
    let labels = json.get("labels").and_then(Value::as_array);
    let labels = labels.into_iter().flatten().filter_map(Value::as_str);
    event.tags = labels.map(str::to_owned).collect();
    Event::Tracking(event)
}

fn reason(why: Option<&str>) -> RejectReason {
    match why {
        Some("no such address") => RejectReason::Invalid,
        Some("blocked") => RejectReason::Blocked,
        _ => RejectReason::Bounced,
    }
}

/// Receives inbound messages.
#[derive(Debug)]
pub struct PigeonInboundWebhook {
    auth: WebhookAuth,
}

impl PigeonInboundWebhook {
    /// Creates a webhook with this authentication.
    pub fn new(auth: WebhookAuth) -> Self {
        Self { auth }
    }
}

impl Webhook for PigeonInboundWebhook {
    fn esp(&self) -> &str {
        NAME
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Inbound
    }

    fn auth(&self) -> &WebhookAuth {
        &self.auth
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let mut message = InboundMessage::default();
        let mut id = None;
        let form = Form::read(request).map_err(|error| error.at(self))?;
        for field in form.fields() {
            let value = field.text();
            match &*field.name {
                "id" => id = Some(value.into_owned()),
                "from" => message.from = InboundAddress::parse_list(&value),
                "to" => message.to = InboundAddress::parse_list(&value),
                "recipient" => message.envelope_recipient = Some(value.into_owned()),
                "subject" => message.subject = Some(value.into_owned()),
                "text" => message.set_text(value),
                "files" => attach(&mut message, &value),
                _ => {} // fields that Pigeon may add
            }
        }
        if message == InboundMessage::default() {
            let words = "the form has no field of a mail";
            return Err(WebhookError::new(self, WebhookErrorKind::WrongShape, words));
        }
        let raw = RawBytes::from(request.body().clone());
        let key = match &id {
            Some(id) => dedup_key(&["inbound", id]),
            None => dedup_key(&[raw.as_bytes()]),
        };
        let mut event = InboundEvent::new(NAME, message, key, raw);
        event.event_id = id;
        Ok(vec![Event::Inbound(event)])
    }
}

/// Reads the attachments of a message: a JSON list, each with its content in base64.
fn attach(message: &mut InboundMessage, files: &str) {
    let files: Vec<Value> = serde_json::from_str(files).unwrap_or_default();
    for file in &files {
        let text = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
        let part = InboundAttachment::from_base64(text("data").to_owned(), text("type"));
        message.attach(part.with_filename(text("name")));
    }
}
