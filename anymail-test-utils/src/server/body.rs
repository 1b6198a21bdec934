//! [`AnswerBody`]: the body of a response, finite or endless.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::LoopbackServer;
use super::call::Broken;

/// The body of a response.
pub(super) struct AnswerBody {
    first: Option<Bytes>,
    /// The counter of bytes taken from an endless body; `None` for a finite one.
    endless: Option<(u64, Arc<AtomicU64>)>,
}

impl AnswerBody {
    /// Creates a body with these bytes.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            first: Some(bytes).filter(|bytes| !bytes.is_empty()),
            endless: None,
        }
    }

    /// Creates a body with these bytes followed by endless spaces, which are counted as they are
    /// taken.
    pub(super) fn endless(bytes: Bytes, taken: Arc<AtomicU64>) -> Self {
        Self {
            endless: Some((0, taken)),
            ..Self::whole(bytes)
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        static SPACES: [u8; 64 * 1024] = [b' '; 64 * 1024];
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        Poll::Ready(self.endless.as_mut().map(|(own, taken)| {
            if *own >= LoopbackServer::ENDLESS {
                return Err(Broken);
            }
            let length = SPACES.len().try_into().unwrap_or(u64::MAX);
            *own = own.saturating_add(length);
            taken.fetch_add(length, Ordering::SeqCst);
            Ok(Frame::data(Bytes::from_static(&SPACES)))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.endless.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.endless, &self.first) {
            (Some(_), _) => SizeHint::default(),
            (None, first) => {
                let length = first.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(length.try_into().unwrap_or(u64::MAX))
            }
        }
    }
}
