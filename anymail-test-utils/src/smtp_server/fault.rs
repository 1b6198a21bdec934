//! [`SmtpFault`]: what goes wrong in a conversation, and at which stage.
//!
//! How each is done on the wire is in `session.rs` and `wire.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::reply::SmtpReply;

/// A place in an SMTP conversation where something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpStage {
    /// A connection has been accepted; nothing has been said, in clear text or by TLS.
    Connect,
    /// The greeting (220).
    Greeting,
    /// The reply to `EHLO` or `HELO`.
    Ehlo,
    /// The reply to `STARTTLS`.
    StartTls,
    /// The TLS handshake, after `STARTTLS` or at the start of a connection, once the client's
    /// first message has come.
    Handshake,
    /// The reply to the command `AUTH`, before the server has read all credentials.
    Auth,
    /// The reply to the credentials (235).
    Credentials,
    /// The reply to `MAIL FROM`.
    Mail,
    /// The reply to each `RCPT TO`.
    Rcpt,
    /// The reply to `DATA` (354), or to the announcement of a `BDAT`.
    Data,
    /// The first bytes of the content have come, and perhaps not all.
    Content,
    /// The end of the content has come. The mail is not kept, unless the action leaves the
    /// usual reply in its place.
    EndOfData,
    /// The mail is kept; its reply is due.
    Kept,
    /// The reply to `RSET`.
    Rset,
    /// The reply to `NOOP`.
    Noop,
    /// The reply to `QUIT`.
    Quit,
    /// The connection waits for its next mail, after at least one that has ended. A fault that
    /// is injected while it waits happens at once.
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
            Self::EndOfData => "end of data, mail not kept",
            Self::Kept => "end of data, mail kept",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Idle => "idle",
        })
    }
}

/// What the server does instead of, or with, its usual reply.
///
/// [`leaves_reply`](Self::leaves_reply) says whether the command is carried out. Where no reply
/// is due ([`SmtpStage::Connect`], [`SmtpStage::Handshake`], [`SmtpStage::Content`],
/// [`SmtpStage::Idle`]), an action that leaves the reply does nothing, unless it says so.
#[derive(Clone)]
#[non_exhaustive]
pub enum SmtpAction {
    /// This reply instead of the usual one, the command not carried out. After 421 the
    /// connection is closed. In the middle of the content ([`SmtpStage::Content`]) and of a
    /// handshake ([`SmtpStage::Handshake`]) the connection is closed after any reply.
    Reply(SmtpReply),
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed in good order (FIN), with no reply.
    Close,
    /// No reply ever comes; the connection stays open.
    Hang,
    /// The usual reply byte by byte. At [`SmtpStage::Content`], where none is due, the content
    /// is read slowly: a piece of it after each interval.
    Drip {
        /// The time before each byte, or each piece.
        interval: Duration,
    },
    /// The usual reply ends after so many bytes, and the connection is closed.
    CutShort {
        /// How many bytes are sent.
        bytes: usize,
    },
    /// These bytes instead of a reply; then the connection is closed.
    Garbage(Bytes),
    /// A reply line that never ends; the connection is reset after
    /// [`LoopbackSmtp::ENDLESS`](crate::LoopbackSmtp::ENDLESS) bytes.
    EndlessLine,
    /// A reply of several lines that never comes to its last; likewise.
    EndlessReply,
    /// The usual reply, and these bytes behind it in the same write: after the reply to
    /// `STARTTLS`, what an attacker injects before TLS begins.
    Trailing(Bytes),
    /// The usual reply, changed.
    Rewrite(Arc<dyn Fn(SmtpReply) -> SmtpReply + Send + Sync>),
    /// A handshake with a certificate that a careful client refuses. Only at
    /// [`SmtpStage::Handshake`]; elsewhere all goes well.
    WrongCertificate(WrongCertificate),
    /// These bytes in clear text on the socket, after a handshake that went well; then the
    /// connection is closed. Only at [`SmtpStage::Handshake`]; elsewhere all goes well.
    PlaintextAfterHandshake(Bytes),
}

/// Why a certificate is to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongCertificate {
    /// Its issuer is not the one of [`ca_pem`](crate::LoopbackSmtp::ca_pem).
    UnknownIssuer,
    /// It is for `other.example.com`.
    OtherName,
    /// It was valid until 2001.
    Expired,
}

impl SmtpAction {
    /// An answer in HTTP: what comes from a web server on the mail server's port.
    pub fn http() -> Self {
        let page = "<html><body>400 Bad Request</body></html>";
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        Self::Garbage(answer.into())
    }

    /// Bytes that are no text, without a line's end.
    pub fn binary() -> Self {
        Self::Garbage(Bytes::from_static(
            b"\x00\xff\x16\x03\x01\x80\x00garbage\xfe",
        ))
    }

    /// Whether the command is carried out and the usual reply made, if not sent whole.
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

    /// An action of each kind that can happen at any stage.
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
            Self::Trailing(_) => "bytes behind the reply",
            Self::Rewrite(_) => "a changed reply",
            Self::WrongCertificate(WrongCertificate::UnknownIssuer) => "unknown issuer",
            Self::WrongCertificate(WrongCertificate::OtherName) => "certificate of another name",
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

/// Something that goes wrong at one stage of an SMTP conversation.
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
    /// Where.
    pub stage: SmtpStage,
    /// What.
    pub action: SmtpAction,
}

impl SmtpFault {
    /// This action at this stage.
    pub fn new(stage: SmtpStage, action: SmtpAction) -> Self {
        Self { stage, action }
    }

    /// This reply at this stage, instead of the usual one.
    pub fn reply(stage: SmtpStage, code: u16, text: impl Into<String>) -> Self {
        Self::new(stage, SmtpAction::Reply(SmtpReply::new(code, text)))
    }

    /// Whether the server has the mail of the transaction in which this happens, if the client
    /// makes no second try.
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
