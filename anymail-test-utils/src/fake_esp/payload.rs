//! Writes a message in the fictional ESP's JSON.
//!
//! Core has already refused or removed everything that the ESP does not support.

use anymail_core::{Address, PreparedMessage};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

pub(super) fn write(message: &PreparedMessage) -> Value {
    let mut body = Map::new();
    let mut add = |key: &str, value: Value| {
        if !is_nothing(&value) {
            body.insert(key.to_owned(), value);
        }
    };
    add("sender", address(message.from()));
    add("to", addresses(message.to()));
    add("cc", addresses(message.cc()));
    add("bcc", addresses(message.bcc()));
    add("answer_to", addresses(message.reply_to()));
    add(
        "bounce_to",
        message.envelope_sender().map(Address::ascii_email).into(),
    );
    add("subject", message.subject().into());
    add("plain", message.text_body().into());
    add("html", message.html_body().into());
    let headers = message.headers();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)));
    add("headers", headers.collect::<Map<_, _>>().into());
    let files = message.attachments().iter().map(|file| {
        json!({
            "name": file.filename(),
            "type": file.content_type(),
            "data": STANDARD.encode(file.content()),
        })
    });
    add("files", files.collect());
    let metadata = message.metadata();
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    add("labels", metadata.collect::<Map<_, _>>().into());
    add("tags", message.tags().into());
    add("watch_opens", message.track_opens().into());
    add(
        "not_before",
        message.send_at().map(|at| at.unix_timestamp()).into(),
    );
    body.extend(message.esp_extra().cloned().unwrap_or_default());
    body.into()
}

fn address(address: &Address) -> Value {
    json!({"email": address.ascii_email(), "name": address.name()})
}

fn addresses(list: &[Address]) -> Value {
    list.iter().map(address).collect()
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
