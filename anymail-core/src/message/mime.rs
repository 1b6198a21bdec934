//! A [`Message`] in the form of RFC 5322, for files and SMTP: [`Mime`].
//!
//! How one message is made of a batch for each recipient lives in `sending/copies.rs`. The
//! encoding is `mail-builder`'s; it writes header names and domains as they are, so what it is
//! given has been checked by this crate's types and put into ASCII here.

use std::borrow::Cow;

use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as MimeAddress;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Address, Alternative, Attachment, Field, Message};

/// RFC 5322, 2.1.1, allows 998 octets in a line. A word that comes near it cannot be folded,
/// only encoded.
const MAX_WORD: usize = 900;

/// The longest line of a mail, without its CR LF (RFC 5322, 2.1.1).
const MAX_LINE: usize = 998;

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
    /// An attached mail (`message/rfc822`) and the other `message` and `multipart` types go as
    /// they are, with CR LF as their line ends, since no encoding is allowed for them. One that has
    /// bytes beyond ASCII or lines of more than 998 bytes, and so would need one, goes as
    /// `application/octet-stream`, under its name.
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
            Some(given) => (bare_id(given), given.to_owned()),
            None => {
                let domain = self.from.value().map_or("localhost", Address::ascii_domain);
                let id = format!("{id}@{domain}");
                let header = format!("<{id}>");
                (id, header)
            }
        };
        let mut mail = MessageBuilder::new()
            .date(at.unix_timestamp())
            .header("Message-ID", Raw::new(id_header));
        if let Some(from) = self.from.value() {
            mail = mail.from(mailbox(from));
        }
        for (name, list) in [
            ("To", &self.to),
            ("Cc", &self.cc),
            ("Reply-To", &self.reply_to),
        ] {
            if !list.items().is_empty() {
                let mailboxes = list.items().iter().map(mailbox).collect();
                mail = mail.header(name, MimeAddress::new_list(mailboxes));
            }
        }
        if let Some(subject) = self.subject.value() {
            mail = mail.subject(subject.as_str());
        }
        for (name, value) in self.headers.value().into_iter().flat_map(|h| h.iter()) {
            if !name.eq_ignore_ascii_case("Message-ID") {
                mail = mail.header(name, header_value(value));
            }
        }
        let mut bytes = Vec::new();
        mail.body(self.parts()).serialize(&mut bytes);
        Mime { message_id, bytes }
    }

    /// The body with all that belongs to it.
    fn parts(&self) -> MimePart<'_> {
        let (inline, attached): (Vec<_>, Vec<_>) = self
            .attachments
            .items()
            .iter()
            .partition(|part| part.is_inline() && filled(&self.html_body).is_some());
        let mut body = self.bodies();
        if !inline.is_empty() {
            let root = if filled(&self.text_body).is_some() {
                "multipart/alternative"
            } else {
                "text/html"
            };
            let kind = ContentType::new("multipart/related").attribute("type", root);
            let parts = inline.into_iter().map(file);
            body = Some(MimePart::new(
                kind,
                body.into_iter().chain(parts).collect::<Vec<_>>(),
            ));
        }
        if !attached.is_empty() {
            let parts = attached.into_iter().map(file);
            body = Some(MimePart::new(
                "multipart/mixed",
                body.into_iter().chain(parts).collect::<Vec<_>>(),
            ));
        }
        body.unwrap_or_else(|| text("text/plain", ""))
    }

    /// The body in all its media types, the plainest first (RFC 2046, 5.1.4). AMP stands before
    /// HTML: a reader that knows neither AMP nor better shows the last part.
    fn bodies(&self) -> Option<MimePart<'_>> {
        let amp = |part: &&Alternative| part.is("text/x-amp-html");
        let alternatives = self.alternatives.items().iter();
        let mut parts = Vec::new();
        parts.extend(filled(&self.text_body).map(|body| text("text/plain", body)));
        parts.extend(alternatives.clone().filter(amp).map(other));
        parts.extend(filled(&self.html_body).map(|body| text("text/html", body)));
        parts.extend(alternatives.filter(|part| !amp(part)).map(other));
        if parts.len() > 1 {
            return Some(MimePart::new("multipart/alternative", parts));
        }
        parts.pop()
    }
}

fn other(part: &Alternative) -> MimePart<'_> {
    text(part.content_type(), part.content())
}

fn filled(body: &Field<String>) -> Option<&str> {
    body.value()
        .map(String::as_str)
        .filter(|body| !body.is_empty())
}

fn bare_id(header: &str) -> String {
    let id = header.trim();
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inner.unwrap_or(id).to_owned()
}

fn mailbox(address: &Address) -> MimeAddress<'_> {
    MimeAddress::new_address(address.name(), address.ascii_email())
}

/// A value in ASCII goes as it is, folded at its spaces: encoded, a `List-Unsubscribe` would be
/// none any more.
fn header_value(value: &str) -> HeaderType<'_> {
    let foldable = value.split([' ', '\t']).all(|word| word.len() <= MAX_WORD);
    if value.is_ascii() && foldable {
        Raw::new(value).into()
    } else {
        Text::new(value).into()
    }
}

fn text<'a>(content_type: &'a str, body: &'a str) -> MimePart<'a> {
    let is_text = content_type
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    let has_charset = content_type.to_ascii_lowercase().contains("charset=");
    let header = if is_text && !has_charset {
        Cow::Owned(format!("{content_type}; charset=utf-8"))
    } else {
        Cow::Borrowed(content_type)
    };
    part(header, body_part(body))
}

/// Text keeps readable where it can. What no text line may hold (RFC 2045, 2.7) goes as bytes,
/// in base64.
fn body_part(body: &str) -> BodyPart<'_> {
    let bare_cr = || {
        let mut after_cr = body.split('\r').skip(1);
        after_cr.any(|rest| !rest.starts_with('\n'))
    };
    if body.contains('\0') || bare_cr() {
        BodyPart::Binary(Cow::Borrowed(body.as_bytes()))
    } else {
        BodyPart::Text(Cow::Borrowed(body))
    }
}

fn file(attachment: &Attachment) -> MimePart<'_> {
    let content = Cow::Borrowed(&**attachment.content());
    let composite = is_composite(attachment.content_type());
    let part = match composite.then(|| as_7bit(attachment.content())) {
        Some(Some(lines)) => {
            part(attachment.content_type(), BodyPart::Binary(lines)).transfer_encoding("7bit")
        }
        // No encoding is allowed and 7bit cannot carry it, so it goes as what any reader can save.
        Some(None) => part("application/octet-stream", BodyPart::Binary(content)),
        None => part(attachment.content_type(), BodyPart::Binary(content)),
    };
    let disposition = ContentType::new(if attachment.is_inline() {
        "inline"
    } else {
        "attachment"
    });
    let disposition = match attachment.filename() {
        Some(name) => disposition.attribute("filename", name),
        None => disposition,
    };
    let part = part.header("Content-Disposition", disposition);
    match attachment.content_id() {
        Some(id) => part.cid(id),
        None => part,
    }
}

/// Whether a media type is one that base64 and quoted-printable are forbidden for (RFC 2045, 6.4;
/// RFC 2046, 5.2.1): readers show an encoded `message/rfc822` as garbage. `message/global` and its
/// like came later and may be encoded (RFC 6532, 3.7; RFC 6533).
fn is_composite(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.starts_with("multipart/")
        || (essence.starts_with("message/") && !essence.starts_with("message/global"))
}

/// Bytes as lines that `7bit` can carry (RFC 2045, 2.7), each ended by CR LF; `None` for what has
/// a byte beyond ASCII, a NUL, a CR by itself, or a line of more than 998 bytes.
fn as_7bit(content: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut converted = false;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let (text, end) = match line {
            [text @ .., b'\r', b'\n'] => (text, 2),
            [text @ .., b'\n'] => (text, 1),
            text => (text, 0),
        };
        converted |= end == 1;
        let allowed = |byte: &u8| byte.is_ascii() && !matches!(byte, 0 | b'\r');
        if text.len() > MAX_LINE || !text.iter().all(allowed) {
            return None;
        }
    }
    if !converted {
        return Some(Cow::Borrowed(content));
    }
    let mut lines = Vec::with_capacity(content.len() + content.len() / 32);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [.., b'\r', b'\n'] => lines.extend_from_slice(line),
            [text @ .., b'\n'] => {
                lines.extend_from_slice(text);
                lines.extend_from_slice(b"\r\n");
            }
            text => lines.extend_from_slice(text),
        }
    }
    Some(Cow::Owned(lines))
}

/// A leaf. Its media type is given raw: parsed, bytes of a `text/*` type would be taken for
/// text, and their line ends changed.
fn part<'a>(content_type: impl Into<Cow<'a, str>>, content: BodyPart<'a>) -> MimePart<'a> {
    MimePart::raw(content).header("Content-Type", Raw::new(content_type))
}
