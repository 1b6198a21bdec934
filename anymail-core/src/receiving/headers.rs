//! Parses a block of headers, and dates in headers.
//!
//! `words.rs` decodes encoded words, `parameters.rs` parses media types and their parameters, and
//! `inbound_address.rs` addresses. `mime.rs` interprets a message's headers. Everything here
//! accepts any input and takes time proportional to its length. mail-parser parses the dates; its
//! parsers of address lists and header blocks take quadratic time on crafted input.

use std::borrow::Cow;

use mail_parser::DateTime;
use memchr::memchr;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// The maximum number of headers kept. Messages that passed through many servers have one or two
/// hundred.
const MAX_HEADERS: usize = 1_000;

/// Names with their values.
type HeaderList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Names with their values, unfolded (RFC 5322, 2.2.3) but not decoded, and the offset of the body.
pub(super) fn read_headers(block: &[u8]) -> (HeaderList<'_>, usize) {
    let mut headers = HeaderList::new();
    let mut at = 0;
    // The range of the last header's value, until the next header starts.
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

/// A header's name, and the offset of its value. The name is printable ASCII; a space before the
/// colon is an obsolete form of RFC 5322.
fn split_line(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let printable = name.iter().all(|b| (33..=126).contains(b));
    (printable && !name.is_empty()).then_some((name, colon + 1))
}

/// The line before each message in a mailbox file.
fn is_mbox_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

/// A header's value on one line, without surrounding white space.
pub(super) fn unfold(value: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(value.trim_ascii()) {
        text if !text.contains(['\r', '\n']) => text,
        text => Cow::Owned(text.replace(['\r', '\n'], "")),
    }
}

/// The text up to this number of bytes, without splitting a character.
pub(super) fn cut(text: &str, length: usize) -> &str {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// Parses a date (RFC 5322, 3.3, and its obsolete forms).
pub(super) fn date(value: &str) -> Option<OffsetDateTime> {
    let read = DateTime::parse_rfc822(value)?;
    let month = Month::try_from(read.month).ok()?;
    let date = Date::from_calendar_date(i32::from(read.year), month, read.day).ok()?;
    // A leap second cannot be represented.
    let time = Time::from_hms(read.hour, read.minute, read.second.min(59)).ok()?;
    let sign = if read.tz_before_gmt { -1 } else { 1 };
    // Less than 24, because the parser takes them modulo 24: RFC 3339 cannot represent more.
    let hours = i8::try_from(read.tz_hour).ok()?;
    let minutes = i8::try_from(read.tz_minute).ok()?;
    let offset = UtcOffset::from_hms(hours.checked_mul(sign)?, minutes.checked_mul(sign)?, 0);
    Some(date.with_time(time).assume_offset(offset.ok()?))
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
    fn a_header_block_ends_at_an_empty_line_with_any_line_ending() {
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
    fn the_first_thousand_headers_are_kept() {
        let block = "A: 1\n".repeat(MAX_HEADERS + 1) + "\nbody";
        let found = pairs(&block);
        assert_eq!((found.0.len(), found.1), (1_000, "body"));
    }

    #[test]
    fn an_invalid_header_line_is_skipped_or_starts_the_body() {
        let found = pairs("From x Thu Jan 1 1970\nA: 1\n>From y 10:00\nno colon\nB: 2\n\nz");
        assert_eq!(found.0.len(), 2);
        assert_eq!(found.1, "z");
        assert_eq!(pairs("just text\nA: 1\n").1, "just text\nA: 1\n");
        assert_eq!(pairs("\nA: 1\n"), (Vec::new(), "A: 1\n"));
        assert_eq!(pairs(""), (Vec::new(), ""));
        assert_eq!(pairs("A: 1").0, [("A".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn dates_in_obsolete_forms_are_parsed() {
        for (value, expected) in [
            ("Wed, 11 Oct 2017 18:31:04 -0700", Some(1_507_771_864)),
            ("Wed, 11 Oct 2017 18:31:04 -07:00", Some(1_507_771_864)),
            ("11 Oct 17 18:31:60 PDT", Some(1_507_771_919)),
            ("Wed, 11 Oct 2017 18:31:04 +2359", Some(1_507_660_324)),
            ("yesterday", None),
            ("32 Feb 2017 25:61:61 +9999", None),
            ("", None),
        ] {
            let found = date(value).map(OffsetDateTime::unix_timestamp);
            assert_eq!(found, expected, "{value}");
        }
    }
}
