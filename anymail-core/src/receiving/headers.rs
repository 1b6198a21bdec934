//! Reads a block of headers, and the values in it: addresses and dates.
//!
//! Encoded words are decoded in `words.rs`, media types and their parameters in `parameters.rs`.
//! What a mail's own headers mean to it is said in `mime.rs`. Everything here is total and
//! takes time in proportion to its input. mail-parser reads the dates; its readers of whole lists
//! and header blocks look again and again at the same bytes when those are made for it.

use std::borrow::Cow;

use mail_parser::DateTime;
use memchr::memchr;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::inbound::InboundAddress;
use super::words::{decode_words, first_word, without_comments};
use crate::message::Address;

/// The most headers that are kept of one block. Mail that has been through many hands has a
/// hundred or two.
const MAX_HEADERS: usize = 1_000;

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

/// The text up to some number of bytes, and no character cut in two.
pub(super) fn cut(text: &str, length: usize) -> &str {
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
        let pieces = split_outside(&value, &[',', ';']).into_iter();
        let mailboxes = pieces.map(|piece| without_route(without_group(piece)));
        mailboxes
            .flat_map(|it| strict_addresses(&it).unwrap_or_else(|| vec![guess(&it)]))
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
        let comma = first_word(tail).filter(|(word, _)| word.trim() == ",");
        let (kept, length) = comma.map_or(("=?", 2), |(_, length)| (",", length));
        out.push_str(kept);
        rest = tail.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Splits at these characters outside of quoted strings, angle brackets, comments and domain
/// literals.
fn split_outside<'a>(list: &'a str, separators: &[char]) -> Vec<&'a str> {
    let (mut quoted, mut escaped, mut angle, mut literal) = (false, false, false, false);
    let mut comments = 0_usize;
    // A bracket that nothing closes is a character like others: `Ann ( <ann@example.com>`.
    let closed =
        |open, close| list.matches::<char>(open).count() == list.matches::<char>(close).count();
    let (has_comments, has_literals) = (closed('(', ')'), closed('[', ']'));
    let pieces = list.split(move |c: char| {
        let outside = !quoted && !angle && !literal && comments == 0;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || comments > 0 => escaped = true,
            '(' if !quoted && has_comments => comments += 1,
            ')' if !quoted => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            '[' if !quoted && has_literals => literal = true,
            ']' if !quoted => literal = false,
            _ => {}
        }
        outside && separators.contains(&c)
    });
    pieces.collect()
}

/// The first member of a group (RFC 5322, 3.4) without the group's name: `Team: a@example.com`.
fn without_group(piece: &str) -> &str {
    split_outside(piece, &[':']).pop().unwrap_or(piece)
}

/// A mailbox without the obsolete source route (RFC 5322, 4.4): `<@relay.example:a@example.com>`.
fn without_route(piece: &str) -> Cow<'_, str> {
    let route = piece.split_once('<').and_then(|(name, rest)| {
        let (route, mailbox) = rest.rsplit_once(':')?;
        let is_route = route.trim_start().starts_with('@');
        is_route.then(|| format!("{name}<{mailbox}"))
    });
    route.map_or(Cow::Borrowed(piece), Cow::Owned)
}

/// What may be meant by what is no address.
fn guess(piece: &str) -> InboundAddress {
    let (name, email) = match piece.rsplit_once('<') {
        Some((name, rest)) => (name, rest.split('>').next().unwrap_or_default()),
        None if piece.contains('@') => ("", piece),
        None => (piece, ""),
    };
    let (name, email) = (name.trim().trim_matches('"'), email.trim());
    // Space around the dots and the "@" is obsolete and allowed (RFC 5322, 4.4).
    let tight = without_space_around(without_comments(email).trim());
    let valid = |email: &str| Address::parse(email).is_ok_and(|it| it.name().is_none());
    if valid(&tight) {
        let name = without_comments(name);
        return InboundAddress::new(&decode_words(name.trim()), &tight);
    }
    // Angle brackets were forgotten: `Ann ann@example.com`.
    if name.is_empty()
        && let Some((before, last)) = email.rsplit_once([' ', '\t'])
        && valid(last)
    {
        let name = before.trim().trim_matches('"');
        return InboundAddress::new(&decode_words(name), last);
    }
    InboundAddress::new(&decode_words(name), email)
}

fn without_space_around(email: &str) -> String {
    let mut out = String::with_capacity(email.len());
    for c in email.chars() {
        if matches!(c, '.' | '@') {
            out.truncate(out.trim_end_matches([' ', '\t']).len());
        }
        let after = out.ends_with(['.', '@']);
        if !(after && matches!(c, ' ' | '\t')) {
            out.push(c);
        }
    }
    out
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
                "Team: a@example.com, Bob <b@example.com>;, <@r1.example:c@example.com>",
                "|a@example.com Bob|b@example.com |c@example.com",
            ),
            ("A <@r1.example,@r2.example:a@b.c>, x@", "A|a@b.c |x@"),
            (
                "t: a@b.c; u: d@e.f;, <@r.example:g@h.i>",
                "|a@b.c |d@e.f |g@h.i",
            ),
            ("none:;, <@r.example:a@b.c>", "|a@b.c"),
            ("Ann ( <a@b.c>, <@r.example:d@e.f>", "Ann|a@b.c |d@e.f"),
            ("a . b @ example . com", "|a.b@example.com"),
            ("Ann ann@example.com, x@", "Ann|ann@example.com |x@"),
            ("a@[IPv6:::1], <@r.example:b@c.d>", "|a@[IPv6:::1] |b@c.d"),
            (
                "(a, comment: here) a@b.c, <@r.example:b@c.d>",
                "|a@b.c |b@c.d",
            ),
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
}
