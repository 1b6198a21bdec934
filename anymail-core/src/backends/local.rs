//! What the console and file backends have in common: they keep messages on this machine, for
//! people to read.
//!
//! The memory backend does not use it, because it is the self-contained example.

use std::io;

use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use crate::message::{Message, Metadata};
use crate::sending::{
    Accepted, Capabilities, Feature, PreparedMessage, SendError, SendErrorKind, SendStatus, Status,
    StatusDetail, Support,
};

/// Everything that can be shown. Options of one ESP have no meaning here and may contain a token.
pub(super) fn capabilities() -> Capabilities {
    let all = Capabilities::all();
    all.iter()
        .chain([(Feature::EspExtra, Support::No)])
        .collect()
}

/// Stores each copy of a message with `store`, which returns the copy's message ID.
///
/// In a batch, a copy that could not be stored is a failure of its recipient only. It is an error
/// if nothing was stored.
pub(super) fn store_all(
    name: &str,
    message: &PreparedMessage,
    mut store: impl FnMut(Message) -> io::Result<String>,
) -> Result<SendStatus, SendError> {
    let mut status = SendStatus::unknown(name.to_owned(), message.message());
    let mut failed = None;
    for copy in message.copies() {
        let recipients: Vec<_> = copy.recipients().map(|address| address.key()).collect();
        let (outcome, id, detail) = match store(copy) {
            Ok(id) => (Status::Sent, Some(id), None),
            Err(error) => {
                let detail = StatusDetail::new(None, error.to_string());
                failed = Some(error);
                (Status::Failed, None, Some(detail))
            }
        };
        for key in recipients {
            // In a batch, cc and bcc get every copy: they keep the result of the first that was
            // stored.
            if status
                .by_key(&key)
                .is_some_and(|r| r.status != Status::Sent)
            {
                status.set(&key, outcome, id.clone(), detail.clone());
            }
        }
    }
    match failed {
        Some(error) if !status.may_be_accepted() => {
            let words = error.to_string();
            Err(SendError::new(SendErrorKind::ServerError, name, words)
                .with_accepted(Accepted::No)
                .with_source(error)
                .with_status(status))
        }
        _ => Ok(status),
    }
}

/// Values that have no place in an email: the name, and the value as JSON.
pub(super) fn beyond_mime(message: &Message) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    let mut add = |name, value: Option<Value>| found.extend(value.map(|value| (name, value)));
    let sender = message.envelope_sender.value();
    add(
        "Envelope-Sender",
        sender.map(|a| Value::from(a.to_string())),
    );
    add(
        "Tags",
        message.tags.value().map(|tags| Value::from(tags.clone())),
    );
    let metadata = message.metadata.value();
    let object = |map: &Metadata| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    add("Metadata", metadata.map(object));
    add(
        "Track-Opens",
        message.track_opens.value().map(|on| Value::from(*on)),
    );
    add(
        "Track-Clicks",
        message.track_clicks.value().map(|on| Value::from(*on)),
    );
    let at = message.send_at.value();
    let at = at.and_then(|at| at.format(&Rfc3339).ok());
    add("Send-At", at.map(Value::from));
    add(
        "Template-Id",
        message
            .template_id
            .value()
            .map(|id| Value::from(id.clone())),
    );
    let data = message.merge_global_data.value();
    add("Merge-Data", data.map(|map| Value::from(map.clone())));
    found
}
