//! Postmark's rules beyond its capabilities. All of them are about `esp_extra`.
//!
//! The table in `backend.rs` defines which features are supported.

use anymail_core::{JsonMap, Message, Objection, Secret};
use serde_json::Value;

use crate::config::{PostmarkConfig, token_header};
use crate::options::SERVER_TOKEN;

/// Keys that would change who gets the message, or how a call is built.
const OWN_BUSINESS: [&str; 4] = ["To", "Cc", "Bcc", "Messages"];
/// Fields that Postmark puts into header lines.
const HEADER_TEXTS: [&str; 5] = ["From", "ReplyTo", "Subject", "Tag", "Headers"];

/// Finds everything that must not be sent to Postmark. Nothing of it can be dropped without
/// changing the message's meaning, so the message is refused under either policy.
pub(crate) fn objections(message: &Message, config: &PostmarkConfig) -> Vec<Objection> {
    let mut found = Vec::new();
    let Some(extra) = message.esp_extra.value() else {
        return found;
    };
    for key in extra.keys() {
        if OWN_BUSINESS
            .iter()
            .any(|name| key.eq_ignore_ascii_case(name))
        {
            found.push(Objection::new(
                format!("does not allow {key:?} in `esp_extra`: use the message's own fields for recipients"),
                "",
            ));
        }
    }
    for (name, clashes, field) in [
        (
            "Headers",
            !is_empty(&message.merge_headers),
            "merge_headers",
        ),
        (
            "Metadata",
            !is_empty(&message.merge_metadata),
            "merge_metadata",
        ),
        ("Metadata", config.generates_ids(), "generate_message_id"),
        (
            "TemplateModel",
            !is_empty(&message.merge_data),
            "merge_data",
        ),
    ] {
        if clashes && get(extra, name).is_some() {
            found.push(Objection::new(
                format!("does not support {name} in `esp_extra` together with `{field}`: one would replace the other"),
                "",
            ));
        }
    }
    if let Some(token) = extra.get(SERVER_TOKEN) {
        let problem = match token.as_str() {
            Some(token) => token_header(&Secret::new(token)).err(),
            None => Some("expected a string"),
        };
        if let Some(problem) = problem {
            let problem = format!("cannot use {SERVER_TOKEN} in `esp_extra`: {problem}");
            found.push(Objection::new(problem, ""));
        }
    }
    for name in HEADER_TEXTS {
        if get(extra, name).is_some_and(breaks_a_line) {
            found.push(Objection::new(
                format!("does not allow control characters in {name} in `esp_extra`"),
                "",
            ));
        }
    }
    found
}

fn is_empty<T>(field: &anymail_core::Field<anymail_core::MergeMap<T>>) -> bool {
    field.value().is_none_or(|map| map.is_empty())
}

/// Looks up a value of `esp_extra`. Postmark's field names are case-insensitive (seen in its .NET
/// and PHP clients, which spell some of them differently), so this is, too.
pub(super) fn get<'a>(extra: &'a JsonMap, name: &str) -> Option<&'a Value> {
    let mut all = extra.iter();
    all.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Whether any string in `value` contains a control character other than a tab.
fn breaks_a_line(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().any(|c| c.is_control() && c != '\t'),
        Value::Array(items) => items.iter().any(breaks_a_line),
        Value::Object(map) => map.values().any(breaks_a_line),
        _ => false,
    }
}
