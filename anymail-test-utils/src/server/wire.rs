//! A TCP stream that can end badly, or write slowly, or write something else.
//!
//! When it does so is decided in `call.rs`, which holds the [`Wire`] of the call's connection.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How the connection treats what is written next.
#[derive(Debug, Clone, Default)]
enum Writing {
    #[default]
    Plain,
    Drip(Duration),
    Cut(Cut),
    /// These bytes, from this place on, instead of what is written.
    Instead(Bytes),
}

/// The answer's head passes, and so much of its body.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// How much of the blank line that ends the head has been seen: 4 is all.
    seen: usize,
    left: usize,
}

impl Cut {
    const END: &[u8; 4] = b"\r\n\r\n";

    /// How many of these bytes may pass, and what then is left.
    fn advance(mut self, bytes: &[u8]) -> (usize, Self) {
        let mut passed = 0;
        for byte in bytes {
            if let Some(wanted) = Self::END.get(self.seen) {
                self.seen = match byte == wanted {
                    true => self.seen + 1,
                    false => usize::from(*byte == b'\r'),
                };
            } else if let Some(left) = self.left.checked_sub(1) {
                self.left = left;
            } else {
                break;
            }
            passed += 1;
        }
        (passed, self)
    }
}

#[derive(Debug, Default)]
struct State {
    writing: Writing,
    reset: bool,
}

/// The lever on one connection's [`WireStream`].
#[derive(Debug, Clone, Default)]
pub(super) struct Wire(Arc<Mutex<State>>);

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the connection is dropped, the peer sees RST instead of FIN.
    pub(super) fn reset_on_drop(&self) {
        self.state().reset = true;
    }

    /// What is written passes unchanged.
    pub(super) fn plain(&self) {
        self.state().writing = Writing::Plain;
    }

    /// What is written passes a byte at a time, each after `interval`.
    pub(super) fn drip(&self, interval: Duration) {
        self.state().writing = Writing::Drip(interval);
    }

    /// The next answer ends after `bytes` of its body.
    pub(super) fn cut_after(&self, bytes: usize) {
        let left = bytes;
        self.state().writing = Writing::Cut(Cut { seen: 0, left });
    }

    /// These bytes go out in place of the next answer, and then the connection ends.
    pub(super) fn write_instead(&self, bytes: Bytes) {
        self.state().writing = Writing::Instead(bytes);
    }
}

/// A server's end of a connection.
#[derive(Debug)]
pub(super) struct WireStream {
    stream: TcpStream,
    wire: Wire,
    pause: Option<Pin<Box<Sleep>>>,
    closing: bool,
}

/// How long a closing connection waits for its peer to close, too.
const LINGER: Duration = Duration::from_secs(1);

impl WireStream {
    pub(super) fn new(stream: TcpStream, wire: Wire) -> Self {
        Self {
            stream,
            wire,
            pause: None,
            closing: false,
        }
    }

    fn poll_drip(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        interval: Duration,
    ) -> Poll<io::Result<usize>> {
        let pause = self.pause.get_or_insert_with(|| after(interval));
        ready!(pause.as_mut().poll(cx));
        let first = bytes.get(..1).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, first));
        self.pause = None;
        Poll::Ready(written)
    }

    fn poll_cut(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        cut: Cut,
    ) -> Poll<io::Result<usize>> {
        let (passing, _) = cut.advance(bytes);
        let passing = bytes.get(..passing).unwrap_or(bytes);
        if passing.is_empty() {
            return Poll::Ready(Err(ended()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, passing))?;
        let (_, cut) = cut.advance(passing.get(..written).unwrap_or(passing));
        self.wire.state().writing = Writing::Cut(cut);
        Poll::Ready(Ok(written))
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>, mut bytes: Bytes) -> Poll<io::Result<usize>> {
        while !bytes.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes))?;
            bytes = bytes.slice(written.min(bytes.len())..);
            self.wire.write_instead(bytes.clone());
        }
        Poll::Ready(Err(ended()))
    }
}

fn after(pause: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(Instant::now() + pause))
}

/// The error that makes hyper drop the connection.
fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "ended by a fault")
}

impl AsyncRead for WireStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let writing = self.wire.state().writing.clone();
        match writing {
            Writing::Plain => Pin::new(&mut self.stream).poll_write(cx, bytes),
            Writing::Drip(interval) => self.poll_drip(cx, bytes, interval),
            Writing::Cut(cut) => self.poll_cut(cx, bytes, cut),
            Writing::Instead(instead) => self.poll_instead(cx, instead),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.wire.state().reset {
            return Poll::Ready(Ok(())); // a FIN first would look like a close in good order
        }
        if !this.closing {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.closing = true;
            this.pause = Some(after(LINGER));
        }
        // What the peer still sends is read and dropped: unread, it would turn FIN into RST and
        // take the answer away. And when the peer has closed, it has surely noticed.
        let mut rest = [0; 8192];
        while this
            .pause
            .as_mut()
            .is_some_and(|pause| pause.as_mut().poll(cx).is_pending())
        {
            let mut rest = ReadBuf::new(&mut rest);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut rest))?;
            if rest.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for WireStream {
    fn drop(&mut self) {
        if self.wire.state().reset {
            // Closing a socket that lingers for zero seconds sends RST.
            let _ = self.stream.set_zero_linger();
        }
    }
}
