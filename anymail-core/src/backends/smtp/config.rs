//! [`SmtpConfig`]: the settings of an SMTP backend, and their validation.
//!
//! `config/smtp.rs` reads them from a configuration; `tls.rs` reads certificates.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// How the connection to an SMTP server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SmtpTls {
    /// The connection starts in clear text and is encrypted with STARTTLS (RFC 3207) before
    /// anything else is sent. If the server does not offer it, nothing is sent. Port 587.
    #[default]
    StartTls,
    /// The connection is encrypted from the start (RFC 8314). Port 465.
    Implicit,
    /// The connection is not encrypted. Allowed only to a loopback address, or with
    /// [`SmtpConfig::allow_clear_text`]. Port 25.
    None,
}

impl SmtpTls {
    /// The name in a configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
            Self::None => "none",
        }
    }

    /// The mode with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::StartTls, Self::Implicit, Self::None];
        all.into_iter().find(|mode| mode.name() == name)
    }

    fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// The credentials to authenticate with.
#[derive(Debug, Clone)]
pub(super) enum Login {
    /// Authenticates with PLAIN (RFC 4616), or with LOGIN if the server offers only that.
    Password { user: Secret, password: Secret },
    /// Authenticates with XOAUTH2.
    Token { user: Secret, token: Secret },
}

/// The settings of an SMTP server.
///
/// ```
/// use anymail_core::{SmtpBackend, SmtpConfig, SmtpTls};
///
/// let config = SmtpConfig::new("mail.example.com")
///     .tls(SmtpTls::Implicit)
///     .password("shop@example.com", "s3cret");
/// let backend = SmtpBackend::new(config)?;
/// # Ok::<(), anymail_core::SmtpConfigError>(())
/// ```
///
/// `Debug` shows neither the user nor the password.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    pub(super) host: String,
    port: Option<u16>,
    pub(super) tls: SmtpTls,
    allow_clear_text: bool,
    pub(super) login: Option<Login>,
    pub(super) hello_name: Option<String>,
    pub(super) timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) idle_timeout: Duration,
    pub(super) max_messages_per_connection: usize,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) ca_pem: Option<Vec<u8>>,
}

impl SmtpConfig {
    /// Creates settings for the server at this host name or IP address. STARTTLS is required, and
    /// there is no authentication.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            tls: SmtpTls::default(),
            allow_clear_text: false,
            login: None,
            hello_name: None,
            timeout: Duration::from_secs(60),
            max_connections: 8,
            idle_timeout: Duration::from_secs(60),
            max_messages_per_connection: 100,
            ca_file: None,
            ca_pem: None,
        }
    }

    /// Sets the port. By default 587, 465 or 25, depending on [`tls`](Self::tls).
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets how the connection is encrypted. STARTTLS by default; it never falls back to clear
    /// text.
    #[must_use]
    pub fn tls(mut self, tls: SmtpTls) -> Self {
        self.tls = tls;
        self
    }

    /// Allows [`SmtpTls::None`] to hosts other than loopback: messages, user and password are sent
    /// in clear text. `false` by default.
    #[must_use]
    pub fn allow_clear_text(mut self, allow: bool) -> Self {
        self.allow_clear_text = allow;
        self
    }

    /// Authenticates with a user name and a password, using AUTH PLAIN, or AUTH LOGIN if the server
    /// offers only that. No authentication by default.
    #[must_use]
    pub fn password(mut self, user: impl Into<Secret>, password: impl Into<Secret>) -> Self {
        self.login = Some(Login::Password {
            user: user.into(),
            password: password.into(),
        });
        self
    }

    /// Authenticates with a user name and an OAuth 2 access token, using AUTH XOAUTH2, which Google
    /// and Microsoft support. The backend does not renew the token.
    #[must_use]
    pub fn access_token(mut self, user: impl Into<Secret>, token: impl Into<Secret>) -> Self {
        self.login = Some(Login::Token {
            user: user.into(),
            token: token.into(),
        });
        self
    }

    /// Sets the name that the backend sends in `EHLO`: a host name or an address literal. By
    /// default it is the local address of the connection (RFC 5321, 4.1.4), which some public mail
    /// servers do not accept.
    #[must_use]
    pub fn hello_name(mut self, name: impl Into<String>) -> Self {
        self.hello_name = Some(name.into());
        self
    }

    /// Sets the timeout of each step: connecting, the TLS handshake, each reply of the server, and
    /// each 64 KiB of a message's content. 60 s by default.
    ///
    /// If it expires after the whole message was sent, the server may have accepted the message
    /// ([`Accepted::Maybe`](crate::Accepted::Maybe)). RFC 5321 allows servers 10 minutes at that
    /// point; use a longer timeout for a server that scans messages for a long time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the maximum number of connections, which all tasks that use the backend share. 8 by
    /// default.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how long an idle connection stays open. 60 s by default; zero closes it immediately.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// Sets the number of messages after which a connection is replaced. 100 by default.
    #[must_use]
    pub fn max_messages_per_connection(mut self, messages: usize) -> Self {
        self.max_messages_per_connection = messages;
        self
    }

    /// Sets a PEM file with certificates to trust in addition to the platform's, for a server with
    /// a certificate of a private CA. [`SmtpBackend::new`](crate::SmtpBackend::new) reads it once.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets such certificates as PEM text.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> &str {
        let inner = self.host.strip_prefix('[');
        let inner = inner.and_then(|inner| inner.strip_suffix(']'));
        inner.unwrap_or(&self.host)
    }

    pub(super) fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| self.tls.port())
    }

    /// The server, as errors and spans name it.
    pub(super) fn server(&self) -> String {
        let host = self.bare_host();
        match host.contains(':') {
            true => format!("[{host}]:{}", self.port_or_default()),
            false => format!("{host}:{}", self.port_or_default()),
        }
    }

    /// All faults in the settings, without those of the certificates.
    pub(super) fn faults(&self) -> Vec<SmtpConfigFault> {
        let mut faults = Vec::new();
        let mut keep = |option, problem: &str| {
            faults.push(SmtpConfigFault {
                option,
                problem: problem.to_owned(),
            });
        };
        if !is_host(self.bare_host()) {
            // Not quoted: it may be a URL with a password, for example.
            keep("host", "expected a host name or an IP address");
        } else if self.tls == SmtpTls::None && !self.is_loopback() && !self.allow_clear_text {
            keep(
                "tls",
                "\"none\" would send the messages and the password in clear text: use \"starttls\" or \
                 \"implicit\", or set allow_clear_text",
            );
        }
        if self.port == Some(0) {
            keep("port", "must not be zero");
        }
        if let Some(name) = &self.hello_name
            && !is_hello_name(name)
        {
            keep(
                "hello_name",
                "expected a host name or an address literal such as [192.0.2.1]",
            );
        }
        for (option, text, bad) in self.login_parts() {
            if text.is_blank() {
                keep(option, "must not be empty");
            } else if text.expose().contains(bad) {
                keep(option, "must not contain control characters");
            }
        }
        if self.timeout.is_zero() {
            keep("timeout", "must be greater than zero");
        }
        for (option, number) in [
            ("max_connections", self.max_connections),
            (
                "max_messages_per_connection",
                self.max_messages_per_connection,
            ),
        ] {
            if number == 0 {
                keep(option, "must be greater than zero");
            }
        }
        faults
    }

    /// The parts of the credentials, each with the character that separates it on the wire: NUL in
    /// PLAIN (RFC 4616, 2), U+0001 in XOAUTH2.
    fn login_parts(&self) -> Vec<(&'static str, &Secret, char)> {
        match &self.login {
            Some(Login::Password { user, password }) => {
                vec![("user", user, '\0'), ("password", password, '\0')]
            }
            Some(Login::Token { user, token }) => {
                vec![("user", user, '\u{1}'), ("access_token", token, '\u{1}')]
            }
            None => Vec::new(),
        }
    }

    fn is_loopback(&self) -> bool {
        let host = self.bare_host();
        let ip = host.parse::<IpAddr>().map(|ip| ip.is_loopback());
        ip.unwrap_or_else(|_| host.eq_ignore_ascii_case("localhost"))
    }
}

fn is_host(host: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    host.parse::<IpAddr>().is_ok()
        || (!host.is_empty() && host.len() <= 253 && host.chars().all(name))
}

fn is_hello_name(name: &str) -> bool {
    let literal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-');
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match inner {
        Some(inner) => !inner.is_empty() && inner.chars().all(literal),
        None => is_host(name) && !name.contains(':'),
    }
}

/// The error of creating an SMTP backend, with all faults in its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpConfigError {
    pub(super) faults: Vec<SmtpConfigFault>,
}

/// A fault in a setting. It never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpConfigFault {
    /// The setting, for example `host`.
    pub option: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl SmtpConfigError {
    /// The faults, at least one.
    pub fn faults(&self) -> &[SmtpConfigFault] {
        &self.faults
    }
}

impl std::error::Error for SmtpConfigError {}

impl fmt::Display for SmtpConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid smtp configuration")?;
        for (i, fault) in self.faults.iter().enumerate() {
            let before = if i == 0 { ": " } else { "; " };
            write!(f, "{before}{}: {}", fault.option, fault.problem)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(config: &SmtpConfig) -> Vec<&'static str> {
        config.faults().iter().map(|fault| fault.option).collect()
    }

    #[test]
    fn the_encryption_determines_the_default_port() {
        let config = SmtpConfig::new("mail.example.com");
        assert_eq!(config.server(), "mail.example.com:587");
        assert_eq!(
            config.clone().tls(SmtpTls::Implicit).server(),
            "mail.example.com:465"
        );
        assert_eq!(
            config.clone().tls(SmtpTls::None).server(),
            "mail.example.com:25"
        );
        assert_eq!(config.port(2525).server(), "mail.example.com:2525");
        assert_eq!(SmtpConfig::new("[::1]").server(), "[::1]:587");
        assert_eq!(SmtpConfig::new("::1").server(), "[::1]:587");
    }

    #[test]
    fn clear_text_is_limited_to_loopback_unless_it_is_allowed() {
        let clear = |host: &str| SmtpConfig::new(host).tls(SmtpTls::None);
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
        ] {
            assert!(wrong(&clear(host)).is_empty(), "{host}");
        }
        for host in [
            "mail.example.com",
            "10.0.0.1",
            "127.0.0.1.example.com",
            "localhost.evil",
        ] {
            assert_eq!(wrong(&clear(host)), ["tls"], "{host}");
            assert!(wrong(&clear(host).allow_clear_text(true)).is_empty());
            assert!(wrong(&SmtpConfig::new(host)).is_empty());
        }
    }

    #[test]
    fn the_name_in_ehlo_is_a_host_name_or_an_address_literal() {
        let hello = |name: &str| SmtpConfig::new("mail.example.com").hello_name(name);
        for name in [
            "app.example.com",
            "app-1",
            "192.0.2.1",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
        ] {
            assert!(wrong(&hello(name)).is_empty(), "{name}");
        }
        for name in ["", "my app", "2001:db8::1", "[]", "[my app]", "[192.0.2.1"] {
            assert_eq!(wrong(&hello(name)), ["hello_name"], "{name}");
        }
    }

    #[test]
    fn all_faults_are_reported_at_once_without_secrets() {
        let config = SmtpConfig::new("smtp://ann:s3cret@example.com")
            .port(0)
            .hello_name("a b\r\nMAIL FROM:<x>")
            .password("ann", "s3cret\0")
            .timeout(Duration::ZERO)
            .max_connections(0)
            .max_messages_per_connection(0);
        let all = [
            "host",
            "port",
            "hello_name",
            "password",
            "timeout",
            "max_connections",
            "max_messages_per_connection",
        ];
        assert_eq!(wrong(&config), all);
        let faults = config.faults();
        let error = SmtpConfigError { faults };
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        let faults = SmtpConfig::new("h")
            .port(0)
            .timeout(Duration::ZERO)
            .faults();
        assert_eq!(
            SmtpConfigError { faults }.to_string(),
            "invalid smtp configuration: port: must not be zero; timeout: must be greater than zero"
        );
        let config = SmtpConfig::new("h").password("ann", "s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!format!("{config:?}").contains("ann"));
        let token = SmtpConfig::new("h").access_token(" ", "a\u{1}b");
        assert_eq!(wrong(&token), ["user", "access_token"]);
    }
}
