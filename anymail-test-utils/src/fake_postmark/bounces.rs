//! Bounces and complaints: the record, and the `bounces` and `deliverystats` endpoints.
//!
//! `events.rs` creates them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api::{Call, Paging};
use super::bounce_type::BounceType;
use super::fields::set;
use super::message::SentMessage;
use super::outbox::source;
use super::rules::{self, ApiError};
use super::state::{Fake, SERVER_ID, State};
use super::{events, payloads};

/// A bounce or complaint of one recipient.
#[derive(Debug, Clone)]
pub(super) struct Bounce {
    pub(super) id: i64,
    pub(super) kind: BounceType,
    pub(super) message: Arc<SentMessage>,
    pub(super) email: String,
    pub(super) details: String,
    pub(super) at: String,
    /// Whether it made the address inactive.
    pub(super) inactive: bool,
}

impl Bounce {
    /// Formats it as in the API and the webhooks, without its content.
    pub(super) fn to_json(&self) -> Value {
        let row = self.kind.row();
        let record = match self.kind {
            BounceType::SpamComplaint => "SpamComplaint",
            _ => "Bounce",
        };
        json!({
            "RecordType": record,
            "MessageStream": self.message.stream,
            "ID": self.id,
            "Type": row.id,
            "TypeCode": row.code,
            "Name": row.name,
            "Tag": self.message.tag.as_deref().unwrap_or_default(),
            "MessageID": self.message.id,
            "Metadata": self.message.metadata,
            "ServerID": SERVER_ID,
            "Description": row.description,
            "Details": self.details,
            "Email": self.email,
            "From": self.message.from.email,
            "BouncedAt": self.at,
            "DumpAvailable": true,
            "Inactive": self.inactive,
            "CanActivate": row.can_activate,
            "Subject": self.message.subject,
        })
    }

    /// Returns the simulated response of the receiving server, with the message.
    pub(super) fn content(&self) -> String {
        let Self { email, details, .. } = self;
        if let (Some(refusal), Some(raw)) = (&self.message.refusal, &self.message.raw_mime) {
            return format!("{refusal}\r\n\r\n{}", String::from_utf8_lossy(raw));
        }
        let source = source(&self.message);
        format!("Final-Recipient: rfc822; {email}\r\nDiagnostic-Code: {details}\r\n\r\n{source}")
    }
}

impl State {
    fn bounce(&self, id: &str) -> Result<&Bounce, ApiError> {
        if id.is_empty() {
            return Err(rules::bounce_id_required());
        }
        let id: Option<i64> = id.parse().ok();
        let found = self.bounces.iter().find(|bounce| Some(bounce.id) == id);
        found.ok_or_else(rules::bounce_not_found)
    }
}

/// `GET bounces`: newest first.
pub(super) fn list(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let paging = Paging::required(call, || rules::bounce_query("count or offset"))?;
    let wants = |key: &str, fits: &dyn Fn(&str) -> bool| call.query(key).is_none_or(fits);
    let fits = |bounce: &&Bounce| {
        wants("type", &|kind| {
            kind.eq_ignore_ascii_case(bounce.kind.as_str())
        }) && wants("inactive", &|inactive| {
            inactive.eq_ignore_ascii_case(if bounce.inactive { "true" } else { "false" })
        }) && wants("emailFilter", &|part| {
            bounce.email.to_lowercase().contains(&part.to_lowercase())
        }) && wants("tag", &|tag| bounce.message.tag.as_deref() == Some(tag))
            && wants("messageID", &|id| {
                id.eq_ignore_ascii_case(&bounce.message.id)
            })
            && wants("messagestream", &|stream| bounce.message.stream == stream)
            && call.in_dates(&bounce.at)
    };
    let state = fake.state();
    let found: Vec<_> = state.bounces.iter().rev().filter(fits).collect();
    let total = found.len();
    let rows: Vec<_> = paging
        .page(found)
        .into_iter()
        .map(Bounce::to_json)
        .collect();
    Ok(json!({"TotalCount": total, "Bounces": rows}))
}

/// `GET bounces/{id}`
pub(super) fn get(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let state = fake.state();
    let bounce = state.bounce(call.part(1))?;
    let mut answer = bounce.to_json();
    set(&mut answer, "Content", bounce.content());
    Ok(answer)
}

/// `GET bounces/{id}/dump`
pub(super) fn dump(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let state = fake.state();
    Ok(json!({"Body": state.bounce(call.part(1))?.content()}))
}

/// `PUT bounces/{id}/activate`: reactivates the address.
pub(super) fn activate(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let mut state = fake.state();
    let bounce = state.bounce(call.part(1))?.clone();
    if !bounce.kind.row().can_activate {
        return Err(rules::cannot_reactivate());
    }
    let stream = bounce.message.stream.clone();
    let key = (stream.clone(), bounce.email.to_lowercase());
    let was_suppressed = state.suppressions.remove(&key).is_some();
    for other in &mut state.bounces {
        if other.message.stream == stream && other.email.eq_ignore_ascii_case(&bounce.email) {
            other.inactive = false;
        }
    }
    if was_suppressed {
        let payload = payloads::reactivated(&stream, &bounce.email);
        let postings = events::subscription_postings(&state, &stream, payload);
        fake.post_in_background(postings);
    }
    let answer = state.bounce(call.part(1))?.to_json();
    Ok(json!({"Message": "OK", "Bounce": answer}))
}

/// `GET deliverystats`: all bounces, and each type with at least one bounce.
pub(super) fn delivery_stats(fake: &Fake, _: &Call) -> Result<Value, ApiError> {
    let state = fake.state();
    // Clients disagree about whether the first row has a "Type"; the newest official client
    // requires it.
    let all = state.bounces.len();
    let mut rows = vec![json!({"Type": "All", "TypeCode": 0, "Name": "All", "Count": all})];
    for kind in BounceType::ALL {
        let count = state.bounces.iter().filter(|b| b.kind == *kind).count();
        let row = kind.row();
        if count > 0 {
            rows.push(json!({
                "Type": row.id,
                "TypeCode": row.code,
                "Name": row.name,
                "Count": count,
            }));
        }
    }
    Ok(json!({"InactiveMails": state.suppressions.len(), "Bounces": rows}))
}
