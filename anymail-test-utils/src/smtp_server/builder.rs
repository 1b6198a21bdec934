//! [`LoopbackSmtpBuilder`]: what can be decided before a server starts.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::mail::SmtpMail;
use super::reply::SmtpReply;
use super::shared::{LoginRule, MailRule, Plan};
use super::{LoopbackSmtp, tls};

/// How a server is protected by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SmtpTls {
    /// Not at all.
    #[default]
    None,
    /// `STARTTLS` is offered (RFC 3207).
    StartTls,
    /// From the first byte on, as on port 465 (RFC 8314).
    Implicit,
}

/// An extension that a server offers in its reply to `EHLO`.
///
/// `STARTTLS` is offered by [`SmtpTls::StartTls`], and `AUTH` when there are users.
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
    /// All of them, in the order in which they are offered.
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

/// A way to log in (RFC 4954).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpMechanism {
    /// `PLAIN` (RFC 4616).
    Plain,
    /// `LOGIN`, never standardized, known to all.
    Login,
    /// `XOAUTH2`, Google's and Microsoft's: the password is an access token.
    XOAuth2,
}

impl SmtpMechanism {
    /// The name in `AUTH`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOAuth2 => "XOAUTH2",
        }
    }
}

/// Decided at the start, and fixed from then on.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) hostname: String,
    pub(super) tls: SmtpTls,
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

    /// Whether anybody can log in.
    pub(super) fn has_logins(&self) -> bool {
        !self.users.is_empty() || self.login_rule.is_some()
    }
}

/// Sets up a [`LoopbackSmtp`].
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
                tls: SmtpTls::None,
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
    /// The port on 127.0.0.1. A free one by default.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// The address to listen on, which must be on loopback. A free port of 127.0.0.1 by default.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// What the server calls itself. `mx.example.test` by default.
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.settings.hostname = name.into();
        self
    }

    /// How the server is protected. [`SmtpTls::None`] by default. All else needs the feature
    /// `smtp-tls`; without it [`start`](Self::start) gives [`io::ErrorKind::Unsupported`].
    ///
    /// The certificate is made at the start, for `localhost`, `127.0.0.1` and `::1`; clients
    /// need [`LoopbackSmtp::ca_pem`] to trust it.
    pub fn tls(mut self, tls: SmtpTls) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Adds a user. With any, `AUTH` is offered, and nobody may send without it.
    ///
    /// Where there is TLS, `AUTH` is offered only over it, unless
    /// [`auth_in_clear`](Self::auth_in_clear) says otherwise.
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.users.push((user.into(), password.into()));
        self
    }

    /// Asks `rule` about each user and password before the users are looked at: a reply that
    /// begins with 2 lets the client in, another one does not, `None` leaves it to the users.
    pub(crate) fn login_rule(
        mut self,
        rule: impl Fn(&str, &str) -> Option<SmtpReply> + Send + Sync + 'static,
    ) -> Self {
        self.settings.login_rule = Some(Arc::new(rule));
        self
    }

    /// Which mechanisms of `AUTH` are offered. All by default.
    pub fn mechanisms(mut self, mechanisms: impl IntoIterator<Item = SmtpMechanism>) -> Self {
        self.settings.mechanisms = mechanisms.into_iter().collect();
        self
    }

    /// Whether `AUTH` is offered before `STARTTLS`, too. `false` by default. A server without
    /// TLS always offers it in clear.
    pub fn auth_in_clear(mut self, offered: bool) -> Self {
        self.settings.auth_in_clear = offered;
        self
    }

    /// Whether `MAIL` is refused (530) before `AUTH`, if there are users. `true` by default.
    pub fn auth_required(mut self, required: bool) -> Self {
        self.settings.auth_required = required;
        self
    }

    /// Does not offer this extension, beside those left out before.
    pub fn without(mut self, extension: SmtpExtension) -> Self {
        self.settings.extensions.retain(|e| *e != extension);
        self
    }

    /// How many bytes a mail's content may have.
    /// [`DEFAULT_SIZE_LIMIT`](LoopbackSmtp::DEFAULT_SIZE_LIMIT) by default.
    pub fn size_limit(mut self, bytes: usize) -> Self {
        self.settings.size_limit = bytes;
        self
    }

    /// How many recipients a mail may have; the next are refused with `452 4.5.3`. 1000 by
    /// default.
    pub fn recipient_limit(mut self, recipients: usize) -> Self {
        self.settings.recipient_limit = recipients;
        self
    }

    /// How long the judge waits before each reply for what must not come before it. No time by
    /// default: a command that is sent too early is seen when it is there at the latest when
    /// the server has read the command before it. A few milliseconds make that sure, at the
    /// price of speed.
    pub fn judge_patience(mut self, patience: Duration) -> Self {
        self.settings.judge_patience = patience;
        self
    }

    /// Asks `rule` about each mail whose content has come to its end, as
    /// [`LoopbackSmtp::reply_to_mail`] does, from the first one on.
    pub fn reply_to_mail(
        mut self,
        rule: impl Fn(&SmtpMail) -> Option<SmtpReply> + Send + Sync + 'static,
    ) -> Self {
        self.mail_rule = Some(Arc::new(rule));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the operating system says when there is no thread to be had;
    /// [`io::ErrorKind::AddrInUse`] when the port is taken; [`io::ErrorKind::InvalidInput`] when
    /// the address is not on loopback; [`io::ErrorKind::Unsupported`] when TLS is wanted
    /// without the feature `smtp-tls`.
    pub fn start(self) -> io::Result<LoopbackSmtp> {
        let certificates = match self.settings.tls {
            SmtpTls::None => None,
            SmtpTls::StartTls | SmtpTls::Implicit => Some(tls::Certificates::make()?),
        };
        let plan = Plan {
            mail_rule: self.mail_rule,
            ..Plan::default()
        };
        LoopbackSmtp::start_with(self.address, self.settings, certificates, plan)
    }
}

/// No password, and no user, as that may be a token.
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
