//! From a prepared message to its result: attempts, results, and post-send hooks.
//!
//! `mailer.rs` does what happens before; `retry.rs` decides when to retry.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::backend::{EmailBackend, PreparedMessage};
use super::error::{Accepted, SendError, SendErrorKind};
use super::guarded::{self, Outcome};
use super::hooks::PostSend;
use super::retry::{RetryPolicy, Waits};
use super::status::SendStatus;
use super::trace::SendTrace;
use crate::panics::caught;

/// The two methods of a backend that send messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Single,
    Many,
}

/// Passes prepared messages to the backend, and their results to the post-send hooks.
pub(super) struct Carrier {
    pub(super) backend: Arc<dyn EmailBackend>,
    pub(super) retry: RetryPolicy,
    pub(super) time_limit: Option<Duration>,
    pub(super) ignore_recipient_status: bool,
    pub(super) post_send: Vec<Arc<dyn PostSend>>,
}

impl Carrier {
    /// Passes prepared messages to the backend, retries according to the policy, and passes the
    /// results to the post-send hooks. Returns one result for each message, in order.
    pub(super) async fn carry(&self, messages: &[PreparedMessage], way: Way) -> Vec<Outcome> {
        if messages.is_empty() {
            return Vec::new();
        }
        let trace = SendTrace::start(self.backend.name(), messages);
        let carried = async {
            let (tries, mut results) = self.try_all(messages, way).await;
            for (message, result) in messages.iter().zip(&mut results) {
                self.finish(message, result);
                if !self.post_send.is_empty() {
                    self.run_hooks(message, result).await;
                }
            }
            (tries, results)
        };
        let (tries, results) = carried.instrument(trace.span()).await;
        trace.end(tries, &results);
        results
    }

    /// Runs all attempts. Returns their number and the result of each message.
    async fn try_all(&self, messages: &[PreparedMessage], way: Way) -> (u32, Vec<Outcome>) {
        // A limit beyond the range of the clock is no limit.
        let limit = self.time_limit;
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let started = Instant::now();
        let mut results = self.try_once(messages, way, deadline).await;
        let mut waits = self.retry.waits();
        let mut tried = 1;
        loop {
            let again = self.to_repeat(&results);
            let Some(wait) = next_wait(&mut waits, tried, started, &again, &results) else {
                break;
            };
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| wait >= left) {
                break;
            }
            tracing::info!(
                esp = self.backend.name(),
                messages = again.len(),
                tried,
                wait_ms = wait.as_millis(),
                "retrying messages that were not accepted"
            );
            tokio::time::sleep(wait).await;
            let batch = again.iter().filter_map(|place| messages.get(*place));
            let batch: Vec<_> = batch.cloned().collect();
            let repeated = self.try_once(&batch, way, deadline).await;
            tried += 1;
            for (place, result) in again.into_iter().zip(repeated) {
                if let Some(slot) = results.get_mut(place) {
                    let before = slot.as_ref().err().map_or(0, SendError::tries);
                    *slot = result.map_err(|error| {
                        let tries = error.tries().saturating_add(before);
                        error.with_tries(tries)
                    });
                }
            }
        }
        (tried, results)
    }

    /// The indexes of the messages that can be retried.
    fn to_repeat(&self, results: &[Outcome]) -> Vec<usize> {
        let allowed = |error| self.retry.allows(error);
        let results = results.iter().enumerate();
        let allowed = results.filter(|(_, result)| result.as_ref().is_err_and(allowed));
        allowed.map(|(place, _)| place).collect()
    }

    /// Runs one attempt within the time limit. Returns one result for each message, whatever the
    /// backend does: messages whose call was in progress when the time was up, or when the backend
    /// panicked, may have been accepted.
    async fn try_once(
        &self,
        batch: &[PreparedMessage],
        way: Way,
        deadline: Option<Instant>,
    ) -> Vec<Outcome> {
        let backend = &*self.backend;
        let esp = backend.name();
        let sending = async {
            match (way, batch) {
                (Way::Single, [message]) => vec![guarded::one(esp, backend.send(message)).await],
                _ => guarded::many(esp, batch.len(), backend.send_many(batch)).await,
            }
        };
        let ended = match deadline {
            None => Ok(sending.await),
            Some(deadline) => tokio::time::timeout_at(deadline, sending).await,
        };
        ended.unwrap_or_else(|_| {
            let words = "the mailer's time limit expired";
            let late = SendError::new(SendErrorKind::Timeout, esp, words);
            let late = late.with_accepted(Accepted::Maybe);
            batch.iter().map(|_| Err(late.clone())).collect()
        })
    }

    /// The backend did not return one result for each message.
    pub(super) fn lost_result(&self) -> SendError {
        guarded::no_result(self.backend.name())
    }

    /// Finishes a result for the caller: adds what was dropped, and turns a status in which nobody
    /// was sent the message into an error.
    fn finish(&self, prepared: &PreparedMessage, result: &mut Outcome) {
        self.judge(result);
        let nothing_left_out = prepared.dropped().is_empty() && prepared.withheld().is_empty();
        if !nothing_left_out && let Some(status) = status_of(result) {
            // Before what a failover's member dropped.
            status
                .dropped
                .splice(..0, prepared.dropped().iter().cloned());
            for withheld in prepared.withheld() {
                status.withhold(withheld.recipient(), withheld.status(), withheld.detail());
            }
        }
        log(result);
    }

    async fn run_hooks(&self, prepared: &PreparedMessage, result: &mut Outcome) {
        let mut failed = Vec::new();
        for hook in &self.post_send {
            let told = hook.post_send(prepared.message(), result.as_ref());
            match caught(told).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.push(error.to_string()),
                Err(panic) => failed.push(format!("it panicked: {panic}")),
            }
        }
        if !failed.is_empty() {
            self.note_failed_hooks(result, failed);
        }
    }

    /// Logs the errors of post-send hooks, and records them in the status.
    pub(super) fn note_failed_hooks(&self, result: &mut Outcome, failed: Vec<String>) {
        for error in &failed {
            tracing::error!(esp = self.backend.name(), %error, "a post-send hook failed");
        }
        if let Some(status) = status_of(result) {
            status.hook_errors.extend(failed);
        }
    }

    /// Turns a status in which nobody was sent the message into an error.
    fn judge(&self, result: &mut Outcome) {
        let Ok(status) = result else {
            return;
        };
        let all_refused = || status.recipients().all(|r| r.status.is_refused());
        let fine = status.may_be_accepted() || (self.ignore_recipient_status && all_refused());
        if !fine {
            *result = Err(SendError::from_refusal(status.clone()));
        }
    }
}

/// How long to wait before `again` is retried; `None` if it is not.
fn next_wait(
    waits: &mut Waits,
    tried: u32,
    started: Instant,
    again: &[usize],
    results: &[Outcome],
) -> Option<Duration> {
    if again.is_empty() {
        return None;
    }
    let asked = again.iter().filter_map(|place| {
        let error = results.get(*place)?.as_ref().err()?;
        error.retry_after()
    });
    waits.next(tried, started.elapsed(), asked.max())
}

fn log(result: &Outcome) {
    match result {
        Ok(status) => tracing::debug!(
            esp = &*status.esp,
            recipients = status.recipients().len(),
            "sent"
        ),
        Err(error) => tracing::warn!(
            esp = error.esp(),
            kind = ?error.kind(),
            http_status = error.http_status(),
            accepted = ?error.accepted(),
            "could not send a message"
        ),
    }
}

fn status_of(result: &mut Outcome) -> Option<&mut SendStatus> {
    match result {
        Ok(status) => Some(status),
        Err(error) => error.status_mut(),
    }
}
