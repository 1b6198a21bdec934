//! [`SmtpViolation`]: a client's violation of the protocol. [`SmtpCounts`]: what the server has
//! counted.

use std::collections::BTreeMap;
use std::fmt;

/// A rule of SMTP that clients break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SmtpRule {
    /// LF without a preceding CR, in a command or in the content (RFC 5321, section 2.3.8).
    BareLineFeed,
    /// CR without a following LF, in a command or in the content (RFC 5321, section 2.3.8).
    BareCarriageReturn,
    /// An unknown command (RFC 5321, section 4.1).
    UnknownCommand,
    /// A command that does not follow its grammar (RFC 5321, section 4.1.2).
    Syntax,
    /// A command out of order: before `EHLO`, before the second `EHLO` that TLS requires, `RCPT`
    /// without `MAIL`, `DATA` without `RCPT`, `MAIL` within a transaction, anything after `QUIT`
    /// (RFC 5321, section 4.1.4; RFC 3207, section 4.2).
    Order,
    /// A command line longer than 512 bytes plus what extensions add (RFC 5321, section 4.5.3.1.4;
    /// RFC 4954, section 4 for `AUTH`).
    CommandTooLong,
    /// A command sent before the reply to the previous one although `PIPELINING` was not announced,
    /// or after a command that must be the last of its group (RFC 2920, section 3.1; RFC 3207,
    /// section 4; RFC 5321, section 3.1 for the greeting).
    Pipelining,
    /// A command or parameter of an extension that was not announced (RFC 5321, section 2.2.1).
    ExtensionNotOffered,
    /// `AUTH` in a transaction, after a successful `AUTH`, or with a mechanism that was not
    /// announced (RFC 4954, section 4).
    Auth,
    /// A byte above 127 in the body without `BODY=8BITMIME` (RFC 6152, section 3).
    EightBitBody,
    /// A byte above 127 in a header or an address without `SMTPUTF8` (RFC 6531, section 3).
    EightBitHeader,
    /// A line of the content that is longer than 998 bytes (RFC 5322, section 2.1.1; RFC 5321,
    /// section 4.5.3.1.6).
    LineTooLong,
    /// A line of the content that starts with an unstuffed dot (RFC 5321, section 4.5.2).
    UnstuffedDot,
    /// A NUL in a command or in the content (RFC 5321, section 2.3.1; RFC 5322, section 2.2).
    Nul,
}

/// A violation of a rule by a client of a [`LoopbackSmtp`](crate::LoopbackSmtp).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpViolation {
    /// The number of the connection, starting at 1.
    pub connection: u64,
    /// The rule.
    pub rule: SmtpRule,
    /// Where and how. Contains no credentials and no content.
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

/// The counters of a [`LoopbackSmtp`](crate::LoopbackSmtp) since its start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SmtpCounts {
    /// Accepted connections, including those that a fault closed immediately.
    pub connections: u64,
    /// Completed TLS handshakes.
    pub handshakes: u64,
    /// Successful logins.
    pub logins: u64,
    /// Commands by their verb in upper case, including refused ones. Unknown commands are counted
    /// under `?`.
    pub commands: BTreeMap<String, u64>,
    /// Messages that were kept.
    pub messages: u64,
    /// Bytes of content that were read, including stuffed dots and the final dot.
    pub content_bytes: u64,
    /// Bytes that clients have read of endless replies
    /// ([`SmtpAction::EndlessLine`](crate::SmtpAction::EndlessLine) and
    /// [`EndlessReply`](crate::SmtpAction::EndlessReply)).
    pub endless_bytes: u64,
    /// Connections that the client closed without `QUIT`.
    pub closed_without_quit: u64,
    /// Violations of rules.
    pub violations: u64,
}

impl SmtpCounts {
    /// Returns the number of commands with this verb: `counts.of("RCPT")`.
    pub fn of(&self, verb: &str) -> u64 {
        let verb = verb.to_ascii_uppercase();
        self.commands.get(&verb).copied().unwrap_or(0)
    }
}
