//! What each reply of an SMTP server means: one table from stage and reply to what became of the
//! message, each row with its RFC. What a broken connection means stands below it.
//!
//! Which command is sent when is decided in `conversation.rs` and `session.rs`.

use std::fmt;

use super::NAME;
use crate::sending::{Accepted, SendError, SendErrorKind, Status, StatusDetail};

/// A whole reply, of one line or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The enhanced status code (RFC 3463), where the reply has one.
    pub(super) enhanced: Option<[u16; 3]>,
    /// The words without codes; a line break between two lines.
    pub(super) text: String,
}

/// The enhanced status code at the start of a line, behind the code: `5.7.509` (RFC 3463, 2).
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
    /// `550 5.1.1`, or `550` alone.
    pub(super) fn codes(&self) -> String {
        match self.enhanced {
            Some([class, subject, detail]) => {
                format!("{} {class}.{subject}.{detail}", self.code)
            }
            None => self.code.to_string(),
        }
    }

    /// The words in one line.
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

/// The whole reply in one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.codes(), self.words())
    }
}

/// How far the conversation is: what the server answers, or ought to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Greeting,
    Hello,
    StartTls,
    Auth,
    Mail,
    Recipient,
    Data,
    /// The content, before its end marker is on its way.
    Content,
    /// The end marker is on its way, or may be.
    End,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the connection",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Content => "the message's content",
            Self::End => "the end of the message",
        })
    }
}

/// What a reply means at its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server has done what it was asked for.
    Yes,
    /// The server wants more (RFC 4954, 4).
    Continue,
    /// The server does not take the message for this recipient. Others may be taken.
    NotFor(Status),
    /// The server takes no further recipient in this transaction, but will in another.
    TooMany,
    /// The server takes nothing of the message. The flag: the same may work later.
    No(SendErrorKind, bool),
    /// No server answers so at this stage.
    Nonsense,
}

struct Row {
    /// None: at any stage.
    stage: Option<Stage>,
    codes: (u16, u16),
    /// Subject and detail of the enhanced codes; empty: any, or none.
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

/// The first row that fits says what a reply means.
///
/// A negative reply is the server's word that it does not have the message (RFC 5321, 4.2.1), at
/// the end of the content, too. Before that end a server has nothing to deliver: when the
/// connection breaks it must forget the transaction (RFC 5321, 4.1.1.5 and 4.1.1.10).
const ROWS: &[Row] = &[
    // The server closes the connection, at any time: RFC 5321, 3.8 and 4.2.3.
    any((421, 421), &[], No(K::ServerError, true)),
    // Authentication required: RFC 4954, 6. The same code asks for STARTTLS: RFC 3207, 4.
    any((530, 530), &[], No(K::Authentication, false)),
    // Ready: RFC 5321, 4.3.2; RFC 3207, 4.
    at(Stage::Greeting, (220, 220), &[], Yes),
    at(Stage::Hello, (250, 250), &[], Yes),
    at(Stage::StartTls, (220, 220), &[], Yes),
    // STARTTLS was offered, but is not understood: RFC 3207, 4. (454 stands with the other 4yz.)
    at(
        Stage::StartTls,
        (500, 599),
        &[],
        No(K::Configuration, false),
    ),
    // RFC 4954, 4 and 6. 454 is a temporary failure, and stands with the other 4yz.
    at(Stage::Auth, (235, 235), &[], Yes),
    at(Stage::Auth, (334, 334), &[], Continue),
    at(Stage::Auth, (500, 599), &[], No(K::Authentication, false)),
    // RFC 5321, 4.3.2. 251: the server forwards to another address, 3.4.
    at(Stage::Mail, (250, 250), &[], Yes),
    at(Stage::Recipient, (250, 251), &[], Yes),
    // X.5.3, too many recipients: RFC 3463, 3.6. Without that code 452 and 552 may be a full
    // disk or mailbox as well (RFC 5321, 4.5.3.1.10: 552 is to be read as 452).
    at(Stage::Recipient, (400, 599), &[(5, 3)], TooMany),
    at(Stage::Recipient, (552, 552), &[], NotFor(Status::Failed)),
    // Not now, for this recipient: RFC 5321, 4.2.1.
    at(Stage::Recipient, (400, 499), &[], NotFor(Status::Failed)),
    // What is wrong is the sender's address: RFC 3463, 3.2.
    at(
        Stage::Recipient,
        (500, 599),
        &[(1, 7), (1, 8)],
        NotFor(Status::Failed),
    ),
    // No such address, bad system or syntax, ambiguous, moved: RFC 3463, 3.2. X.1.9: RFC 5248,
    // 3.1. X.1.10, a domain that takes no mail: RFC 7505, 4.2.
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
    // Local parts that the server cannot take: RFC 6531, 3.7.4.1 (X.6.7).
    at(
        Stage::Recipient,
        (500, 599),
        &[(6, 7)],
        NotFor(Status::Invalid),
    ),
    // Syntax error in a parameter; mailbox name not allowed: RFC 5321, 4.2.3.
    at(Stage::Recipient, (501, 501), &[], NotFor(Status::Invalid)),
    at(Stage::Recipient, (553, 553), &[], NotFor(Status::Invalid)),
    // Mailbox disabled (X.2.1), not allowed (X.7.1) and all other reasons: RFC 3463, 3.3 and
    // 3.8. A 550 without an enhanced code may be any of them: RFC 5321, 4.2.3.
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

/// What `reply` means at `stage`.
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

/// The error that a reply is at its stage; for one that means yes, that it does not belong there.
pub(super) fn refused(stage: Stage, reply: &Reply, server: &str) -> SendError {
    let (kind, transient) = match meaning(stage, reply) {
        Meaning::No(kind, transient) => (kind, transient),
        Meaning::NotFor(_) | Meaning::TooMany if reply.code < 500 => (K::ServerError, true),
        Meaning::NotFor(_) | Meaning::TooMany => (K::Refused, false),
        Meaning::Yes | Meaning::Continue | Meaning::Nonsense => (K::InvalidResponse, false),
    };
    let words = format!("{} (reply to {stage})", reply.words());
    SendError::new(kind, NAME, words)
        .with_server(server)
        .with_esp_code(reply.codes())
        .with_accepted(match kind {
            // It says that it has a message of which it cannot have seen the end.
            K::InvalidResponse if stage == Stage::Content && reply.code < 300 => Accepted::Maybe,
            K::InvalidResponse => accepted(stage),
            _ => Accepted::No,
        })
        .with_transient(transient)
        .with_response(reply.to_string())
}

/// Whether the server may have the message when no reply came, or none that can be read.
pub(super) fn accepted(stage: Stage) -> Accepted {
    match stage {
        Stage::End => Accepted::Maybe,
        _ => Accepted::No,
    }
}

/// Why no reply came.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection is closed, or broke; in the system's words.
    Closed(String),
    /// The time limit ended.
    Late,
    /// What came is no reply, as told in these words.
    Nonsense(String),
}

/// The error that a broken connection is at its stage.
pub(super) fn broken(stage: Stage, why: &Broken, server: &str) -> SendError {
    let setting_up = matches!(
        stage,
        Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth
    );
    let (kind, words) = match why {
        Broken::Closed(words) if setting_up => {
            (K::Connect, format!("{words} before the reply to {stage}"))
        }
        Broken::Closed(words) => (
            K::Disconnected,
            format!("{words} before the reply to {stage}"),
        ),
        Broken::Late => (
            K::Timeout,
            format!("no reply to {stage} within the timeout"),
        ),
        Broken::Nonsense(words) => (
            K::InvalidResponse,
            format!("the reply to {stage} is not valid SMTP: {words}; check host, port and tls"),
        ),
    };
    SendError::new(kind, NAME, words)
        .with_server(server)
        .with_accepted(accepted(stage))
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
