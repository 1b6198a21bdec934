//! [`SmtpMessage`]: a message as it arrived, with its envelope.

use std::fmt;

use bytes::Bytes;

/// Parameters of `MAIL` or `RCPT` in order: the keyword in upper case, and the value after `=`.
pub type SmtpParameters = Vec<(String, Option<String>)>;

/// A message that a [`LoopbackSmtp`](crate::LoopbackSmtp) has kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpMessage {
    /// The queue ID that the reply contained.
    pub id: String,
    /// The number of its connection, starting at 1.
    pub connection: u64,
    /// The client's name in `EHLO` or `HELO`.
    pub hello: String,
    /// The envelope sender, without angle brackets; empty for the null sender `<>`.
    pub sender: String,
    /// The parameters of `MAIL`.
    pub parameters: SmtpParameters,
    /// The accepted recipients, in order.
    pub recipients: Vec<SmtpRecipient>,
    /// The header and the body, with dot-stuffing removed, without the final dot.
    pub content: Bytes,
    /// Whether it arrived over TLS.
    pub over_tls: bool,
    /// The user name of the login.
    pub user: Option<String>,
}

impl SmtpMessage {
    /// Returns the value of a parameter of `MAIL`, which is empty if it has none. The keyword is
    /// not case-sensitive.
    pub fn parameter(&self, keyword: &str) -> Option<&str> {
        find(&self.parameters, keyword)
    }

    /// Returns the addresses of [`recipients`](Self::recipients).
    pub fn addresses(&self) -> Vec<&str> {
        self.recipients
            .iter()
            .map(|recipient| recipient.address.as_str())
            .collect()
    }
}

/// Shows the envelope and the content's length, but no content, and no user name because it may be
/// a token.
impl fmt::Debug for SmtpMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMessage")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .field("sender", &self.sender)
            .field("parameters", &self.parameters)
            .field("recipients", &self.recipients)
            .field("content_length", &self.content.len())
            .field("over_tls", &self.over_tls)
            .finish_non_exhaustive()
    }
}

/// An envelope recipient of an [`SmtpMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpRecipient {
    /// The address, without angle brackets.
    pub address: String,
    /// The parameters of `RCPT`.
    pub parameters: SmtpParameters,
}

impl SmtpRecipient {
    /// Returns the value of a parameter of `RCPT`, which is empty if it has none. The keyword is
    /// not case-sensitive.
    pub fn parameter(&self, keyword: &str) -> Option<&str> {
        find(&self.parameters, keyword)
    }
}

fn find<'a>(parameters: &'a SmtpParameters, keyword: &str) -> Option<&'a str> {
    let (_, value) = parameters
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(keyword))?;
    Some(value.as_deref().unwrap_or_default())
}
