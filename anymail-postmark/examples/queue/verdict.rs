//! [`Verdict`]: what a result means for its message in the queue.
//!
//! It only decides; `worker.rs` acts.

use std::time::Duration;

use anymail_core::{Accepted, RecipientStatus, SendError, SendErrorKind, SendStatus, Status};

use super::settings::Settings;

/// What happens to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Postmark has accepted it.
    Sent,
    /// Another message with its ID was sent or is being sent.
    Duplicate,
    /// Postmark has certainly not accepted it, and may after this wait.
    Later(Duration, String),
    /// Postmark has certainly not accepted it, and will not.
    Refused(String),
    /// Postmark may have accepted it.
    Maybe(String),
}

impl Verdict {
    /// Decides about a message that had `tries` attempts before.
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

    /// If a message was not, or possibly not, sent to some of its recipients, it cannot be sent
    /// again: the others would get it twice.
    fn of_status(status: &SendStatus) -> Self {
        let open = |status| matches!(status, Status::Failed | Status::Unknown);
        let mut recipients = status.recipients();
        match recipients.find(|recipient| open(recipient.status)) {
            Some(RecipientStatus { email, status, .. }) => Self::Maybe(format!(
                "not sent to every recipient: {email} is {status:?}"
            )),
            None => Self::Sent,
        }
    }

    /// Its name in the output.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Duplicate => "duplicate",
            Self::Later(..) => "later",
            Self::Refused(_) => "refused",
            Self::Maybe(_) => "maybe",
        }
    }

    /// Why the message was not sent, or possibly not.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Sent | Self::Duplicate => None,
            Self::Later(_, reason) | Self::Refused(reason) | Self::Maybe(reason) => Some(reason),
        }
    }
}

/// What a wait can fix. A wrong token is not the message's fault: it waits until somebody has set
/// the right one.
fn may_work_later(error: &SendError) -> bool {
    use SendErrorKind::{Authentication, Configuration};
    error.is_transient() || matches!(error.kind(), Authentication | Configuration)
}

/// The wait of this attempt, or the next longer one that is as long as Postmark asks for.
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
