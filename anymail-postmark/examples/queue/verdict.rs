//! [`Verdict`]: what a result means for its message on the queue.
//!
//! It decides; `worker.rs` carries it out.

use std::time::Duration;

use anymail_core::{Accepted, RecipientStatus, SendError, SendErrorKind, SendStatus, Status};

use super::settings::Settings;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Postmark has it.
    Sent,
    /// Another message of its id was sent or is being sent.
    Duplicate,
    /// Postmark surely does not have it, and may take it after this wait.
    Later(Duration, String),
    /// Postmark surely does not have it and will not take it.
    Refused(String),
    /// Postmark may have it.
    Maybe(String),
}

impl Verdict {
    /// What became of the message, when it was tried `tries` times before.
    pub(crate) fn of(
        result: &Result<SendStatus, SendError>,
        tries: u32,
        settings: &Settings,
    ) -> Self {
        let error = match result {
            Ok(status) => return Self::of_status(status),
            Err(error) => error,
        };
        let reason = error.to_string();
        if error.accepted() == Accepted::Maybe {
            return Self::Maybe(reason);
        }
        if may_work_later(error) && tries.saturating_add(1) < settings.max_tries {
            let wait = wait(&settings.waits, tries, error.retry_after());
            return Self::Later(wait, reason);
        }
        Self::Refused(reason)
    }

    /// A message to many that some of its recipients were not sent, or not surely, cannot be
    /// sent again: the others would get it twice.
    fn of_status(status: &SendStatus) -> Self {
        let open = |status| matches!(status, Status::Failed | Status::Unknown);
        let mut recipients = status.recipients();
        match recipients.find(|recipient| open(recipient.status)) {
            Some(RecipientStatus { email, status, .. }) => {
                Self::Maybe(format!("not all are sent it: {email} is {status:?}"))
            }
            None => Self::Sent,
        }
    }

    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Duplicate => "duplicate",
            Self::Later(..) => "later",
            Self::Refused(_) => "refused",
            Self::Maybe(_) => "maybe",
        }
    }

    /// Why the message was not sent, or not surely.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Sent | Self::Duplicate => None,
            Self::Later(_, reason) | Self::Refused(reason) | Self::Maybe(reason) => Some(reason),
        }
    }
}

/// What a wait can mend. A wrong token is no fault of the message: it waits until somebody has
/// set the right one.
fn may_work_later(error: &SendError) -> bool {
    use SendErrorKind::{Authentication, Configuration};
    error.is_transient() || matches!(error.kind(), Authentication | Configuration)
}

/// The try's own wait, or the next longer one that is as long as Postmark asks.
fn wait(waits: &[Duration], tries: u32, asked: Option<Duration>) -> Duration {
    let tries = usize::try_from(tries).unwrap_or(usize::MAX);
    let last = waits.last().copied().unwrap_or_default();
    let own = waits.get(tries).copied().unwrap_or(last);
    let asked = asked.unwrap_or_default();
    if own >= asked {
        return own;
    }
    let long_enough = waits.iter().copied().filter(|wait| *wait >= asked).min();
    long_enough.unwrap_or(last)
}
