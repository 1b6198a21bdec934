//! The `webhooks` endpoints, which configure where events are posted, and which ones.
//!
//! `webhooks.rs` posts the events.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::api::Call;
use super::bounce_type::BounceType;
use super::bounces::Bounce;
use super::check::Checked;
use super::email::EmailRequest;
use super::fields::{Fields, set};
use super::message::{Mailbox, SentMessage};
use super::payloads;
use super::rules::{self, ApiError};
use super::sending::{Content, message};
use super::state::{Fake, State, now};
use super::streams::{InactiveReason, StreamKind};
use super::webhooks::{Target, is_url};

/// The event types that a webhook can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Open,
    Click,
    Delivery,
    Bounce,
    SpamComplaint,
    SubscriptionChange,
}

impl Trigger {
    const ALL: [Self; 6] = [
        Self::Open,
        Self::Click,
        Self::Delivery,
        Self::Bounce,
        Self::SpamComplaint,
        Self::SubscriptionChange,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Click => "Click",
            Self::Delivery => "Delivery",
            Self::Bounce => "Bounce",
            Self::SpamComplaint => "SpamComplaint",
            Self::SubscriptionChange => "SubscriptionChange",
        }
    }

    /// The option that some triggers have.
    fn option(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("PostFirstOpenOnly"),
            Self::Bounce | Self::SpamComplaint => Some("IncludeContent"),
            Self::Click | Self::Delivery | Self::SubscriptionChange => None,
        }
    }
}

/// Whether a trigger is enabled, and its option.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Setting {
    pub(super) enabled: bool,
    pub(super) option: bool,
}

/// A webhook of a stream.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    id: i64,
    pub(super) stream: String,
    pub(super) target: Target,
    settings: [Setting; 6],
    verified: bool,
}

impl Webhook {
    /// Creates a webhook that gets all events and needs no verification.
    pub(super) fn for_all(state: &mut State, stream: &str, url: &str) -> Self {
        Self {
            id: state.next_id(),
            stream: stream.to_owned(),
            target: Target::new(url),
            settings: [Setting {
                enabled: true,
                option: false,
            }; 6],
            verified: true,
        }
    }

    /// Returns the setting of a trigger if its events are posted.
    pub(super) fn wants(&self, trigger: Trigger) -> Option<Setting> {
        let setting = self.setting(trigger);
        (setting.enabled && self.verified).then_some(setting)
    }

    fn setting(&self, trigger: Trigger) -> Setting {
        let mut pairs = Trigger::ALL.iter().zip(self.settings);
        let found = pairs.find(|(other, _)| **other == trigger);
        found.map(|(_, setting)| setting).unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        let mut triggers = json!({});
        for trigger in Trigger::ALL {
            let setting = self.setting(trigger);
            let mut json = json!({"Enabled": setting.enabled});
            if let Some(option) = trigger.option() {
                set(&mut json, option, setting.option);
            }
            set(&mut triggers, trigger.as_str(), json);
        }
        let pair = |(name, value): &(String, String)| json!({"Name": name, "Value": value});
        let headers: Vec<_> = self.target.headers.iter().map(pair).collect();
        let mut json = json!({
            "ID": self.id,
            "Url": self.target.url,
            "MessageStream": self.stream,
            "HttpHeaders": headers,
            "Triggers": triggers,
            "Status": if self.verified { "verified" } else { "unverified" },
        });
        if let Some((username, password)) = &self.target.auth {
            set(
                &mut json,
                "HttpAuth",
                json!({"Username": username, "Password": password}),
            );
        }
        json
    }

    /// Applies the fields of a request.
    fn read(&mut self, fields: &Fields<'_>) -> Result<(), ApiError> {
        if let Some(url) = fields.text("Url")? {
            self.target.url = url;
        }
        if !is_url(&self.target.url) {
            return Err(rules::webhook_url());
        }
        if let Some(auth) = fields.object("HttpAuth")? {
            let part = |key| auth.text(key).map(Option::unwrap_or_default);
            self.target.auth = Some((part("Username")?, part("Password")?));
        }
        if fields.has("HttpHeaders") {
            let headers = fields.names_and_values("HttpHeaders")?;
            for (name, value) in &headers {
                let good_name = HeaderName::try_from(name.as_str()).is_ok();
                if !good_name || HeaderValue::try_from(value.as_str()).is_err() {
                    return Err(rules::webhook_header(name));
                }
            }
            self.target.headers = headers;
        }
        let Some(triggers) = fields.object("Triggers")? else {
            return Ok(());
        };
        for (trigger, setting) in Trigger::ALL.into_iter().zip(&mut self.settings) {
            let Some(given) = triggers.object(trigger.as_str())? else {
                continue;
            };
            setting.enabled = given.flag("Enabled")?.unwrap_or(setting.enabled);
            if let Some(option) = trigger.option() {
                setting.option = given.flag(option)?.unwrap_or(setting.option);
            }
        }
        Ok(())
    }
}

impl State {
    fn webhook(&self, id: &str) -> Result<&Webhook, ApiError> {
        let id: Option<i64> = id.parse().ok();
        let found = self.webhooks.iter().find(|webhook| Some(webhook.id) == id);
        found.ok_or_else(rules::webhook_not_found)
    }
}

/// `GET webhooks`
pub(super) fn list(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let stream = call.query("MessageStream");
    let state = fake.state();
    let fits = |webhook: &&Webhook| stream.is_none_or(|id| webhook.stream == id);
    let webhooks: Vec<_> = state
        .webhooks
        .iter()
        .filter(fits)
        .map(Webhook::to_json)
        .collect();
    Ok(json!({"Webhooks": webhooks}))
}

/// `GET webhooks/{id}`
pub(super) fn get(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    Ok(fake.state().webhook(call.part(1))?.to_json())
}

/// `POST webhooks`
pub(super) fn create(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    if fields.is_empty() {
        return Err(rules::webhook_body());
    }
    let stream = fields.text("MessageStream")?;
    let stream = stream.unwrap_or_else(|| "outbound".to_owned());
    let mut webhook = {
        let mut state = fake.state();
        let found = state.stream(&stream);
        match found.ok_or_else(|| rules::no_such_stream(&stream))?.kind {
            StreamKind::Inbound => return Err(rules::webhook_on_inbound()),
            StreamKind::Transactional | StreamKind::Broadcasts => {}
        }
        let on_stream = state.webhooks.iter().filter(|w| w.stream == stream);
        if on_stream.count() >= rules::MAX_WEBHOOKS {
            return Err(rules::too_many_webhooks());
        }
        Webhook {
            id: state.next_id(),
            stream,
            target: Target::new(""),
            settings: [Setting::default(); 6],
            verified: false,
        }
    };
    webhook.read(&fields)?;
    verify(fake, &fields, &mut webhook)?;
    let answer = webhook.to_json();
    fake.state().webhooks.push(webhook);
    Ok(answer)
}

/// `PUT webhooks/{id}` changes only the fields that are given.
pub(super) fn edit(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    let mut webhook = fake.state().webhook(call.part(1))?.clone();
    if fields.is_empty() {
        return Err(rules::webhook_body());
    }
    let stream = fields.text("MessageStream")?;
    if stream.is_some_and(|stream| stream != webhook.stream) {
        return Err(rules::webhook_stream_fixed());
    }
    webhook.read(&fields)?;
    verify(fake, &fields, &mut webhook)?;
    let answer = webhook.to_json();
    let mut state = fake.state();
    let same = |old: &&mut Webhook| old.id == webhook.id;
    if let Some(old) = state.webhooks.iter_mut().find(same) {
        *old = webhook;
    }
    Ok(answer)
}

/// `DELETE webhooks/{id}`
pub(super) fn delete(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let mut state = fake.state();
    let id = state.webhook(call.part(1))?.id;
    state.webhooks.retain(|webhook| webhook.id != id);
    Ok(json!({"ErrorCode": 0, "Message": format!("Webhook {id} removed.")}))
}

/// Posts a sample of each enabled event; each must be answered with HTTP 200. With `"Verify":
/// false`, the webhook is kept unverified and gets no events. DOC
fn verify(fake: &Fake, fields: &Fields<'_>, webhook: &mut Webhook) -> Result<(), ApiError> {
    webhook.verified = fields.flag("Verify")?.unwrap_or(true);
    if !webhook.verified {
        return Ok(());
    }
    let mut results = Vec::new();
    for trigger in Trigger::ALL {
        if !webhook.setting(trigger).enabled {
            continue;
        }
        let outcome = fake.probe(&webhook.target, &sample(trigger, &webhook.stream));
        let message = match &outcome {
            Ok(200) => "OK".to_owned(),
            Ok(status) => format!("Remote server returned an HTTP status code of {status}."),
            Err(words) => words.clone(),
        };
        results.push(json!({
            "TriggerType": trigger.as_str(),
            "Success": outcome == Ok(200),
            "StatusCode": outcome.unwrap_or(0),
            "Message": message,
        }));
    }
    let good = results
        .iter()
        .filter(|row| row.get("Success") == Some(&json!(true)));
    let good = good.count();
    if good == results.len() {
        return Ok(());
    }
    Err(rules::webhook_not_verified(json!({
        "Id": webhook.id,
        "Url": webhook.target.url,
        "Success": false,
        "Message": format!("{good}/{} triggers verified successfully", results.len()),
        "Results": results,
    })))
}

/// A sample event, with a message ID that no message has.
fn sample(trigger: Trigger, stream: &str) -> Value {
    let mailbox = |email: &str| Mailbox {
        name: String::new(),
        email: email.to_owned(),
    };
    let recipient = "john@example.com";
    let request = EmailRequest {
        tag: Some("Test".to_owned()),
        metadata: vec![("example".to_owned(), "value".to_owned())],
        ..EmailRequest::default()
    };
    let checked = Checked {
        from: mailbox("sender@example.com"),
        to: vec![mailbox(recipient)],
        ..Checked::default()
    };
    let content = Content {
        subject: "Test subject".to_owned(),
        ..Content::default()
    };
    let stream = stream.to_owned();
    let mut message = message("email", request, checked, content, stream, Vec::new());
    message.id = "00000000-0000-0000-0000-000000000000".to_owned();
    let bounce = |message: SentMessage, kind| Bounce {
        id: 42,
        kind,
        message: Arc::new(message),
        email: recipient.to_owned(),
        details: "Test bounce details".to_owned(),
        at: now(),
        inactive: true,
    };
    match trigger {
        Trigger::Open => payloads::open(&message, recipient, true),
        Trigger::Click => payloads::click(&message, recipient, "https://example.com"),
        Trigger::Delivery => payloads::delivery(&message, recipient),
        Trigger::Bounce => bounce(message, BounceType::HardBounce).to_json(),
        Trigger::SpamComplaint => bounce(message, BounceType::SpamComplaint).to_json(),
        Trigger::SubscriptionChange => {
            payloads::suppressed_by(&message, recipient, InactiveReason::HardBounce)
        }
    }
}
