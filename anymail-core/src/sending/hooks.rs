//! [`PreSend`] and [`PostSend`]: an app's own code before and after each message.
//!
//! When they run is decided in `mailer.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::error::{SendError, SendErrorKind};
use super::status::SendStatus;
use crate::message::{Address, AddressKey, Message, MessageFields};

/// Any error of an app's hook. What it prints goes into statuses, errors and logs.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// What a pre-send hook wants to be done with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum PreSendVerdict {
    /// Go on, with the message as the hook left it.
    Send,
    /// Go on, but not to these recipients. Core takes them out of `to`, `cc` and `bcc`; the
    /// status lists them as [`Failed`](crate::Status::Failed), with the reason. A message that
    /// so loses its last `to`, or its last recipient, is cancelled.
    SendWithout {
        /// Whom to leave out.
        recipients: Vec<Address>,
        /// Why, in words.
        reason: String,
    },
    /// Do not send it. The reason stands in the error that the caller gets.
    Cancel(String),
}

/// A recipient whom a hook left out, and why.
#[derive(Debug, Clone)]
pub(super) struct Withheld {
    pub(super) recipient: Address,
    pub(super) reason: String,
}

impl Withheld {
    /// Takes recipients out of a message. Gives those who were in it, and whether the message
    /// can still go out.
    pub(super) fn from(
        message: &mut Message,
        recipients: &[Address],
        reason: &str,
    ) -> (Vec<Self>, bool) {
        let out: BTreeSet<AddressKey> = recipients.iter().map(Address::key).collect();
        let had_to = !message.to.items().is_empty();
        let mut withheld = Vec::new();
        let fields: &mut MessageFields = message;
        for list in [&mut fields.to, &mut fields.cc, &mut fields.bcc] {
            if let Some(list) = list.value_mut() {
                let leaving = list.extract_if(.., |address| out.contains(&address.key()));
                withheld.extend(leaving.map(|recipient| Self {
                    recipient,
                    reason: reason.to_owned(),
                }));
            }
        }
        let lost_to = had_to && message.to.items().is_empty();
        let can_go = !lost_to && message.recipients().next().is_some();
        (withheld, can_go)
    }
}

/// Runs hooks in order; gives the recipients whom they left out.
pub(super) async fn run(
    hooks: &[Arc<dyn PreSend>],
    message: &mut Message,
    esp: &str,
) -> Result<Vec<Withheld>, SendError> {
    let cancelled = |reason| Err(SendError::new(SendErrorKind::Cancelled, esp, reason));
    let mut withheld = Vec::new();
    for hook in hooks {
        match hook.pre_send(message, esp).await {
            Ok(PreSendVerdict::Send) => {}
            Ok(PreSendVerdict::SendWithout { recipients, reason }) => {
                let (more, can_go) = Withheld::from(message, &recipients, &reason);
                if !can_go {
                    return cancelled(reason);
                }
                withheld.extend(more);
            }
            Ok(PreSendVerdict::Cancel(reason)) => return cancelled(reason),
            Err(error) => {
                return Err(SendError::new(SendErrorKind::Hook, esp, error.to_string()));
            }
        }
    }
    Ok(withheld)
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
    /// [`SendErrorKind::Hook`](crate::SendErrorKind::Hook).
    async fn pre_send(&self, message: &mut Message, esp: &str)
    -> Result<PreSendVerdict, HookError>;
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
    /// Any; it does not change the result but is reported with it.
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
