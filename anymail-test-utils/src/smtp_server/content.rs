//! Reads the content of a message: finds its end, removes dot-stuffing, and checks its lines.

use bytes::{Bytes, BytesMut};

use super::judge::SmtpRule;
use super::wire::{Outcome, Wire};

/// What [`DotReader`] has found in the input so far.
pub(super) enum Progress {
    More,
    End,
    /// `LF . LF`, which some servers accept as the end and others do not, which allows SMTP
    /// smuggling.
    FalseEnd,
}

/// Reads the content after `DATA`, up to the line that contains only a dot.
#[derive(Default)]
pub(super) struct DotReader {
    content: BytesMut,
    /// The size of the content, including bytes that were not kept.
    size: usize,
    /// The position in the input where the search for the next CR LF continues.
    looked: usize,
    pub(super) unstuffed: bool,
}

impl DotReader {
    /// Consumes all complete lines. Content beyond `limit` is read but not kept.
    pub(super) fn advance(&mut self, input: &mut BytesMut, limit: usize) -> Progress {
        while let Some(at) = find(input, self.looked) {
            let line = input.split_to(at + 2);
            self.looked = 0;
            let text = line.get(..at).unwrap_or_default();
            if text == b"." {
                return Progress::End;
            }
            if ends_falsely(text) {
                return Progress::FalseEnd;
            }
            if let (Some(b'.'), Some(next)) = (text.first(), text.get(1)) {
                self.unstuffed |= *next != b'.';
                self.append(line.get(1..).unwrap_or_default(), limit);
            } else {
                self.append(&line, limit);
            }
        }
        self.looked = input.len().saturating_sub(1);
        match input.ends_with(b"\n") && ends_falsely(input.get(..self.looked).unwrap_or_default()) {
            true => Progress::FalseEnd,
            false => Progress::More,
        }
    }

    fn append(&mut self, line: &[u8], limit: usize) {
        self.size += line.len();
        if self.size <= limit {
            self.content.extend_from_slice(line);
        }
    }

    /// Returns the content and its actual size.
    pub(super) fn finish(self) -> (Bytes, usize) {
        (self.content.freeze(), self.size)
    }
}

/// Returns the position of the first CR LF at or after `from`.
fn find(input: &[u8], from: usize) -> Option<usize> {
    let rest = input.get(from..)?;
    Some(from + rest.windows(2).position(|pair| pair == b"\r\n")?)
}

/// Whether a line contains a bare LF and a dot with its own line end.
fn ends_falsely(text: &[u8]) -> bool {
    text.ends_with(b"\n.") || text.windows(3).any(|window| window == b"\n.\n")
}

/// Reads the `size` bytes of a `BDAT` command and keeps at most `limit` of them.
pub(super) async fn read_chunk(wire: &mut Wire, size: usize, limit: usize) -> Outcome<Bytes> {
    let (mut chunk, mut left) = (BytesMut::new(), size);
    while left > 0 {
        if wire.input.is_empty() {
            wire.fill().await?;
        }
        let part = wire.input.split_to(left.min(wire.input.len()));
        left -= part.len();
        if chunk.len() + part.len() <= limit {
            chunk.extend_from_slice(&part);
        }
    }
    Ok(chunk.freeze())
}

/// Returns the rules that the lines of a message break, each with the number of the first such
/// line.
pub(super) fn judge(content: &[u8], eight_bit: bool, utf8: bool) -> Vec<(SmtpRule, usize)> {
    let mut broken: Vec<(SmtpRule, usize)> = Vec::new();
    let mut in_header = true;
    let mut rest = content;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = find(rest, 0).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(2..).unwrap_or_default();
        in_header &= !line.is_empty();
        let high = !line.is_ascii();
        for (rule, breaks) in [
            (SmtpRule::LineTooLong, line.len() > 998),
            (SmtpRule::BareLineFeed, line.contains(&b'\n')),
            (SmtpRule::BareCarriageReturn, line.contains(&b'\r')),
            (SmtpRule::Nul, line.contains(&0)),
            (SmtpRule::EightBitHeader, high && in_header && !utf8),
            // A message with SMTPUTF8 may have 8-bit headers, but its body still needs BODY.
            (SmtpRule::EightBitBody, high && !in_header && !eight_bit),
        ] {
            if breaks && !broken.iter().any(|(known, _)| *known == rule) {
                broken.push((rule, number));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (Option<Bytes>, bool, BytesMut) {
        let mut reader = DotReader::default();
        let mut input = BytesMut::new();
        let mut pieces = pieces.iter();
        while let Some(piece) = pieces.next() {
            input.extend_from_slice(piece.as_bytes());
            match reader.advance(&mut input, 1000) {
                Progress::More => {}
                Progress::End => {
                    let unstuffed = reader.unstuffed;
                    for later in pieces {
                        input.extend_from_slice(later.as_bytes());
                    }
                    return (Some(reader.finish().0), unstuffed, input);
                }
                Progress::FalseEnd => return (None, false, input),
            }
        }
        (None, true, input)
    }

    #[test]
    fn dots_are_unstuffed_and_the_end_is_found_in_any_chunks() {
        let whole = "a\r\n..b\r\n...\r\n\r\n.\r\nQUIT\r\n";
        for cut in 1..whole.len() {
            let (first, second) = whole.split_at(cut);
            let (content, unstuffed, rest) = read(&[first, second]);
            assert_eq!(
                content.as_deref(),
                Some(&b"a\r\n.b\r\n..\r\n\r\n"[..]),
                "{cut}"
            );
            assert!(!unstuffed);
            assert_eq!(rest, "QUIT\r\n", "{cut}");
        }
        assert_eq!(read(&[".\r\n"]).0.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn an_unstuffed_dot_is_reported() {
        assert!(read(&["a\r\n.b\r\n.\r\n"]).1);
    }

    #[test]
    fn bare_line_feeds_do_not_end_the_content() {
        for text in ["a\n.\n", "a\n.\r\n", "a\n.\nMAIL FROM:<x@y>\r\n"] {
            let (content, unstuffed, _) = read(&[text]);
            assert_eq!((content, unstuffed), (None, false), "{text:?}");
        }
        assert!(read(&["a\r\n.\nb\r\n.\r\n"]).0.is_some());
    }

    #[test]
    fn lines_are_judged() {
        let long = "x".repeat(999);
        let text = format!("Subject: \u{e9}\r\n{long}\r\n\r\n\u{e9}\na\rb\0\r\n");
        assert_eq!(
            judge(text.as_bytes(), false, false),
            [
                (SmtpRule::EightBitHeader, 1),
                (SmtpRule::LineTooLong, 2),
                (SmtpRule::BareLineFeed, 4),
                (SmtpRule::BareCarriageReturn, 4),
                (SmtpRule::Nul, 4),
                (SmtpRule::EightBitBody, 4),
            ]
        );
        let good = format!("Subject: \u{e9}\r\n\r\n\u{e9}\r\n{}\r\n", &long[..998]);
        assert_eq!(judge(good.as_bytes(), true, true), []);
    }
}
