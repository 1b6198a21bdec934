//! [`PreSend`] and [`PostSend`]: an app's own code before and after each message.
//!
//! `mailer.rs` decides when hooks run.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::{Accepted, SendError, SendErrorKind};
use super::status::SendStatus;
use super::withheld::{self, Withheld};
use crate::message::Message;
use crate::panics::caught;

/// Any error of an app's hook. Its `Display` goes into statuses, errors and logs.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// The decision of a pre-send hook about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum PreSendVerdict {
    /// Send the message as the hook left it.
    Send,
    /// Send the message, but not to these recipients.
    ///
    /// Core removes them from `to`, `cc` and `bcc`, and lists them in the message's status with the
    /// status and reason given here. If no recipient is left, or if a message loses all of its
    /// `to`, nothing is sent, and the caller gets an error with that status: of the kind
    /// [`RecipientsRefused`](SendErrorKind::RecipientsRefused) if all withheld recipients are
    /// [`Rejected`](crate::Status::Rejected) or [`Invalid`](crate::Status::Invalid), or else
    /// [`Cancelled`](SendErrorKind::Cancelled).
    SendWithout(Vec<Withheld>),
    /// Do not send the message. The caller's error contains the reason.
    Cancel(String),
}

/// Runs hooks in order over messages that are sent together. Returns for each message the
/// recipients that they withheld.
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

/// Applies a verdict.
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
        // A hook may return an error that says more than that it failed.
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

/// A hook that runs before each message is sent, with the send defaults applied. It may change or
/// cancel the message.
///
/// The changed message is validated like any other. A closure
/// `Fn(&mut Message) -> Result<PreSendVerdict, HookError>` is also a hook.
#[async_trait]
pub trait PreSend: Send + Sync {
    /// Inspects, and may change, the message that is about to be passed to the backend `esp`.
    ///
    /// # Errors
    /// Any error. The message is then not sent, and the caller gets
    /// [`SendErrorKind::Hook`](crate::SendErrorKind::Hook). If a hook returns a [`SendError`], the
    /// caller gets that error, for example one that is [transient](SendError::with_transient); it
    /// always counts as not accepted. A panic counts as an error.
    async fn pre_send(&self, message: &mut Message, esp: &str)
    -> Result<PreSendVerdict, HookError>;

    /// Inspects messages that are sent together, and returns one verdict for each, in order.
    ///
    /// By default it calls [`pre_send`](Self::pre_send) for one after the other. A hook that
    /// queries a database should override it to use a single query.
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

/// A hook that runs after each message that was passed to the backend, whatever the result.
///
/// All hooks run, even if one fails. The error of a failed hook is in [`SendStatus::hook_errors`]
/// and in the log, and does not change the result. A closure
/// `Fn(&Message, Result<&SendStatus, &SendError>) -> Result<(), HookError>` is also a hook.
#[async_trait]
pub trait PostSend: Send + Sync {
    /// Inspects the message as it was passed to the backend, and its result.
    ///
    /// # Errors
    /// Any error. It does not change the result but is reported with it. A panic counts as an
    /// error.
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
