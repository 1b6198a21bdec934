//! [`SmtpFault`]: what goes wrong in a conversation, and at which stage.
//!
//! `session.rs` and `wire.rs` implement the faults.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::reply::SmtpReply;

/// A point in an SMTP conversation at which a fault can occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpStage {
    /// A connection was accepted. Nothing has been sent, in clear text or over TLS.
    Connect,
    /// The greeting (220).
    Greeting,
    /// The reply to `EHLO` or `HELO`.
    Ehlo,
    /// The reply to `STARTTLS`.
    StartTls,
    /// The TLS handshake, after `STARTTLS` or at the start of a connection, once the client's first
    /// message has arrived.
    Handshake,
    /// The reply to the `AUTH` command, before the server has read all credentials.
    Auth,
    /// The reply to the credentials (235).
    Credentials,
    /// The reply to `MAIL FROM`.
    Mail,
    /// The reply to each `RCPT TO`.
    Rcpt,
    /// The reply to `DATA` (354), or to the announcement of a `BDAT`.
    Data,
    /// The first bytes of the content have arrived, but possibly not all.
    Content,
    /// The end of the content has arrived. The message is not kept, unless the action sends the
    /// usual reply.
    EndOfData,
    /// The message was kept, and the reply is due.
    Kept,
    /// The reply to `RSET`.
    Rset,
    /// The reply to `NOOP`.
    Noop,
    /// The reply to `QUIT`.
    Quit,
    /// The connection is idle after at least one message. A fault that is injected while it is idle
    /// takes effect immediately.
    Idle,
}

impl SmtpStage {
    /// All stages, in the order of a conversation.
    pub const ALL: &'static [Self] = &[
        Self::Connect,
        Self::Greeting,
        Self::Ehlo,
        Self::StartTls,
        Self::Handshake,
        Self::Auth,
        Self::Credentials,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Content,
        Self::EndOfData,
        Self::Kept,
        Self::Rset,
        Self::Noop,
        Self::Quit,
        Self::Idle,
    ];
}

impl fmt::Display for SmtpStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "TLS handshake",
            Self::Auth => "AUTH",
            Self::Credentials => "credentials",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::EndOfData => "end of data, message not kept",
            Self::Kept => "end of data, message kept",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Idle => "idle",
        })
    }
}

/// What the server does instead of, or in addition to, its usual reply.
///
/// [`leaves_reply`](Self::leaves_reply) returns whether the command is executed. At stages without
/// a reply ([`SmtpStage::Connect`], [`SmtpStage::Handshake`], [`SmtpStage::Content`],
/// [`SmtpStage::Idle`]), an action that keeps the usual reply has no effect, unless documented
/// otherwise.
#[derive(Clone)]
#[non_exhaustive]
pub enum SmtpAction {
    /// Sends this reply instead of the usual one; the command is not executed. The connection is
    /// closed after 421. In the middle of the content ([`SmtpStage::Content`]) or of a handshake
    /// ([`SmtpStage::Handshake`]), the connection is closed after any reply.
    Reply(SmtpReply),
    /// Resets the connection (RST).
    Reset,
    /// Closes the connection normally (FIN) without a reply.
    Close,
    /// Never replies and keeps the connection open.
    Hang,
    /// Sends the usual reply byte by byte. At [`SmtpStage::Content`], where no reply is due, reads
    /// the content slowly: one piece per interval.
    Drip {
        /// The pause before each byte or piece.
        interval: Duration,
    },
    /// Sends only the first bytes of the usual reply and closes the connection.
    CutShort {
        /// The number of bytes to send.
        bytes: usize,
    },
    /// Sends these bytes instead of a reply and closes the connection.
    Garbage(Bytes),
    /// Sends a reply line that never ends. The connection is reset after
    /// [`LoopbackSmtp::ENDLESS`](crate::LoopbackSmtp::ENDLESS) bytes.
    EndlessLine,
    /// Sends a multi-line reply that never ends. The connection is reset after as many bytes.
    EndlessReply,
    /// Sends these bytes in the same write as the usual reply. After the reply to `STARTTLS`, this
    /// is what an attacker injects before TLS starts.
    Trailing(Bytes),
    /// Changes the usual reply.
    Rewrite(Arc<dyn Fn(SmtpReply) -> SmtpReply + Send + Sync>),
    /// Presents a certificate that a careful client refuses. Has an effect only at
    /// [`SmtpStage::Handshake`].
    WrongCertificate(WrongCertificate),
    /// Sends these bytes in clear text on the socket after a successful handshake and closes the
    /// connection. Has an effect only at [`SmtpStage::Handshake`].
    PlaintextAfterHandshake(Bytes),
}

/// Why a client must refuse a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongCertificate {
    /// The issuer is not the one in [`ca_pem`](crate::LoopbackSmtp::ca_pem).
    UnknownIssuer,
    /// The certificate is for `other.example.com`.
    OtherName,
    /// The certificate expired in 2001.
    Expired,
}

impl SmtpAction {
    /// An HTTP response, as from a web server on the mail server's port.
    pub fn http() -> Self {
        let page = "<html><body>400 Bad Request</body></html>";
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        Self::Garbage(answer.into())
    }

    /// Bytes that are not text, without a line end.
    pub fn binary() -> Self {
        Self::Garbage(Bytes::from_static(
            b"\x00\xff\x16\x03\x01\x80\x00garbage\xfe",
        ))
    }

    /// Whether the command is executed and the usual reply is created, even if it is not sent
    /// completely.
    pub fn leaves_reply(&self) -> bool {
        match self {
            Self::Drip { .. }
            | Self::CutShort { .. }
            | Self::Trailing(_)
            | Self::Rewrite(_)
            | Self::WrongCertificate(_)
            | Self::PlaintextAfterHandshake(_) => true,
            Self::Reply(_)
            | Self::Reset
            | Self::Close
            | Self::Hang
            | Self::Garbage(_)
            | Self::EndlessLine
            | Self::EndlessReply => false,
        }
    }

    /// One action of each kind that can occur at any stage.
    pub fn one_of_each() -> Vec<Self> {
        vec![
            Self::Reply(SmtpReply::shutting_down()),
            Self::Reply(SmtpReply::try_later()),
            Self::Reply(SmtpReply::refused()),
            Self::Reset,
            Self::Close,
            Self::Hang,
            Self::Drip {
                interval: Duration::from_millis(1),
            },
            Self::CutShort { bytes: 2 },
            Self::http(),
            Self::binary(),
            Self::EndlessLine,
            Self::EndlessReply,
        ]
    }
}

impl fmt::Display for SmtpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply(reply) => return write!(f, "reply {}", reply.code()),
            Self::Reset => "reset",
            Self::Close => "close",
            Self::Hang => "no reply",
            Self::Drip { interval } => return write!(f, "a byte every {interval:?}"),
            Self::CutShort { bytes } => return write!(f, "cut after {bytes} bytes"),
            Self::Garbage(_) => "garbage",
            Self::EndlessLine => "an endless line",
            Self::EndlessReply => "an endless reply",
            Self::Trailing(_) => "bytes after the reply",
            Self::Rewrite(_) => "a changed reply",
            Self::WrongCertificate(WrongCertificate::UnknownIssuer) => "unknown issuer",
            Self::WrongCertificate(WrongCertificate::OtherName) => "certificate for another name",
            Self::WrongCertificate(WrongCertificate::Expired) => "expired certificate",
            Self::PlaintextAfterHandshake(_) => "plaintext after the handshake",
        })
    }
}

impl fmt::Debug for SmtpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpAction({self})")
    }
}

/// A fault at one stage of an SMTP conversation.
///
/// ```
/// use anymail_test_utils::{SmtpAction, SmtpFault, SmtpReply, SmtpStage};
///
/// let full = SmtpReply::new(452, "4.2.2 Mailbox full");
/// let fault = SmtpFault::new(SmtpStage::Rcpt, SmtpAction::Reply(full));
/// assert!(!fault.keeps_mail());
/// assert!(SmtpFault::new(SmtpStage::Kept, SmtpAction::Reset).keeps_mail());
/// ```
#[derive(Debug, Clone)]
pub struct SmtpFault {
    /// The stage.
    pub stage: SmtpStage,
    /// The action.
    pub action: SmtpAction,
}

impl SmtpFault {
    /// Creates a fault with this action at this stage.
    pub fn new(stage: SmtpStage, action: SmtpAction) -> Self {
        Self { stage, action }
    }

    /// Creates a fault that sends this reply instead of the usual one.
    pub fn reply(stage: SmtpStage, code: u16, text: impl Into<String>) -> Self {
        Self::new(stage, SmtpAction::Reply(SmtpReply::new(code, text)))
    }

    /// Whether the server keeps the message of the affected transaction, if the client does not try
    /// again.
    pub fn keeps_mail(&self) -> bool {
        match self.stage {
            SmtpStage::Kept | SmtpStage::Quit | SmtpStage::Idle => true,
            SmtpStage::EndOfData => self.action.leaves_reply(),
            _ => false,
        }
    }
}

impl fmt::Display for SmtpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.action, self.stage)
    }
}
