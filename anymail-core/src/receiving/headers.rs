//! Reads a block of headers, and the values in it: words, addresses, dates, media types.
//!
//! What a mail's own headers mean to it is said in `mime.rs`. Everything here is total and
//! takes time in proportion to its input. mail-parser decodes the words, dates and media
//! types; it is given each by itself, because its readers of whole lists and header blocks
//! look again and again at the same bytes when those are made for it.

use std::borrow::Cow;

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, DateTime, HeaderValue};
use memchr::memchr;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::inbound::InboundAddress;
use crate::message::Address;

/// The most headers that are kept of one block. Mail that has been through many hands has a
/// hundred or two.
const MAX_HEADERS: usize = 1_000;

/// The most of a media type that is read: mail-parser's time for one grows with the square of
/// its number of parameters. A name of 255 characters, percent-encoded, takes 2.3 kB.
const MAX_MEDIA_TYPE: usize = 4_096;

/// The most of an address header that is read: some ten thousand addresses. Each becomes many
/// times as long as it was.
const MAX_ADDRESSES: usize = 256 << 10;

/// Names with their values.
type HeaderList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Names with their values, unfolded (RFC 5322, 2.2.3) but not decoded, and where the body
/// starts.
pub(super) fn read_headers(block: &[u8]) -> (HeaderList<'_>, usize) {
    let mut headers = HeaderList::new();
    let mut at = 0;
    // Where the last header's value starts and ends, until the next header begins.
    let mut open: Option<(&[u8], usize, usize)> = None;
    loop {
        let rest = block.get(at..).unwrap_or_default();
        let length = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        let line = rest.get(..length).unwrap_or_default();
        let blank = matches!(line, b"" | b"\n" | b"\r\n");
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if folded && !blank {
            if let Some((_, _, end)) = &mut open {
                *end = at + length;
            }
        } else {
            if let Some((name, start, end)) = open.take()
                && headers.len() < MAX_HEADERS
            {
                let value = block.get(start..end).unwrap_or_default();
                headers.push((String::from_utf8_lossy(name), unfold(value)));
            }
            if blank {
                return (headers, at + length);
            }
            match split_line(line) {
                Some((name, value_at)) => open = Some((name, at + value_at, at + length)),
                // No header where the first should be: there are none, all is body. Further
                // down such a line (">From ..." is one) is passed over.
                None if headers.is_empty() && at == 0 && !is_mbox_line(line) => {
                    return (headers, 0);
                }
                None => {}
            }
        }
        at += length;
    }
}

/// A header's name, and where its value starts. The name is printable ASCII; space before the
/// colon is RFC 5322's obsolete form.
fn split_line(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let printable = name.iter().all(|b| (33..=126).contains(b));
    (printable && !name.is_empty()).then_some((name, colon + 1))
}

/// The line that a mailbox file puts before each mail.
fn is_mbox_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

/// A header's value on one line, without the space around it.
pub(super) fn unfold(value: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(value.trim_ascii()) {
        text if !text.contains(['\r', '\n']) => text,
        text => Cow::Owned(text.replace(['\r', '\n'], "")),
    }
}

/// The media type (or disposition) with its parameters, in lower case; RFC 2231's and
/// RFC 2047's encodings are undone.
pub(super) fn media_type(value: &str) -> Option<ContentType<'static>> {
    // Without the line's end mail-parser does not take the value for complete.
    let line = format!("{}\n", cut(value, MAX_MEDIA_TYPE));
    match MessageStream::new(line.as_bytes())
        .parse_content_type()
        .into_owned()
    {
        HeaderValue::ContentType(read) => Some(read),
        _ => None,
    }
}

/// The text up to some number of bytes, and no character cut in two.
fn cut(text: &str, length: usize) -> &str {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// A date as mail has it (RFC 5322, 3.3, and its obsolete forms).
pub(super) fn date(value: &str) -> Option<OffsetDateTime> {
    let read = DateTime::parse_rfc822(value)?;
    let month = Month::try_from(read.month).ok()?;
    let date = Date::from_calendar_date(i32::from(read.year), month, read.day).ok()?;
    // A leap second has no number of its own.
    let time = Time::from_hms(read.hour, read.minute, read.second.min(59)).ok()?;
    let sign = if read.tz_before_gmt { -1 } else { 1 };
    // Further from Greenwich than a day there is nobody, and RFC 3339 has no number for it.
    let hours = i8::try_from(read.tz_hour)
        .ok()
        .filter(|hours| *hours < 24)?;
    let minutes = i8::try_from(read.tz_minute).ok()?;
    let offset = UtcOffset::from_hms(hours.checked_mul(sign)?, minutes.checked_mul(sign)?, 0);
    Some(date.with_time(time).assume_offset(offset.ok()?))
}

/// The mailboxes in an address header. What is well formed is read by the rules; of the rest,
/// which is met in spam and in the mail of machines, as much as can be told apart.
pub(super) fn addresses(value: &str) -> Vec<InboundAddress> {
    let value = match cut(value, MAX_ADDRESSES) {
        whole if whole.len() == value.len() => whole,
        // The last one may have lost its end.
        part => part.rsplit_once(',').map_or(part, |(before, _)| before),
    };
    if let Some(list) = strict_addresses(value) {
        return list;
    }
    let value = mend_commas(value);
    strict_addresses(&value).unwrap_or_else(|| {
        let pieces = split_addresses(&value);
        pieces
            .flat_map(|piece| strict_addresses(piece).unwrap_or_else(|| vec![guess(piece)]))
            .filter(|address| !address.name.is_empty() || !address.email.is_empty())
            .collect()
    })
}

fn strict_addresses(list: &str) -> Option<Vec<InboundAddress>> {
    let list = Address::parse_list(list).ok()?;
    let read = |address: &Address| InboundAddress {
        name: decode_words(address.name().unwrap_or_default()),
        email: address.email().to_owned(),
    };
    Some(list.iter().map(read).collect())
}

/// Undoes what Python does to a long list with a name outside ASCII in it: the comma where a
/// line ends is written as an encoded word.
fn mend_commas(list: &str) -> String {
    let mut out = String::with_capacity(list.len());
    let mut rest = list;
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let comma = encoded_word(tail).filter(|(word, _)| word.trim() == ",");
        let (kept, length) = comma.map_or(("=?", 2), |(_, length)| (",", length));
        out.push_str(kept);
        rest = tail.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Splits at commas and semicolons outside of quotes and angle brackets.
fn split_addresses(list: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    list.split(move |c: char| {
        let separates = matches!(c, ',' | ';') && !quoted && !angle;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            _ => {}
        }
        separates
    })
}

/// What may be meant by what is no address.
fn guess(piece: &str) -> InboundAddress {
    let (name, email) = match piece.rsplit_once('<') {
        Some((name, rest)) => (name, rest.split('>').next().unwrap_or_default()),
        None if piece.contains('@') => ("", piece),
        None => (piece, ""),
    };
    let name = name.trim().trim_matches('"');
    InboundAddress::new(&decode_words(name), email.trim())
}

/// The text with its encoded words (RFC 2047) decoded. The result stays on one line.
pub(super) fn decode_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at(at);
        let word = encoded_word(tail);
        // White space between two encoded words belongs to neither (RFC 2047, 6.2).
        if word.is_none() || !after_word || !before.trim().is_empty() {
            out.push_str(before);
        }
        after_word = word.is_some();
        let (decoded, length) = word.unwrap_or(("=?".into(), 2));
        out.push_str(&decoded);
        rest = tail.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    clean(&out).into_owned()
}

/// The encoded word that `text` starts with, decoded, and its length.
fn encoded_word(text: &str) -> Option<(String, usize)> {
    // A question mark can only stand between the parts of a word (RFC 2047, 2), so this looks
    // no further than the next words.
    let mut parts = text.get(2..)?.splitn(4, '?');
    let (charset, encoding, content) = (parts.next()?, parts.next()?, parts.next()?);
    if !parts.next()?.starts_with('=') {
        return None;
    }
    let length = "=????=".len() + charset.len() + encoding.len() + content.len();
    let inner = text.as_bytes().get(1..length)?;
    let decoded = MessageStream::new(inner).decode_rfc2047()?;
    Some((decoded, length))
}

/// The text with each run of control characters as one space: what came out of an encoding
/// must not break a line where it is used next.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() && c != '\t';
    if !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        if !breaks(c) {
            out.push(c);
        } else if !in_run {
            out.push(' ');
        }
        in_run = breaks(c);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(block: &str) -> (Vec<(String, String)>, &str) {
        let (headers, at) = read_headers(block.as_bytes());
        let owned = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            (name.clone().into_owned(), value.clone().into_owned())
        };
        (headers.iter().map(owned).collect(), &block[at..])
    }

    #[test]
    fn a_block_ends_at_its_empty_line_whatever_the_line_ends() {
        let block = "A: 1\nB : two\n\tlines\n \n  of it\nA:3\n\nbody\n\nX: y";
        let expected = [("A", "1"), ("B", "two\tlines   of it"), ("A", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (block, body) in [
            (block.to_owned(), "body\n\nX: y"),
            (block.replace('\n', "\r\n"), "body\r\n\r\nX: y"),
        ] {
            assert_eq!(pairs(&block), (expected.to_vec(), body));
        }
    }

    #[test]
    fn a_line_that_is_no_header_is_passed_over_or_starts_the_body() {
        let found = pairs("From x Thu Jan 1 1970\nA: 1\n>From y 10:00\nno colon\nB: 2\n\nz");
        assert_eq!(found.0.len(), 2);
        assert_eq!(found.1, "z");
        assert_eq!(pairs("just text\nA: 1\n").1, "just text\nA: 1\n");
        assert_eq!(pairs("\nA: 1\n"), (Vec::new(), "A: 1\n"));
        assert_eq!(pairs(""), (Vec::new(), ""));
        assert_eq!(pairs("A: 1").0, [("A".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn encoded_words_are_decoded_and_nothing_else() {
        for (text, expected) in [
            ("plain", "plain"),
            ("=?utf-8?q?caf=C3=A9?=", "café"),
            ("=?ISO-8859-1?Q?a_b?= c", "a b c"),
            ("x =?utf-8?B?w7w=?= \t =?utf-8?B?w6k=?= y", "x üé y"),
            ("=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"),
            ("=?utf-8*de?q?a?=", "a"),
            ("=?utf-8?x?a?= =?", "=?utf-8?x?a?= =?"),
            ("=?utf-8?q?=41?=", "A"),
            ("=?utf-8?q?open", "=?utf-8?q?open"),
            ("=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
            ("1 =? 2", "1 =? 2"),
        ] {
            assert_eq!(decode_words(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_read_by_the_rules_and_else_as_far_as_can_be_told() {
        for (value, expected) in [
            ("a@b.c", "|a@b.c"),
            ("\"U, 0\" <u@x.y>, v@x.y", "U, 0|u@x.y |v@x.y"),
            ("=?utf-8?b?5p2O6Zu3?= <l@x.y>", "李雷|l@x.y"),
            ("team: a@b.c, d@e.f;", "|a@b.c |d@e.f"),
            ("Unquoted, comma <a@b.c>", "Unquoted| comma|a@b.c"),
            ("MAILER-DAEMON", "MAILER-DAEMON|"),
            ("\"a, b\" <a..b@c>, <>,, x@", "a, b|a..b@c |x@"),
            ("a <x@y.z", "a|x@y.z"),
            (
                "x@y.z =?utf-8?q?=2C?= \"a \\\"q\\\", b\" <a@b.c>, =?utf-8?q?=C3=A9=2C?= <d@e.f>",
                "|x@y.z a \"q\", b|a@b.c é,|d@e.f",
            ),
            ("nobody, \"a \\\"q\\\"\" <a@b.c>", "nobody| a \"q\"|a@b.c"),
            ("", ""),
        ] {
            let found = addresses(value);
            let found: Vec<_> = found
                .iter()
                .map(|a| format!("{}|{}", a.name, a.email))
                .collect();
            assert_eq!(found.join(" "), expected, "{value}");
        }
    }

    #[test]
    fn of_a_list_of_any_length_the_first_addresses_are_read() {
        let list = "é <a@example.com>, ".repeat(100_000);
        let found = addresses(&list);
        assert!((10_000..20_000).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|address| address.email == "a@example.com"));
    }

    #[test]
    fn dates_are_read_in_their_old_forms_too() {
        for (value, expected) in [
            ("Wed, 11 Oct 2017 18:31:04 -0700", Some(1_507_771_864)),
            ("Wed, 11 Oct 2017 18:31:04 -07:00", Some(1_507_771_864)),
            ("11 Oct 17 18:31:60 PDT", Some(1_507_771_919)),
            ("yesterday", None),
            ("32 Feb 2017 25:61:61 +9999", None),
            ("", None),
        ] {
            let found = date(value).map(OffsetDateTime::unix_timestamp);
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn a_media_type_of_any_length_is_read_in_short_time() {
        let long: String = (0..100_000).map(|n| format!("; n{n}*=u'x'y")).collect();
        let read = media_type(&format!("Text/Plain; charset=UTF-8{long}")).unwrap();
        assert_eq!(read.ctype(), "text");
        assert_eq!(read.attribute("charset"), Some("UTF-8"));
        assert!(media_type("").is_none());
    }
}
