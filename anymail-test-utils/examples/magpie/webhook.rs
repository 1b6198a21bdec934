//! The webhooks: Magpie posts one event as JSON, and each inbound message as a form.

use std::collections::BTreeMap;

use anymail_core::{
    Event, EventType, Form, InboundAddress, InboundEvent, InboundMessage, RawBytes, RejectReason,
    TrackingEvent, Webhook, WebhookAuth, WebhookError, WebhookErrorKind, WebhookKind, dedup_key,
};
use bytes::Bytes;
use http::Request;
use serde_json::Value;
use time::OffsetDateTime;

use super::backend::NAME;

/// Receives events about sent messages.
#[derive(Debug)]
pub struct MagpieWebhook {
    auth: WebhookAuth,
}

impl MagpieWebhook {
    /// Creates a webhook with this authentication.
    pub fn new(auth: WebhookAuth) -> Self {
        Self { auth }
    }
}

impl Webhook for MagpieWebhook {
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
        let data = json.get("event-data").filter(|data| data.is_object());
        let data = data.ok_or_else(|| {
            let words = "the body has no object `event-data`";
            fail(WebhookErrorKind::WrongShape, words)
        })?;
        Ok(vec![event(data, request.body())])
    }
}

/// A missing or unknown value is not an error: it becomes `None` or `Unknown`.
fn event(data: &Value, body: &Bytes) -> Event {
    let at = |path: &[&str]| path.iter().try_fold(data, |json, name| json.get(name));
    let text = |path: &[&str]| at(path).and_then(Value::as_str).map(str::to_owned);
    let permanent = text(&["severity"]).as_deref() != Some("temporary");
    let (event_type, reject_reason) = match text(&["event"]).as_deref() {
        Some("accepted") => (EventType::Queued, None),
        Some("rejected") => (EventType::Rejected, Some(RejectReason::Other)),
        Some("delivered") => (EventType::Delivered, None),
        // Magpie tries again.
        Some("failed") if !permanent => (EventType::Deferred, None),
        Some("failed") => (EventType::Bounced, Some(reason(data))),
        Some("opened") => (EventType::Opened, None),
        Some("clicked") => (EventType::Clicked, None),
        Some("unsubscribed") => (EventType::Unsubscribed, None),
        Some("complained") => (EventType::Complained, None),
        _ => (EventType::Unknown, None),
    };
    let id = text(&["id"]);
    // The key does not use the whole body, because its signature differs between attempts.
    let key = match &id {
        Some(id) => dedup_key(&[id]),
        None => dedup_key(&[&data.to_string()]),
    };
    let payload = RawBytes::from(body.clone());
    let mut event = TrackingEvent::new(NAME, event_type, key, payload);
    event.event_id = id;
    let seconds = at(&["timestamp"]).and_then(Value::as_f64);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the result saturates, and no real time is that large"
    )]
    let nanoseconds = seconds.map(|seconds| (seconds * 1e9) as i128);
    event.timestamp = nanoseconds.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at).ok());
    // The response to a call writes the ID in angle brackets, and so does the status.
    let message_id = text(&["message", "headers", "message-id"]);
    event.message_id = message_id.map(|id| format!("<{}>", id.trim_matches(['<', '>'])));
    event.recipient = text(&["recipient"]);
    event.reject_reason = reject_reason;
    event.mta_response = text(&["delivery-status", "message"]);
    event.click_url = text(&["url"]);
    event.user_agent = text(&["client-info", "user-agent"]);
    let metadata = at(&["user-variables"]).and_then(Value::as_object);
    for (key, value) in metadata.into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        event.metadata.insert(key.clone(), value);
    }
    let tags = at(&["tags"]).and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(Value::as_str);
    event.tags = tags.map(str::to_owned).collect();
    Event::Tracking(event)
}

/// Returns why the receiving server refused the message, or why Magpie did not try.
fn reason(data: &Value) -> RejectReason {
    match data.get("reason").and_then(Value::as_str) {
        Some("suppress-complaint") => RejectReason::Spam,
        Some("suppress-unsubscribe") => RejectReason::Unsubscribed,
        Some("old") => RejectReason::TimedOut,
        _ => RejectReason::Bounced,
    }
}

/// Receives inbound messages.
#[derive(Debug)]
pub struct MagpieInboundWebhook {
    auth: WebhookAuth,
}

impl MagpieInboundWebhook {
    /// Creates a webhook with this authentication.
    pub fn new(auth: WebhookAuth) -> Self {
        Self { auth }
    }
}

impl Webhook for MagpieInboundWebhook {
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
        let key = inbound_key(&form, &message);
        let raw = RawBytes::from(request.body().clone());
        let event = InboundEvent::new(NAME, message, key, raw);
        Ok(vec![Event::Inbound(event)])
    }
}

/// Magpie has no ID for an inbound message. A message to two addresses arrives twice.
fn inbound_key(form: &Form, message: &InboundMessage) -> String {
    let recipient = message.envelope_recipient.as_deref().unwrap_or_default();
    if let Some(id) = message.message_id() {
        return dedup_key(&["inbound", id, recipient]);
    }
    let of_this_try = ["timestamp", "token", "signature"];
    let own = form
        .fields()
        .iter()
        .filter(|field| !of_this_try.contains(&&*field.name));
    let parts: Vec<&[u8]> = own
        .flat_map(|field| [field.name.as_bytes(), &field.content])
        .collect();
    dedup_key(&parts)
}

fn mail(form: &Form) -> InboundMessage {
    let mut message = InboundMessage::default();
    let json = |name: &str| {
        let field = form.field(name)?;
        serde_json::from_slice::<Value>(&field.content).ok()
    };
    // Pairs of name and value, which contain from, to and cc as the sender wrote them.
    let headers = json("message-headers");
    for pair in headers
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |place: usize| pair.get(place).and_then(Value::as_str);
        if let (Some(name), Some(value)) = (text(0), text(1)) {
            message.add_header(name, value);
        }
    }
    let text = |name: &str| form.text(name).map(|text| text.into_owned());
    message.envelope_sender = text("sender");
    message.envelope_recipient = text("recipient");
    if message.from.is_empty()
        && let Some(from) = text("from")
    {
        message.from = InboundAddress::parse_list(&from);
    }
    if message.subject.is_none() {
        message.subject = text("subject");
    }
    if let Some(text) = text("body-plain") {
        message.set_text(text);
    }
    if let Some(html) = text("body-html") {
        message.set_html(html);
    }
    // Which file the HTML refers to by which content ID.
    let ids = json("content-id-map");
    let shown: BTreeMap<&str, &str> = ids
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(id, name)| Some((name.as_str()?, id.as_str())))
        .collect();
    for file in form
        .files()
        .filter(|file| file.name.starts_with("attachment-"))
    {
        let part = file.to_attachment();
        message.attach(match shown.get(&*file.name) {
            Some(id) => part.with_content_id(id).with_inline(true),
            None => part,
        });
    }
    message
}
