//! [`Parameters`]: a media type or disposition, and its parameters.
//!
//! `mime.rs` knows which headers have them. mail-parser parses them, too, but does not handle what
//! mail clients really write: it keeps the space between two encoded words, decodes each part of a
//! continued value separately, and takes quadratic time. So the raw value is parsed here (RFC 2045,
//! 5.1; RFC 2183; RFC 2231).

use std::collections::BTreeMap;

use super::content::decode_charset;
use super::headers::cut;
use super::words::{decode_percent, decode_words, without_comments};

/// The maximum number of bytes of a value that are parsed. A filename of 255 characters takes 2.3
/// kB if percent-encoded.
const MAX_LENGTH: usize = 16 << 10;

/// The value of a `Content-Type` or a `Content-Disposition`.
#[derive(Debug, PartialEq)]
pub(super) struct Parameters {
    /// `text` of `text/plain`, or `attachment`; in lower case.
    kind: String,
    /// `plain`, in lower case.
    subtype: Option<String>,
    /// Names in lower case.
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// Parses an unfolded value; `None` if there is nothing before the parameters.
    pub(super) fn read(value: &str) -> Option<Self> {
        let mut rest = cut(value, MAX_LENGTH);
        let head = take_until(&mut rest, ';');
        let head = without_comments(head);
        let (kind, subtype) = match head.split_once('/') {
            Some((kind, subtype)) => (kind, first_token(subtype)),
            None => (&*head, None),
        };
        let kind = first_token(kind)?;
        Some(Self {
            kind,
            subtype,
            values: read_values(rest),
        })
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn subtype(&self) -> Option<&str> {
        self.subtype.as_deref()
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// Takes the text up to the next `end` outside of comments, and the end that was found.
fn take_until<'a>(rest: &mut &'a str, end: char) -> &'a str {
    let mut depth = 0_usize;
    let at = rest.find(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == end && depth == 0
    });
    let (taken, after) = match at {
        Some(at) => rest.split_at(at),
        None => (*rest, ""),
    };
    *rest = after.get(1..).unwrap_or_default();
    taken
}

fn first_token(text: &str) -> Option<String> {
    text.split_whitespace().next().map(str::to_ascii_lowercase)
}

/// The value of a parameter in all the forms that the header contains.
#[derive(Default)]
struct Given {
    /// `name=value`
    plain: Option<String>,
    /// `name*=charset'language'value`
    extended: Option<String>,
    /// `name*0=value`, `name*1*=value`: by number, and whether it is percent-encoded.
    parts: BTreeMap<u32, (bool, String)>,
}

fn read_values(mut rest: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, Given>::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let Some(end) = rest.find(['=', ';']) else {
            break;
        };
        let (name, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            rest = after;
            continue;
        };
        rest = after.trim_start_matches([' ', '\t']);
        let value = match rest.strip_prefix('"') {
            Some(quoted) => {
                rest = quoted;
                take_quoted(&mut rest)
            }
            None => take_unquoted(&mut rest),
        };
        let name = without_comments(name).trim().to_ascii_lowercase();
        enter(&mut all, &name, value);
    }
    let decode = |(name, given): (String, Given)| {
        let value = given.decode(&name)?;
        Some((name, value))
    };
    all.into_iter().filter_map(decode).collect()
}

/// The first of several parameters with the same name wins.
fn enter(all: &mut BTreeMap<String, Given>, name: &str, value: String) {
    let mut pieces = name.splitn(3, '*');
    let base = pieces.next().unwrap_or_default();
    if base.is_empty() {
        return;
    }
    let given = all.entry(base.to_owned()).or_default();
    match (pieces.next(), pieces.next()) {
        (None, _) => {
            given.plain.get_or_insert(value);
        }
        (Some(""), None) => {
            given.extended.get_or_insert(value);
        }
        (Some(number), star) => {
            if let (Ok(number), None | Some("")) = (number.parse(), star) {
                given.parts.entry(number).or_insert((star.is_some(), value));
            }
        }
    }
}

/// Takes the text up to the closing quote, unescaped, and skips to after the next semicolon outside
/// of comments.
fn take_quoted(rest: &mut &str) -> String {
    let mut out = String::new();
    let mut chars = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                end = at;
                break;
            }
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    *rest = rest.get(end..).unwrap_or_default();
    take_until(rest, ';');
    out
}

/// Takes the text up to the next semicolon. File names contain spaces although they should be
/// quoted; a comment after a single word is skipped: `us-ascii (Plain text)`.
fn take_unquoted(rest: &mut &str) -> String {
    let end = rest.find(';').unwrap_or(rest.len());
    let (value, after) = rest.split_at(end);
    *rest = after;
    let value = value.trim();
    match value.split_once(" (") {
        Some((word, comment)) if comment.ends_with(')') && !word.trim().contains(' ') => {
            word.trim().to_owned()
        }
        _ => value.to_owned(),
    }
}

impl Given {
    /// The extended form comes first: it is there for those who support it (RFC 6266, 4.3).
    fn decode(self, name: &str) -> Option<String> {
        if let Some(extended) = self.extended {
            let (charset, value) = split_charset(&extended);
            return Some(decode_charset(&decode_percent(value), charset).into_owned());
        }
        let Some(joined) = joined(&self.parts) else {
            return self.plain.map(|text| in_words(name, &text));
        };
        Some(match joined {
            // Without any percent-encoding, it is a split text, such as an encoded word.
            Joined::Text(text) => in_words(name, &text),
            Joined::Bytes(bytes, charset) => {
                decode_charset(&bytes, charset.as_deref()).into_owned()
            }
        })
    }
}

/// Encoded words are not allowed in parameters (RFC 2047, 5), but nearly all filenames contain
/// them.
fn in_words(name: &str, text: &str) -> String {
    match name {
        "boundary" => text.to_owned(),
        _ => decode_words(text),
    }
}

enum Joined {
    Text(String),
    Bytes(Vec<u8>, Option<String>),
}

/// Joins the parts of a continued value (RFC 2231, 3), ordered by number, up to the first missing
/// one. They are percent-decoded and joined before the charset is applied, because a character may
/// be split between two parts.
fn joined(parts: &BTreeMap<u32, (bool, String)>) -> Option<Joined> {
    let (first, _) = parts.first_key_value()?;
    let in_order = parts.iter().zip(*first..);
    let in_order = in_order.take_while(|((number, _), expected)| **number == *expected);
    let in_order: Vec<_> = in_order.map(|((_, part), _)| part).collect();
    if in_order.iter().all(|(encoded, _)| !encoded) {
        let texts = in_order.iter().map(|(_, text)| text.as_str());
        return Some(Joined::Text(texts.collect()));
    }
    let mut bytes = Vec::new();
    let mut charset = None;
    for (at, (encoded, text)) in in_order.into_iter().enumerate() {
        let value = match (at, encoded) {
            (0, true) => {
                let (named, value) = split_charset(text);
                charset = named.map(str::to_owned);
                value
            }
            _ => text,
        };
        match encoded {
            true => bytes.extend(decode_percent(value)),
            false => bytes.extend(value.bytes()),
        }
    }
    Some(Joined::Bytes(bytes, charset))
}

/// `charset'language'value`; some senders omit the first two.
fn split_charset(text: &str) -> (Option<&str>, &str) {
    let mut pieces = text.splitn(3, '\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(value)) => {
            (Some(charset).filter(|charset| !charset.is_empty()), value)
        }
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(header: &str, name: &str) -> Option<String> {
        Parameters::read(header)?.value(name).map(str::to_owned)
    }

    #[test]
    fn comments_in_a_media_type_are_skipped() {
        for (header, kind, subtype) in [
            ("Text/Plain; charset=UTF-8", "text", Some("plain")),
            (" text / html ", "text", Some("html")),
            ("text/plain (a; b) ; charset=x", "text", Some("plain")),
            ("(c) image/png", "image", Some("png")),
            ("ATTACHMENT", "attachment", None),
            ("attachment; filename=a", "attachment", None),
            ("text/; charset=x", "text", None),
        ] {
            let read = Parameters::read(header).unwrap();
            assert_eq!((read.kind(), read.subtype()), (kind, subtype), "{header}");
        }
        for nothing in ["", " ", ";", "; charset=utf-8", "/", "(c)"] {
            assert_eq!(Parameters::read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_value_is_read_in_every_notation() {
        for (header, expected) in [
            ("a; x=1; x=2", "1"),
            ("a; X = \"1;\\\"2\" ; y", "1;\"2"),
            ("a;x=1 (one)", "1"),
            ("a; x=my file (1).txt; y=2", "my file (1).txt"),
            ("a; x=report (1)", "report"),
            ("a; x=report (1).txt", "report (1).txt"),
            ("a; x=my report (1)", "my report (1)"),
            ("a (b; x=1 (c); x=2); x=3", "3"),
            ("a; y=\"\"; z=\"é\"; x=1", "1"),
            ("a; x=\"not closed", "not closed"),
            ("a; x=\"1\"junk; y=2", "1"),
            ("a; x=", ""),
            ("a; y; x=1", "1"),
            ("a; x*=utf-8'en'%e2%82%ac%20rates; x=EURO", "€ rates"),
            ("a; x*=iso-8859-1''caf%E9", "café"),
            ("a; x*=%C3%A9", "é"),
            ("a; x*=\"utf-8''a%2Fb\"", "a/b"),
            ("a; x*=utf-8''100%", "100%"),
            ("a; x*1=b; x*0=a; x*2=c", "abc"),
            ("a; x*0*=utf-8''%C3; x*1*=%A9; x*2=\"%20\"", "é%20"),
            ("a; x*0=a; x*2=c", "a"),
            ("a; x*1=a; x*2=b", "ab"),
            ("a; x*z=a; x*0*y=b; x=c", "c"),
            ("a; boundary=\"=?utf-8?q?b?=\"; x=1", "1"),
        ] {
            assert_eq!(value(header, "x").as_deref(), Some(expected), "{header}");
        }
        assert_eq!(
            value("a; boundary=\"=?utf-8?q?b?=\"", "boundary").as_deref(),
            Some("=?utf-8?q?b?=")
        );
        assert_eq!(value("a; *=1; =2; *0=3", ""), None);
    }

    #[test]
    fn a_value_of_any_length_is_read_quickly() {
        let long: String = (0..100_000).map(|n| format!("; n{n}*=u'x'y")).collect();
        let header = format!("text/plain; charset=UTF-8{long}");
        assert_eq!(value(&header, "charset").as_deref(), Some("UTF-8"));
        let parts: String = (0..100_000).map(|n| format!("; x*{n}*=%41")).collect();
        assert!(value(&format!("a{parts}"), "x").is_some());
    }
}
