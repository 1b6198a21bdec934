//! The bytes of an SMTP connection: sends commands and reads replies, within limits.
//!
//! `session.rs` and `conversation.rs` decide what is sent, and `reply.rs` interprets replies.
//! `smtp-proto` parses them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smtp_proto::response::parser::ResponseReceiver;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::reply::{self, Broken, Reply};
use super::secrets::Secrets;
use crate::message::excerpt;

/// RFC 5321, 4.5.3.1.5, allows 512 bytes per line; some servers send more.
const MAX_LINE: usize = 2048;
/// The longest replies are those to EHLO, with about 30 lines.
const MAX_LINES: usize = 128;

/// A connection, encrypted or not.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One connection.
pub(super) struct Wire {
    io: Box<dyn Io>,
    encrypted: bool,
    limit: Duration,
    secrets: Arc<Secrets>,
    /// Received bytes; those before `read` have been consumed.
    inbox: Vec<u8>,
    read: usize,
}

/// Why a message's content was not sent completely.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The server replied before the end. The reply can be read.
    Spoken,
    Broken(Broken),
}

impl Wire {
    pub(super) fn new(
        io: Box<dyn Io>,
        encrypted: bool,
        limit: Duration,
        secrets: Arc<Secrets>,
    ) -> Self {
        Self {
            io,
            encrypted,
            limit,
            secrets,
            inbox: Vec::new(),
            read: 0,
        }
    }

    /// Returns the raw connection for encryption. Bytes received before must not be trusted.
    pub(super) fn into_io(self) -> Box<dyn Io> {
        self.io
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether received bytes have not been consumed.
    pub(super) fn has_unread(&self) -> bool {
        self.read < self.inbox.len()
    }

    /// Whether the server has sent nothing and the connection seems to be open.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        !self.has_unread() && matches!(self.poll_fill(&mut context), Poll::Pending)
    }

    /// Sends one or several commands.
    pub(super) async fn write(&mut self, commands: &[u8]) -> Result<(), Broken> {
        let write = async {
            self.io.write_all(commands).await?;
            self.io.flush().await
        };
        match timeout(self.limit, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken::Closed(error.to_string())),
            Err(_) => Err(Broken::Late),
        }
    }

    /// Reads one reply, with secrets redacted.
    pub(super) async fn reply(&mut self) -> Result<Reply, Broken> {
        match timeout(self.limit, self.read_reply()).await {
            Ok(result) => result,
            Err(_) => Err(Broken::Late),
        }
    }

    async fn read_reply(&mut self) -> Result<Reply, Broken> {
        let mut parser = ResponseReceiver::default();
        let mut code = [0; 3];
        let mut enhanced = None;
        for number in 0..MAX_LINES {
            let line = self.line().await?;
            if number == 0 {
                // The parser stores each part in a byte, but codes like 5.7.509 exist.
                enhanced = reply::enhanced_code(&line);
            }
            let said = || {
                let text = String::from_utf8_lossy(&line);
                excerpt(&self.secrets.redact(text.trim_end()))
            };
            let nonsense = || Broken::Nonsense(format!("the server sent {:?}", said()));
            match line.first_chunk::<3>() {
                // The parser checks that it is a number, but not that all lines have the same.
                Some(own) if number == 0 || *own == code => code = *own,
                _ => return Err(nonsense()),
            }
            match parser.parse(&mut line.iter()) {
                Ok(response) => {
                    return Ok(Reply {
                        code: response.code,
                        enhanced,
                        text: printable(&self.secrets.redact(&response.message)),
                    });
                }
                Err(smtp_proto::Error::NeedsMoreData { .. }) => {}
                Err(_) => return Err(nonsense()),
            }
        }
        Err(Broken::Nonsense(format!(
            "the reply has more than {MAX_LINES} lines"
        )))
    }

    /// Reads one line, including its end.
    async fn line(&mut self) -> Result<Vec<u8>, Broken> {
        let mut seen = 0;
        loop {
            let unread = self.inbox.get(self.read..).unwrap_or_default();
            let end = unread.iter().skip(seen).position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| seen + end + 1)
                && end <= MAX_LINE
            {
                let line = unread.get(..end).unwrap_or_default().to_vec();
                self.read += end;
                return Ok(line);
            }
            seen = unread.len();
            if seen >= MAX_LINE {
                // Redacted before it is truncated: a truncated secret would not be found.
                let start = excerpt(&self.secrets.redact(&String::from_utf8_lossy(unread)));
                return Err(Broken::Nonsense(format!(
                    "the server sent a line longer than {MAX_LINE} bytes, starting with {start:?}"
                )));
            }
            match poll_fn(|context| self.poll_fill(context)).await {
                Ok(0) => return Err(Broken::Closed("the connection was closed".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(Broken::Closed(error.to_string())),
            }
        }
    }

    /// Receives bytes. Returns their number, 0 at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.drain(..self.read);
        self.read = 0;
        let mut bytes = [0; 2048];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.io).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.inbox.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends a piece of a message's content, and stops when the server replies or disconnects.
    ///
    /// `written` reports how much may be on the wire, even if the future is dropped: on a
    /// clear-text connection, the bytes that the system accepted; on an encrypted one, everything
    /// that was passed to it.
    pub(super) async fn write_content(
        &mut self,
        piece: &[u8],
        written: &mut usize,
    ) -> Result<(), Interrupted> {
        let limit = self.limit;
        let mut taken = 0;
        let write = poll_fn(|context| {
            match self.poll_fill(context) {
                Poll::Ready(Ok(0)) => {
                    let words = "the connection was closed".to_owned();
                    return Poll::Ready(Err(Interrupted::Broken(Broken::Closed(words))));
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(Interrupted::Spoken)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(broke(&error))),
                Poll::Pending => {}
            }
            while let Some(rest) = piece.get(taken..).filter(|rest| !rest.is_empty()) {
                if self.encrypted {
                    *written = piece.len();
                }
                match Pin::new(&mut self.io).poll_write(context, rest) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(broke(&io::ErrorKind::WriteZero.into())));
                    }
                    Poll::Ready(Ok(n)) => {
                        taken += n;
                        *written = (*written).max(taken);
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(broke(&error))),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match Pin::new(&mut self.io).poll_flush(context) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(broke(&error))),
                Poll::Pending => Poll::Pending,
            }
        });
        match timeout(limit, write).await {
            Ok(result) => result,
            Err(_) => Err(Interrupted::Broken(Broken::Late)),
        }
    }

    /// Sends QUIT, and does not require a reply.
    pub(super) async fn quit(mut self) {
        if self.write(b"QUIT\r\n").await.is_ok() {
            // Closing a connection with unread bytes resets it, and the server might never see the
            // command.
            let mut rest = [0; 512];
            let _ = timeout(self.limit, self.io.read(&mut rest)).await;
        }
    }
}

fn broke(error: &io::Error) -> Interrupted {
    Interrupted::Broken(Broken::Closed(error.to_string()))
}

/// Control characters would break log lines.
fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text.trim_end().chars().map(visible).collect()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
