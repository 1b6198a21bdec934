//! Parses a message (RFC 5322, with the parts of RFC 2045 and 2046) into an [`InboundMessage`].
//!
//! `headers.rs` parses header blocks and their values; `content.rs` decodes.
//!
//! The walk over the parts is our own, and the rest is mail-parser's. Its own walk decodes every
//! part at once, takes quadratic time if parts lack their boundary (450 kB: 1.3 s), and overflows
//! the stack, which aborts the process, on messages of 150 kB with deeply nested messages. Anybody
//! can send both.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use super::content::{Content, Encoding};
use super::headers::{date, read_headers, unfold};
use super::inbound::{InboundAttachment, InboundMessage};
use super::inbound_address::InboundAddress;
use super::parameters::Parameters;
use super::raw::RawBytes;
use super::words::decode_words;

/// The maximum number of parts that are separated. The rest is one more attachment.
const MAX_PARTS: usize = 1_000;

/// The maximum nesting of multiparts. A deeper one is an unparsed attachment.
const MAX_DEPTH: usize = 50;

/// The list length from which on further headers are not added. A single header has at most about
/// ten thousand addresses (`inbound_address.rs`).
const MANY_ADDRESSES: usize = 1_000;

impl InboundMessage {
    /// Parses a raw message, with any line ends.
    ///
    /// Never fails, and takes time and memory proportional to the message's length: parts are
    /// located, not decoded. The first plain-text part and the first HTML part that are not files
    /// become the bodies; every other part becomes an attachment or inline part. A message within
    /// the message is an attachment of type `message/rfc822`, which you can parse with this
    /// function.
    ///
    /// At most 1,000 headers are kept, and 1,000 parts in 50 levels are separated; the rest is an
    /// unparsed attachment. At most 256 KiB of an address list are parsed.
    ///
    /// The envelope, the spam verdict and other values that only the ESP knows are not set.
    pub fn from_raw(raw: impl Into<Bytes>) -> Self {
        let raw = raw.into();
        let mut message = Self::default();
        let (headers, _) = read_headers(&raw);
        for (name, value) in &headers {
            message.add_header(name, value);
        }
        let mut walk = Walk {
            raw: &raw,
            message: &mut message,
            parts: 0,
            too_many: false,
        };
        walk.part(0..raw.len(), Parent::None, 0);
        if walk.too_many {
            tracing::warn!(
                bytes = raw.len(),
                "an inbound mail has too many parts to tell apart"
            );
        }
        message.use_named_texts();
        message.raw = Some(RawBytes::new(raw));
        message
    }

    /// If there is no other body, the first inline text file of each kind becomes the body. It also
    /// stays in the list, because its name would be lost otherwise.
    fn use_named_texts(&mut self) {
        if self.text.is_some() || self.html.is_some() {
            return;
        }
        let named = |content_type: &str| {
            let mut inlines = self.attachments.iter().filter(|part| part.is_inline());
            let part = inlines.find(|part| part.content_type() == content_type)?;
            Some(part.as_body())
        };
        (self.text, self.html) = (named("text/plain"), named("text/html"));
    }

    /// Adds a raw header and sets the fields that depend on it: authors, recipients, subject and
    /// date. For ESPs that post a message in pieces.
    ///
    /// ```
    /// let mut mail = anymail_core::InboundMessage::default();
    /// mail.add_header("Date", "Wed, 11 Oct 2017 18:31:04 -0700");
    /// assert_eq!(mail.date.map(|date| date.year()), Some(2017));
    /// ```
    pub fn add_header(&mut self, name: &str, value: &str) {
        let value = &*unfold(value.as_bytes());
        let decoded = decode_words(value);
        let list = match name.to_ascii_lowercase().as_str() {
            "from" => Some(&mut self.from),
            "to" => Some(&mut self.to),
            "cc" => Some(&mut self.cc),
            "bcc" => Some(&mut self.bcc),
            "reply-to" => Some(&mut self.reply_to),
            "subject" if self.subject.is_none() && !decoded.is_empty() => {
                self.subject = Some(decoded.clone());
                None
            }
            "date" if self.date.is_none() => {
                self.date = date(value);
                None
            }
            _ => None,
        };
        if let Some(list) = list
            && list.len() < MANY_ADDRESSES
        {
            list.extend(InboundAddress::parse_list(value));
        }
        self.headers.push((name.to_owned(), decoded));
    }
}

/// What a part is contained in, as far as it affects the part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    None,
    Mixed,
    /// `multipart/alternative` or `related`: the parts are shown together with the body.
    Shown,
    /// `multipart/digest`: the parts are messages by default.
    Digest,
}

struct Walk<'a> {
    raw: &'a Bytes,
    message: &'a mut InboundMessage,
    parts: usize,
    /// Whether there were more parts than are separated.
    too_many: bool,
}

/// The headers of a part that say how to read it.
#[derive(Default)]
struct PartHead {
    content_type: String,
    disposition: String,
    content_id: String,
    encoding: Encoding,
    body_at: usize,
}

impl Walk<'_> {
    /// Parses a part with its headers and contents. Recurses at most `MAX_DEPTH` deep.
    fn part(&mut self, range: Range<usize>, parent: Parent, depth: usize) {
        self.parts += 1;
        let head = PartHead::read(self.slice(&range), parent);
        let body = range.start + head.body_at..range.end;
        let media = Parameters::read(&head.content_type);
        let multipart = media.as_ref().filter(|media| media.kind() == "multipart");
        let Some(multipart) = multipart.filter(|_| depth < MAX_DEPTH) else {
            return self.leaf(&head, body, parent);
        };
        let kind = match multipart.subtype().unwrap_or_default() {
            "alternative" | "related" => Parent::Shown,
            "digest" => Parent::Digest,
            _ => Parent::Mixed,
        };
        let boundary = multipart.value("boundary").unwrap_or_default();
        let mut found = false;
        let mut delimiters = Delimiters::new(self.raw.clone(), body.clone(), boundary);
        let mut next = delimiters.next();
        while let Some(delimiter) = next.take().filter(|delimiter| !delimiter.closes) {
            found = true;
            if self.parts >= MAX_PARTS {
                self.too_many = true;
                return self.rest(&head, delimiter.end..body.end);
            }
            next = delimiters.next();
            let end = next.as_ref().map_or(body.end, |delimiter| delimiter.start);
            self.part(delimiter.end..end.max(delimiter.end), kind, depth + 1);
        }
        if !found {
            // It claims to have parts but has none, so it is most likely text.
            let head = PartHead {
                content_type: "text/plain".to_owned(),
                ..head
            };
            self.leaf(&head, body, parent);
        }
    }

    fn leaf(&mut self, head: &PartHead, body: Range<usize>, parent: Parent) {
        let is_empty = body.is_empty();
        let content = Content::new(self.raw.slice(body), head.encoding);
        let disposition = Parameters::read(&head.disposition);
        let is = |name| disposition.as_ref().is_some_and(|kind| kind.kind() == name);
        let filename = disposition.as_ref().and_then(|kind| kind.value("filename"));
        let mut part = InboundAttachment::encoded(&head.content_type, content)
            .with_content_id(&head.content_id);
        if let Some(filename) = filename {
            part = part.with_filename(filename);
        }
        let is_text = matches!(part.content_type(), "text/plain" | "text/html");
        if is_text && part.filename().is_none() && !is("attachment") {
            let slot = match part.content_type() {
                "text/html" => &mut self.message.html,
                _ => &mut self.message.text,
            };
            if is_empty {
                return;
            }
            if slot.is_none() {
                *slot = Some(part.as_body());
                return;
            }
        }
        let shown = is_text || part.content_id().is_some() || parent == Parent::Shown;
        let inline = is("inline") || (shown && !is("attachment"));
        self.message.attach(part.with_inline(inline));
    }

    /// The rest of a multipart when no more parts are separated.
    fn rest(&mut self, head: &PartHead, range: Range<usize>) {
        let content = Content::new(self.raw.slice(range), Encoding::Identity);
        self.message
            .attach(InboundAttachment::encoded(&head.content_type, content));
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.raw.get(range.clone()).unwrap_or_default()
    }
}

impl PartHead {
    fn read(block: &[u8], parent: Parent) -> Self {
        let (headers, body_at) = read_headers(block);
        let mut head = Self {
            body_at,
            ..Self::default()
        };
        // Backwards, so that the first of several headers with the same name wins.
        for (name, value) in headers.into_iter().rev() {
            match name.to_ascii_lowercase().as_str() {
                "content-type" => head.content_type = value.into_owned(),
                "content-disposition" => head.disposition = value.into_owned(),
                "content-id" => head.content_id = value.into_owned(),
                "content-transfer-encoding" => head.encoding = Encoding::named(&value),
                _ => {}
            }
        }
        if head.content_type.is_empty() {
            let default = match parent {
                Parent::Digest => "message/rfc822",
                _ => "text/plain",
            };
            head.content_type = default.to_owned();
        }
        head
    }
}

/// A delimiter line between parts (RFC 2046, 5.1.1), including the line break before it.
struct Delimiter {
    start: usize,
    end: usize,
    closes: bool,
}

/// Finds the delimiter lines of one multipart, one after the other.
struct Delimiters {
    raw: Bytes,
    body: Range<usize>,
    needle: Vec<u8>,
    at: usize,
}

impl Delimiters {
    fn new(raw: Bytes, body: Range<usize>, boundary: &str) -> Self {
        Self {
            raw,
            at: body.start,
            body,
            needle: format!("--{boundary}").into_bytes(),
        }
    }

    fn next(&mut self) -> Option<Delimiter> {
        if self.needle == b"--" {
            return None;
        }
        loop {
            let rest = self.raw.get(self.at..self.body.end)?;
            let start = self.at + memmem::find(rest, &self.needle)?;
            self.at = start + self.needle.len();
            if let Some(delimiter) = self.delimiter(start) {
                self.at = delimiter.end;
                return Some(delimiter);
            }
        }
    }

    /// The delimiter around the boundary at `start`, if it fills its line.
    fn delimiter(&self, start: usize) -> Option<Delimiter> {
        let before = self.raw.get(self.body.start..start)?;
        let line_break = match before {
            [] => 0,
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            _ => return None,
        };
        let tail = self.raw.get(start + self.needle.len()..self.body.end)?;
        let (closes, padding) = match tail.strip_prefix(b"--") {
            Some(padding) => (true, padding),
            None => (false, tail),
        };
        let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r');
        let blanks = padding.iter().take_while(blank).count();
        let newline = match padding.get(blanks) {
            Some(b'\n') => 1,
            None => 0,
            Some(_) => return None,
        };
        Some(Delimiter {
            start: start - line_break,
            end: self.body.end - padding.len() + blanks + newline,
            closes,
        })
    }
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;
