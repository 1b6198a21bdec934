//! Converts a [`Message`] to the form of RFC 5322, for files and SMTP: [`Mime`].
//!
//! `sending/copies.rs` splits a batch into one message for each recipient. `mail-builder` does the
//! encoding. It writes header names and domains unchanged, so they have been validated by this
//! crate's types and are converted to ASCII here.

mod labels;
mod parts;

use std::slice;

use mail_builder::MessageBuilder;
use mail_builder::headers::raw::Raw;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Address, Message};

/// A message in the form in which it is stored in a file or passed to an SMTP server.
///
/// `Debug` shows the ID and the size.
#[derive(Clone, PartialEq, Eq)]
pub struct Mime {
    message_id: String,
    bytes: Vec<u8>,
}

impl Mime {
    /// The value of its `Message-ID` header, without the angle brackets.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The whole message, from the first header to the last boundary, with CR LF line ends.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Converts it into the bytes of the whole message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::fmt::Debug for Mime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mime({}, {} bytes)", self.message_id, self.bytes.len())
    }
}

impl Message {
    /// Converts the message to the form of RFC 5322 (feature `mime`).
    ///
    /// Bodies become `multipart/alternative`, with the plain text first; inline parts wrap it in
    /// `multipart/related`, and attachments wrap that in `multipart/mixed`. `Date` is the current
    /// time. `Message-ID` is the custom header with that name, or else a new ID in the sender's
    /// domain. International domains are converted to ASCII; non-ASCII local parts are unchanged
    /// (RFC 6532).
    ///
    /// Text bodies consist of lines that end with CR LF, the canonical form of RFC 2046, section
    /// 4.1.1: LF becomes CR LF. A lone CR is not a line end and is kept; a text with one, or with a
    /// NUL, is encoded in base64. Text is always encoded and declared as UTF-8, whatever charset
    /// its media type had. Alternatives of types other than `text/*`, and all attachments, arrive
    /// byte for byte.
    ///
    /// Subjects, names and filenames are preserved exactly, even those that look like an encoded
    /// word (RFC 2047). The value of a custom header is written unchanged if it is ASCII, so mail
    /// clients decode encoded words in it, and surrounding white space is removed. No line is
    /// longer than 998 bytes.
    ///
    /// Attached emails (`message/rfc822`) and other `message` and `multipart` types are written
    /// unchanged, with CR LF line ends, because they must not be encoded. One with non-ASCII bytes
    /// or with lines of more than 998 bytes would need encoding, so it is written as
    /// `application/octet-stream` with its filename. So is a `multipart` that does not contain the
    /// boundary that its media type states.
    ///
    /// Values that have no place in an email are not written: `bcc` and the envelope sender, which
    /// belong to the envelope, and everything that an ESP acts on (metadata, tags, tracking,
    /// `send_at`, the template, merge fields, `esp_extra`). For a batch, use each recipient's copy:
    /// [`PreparedMessage::copies`](crate::PreparedMessage::copies).
    ///
    /// ```
    /// use anymail_core::Message;
    ///
    /// let message = Message::builder()
    ///     .from("Shop <shop@example.com>")
    ///     .to("ann@příklad.cz")
    ///     .subject("Your receipt")
    ///     .text_body("Thank you.")
    ///     .build()?;
    /// let mime = message.to_mime();
    /// let text = String::from_utf8_lossy(mime.bytes());
    /// assert!(mime.message_id().ends_with("@example.com"));
    /// assert!(text.contains("To: <ann@xn--pklad-zsa96e.cz>\r\n"));
    /// # Ok::<(), anymail_core::MessageError>(())
    /// ```
    pub fn to_mime(&self) -> Mime {
        self.to_mime_as(Uuid::now_v7(), OffsetDateTime::now_utc())
    }

    /// Converts the message with a given ID and time.
    pub(crate) fn to_mime_as(&self, id: Uuid, at: OffsetDateTime) -> Mime {
        let own_id = self.headers.value().and_then(|h| h.get("Message-ID"));
        let (message_id, id_header) = match own_id {
            Some(given) => (bare_id(given), labels::value("Message-ID", given)),
            None => {
                let domain = self.from.value().map_or("localhost", Address::ascii_domain);
                let id = format!("{id}@{domain}");
                let header = format!("<{id}>");
                (id, Raw::new(header).into())
            }
        };
        let mut mail = MessageBuilder::new()
            .date(at.unix_timestamp())
            .header("Message-ID", id_header);
        if let Some(from) = self.from.value() {
            mail = mail.header("From", labels::mailboxes(slice::from_ref(from)));
        }
        for (name, list) in [
            ("To", &self.to),
            ("Cc", &self.cc),
            ("Reply-To", &self.reply_to),
        ] {
            if !list.items().is_empty() {
                mail = mail.header(name, labels::mailboxes(list.items()));
            }
        }
        if let Some(subject) = self.subject.value() {
            mail = mail.header("Subject", labels::line("Subject", subject));
        }
        for (name, value) in self.headers.value().into_iter().flat_map(|h| h.iter()) {
            if !name.eq_ignore_ascii_case("Message-ID") {
                mail = mail.header(name, labels::value(name, value));
            }
        }
        let mut bytes = Vec::new();
        mail.body(self.parts()).serialize(&mut bytes);
        Mime { message_id, bytes }
    }
}

fn bare_id(header: &str) -> String {
    let id = header.trim();
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inner.unwrap_or(id).to_owned()
}
