//! Parses the JSON form of a [`Message`], field by field, to report every fault.
//!
//! The derives in `message.rs` write it.

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::attachment::{Attachment, AttachmentError};
use super::text::json_problem;
use super::{
    AddressInput, FaultKind, Field, Headers, JsonMap, MergeMap, Message, MessageBuilder,
    MessageError, Metadata,
};

/// The largest JSON text that is parsed: 100 MiB, twice the largest request of any known ESP.
const MAX_JSON_BYTES: usize = 100 * 1024 * 1024;

impl Message {
    /// Parses the JSON form of a message (see [`Message`]).
    ///
    /// # Errors
    /// [`MessageError`] with all faults: those of the JSON (including nesting deeper than 120
    /// levels and a length of more than 100 MiB), unknown keys, and those of
    /// [`MessageBuilder::build`].
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        let fail = |kind, problem| {
            Err(MessageError::new(vec![super::Fault::new(
                kind, "message", problem,
            )]))
        };
        if json.len() > MAX_JSON_BYTES {
            let problem = format!(
                "the JSON has {} bytes, more than the limit of {MAX_JSON_BYTES}",
                json.len()
            );
            return fail(FaultKind::TooLarge, problem);
        }
        match serde_json::from_slice::<JsonMap>(json) {
            Ok(map) => Self::from_json_map(map),
            Err(error) => fail(FaultKind::InvalidJson, json_problem(&error)),
        }
    }

    /// Converts a parsed JSON object into a message.
    ///
    /// # Errors
    /// [`MessageError`], as for [`from_json`](Self::from_json).
    pub fn from_json_map(map: JsonMap) -> Result<Self, MessageError> {
        map.into_iter()
            .fold(Self::builder(), |builder, (key, value)| {
                builder.json_field(&key, value)
            })
            .build()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json_map(JsonMap::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The JSON form of an attachment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAttachment {
    filename: Option<String>,
    content_base64: String,
    content_type: Option<String>,
    #[serde(default)]
    inline: bool,
    content_id: Option<String>,
}

impl JsonAttachment {
    fn read(self) -> Result<Attachment, AttachmentError> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let content = STANDARD
            .decode(&self.content_base64)
            .map_err(|_| AttachmentError::new("content_base64", "", "not valid base64"))?;
        Attachment::from_parts(
            self.filename.as_deref(),
            Bytes::from(content),
            self.content_type.as_deref(),
            self.inline,
            self.content_id.as_deref(),
        )
    }
}

impl MessageBuilder {
    /// Applies one key of the JSON form.
    fn json_field(mut self, key: &str, value: Value) -> Self {
        macro_rules! set {
            ($field:ident, $read:expr) => {
                if value.is_null() {
                    self.message.$field = Field::Never;
                } else if let Some(read) = $read(&mut self, key, value) {
                    self.message.$field = Field::Value(read);
                }
            };
        }
        macro_rules! add {
            ($field:ident, $items:expr, $add:expr) => {
                if value.is_null() {
                    self.message.$field = Field::Never;
                } else if let Some(items) = $items(&mut self, key, value) {
                    self.message.$field = Field::Value(Default::default());
                    self = items.into_iter().fold(self, $add);
                }
            };
        }
        match key {
            "from" | "envelope_sender" if value.is_null() => match key {
                "from" => self.message.from = Field::Never,
                _ => self.message.envelope_sender = Field::Never,
            },
            "from" => return self.json_text(key, value, |b, text| b.from(text)),
            "envelope_sender" => {
                return self.json_text(key, value, |b, text| b.envelope_sender(text));
            }
            "to" => add!(to, addresses, Self::to),
            "cc" => add!(cc, addresses, Self::cc),
            "bcc" => add!(bcc, addresses, Self::bcc),
            "reply_to" => add!(reply_to, addresses, Self::reply_to),
            "subject" => set!(subject, typed),
            "text_body" => set!(text_body, typed),
            "html_body" => set!(html_body, typed),
            "alternatives" => add!(alternatives, typed::<Vec<(String, String)>>, |b, part| {
                b.alternative(part.0, &part.1)
            }),
            "headers" => add!(headers, scalars, |b, (name, text): (String, String)| {
                b.header(&name, &text)
            }),
            "attachments" => add!(attachments, typed::<Vec<JsonAttachment>>, |b, part| {
                b.attach_made(part.read())
            }),
            "metadata" => set!(metadata, scalars),
            "merge_metadata" => set!(merge_metadata, merge_metadata),
            "merge_headers" => set!(merge_headers, merge_headers),
            "merge_data" => set!(merge_data, merge_data),
            "merge_global_data" => set!(merge_global_data, typed),
            "tags" => set!(tags, typed),
            "track_opens" => set!(track_opens, typed),
            "track_clicks" => set!(track_clicks, typed),
            "send_at" => set!(send_at, point_in_time),
            "template_id" => set!(template_id, scalar),
            "suppression_scope" => set!(suppression_scope, typed),
            "esp_extra" => set!(esp_extra, typed),
            _ => self.fault(
                FaultKind::UnknownField,
                &super::excerpt(key),
                "unknown message field".to_owned(),
            ),
        }
        self
    }

    fn json_text(mut self, key: &str, value: Value, set: fn(Self, String) -> Self) -> Self {
        match typed(&mut self, key, value) {
            Some(text) => set(self, text),
            None => self,
        }
    }

    fn bad_value(&mut self, key: &str, problem: impl ToString) {
        self.fault(FaultKind::InvalidValue, key, problem.to_string());
    }
}

fn typed<T: for<'de> Deserialize<'de>>(
    builder: &mut MessageBuilder,
    key: &str,
    value: Value,
) -> Option<T> {
    serde_json::from_value(value)
        .map_err(|error| builder.bad_value(key, json_problem(&error)))
        .ok()
}

/// A list of strings with addresses, or a single string.
fn addresses(builder: &mut MessageBuilder, key: &str, value: Value) -> Option<Vec<AddressInput>> {
    let texts = match value {
        Value::String(text) => vec![text],
        list => typed::<Vec<String>>(builder, key, list)?,
    };
    Some(texts.into_iter().map(AddressInput::from).collect())
}

/// The text of a string, number or boolean.
fn scalar(builder: &mut MessageBuilder, key: &str, value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            builder.bad_value(key, "expected a string, a number or a boolean");
            None
        }
    }
}

fn scalars(builder: &mut MessageBuilder, key: &str, value: Value) -> Option<Metadata> {
    let map = typed::<JsonMap>(builder, key, value)?;
    let read = |(name, value): (String, Value)| {
        let text = scalar(builder, &format!("{key}.{}", super::excerpt(&name)), value)?;
        Some((name, text))
    };
    Some(map.into_iter().filter_map(read).collect())
}

/// Parses a map by recipient. Two keys for the same recipient are a fault, because one would be
/// lost.
fn by_recipient<T>(
    builder: &mut MessageBuilder,
    key: &str,
    value: Value,
    read: impl Fn(&mut MessageBuilder, &str, Value) -> Option<T>,
) -> Option<MergeMap<T>> {
    let mut map = MergeMap::new();
    for (recipient, value) in typed::<JsonMap>(builder, key, value)? {
        let field = format!("{key}.{}", super::excerpt(&recipient));
        if map.contains(&recipient) {
            builder.bad_value(&field, "another key is the same recipient");
        }
        if let Some(value) = read(builder, &field, value) {
            map.insert(recipient, value);
        }
    }
    Some(map)
}

fn merge_metadata(
    builder: &mut MessageBuilder,
    key: &str,
    value: Value,
) -> Option<MergeMap<Metadata>> {
    by_recipient(builder, key, value, scalars)
}

fn merge_data(builder: &mut MessageBuilder, key: &str, value: Value) -> Option<MergeMap<JsonMap>> {
    by_recipient(builder, key, value, typed)
}

fn merge_headers(
    builder: &mut MessageBuilder,
    key: &str,
    value: Value,
) -> Option<MergeMap<Headers>> {
    by_recipient(builder, key, value, |builder, field, value| {
        let mut headers = Headers::new();
        for (name, text) in scalars(builder, field, value)? {
            if let Err(error) = headers.insert(&name, &text) {
                builder.fault(FaultKind::InvalidHeader, field, error.to_string());
            }
        }
        Some(headers)
    })
}

/// POSIX seconds, possibly with a fraction, or an RFC 3339 string. Fractions of a second are
/// removed later.
fn point_in_time(builder: &mut MessageBuilder, key: &str, value: Value) -> Option<OffsetDateTime> {
    let read = match &value {
        Value::String(text) => OffsetDateTime::parse(text, &Rfc3339).ok(),
        Value::Number(number) => seconds(number),
        _ => None,
    };
    if read.is_none() {
        builder.bad_value(
            key,
            "expected a number of seconds since 1970 or an RFC 3339 date, from year -9999 to 9999",
        );
    }
    read
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a number of seconds that is out of range stays out of range"
)]
fn seconds(number: &serde_json::Number) -> Option<OffsetDateTime> {
    let whole = number.as_i64().or_else(|| {
        let seconds = number.as_f64()?.floor();
        seconds.is_finite().then_some(seconds as i64)
    });
    OffsetDateTime::from_unix_timestamp(whole?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn send_at(value: Value) -> Result<i64, String> {
        let message = Message::from_json_map(JsonMap::from_iter([("send_at".to_owned(), value)]));
        let message = message.map_err(|error| error.to_string())?;
        let at = message.send_at.value().map(|at| at.unix_timestamp());
        at.ok_or("unset".to_owned())
    }

    #[test]
    fn send_at_is_read_from_fractional_seconds_and_from_rfc_3339() {
        for (value, expected) in [
            (json!(1_767_225_600), 1_767_225_600),
            (json!(1.5), 1),
            (json!(-1.5), -2),
            (json!(1e9), 1_000_000_000),
            (json!("2026-01-01T00:00:00Z"), 1_767_225_600),
            (json!("2026-01-01T02:00:00.75+02:00"), 1_767_225_600),
        ] {
            assert_eq!(send_at(value.clone()), Ok(expected), "{value}");
        }
        for value in [
            json!(1e300),
            json!(-1e300),
            json!(u64::MAX),
            json!("2026-01-01"),
            json!("tomorrow"),
            json!("1767225600"),
            json!(true),
            json!([1]),
        ] {
            let error = send_at(value.clone()).unwrap_err();
            assert!(error.contains("RFC 3339"), "{value}: {error}");
        }
    }
}
