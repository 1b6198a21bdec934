//! [`SmtpViolation`]: what a client did that the protocol forbids. [`SmtpCounts`]: how much it did.

use std::collections::BTreeMap;
use std::fmt;

/// A rule of SMTP that clients break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpRule {
    /// LF without CR before it, in a command or in the content (RFC 5321, section 2.3.8).
    BareLineFeed,
    /// CR without LF behind it, in a command or in the content (RFC 5321, section 2.3.8).
    BareCarriageReturn,
    /// A command that the server does not know (RFC 5321, section 4.1).
    UnknownCommand,
    /// A command written otherwise than its grammar says (RFC 5321, section 4.1.2).
    Syntax,
    /// A command out of its order: before `EHLO`, again before `EHLO` after TLS has begun, `RCPT`
    /// without `MAIL`, `DATA` without `RCPT`, `MAIL` within a transaction, anything after
    /// `QUIT` (RFC 5321, section 4.1.4; RFC 3207, section 4.2).
    Order,
    /// A command line that is too long: 512 bytes, with what extensions add
    /// (RFC 5321, section 4.5.3.1.4; RFC 4954, section 4 for `AUTH`).
    CommandTooLong,
    /// A command sent before the reply to the last one, though `PIPELINING` was not offered, or
    /// behind a command that must be the last of its group (RFC 2920, section 3.1; RFC 3207,
    /// section 4; RFC 5321, section 3.1 for the greeting).
    Pipelining,
    /// A command or a parameter of an extension that was not offered (RFC 5321, section 2.2.1).
    ExtensionNotOffered,
    /// `AUTH` in a transaction, after `AUTH` went well, or by a mechanism that was not offered
    /// (RFC 4954, section 4).
    Auth,
    /// A byte above 127 in the body without `BODY=8BITMIME` (RFC 6152, section 3).
    EightBitBody,
    /// A byte above 127 in a header or an address without `SMTPUTF8` (RFC 6531, section 3).
    EightBitHeader,
    /// A line of the content over 998 bytes (RFC 5322, section 2.1.1; RFC 5321, section
    /// 4.5.3.1.6).
    LineTooLong,
    /// A line of the content that begins with one dot and something else: its dot was not
    /// doubled (RFC 5321, section 4.5.2).
    UnstuffedDot,
    /// A NUL in a command or in the content (RFC 5321, section 2.3.1; RFC 5322, section 2.2).
    Nul,
}

/// A rule that a client of a [`LoopbackSmtp`](crate::LoopbackSmtp) has broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpViolation {
    /// The number of the connection, from 1 on.
    pub connection: u64,
    /// Which rule.
    pub rule: SmtpRule,
    /// Where and how. No credential and none of the content is in it.
    pub detail: String,
}

impl fmt::Display for SmtpViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connection,
            rule,
            detail,
        } = self;
        write!(f, "connection {connection}: {rule:?}: {detail}")
    }
}

/// How much a [`LoopbackSmtp`](crate::LoopbackSmtp) has seen since its start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SmtpCounts {
    /// Connections accepted, those that a fault ended at once included.
    pub connections: u64,
    /// TLS handshakes that were completed.
    pub handshakes: u64,
    /// Logins that went well.
    pub logins: u64,
    /// Commands by their verb in upper case, those refused included. Unknown ones are counted
    /// under `?`.
    pub commands: BTreeMap<String, u64>,
    /// Mails kept: what the server has.
    pub mails: u64,
    /// Bytes of content read, with their stuffed dots and the final one.
    pub content_bytes: u64,
    /// Bytes that clients have taken of replies without an end
    /// ([`SmtpAction::EndlessLine`](crate::SmtpAction::EndlessLine) and
    /// [`EndlessReply`](crate::SmtpAction::EndlessReply)).
    pub endless_bytes: u64,
    /// Connections that the client closed without `QUIT`.
    pub closed_without_quit: u64,
    /// Rules broken, as often as they were.
    pub violations: u64,
}

impl SmtpCounts {
    /// How many commands of this verb have come: `counts.of("RCPT")`.
    pub fn of(&self, verb: &str) -> u64 {
        let verb = verb.to_ascii_uppercase();
        self.commands.get(&verb).copied().unwrap_or(0)
    }
}
