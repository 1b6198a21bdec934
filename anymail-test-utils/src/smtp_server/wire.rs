//! A server's end of a connection: reads lines, writes bytes, switches to TLS, and simulates bad
//! endings.

use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::tls::{self, TlsStream};

/// How the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The server closes the connection normally.
    Close,
    /// The server resets the connection.
    Reset,
    /// The client has disconnected.
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

pub(super) type Outcome<T = ()> = Result<T, End>;

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

/// A line without its line end, and how that line end was written.
pub(super) struct Line {
    pub(super) bytes: Bytes,
    pub(super) bare_line_feed: bool,
}

pub(super) struct Wire {
    /// `None` only in the middle of a handshake.
    stream: Option<Stream>,
    pub(super) input: BytesMut,
    output: Vec<u8>,
}

/// The maximum length of a line without a line end.
const LONGEST_LINE: usize = 1024 * 1024;

/// How long a closing connection waits for its peer to close.
const LINGER: Duration = Duration::from_secs(1);

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(Stream::Plain(stream)),
            input: BytesMut::new(),
            output: Vec::new(),
        }
    }

    /// Takes the next complete line. A line that is too long ends the connection.
    pub(super) fn take_line(&mut self) -> Outcome<Option<Line>> {
        let Some(at) = self.input.iter().position(|byte| *byte == b'\n') else {
            return match self.input.len() > LONGEST_LINE {
                true => Err(End::Close),
                false => Ok(None),
            };
        };
        let mut line = self.input.split_to(at);
        self.input.advance(1);
        let bare_line_feed = line.last() != Some(&b'\r');
        if !bare_line_feed {
            line.truncate(line.len() - 1);
        }
        Ok(Some(Line {
            bytes: line.freeze(),
            bare_line_feed,
        }))
    }

    /// Waits for more input.
    pub(super) async fn fill(&mut self) -> Outcome {
        self.input.reserve(16 * 1024);
        let read = match &mut self.stream {
            Some(Stream::Plain(stream)) => stream.read_buf(&mut self.input).await?,
            Some(Stream::Tls(stream)) => stream.read_buf(&mut self.input).await?,
            None => 0,
        };
        if read == 0 { Err(End::Gone) } else { Ok(()) }
    }

    /// Whether there is unread input; waits at most `patience` for it.
    pub(super) async fn has_input(&mut self, patience: Duration) -> bool {
        if self.input.is_empty() {
            if patience.is_zero() {
                self.fill_if_ready().await;
            } else {
                let _ = tokio::time::timeout(patience, self.fill()).await;
            }
        }
        !self.input.is_empty()
    }

    async fn fill_if_ready(&mut self) {
        let mut space = [0; 4096];
        let mut space = ReadBuf::new(&mut space);
        let stream = &mut self.stream;
        std::future::poll_fn(|cx| {
            let _ = match stream {
                Some(Stream::Plain(stream)) => Pin::new(stream).poll_read(cx, &mut space),
                Some(Stream::Tls(stream)) => Pin::new(stream).poll_read(cx, &mut space),
                None => Poll::Pending,
            };
            Poll::Ready(())
        })
        .await;
        self.input.extend_from_slice(space.filled());
    }

    /// Queues these bytes for the next [`flush`](Self::flush).
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    pub(super) async fn flush(&mut self) -> Outcome {
        if self.output.is_empty() {
            return Ok(());
        }
        match &mut self.stream {
            Some(Stream::Plain(stream)) => stream.write_all(&self.output).await?,
            Some(Stream::Tls(stream)) => {
                stream.write_all(&self.output).await?;
                stream.flush().await?;
            }
            None => {}
        }
        self.output.clear();
        Ok(())
    }

    /// Sends these bytes one at a time, each after `interval`.
    pub(super) async fn drip(&mut self, bytes: &[u8], interval: Duration) -> Outcome {
        self.flush().await?;
        for byte in bytes {
            tokio::time::sleep(interval).await;
            self.write(&[*byte]);
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends the same bytes repeatedly until the client disconnects, at most `most` bytes. Reports
    /// the number of bytes sent each time.
    pub(super) async fn repeat(&mut self, bytes: &[u8], most: u64, gone: impl Fn(u64)) -> End {
        let many = bytes.repeat(4096_usize.div_ceil(bytes.len().max(1)));
        let length = u64::try_from(many.len()).unwrap_or(u64::MAX);
        let mut left = most;
        while left > 0 {
            self.write(&many);
            if let Err(end) = self.flush().await {
                return end;
            }
            left = left.saturating_sub(length);
            gone(length);
            // The server has a single thread, which other connections need, too.
            tokio::task::yield_now().await;
        }
        End::Reset
    }

    /// Waits until the client closes the connection, without reading its input.
    pub(super) async fn until_closed(&mut self) -> End {
        loop {
            let socket = match &mut self.stream {
                Some(Stream::Plain(stream)) => stream,
                Some(Stream::Tls(stream)) => tls::socket(stream),
                None => return End::Gone,
            };
            match socket.ready(Interest::READABLE).await {
                Ok(ready) if !ready.is_read_closed() => {}
                _ => return End::Gone,
            }
            // The socket stays ready while there is unread input.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends these bytes below TLS, in clear text.
    pub(super) async fn write_past_tls(&mut self, bytes: &[u8]) -> Outcome {
        let socket = match &mut self.stream {
            Some(Stream::Plain(stream)) => stream,
            Some(Stream::Tls(stream)) => tls::socket(stream),
            None => return Err(End::Gone),
        };
        Ok(socket.write_all(bytes).await?)
    }

    /// Performs a handshake on a connection that is still plain.
    pub(super) async fn start_tls(
        &mut self,
        certificates: &tls::Certificates,
        wrong: Option<super::fault::WrongCertificate>,
    ) -> Outcome {
        let Some(Stream::Plain(stream)) = self.stream.take() else {
            return Err(End::Gone);
        };
        let stream = certificates.accept(stream, wrong).await?;
        self.stream = Some(Stream::Tls(Box::new(stream)));
        Ok(())
    }

    /// Ends the connection.
    pub(super) async fn end(mut self, end: End) {
        match end {
            End::Gone => {}
            End::Reset => {
                // Flush first, because a reset discards unsent bytes.
                let _ = self.flush().await;
                if let Some(stream) = &mut self.stream {
                    let socket = match stream {
                        Stream::Plain(stream) => stream,
                        Stream::Tls(stream) => tls::socket(stream),
                    };
                    let _ = socket.set_zero_linger();
                }
            }
            End::Close => {
                let _ = self.flush().await;
                let _ = match &mut self.stream {
                    Some(Stream::Plain(stream)) => stream.shutdown().await,
                    Some(Stream::Tls(stream)) => stream.shutdown().await,
                    None => Ok(()),
                };
                // Read and discard the client's input: if it stayed unread, FIN would become RST
                // and the last reply would be lost.
                let _ = tokio::time::timeout(LINGER, self.drain()).await;
            }
        }
    }

    async fn drain(&mut self) {
        while self.fill().await.is_ok() {
            self.input.clear();
        }
    }
}
