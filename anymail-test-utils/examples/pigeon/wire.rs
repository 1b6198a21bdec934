//! Writes a message in Pigeon's format, and reads the response.

use anymail_core::{Address, AddressKey, PreparedMessage, SendStatus, Status, StatusDetail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// One message for Pigeon: a whole message, or one recipient's message of a batch.
pub struct Mail<'a> {
    /// The index of the app's message.
    pub message: usize,
    prepared: &'a PreparedMessage,
    /// Its recipients.
    pub to: &'a [Address],
}

/// Returns the messages for Pigeon that these messages consist of.
pub fn mails(messages: &[PreparedMessage]) -> impl Iterator<Item = Mail<'_>> {
    messages.iter().enumerate().flat_map(|(message, prepared)| {
        let to: Vec<&[Address]> = match prepared.is_batch() {
            true => prepared.to().iter().map(std::slice::from_ref).collect(),
            false => vec![prepared.to()],
        };
        to.into_iter().map(move |to| Mail {
            message,
            prepared,
            to,
        })
    })
}

impl Mail<'_> {
    /// Writes the message in Pigeon's format. Pigeon treats empty lists and maps as missing, but
    /// accepts no null.
    pub fn write(&self) -> Value {
        let message = self.prepared;
        // In a batch, the recipient's own values take precedence over those for all recipients.
        let (headers, metadata, values) = match self.to {
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
        let files: Value = message
            .attachments()
            .iter()
            .map(|part| {
                json!({
                    "name": part.filename().unwrap_or_default(),
                    "type": part.content_type(),
                    "data": STANDARD.encode(part.content()),
                    "cid": part.content_id().filter(|_| part.is_inline()).unwrap_or_default(),
                })
            })
            .collect();
        let mut mail = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            mail.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("from", Some(person(message.from())));
        set("to", Some(people(self.to)));
        set("cc", Some(people(message.cc())));
        set("bcc", Some(people(message.bcc())));
        set("reply_to", message.reply_to().first().map(person));
        set("subject", message.subject().map(Value::from));
        set("text", message.text_body().map(Value::from));
        set("html", message.html_body().map(Value::from));
        set("headers", Some(headers.iter().collect()));
        set("files", Some(files));
        set(
            "metadata",
            Some(
                metadata
                    .iter()
                    .map(|(key, value)| (&**key, &**value))
                    .collect(),
            ),
        );
        set("labels", Some(message.tags().into()));
        set("track_opens", message.track_opens().map(Value::from));
        set(
            "send_at",
            message.send_at().map(|at| at.unix_timestamp().into()),
        );
        set("template", message.template_id().map(Value::from));
        set("values", Some(values.into_owned().into()));
        // Options under Pigeon's own names; they take precedence over the fields above.
        mail.extend(message.esp_extra().cloned().unwrap_or_default());
        mail.into()
    }
}

fn person(address: &Address) -> Value {
    let mut person = Map::new();
    person.insert("email".to_owned(), address.ascii_email().into());
    if let Some(name) = address.name() {
        person.insert("name".to_owned(), name.into());
    }
    person.into()
}

fn people(addresses: &[Address]) -> Value {
    addresses.iter().map(person).collect()
}

/// What Pigeon reports about one message.
pub struct Row {
    id: Option<String>,
    people: Vec<(AddressKey, Status, String)>,
    raw: String,
}

/// Reads the rows of a response, in the order of the messages. Missing rows are omitted.
pub fn results(response: &Value) -> Vec<Row> {
    let rows = response.get("results").and_then(Value::as_array);
    let row = |row: &Value| {
        let people = row.get("people").and_then(Value::as_array);
        let of_one = |it: &Value| {
            let text = |name: &str| it.get(name).and_then(Value::as_str);
            let status = match text("state")? {
                "sent" => Status::Sent,
                "waiting" => Status::Queued,
                "no_such_address" => Status::Invalid,
                "blocked" => Status::Rejected,
                "failed" => Status::Failed,
                _ => Status::Unknown,
            };
            let why = text("why").unwrap_or_default().to_owned();
            Some((AddressKey::of(text("email")?), status, why))
        };
        Row {
            id: row.get("id").and_then(Value::as_str).map(str::to_owned),
            people: people.into_iter().flatten().filter_map(of_one).collect(),
            raw: row.to_string(),
        }
    };
    rows.into_iter().flatten().map(row).collect()
}

impl Row {
    /// Records it in the status of its message. Every message of a batch includes the copies: one
    /// that was sent is enough.
    pub fn enter_into(self, status: &mut SendStatus) {
        for (key, new, why) in self.people {
            let before = status.by_key(&key).map(|it| it.status);
            if matches!(before, Some(Status::Sent | Status::Queued)) {
                continue;
            }
            let id = self.id.clone().filter(|_| new.may_be_accepted());
            let detail = (!why.is_empty()).then(|| StatusDetail::new(None, why));
            status.set(&key, new, id, detail);
        }
        status.esp_responses.push(self.raw);
    }
}
