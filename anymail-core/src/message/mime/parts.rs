//! The body of an email: texts, inline parts and attachments, each with the encoding it needs.
//!
//! `labels.rs` writes their headers.

use std::borrow::Cow;

use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};

use super::labels;
use crate::message::{Alternative, Attachment, Field, Message};

/// The maximum length of a line, without its CR LF (RFC 5322, 2.1.1).
const MAX_LINE: usize = 998;

impl Message {
    /// The body with everything that belongs to it.
    pub(super) fn parts(&self) -> MimePart<'_> {
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

    /// The body in all its media types, the plainest first (RFC 2046, 5.1.4). AMP comes before
    /// HTML, because clients that do not support AMP show the last part.
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

fn text<'a>(content_type: &'a str, body: &'a str) -> MimePart<'a> {
    let is_text = content_type
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    if !is_text {
        return binary(content_type, body.as_bytes());
    }
    let header = labels::media_type(content_type, Some("utf-8"));
    part(header, body_part(with_crlf(body)))
}

/// A text with the line ends of an email, whatever its encoding (RFC 2046, 4.1.1). `mail-builder`
/// converts them, too, but not in base64.
fn with_crlf(body: &str) -> Cow<'_, str> {
    let bytes = body.as_bytes();
    let bare = |at: usize| at.checked_sub(1).and_then(|at| bytes.get(at)) != Some(&b'\r');
    let mut bare_ends = body
        .match_indices('\n')
        .filter(|(at, _)| bare(*at))
        .peekable();
    if bare_ends.peek().is_none() {
        return body.into();
    }
    let mut text = String::with_capacity(body.len() + body.len() / 32 + 2);
    let mut copied = 0;
    for (at, _) in bare_ends {
        text.push_str(body.get(copied..at).unwrap_or_default());
        text.push('\r');
        copied = at;
    }
    text.push_str(body.get(copied..).unwrap_or_default());
    text.into()
}

/// Keeps text readable if possible. What no text line may contain (RFC 2045, 2.7) is encoded in
/// base64.
fn body_part(body: Cow<'_, str>) -> BodyPart<'_> {
    let bare_cr = || {
        let mut after_cr = body.split('\r').skip(1);
        after_cr.any(|rest| !rest.starts_with('\n'))
    };
    if !body.contains('\0') && !bare_cr() {
        return BodyPart::Text(body);
    }
    BodyPart::Binary(match body {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    })
}

fn file(attachment: &Attachment) -> MimePart<'_> {
    let kind = if attachment.is_inline() {
        "inline"
    } else {
        "attachment"
    };
    let name = attachment.filename().filter(|name| !name.is_empty());
    let part = binary(attachment.content_type(), attachment.content())
        .header("Content-Disposition", labels::disposition(kind, name));
    match attachment.content_id() {
        Some(id) => part.cid(id),
        None => part,
    }
}

/// Bytes that arrive unchanged.
fn binary<'a>(content_type: &'a str, content: &'a [u8]) -> MimePart<'a> {
    let header = labels::media_type(content_type, None);
    if !is_composite(content_type) {
        return part(header, BodyPart::Binary(content.into()));
    }
    match as_7bit(content).filter(|lines| has_parts(content_type, lines)) {
        Some(lines) => part(header, BodyPart::Binary(lines)).transfer_encoding("7bit"),
        // It must not be encoded, but 7bit cannot carry it, so send it as something that any client
        // can save.
        None => part("application/octet-stream", BodyPart::Binary(content.into())),
    }
}

/// Whether base64 and quoted-printable are forbidden for a media type (RFC 2045, 6.4; RFC 2046,
/// 5.2.1): mail clients show an encoded `message/rfc822` as garbage. `message/global` and similar
/// types came later and may be encoded (RFC 6532, 3.7; RFC 6533).
fn is_composite(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.starts_with("multipart/")
        || (essence.starts_with("message/") && !essence.starts_with("message/global"))
}

/// Whether the parts of a `multipart` can be found. Always true for other types.
fn has_parts(content_type: &str, lines: &[u8]) -> bool {
    let multipart = content_type.get(..10);
    if !multipart.is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
        return true;
    }
    let Some(boundary) = labels::boundary(content_type) else {
        return false;
    };
    let first = format!("--{boundary}");
    let mut lines = lines.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(first.as_bytes()))
}

/// Converts bytes to lines that `7bit` can carry (RFC 2045, 2.7), each with CR LF. `None` if there
/// is a non-ASCII byte, a NUL, a lone CR, or a line of more than 998 bytes.
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

/// A leaf. Its media type is set raw: otherwise, bytes of a `text/*` type would be treated as text,
/// and their line ends changed.
fn part<'a>(content_type: impl Into<Cow<'a, str>>, content: BodyPart<'a>) -> MimePart<'a> {
    MimePart::raw(content).header("Content-Type", Raw::new(content_type))
}
