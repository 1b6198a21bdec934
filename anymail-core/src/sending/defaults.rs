//! [`SendDefaults`]: values for fields that messages do not set, and how they merge.
//!
//! "Not even the default" is [`Field::Never`](crate::Field), in `message/field.rs`.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Field, JsonMap, Message, MessageFields};

/// Default values for all messages of a mailer. Their JSON form is that of a [`Message`].
///
/// They merge like in django-anymail. Lists of addresses, tags, alternatives and attachments are
/// concatenated, with the default's items first. `metadata`, `headers` and `merge_global_data`
/// merge by key; `merge_data`, `merge_metadata` and `merge_headers` merge one level further down;
/// `esp_extra` merges recursively. For all other fields, the message's own value wins. A field that
/// the message sets to [`Field::Never`](crate::Field::Never) has no value, whatever the default.
///
/// ```
/// use anymail_core::{Message, SendDefaults};
///
/// let defaults: SendDefaults = serde_json::from_str(
///     r#"{"tags": ["shop"], "track_opens": true, "metadata": {"app": "shop"}}"#,
/// )?;
/// let message = Message::builder().tag("receipt").metadata("order", 4711).build()?;
/// let whole = defaults.under(&message);
/// assert_eq!(whole.tags.items(), ["shop", "receipt"]);
/// assert_eq!(whole.track_opens.value(), Some(&true));
/// assert_eq!(whole.metadata.value().map(|m| m.len()), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SendDefaults(Message);

impl From<Message> for SendDefaults {
    fn from(message: Message) -> Self {
        Self(message)
    }
}

impl From<MessageFields> for SendDefaults {
    fn from(fields: MessageFields) -> Self {
        Self(fields.into())
    }
}

impl SendDefaults {
    /// The defaults as a message.
    pub fn message(&self) -> &Message {
        &self.0
    }

    /// Whether no default is set.
    pub fn is_empty(&self) -> bool {
        *self.0 == MessageFields::default()
    }

    /// Overrides these defaults with those of one ESP, field by field: a field that `esp` sets
    /// replaces the whole general one.
    #[must_use]
    pub fn replaced_by(&self, esp: &Self) -> Self {
        let (mut fields, esp) = (MessageFields::clone(&self.0), esp.0.clone().into_fields());
        macro_rules! replace {
            ($($name:ident)*) => {
                $(fields.$name = wins(fields.$name, esp.$name);)*
            };
        }
        replace! {
            from to cc bcc reply_to subject text_body html_body alternatives headers attachments
            envelope_sender metadata merge_metadata merge_headers merge_data merge_global_data
            tags track_opens track_clicks send_at template_id suppression_scope
            esp_extra
        }
        fields.into()
    }

    /// Applies these defaults to a copy of `message`.
    #[must_use]
    pub fn under(&self, message: &Message) -> Message {
        self.below(message.clone())
    }

    /// Applies these defaults to a message, without copying data that is not shared.
    pub(super) fn below(&self, message: Message) -> Message {
        if self.is_empty() {
            return message;
        }
        let under = MessageFields::clone(&self.0);
        // Listed one by one, so that a new field does not compile until it has a rule.
        let MessageFields {
            from,
            to,
            cc,
            bcc,
            reply_to,
            subject,
            text_body,
            html_body,
            alternatives,
            headers,
            attachments,
            envelope_sender,
            metadata,
            merge_metadata,
            merge_headers,
            merge_data,
            merge_global_data,
            tags,
            track_opens,
            track_clicks,
            send_at,
            template_id,
            suppression_scope,
            esp_extra,
        } = message.into_fields();
        let extend = |mine: &mut IndexMap<_, _>, over| mine.extend(over);
        let fields = MessageFields {
            from: wins(under.from, from),
            to: lay(under.to, to, join),
            cc: lay(under.cc, cc, join),
            bcc: lay(under.bcc, bcc, join),
            reply_to: lay(under.reply_to, reply_to, join),
            subject: wins(under.subject, subject),
            text_body: wins(under.text_body, text_body),
            html_body: wins(under.html_body, html_body),
            alternatives: lay(under.alternatives, alternatives, join),
            headers: lay(under.headers, headers, |mine, over| mine.extend(&over)),
            attachments: lay(under.attachments, attachments, join),
            envelope_sender: wins(under.envelope_sender, envelope_sender),
            metadata: lay(under.metadata, metadata, extend),
            merge_metadata: lay(under.merge_metadata, merge_metadata, |mine, over| {
                mine.extend_with(over, extend);
            }),
            merge_headers: lay(under.merge_headers, merge_headers, |mine, over| {
                mine.extend_with(over, |mine, over| mine.extend(&over));
            }),
            merge_data: lay(under.merge_data, merge_data, |mine, over| {
                mine.extend_with(over, |mine, over| mine.extend(over));
            }),
            merge_global_data: lay(under.merge_global_data, merge_global_data, |mine, over| {
                mine.extend(over);
            }),
            tags: lay(under.tags, tags, join),
            track_opens: wins(under.track_opens, track_opens),
            track_clicks: wins(under.track_clicks, track_clicks),
            send_at: wins(under.send_at, send_at),
            template_id: wins(under.template_id, template_id),
            suppression_scope: wins(under.suppression_scope, suppression_scope),
            esp_extra: lay(under.esp_extra, esp_extra, deep),
        };
        fields.into()
    }
}

fn wins<T>(under: Field<T>, over: Field<T>) -> Field<T> {
    if over.is_unset() { under } else { over }
}

/// Merges two values if both fields have one; otherwise `over` wins.
fn lay<T>(under: Field<T>, over: Field<T>, merge: impl FnOnce(&mut T, T)) -> Field<T> {
    match (under, over) {
        (Field::Value(mut under), Field::Value(over)) => {
            merge(&mut under, over);
            Field::Value(under)
        }
        (under, over) => wins(under, over),
    }
}

fn join<T>(under: &mut Vec<T>, mut over: Vec<T>) {
    under.append(&mut over);
}

/// Merges objects recursively; anything else is replaced.
fn deep(under: &mut JsonMap, over: JsonMap) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => deep(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(value: Value) -> Message {
        serde_json::from_value(value).unwrap()
    }

    fn laid(under: Value, over: Value) -> Value {
        let defaults = SendDefaults::from(message(under));
        serde_json::to_value(defaults.under(&message(over))).unwrap()
    }

    #[test]
    fn lists_are_concatenated_default_first_and_maps_are_merged_by_key() {
        assert_eq!(
            laid(
                json!({"to": ["a@x.example"], "tags": ["t"], "metadata": {"a": "1", "b": "1"},
                    "headers": {"X-A": "1"}, "subject": "default"}),
                json!({"to": ["b@x.example"], "tags": ["u"], "metadata": {"b": "2"},
                    "headers": {"x-a": "2", "X-B": "2"}, "subject": "own"}),
            ),
            json!({"to": ["a@x.example", "b@x.example"], "tags": ["t", "u"],
                "metadata": {"a": "1", "b": "2"}, "headers": {"X-A": "2", "X-B": "2"},
                "subject": "own"})
        );
    }

    #[test]
    fn merge_fields_are_merged_by_recipient_and_key_and_esp_extra_deeply() {
        assert_eq!(
            laid(
                json!({"merge_data": {"A@x.example": {"n": 1, "m": 1}},
                    "merge_metadata": {"a@x.example": {"k": "1", "l": "1"}},
                    "merge_headers": {"a@x.example": {"X-A": "1"}},
                    "esp_extra": {"A": {"x": {"y": 1, "z": 1}}, "B": [1]}}),
                json!({"merge_data": {"a@X.example": {"n": 2}, "b@x.example": {}},
                    "merge_metadata": {"a@x.example": {"l": "2"}},
                    "merge_headers": {"a@x.example": {"x-a": "2"}},
                    "esp_extra": {"A": {"x": {"z": 2}}, "B": [2]}}),
            ),
            json!({"merge_data": {"A@x.example": {"n": 2, "m": 1}, "b@x.example": {}},
                "merge_metadata": {"a@x.example": {"k": "1", "l": "2"}},
                "merge_headers": {"a@x.example": {"X-A": "2"}},
                "esp_extra": {"A": {"x": {"y": 1, "z": 2}}, "B": [2]}})
        );
    }

    #[test]
    fn null_on_the_message_disables_a_default() {
        assert_eq!(
            laid(
                json!({"tags": ["t"], "track_opens": true, "subject": "default"}),
                json!({"tags": null, "track_opens": null}),
            ),
            json!({"tags": null, "track_opens": null, "subject": "default"})
        );
    }

    #[test]
    fn the_esps_own_defaults_replace_general_ones_field_by_field() {
        let general = message(json!({"tags": ["t"], "metadata": {"a": "1"}, "track_opens": true}));
        let esp = message(json!({"tags": ["esp"], "track_opens": null}));
        let both = SendDefaults::from(general).replaced_by(&SendDefaults::from(esp));
        assert_eq!(
            serde_json::to_value(both).unwrap(),
            json!({"tags": ["esp"], "metadata": {"a": "1"}, "track_opens": null})
        );
    }
}
