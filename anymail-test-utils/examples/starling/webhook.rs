//! The webhooks: Starling posts an array of events as JSON, and each inbound message as a form.

use anymail_core::{
    Event, EventType, Form, InboundAddress, InboundAttachment, InboundEvent, InboundMessage,
    RawBytes, RejectReason, TrackingEvent, Webhook, WebhookAuth, WebhookError, WebhookErrorKind,
    WebhookKind, dedup_key,
};
use bytes::Bytes;
use http::Request;
use serde_json::Value;
use time::OffsetDateTime;

use super::backend::NAME;

/// The fields of an event that belong to Starling. All others are the message's metadata.
pub const OWN_FIELDS: [&str; 19] = [
    "asm_group_id",
    "attempt",
    "category",
    "email",
    "event",
    "ip",
    "marketing_campaign_id",
    "reason",
    "response",
    "send_at",
    "sg_event_id",
    "sg_message_id",
    "smtp-id",
    "status",
    "timestamp",
    "tls",
    "type",
    "url",
    "useragent",
];

/// Receives events about sent messages.
#[derive(Debug)]
pub struct StarlingWebhook {
    auth: WebhookAuth,
}

impl StarlingWebhook {
    /// Creates a webhook with this authentication.
    pub fn new(auth: WebhookAuth) -> Self {
        Self { auth }
    }
}

impl Webhook for StarlingWebhook {
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
    let says = |name: &str| json.get(name).and_then(Value::as_str);
    let (event_type, reject_reason) = match says("event") {
        Some("processed") => (EventType::Queued, None),
        Some("dropped") => (EventType::Rejected, Some(dropped(says("reason")))),
        Some("delivered") => (EventType::Delivered, None),
        Some("deferred") => (EventType::Deferred, None),
        Some("bounce") => (EventType::Bounced, Some(bounced(says("type")))),
        Some("open") => (EventType::Opened, None),
        Some("click") => (EventType::Clicked, None),
        Some("spamreport") => (EventType::Complained, None),
        Some("unsubscribe" | "group_unsubscribe") => (EventType::Unsubscribed, None),
        Some("group_resubscribe") => (EventType::Subscribed, None),
        _ => (EventType::Unknown, None),
    };
    let raw = json.to_string();
    let id = text("sg_event_id");
    let key = dedup_key(&[id.as_deref().unwrap_or(&raw)]);
    let mut event = TrackingEvent::new(NAME, event_type, key, RawBytes::new(raw));
    event.event_id = id;
    let seconds = json.get("timestamp").and_then(Value::as_i64);
    event.timestamp = seconds.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    // The part after the first dot identifies one recipient's message, and is not in any response.
    let message_id = says("sg_message_id").and_then(|id| id.split('.').next());
    event.message_id = message_id.map(str::to_owned);
    event.recipient = text("email");
    event.reject_reason = reject_reason;
    event.description = text("reason");
    event.mta_response = text("response");
    event.click_url = text("url");
    event.user_agent = text("useragent");
    event.tags = match json.get("category") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => {
            let texts = several.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in json.as_object().into_iter().flatten() {
        if let (false, Some(value)) = (OWN_FIELDS.contains(&key.as_str()), value.as_str()) {
            event.metadata.insert(key.clone(), value.to_owned());
        }
    }
    Event::Tracking(event)
}

fn bounced(kind: Option<&str>) -> RejectReason {
    match kind {
        Some("blocked") => RejectReason::Blocked,
        _ => RejectReason::Bounced,
    }
}

/// Returns why Starling did not try.
fn dropped(reason: Option<&str>) -> RejectReason {
    match reason {
        Some("Invalid") => RejectReason::Invalid,
        Some("Bounced Address") => RejectReason::Bounced,
        Some("Spam Reporting Address") => RejectReason::Spam,
        Some("Unsubscribed Address") => RejectReason::Unsubscribed,
        _ => RejectReason::Other,
    }
}

/// Receives inbound messages.
#[derive(Debug)]
pub struct StarlingInboundWebhook {
    auth: WebhookAuth,
}

impl StarlingInboundWebhook {
    /// Creates a webhook with this authentication.
    pub fn new(auth: WebhookAuth) -> Self {
        Self { auth }
    }
}

impl Webhook for StarlingInboundWebhook {
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
        let fail = |kind, words: &str| WebhookError::new(self, kind, words);
        let form = Form::read(request).map_err(|error| error.at(self))?;
        let message = mail(&form);
        if message == InboundMessage::default() {
            let words = "the form has no field of a mail";
            return Err(fail(WebhookErrorKind::WrongShape, words));
        }
        let raw = RawBytes::from(request.body().clone());
        // Starling has no ID for an inbound message. A message to two addresses arrives twice.
        let recipient = message.envelope_recipient.as_deref().unwrap_or_default();
        let key = match message.message_id() {
            Some(id) => dedup_key(&["inbound", id, recipient]),
            None => dedup_key(&[raw.as_bytes()]),
        };
        let event = InboundEvent::new(NAME, message, key, raw);
        Ok(vec![Event::Inbound(event)])
    }
}

fn mail(form: &Form) -> InboundMessage {
    let mut message = InboundMessage::default();
    let text = |name: &str| form.text(name).map(|text| text.into_owned());
    let json = |name: &str| {
        let json = form
            .field(name)
            .map(|field| serde_json::from_slice::<Value>(&field.content));
        json.and_then(Result::ok).unwrap_or_default()
    };
    for (name, value) in headers(&text("headers").unwrap_or_default()) {
        message.add_header(name, &value);
    }
    let envelope = json("envelope");
    let of_envelope = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    message.envelope_sender = of_envelope(envelope.get("from"));
    message.envelope_recipient = of_envelope(envelope.get("to").and_then(|to| to.get(0)));
    for (name, list) in [("from", &mut message.from), ("to", &mut message.to)] {
        if let (true, Some(people)) = (list.is_empty(), text(name)) {
            *list = InboundAddress::parse_list(&people);
        }
    }
    if message.subject.is_none() {
        message.subject = text("subject");
    }
    if let Some(text) = text("text") {
        message.set_text(text);
    }
    if let Some(html) = text("html") {
        message.set_html(html);
    }
    let about = json("attachment-info");
    for file in form.files() {
        let told = |name: &str| about.get(&file.name)?.get(name)?.as_str();
        let kind = told("type").or(file.content_type.as_deref());
        let name = told("filename").or(file.filename.as_deref());
        let part = InboundAttachment::new(file.content.clone(), kind.unwrap_or_default())
            .with_filename(name.unwrap_or_default());
        message.attach(match told("content-id") {
            Some(id) => part.with_content_id(id).with_inline(true),
            None => part,
        });
    }
    message
}

/// Reads a block of headers as the sender wrote them. A line that starts with a space continues the
/// previous one.
fn headers(block: &str) -> Vec<(&str, String)> {
    let mut headers: Vec<(&str, String)> = Vec::new();
    for line in block.lines() {
        match (line.starts_with([' ', '\t']), line.split_once(':')) {
            (true, _) => {
                if let Some((_, value)) = headers.last_mut() {
                    value.push_str(line);
                }
            }
            (false, Some((name, value))) => headers.push((name.trim(), value.trim().to_owned())),
            (false, None) => {}
        }
    }
    headers
}
