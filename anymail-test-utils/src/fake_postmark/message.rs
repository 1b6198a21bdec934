//! [`SentMessage`]: what the fake has accepted, as a test wants to see it.
//!
//! How a request becomes one is in `email.rs` and `sending.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

/// A message that the fake Postmark has accepted.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SentMessage {
    /// Postmark's message id, a UUID in lower case.
    pub id: String,
    /// When it was accepted, as the answer said it: UTC, seven digits of a second, `Z`.
    pub submitted_at: String,
    /// The sender.
    pub from: Mailbox,
    /// The recipients in To, inactive ones included.
    pub to: Vec<Mailbox>,
    /// The recipients in Cc, inactive ones included.
    pub cc: Vec<Mailbox>,
    /// The recipients in Bcc, inactive ones included.
    pub bcc: Vec<Mailbox>,
    /// Where answers go.
    pub reply_to: Vec<Mailbox>,
    /// The subject; a template's is rendered.
    pub subject: String,
    /// The text body; a template's is rendered.
    pub text_body: Option<String>,
    /// The HTML body; a template's is rendered. CSS is not inlined, unlike Postmark's.
    pub html_body: Option<String>,
    /// The custom headers, in order.
    pub headers: Vec<(String, String)>,
    /// The attachments, decoded.
    pub attachments: Vec<SentAttachment>,
    /// The metadata.
    pub metadata: BTreeMap<String, String>,
    /// The tag.
    pub tag: Option<String>,
    /// The message stream's id.
    pub stream: String,
    /// Whether opens are tracked.
    pub track_opens: bool,
    /// `None`, `HtmlAndText`, `HtmlOnly` or `TextOnly`.
    pub track_links: String,
    /// The id or alias of the template, as given.
    pub template: Option<String>,
    /// The values for the template.
    pub template_model: Option<Value>,
    /// Why the template could not be rendered: the message will bounce.
    pub render_error: Option<String>,
    /// The id of the bulk request it came with.
    pub bulk_id: Option<String>,
    /// Recipients that it will not be delivered to, in lower case: they are suppressed on its
    /// stream.
    pub inactive: Vec<String>,
    /// The path it came to, such as `email/batch`; `smtp` for a mail that came by SMTP.
    pub endpoint: &'static str,
    /// The message's own JSON, as it came: a batch's is its row. Of a mail that came by SMTP,
    /// the JSON that says the same to `POST email`.
    pub request: Value,
    /// The bytes of a mail that came by SMTP, as they came; `None` of a message by HTTP.
    pub raw_mime: Option<Bytes>,
    /// Why a mail is not sent that the SMTP server has answered with 250, with Postmark's error
    /// code. Only in [`FakePostmark::refused`](crate::FakePostmark::refused).
    pub refusal: Option<String>,
    pub(super) accepted_at: Instant,
}

impl SentMessage {
    /// All recipients it will be delivered to: To, Cc and Bcc without the inactive. None of a
    /// message that is refused.
    pub fn recipients(&self) -> impl Iterator<Item = &Mailbox> {
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.filter(|mailbox| self.refusal.is_none() && !self.inactive.contains(&mailbox.key()))
    }

    /// A custom header's value, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }
}

/// Ids and addresses; no subject, body or header.
impl fmt::Debug for SentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentMessage")
            .field("id", &self.id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("cc", &self.cc)
            .field("bcc", &self.bcc)
            .field("stream", &self.stream)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// An address with its display name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Mailbox {
    /// The display name, without quotes; empty if there is none.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Mailbox {
    /// The address in lower case: what suppressions are compared by.
    pub fn key(&self) -> String {
        self.email.to_lowercase()
    }

    pub(super) fn domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// `"Name" <address>`, as Postmark writes it; or the address alone.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return f.write_str(&self.email);
        }
        let name = self.name.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{name}\" <{}>", self.email)
    }
}

/// An attachment of a [`SentMessage`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentAttachment {
    /// The file name.
    pub name: String,
    /// The decoded bytes.
    pub content: Bytes,
    /// The media type, as given.
    pub content_type: String,
    /// The content id, without `cid:`, of one that the HTML shows.
    pub content_id: Option<String>,
}

/// The length of the content instead of the content.
impl fmt::Debug for SentAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentAttachment")
            .field("name", &self.name)
            .field("content_type", &self.content_type)
            .field("content_id", &self.content_id)
            .field("bytes", &self.content.len())
            .finish()
    }
}
