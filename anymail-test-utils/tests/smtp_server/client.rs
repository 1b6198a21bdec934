//! A client that sends exactly what it is told, valid or not.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use anymail_test_utils::LoopbackSmtp;

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects without reading anything.
    pub(crate) fn connect(server: &LoopbackSmtp) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(1500)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Connects and sends EHLO.
    pub(crate) fn greeted(server: &LoopbackSmtp) -> Self {
        let mut client = Self::connect(server);
        assert!(client.reply().unwrap().starts_with("220 "));
        assert!(client.say("EHLO client.example.com").starts_with("250"));
        client
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A failed write becomes visible as a missing reply.
        let _ = self.0.get_mut().write_all(bytes.as_ref());
    }

    /// Reads one reply with all its lines, separated by `\n`.
    pub(crate) fn reply(&mut self) -> io::Result<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if io::Read::take(&mut self.0, 100_000).read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(whole) = line.strip_suffix("\r\n") else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            if !whole.bytes().take(3).all(|byte| byte.is_ascii_digit()) {
                return Err(io::Error::other(format!("not an SMTP reply: {whole}")));
            }
            let last = whole.as_bytes().get(3) != Some(&b'-');
            lines.push(whole.to_owned());
            if last {
                return Ok(lines.join("\n"));
            }
            if lines.len() > 1000 {
                return Err(io::Error::other("an endless reply"));
            }
        }
    }

    /// Sends a line and reads its reply.
    pub(crate) fn ask(&mut self, line: &str) -> io::Result<String> {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends a line, which must get a reply.
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.ask(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Sends a complete message and returns the reply to its end.
    pub(crate) fn send_mail(&mut self, to: &str) -> io::Result<String> {
        for (line, code) in [
            ("MAIL FROM:<me@example.com>".to_owned(), "250"),
            (format!("RCPT TO:<{to}>"), "250"),
            ("DATA".to_owned(), "354"),
        ] {
            let reply = self.ask(&line)?;
            if !reply.starts_with(code) {
                return Ok(reply);
            }
        }
        self.ask("Subject: Hi\r\n\r\nHello\r\n.")
    }

    /// Returns how the connection ended: an error's kind, or `None` for a normal close.
    pub(crate) fn ends_with(&mut self) -> Option<io::ErrorKind> {
        let mut rest = Vec::new();
        let read = io::Read::read_to_end(&mut self.0, &mut rest);
        read.err().map(|error| error.kind())
    }
}
