//! Writes a message as form fields, and reads the response.

use std::collections::BTreeMap;

use anymail_core::{Address, Attachment, JsonMap, PreparedMessage};
use http::{HeaderMap, HeaderValue, header};
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use time::UtcOffset;
use time::format_description::well_known::Rfc2822;

/// The maximum number of recipients in one call.
pub const MAX_RECIPIENTS: usize = 1000;

/// The recipients of one call.
pub fn calls(message: &PreparedMessage) -> impl Iterator<Item = &[Address]> {
    let size = match message.is_batch() {
        true => MAX_RECIPIENTS,
        false => message.to().len().max(1),
    };
    message.to().chunks(size)
}

/// The fields of one call.
struct Fields<'m> {
    form: Form,
    /// Options under Magpie's own names; they take precedence over the message's fields.
    extra: Option<&'m JsonMap>,
}

impl Fields<'_> {
    fn text(&mut self, name: &str, value: impl Into<String>) {
        if self.extra.is_none_or(|extra| !extra.contains_key(name)) {
            self.add(name, Part::text(value.into()));
        }
    }

    fn add(&mut self, name: &str, part: Part) {
        self.form = std::mem::take(&mut self.form).part(field_name(name), part);
    }

    /// Form fields have no types, so each JSON value is formatted as Magpie documents it.
    fn option(&mut self, name: &str, value: &Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => yes_or_no(*flag).to_owned(),
            Value::Array(items) => {
                return items.iter().for_each(|item| self.option(name, item));
            }
            Value::Null => return,
            other => other.to_string(),
        };
        self.add(name, Part::text(text));
    }

    fn file(&mut self, attachment: &Attachment) {
        // The HTML refers to an inline part by its filename.
        let (name, filename) = match attachment.content_id() {
            Some(id) if attachment.is_inline() => ("inline", id),
            _ => ("attachment", attachment.filename().unwrap_or_default()),
        };
        let mut headers = HeaderMap::new();
        if let Ok(kind) = HeaderValue::from_str(attachment.content_type()) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        let content = attachment.content().clone();
        let part = Part::stream(content).headers(headers);
        self.add(name, part.file_name(filename.to_owned()));
    }
}

/// Escapes a field name, which the app may have chosen, as browsers do.
fn field_name(name: &str) -> String {
    let name = name.replace('"', "%22");
    name.replace('\r', "%0D").replace('\n', "%0A")
}

fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

/// Writes one call for these recipients.
pub fn form(message: &PreparedMessage, to: &[Address]) -> Form {
    let mut fields = Fields {
        form: Form::new().percent_encode_noop(),
        extra: message.esp_extra(),
    };
    fields.text("from", message.from().to_ascii());
    for (name, people) in [("to", to), ("cc", message.cc()), ("bcc", message.bcc())] {
        for address in people {
            fields.text(name, address.to_ascii());
        }
    }
    if !message.reply_to().is_empty() {
        let all: Vec<_> = message.reply_to().iter().map(Address::to_ascii).collect();
        fields.text("h:Reply-To", all.join(", "));
    }
    for (name, body) in [
        ("subject", message.subject()),
        ("text", message.text_body()),
        ("html", message.html_body()),
        ("template", message.template_id()),
    ] {
        if let Some(body) = body {
            fields.text(name, body);
        }
    }
    for alternative in message.alternatives() {
        fields.text("amp-html", alternative.content()); // core allows only one, of this type
    }
    for tag in message.tags() {
        fields.text("o:tag", tag);
    }
    for (name, flag) in [
        ("o:tracking-opens", message.track_opens()),
        ("o:tracking-clicks", message.track_clicks()),
    ] {
        if let Some(flag) = flag {
            fields.text(name, yes_or_no(flag));
        }
    }
    let at = message.send_at().map(|at| at.to_offset(UtcOffset::UTC));
    if let Some(at) = at.and_then(|at| at.format(&Rfc2822).ok()) {
        fields.text("o:deliverytime", at);
    }
    let values = message.merge_global_data();
    if message.template_id().is_some() && !values.is_empty() {
        fields.text("t:variables", Value::from(values.into_owned()).to_string());
    }
    match message.is_batch() {
        true => by_recipient(&mut fields, message, to),
        false => for_all(&mut fields, message),
    }
    for attachment in message.attachments() {
        fields.file(attachment);
    }
    for (name, value) in message.esp_extra().into_iter().flatten() {
        fields.option(name, value);
    }
    fields.form
}

fn for_all(fields: &mut Fields<'_>, message: &PreparedMessage) {
    for (name, value) in message.headers().iter() {
        fields.text(&format!("h:{name}"), value);
    }
    for (key, value) in message.metadata().iter() {
        fields.text(&format!("v:{key}"), value);
    }
}

/// In a batch, every value becomes a variable of each recipient, including values for all
/// recipients: Magpie substitutes variables wherever it finds their names, but not in the
/// substituted values.
fn by_recipient(fields: &mut Fields<'_>, message: &PreparedMessage, to: &[Address]) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut people = Vec::new();
    for address in to {
        let mut own = match message.template_id() {
            None => message.merge_data_for(address).into_owned(),
            Some(_) => JsonMap::new(),
        };
        for (name, value) in message.headers_for(address).iter() {
            // Names are case-insensitive.
            let variable = format!("h:{}", name.to_ascii_lowercase());
            names.insert(variable.clone(), format!("h:{name}"));
            own.insert(variable, value.into());
        }
        for (key, value) in message.metadata_for(address).iter() {
            let variable = format!("v:{key}");
            names.insert(variable.clone(), variable.clone());
            own.insert(variable, value.as_str().into());
        }
        people.push((address, own));
    }
    let mut variables = JsonMap::new();
    for (address, mut own) in people {
        for variable in names.keys() {
            // A variable without a value for a recipient would not be substituted.
            own.entry(variable).or_insert_with(|| "".into());
        }
        variables.insert(address.ascii_email(), own.into());
    }
    for (variable, field) in &names {
        fields.text(field, format!("%recipient.{variable}%"));
    }
    fields.text("recipient-variables", Value::from(variables).to_string());
}

/// Reads the ID that Magpie assigns to all messages of a call.
pub fn message_id(response: &Value) -> Option<String> {
    let id = response.get("id").and_then(Value::as_str)?;
    (!id.is_empty()).then(|| id.to_owned())
}
