//! [`SmtpReply`]: a server's reply, of one line or several.

use std::fmt;

/// A reply of an SMTP server: a code of three digits and text.
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
    /// A reply with this code. The text begins with the enhanced status code (RFC 3463), if the
    /// reply is to have one; each `\n` in it begins a new line of the reply.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, text }
    }

    /// `421 4.3.2 ...`: the server closes the connection after it (RFC 5321, section 3.8).
    pub fn shutting_down() -> Self {
        Self::new(421, "4.3.2 Service not available, closing connection")
    }

    /// `451 4.3.0 ...`: a refusal for now.
    pub fn try_later() -> Self {
        Self::new(
            451,
            "4.3.0 Requested action aborted: local error, try later",
        )
    }

    /// `550 5.7.1 ...`: a refusal for good.
    pub fn refused() -> Self {
        Self::new(550, "5.7.1 Requested action not taken: refused by policy")
    }

    /// The code of three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text behind the code, with `\n` between lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the code begins with 2.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }
}

/// The lines as they are sent, each with CR LF at its end.
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
