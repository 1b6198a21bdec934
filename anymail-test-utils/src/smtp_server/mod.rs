//! [`LoopbackSmtp`]: an SMTP server for tests that simulates faults, checks its clients, and keeps
//! what arrived.
//!
//! It knows no ESP. `session` conducts a conversation; `greeting`, `auth` and `transaction` handle
//! its parts. `command` and `content` parse the input, `wire` is the socket, `tls` the TLS layer
//! around it, and `shared` holds the settings and results.

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
pub use self::builder::{LoopbackSmtpBuilder, LoopbackTls, SmtpExtension, SmtpMechanism};
pub use self::fault::{SmtpAction, SmtpFault, SmtpStage, WrongCertificate};
pub use self::judge::{SmtpCounts, SmtpRule, SmtpViolation};
pub use self::mail::{SmtpMessage, SmtpParameters, SmtpRecipient};
pub use self::reply::SmtpReply;
pub use self::shared::SmtpMoment;
use self::shared::{Plan, Shared};
use self::tls::Certificates;
use crate::loopback::{Connections, Loopback};

/// An SMTP server on loopback that keeps every message and delivers none.
///
/// It runs on its own thread, so it serves async and blocking clients, inside and outside of a
/// tokio runtime. By default it uses clear text, announces every extension, requires no login and
/// accepts every recipient. [`builder`](Self::builder) changes these settings.
///
/// The server strictly checks the protocol: [`violations`](Self::violations) returns every
/// violation by a client, even if the server understands the command and continues. Dropping the
/// server frees its port and closes its connections.
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
/// let messages = server.messages();
/// assert_eq!(messages[0].addresses(), ["you@example.com"]);
/// assert_eq!(messages[0].content, "Subject: Hi\r\n\r\n.\r\n");
/// server.assert_no_violations();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LoopbackSmtp {
    loopback: Loopback,
    shared: Arc<Shared>,
}

impl LoopbackSmtp {
    /// The default maximum size of a message, 64 MiB.
    /// [`size_limit`](LoopbackSmtpBuilder::size_limit) changes it.
    pub const DEFAULT_SIZE_LIMIT: usize = 64 * 1024 * 1024;

    /// The number of bytes after which the server ends an endless reply, 64 MiB. A client that
    /// reads all of them has no limit of its own.
    pub const ENDLESS: u64 = 64 * 1024 * 1024;

    /// Starts a server on a free port of 127.0.0.1 with clear text, all extensions and no users.
    ///
    /// # Errors
    /// Returns the operating system's error if no port or thread is available.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder that configures TLS, users and limits.
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

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.loopback.address()
    }

    /// Returns the port that the server listens on.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Returns the PEM certificate of the authority that signed the server's certificate. Clients
    /// must trust it. Empty for a server without TLS.
    pub fn ca_pem(&self) -> &str {
        let certificates = self.shared.certificates.as_ref();
        certificates.map_or("", Certificates::ca_pem)
    }

    /// Returns the messages that the server has kept, in order.
    pub fn messages(&self) -> Vec<Arc<SmtpMessage>> {
        self.shared.seen().messages.clone()
    }

    /// Forgets all messages. Does not reset the counters.
    pub fn forget_messages(&self) {
        self.shared.seen().messages.clear();
    }

    /// Sets whether messages are kept or only counted. They are kept by default; turn this off for
    /// a long run, which would otherwise exhaust the memory.
    pub fn set_recording(&self, recording: bool) {
        self.shared.recording.store(recording, Ordering::SeqCst);
    }

    /// Returns the counters.
    pub fn counts(&self) -> SmtpCounts {
        self.shared.seen().counts.clone()
    }

    /// Returns the protocol violations of all clients in order, at most the first 10,000.
    pub fn violations(&self) -> Vec<SmtpViolation> {
        self.shared.seen().violations.clone()
    }

    /// Asserts that no client violated the protocol.
    ///
    /// # Panics
    /// Panics if there are [`violations`](Self::violations), and lists them.
    #[track_caller]
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        let lines: Vec<_> = violations.iter().map(|v| format!("\n  {v}")).collect();
        assert!(
            violations.is_empty(),
            "the client violated the SMTP protocol:{}",
            lines.concat()
        );
    }

    /// Injects `fault` the next `times` times that its stage is reached, after all faults that were
    /// injected for that stage before.
    pub fn inject(&self, fault: SmtpFault, times: usize) {
        self.shared.plan().queue.push(fault, times);
        self.shared.injected.send_modify(|count| *count += 1);
    }

    /// Sets a rule that is called at each stage for which no fault was [injected](Self::inject).
    /// Replaces the previous rule.
    pub fn inject_rule(
        &self,
        rule: impl Fn(&SmtpMoment) -> Option<SmtpAction> + Send + Sync + 'static,
    ) {
        self.shared.plan().fault_rule = Some(Arc::new(rule));
    }

    /// Removes all faults. A server that refuses connections continues to do so, and the rules for
    /// recipients and messages remain.
    pub fn clear_faults(&self) {
        let mut plan = self.shared.plan();
        plan.queue = Default::default();
        plan.fault_rule = None;
    }

    /// Sets a rule that is called with the address of each well-formed `RCPT`. `None` sends the
    /// usual `250`; a reply other than 2xx refuses the recipient. Replaces the previous rule.
    pub fn reply_to_recipient(
        &self,
        rule: impl Fn(&str) -> Option<SmtpReply> + Send + Sync + 'static,
    ) {
        self.shared.plan().recipient_rule = Some(Arc::new(rule));
    }

    /// Sets a rule that is called with each message whose content is complete. `None` sends the
    /// usual `250`; a reply other than 2xx refuses the message, which is then not kept. Replaces
    /// the previous rule. The rule may block.
    pub fn reply_to_message(
        &self,
        rule: impl Fn(&SmtpMessage) -> Option<SmtpReply> + Send + Sync + 'static,
    ) {
        self.shared.plan().mail_rule = Some(Arc::new(rule));
    }

    /// Closes connections outside a transaction and lets the operating system refuse new ones
    /// (`ECONNREFUSED`), until [`accept_again`](Self::accept_again).
    ///
    /// The server keeps its port. Messages in progress continue; this waits only a moment for them.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn refuse(&self) -> io::Result<()> {
        self.loopback.refuse().await
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn accept_again(&self) -> io::Result<()> {
        self.loopback.accept_again().await
    }
}

/// Shows the address and the counters, but no message, user or password.
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
