//! Writes a message once, with the recipients of each of its copies.

use anymail_core::{Address, Attachment, PreparedMessage};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The maximum number of recipients in one call, including copies.
pub const MAX_RECIPIENTS: usize = 1000;

/// The recipients of one call. In a batch, copies count once for each message.
pub fn calls(message: &PreparedMessage) -> impl Iterator<Item = &[Address]> {
    let copies = message.cc().len().saturating_add(message.bcc().len());
    let size = match message.is_batch() {
        true => MAX_RECIPIENTS / copies.saturating_add(1),
        false => message.to().len(),
    };
    message.to().chunks(size.max(1))
}

/// Writes one call for these recipients. Starling accepts no null and no empty list.
pub fn request(message: &PreparedMessage, to: &[Address]) -> Value {
    let mails: Vec<Value> = match message.is_batch() {
        true => to
            .iter()
            .map(|address| mail(message, std::slice::from_ref(address)))
            .collect(),
        false => vec![mail(message, to)],
    };
    let mut request = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        request.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("personalizations", Some(mails.into()));
    set("from", Some(person(message.from())));
    set("reply_to_list", people(message.reply_to()));
    set("subject", message.subject().map(Value::from));
    set("content", list(bodies(message)));
    set("attachments", list(message.attachments().iter().map(file)));
    set(
        "categories",
        list(message.tags().iter().map(|tag| tag.as_str().into())),
    );
    set(
        "send_at",
        message.send_at().map(|at| at.unix_timestamp().into()),
    );
    set("template_id", message.template_id().map(Value::from));
    set("tracking_settings", tracking(message));
    // Options under Starling's own names; they take precedence over the fields above.
    request.extend(message.esp_extra().cloned().unwrap_or_default());
    request.into()
}

/// Writes one message, whose recipients all see each other.
fn mail(message: &PreparedMessage, to: &[Address]) -> Value {
    // In a batch, the recipient's own values take precedence over those for all recipients.
    let (headers, metadata, values) = match to {
        [to] if message.is_batch() => (
            message.headers_for(to),
            message.metadata_for(to),
            message.merge_data_for(to),
        ),
        _ => (
            message.headers(),
            message.metadata(),
            message.merge_global_data(),
        ),
    };
    let mut mail = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        mail.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("to", people(to));
    set("cc", people(message.cc()));
    set("bcc", people(message.bcc()));
    set("headers", map(headers.iter()));
    let metadata = metadata.iter();
    set(
        "custom_args",
        map(metadata.map(|(key, value)| (&**key, &**value))),
    );
    let values = Some(values.into_owned()).filter(|values| !values.is_empty());
    set("dynamic_template_data", values.map(Value::from));
    mail.into()
}

fn bodies(message: &PreparedMessage) -> impl Iterator<Item = Value> {
    let body = |kind: &str, text: &str| json!({"type": kind, "value": text});
    // In the order of preference of mail clients, which show the last one.
    let text = message.text_body().map(|text| body("text/plain", text));
    let html = message.html_body().map(|html| body("text/html", html));
    let others = message.alternatives().iter();
    let others = others.map(move |part| body(part.content_type(), part.content()));
    text.into_iter().chain(html).chain(others)
}

fn tracking(message: &PreparedMessage) -> Option<Value> {
    let mut settings = Map::new();
    for (name, flag) in [
        ("open_tracking", message.track_opens()),
        ("click_tracking", message.track_clicks()),
    ] {
        if let Some(flag) = flag {
            settings.insert(name.to_owned(), json!({ "enable": flag }));
        }
    }
    (!settings.is_empty()).then(|| settings.into())
}

fn list(items: impl Iterator<Item = Value>) -> Option<Value> {
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then(|| items.into())
}

fn map<'m>(pairs: impl Iterator<Item = (&'m str, &'m str)>) -> Option<Value> {
    let map: Map<_, _> = pairs
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    (!map.is_empty()).then(|| map.into())
}

fn people(addresses: &[Address]) -> Option<Value> {
    list(addresses.iter().map(person))
}

fn person(address: &Address) -> Value {
    match address.name() {
        Some(name) => json!({"email": address.ascii_email(), "name": name}),
        None => json!({"email": address.ascii_email()}),
    }
}

fn file(part: &Attachment) -> Value {
    let mut file = json!({
        "content": STANDARD.encode(part.content()),
        "type": part.content_type(),
        "filename": part.filename().unwrap_or_default(),
        "disposition": if part.is_inline() { "inline" } else { "attachment" },
    });
    if let (Some(id), true, Some(file)) =
        (part.content_id(), part.is_inline(), file.as_object_mut())
    {
        file.insert("content_id".to_owned(), id.into());
    }
    file
}

/// Returns the first error message of a refused request.
pub fn error(json: &Value) -> Option<&str> {
    json.get("errors")?.get(0)?.get("message")?.as_str()
}
