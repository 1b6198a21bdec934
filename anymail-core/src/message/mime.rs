//! A [`Message`] in the form of RFC 5322, for files and SMTP: [`Mime`].
//!
//! How one message is made of a batch for each recipient lives in `sending/copies.rs`. The
//! encoding is `mail-builder`'s; it writes header names and domains as they are, so what it is
//! given has been checked by this crate's types and put into ASCII here.

mod labels;
mod parts;

use std::slice;

use mail_builder::MessageBuilder;
use mail_builder::headers::raw::Raw;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Address, Message};

/// A message as it is stored in a file or given to an SMTP server.
///
/// `Debug` shows the id and the size.
#[derive(Clone, PartialEq, Eq)]
pub struct Mime {
    message_id: String,
    bytes: Vec<u8>,
}

impl Mime {
    /// What its `Message-ID` header says, without the angle brackets.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The whole, from the first header to the last boundary, with CR LF at every line's end.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, to keep.
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
    /// The message in the form of RFC 5322 (feature `mime`, on by default).
    ///
    /// Bodies become `multipart/alternative`, plain text first; with inline parts around it
    /// `multipart/related`, with attachments around that `multipart/mixed`. `Date` is now.
    /// `Message-ID` is the custom header of that name where there is one, else a new one in
    /// the sender's domain. International domains are put into ASCII; international local
    /// parts stay as they are (RFC 6532).
    ///
    /// Text bodies are lines that end with CR LF, the canonical form of RFC 2046, section 4.1.1:
    /// LF becomes CR LF. A CR by itself is no line end and stays what it is; a text that holds one,
    /// or a NUL, goes in base64. Such a text is always in UTF-8 and says so, whatever charset its
    /// media type was given with. An alternative of another type than `text/*`, and every
    /// attachment, arrives byte for byte.
    ///
    /// Subjects, names and file names are read back as they are, including those that look like
    /// an encoded word (RFC 2047). The value of a custom header goes as it is if it is ASCII, so
    /// encoded words in it are decoded by readers, and white space around it is left out. No line
    /// is longer than 998 bytes.
    ///
    /// An attached mail (`message/rfc822`) and the other `message` and `multipart` types go as
    /// they are, with CR LF as their line ends, since no encoding is allowed for them. One that has
    /// bytes beyond ASCII or lines of more than 998 bytes, and so would need one, goes as
    /// `application/octet-stream`, under its name. So does a `multipart` that does not hold the
    /// boundary which its media type states.
    ///
    /// Not written is what has no place in such a mail: `bcc` and the envelope sender, which
    /// belong to the envelope, and all that is an ESP's business (metadata, tags, tracking,
    /// `send_at`, the template, merge fields, `esp_extra`). Of a batch, take each recipient's
    /// copy: [`PreparedMessage::copies`](crate::PreparedMessage::copies).
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

    /// The same with an id and a time that are known.
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
