//! [`SentMessage`]: an accepted message, for tests to inspect.
//!
//! `email.rs` and `sending.rs` create it from a request.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

/// A message that the fake Postmark has accepted.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SentMessage {
    /// Postmark's message ID, a UUID in lower case.
    pub id: String,
    /// When it was accepted, as in the response: UTC, seven subsecond digits, `Z`.
    pub submitted_at: String,
    /// The sender.
    pub from: Mailbox,
    /// The recipients in To, inactive ones included.
    pub to: Vec<Mailbox>,
    /// The recipients in Cc, inactive ones included.
    pub cc: Vec<Mailbox>,
    /// The recipients in Bcc, inactive ones included.
    pub bcc: Vec<Mailbox>,
    /// The Reply-To addresses.
    pub reply_to: Vec<Mailbox>,
    /// The subject, rendered if it comes from a template.
    pub subject: String,
    /// The plain text body, rendered if it comes from a template.
    pub text_body: Option<String>,
    /// The HTML body, rendered if it comes from a template. Unlike Postmark, the fake does not inline
    /// CSS.
    pub html_body: Option<String>,
    /// The custom headers, in order.
    pub headers: Vec<(String, String)>,
    /// The attachments, decoded.
    pub attachments: Vec<SentAttachment>,
    /// The metadata.
    pub metadata: BTreeMap<String, String>,
    /// The tag.
    pub tag: Option<String>,
    /// The message stream's ID.
    pub stream: String,
    /// Whether opens are tracked.
    pub track_opens: bool,
    /// `None`, `HtmlAndText`, `HtmlOnly` or `TextOnly`.
    pub track_links: String,
    /// The ID or alias of the template, as given.
    pub template: Option<String>,
    /// The values for the template.
    pub template_model: Option<Value>,
    /// Why the template could not be rendered. Such a message bounces.
    pub render_error: Option<String>,
    /// The ID of the bulk request that contained the message.
    pub bulk_id: Option<String>,
    /// The recipients, in lower case, that do not get the message because they are suppressed on its
    /// stream.
    pub inactive: Vec<String>,
    /// The path of the request, such as `email/batch`, or `smtp`.
    pub endpoint: &'static str,
    /// The message's own JSON from the request; in a batch, its row. For a message over SMTP, the
    /// equivalent JSON for `POST email`.
    pub request: Value,
    /// The raw message that arrived over SMTP; `None` for a message over HTTP.
    pub raw_mime: Option<Bytes>,
    /// Why a message that got the reply 250 over SMTP is not sent, with Postmark's error code. Set only
    /// in [`FakePostmark::refused`](crate::FakePostmark::refused).
    pub refusal: Option<String>,
    pub(super) accepted_at: Instant,
}

impl SentMessage {
    /// Returns all recipients who get the message: To, Cc and Bcc without the inactive ones. A refused
    /// message has none.
    pub fn recipients(&self) -> impl Iterator<Item = &Mailbox> {
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.filter(|mailbox| self.refusal.is_none() && !self.inactive.contains(&mailbox.key()))
    }

    /// Returns the value of a custom header. The name is not case-sensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }
}

/// Shows IDs and addresses, but no subject, body or header.
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
    /// Returns the address in lower case, which identifies it in suppressions.
    pub fn key(&self) -> String {
        self.email.to_lowercase()
    }

    pub(super) fn domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Writes `"Name" <address>` as Postmark does, or the address alone.
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
    /// The filename.
    pub name: String,
    /// The decoded bytes.
    pub content: Bytes,
    /// The media type, as given.
    pub content_type: String,
    /// The content ID of an inline attachment, without `cid:`.
    pub content_id: Option<String>,
}

/// Shows the length of the content instead of the content.
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
