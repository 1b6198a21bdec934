//! [`Wire`]: what the topics need from a transport, and no more.
//!
//! A topic does not know its wire. The faults of a wire are data ([`Faults`]), the desk (`desk.rs`)
//! decides what the ESP reports, and the wire formats it.

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
use super::harness::FailureKind;
use super::trial::{Stop, Verdict};
use super::understood::Understood;
use crate::{Fault, SmtpAction, SmtpFault};

/// The connection from one backend to its ESP. Without responses, it is a mailbox: then there is no
/// desk, and no faults.
#[async_trait]
pub(super) trait Wire: Send + Sync {
    /// Returns all messages that the ESP has, as it understood them.
    fn mails(&self) -> Verdict<Vec<Understood>>;

    /// Returns the message without anything that the wire cannot carry or adds, so that equivalent
    /// messages are equal.
    fn carried(&self, mail: Understood) -> Understood {
        mail
    }

    /// Returns the desk that decides about responses; `None` if there are no responses.
    fn desk(&self) -> Option<&Desk> {
        None
    }

    /// Returns how often the backend has started to send something.
    fn tries(&self) -> usize {
        0
    }

    /// Injects this fault this many times.
    fn inject(&self, fault: &WireFault, _times: usize) -> Verdict {
        Err(Stop::fail(format!(
            "this wire does not support the fault {fault}"
        )))
    }

    /// Injects this fault into the call with this number, counted from 1 since the start.
    fn inject_at(&self, fault: &WireFault, _call: usize) -> Verdict {
        self.inject(fault, 1)
    }

    /// Removes all faults.
    fn clear_faults(&self) {}

    /// Makes the ESP unreachable.
    async fn refuse(&self) -> Verdict {
        Err(Stop::skip("the backend makes no calls"))
    }

    /// Makes the ESP reachable again.
    async fn accept_again(&self) -> Verdict {
        Ok(())
    }

    /// Waits until the ESP has received something new.
    async fn next_call(&self) {
        match self.desk() {
            Some(desk) => desk.arrived.notified().await,
            None => pending().await,
        }
    }

    /// Returns faults that alter the ESP's last response, each in one place.
    fn altered_responses(&self) -> Vec<WireFault> {
        Vec::new()
    }

    /// Whether the ESP's last response contained no text of its own, so that any server may have
    /// sent it.
    fn said_nothing(&self) -> bool {
        false
    }

    /// Returns why the ESP could not authenticate the caller; `None` if it could.
    fn unauthorized(&self) -> Option<String> {
        None
    }

    /// Returns what servers on the way log for each call: URLs.
    fn logged(&self) -> String {
        String::new()
    }

    /// Returns all forms in which the secret has reached the ESP.
    fn bearers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the backend has read an endless response until the ESP gave up.
    fn endless_was_read(&self) -> bool {
        false
    }

    /// Returns the backend's violations of the protocol, if the wire checks it.
    fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    /// Discards what is kept of past calls.
    fn forget(&self) {}

    /// Formats what was sent in the call with this number, shortened and without secrets, for a
    /// person to read. `None` is the last call.
    fn show_call(&self, _call: Option<usize>) -> Vec<String> {
        Vec::new()
    }
}

/// A fault, as its wire defines it.
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

/// The faults of a wire, in the order in which they are tried.
pub(super) struct Faults {
    /// Lost responses, stage by stage.
    pub(super) lost: Vec<Lost>,
    /// What the ESP, or a server before it, reports instead of success.
    pub(super) told: Vec<Told>,
    /// Invalid responses that report neither success nor failure.
    pub(super) nonsense: Vec<WireFault>,
    /// Responses that consist only of a status.
    pub(super) bare: Vec<Bare>,
    /// Faults after which the ESP has the message, but the backend gets no success.
    pub(super) taken: Vec<WireFault>,
    /// Faults that are likely to be printed together with the request.
    pub(super) telling: Vec<WireFault>,
    /// Responses that repeat this text in places where the backend may look.
    pub(super) echoes: fn(&str) -> Vec<WireFault>,
    /// The ESP has the message, and the connection breaks.
    pub(super) taken_then_reset: WireFault,
    /// The ESP has the message, but does not respond.
    pub(super) taken_then_silent: WireFault,
    /// The response arrives byte by byte.
    pub(super) slow: WireFault,
    /// The ESP has the message, and its response is endless.
    pub(super) endless: WireFault,
    /// The ESP has the message, and its response is invalid.
    pub(super) taken_then_garbage: WireFault,
    /// The ESP asks once to retry later.
    pub(super) not_now: WireFault,
    /// Whether the ESP can report how long to wait.
    pub(super) says_how_long: bool,
    /// Whether the ESP can redirect a client.
    pub(super) redirects: bool,
    /// Whether the server checks the protocol.
    pub(super) judges: bool,
    /// Whether a call has a URL.
    pub(super) has_urls: bool,
    /// Whether a server error reported by the ESP proves that it did not accept the message.
    pub(super) a_crash_is_a_no: bool,
}

/// A lost response, and whether the ESP may have the message.
#[derive(Clone)]
pub(super) struct Lost {
    pub(super) name: String,
    pub(super) fault: WireFault,
    /// `None` if only the ESP can know, so that both values are correct.
    pub(super) accepted: Option<Accepted>,
    /// Whether nothing arrives until the backend's time limit.
    pub(super) waits: bool,
    /// Whether the body of the response is lost.
    pub(super) in_body: bool,
    /// Whether it needs a message that is too long to be sent completely.
    pub(super) long: bool,
}

/// What the backend is told, and the result it must return.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) by: Teller,
    pub(super) kind: SendErrorKind,
    pub(super) accepted: Accepted,
    pub(super) transient: bool,
}

/// Who reports it.
#[derive(Clone)]
pub(super) enum Teller {
    /// The ESP, with its own error body.
    Esp(FailureKind),
    /// A server before the ESP, or the ESP with a body that any server could have sent.
    Anybody(WireFault),
}

/// A response with only a status, and how it may be interpreted.
#[derive(Clone)]
pub(super) struct Bare {
    pub(super) fault: WireFault,
    pub(super) meaning: BareMeaning,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BareMeaning {
    /// Not a success; the backend decides whether it is a refusal.
    NotYes,
    /// Neither success nor refusal.
    Open,
    /// A success if the ESP's responses have no body; otherwise unknown.
    PerhapsYes,
}

/// The backend's time limit in trials in which nothing arrives.
pub(super) const IMPATIENT: Duration = Duration::from_secs(1);
