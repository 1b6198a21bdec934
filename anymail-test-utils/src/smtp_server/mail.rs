//! [`SmtpMail`]: a mail as it arrived, with its envelope.

use std::fmt;

use bytes::Bytes;

/// Parameters of `MAIL` or `RCPT` in their order: the keyword in upper case, and the value
/// behind `=`.
pub type SmtpParameters = Vec<(String, Option<String>)>;

/// A mail that a [`LoopbackSmtp`](crate::LoopbackSmtp) has kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpMail {
    /// The queue id that the reply named.
    pub id: String,
    /// The number of the connection it came by, from 1 on.
    pub connection: u64,
    /// What the client called itself in `EHLO` or `HELO`.
    pub hello: String,
    /// The envelope's sender, without angle brackets; empty for the null sender `<>`.
    pub sender: String,
    /// The parameters of `MAIL`.
    pub parameters: SmtpParameters,
    /// The recipients that were accepted, in order.
    pub recipients: Vec<SmtpRecipient>,
    /// Header and body, with dots unstuffed, without the final dot.
    pub content: Bytes,
    /// Whether it came over TLS.
    pub over_tls: bool,
    /// Who the client had logged in as.
    pub user: Option<String>,
}

impl SmtpMail {
    /// The value of a parameter of `MAIL`, by its keyword in any case. Empty if it has none.
    pub fn parameter(&self, keyword: &str) -> Option<&str> {
        find(&self.parameters, keyword)
    }

    /// The addresses of [`recipients`](Self::recipients).
    pub fn addresses(&self) -> Vec<&str> {
        self.recipients
            .iter()
            .map(|recipient| recipient.address.as_str())
            .collect()
    }
}

/// The envelope and the content's length; no content, and no user, as that may be a token.
impl fmt::Debug for SmtpMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMail")
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

/// A recipient in the envelope of an [`SmtpMail`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpRecipient {
    /// The address, without angle brackets.
    pub address: String,
    /// The parameters of `RCPT`.
    pub parameters: SmtpParameters,
}

impl SmtpRecipient {
    /// The value of a parameter of `RCPT`, by its keyword in any case. Empty if it has none.
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
