//! A message as it is sent after DATA: in pieces, with its dots doubled, and with the end marker.
//!
//! `wire.rs` sends the pieces; `message/mime.rs` writes the message.

use memchr::memchr2;

/// The size of a piece, and the memory needed in addition to the message.
const PIECE: usize = 64 * 1024;

/// The end of a message after DATA, at the start of a line (RFC 5321, 4.1.1.4).
pub(super) const END: &[u8] = b".\r\n";

/// Splits a message into pieces.
pub(super) struct Content<'a> {
    rest: &'a [u8],
    at_line_start: bool,
    ended: bool,
    marker_apart: bool,
    piece: Vec<u8>,
}

impl<'a> Content<'a> {
    /// `marker_apart`: the end marker is a separate piece. On an encrypted connection it is not
    /// known which bytes are on the wire, so a piece must not contain both content and marker.
    pub(super) fn new(mail: &'a [u8], marker_apart: bool) -> Self {
        Self {
            rest: mail,
            at_line_start: true,
            ended: false,
            marker_apart,
            piece: Vec::with_capacity(PIECE.min(mail.len() + mail.len() / 32) + 8),
        }
    }

    /// The next piece and, if it is the last, the offset of the end marker.
    ///
    /// A line break other than CR LF becomes CR LF: servers that accept it as a line end could be
    /// made to see the end of the message too early (SMTP smuggling).
    pub(super) fn next(&mut self) -> Option<(&[u8], Option<usize>)> {
        if self.ended {
            return None;
        }
        self.piece.clear();
        while self.piece.len() < PIECE && !self.rest.is_empty() {
            // RFC 5321, 4.5.2.
            if self.at_line_start && self.rest.first() == Some(&b'.') {
                self.piece.push(b'.');
            }
            let room = PIECE - self.piece.len();
            let fitting = self.rest.get(..room).unwrap_or(self.rest);
            let line_end = memchr2(b'\r', b'\n', fitting);
            self.take(line_end.unwrap_or(fitting.len()));
            self.at_line_start = line_end.is_some();
            if self.at_line_start {
                self.piece.extend_from_slice(b"\r\n");
                let whole = self.rest.starts_with(b"\r\n");
                let skipped = if whole { 2 } else { 1 };
                self.rest = self.rest.get(skipped..).unwrap_or_default();
            }
        }
        if !self.rest.is_empty() {
            return Some((&self.piece, None));
        }
        if !self.at_line_start {
            self.piece.extend_from_slice(b"\r\n");
            self.at_line_start = true;
        }
        if self.marker_apart && !self.piece.is_empty() {
            return Some((&self.piece, None));
        }
        self.ended = true;
        let marker = self.piece.len();
        self.piece.extend_from_slice(END);
        Some((&self.piece, Some(marker)))
    }

    fn take(&mut self, bytes: usize) {
        let (head, rest) = self
            .rest
            .split_at_checked(bytes)
            .unwrap_or((self.rest, &[]));
        self.piece.extend_from_slice(head);
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(mail: &[u8]) -> Vec<u8> {
        let whole = put_together(mail, false);
        assert_eq!(put_together(mail, true), whole);
        whole
    }

    fn put_together(mail: &[u8], marker_apart: bool) -> Vec<u8> {
        let mut content = Content::new(mail, marker_apart);
        let mut out = Vec::new();
        let mut ended = false;
        while let Some((piece, marker)) = content.next() {
            assert!(!ended);
            // The size, and at most a line end and the end marker.
            assert!(piece.len() <= 65536 + 5, "{}", piece.len());
            if let Some(marker) = marker {
                assert_eq!(&piece[marker..], END);
                assert!(marker == 0 || !marker_apart);
                ended = true;
            }
            out.extend_from_slice(piece);
        }
        assert!(ended);
        out
    }

    #[test]
    fn no_content_ends_a_message_early() {
        for (mail, sent) in [
            ("", ".\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\n\r.\r\n", "a\r\n\r\n..\r\n.\r\n"),
            ("..\r\n...", "...\r\n....\r\n.\r\n"),
        ] {
            assert_eq!(whole(mail.as_bytes()), sent.as_bytes(), "{mail:?}");
        }
    }

    #[test]
    fn a_long_message_is_sent_in_chunks_without_loss() {
        for length in [
            PIECE - 3,
            PIECE - 2,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            3 * PIECE + 7,
        ] {
            for line in [length * 2, 76, 1] {
                let mut mail = Vec::new();
                while mail.len() < length {
                    mail.push(b'.');
                    mail.resize(mail.len() + line - 1, b'x');
                    mail.extend_from_slice(b"\r\n");
                }
                let sent = whole(&mail);
                let text = String::from_utf8(sent).unwrap();
                let body = text.strip_suffix(".\r\n").unwrap();
                let undone: String = body
                    .split_inclusive("\r\n")
                    .map(|line| line.strip_prefix('.').unwrap())
                    .collect();
                assert_eq!(undone.as_bytes(), mail, "{length} {line}");
            }
        }
    }
}
