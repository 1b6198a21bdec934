//! Calls a backend so that every message has a result of its own, whatever the backend does.
//!
//! When a backend is called is decided in `carry.rs`, and for the members of a failover in
//! `backends/members.rs`.

use super::backend::{EmailBackend, PreparedMessage};
use super::carry::Outcome;
use super::error::{Accepted, SendError, SendErrorKind};
use crate::panics::{caught, caught_in};

/// Sends one message. If the backend panics, the message may be accepted.
pub(crate) async fn send<B>(backend: &B, message: &PreparedMessage) -> Outcome
where
    B: EmailBackend + ?Sized,
{
    let sent = caught(backend.send(message)).await;
    sent.unwrap_or_else(|_| Err(panicked(backend.name())))
}

/// Sends many messages and gives one result for each, in their order. If the backend panics,
/// all of them may be accepted.
pub(crate) async fn send_many<B>(backend: &B, messages: &[PreparedMessage]) -> Vec<Outcome>
where
    B: EmailBackend + ?Sized,
{
    let sent = caught(backend.send_many(messages)).await;
    let mut results = sent.unwrap_or_else(|_| {
        let error = |_| Err(panicked(backend.name()));
        messages.iter().map(error).collect()
    });
    results.truncate(messages.len());
    results.resize_with(messages.len(), || Err(no_result(backend.name())));
    results
}

/// Prepares a message for a backend, which is asked what it has against it. If it panics, the
/// message was not sent.
pub(crate) fn prepare(
    backend: &dyn EmailBackend,
    make: impl FnOnce() -> Result<PreparedMessage, SendError>,
) -> Result<PreparedMessage, SendError> {
    caught_in(make).unwrap_or_else(|_| {
        let words = "the backend panicked while it checked the message, which was not sent";
        let kind = SendErrorKind::Configuration;
        Err(SendError::new(kind, backend.name(), words))
    })
}

/// The backend broke its promise of one result for each message.
pub(crate) fn no_result(esp: &str) -> SendError {
    maybe(esp, "the backend gave no result for it")
}

/// The panic's own message is not repeated: it is the backend's, and may hold a secret.
fn panicked(esp: &str) -> SendError {
    maybe(esp, "the backend panicked")
}

fn maybe(esp: &str, words: &str) -> SendError {
    SendError::new(SendErrorKind::InvalidResponse, esp, words).with_accepted(Accepted::Maybe)
}
