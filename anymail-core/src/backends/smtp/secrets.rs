//! [`Secrets`]: redacts credentials in a server's replies, in every form in which they were sent.
//!
//! `session.rs` decides which forms are sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::config::Login;
use crate::secret::Secret;

/// The credentials in the forms of each mechanism, in base64 (RFC 4954, 4).
pub(super) struct Secrets {
    redacted: Vec<Secret>,
    /// The user name is usually an address and rightly occurs in many replies. It is redacted only
    /// in replies to AUTH.
    user: Vec<Secret>,
}

impl Secrets {
    pub(super) fn of(login: Option<&Login>) -> Self {
        let mut secrets = Self {
            redacted: Vec::new(),
            user: Vec::new(),
        };
        if let Some(login) = login {
            let (user, secret) = match login {
                Login::Password { user, password } => (user, password),
                Login::Token { user, token } => (user, token),
            };
            secrets.redacted = vec![
                initial_response(login),
                encoded(secret.expose()),
                secret.clone(),
            ];
            secrets.user = vec![encoded(user.expose()), user.clone()];
        }
        secrets
    }

    /// Redacts all forms of the password or token in `text`.
    pub(super) fn redact(&self, text: &str) -> String {
        redact(&self.redacted, text)
    }

    /// Also redacts the user name.
    pub(super) fn redact_user(&self, text: &str) -> String {
        redact(&self.user, &self.redact(text))
    }
}

fn redact(secrets: &[Secret], text: &str) -> String {
    secrets
        .iter()
        .fold(text.to_owned(), |text, secret| secret.redact(&text))
}

/// Encodes a text in base64.
pub(super) fn encoded(text: &str) -> Secret {
    Secret::new(STANDARD.encode(text))
}

/// The initial response of AUTH PLAIN (RFC 4616, 2) or AUTH XOAUTH2 (documentation of Google and
/// Microsoft about IMAP and SMTP with OAuth 2), in base64.
pub(super) fn initial_response(login: &Login) -> Secret {
    match login {
        Login::Password { user, password } => {
            encoded(&format!("\0{}\0{}", user.expose(), password.expose()))
        }
        Login::Token { user, token } => encoded(&format!(
            "user={}\u{1}auth=Bearer {}\u{1}\u{1}",
            user.expose(),
            token.expose()
        )),
    }
}
