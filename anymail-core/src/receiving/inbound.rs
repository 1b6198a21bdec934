//! [`InboundMessage`]: an email that an ESP received.
//!
//! `mime.rs` parses raw messages; each backend converts its ESP's own fields.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use super::content::{Content, Encoding};
use super::inbound_address::InboundAddress;
use super::parameters::Parameters;
use super::raw::RawBytes;
use super::words::clean;

/// An email that an ESP received, with what the ESP says about it.
///
/// It contains whatever the sender wrote, as far as it can be read: an inbound message is never
/// refused because it is malformed. Missing values are `None` or empty. Attachments and bodies are
/// kept encoded and decoded on demand; cloning copies none of them.
///
/// Everything except the envelope, the spam verdict and the mailbox hash was written by the sender,
/// who may lie, including about their identity.
///
/// ```
/// use anymail_core::InboundMessage;
///
/// let mail = InboundMessage::from_raw(
///     "From: =?utf-8?q?Ren=C3=A9?= <rene@example.org>\n\
///      To: help@example.com\n\
///      Subject: Broken pipe\n\
///      \n\
///      It drips.\n",
/// );
/// assert_eq!(mail.from[0].to_string(), "René <rene@example.org>");
/// assert_eq!(mail.subject.as_deref(), Some("Broken pipe"));
/// assert_eq!(mail.text().as_deref(), Some("It drips.\n"));
/// assert_eq!(mail.header("to"), Some("help@example.com"));
/// ```
///
/// A message is plain data and can be serialized (with attachments decoded, in base64) and
/// deserialized. `Debug` shows addresses, the subject, names and sizes, but no body and no header.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InboundMessage {
    /// The address that bounces go to (the `MAIL FROM` of RFC 5321); empty for a message that is
    /// itself a bounce. `None` if the ESP did not say.
    pub envelope_sender: Option<String>,
    /// The address that it was delivered to (the `RCPT TO` of RFC 5321), whether or not it is in a
    /// header.
    pub envelope_recipient: Option<String>,
    /// The text after the `+` of the envelope recipient.
    pub mailbox_hash: Option<String>,
    /// The authors.
    pub from: Vec<InboundAddress>,
    /// The recipients in the `To` header.
    pub to: Vec<InboundAddress>,
    /// The recipients in the `Cc` header.
    pub cc: Vec<InboundAddress>,
    /// Recipients that are in no other header, if the ESP knows them.
    pub bcc: Vec<InboundAddress>,
    /// The addresses that replies go to. If empty, replies go to the authors.
    pub reply_to: Vec<InboundAddress>,
    /// The subject.
    pub subject: Option<String>,
    /// When it was written, according to the sender.
    #[serde(with = "time::serde::rfc3339::option")]
    pub date: Option<OffsetDateTime>,
    /// The names and values of all headers, in order, including repeated ones; unfolded, and with
    /// encoded words (RFC 2047) decoded. At most 1,000.
    pub headers: Vec<(String, String)>,
    /// The plain text without quotes and signature, if the ESP provides it.
    pub stripped_text: Option<String>,
    /// The HTML without quotes and signature, if the ESP provides it.
    pub stripped_html: Option<String>,
    /// Whether the ESP classified it as spam. `None` if the ESP did not say.
    pub spam_detected: Option<bool>,
    /// The ESP's spam score. Its scale depends on the ESP.
    pub spam_score: Option<f64>,
    /// The raw message, if the ESP provides it.
    pub raw: Option<RawBytes>,
    pub(super) text: Option<Body>,
    pub(super) html: Option<Body>,
    pub(super) attachments: Vec<InboundAttachment>,
}

impl InboundMessage {
    /// The plain-text body, with the line ends of the message. `None` if it is missing or empty.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.text.as_ref().and_then(Body::text)
    }

    /// Sets the plain-text body.
    pub fn set_text(&mut self, text: impl Into<String>) {
        self.text = Some(Body::from(text.into()));
    }

    /// The HTML body. `None` if it is missing or empty. It is written by the sender, so sanitize it
    /// before you show it.
    pub fn html(&self) -> Option<Cow<'_, str>> {
        self.html.as_ref().and_then(Body::text)
    }

    /// Sets the HTML body.
    pub fn set_html(&mut self, html: impl Into<String>) {
        self.html = Some(Body::from(html.into()));
    }

    /// The attachments, in order, without inline ones.
    pub fn attachments(&self) -> impl Iterator<Item = &InboundAttachment> {
        self.attachments.iter().filter(|part| !part.inline)
    }

    /// The inline parts, in order: images of the HTML body and further texts.
    pub fn inlines(&self) -> impl Iterator<Item = &InboundAttachment> {
        self.attachments.iter().filter(|part| part.inline)
    }

    /// Adds an attachment or inline part.
    pub fn attach(&mut self, part: InboundAttachment) {
        self.attachments.push(part);
    }

    /// The first value of a header. The name is case-insensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).next()
    }

    /// All values of a header, in order (for `Received`, the outermost comes first).
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| &**value)
    }

    /// The `Message-ID` header, with its angle brackets.
    pub fn message_id(&self) -> Option<&str> {
        self.header("Message-ID").filter(|id| !id.is_empty())
    }
}

impl fmt::Debug for InboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundMessage")
            .field("envelope_sender", &self.envelope_sender)
            .field("envelope_recipient", &self.envelope_recipient)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("cc", &self.cc)
            .field("bcc", &self.bcc)
            .field("subject", &self.subject)
            .field("date", &self.date)
            .field("headers", &self.headers.len())
            .field("spam_detected", &self.spam_detected)
            .field("spam_score", &self.spam_score)
            .field("has_text", &self.text.is_some())
            .field("has_html", &self.html.is_some())
            .field("attachments", &self.attachments)
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

/// An attachment or inline part of an inbound message.
#[derive(Clone)]
pub struct InboundAttachment {
    filename: Option<String>,
    content_type: String,
    charset: Option<String>,
    content_id: Option<String>,
    inline: bool,
    content: Content,
}

impl InboundAttachment {
    /// Creates an attachment from its content and its `Content-Type`, whose parameters may give
    /// charset and name. An invalid type becomes `application/octet-stream`.
    pub fn new(content: impl Into<Bytes>, content_type: &str) -> Self {
        Self::encoded(
            content_type,
            Content::new(content.into(), Encoding::Identity),
        )
    }

    /// Creates an attachment from base64 content, which is decoded on demand.
    pub fn from_base64(content: impl Into<Bytes>, content_type: &str) -> Self {
        Self::encoded(content_type, Content::new(content.into(), Encoding::Base64))
    }

    pub(super) fn encoded(content_type: &str, content: Content) -> Self {
        let read = Parameters::read(content_type);
        let subtype = read.as_ref().and_then(|read| read.subtype());
        let attribute = |name| Some(read.as_ref()?.value(name)?.to_owned());
        let part = Self {
            filename: None,
            content_type: match (&read, subtype) {
                (Some(read), Some(subtype)) => format!("{}/{subtype}", read.kind()),
                _ => "application/octet-stream".to_owned(),
            },
            charset: attribute("charset"),
            content_id: None,
            inline: false,
            content,
        };
        part.with_filename(&attribute("name").unwrap_or_default())
    }

    /// Converts the part into the text or HTML body of a message.
    pub(super) fn as_body(&self) -> Body {
        Body {
            content: self.content.clone(),
            charset: self.charset.clone(),
        }
    }

    /// Sets the filename. Line breaks become spaces; an empty name is removed.
    #[must_use]
    pub fn with_filename(mut self, filename: &str) -> Self {
        let filename = clean(filename.trim());
        self.filename = Some(filename.into_owned()).filter(|name| !name.is_empty());
        self
    }

    /// Sets the content ID, without its angle brackets; an empty ID is removed.
    #[must_use]
    pub fn with_content_id(mut self, id: &str) -> Self {
        let id = id.trim().trim_start_matches('<').trim_end_matches('>');
        self.content_id = Some(clean(id).into_owned()).filter(|id| !id.is_empty());
        self
    }

    /// Sets whether the part is shown inline.
    #[must_use]
    pub fn with_inline(mut self, inline: bool) -> Self {
        self.inline = inline;
        self
    }

    /// The filename, if any. The sender chose it: it may contain `/` and `..`, so do not use it as
    /// a path.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The media type in lower case, without parameters.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The charset that the media type names.
    pub fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }

    /// The content ID without angle brackets, with which the HTML body shows the part (`cid:`).
    pub fn content_id(&self) -> Option<&str> {
        self.content_id.as_deref()
    }

    /// Whether it is shown in the body instead of being listed next to it.
    pub fn is_inline(&self) -> bool {
        self.inline
    }

    /// The content, decoded by this call. Invalid encoding is decoded as far as possible.
    pub fn content(&self) -> Bytes {
        self.content.decode()
    }

    /// The content as text, according to its charset.
    pub fn text(&self) -> String {
        self.content.text(self.charset()).into_owned()
    }
}

/// Two attachments are equal if their decoded contents are, whatever their encodings.
impl PartialEq for InboundAttachment {
    fn eq(&self, other: &Self) -> bool {
        let facts = |part: &Self| {
            let text = [&part.filename, &part.charset, &part.content_id].map(Clone::clone);
            (text, part.content_type.clone(), part.inline)
        };
        facts(self) == facts(other) && self.content() == other.content()
    }
}

impl fmt::Debug for InboundAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundAttachment")
            .field("filename", &self.filename)
            .field("content_type", &self.content_type)
            .field("content_id", &self.content_id)
            .field("inline", &self.inline)
            .field("encoded_bytes", &self.content.encoded_len())
            .finish()
    }
}

#[derive(Serialize, Deserialize)]
struct AttachmentForm<T> {
    filename: Option<T>,
    content_type: T,
    charset: Option<T>,
    content_id: Option<T>,
    inline: bool,
    content_base64: String,
}

impl Serialize for InboundAttachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = AttachmentForm {
            filename: self.filename(),
            content_type: self.content_type(),
            charset: self.charset(),
            content_id: self.content_id(),
            inline: self.inline,
            content_base64: STANDARD.encode(self.content()),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InboundAttachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = AttachmentForm::<String>::deserialize(deserializer)?;
        Ok(Self {
            filename: form.filename,
            content_type: form.content_type,
            charset: form.charset,
            content_id: form.content_id,
            inline: form.inline,
            content: Content::new(form.content_base64.into(), Encoding::Base64),
        })
    }
}

/// The text or the HTML body, in its encoding and charset.
#[derive(Clone)]
pub(super) struct Body {
    content: Content,
    charset: Option<String>,
}

impl Body {
    fn text(&self) -> Option<Cow<'_, str>> {
        Some(self.content.text(self.charset.as_deref())).filter(|text| !text.is_empty())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self {
            content: Content::new(text.into(), Encoding::Identity),
            charset: None,
        }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().unwrap_or_default().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
