//! Turns whatever a backend does, including panics, into one result for each message.
//!
//! `carry.rs` calls backends; `backends/members.rs` calls the members of a failover.

use super::error::{Accepted, SendError, SendErrorKind};
use super::status::SendStatus;
use crate::panics::{caught, caught_in};

/// The result of one message.
pub(crate) type Outcome = Result<SendStatus, SendError>;

/// Runs the sending of one message. If the backend panics, the message may have been accepted.
pub(crate) async fn one(esp: &str, sending: impl Future<Output = Outcome>) -> Outcome {
    let sent = caught(sending).await;
    sent.unwrap_or_else(|_| Err(panicked(esp)))
}

/// Returns one result for each of `count` messages, in order. If the backend panics, all of them
/// may have been accepted.
pub(crate) async fn many(
    esp: &str,
    count: usize,
    sending: impl Future<Output = Vec<Outcome>>,
) -> Vec<Outcome> {
    let mut results = caught(sending).await.unwrap_or_else(|_| {
        let error = |_| Err(panicked(esp));
        (0..count).map(error).collect()
    });
    results.truncate(count);
    results.resize_with(count, || Err(no_result(esp)));
    results
}

/// Runs the preparation of a message. If the backend panics while it checks the message, the
/// message was not sent.
pub(crate) fn prepare<T>(
    esp: &str,
    make: impl FnOnce() -> Result<T, SendError>,
) -> Result<T, SendError> {
    caught_in(make).unwrap_or_else(|_| {
        let words = "the backend panicked while checking the message; nothing was sent";
        Err(SendError::new(SendErrorKind::Configuration, esp, words))
    })
}

/// The backend did not return one result for each message.
pub(crate) fn no_result(esp: &str) -> SendError {
    maybe(esp, "the backend returned no result for the message")
}

/// The panic's message is not repeated, because it is the backend's and may contain a secret.
fn panicked(esp: &str) -> SendError {
    maybe(esp, "the backend panicked")
}

fn maybe(esp: &str, words: &str) -> SendError {
    SendError::new(SendErrorKind::InvalidResponse, esp, words).with_accepted(Accepted::Maybe)
}
