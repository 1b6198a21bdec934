//! [`LoopbackSmtp`]: an SMTP server for tests that can do every fault, judges its clients, and
//! keeps what arrived.
//!
//! It knows no ESP. `session` leads a conversation, with `greeting`, `auth` and `transaction`
//! for its parts; `command` and `content` read what comes; `wire` is the socket, `tls` what may
//! be around it; `shared` holds what tests ask for.

mod auth;
mod builder;
mod command;
mod content;
mod fault;
mod greeting;
mod judge;
mod mail;
mod reply;
mod session;
mod shared;
#[cfg(feature = "smtp-tls")]
mod tls;
#[cfg(not(feature = "smtp-tls"))]
#[path = "no_tls.rs"]
mod tls;
mod transaction;
mod wire;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio::sync::watch;

use self::builder::Settings;
pub use self::builder::{LoopbackSmtpBuilder, SmtpExtension, SmtpMechanism, SmtpTls};
pub use self::fault::{SmtpAction, SmtpFault, SmtpStage, WrongCertificate};
pub use self::judge::{SmtpCounts, SmtpRule, SmtpViolation};
pub use self::mail::{SmtpMail, SmtpParameters, SmtpRecipient};
pub use self::reply::SmtpReply;
pub use self::shared::SmtpMoment;
use self::shared::{Plan, Shared};
use self::tls::Certificates;
use crate::loopback::{Connections, Loopback};

/// An SMTP server on loopback that keeps every mail and delivers none.
///
/// It runs on a thread of its own, so it serves async and blocking clients, in and out of a
/// tokio runtime. By default it speaks clear text, offers every extension, asks for no login
/// and accepts every recipient. [`builder`](Self::builder) changes that.
///
/// It is a strict judge: what a client does against the protocol is in
/// [`violations`](Self::violations), even where the server understands it and goes on. When the
/// server is dropped its port is free again and connections end.
///
/// ```
/// use std::io::{Read, Write};
/// use anymail_test_utils::{LoopbackSmtp, SmtpReply};
///
/// let server = LoopbackSmtp::start()?;
/// server.reply_to_recipient(|address| {
///     (address == "gone@example.com").then(|| SmtpReply::new(550, "5.1.1 No such user"))
/// });
/// let mut client = std::net::TcpStream::connect(server.address())?;
/// let mut said = |line: &str| -> std::io::Result<String> {
///     client.write_all(line.as_bytes())?;
///     let mut reply = [0; 512];
///     let length = client.read(&mut reply)?;
///     Ok(String::from_utf8_lossy(&reply[..length]).into_owned())
/// };
/// assert!(said("")?.starts_with("220 "));
/// assert!(said("EHLO client.example.com\r\n")?.starts_with("250-"));
/// assert!(said("MAIL FROM:<me@example.com>\r\n")?.starts_with("250 "));
/// assert!(said("RCPT TO:<gone@example.com>\r\n")?.starts_with("550 5.1.1 "));
/// assert!(said("RCPT TO:<you@example.com>\r\n")?.starts_with("250 "));
/// assert!(said("DATA\r\n")?.starts_with("354 "));
/// assert!(said("Subject: Hi\r\n\r\n..\r\n.\r\n")?.starts_with("250 "));
///
/// let mails = server.mails();
/// assert_eq!(mails[0].addresses(), ["you@example.com"]);
/// assert_eq!(mails[0].content, "Subject: Hi\r\n\r\n.\r\n");
/// server.assert_no_violations();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LoopbackSmtp {
    loopback: Loopback,
    shared: Arc<Shared>,
}

impl LoopbackSmtp {
    /// How large a mail may be, unless
    /// [`size_limit`](LoopbackSmtpBuilder::size_limit) says otherwise: 64 MiB.
    pub const DEFAULT_SIZE_LIMIT: usize = 64 * 1024 * 1024;

    /// After how many bytes a reply without an end breaks off: 64 MiB. A client that takes them
    /// has no limit of its own.
    pub const ENDLESS: u64 = 64 * 1024 * 1024;

    /// Starts a server on a free port of 127.0.0.1: clear text, all extensions, no users.
    ///
    /// # Errors
    /// What the operating system says when there is no port or no thread to be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A server with TLS, users or limits of one's own.
    pub fn builder() -> LoopbackSmtpBuilder {
        LoopbackSmtpBuilder::default()
    }

    fn start_with(
        address: SocketAddr,
        settings: Settings,
        certificates: Option<Certificates>,
        plan: Plan,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings, certificates, plan));
        let connections = SmtpConnections {
            shared: Arc::clone(&shared),
            closing: watch::Sender::new(false),
        };
        let loopback = Loopback::start("loopback-smtp", address, connections)?;
        Ok(Self { loopback, shared })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.loopback.address()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// The certificate of the authority that has signed the server's, in PEM: what a client has
    /// to trust. Empty for a server without TLS.
    pub fn ca_pem(&self) -> &str {
        let certificates = self.shared.certificates.as_ref();
        certificates.map_or("", Certificates::ca_pem)
    }

    /// The mails it has kept, in order.
    pub fn mails(&self) -> Vec<Arc<SmtpMail>> {
        self.shared.seen().mails.clone()
    }

    /// Forgets the mails so far. The counts stay.
    pub fn forget_mails(&self) {
        self.shared.seen().mails.clear();
    }

    /// Whether mails are remembered, not only counted. They are by default; a long run would
    /// fill the memory.
    pub fn set_recording(&self, recording: bool) {
        self.shared.recording.store(recording, Ordering::SeqCst);
    }

    /// How much it has seen.
    pub fn counts(&self) -> SmtpCounts {
        self.shared.seen().counts.clone()
    }

    /// What clients did against the protocol, in order; the first 10,000 such deeds.
    pub fn violations(&self) -> Vec<SmtpViolation> {
        self.shared.seen().violations.clone()
    }

    /// Asserts that no client did anything against the protocol.
    ///
    /// # Panics
    /// When one did, with all of [`violations`](Self::violations).
    #[track_caller]
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        let lines: Vec<_> = violations.iter().map(|v| format!("\n  {v}")).collect();
        assert!(
            violations.is_empty(),
            "the client broke the rules of SMTP:{}",
            lines.concat()
        );
    }

    /// Lets the stage of `fault` go wrong like this, the next `times` times it is reached,
    /// behind the faults that have been ordered for it before.
    pub fn inject(&self, fault: SmtpFault, times: usize) {
        self.shared.plan().queue.push(fault, times);
        self.shared.injected.send_modify(|count| *count += 1);
    }

    /// Asks `rule` at each stage about which [`inject`](Self::inject) says nothing. Replaces
    /// the rule before.
    pub fn inject_rule(
        &self,
        rule: impl Fn(&SmtpMoment) -> Option<SmtpAction> + Send + Sync + 'static,
    ) {
        self.shared.plan().fault_rule = Some(Arc::new(rule));
    }

    /// From now on all goes well again. A server that refuses connections goes on doing so; the
    /// rules about recipients and mails stay.
    pub fn clear_faults(&self) {
        let mut plan = self.shared.plan();
        plan.queue = Default::default();
        plan.fault_rule = None;
    }

    /// Asks `rule` about the address of each `RCPT` that is well formed. `None` is the usual
    /// `250`; by a reply that does not begin with 2 the recipient is refused. Replaces the rule
    /// before.
    pub fn reply_to_recipient(
        &self,
        rule: impl Fn(&str) -> Option<SmtpReply> + Send + Sync + 'static,
    ) {
        self.shared.plan().recipient_rule = Some(Arc::new(rule));
    }

    /// Asks `rule` about each mail whose content has come to its end. `None` is the usual
    /// `250`; by a reply that does not begin with 2 the mail is refused and not kept. Replaces
    /// the rule before. It runs where it may block.
    pub fn reply_to_mail(
        &self,
        rule: impl Fn(&SmtpMail) -> Option<SmtpReply> + Send + Sync + 'static,
    ) {
        self.shared.plan().mail_rule = Some(Arc::new(rule));
    }

    /// Closes the door: connections outside a transaction are closed, and new ones refused by
    /// the operating system (`ECONNREFUSED`), until [`accept_again`](Self::accept_again). The
    /// port stays this server's. Mails under way go on; they are waited for only a moment.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn refuse(&self) -> io::Result<()> {
        self.loopback.refuse().await
    }

    /// Opens the door again, on the same port.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn accept_again(&self) -> io::Result<()> {
        self.loopback.accept_again().await
    }
}

/// The address and the counts; no mail, user or password.
impl fmt::Debug for LoopbackSmtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackSmtp")
            .field("address", &self.address())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

struct SmtpConnections {
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
}

impl Connections for SmtpConnections {
    fn take(&mut self, stream: TcpStream) {
        let mut number = 0;
        self.shared.count(|counts| {
            counts.connections += 1;
            number = counts.connections;
        });
        let shared = Arc::clone(&self.shared);
        let closing = self.closing.subscribe();
        tokio::spawn(session::run(stream, shared, number, closing));
    }

    fn close(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let closing = std::mem::take(&mut self.closing);
        closing.send_replace(true);
        async move { closing.closed().await }
    }
}
