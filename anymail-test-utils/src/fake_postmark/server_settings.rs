//! The `server` endpoint: settings of the server as a whole.

use serde_json::{Map, Value, json};

use super::api::Call;
use super::fields::{Fields, set};
use super::rules::{self, ApiError};
use super::state::{Fake, SERVER_ID, Token};

/// The settings as the API shows them. They are stored as JSON, because most have no effect.
#[derive(Clone)]
pub(super) struct ServerSettings(Value);

/// The address that receives mail for the server.
const INBOUND_HASH: &str = "5b1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
pub(super) const INBOUND_ADDRESS: &str = "5b1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f@inbound.postmarkapp.com";

const HOOKS: [&str; 5] = [
    "InboundHookUrl",
    "BounceHookUrl",
    "OpenHookUrl",
    "DeliveryHookUrl",
    "ClickHookUrl",
];
const FLAGS: [&str; 6] = [
    "SmtpApiActivated",
    "RawEmailEnabled",
    "PostFirstOpenOnly",
    "TrackOpens",
    "IncludeBounceContentInHook",
    "EnableSmtpApiErrorHooks",
];

impl ServerSettings {
    pub(super) fn new(tokens: &[Token]) -> Self {
        let tokens: Vec<_> = tokens.iter().map(|token| token.0.as_str()).collect();
        Self(json!({
            "ID": SERVER_ID,
            "Name": "Fake server",
            "ApiTokens": tokens,
            "Color": "Blue",
            "SmtpApiActivated": true,
            "RawEmailEnabled": false,
            "DeliveryType": "Live",
            "ServerLink": "https://postmarkapp.com/servers/1/streams",
            "InboundAddress": INBOUND_ADDRESS,
            "InboundHookUrl": "",
            "BounceHookUrl": "",
            "OpenHookUrl": "",
            "DeliveryHookUrl": "",
            "ClickHookUrl": "",
            "PostFirstOpenOnly": false,
            "InboundDomain": "",
            "InboundHash": INBOUND_HASH,
            "InboundSpamThreshold": 0,
            "TrackOpens": false,
            "TrackLinks": "None",
            "IncludeBounceContentInHook": false,
            "EnableSmtpApiErrorHooks": false,
        }))
    }

    /// Returns a boolean setting.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Returns a text setting, which is empty if unset.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn set_text(&mut self, key: &str, text: &str) {
        set(&mut self.0, key, text);
    }

    pub(super) fn set_flag(&mut self, key: &str, flag: bool) {
        set(&mut self.0, key, flag);
    }
}

/// `GET server`
pub(super) fn get(fake: &Fake, _: &Call) -> Result<Value, ApiError> {
    Ok(fake.state().server.0.clone())
}

/// `PUT server` changes only the fields that are given.
pub(super) fn edit(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    let changes = read_changes(&fields)?;
    let mut state = fake.state();
    if let Some(settings) = state.server.0.as_object_mut() {
        settings.extend(changes);
    }
    Ok(state.server.0.clone())
}

fn read_changes(fields: &Fields<'_>) -> Result<Map<String, Value>, ApiError> {
    let mut changes = Map::new();
    for key in FLAGS {
        if let Some(flag) = fields.flag(key)? {
            changes.insert(key.to_owned(), flag.into());
        }
    }
    for key in HOOKS {
        if let Some(url) = fields.text(key)? {
            if !url.is_empty() && !super::webhooks::is_url(&url) {
                return Err(rules::hook_url(key));
            }
            changes.insert(key.to_owned(), url.into());
        }
    }
    for key in ["Name", "Color", "InboundDomain"] {
        if let Some(text) = fields.text(key)? {
            changes.insert(key.to_owned(), text.into());
        }
    }
    if let Some(kind) = fields.text("TrackLinks")? {
        if !rules::TRACK_LINKS.contains(&kind.as_str()) {
            return Err(rules::track_links());
        }
        changes.insert("TrackLinks".to_owned(), kind.into());
    }
    if let Some(threshold) = fields.integer("InboundSpamThreshold")? {
        if !(0..=30).contains(&threshold) {
            return Err(rules::spam_threshold());
        }
        changes.insert("InboundSpamThreshold".to_owned(), threshold.into());
    }
    Ok(changes)
}
