//! A TCP stream that can end abnormally, write slowly, or write something else.
//!
//! `call.rs` controls it through the [`Wire`] of the call's connection.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How the connection treats the next bytes that are written.
#[derive(Debug, Clone, Default)]
enum Writing {
    #[default]
    Plain,
    Drip(Duration),
    Cut(Cut),
    /// Writes these bytes, from this position on, instead.
    Instead(Bytes),
}

/// Passes the response's head and this many bytes of its body.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// How many bytes of the blank line that ends the head have been seen, up to 4.
    seen: usize,
    left: usize,
}

impl Cut {
    const END: &[u8; 4] = b"\r\n\r\n";

    /// Returns how many of these bytes may pass, and updates the remaining limit.
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

/// Controls one connection's [`WireStream`].
#[derive(Debug, Clone, Default)]
pub(super) struct Wire(Arc<Mutex<State>>);

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends RST instead of FIN when the connection is dropped.
    pub(super) fn reset_on_drop(&self) {
        self.state().reset = true;
    }

    /// Passes everything unchanged.
    pub(super) fn plain(&self) {
        self.state().writing = Writing::Plain;
    }

    /// Passes everything one byte at a time, each after `interval`.
    pub(super) fn drip(&self, interval: Duration) {
        self.state().writing = Writing::Drip(interval);
    }

    /// Ends the next response after `bytes` of its body.
    pub(super) fn cut_after(&self, bytes: usize) {
        let left = bytes;
        self.state().writing = Writing::Cut(Cut { seen: 0, left });
    }

    /// Sends these bytes instead of the next response and ends the connection.
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

/// How long a closing connection waits for its peer to close.
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
            return Poll::Ready(Ok(())); // a FIN first would look like a normal close
        }
        if !this.closing {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.closing = true;
            this.pause = Some(after(LINGER));
        }
        // Read and discard the peer's input: if it stayed unread, FIN would become RST and the
        // response would be lost. Once the peer has closed, it has certainly read the response.
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
            // Closing a socket with a linger time of zero sends RST.
            let _ = self.stream.set_zero_linger();
        }
    }
}
