//! [`SmtpReply`]: a server's reply of one or several lines.

use std::fmt;

/// A reply of an SMTP server: a three-digit code and a text.
///
/// ```
/// use anymail_test_utils::SmtpReply;
///
/// let reply = SmtpReply::new(550, "5.1.1 No such user");
/// assert_eq!(reply.to_string(), "550 5.1.1 No such user\r\n");
/// let reply = SmtpReply::new(250, "mx.example.com\nSIZE 1000");
/// assert_eq!(reply.to_string(), "250-mx.example.com\r\n250 SIZE 1000\r\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpReply {
    code: u16,
    text: String,
}

impl SmtpReply {
    /// Creates a reply with this code. If the reply has an enhanced status code (RFC 3463), the
    /// text starts with it. Each `\n` starts a new line of the reply.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, text }
    }

    /// Creates `421 4.3.2 ...`, after which the server closes the connection (RFC 5321, section
    /// 3.8).
    pub fn shutting_down() -> Self {
        Self::new(421, "4.3.2 Service not available, closing connection")
    }

    /// Creates `451 4.3.0 ...`, a temporary refusal.
    pub fn try_later() -> Self {
        Self::new(
            451,
            "4.3.0 Requested action aborted: local error, try later",
        )
    }

    /// Creates `550 5.7.1 ...`, a permanent refusal.
    pub fn refused() -> Self {
        Self::new(550, "5.7.1 Requested action not taken: refused by policy")
    }

    /// Returns the three-digit code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the text after the code, with `\n` between lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the code is 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }
}

/// Returns the lines as they are sent, each terminated by CR LF.
impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            write!(f, "{}{separator}{line}\r\n", self.code)?;
        }
        Ok(())
    }
}
