//! [`Message`] and its fields.
//!
//! `builder.rs` builds a message; `json.rs` parses its JSON form.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use time::OffsetDateTime;

use super::address::Address;
use super::attachment::{Attachment, AttachmentError, checked_media_type};
use super::fault::{Fault, FaultKind};
use super::field::Field;
use super::headers::Headers;
use super::merge::MergeMap;
use super::text::{excerpt, first_control};

/// Values that are sent with a message and reported back with its events, in order. ESPs accept
/// only strings; numbers and booleans given in JSON are converted.
pub type Metadata = IndexMap<String, String>;

/// A JSON object: template values, or options of one ESP.
pub type JsonMap = serde_json::Map<String, Value>;

/// The maximum nesting of JSON values in a message. serde_json reads at most 128 levels, and
/// writing or dropping deeper values could overflow the stack.
const MAX_JSON_DEPTH: usize = 120;

/// An email to send, in terms that every ESP shares.
///
/// Its fields are those of [`MessageFields`] and can be accessed directly: `message.subject`. Each
/// is a [`Field`]: unset (a send default may apply), never (the send default does not apply
/// either), or a value. Invalid parts, such as an invalid [`Address`] or a line break in a header,
/// cannot be constructed. Faults of the whole message are reported together by
/// [`MessageBuilder::build`](crate::MessageBuilder::build), and again by the
/// [`Mailer`](crate::Mailer) after defaults and hooks have been applied. Whether an ESP supports a
/// field depends on its [`Capabilities`](crate::Capabilities).
///
/// A message is plain data with a JSON form. The keys are the names of the fields. Addresses are
/// strings, alternatives are `[content, media type]`, attachments are objects with `filename`,
/// `content_base64`, `content_type` (null: guess), `inline` and `content_id`, and `send_at` is in
/// POSIX seconds (a fraction or an RFC 3339 string is also accepted). An absent key is unset,
/// `null` is never, and an unknown key is an error.
///
/// ```
/// use anymail_core::{Field, Message};
///
/// let mut message = Message::builder()
///     .from("Shop <shop@example.com>")
///     .to("\"Doe, Ann\" <ann@example.com>, bob@example.com")
///     .subject("Your receipt")
///     .text_body("Thank you.")
///     .tag("receipt")
///     .build()?;
/// message.track_opens = Field::Never; // whatever the send defaults say
///
/// let json = serde_json::to_string(&message)?;
/// assert_eq!(serde_json::from_str::<Message>(&json)?, message);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` shows addresses, the subject, names and sizes. It does not show bodies, the values of
/// headers, metadata and merge fields, or `esp_extra`, which may contain a token.
///
/// Cloning a message is cheap: clones share their fields until one of them is changed, which copies
/// them.
#[derive(Clone, PartialEq, Default)]
pub struct Message(Arc<MessageFields>);

/// The fields of a [`Message`].
#[derive(Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct MessageFields {
    /// The author. There is exactly one.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub from: Field<Address>,
    /// The recipients. In a batch, each gets its own message.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub to: Field<Vec<Address>>,
    /// Cc recipients, visible to all. In a batch, they get a copy of each message.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub cc: Field<Vec<Address>>,
    /// Bcc recipients, visible to nobody else. In a batch, they get a copy of each message.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub bcc: Field<Vec<Address>>,
    /// The addresses that replies go to.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub reply_to: Field<Vec<Address>>,
    /// The subject, a single line.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub subject: Field<String>,
    /// The plain-text body.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub text_body: Field<String>,
    /// The HTML body.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub html_body: Field<String>,
    /// The body in other media types. A `text/html` alternative becomes the HTML body if there is
    /// none.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub alternatives: Field<Vec<Alternative>>,
    /// Custom headers.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub headers: Field<Headers>,
    /// Files, attached or inline.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub attachments: Field<Vec<Attachment>>,
    /// The address that bounces go to, the `MAIL FROM` of RFC 5321. With most ESPs, only its domain
    /// is used.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub envelope_sender: Field<Address>,
    /// Values that are reported back with the message's events.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub metadata: Field<Metadata>,
    /// Metadata by recipient, which takes precedence over [`metadata`](Self::metadata). Makes a
    /// batch.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub merge_metadata: Field<MergeMap<Metadata>>,
    /// Headers by recipient, which take precedence over [`headers`](Self::headers). Makes a batch.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub merge_headers: Field<MergeMap<Headers>>,
    /// Template values by recipient, which take precedence over
    /// [`merge_global_data`](Self::merge_global_data). Makes a batch, even if it is empty.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub merge_data: Field<MergeMap<JsonMap>>,
    /// Template values for all recipients.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub merge_global_data: Field<JsonMap>,
    /// Single-line labels to find the message by at the ESP.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub tags: Field<Vec<String>>,
    /// Whether the ESP tracks opens.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub track_opens: Field<bool>,
    /// Whether the ESP tracks clicks.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub track_clicks: Field<bool>,
    /// When the ESP sends the message, to the second.
    #[serde(
        skip_serializing_if = "Field::is_unset",
        serialize_with = "write_send_at"
    )]
    pub send_at: Field<OffsetDateTime>,
    /// The ESP's name or number of a stored template.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub template_id: Field<String>,
    /// The stream or list that the message belongs to, for [suppressions](crate::SuppressionHook):
    /// a recipient who unsubscribed from it is left out, but not one who unsubscribed from another
    /// one. It is never sent to the ESP.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub suppression_scope: Field<String>,
    /// Options of one ESP, with the ESP's own names. May contain a token for this message, so be
    /// careful where you store the message's JSON.
    #[serde(skip_serializing_if = "Field::is_unset")]
    pub esp_extra: Field<JsonMap>,
}

fn write_send_at<S: Serializer>(
    at: &Field<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let seconds = at.value().map(|at| at.unix_timestamp());
    seconds.serialize(serializer)
}

/// The body in another media type, for example `text/x-amp-html`.
#[derive(Clone, PartialEq, Eq)]
pub struct Alternative {
    content: String,
    content_type: String,
}

impl Alternative {
    /// Creates a body with a media type.
    ///
    /// # Errors
    /// [`AttachmentError`] if the text is not a media type.
    pub fn new(content: impl Into<String>, content_type: &str) -> Result<Self, AttachmentError> {
        Ok(Self {
            content: content.into(),
            content_type: checked_media_type(content_type)?,
        })
    }

    /// The body.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The media type with its parameters.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Whether its media type, without parameters, is `essence`.
    pub fn is(&self, essence: &str) -> bool {
        let own = self.content_type.split(';').next().unwrap_or_default();
        own.trim().eq_ignore_ascii_case(essence)
    }
}

impl fmt::Debug for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.content_type, self.content.len())
    }
}

impl Serialize for Alternative {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.content, &self.content_type).serialize(serializer)
    }
}

impl Message {
    /// The fields, copied if another message shares them.
    pub(crate) fn into_fields(self) -> MessageFields {
        Arc::unwrap_or_clone(self.0)
    }
}

impl From<MessageFields> for Message {
    fn from(fields: MessageFields) -> Self {
        Self(Arc::new(fields))
    }
}

impl Deref for Message {
    type Target = MessageFields;

    fn deref(&self) -> &MessageFields {
        &self.0
    }
}

impl DerefMut for Message {
    /// Mutable access to the fields, copied first if another message shares them.
    fn deref_mut(&mut self) -> &mut MessageFields {
        Arc::make_mut(&mut self.0)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl MessageFields {
    /// Whether each address in `to` gets its own message and does not see the others: whether
    /// `merge_data`, `merge_metadata` or `merge_headers` is set, even if empty.
    pub fn is_batch(&self) -> bool {
        self.merge_data.value().is_some()
            || self.merge_metadata.value().is_some()
            || self.merge_headers.value().is_some()
    }

    /// All recipients: `to`, then `cc`, then `bcc`.
    pub fn recipients(&self) -> impl Iterator<Item = &Address> + Clone {
        let copies = self.cc.items().iter().chain(self.bcc.items());
        self.to.items().iter().chain(copies)
    }

    /// The faults that prevent any ESP from sending this message; empty if there are none.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.shape_faults();
        if self.from.value().is_none() {
            faults.push(Fault::new(
                FaultKind::MissingFrom,
                "from",
                "missing sender: set it on the message, or for all messages with the mailer's \
                 send_defaults (default_from in a configuration)",
            ));
        }
        if self.recipients().next().is_none() {
            faults.push(Fault::new(
                FaultKind::NoRecipients,
                "to",
                "no recipient in to, cc or bcc",
            ));
        } else if self.is_batch() && self.to.items().is_empty() {
            faults.push(Fault::new(
                FaultKind::NoRecipients,
                "to",
                "a batch sends one message to each address in to, which is empty",
            ));
        }
        faults
    }

    /// The faults that no send default can fix.
    pub(super) fn shape_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut look_at_line = |field, line: &str| {
            if let Some(c) = first_control(line) {
                let why = format!(
                    "{:?} contains the control character U+{:04X}",
                    excerpt(line),
                    u32::from(c)
                );
                faults.push(Fault::new(FaultKind::ControlCharacter, field, why));
            }
        };
        if let Some(subject) = self.subject.value() {
            look_at_line("subject", subject);
        }
        for tag in self.tags.items() {
            look_at_line("tags", tag);
        }
        if self
            .template_id
            .value()
            .is_some_and(|id| id.trim().is_empty())
        {
            faults.push(Fault::new(
                FaultKind::InvalidValue,
                "template_id",
                "must not be empty",
            ));
        }
        let mut look_at_json = |field, map: &JsonMap| {
            if is_too_deep(map) {
                let why = format!("the JSON is nested deeper than {MAX_JSON_DEPTH} levels");
                faults.push(Fault::new(FaultKind::InvalidValue, field, why));
            }
        };
        if let Some(map) = self.merge_data.value() {
            for (_, values) in map.iter() {
                look_at_json("merge_data", values);
            }
        }
        if let Some(map) = self.merge_global_data.value() {
            look_at_json("merge_global_data", map);
        }
        if let Some(map) = self.esp_extra.value() {
            look_at_json("esp_extra", map);
        }
        faults
    }

    /// Moves every value to where backends expect it: the first HTML alternative becomes the HTML
    /// body if there is none, and `send_at` is rounded down to a second.
    pub(super) fn normalize(&mut self) {
        if let Some(at) = self.stray_html()
            && let Some(alternatives) = self.alternatives.value_mut()
        {
            self.html_body = Field::Value(alternatives.remove(at).content);
        }
        if let Some(at) = self.send_at.value_mut() {
            *at = OffsetDateTime::from_unix_timestamp(at.unix_timestamp()).unwrap_or(*at);
        }
    }

    /// The alternative that becomes the HTML body.
    fn stray_html(&self) -> Option<usize> {
        if self.html_body.value().is_some() {
            return None;
        }
        let mut alternatives = self.alternatives.items().iter();
        alternatives.position(|part| part.is("text/html"))
    }
}

impl Message {
    /// Moves every value to where backends expect it, without copying existing values.
    pub(crate) fn normalize(&mut self) {
        let precise = |at: &OffsetDateTime| at.nanosecond() != 0;
        if self.stray_html().is_some() || self.send_at.value().is_some_and(precise) {
            MessageFields::normalize(self);
        }
    }
}

/// Walks without recursion, because the depth may be too large for the stack.
fn is_too_deep(map: &JsonMap) -> bool {
    let mut open: Vec<(&Value, usize)> = map.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = open.pop() {
        if depth > MAX_JSON_DEPTH {
            return true;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => open.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    false
}

impl fmt::Debug for MessageFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Message");
        let mut show = |name: &str, set: bool, value: &dyn fmt::Debug| {
            if set {
                out.field(name, value);
            }
        };
        macro_rules! fields {
            ($($name:ident: $value:expr;)*) => {
                $(show(stringify!($name), !self.$name.is_unset(), $value);)*
            };
        }
        let size = |body: &Field<String>| body.value().map(|b| format!("{} bytes", b.len()));
        let keys = |map: Option<&JsonMap>| map.map(|m| m.keys().cloned().collect::<Vec<_>>());
        fields! {
            from: &self.from;
            to: &self.to;
            cc: &self.cc;
            bcc: &self.bcc;
            reply_to: &self.reply_to;
            subject: &self.subject;
            text_body: &size(&self.text_body);
            html_body: &size(&self.html_body);
            alternatives: &self.alternatives;
            headers: &self.headers;
            attachments: &self.attachments;
            envelope_sender: &self.envelope_sender;
            metadata: &self.metadata.value().map(|m| m.keys().cloned().collect::<Vec<_>>());
            merge_metadata: &self.merge_metadata;
            merge_headers: &self.merge_headers;
            merge_data: &self.merge_data;
            merge_global_data: &keys(self.merge_global_data.value());
            tags: &self.tags;
            track_opens: &self.track_opens;
            track_clicks: &self.track_clicks;
            send_at: &self.send_at;
            template_id: &self.template_id;
            suppression_scope: &self.suppression_scope;
            esp_extra: &keys(self.esp_extra.value());
        }
        out.finish()
    }
}
