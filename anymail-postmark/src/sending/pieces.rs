//! [`Draft`] and [`Pieces`]: a request's body while it is written, and while it is sent.
//!
//! `payload.rs` and `attachments.rs` write it. Large attachments are encoded in base64 only when
//! they are sent, piece by piece, so that a call needs hardly more memory than the attachments
//! themselves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::base64::{encode, encoded_len};

/// How much content becomes one piece of 64 KiB. A multiple of 3, so that padding occurs only at
/// the end of the content.
const STEP: usize = 48 * 1024;

/// A body that is being written: written bytes, and what goes between them.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) bytes: Vec<u8>,
    /// Each is inserted after this number of written bytes.
    between: Vec<(usize, Between)>,
    /// The total length of what goes between.
    more: usize,
}

enum Between {
    /// Bytes that are elsewhere in the draft.
    Again(Range<usize>),
    /// Content to encode.
    Base64(Bytes),
}

/// A position in a draft.
pub(super) struct Mark {
    bytes: usize,
    between: usize,
    more: usize,
}

impl Draft {
    /// The length of the body so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.more
    }

    /// Whether content of this length is worth a separate piece.
    pub(super) fn is_large(content: &[u8]) -> bool {
        content.len() > STEP
    }

    /// Inserts bytes that are elsewhere in the draft, without copying them.
    pub(super) fn again(&mut self, range: Range<usize>) {
        self.more += range.len();
        self.between.push((self.bytes.len(), Between::Again(range)));
    }

    /// Inserts content that is encoded when it is sent.
    pub(super) fn base64(&mut self, content: Bytes) {
        self.more += encoded_len(&content);
        self.between
            .push((self.bytes.len(), Between::Base64(content)));
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            between: self.between.len(),
            more: self.more,
        }
    }

    /// Removes everything written since.
    pub(super) fn rewind(&mut self, to: &Mark) {
        self.bytes.truncate(to.bytes);
        self.between.truncate(to.between);
        self.more = to.more;
    }

    /// The body, in order.
    pub(super) fn finish(self) -> Pieces {
        let left = self.len();
        let bytes = Bytes::from(self.bytes);
        let mut pieces = VecDeque::with_capacity(2 * self.between.len() + 1);
        let mut taken = 0;
        for (at, between) in self.between {
            pieces.push_back(Piece::Bytes(bytes.slice(taken..at)));
            pieces.push_back(match between {
                Between::Again(range) => Piece::Bytes(bytes.slice(range)),
                Between::Base64(content) => Piece::Base64(content),
            });
            taken = at;
        }
        pieces.push_back(Piece::Bytes(bytes.slice(taken..)));
        Pieces { pieces, left }
    }
}

/// A body that is not in memory as a whole. Yields its pieces in order.
#[derive(Default)]
pub(crate) struct Pieces {
    pieces: VecDeque<Piece>,
    left: usize,
}

enum Piece {
    Bytes(Bytes),
    Base64(Bytes),
}

impl Pieces {
    /// The remaining length.
    pub(crate) fn len(&self) -> usize {
        self.left
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            left: bytes.len(),
            pieces: VecDeque::from([Piece::Bytes(bytes.into())]),
        }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let piece = match self.pieces.front_mut()? {
            Piece::Base64(content) if content.len() > STEP => encoded(&content.split_to(STEP)),
            Piece::Base64(content) => {
                let last = encoded(content);
                self.pieces.pop_front();
                last
            }
            Piece::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.pieces.pop_front();
                bytes
            }
        };
        self.left -= piece.len();
        Some(piece)
    }
}

fn encoded(content: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(encoded_len(content));
    encode(&mut text, content);
    text.into()
}

impl From<Pieces> for reqwest::Body {
    fn from(mut body: Pieces) -> Self {
        match body.pieces.pop_front() {
            // The HTTP client can resend a body in one piece by itself.
            Some(Piece::Bytes(all)) if body.pieces.is_empty() => Self::from(all),
            Some(first) => {
                body.pieces.push_front(first);
                Self::wrap(body)
            }
            None => Self::from(Bytes::new()),
        }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Known, so the request has a Content-Length.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_body_in_one_piece_can_be_resent_by_the_http_client() {
        let one = || Pieces::from(b"one".to_vec());
        assert_eq!(reqwest::Body::from(one()).as_bytes(), Some(&b"one"[..]));
        let mut draft = Draft::default();
        draft.bytes.extend_from_slice(b"one");
        draft.again(0..3);
        assert_eq!(reqwest::Body::from(draft.finish()).as_bytes(), None);
    }

    #[test]
    fn a_body_ends_after_its_last_piece() {
        use http_body::Body;

        let mut pieces = Pieces::from(b"one".to_vec());
        assert!(!pieces.is_end_stream());
        pieces.next();
        assert!(pieces.is_end_stream());
    }
}
