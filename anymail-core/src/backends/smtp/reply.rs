//! Interprets replies of an SMTP server: one table from stage and reply to meaning, with the RFC of
//! each row. Broken connections are interpreted below it.
//!
//! `conversation.rs` and `session.rs` decide which command is sent when.

use std::fmt;

use super::NAME;
use crate::sending::{Accepted, SendError, SendErrorKind, Status, StatusDetail};

/// A complete reply of one or several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The enhanced status code (RFC 3463), if any.
    pub(super) enhanced: Option<[u16; 3]>,
    /// The text without codes, with a line break between lines.
    pub(super) text: String,
}

/// Parses the enhanced status code after the code at the start of a line: `5.7.509` (RFC 3463, 2).
pub(super) fn enhanced_code(line: &[u8]) -> Option<[u16; 3]> {
    let line = std::str::from_utf8(line.get(4..)?.trim_ascii_end()).ok()?;
    let mut parts = line.split(' ').next()?.split('.');
    let mut number = || {
        let digits = parts.next()?;
        let valid = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| valid)
    };
    let code = [number()?, number()?, number()?];
    (matches!(code, [2 | 4 | 5, ..]) && parts.next().is_none()).then_some(code)
}

impl Reply {
    /// `550 5.1.1`, or only `550`.
    pub(super) fn codes(&self) -> String {
        match self.enhanced {
            Some([class, subject, detail]) => {
                format!("{} {class}.{subject}.{detail}", self.code)
            }
            None => self.code.to_string(),
        }
    }

    /// The text on one line.
    pub(super) fn words(&self) -> String {
        self.text.replace('\n', " ")
    }

    pub(super) fn detail(&self) -> StatusDetail {
        StatusDetail::new(Some(self.codes()), self.words())
    }

    fn is_about(&self, subject: u16, detail: u16) -> bool {
        matches!(self.enhanced, Some([_, s, d]) if (s, d) == (subject, detail))
    }
}

/// Writes the complete reply on one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.codes(), self.words())
    }
}

/// The stage of the conversation: what the server is replying to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Greeting,
    Hello,
    StartTls,
    Auth,
    Mail,
    Recipient,
    Data,
    /// The content, before its end marker is sent.
    Content,
    /// The end marker is sent, or may be.
    End,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Hello => "reply to EHLO",
            Self::StartTls => "reply to STARTTLS",
            Self::Auth => "reply to AUTH",
            Self::Mail => "reply to MAIL FROM",
            Self::Recipient => "reply to RCPT TO",
            Self::Data => "reply to DATA",
            Self::Content => "reply to the message's content",
            Self::End => "reply to the end of the message",
        })
    }
}

/// The meaning of a reply at its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server did what it was asked to.
    Yes,
    /// The server expects more (RFC 4954, 4).
    Continue,
    /// The server refuses the message for this recipient, but may accept others.
    NotFor(Status),
    /// The server accepts no further recipient in this transaction, but will in another.
    TooMany,
    /// The server refuses the message. The flag says whether a retry may work.
    No(SendErrorKind, bool),
    /// No server sends this reply at this stage.
    Nonsense,
}

struct Row {
    /// `None` matches any stage.
    stage: Option<Stage>,
    codes: (u16, u16),
    /// Subject and detail of enhanced codes. Empty matches any code, or none.
    about: &'static [(u16, u16)],
    meaning: Meaning,
}

const fn at(
    stage: Stage,
    codes: (u16, u16),
    about: &'static [(u16, u16)],
    meaning: Meaning,
) -> Row {
    Row {
        stage: Some(stage),
        codes,
        about,
        meaning,
    }
}

const fn any(codes: (u16, u16), about: &'static [(u16, u16)], meaning: Meaning) -> Row {
    Row {
        stage: None,
        codes,
        about,
        meaning,
    }
}

use Meaning::{Continue, No, NotFor, TooMany, Yes};
use SendErrorKind as K;

/// The first matching row decides.
///
/// A negative reply means that the server does not have the message (RFC 5321, 4.2.1), even at the
/// end of the content. Before that end, a server has nothing to deliver: when the connection
/// breaks, it must discard the transaction (RFC 5321, 4.1.1.5 and 4.1.1.10).
const ROWS: &[Row] = &[
    // The server closes the connection, at any time: RFC 5321, 3.8 and 4.2.3.
    any((421, 421), &[], No(K::ServerError, true)),
    // Authentication required: RFC 4954, 6. The same code asks for STARTTLS: RFC 3207, 4.
    any((530, 530), &[], No(K::Authentication, false)),
    // Ready: RFC 5321, 4.3.2; RFC 3207, 4.
    at(Stage::Greeting, (220, 220), &[], Yes),
    at(Stage::Hello, (250, 250), &[], Yes),
    at(Stage::StartTls, (220, 220), &[], Yes),
    // STARTTLS was offered but is not understood: RFC 3207, 4. (454 is with the other 4yz.)
    at(
        Stage::StartTls,
        (500, 599),
        &[],
        No(K::Configuration, false),
    ),
    // RFC 4954, 4 and 6. 454 is a temporary failure, with the other 4yz.
    at(Stage::Auth, (235, 235), &[], Yes),
    at(Stage::Auth, (334, 334), &[], Continue),
    at(Stage::Auth, (500, 599), &[], No(K::Authentication, false)),
    // RFC 5321, 4.3.2. 251: the server forwards to another address, 3.4.
    at(Stage::Mail, (250, 250), &[], Yes),
    at(Stage::Recipient, (250, 251), &[], Yes),
    // X.5.3, too many recipients: RFC 3463, 3.6. Without that code, 452 and 552 may also mean a
    // full disk or mailbox (RFC 5321, 4.5.3.1.10: treat 552 like 452).
    at(Stage::Recipient, (400, 599), &[(5, 3)], TooMany),
    at(Stage::Recipient, (552, 552), &[], NotFor(Status::Failed)),
    // Temporary failure for this recipient: RFC 5321, 4.2.1.
    at(Stage::Recipient, (400, 499), &[], NotFor(Status::Failed)),
    // The sender's address is refused: RFC 3463, 3.2.
    at(
        Stage::Recipient,
        (500, 599),
        &[(1, 7), (1, 8)],
        NotFor(Status::Failed),
    ),
    // No such address, bad system or syntax, ambiguous, moved: RFC 3463, 3.2. X.1.9: RFC 5248, 3.1.
    // X.1.10, a domain that accepts no email: RFC 7505, 4.2.
    at(
        Stage::Recipient,
        (500, 599),
        &[
            (1, 0),
            (1, 1),
            (1, 2),
            (1, 3),
            (1, 4),
            (1, 6),
            (1, 9),
            (1, 10),
        ],
        NotFor(Status::Invalid),
    ),
    // Local parts that the server does not support: RFC 6531, 3.7.4.1 (X.6.7).
    at(
        Stage::Recipient,
        (500, 599),
        &[(6, 7)],
        NotFor(Status::Invalid),
    ),
    // Syntax error in a parameter; mailbox name not allowed: RFC 5321, 4.2.3.
    at(Stage::Recipient, (501, 501), &[], NotFor(Status::Invalid)),
    at(Stage::Recipient, (553, 553), &[], NotFor(Status::Invalid)),
    // Mailbox disabled (X.2.1), not allowed (X.7.1) and all other reasons: RFC 3463, 3.3 and 3.8. A
    // 550 without an enhanced code may be any of them: RFC 5321, 4.2.3.
    at(Stage::Recipient, (500, 599), &[], NotFor(Status::Rejected)),
    // RFC 5321, 4.3.2.
    at(Stage::Data, (354, 354), &[], Yes),
    // The server has taken responsibility for the message: RFC 5321, 4.2.5 and 6.1.
    at(Stage::End, (250, 250), &[], Yes),
    // Congestion: RFC 3463, 3.5. Mail flood: RFC 3463's registry at IANA, X.7.28.
    any((400, 499), &[(4, 5), (7, 28)], No(K::RateLimited, true)),
    // Transient and permanent negative replies: RFC 5321, 4.2.1. Among them 452 and 552, too
    // large: RFC 1870, 6.1; 555, unknown parameter: RFC 5321, 4.1.1.11.
    any((400, 499), &[], No(K::ServerError, true)),
    any((500, 599), &[], No(K::Refused, false)),
];

/// The meaning of `reply` at `stage`.
pub(super) fn meaning(stage: Stage, reply: &Reply) -> Meaning {
    let fits = |row: &&Row| {
        row.stage.is_none_or(|at| at == stage)
            && (row.codes.0..=row.codes.1).contains(&reply.code)
            && (row.about.is_empty() || row.about.iter().any(|(s, d)| reply.is_about(*s, *d)))
    };
    ROWS.iter()
        .find(fits)
        .map_or(Meaning::Nonsense, |row| row.meaning)
}

/// The error for a reply at its stage. A positive reply becomes an unexpected response.
pub(super) fn refused(stage: Stage, reply: &Reply, server: &str) -> SendError {
    let (kind, transient) = match meaning(stage, reply) {
        Meaning::No(kind, transient) => (kind, transient),
        Meaning::NotFor(_) | Meaning::TooMany if reply.code < 500 => (K::ServerError, true),
        Meaning::NotFor(_) | Meaning::TooMany => (K::Refused, false),
        Meaning::Yes | Meaning::Continue | Meaning::Nonsense => (K::InvalidResponse, false),
    };
    let words = format!("{} ({stage})", reply.words());
    SendError::new(kind, NAME, words)
        .with_server(server)
        .with_esp_code(reply.codes())
        .with_accepted(match kind {
            // It claims to have a message whose end it cannot have seen.
            K::InvalidResponse if stage == Stage::Content && reply.code < 300 => Accepted::Maybe,
            K::InvalidResponse => accepted(stage),
            _ => Accepted::No,
        })
        .with_transient(transient)
        .with_response(reply.to_string())
}

/// Whether the server may have accepted the message if there was no valid reply.
pub(super) fn accepted(stage: Stage) -> Accepted {
    match stage {
        Stage::End => Accepted::Maybe,
        _ => Accepted::No,
    }
}

/// Why there was no reply.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection was closed, with the system's error.
    Closed(String),
    /// The timeout expired.
    Late,
    /// The bytes received are not a reply; the text says why.
    Nonsense(String),
}

/// The error for a broken connection at its stage.
pub(super) fn broken(stage: Stage, why: &Broken, server: &str) -> SendError {
    let setting_up = matches!(
        stage,
        Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth
    );
    let (kind, words) = match why {
        Broken::Closed(words) if setting_up => (K::Connect, format!("{words} before the {stage}")),
        Broken::Closed(words) => (K::Disconnected, format!("{words} before the {stage}")),
        Broken::Late => (K::Timeout, format!("no {stage} within the timeout")),
        Broken::Nonsense(words) => (
            K::InvalidResponse,
            format!("the {stage} is not valid SMTP: {words}; check host, port and tls"),
        ),
    };
    SendError::new(kind, NAME, words)
        .with_server(server)
        .with_accepted(accepted(stage))
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
