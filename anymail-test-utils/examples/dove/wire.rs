//! Writes what SMTP does not support into Dove's header.

use std::fmt::Write;

use anymail_core::{Address, Message, PreparedMessage};
use serde_json::{Map, Value, json};

/// The header that Dove removes from a message.
pub const HEADER: &str = "X-Dove-API";

/// Returns the message as SMTP can send it, with everything else in the header.
pub fn by_smtp(prepared: &PreparedMessage) -> Message {
    let mut message = prepared.message().clone();
    if prepared.is_batch() {
        for to in prepared.to() {
            if let Some(options) = options(prepared, Some(to)) {
                let own = message.merge_headers.value_or_default();
                // Neither the name nor the value can contain a line break.
                let _ = own.value_or_default(to.email()).insert(HEADER, &options);
            }
        }
        // The message stays a batch, even if no recipient has headers.
        message.merge_headers.value_or_default();
    } else if let Some(options) = options(prepared, None) {
        let _ = message.headers.value_or_default().insert(HEADER, &options);
    }
    message.tags = Default::default();
    message.metadata = Default::default();
    message.merge_metadata = Default::default();
    message.track_opens = Default::default();
    message.track_clicks = Default::default();
    message.send_at = Default::default();
    message
}

/// Returns the header's value, for one recipient of a batch or for a whole message; `None` if it
/// would be empty.
fn options(message: &PreparedMessage, to: Option<&Address>) -> Option<String> {
    let metadata = match to {
        Some(to) => message.metadata_for(to),
        None => message.metadata(),
    };
    let mut options = Map::new();
    if !message.tags().is_empty() {
        options.insert("category".to_owned(), message.tags().into());
    }
    if !metadata.is_empty() {
        let pairs = metadata.iter();
        let pairs = pairs.map(|(key, value)| (key.clone(), value.as_str().into()));
        let pairs: Map<String, Value> = pairs.collect();
        options.insert("unique_args".to_owned(), pairs.into());
    }
    if let Some(at) = message.send_at() {
        options.insert("send_at".to_owned(), at.unix_timestamp().into());
    }
    let mut filters = Map::new();
    for (name, flag) in [
        ("opentrack", message.track_opens()),
        ("clicktrack", message.track_clicks()),
    ] {
        if let Some(flag) = flag {
            let settings = json!({"settings": {"enable": i32::from(flag)}});
            filters.insert(name.to_owned(), settings);
        }
    }
    if !filters.is_empty() {
        options.insert("filters".to_owned(), filters.into());
    }
    (!options.is_empty()).then(|| in_ascii(&Value::from(options).to_string()))
}

/// Formats JSON with non-ASCII characters escaped, and without the control characters that JSON
/// leaves unescaped.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(ascii, "\\u{unit:04x}"); // to a String, which cannot fail
        }
    }
    ascii
}
