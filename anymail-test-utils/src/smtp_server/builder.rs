//! [`LoopbackSmtpBuilder`]: the configuration of a server.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::mail::SmtpMessage;
use super::reply::SmtpReply;
use super::shared::{LoginRule, MailRule, Plan};
use super::{LoopbackSmtp, tls};

/// The TLS mode of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LoopbackTls {
    /// No TLS.
    #[default]
    None,
    /// Offers `STARTTLS` (RFC 3207).
    StartTls,
    /// Implicit TLS from the first byte, as on port 465 (RFC 8314).
    Implicit,
}

/// An extension that a server announces in its reply to `EHLO`.
///
/// [`LoopbackTls::StartTls`] announces `STARTTLS`. A server with users announces `AUTH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpExtension {
    /// `PIPELINING` (RFC 2920).
    Pipelining,
    /// `SIZE` with the limit (RFC 1870).
    Size,
    /// `8BITMIME` (RFC 6152).
    EightBitMime,
    /// `SMTPUTF8` (RFC 6531).
    SmtpUtf8,
    /// `DSN` (RFC 3461).
    Dsn,
    /// `ENHANCEDSTATUSCODES` (RFC 2034): the server's own replies have enhanced codes.
    EnhancedStatusCodes,
    /// `CHUNKING` (RFC 3030): `BDAT`.
    Chunking,
}

impl SmtpExtension {
    /// All extensions, in the order in which they are announced.
    pub const ALL: &'static [Self] = &[
        Self::Pipelining,
        Self::Size,
        Self::EightBitMime,
        Self::SmtpUtf8,
        Self::Dsn,
        Self::EnhancedStatusCodes,
        Self::Chunking,
    ];
}

/// An authentication mechanism (RFC 4954).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpMechanism {
    /// `PLAIN` (RFC 4616).
    Plain,
    /// `LOGIN`, which was never standardized but is widely supported.
    Login,
    /// `XOAUTH2` by Google and Microsoft. The password is an access token.
    XOAuth2,
}

impl SmtpMechanism {
    /// The name of the mechanism in `AUTH`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOAuth2 => "XOAUTH2",
        }
    }
}

/// The settings, which do not change after the start.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) hostname: String,
    pub(super) tls: LoopbackTls,
    pub(super) users: Vec<(String, String)>,
    pub(super) login_rule: Option<Arc<LoginRule>>,
    pub(super) mechanisms: Vec<SmtpMechanism>,
    pub(super) auth_in_clear: bool,
    pub(super) auth_required: bool,
    pub(super) extensions: Vec<SmtpExtension>,
    pub(super) size_limit: usize,
    pub(super) recipient_limit: usize,
    pub(super) judge_patience: Duration,
}

impl Settings {
    pub(super) fn offers(&self, extension: SmtpExtension) -> bool {
        self.extensions.contains(&extension)
    }

    /// Whether any user can log in.
    pub(super) fn has_logins(&self) -> bool {
        !self.users.is_empty() || self.login_rule.is_some()
    }
}

/// Configures and starts a [`LoopbackSmtp`].
#[must_use = "a builder does nothing until start() is called"]
pub struct LoopbackSmtpBuilder {
    address: SocketAddr,
    settings: Settings,
    mail_rule: Option<Arc<MailRule>>,
}

impl Default for LoopbackSmtpBuilder {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            settings: Settings {
                hostname: "mx.example.test".to_owned(),
                tls: LoopbackTls::None,
                users: Vec::new(),
                login_rule: None,
                mechanisms: vec![
                    SmtpMechanism::Plain,
                    SmtpMechanism::Login,
                    SmtpMechanism::XOAuth2,
                ],
                auth_in_clear: false,
                auth_required: true,
                extensions: SmtpExtension::ALL.to_vec(),
                size_limit: LoopbackSmtp::DEFAULT_SIZE_LIMIT,
                recipient_limit: 1000,
                judge_patience: Duration::ZERO,
            },
            mail_rule: None,
        }
    }
}

impl LoopbackSmtpBuilder {
    /// Sets the port on 127.0.0.1. By default, the operating system chooses a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Sets the address to listen on, which must be a loopback address. The default is a free port
    /// of 127.0.0.1.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the server's host name. The default is `mx.example.test`.
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.settings.hostname = name.into();
        self
    }

    /// Sets the TLS mode. The default is [`LoopbackTls::None`]. All other modes need the feature
    /// `smtp-tls`; without it, [`start`](Self::start) returns [`io::ErrorKind::Unsupported`].
    ///
    /// The server creates its certificate at start, for `localhost`, `127.0.0.1` and `::1`. Clients
    /// must trust [`LoopbackSmtp::ca_pem`].
    pub fn tls(mut self, tls: LoopbackTls) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Adds a user. With at least one user, the server announces `AUTH` and refuses to accept
    /// messages without it.
    ///
    /// With TLS, `AUTH` is announced only over TLS, unless [`auth_in_clear`](Self::auth_in_clear)
    /// is set.
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.users.push((user.into(), password.into()));
        self
    }

    /// Sets a rule that checks each user name and password before the users are looked up. A 2xx
    /// reply accepts the login, any other reply refuses it, and `None` falls back to the users.
    pub(crate) fn login_rule(
        mut self,
        rule: impl Fn(&str, &str) -> Option<SmtpReply> + Send + Sync + 'static,
    ) -> Self {
        self.settings.login_rule = Some(Arc::new(rule));
        self
    }

    /// Sets the `AUTH` mechanisms to announce. By default, all of them.
    pub fn mechanisms(mut self, mechanisms: impl IntoIterator<Item = SmtpMechanism>) -> Self {
        self.settings.mechanisms = mechanisms.into_iter().collect();
        self
    }

    /// Sets whether `AUTH` is announced before `STARTTLS`, too. The default is `false`. A server
    /// without TLS always announces it in clear text.
    pub fn auth_in_clear(mut self, offered: bool) -> Self {
        self.settings.auth_in_clear = offered;
        self
    }

    /// Sets whether `MAIL` before `AUTH` is refused with 530 if there are users. The default is
    /// `true`.
    pub fn auth_required(mut self, required: bool) -> Self {
        self.settings.auth_required = required;
        self
    }

    /// Disables this extension. Can be called several times.
    pub fn without(mut self, extension: SmtpExtension) -> Self {
        self.settings.extensions.retain(|e| *e != extension);
        self
    }

    /// Sets the maximum size of a message in bytes. The default is
    /// [`DEFAULT_SIZE_LIMIT`](LoopbackSmtp::DEFAULT_SIZE_LIMIT).
    pub fn size_limit(mut self, bytes: usize) -> Self {
        self.settings.size_limit = bytes;
        self
    }

    /// Sets the maximum number of recipients per message. Further recipients are refused with `452
    /// 4.5.3`. The default is 1000.
    pub fn recipient_limit(mut self, recipients: usize) -> Self {
        self.settings.recipient_limit = recipients;
        self
    }

    /// Sets how long the server waits before each reply for a command that the client sends too
    /// early. The default is zero.
    ///
    /// With zero, the server reliably notices only a command that has arrived by the time it has
    /// read the previous one. A few milliseconds make the check reliable but slow down every
    /// exchange.
    pub fn judge_patience(mut self, patience: Duration) -> Self {
        self.settings.judge_patience = patience;
        self
    }

    /// Sets a rule for each message whose content is complete, like
    /// [`LoopbackSmtp::reply_to_message`], but from the first message on.
    pub fn reply_to_message(
        mut self,
        rule: impl Fn(&SmtpMessage) -> Option<SmtpReply> + Send + Sync + 'static,
    ) -> Self {
        self.mail_rule = Some(Arc::new(rule));
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// Returns the operating system's error if no thread is available, [`io::ErrorKind::AddrInUse`]
    /// if the port is in use, [`io::ErrorKind::InvalidInput`] if the address is not a loopback
    /// address, and [`io::ErrorKind::Unsupported`] if TLS is configured without the feature
    /// `smtp-tls`.
    pub fn start(self) -> io::Result<LoopbackSmtp> {
        let certificates = match self.settings.tls {
            LoopbackTls::None => None,
            LoopbackTls::StartTls | LoopbackTls::Implicit => Some(tls::Certificates::make()?),
        };
        let plan = Plan {
            mail_rule: self.mail_rule,
            ..Plan::default()
        };
        LoopbackSmtp::start_with(self.address, self.settings, certificates, plan)
    }
}

/// Shows no password, and no user name because it may be a token.
impl fmt::Debug for LoopbackSmtpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackSmtpBuilder")
            .field("address", &self.address)
            .field("tls", &self.settings.tls)
            .field("users", &self.settings.users.len())
            .field("extensions", &self.settings.extensions)
            .finish_non_exhaustive()
    }
}
