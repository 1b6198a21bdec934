//! [`Secrets`]: what a server's words must not repeat, in all the forms that it was sent in.
//!
//! How the forms are sent is decided in `session.rs`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::config::Login;
use crate::secret::Secret;

/// The login in the forms of each mechanism, in base64 (RFC 4954, 4).
pub(super) struct Secrets {
    redacted: Vec<Secret>,
    /// The user name is an address, most often, and stands in many a reply by right; it is
    /// redacted in the words about logging in.
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

    /// `text` without any of the forms of the password or token.
    pub(super) fn redact(&self, text: &str) -> String {
        redact(&self.redacted, text)
    }

    /// The same, without the user name as well.
    pub(super) fn redact_user(&self, text: &str) -> String {
        redact(&self.user, &self.redact(text))
    }
}

fn redact(secrets: &[Secret], text: &str) -> String {
    secrets
        .iter()
        .fold(text.to_owned(), |text, secret| secret.redact(&text))
}

/// A text in base64.
pub(super) fn encoded(text: &str) -> Secret {
    Secret::new(STANDARD.encode(text))
}

/// What AUTH PLAIN (RFC 4616, 2) or AUTH XOAUTH2 (Google's and Microsoft's documentation of
/// IMAP and SMTP with OAuth 2) sends, in base64.
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
