//! [`Secret`], the only type that may contain a token or a webhook password.
//!
//! `config` reads secrets from the environment and from files.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A token or password that is never printed.
///
/// `Debug` and `Display` write `[redacted]`, it cannot be serialized, and its memory is overwritten
/// when it is dropped. Reading it requires a call of [`expose`](Self::expose), so you can search
/// for every use.
///
/// ```
/// use anymail_core::Secret;
///
/// let token = Secret::new("server-token");
/// assert_eq!(format!("{token:?} {token}"), "[redacted] [redacted]");
/// assert_eq!(token.expose(), "server-token");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps the text of a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The secret itself, for the code that sends or compares it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it is empty or only white space.
    pub fn is_blank(&self) -> bool {
        self.expose().trim().is_empty()
    }

    /// Replaces every occurrence of this secret in `text` with `[redacted]`, for responses of
    /// servers, which may echo a request. White space around the secret is ignored, because headers
    /// are sent without it.
    ///
    /// Only the literal secret is found. A backend that uses HTTP basic authentication sends it in
    /// base64, which a server may echo, too: such a backend keeps the value of the header as a
    /// second `Secret` and redacts both.
    pub fn redact(&self, text: impl Into<String>) -> String {
        let text = text.into();
        let secret = self.expose().trim();
        // The secret is almost never there, and the response to a batch is long.
        let is_there = || memchr::memmem::find(text.as_bytes(), secret.as_bytes()).is_some();
        if secret.is_empty() || !is_there() {
            return text;
        }
        text.replace(secret, "[redacted]")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of a number, for example, would quote it.
        match String::deserialize(deserializer) {
            Ok(text) => Ok(Self::new(text)),
            Err(_) => Err(D::Error::custom("expected a string for a secret")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed_in_any_format() {
        let token = Secret::new("s3cret");
        assert_eq!(
            format!("{token} {token:?} {token:#?}"),
            "[redacted] [redacted] [redacted]"
        );
    }

    #[test]
    fn a_server_that_echoes_the_secret_is_not_quoted() {
        let token = Secret::new("s3cret");
        assert_eq!(token.redact("bad token s3cret!"), "bad token [redacted]!");
        let from_a_file = Secret::new("s3cret-of-32-characters-or-more\n");
        assert_eq!(
            from_a_file.redact("<s3cret-of-32-characters-or-more>"),
            "<[redacted]>"
        );
        for other in ["", " ", "s3cret-of-32-characters-and-others"] {
            assert_eq!(
                Secret::new(other).redact("s3cret-of-32- abc"),
                "s3cret-of-32- abc"
            );
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_not_quoted() {
        let error = serde_json::from_str::<Secret>("12345678").unwrap_err();
        assert!(!error.to_string().contains("12345678"), "{error}");
    }
}
