//! Decodes encoded words (RFC 2047) in header values.
//!
//! `headers.rs` knows which values contain them. mail-parser decodes words one by one, but mail
//! clients split characters, and even base64's groups of four, between two words. So adjacent words
//! are joined here before they are decoded.

use std::borrow::Cow;

use super::content::{decode_base64, decode_charset};

/// Decodes the encoded words in a text. The result is a single line.
pub(super) fn decode_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut run: Option<Run> = None;
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at(at);
        let word = EncodedWord::read(tail);
        // White space between two encoded words is not part of the text (RFC 2047, 6.2).
        let adjacent = run.is_some() && word.is_some() && before.trim().is_empty();
        if !adjacent {
            end(&mut run, &mut out);
            out.push_str(before);
        }
        let Some(word) = word else {
            out.push_str("=?");
            rest = tail.get(2..).unwrap_or_default();
            continue;
        };
        if run.as_ref().is_some_and(|run| !run.continues_with(&word)) {
            end(&mut run, &mut out);
        }
        run.get_or_insert_with(|| Run::new(word.charset))
            .push(&word);
        rest = tail.get(word.length..).unwrap_or_default();
    }
    end(&mut run, &mut out);
    out.push_str(rest);
    clean(&out).into_owned()
}

fn end(run: &mut Option<Run>, out: &mut String) {
    if let Some(run) = run.take() {
        run.decode_into(out);
    }
}

/// Decodes the encoded word at the start of `text`, and returns its length.
pub(super) fn first_word(text: &str) -> Option<(String, usize)> {
    let word = EncodedWord::read(text)?;
    let mut out = String::new();
    let mut run = Run::new(word.charset);
    run.push(&word);
    run.decode_into(&mut out);
    Some((out, word.length))
}

struct EncodedWord<'a> {
    charset: &'a str,
    base64: bool,
    content: &'a str,
    length: usize,
}

impl<'a> EncodedWord<'a> {
    fn read(text: &'a str) -> Option<Self> {
        // Question marks occur only between the parts of a word (RFC 2047, 2), so this reads no
        // further than the next words.
        let mut parts = text.get(2..)?.splitn(4, '?');
        let (charset, encoding, content) = (parts.next()?, parts.next()?, parts.next()?);
        if !parts.next()?.starts_with('=') || charset.is_empty() {
            return None;
        }
        let base64 = match encoding {
            "B" | "b" => true,
            "Q" | "q" => false,
            _ => return None,
        };
        Some(Self {
            // The charset may be followed by a language (RFC 2231, 5).
            charset: charset.split('*').next().unwrap_or_default(),
            base64,
            content,
            length: "=????=".len() + charset.len() + encoding.len() + content.len(),
        })
    }
}

/// Adjacent words in one charset.
struct Run {
    charset: String,
    bytes: Vec<u8>,
    /// Base64 characters that are not yet a complete group.
    base64: String,
}

impl Run {
    fn new(charset: &str) -> Self {
        Self {
            charset: charset.to_owned(),
            bytes: Vec::new(),
            base64: String::new(),
        }
    }

    fn continues_with(&self, word: &EncodedWord<'_>) -> bool {
        self.charset.eq_ignore_ascii_case(word.charset)
    }

    fn push(&mut self, word: &EncodedWord<'_>) {
        if !word.base64 {
            self.end_base64();
            self.bytes.extend(decode_q(word.content));
            return;
        }
        self.base64.push_str(word.content);
        if word.content.ends_with('=') {
            self.end_base64();
        }
    }

    fn end_base64(&mut self) {
        if !self.base64.is_empty() {
            self.bytes.extend(decode_base64(self.base64.as_bytes()));
            self.base64.clear();
        }
    }

    fn decode_into(mut self, out: &mut String) {
        self.end_base64();
        out.push_str(&decode_charset(&self.bytes, Some(&self.charset)));
    }
}

/// The "Q" encoding (RFC 2047, 4.2). A `=` that escapes nothing is kept.
fn decode_q(content: &str) -> Vec<u8> {
    decode_escapes(content.as_bytes(), b'=')
        .map(|(byte, escaped)| if byte == b'_' && !escaped { b' ' } else { byte })
        .collect()
}

/// Decodes `%20` (RFC 2231, 7). A `%` that escapes nothing is kept.
pub(super) fn decode_percent(text: &str) -> Vec<u8> {
    let bytes = decode_escapes(text.as_bytes(), b'%');
    bytes.map(|(byte, _)| byte).collect()
}

/// Bytes, and whether each was written as `mark` and two hexadecimal digits.
fn decode_escapes(bytes: &[u8], mark: u8) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let digit = |at: usize| {
            after
                .get(at)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        let escaped = (*first == mark).then(|| Some(digit(0)? * 16 + digit(1)?));
        if let Some(byte) = escaped.flatten().and_then(|byte| u8::try_from(byte).ok()) {
            rest = after.get(2..).unwrap_or_default();
            return Some((byte, true));
        }
        rest = after;
        Some((*first, false))
    })
}

/// The text without its comments (RFC 5322, 3.2.2), which may be nested.
pub(super) fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains('(') {
        return Cow::Borrowed(text);
    }
    let (mut depth, mut escaped) = (0_usize, false);
    let outside = |c: &char| {
        let before = depth;
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 => escaped = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before == 0 && depth == 0
    };
    text.chars().filter(outside).collect()
}

/// Replaces each run of control characters with a space: decoded text must not break a line where
/// it is used.
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

    #[test]
    fn only_encoded_words_are_decoded() {
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
            ("=??q?a?=", "=??q?a?="),
            // A character that is split between two words, in Q and in B.
            ("=?utf-8?q?=F0=9F?= =?UTF-8?q?=98=81?=", "😁"),
            ("=?utf-8?B?8J8=?= =?utf-8?B?mIE=?=", "😁"),
            ("=?utf-8?B?8J?= =?utf-8?B?+YgQ==?=", "😁"),
            ("=?utf-8?B?YQ=?= =?utf-8?B?Yg==?=", "ab"),
            ("=?utf-8?q?=C3?= =?iso-8859-1?q?=E9?=", "\u{fffd}é"),
            ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
            (
                "=?iso-2022-jp?B?GyRCJCI=?= =?iso-2022-jp?B?GyhCYQ==?=",
                "あa",
            ),
            ("=?utf-8?q?100=_sure?=", "100= sure"),
        ] {
            assert_eq!(decode_words(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_are_removed_with_the_comments_in_them() {
        for (text, expected) in [
            ("a (b) c", "a  c"),
            ("a (b (c) d) e", "a  e"),
            ("a (b \\) c) d", "a  d"),
            ("a\\(b) c", "a\\ c"),
            ("a) (b) c", "a)  c"),
            ("a (b", "a "),
            ("none", "none"),
        ] {
            assert_eq!(without_comments(text), expected, "{text}");
        }
    }
}
