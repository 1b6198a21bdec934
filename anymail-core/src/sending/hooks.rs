//! [`PreSend`] and [`PostSend`]: an app's own code before and after each message.
//!
//! When they run is decided in `mailer.rs`.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::{Accepted, SendError, SendErrorKind};
use super::status::SendStatus;
use super::withheld::{self, Withheld};
use crate::message::Message;
use crate::panics::caught;

/// Any error of an app's hook. What it prints goes into statuses, errors and logs.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// What a pre-send hook wants to be done with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum PreSendVerdict {
    /// Go on, with the message as the hook left it.
    Send,
    /// Go on, but not to these recipients.
    ///
    /// Core takes them out of `to`, `cc` and `bcc`, and the message's status lists them with the
    /// status and reason given here. If no recipient is left, or no `to` of a message that had
    /// some, nothing is sent, and the caller gets an error with that status: of the kind
    /// [`RecipientsRefused`](SendErrorKind::RecipientsRefused) if everybody left out is
    /// [`Rejected`](crate::Status::Rejected) or [`Invalid`](crate::Status::Invalid), else
    /// [`Cancelled`](SendErrorKind::Cancelled).
    SendWithout(Vec<Withheld>),
    /// Do not send it. The reason stands in the error that the caller gets.
    Cancel(String),
}

/// Runs hooks in order over messages that go out together. Gives for each message the
/// recipients whom they left out.
pub(super) async fn run(
    hooks: &[Arc<dyn PreSend>],
    messages: &mut [Message],
    esp: &str,
) -> Vec<Result<Vec<Withheld>, SendError>> {
    let mut outcomes: Vec<_> = messages.iter().map(|_| Ok(Vec::new())).collect();
    for hook in hooks {
        let (mut going, mut places) = (Vec::new(), Vec::new());
        for (message, outcome) in messages.iter_mut().zip(&mut outcomes) {
            if outcome.is_ok() {
                going.push(message);
                places.push(outcome);
            }
        }
        let verdicts = caught(hook.pre_send_many(&mut going, esp)).await;
        let failed = |panic: String| going.iter().map(|_| Err(panicked(&panic))).collect();
        let mut verdicts = verdicts.unwrap_or_else(failed).into_iter();
        for (message, outcome) in going.into_iter().zip(places) {
            let verdict = verdicts
                .next()
                .unwrap_or_else(|| Err("the hook returned no verdict for the message".into()));
            if let Ok(withheld) = outcome
                && let Err(error) = follow(verdict, message, withheld, esp)
            {
                *outcome = Err(error);
            }
        }
    }
    outcomes
}

/// Does what a verdict says.
fn follow(
    verdict: Result<PreSendVerdict, HookError>,
    message: &mut Message,
    withheld: &mut Vec<Withheld>,
    esp: &str,
) -> Result<(), SendError> {
    match verdict {
        Ok(PreSendVerdict::Send) => Ok(()),
        Ok(PreSendVerdict::SendWithout(recipients)) => {
            let (more, can_go) = withheld::take_out(message, recipients);
            withheld.extend(more);
            match can_go {
                true => Ok(()),
                false => Err(nobody_left(esp, message, withheld)),
            }
        }
        Ok(PreSendVerdict::Cancel(reason)) => {
            Err(SendError::new(SendErrorKind::Cancelled, esp, reason))
        }
        // A hook that knows more than that it failed says so.
        Err(error) => Err(match error.downcast::<SendError>() {
            Ok(error) => error.with_accepted(Accepted::No),
            Err(error) => SendError::new(SendErrorKind::Hook, esp, error.to_string()),
        }),
    }
}

fn nobody_left(esp: &str, message: &Message, withheld: &[Withheld]) -> SendError {
    let all_refused = withheld.iter().all(|one| one.status().is_refused());
    let kind = match all_refused {
        true => SendErrorKind::RecipientsRefused,
        false => SendErrorKind::Cancelled,
    };
    let last = withheld.last().map(|one| one.detail().clone());
    let words = last
        .as_ref()
        .map_or("no recipient", |detail| &detail.message);
    let error = SendError::new(kind, esp, words).without_a_call();
    let error = error.with_status(withheld::status_of_nobody(esp, message, withheld));
    match last.and_then(|detail| detail.code) {
        Some(code) => error.with_esp_code(code),
        None => error,
    }
}

fn panicked(message: &str) -> HookError {
    format!("it panicked: {message}").into()
}

/// Runs before each message, with the send defaults in place; may change or cancel it.
///
/// What it makes of the message is checked like any other. A closure
/// `Fn(&mut Message) -> Result<PreSendVerdict, HookError>` is one, too.
#[async_trait]
pub trait PreSend: Send + Sync {
    /// Looks at the message that is about to go to the backend named `esp`.
    ///
    /// # Errors
    /// Any: the message is then not sent, and the caller gets
    /// [`SendErrorKind::Hook`](crate::SendErrorKind::Hook). A hook that returns a [`SendError`]
    /// decides itself what the caller gets, for example one that is
    /// [transient](SendError::with_transient); it always counts as not accepted.
    /// A panic counts as an error.
    async fn pre_send(&self, message: &mut Message, esp: &str)
    -> Result<PreSendVerdict, HookError>;

    /// Looks at messages that go out together, and gives one verdict for each, in their order.
    ///
    /// By default it calls [`pre_send`](Self::pre_send) for one after the other. A hook that
    /// asks a database does better to ask once for all of them.
    async fn pre_send_many(
        &self,
        messages: &mut [&mut Message],
        esp: &str,
    ) -> Vec<Result<PreSendVerdict, HookError>> {
        let mut verdicts = Vec::with_capacity(messages.len());
        for message in messages {
            let verdict = caught(self.pre_send(message, esp)).await;
            verdicts.push(verdict.unwrap_or_else(|panic| Err(panicked(&panic))));
        }
        verdicts
    }
}

#[async_trait]
impl<F> PreSend for F
where
    F: Fn(&mut Message) -> Result<PreSendVerdict, HookError> + Send + Sync,
{
    async fn pre_send(
        &self,
        message: &mut Message,
        _esp: &str,
    ) -> Result<PreSendVerdict, HookError> {
        self(message)
    }
}

/// Runs after each message that went to the backend, whatever came of it.
///
/// All hooks run, even if one fails; what a failed one said stands in
/// [`SendStatus::hook_errors`] and in the log, and the message counts as sent. A closure
/// `Fn(&Message, Result<&SendStatus, &SendError>) -> Result<(), HookError>` is one, too.
#[async_trait]
pub trait PostSend: Send + Sync {
    /// Looks at the message as it was given to the backend, and at what came of it.
    ///
    /// # Errors
    /// Any; it does not change the result but is reported with it. A panic counts as an error.
    async fn post_send(
        &self,
        message: &Message,
        result: Result<&SendStatus, &SendError>,
    ) -> Result<(), HookError>;
}

#[async_trait]
impl<F> PostSend for F
where
    F: Fn(&Message, Result<&SendStatus, &SendError>) -> Result<(), HookError> + Send + Sync,
{
    async fn post_send(
        &self,
        message: &Message,
        result: Result<&SendStatus, &SendError>,
    ) -> Result<(), HookError> {
        self(message, result)
    }
}
