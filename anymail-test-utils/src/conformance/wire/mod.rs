//! [`Wire`]: what the topics need from a transport, and no more.
//!
//! A topic does not know which wire it has. What can go wrong on one is data ([`Faults`]); what
//! the ESP says is decided at its desk (`desk.rs`); how it is said is the wire's.

mod http;
mod http_faults;
mod local;
mod smtp;
mod smtp_faults;

use std::fmt;
use std::future::pending;
use std::time::Duration;

use anymail_core::{Accepted, SendErrorKind};
use async_trait::async_trait;

pub(super) use self::http::HttpWire;
pub(super) use self::http_faults::faults as http_faults;
pub(super) use self::local::LocalWire;
pub(super) use self::smtp::{SmtpWire, USER as SMTP_USER};
pub(super) use self::smtp_faults::faults as smtp_faults;
use super::desk::Desk;
use super::harness::TroubleKind;
use super::trial::{Stop, Verdict};
use super::understood::Understood;
use crate::{Fault, SmtpAction, SmtpFault};

/// The way from one backend to its ESP. Without answers it is a mailbox: then there is no desk,
/// and nothing can be broken.
#[async_trait]
pub(super) trait Wire: Send + Sync {
    /// All mails that the ESP has, as it understood them.
    fn mails(&self) -> Verdict<Vec<Understood>>;

    /// The mail without what the wire cannot carry, or adds: two that differ in nothing else are
    /// the same.
    fn carried(&self, mail: Understood) -> Understood {
        mail
    }

    /// Where the ESP decides what it answers; `None` where nobody answers.
    fn desk(&self) -> Option<&Desk> {
        None
    }

    /// How often the backend has begun to hand over something.
    fn tries(&self) -> usize {
        0
    }

    /// Lets this go wrong, so many times.
    fn inject(&self, fault: &WireFault, _times: usize) -> Verdict {
        Err(Stop::fail(format!("this wire cannot do {fault}")))
    }

    /// Lets this go wrong in the call with this number, from 1 on since the start.
    fn inject_at(&self, fault: &WireFault, _call: usize) -> Verdict {
        self.inject(fault, 1)
    }

    /// From now on all goes well again.
    fn clear_faults(&self) {}

    /// From now on nobody is there.
    async fn refuse(&self) -> Verdict {
        Err(Stop::skip("the backend makes no calls"))
    }

    /// From now on the ESP is there again.
    async fn accept_again(&self) -> Verdict {
        Ok(())
    }

    /// Waits until the ESP has got something more.
    async fn next_call(&self) {
        match self.desk() {
            Some(desk) => desk.arrived.notified().await,
            None => pending().await,
        }
    }

    /// The ESP's last answer, changed in one place each.
    fn altered_answers(&self) -> Vec<WireFault> {
        Vec::new()
    }

    /// Whether the ESP's last answer had no words of its own, so that anybody may have given it.
    fn said_nothing(&self) -> bool {
        false
    }

    /// Why the ESP would not know who has called it, if it would not.
    fn unauthorized(&self) -> Option<String> {
        None
    }

    /// What servers on the way write to their logs of each call: URLs.
    fn logged(&self) -> String {
        String::new()
    }

    /// Texts by which the secret has come to the ESP.
    fn bearers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the backend has read an answer without an end until the ESP gave up.
    fn endless_was_read(&self) -> bool {
        false
    }

    /// What the backend has done against the protocol, where the other side is a judge of that.
    fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    /// Frees what is kept of past calls.
    fn forget(&self) {}

    /// What went over the wire in the call with this number, for a person's eyes: without
    /// secrets, and short. `None`: the last one.
    fn show_call(&self, _call: Option<usize>) -> Vec<String> {
        Vec::new()
    }
}

/// A fault, as the wire that listed it does it.
#[derive(Debug, Clone)]
pub(super) enum WireFault {
    Http(Fault),
    Smtp(SmtpFault),
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(Fault::Replace(response)) => {
                let body = String::from_utf8_lossy(response.body());
                let start: String = body.chars().take(60).collect();
                write!(f, "HTTP {} with {start:?}", response.status())
            }
            Self::Http(fault) => fault.fmt(f),
            Self::Smtp(SmtpFault {
                stage,
                action: SmtpAction::Garbage(bytes),
            }) => {
                let text = String::from_utf8_lossy(bytes);
                let start: String = text.chars().take(60).collect();
                write!(f, "{start:?} at {stage}")
            }
            Self::Smtp(fault) => fault.fmt(f),
        }
    }
}

/// What can go wrong on a wire, in the order in which it is tried.
pub(super) struct Faults {
    /// An answer that is lost, stage by stage.
    pub(super) lost: Vec<Lost>,
    /// What the ESP, or something before it, says instead of yes.
    pub(super) told: Vec<Told>,
    /// Answers that no ESP should give, and that claim nothing.
    pub(super) nonsense: Vec<WireFault>,
    /// Answers that consist of a bare status.
    pub(super) bare: Vec<Bare>,
    /// Those after which the ESP has the mail, and the backend has no yes.
    pub(super) taken: Vec<WireFault>,
    /// Those that are likely to be printed with what was tried.
    pub(super) telling: Vec<WireFault>,
    /// Answers that repeat these words in a place where the backend may look.
    pub(super) echoes: fn(&str) -> Vec<WireFault>,
    /// The ESP has the mail, and the connection breaks.
    pub(super) taken_then_reset: WireFault,
    /// The ESP has the mail, and is silent.
    pub(super) taken_then_silent: WireFault,
    /// The answer comes byte by byte.
    pub(super) slow: WireFault,
    /// The ESP has the mail, and its answer has no end.
    pub(super) endless: WireFault,
    /// The ESP has the mail, and its answer is none.
    pub(super) taken_then_garbage: WireFault,
    /// The ESP asks for patience, once.
    pub(super) not_now: WireFault,
    /// Whether the ESP can say how long to wait.
    pub(super) says_how_long: bool,
    /// Whether the ESP can send a client elsewhere.
    pub(super) redirects: bool,
    /// Whether the other side is a judge of the protocol.
    pub(super) judges: bool,
    /// Whether a call has a URL.
    pub(super) has_urls: bool,
    /// Whether a crash that the ESP tells of is its word that it has not taken the mail.
    pub(super) a_crash_is_a_no: bool,
}

/// A loss, and whether the ESP may have the message.
#[derive(Clone)]
pub(super) struct Lost {
    pub(super) name: String,
    pub(super) fault: WireFault,
    /// `None` where nobody but the ESP can tell, and either is honest.
    pub(super) accepted: Option<Accepted>,
    /// Whether nothing comes until the backend's time limit.
    pub(super) waits: bool,
    /// Whether it is the body of the answer that is lost.
    pub(super) in_body: bool,
    /// Whether it needs a mail that is too long to be on the wire whole.
    pub(super) long: bool,
}

/// What the backend is told, and what it must make of that.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) by: Teller,
    pub(super) kind: SendErrorKind,
    pub(super) accepted: Accepted,
    pub(super) transient: bool,
}

/// Who tells it.
#[derive(Clone)]
pub(super) enum Teller {
    /// The ESP, in its own words.
    Esp(TroubleKind),
    /// Something before it, or the ESP in words that anybody could have.
    Anybody(WireFault),
}

/// A bare status, and what it may be taken for.
#[derive(Clone)]
pub(super) struct Bare {
    pub(super) fault: WireFault,
    pub(super) meaning: BareMeaning,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BareMeaning {
    /// No yes; whether it is a no is the backend's to know.
    NotYes,
    /// Neither yes nor no.
    Open,
    /// A yes where the ESP's answers have no body; else open.
    PerhapsYes,
}

/// How long a backend's time limit is in trials in which nothing comes.
pub(super) const IMPATIENT: Duration = Duration::from_secs(1);
