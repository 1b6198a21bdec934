//! Writes headers that `mail-builder` does not write in a way that every mail client reads
//! correctly: texts that look like encoded words, long header names, and media types with
//! parameters.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_builder::headers::address::Address as MimeAddress;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::headers::{Header, HeaderType};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::message::Address;

/// RFC 5322, 2.1.1, allows 998 bytes per line. A word of nearly that length cannot be folded, only
/// encoded.
const MAX_WORD: usize = 900;

/// The maximum number of spaces between two words; they are on one line with the second word.
const MAX_GAP: usize = 50;

/// A name of at least this length gets its own line. `mail-builder` does not fold a raw value
/// before its first word, so both together could exceed the maximum line length.
const LONG_NAME: usize = 70;

/// The bytes in an encoded word: with its frame of 12 bytes, 72 bytes of base64 are the most that
/// fit into the 75 bytes of RFC 2047, section 2.
const WORD_BYTES: usize = 45;

/// The bytes of a text that certainly fit into a line of 78 bytes after a header name.
const UNFOLDED: usize = 60;

/// The bytes of a filename in one section of a parameter, each of which may become three.
const SECTION_BYTES: usize = 18;

/// The characters that a section of a parameter contains unencoded (RFC 2231, section 7:
/// `attribute-char`).
const PERCENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A single-line text, such as a subject.
pub(super) fn line<'a>(name: &str, text: &'a str) -> HeaderType<'a> {
    if is_misread(text) {
        return Raw::new(on_its_own_line(name, words(text).into())).into();
    }
    Text::new(text).into()
}

/// The value of a custom header. ASCII is written unchanged and folded at spaces: an encoded
/// `List-Unsubscribe` would not work. Encoded words in it are the caller's own.
pub(super) fn value<'a>(name: &str, value: &'a str) -> HeaderType<'a> {
    let value = value.trim_matches([' ', '\t']);
    let space = |c| matches!(c, ' ' | '\t');
    let foldable = value.split(space).all(|word| word.len() <= MAX_WORD)
        && value.split(|c| !space(c)).all(|gap| gap.len() <= MAX_GAP);
    if value.is_ascii() && foldable {
        Raw::new(on_its_own_line(name, value.into())).into()
    } else {
        line(name, value)
    }
}

fn on_its_own_line<'a>(name: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    if name.len() < LONG_NAME || value.is_empty() {
        return value;
    }
    format!("\r\n {value}").into()
}

/// A list of mailboxes.
pub(super) fn mailboxes(list: &[Address]) -> HeaderType<'_> {
    let address = |it| MimeAddress::new_address(Address::name(it), Address::ascii_email(it));
    let misread = |it: &Address| it.name().is_some_and(is_misread);
    if !list.iter().any(misread) {
        return MimeAddress::new_list(list.iter().map(address).collect()).into();
    }
    let texts = list.iter().map(|it| match it.name() {
        Some(name) if is_misread(name) => format!("{}\r\n <{}>", words(name), it.ascii_email()),
        _ => written(&address(it)),
    });
    let texts: Vec<_> = texts.collect();
    // Each starts a new line, so that none is folded again, possibly inside a quoted local part.
    Raw::new(texts.join(",\r\n ")).into()
}

/// A `Content-Disposition`.
pub(super) fn disposition<'a>(kind: &'a str, filename: Option<&'a str>) -> HeaderType<'a> {
    // If a quoted name is folded next to a space or a backslash, mail-parser 0.11 keeps the line
    // break in the name.
    let folded = |name: &str| {
        let escapes = name.matches(['"', '\\']).count();
        name.contains([' ', '\t']) && name.len() + escapes > UNFOLDED
    };
    match filename {
        Some(name) if is_misread(name) || folded(name) => {
            Raw::new(format!("{kind}; {}", parameter("filename", name))).into()
        }
        Some(name) => ContentType::new(kind).attribute("filename", name).into(),
        None => ContentType::new(kind).into(),
    }
}

/// A media type for a header. `charset`, if given, replaces its own.
pub(super) fn media_type<'a>(given: &'a str, charset: Option<&str>) -> Cow<'a, str> {
    let (essence, parameters) = parse(given);
    let own = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("charset");
    let stated = parameters.iter().find(own).map(|(_, value)| &**value);
    let agrees = match (stated, charset) {
        (Some(stated), Some(charset)) => stated.eq_ignore_ascii_case(charset),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let short = given.split([' ', '\t']).all(|word| word.len() <= MAX_WORD);
    let whole = given.matches('"').count().is_multiple_of(2);
    let plain = given.is_ascii() && short && whole;
    match charset {
        _ if plain && agrees => return given.into(),
        Some(charset) if plain && stated.is_none() => {
            let given = given.trim_end_matches([';', ' ', '\t']);
            return format!("{given}; charset={charset}").into();
        }
        _ => {}
    }
    let mut header = ContentType::new(essence);
    for (name, value) in &parameters {
        if charset.is_none() || !name.eq_ignore_ascii_case("charset") {
            header = header.attribute(name.as_str(), value.as_str());
        }
    }
    if let Some(charset) = charset {
        header = header.attribute("charset", charset);
    }
    written(&header).into()
}

/// The boundary between the parts of a `multipart` type, if it states one.
pub(super) fn boundary(media_type: &str) -> Option<String> {
    let (_, parameters) = parse(media_type);
    let mut parameters = parameters.into_iter();
    let (_, boundary) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    Some(boundary).filter(|boundary| !boundary.is_empty())
}

/// The value of a header as `mail-builder` writes it, including folds.
fn written(header: &impl Header) -> String {
    let mut bytes = Vec::new();
    header.write_header(&mut bytes, "Content-Type: ".len());
    let text = String::from_utf8(bytes).unwrap_or_default();
    text.trim_end_matches("\r\n").to_owned()
}

/// Splits a media type into its essence and its unquoted parameters. Anything that is not a
/// parameter is dropped, because no mail client could interpret it.
fn parse(given: &str) -> (&str, Vec<(String, String)>) {
    let (essence, mut rest) = given.split_once(';').unwrap_or((given, ""));
    let mut parameters = Vec::new();
    while !rest.is_empty() {
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.find(|c| {
            let was_escaped = std::mem::take(&mut escaped);
            match c {
                _ if was_escaped => false,
                '\\' => {
                    escaped = quoted;
                    false
                }
                '"' => {
                    quoted = !quoted;
                    false
                }
                c => c == ';' && !quoted,
            }
        });
        let one = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        if let Some((name, value)) = one.split_once('=') {
            let name = name.trim();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&+-.^_`{}~".contains(&b);
            if !name.is_empty() && name.bytes().all(token) {
                parameters.push((name.to_owned(), unquoted(value.trim())));
            }
        }
    }
    (essence.trim(), parameters)
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    let mut escaped = false;
    let kept = inside.chars().filter(|c| {
        escaped = *c == '\\' && !escaped;
        !escaped
    });
    kept.collect()
}

/// Whether mail clients would misread a text that is written unchanged: as an encoded word, which
/// many decode anywhere, even in quotes; without a leading space; or with one space instead of a
/// tab or of several spaces where it is folded.
fn is_misread(text: &str) -> bool {
    let is_word = |at: &str| {
        let mut fields = at.splitn(4, '?');
        let (_charset, encoding) = (fields.next(), fields.next());
        let end = fields.nth(1);
        encoding.is_some_and(|it| matches!(it, "b" | "B" | "q" | "Q"))
            && end.is_some_and(|it| it.starts_with('='))
    };
    let mut places = text.match_indices("=?");
    text.starts_with(' ')
        || text.contains('\t')
        || (text.len() > UNFOLDED && text.contains("  "))
        || places.any(|(at, _)| text.get(at + 2..).is_some_and(is_word))
}

/// Writes a text as encoded words (RFC 2047), separated by spaces.
fn words(text: &str) -> String {
    let word = |piece| format!("=?utf-8?B?{}?=", BASE64.encode(piece));
    let words: Vec<_> = pieces(text, WORD_BYTES).map(word).collect();
    words.join(" ")
}

/// Writes a percent-encoded parameter (RFC 2231).
fn parameter(name: &str, value: &str) -> String {
    let mut sections = Vec::new();
    for (place, piece) in pieces(value, SECTION_BYTES).enumerate() {
        let charset = if place == 0 { "utf-8''" } else { "" };
        let piece = utf8_percent_encode(piece, PERCENT);
        sections.push(format!("{name}*{place}*={charset}{piece}"));
    }
    sections.join("; ")
}

/// Splits a text into pieces of at most this many bytes, which must be at least four, between
/// characters.
fn pieces(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let cut = (0..=most).rev().find(|at| rest.is_char_boundary(*at));
        let cut = if rest.len() <= most { rest.len() } else { cut? };
        let (piece, after) = rest.split_at_checked(cut)?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_rewritten_only_if_it_must_be() {
        let utf8 = Some("utf-8");
        for (given, charset, written) in [
            ("text/plain", None, "text/plain"),
            ("text/plain", utf8, "text/plain; charset=utf-8"),
            ("text/plain; ", utf8, "text/plain; charset=utf-8"),
            (
                "text/plain; charset=UTF-8",
                utf8,
                "text/plain; charset=UTF-8",
            ),
            (
                "text/plain; a=\"b; c\"",
                utf8,
                "text/plain; a=\"b; c\"; charset=utf-8",
            ),
            (
                "text/plain; charset=latin1; a=b",
                None,
                "text/plain; charset=latin1; a=b",
            ),
            (
                "text/plain; charset=latin1; a=b",
                utf8,
                "text/plain; a=\"b\"; charset=\"utf-8\"",
            ),
            (
                "text/plain; charset=latin1; =b; a b=c",
                utf8,
                "text/plain; charset=\"utf-8\"",
            ),
            (
                "text/plain; a=\"b",
                utf8,
                "text/plain; a=\"b\"; charset=\"utf-8\"",
            ),
        ] {
            assert_eq!(media_type(given, charset), written, "{given}");
        }
    }

    #[test]
    fn the_boundary_is_read_from_quotes_and_never_from_another_parameter() {
        for (given, expected) in [
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed; Boundary=inner", Some("inner")),
            ("multipart/mixed; boundary=\"in ner\"; x=y", Some("in ner")),
            ("multipart/mixed; boundary=\"in\\ner\"", Some("inner")),
            (
                "multipart/mixed; x=\"; boundary=y\"; boundary=inner",
                Some("inner"),
            ),
            (
                "multipart/mixed; x=\"\\\"; boundary=y\"; boundary=inner",
                Some("inner"),
            ),
        ] {
            assert_eq!(boundary(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn a_filename_is_percent_encoded_only_if_it_would_be_misread_or_folded_at_a_space() {
        let name = |length: usize| format!("{} b", "a".repeat(length - 2));
        let quotes = |length: usize, quotes| format!("{}{}", name(length), "\"".repeat(quotes));
        for (name, encoded) in [
            ("a b.txt".to_owned(), false),
            ("a".repeat(61), false),
            (name(60), false),
            (name(61), true),
            (name(70), true),
            (quotes(56, 2), false),
            (quotes(56, 3), true),
            ("=?utf-8?q?a?=".to_owned(), true),
        ] {
            let header = written(&disposition("attachment", Some(&name)));
            assert_eq!(header.contains("filename*0*=utf-8''"), encoded, "{header}");
        }
    }

    #[test]
    fn a_text_is_misread_if_it_looks_encoded_or_its_white_space_could_change() {
        let long = |length: usize| format!("a  {}", "b".repeat(length - 3));
        for (text, misread) in [
            ("=?utf-8?q?a?=", true),
            ("Re: =?utf-8?B?YQ==?= b", true),
            ("=?utf-8?x?a?=", false),
            ("=?utf-8?q?a", false),
            (" a", true),
            ("a\tb", true),
            ("a  b", false),
            (&"ab ".repeat(30), false),
            (&long(60), false),
            (&long(61), true),
        ] {
            assert_eq!(is_misread(text), misread, "{text:?}");
        }
    }

    #[test]
    fn only_names_that_would_be_misread_are_encoded() {
        let list = [
            ("=?utf-8?q?a?=", "a@example.com"),
            ("Ann", "ann@example.com"),
        ];
        let list = list.map(|(name, email)| Address::new(name, email).unwrap());
        let header = written(&mailboxes(&list));
        assert_eq!(
            header,
            "=?utf-8?B?PT91dGYtOD9xP2E/PQ==?=\r\n <a@example.com>,\r\n \"Ann\" <ann@example.com>"
        );
    }
}
