//! [`RetryPolicy`]: whether and when a failed message is sent again.
//!
//! It only decides; the loop that waits is in `carry.rs`, and `error.rs` defines which errors are
//! safe to retry.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::{Deserialize, Serialize};

use super::error::{Accepted, SendError};

/// When a [`Mailer`](crate::Mailer) retries automatically.
///
/// It retries only if the error is transient and the message was certainly not accepted: after a
/// refused connection, a 429, or a 503 from the ESP itself. It never retries a message that may
/// have been accepted (after a lost response, a 500, a timeout, or a 503 that a proxy may have
/// sent), because that could send it twice. Waits double, each with a random jitter of up to its
/// own length (so that many clients do not retry at the same time), and are at least as long as the
/// ESP's `Retry-After`.
///
/// If the ESP asks for a wait longer than [`max_wait`](Self::max_wait), the mailer does not wait:
/// it returns the error immediately, and [`retry_after`](SendError::retry_after) says how long the
/// ESP asks to wait. Other messages of the same call are retried as usual.
///
/// ```
/// use std::time::Duration;
/// use anymail_core::RetryPolicy;
///
/// let policy = RetryPolicy { max_tries: 3, ..RetryPolicy::standard() };
/// assert_eq!(policy.max_elapsed, Duration::from_secs(120));
/// assert_eq!(RetryPolicy::default(), RetryPolicy::none());
///
/// // In a configuration times are seconds, and what is not said is as in `standard`.
/// let read: RetryPolicy = serde_json::from_str(r#"{"max_tries": 3, "first_wait": 0.25}"#)?;
/// assert_eq!(read.first_wait, Duration::from_millis(250));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "RetryPolicy::standard", deny_unknown_fields)]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first one. 1 means no retries.
    pub max_tries: u32,
    /// The first wait, before its jitter.
    #[serde(with = "seconds")]
    pub first_wait: Duration,
    /// The longest wait, before its jitter, and the longest `Retry-After` that is honored.
    #[serde(with = "seconds")]
    pub max_wait: Duration,
    /// The time after the first attempt after which no further attempt starts.
    #[serde(with = "seconds")]
    pub max_elapsed: Duration,
}

impl RetryPolicy {
    /// One attempt and no retries. The default.
    pub const fn none() -> Self {
        Self {
            max_tries: 1,
            ..Self::standard()
        }
    }

    /// Up to 4 attempts within 2 minutes, with waits from 0.5 s to 30 s.
    pub const fn standard() -> Self {
        Self {
            max_tries: 4,
            first_wait: Duration::from_millis(500),
            max_wait: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(120),
        }
    }

    /// Whether the error allows a retry.
    pub(super) fn allows(&self, error: &SendError) -> bool {
        is_safe(error) && error.retry_after().unwrap_or_default() <= self.max_wait
    }

    /// The waits for a message, or for the messages of one call.
    pub(super) fn waits(&self) -> Waits {
        let backoff = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.max_wait)
            .without_max_times()
            .build();
        Waits {
            policy: *self,
            backoff,
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::none()
    }
}

/// Whether a retry may succeed and cannot send the message twice.
fn is_safe(error: &SendError) -> bool {
    error.is_transient() && error.accepted() == Accepted::No
}

/// A sequence of growing waits.
#[derive(Debug)]
pub(super) struct Waits {
    policy: RetryPolicy,
    backoff: backon::ExponentialBackoff,
}

impl Waits {
    /// How long to wait before the next attempt, or `None` to give up. `tries` attempts were made,
    /// the first started `elapsed` ago, and the ESP asked to wait for `asked`, which the policy
    /// [allows](RetryPolicy::allows).
    pub(super) fn next(
        &mut self,
        tries: u32,
        elapsed: Duration,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let asked = asked.unwrap_or_default();
        if tries >= self.policy.max_tries {
            return None;
        }
        let wait = self.backoff.next()?.max(asked);
        (elapsed.saturating_add(wait) <= self.policy.max_elapsed).then_some(wait)
    }
}

/// Durations as seconds, with a fraction.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?)
            .map_err(|_| D::Error::custom("expected a number of seconds, 0 or more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sending::error::SendErrorKind as K;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_configured_duration_is_a_number_of_seconds() {
        let read = |text: &str| serde_json::from_str::<RetryPolicy>(text);
        let policy = read(r#"{"first_wait": 0.25, "max_wait": 60}"#).unwrap();
        assert_eq!(policy.first_wait, SECOND / 4);
        assert_eq!(policy.max_wait, SECOND * 60);
        for bad in ["-1", "1e300", "\"1s\""] {
            let error = read(&format!("{{\"first_wait\": {bad}}}")).unwrap_err();
            assert!(error.to_string().contains("expected"), "{error}");
        }
    }

    #[test]
    fn only_transient_errors_that_were_certainly_not_accepted_are_retried() {
        let safe = |error: &SendError| is_safe(error);
        assert!(safe(&SendError::new(K::Connect, "esp", "")));
        assert!(safe(&SendError::from_http_status("esp", 429)));
        assert!(safe(&SendError::from_http_status("esp", 503).said_by_esp()));
        for kind in [
            K::Timeout,
            K::Disconnected,
            K::ServerError,
            K::InvalidResponse,
        ] {
            assert!(!safe(&SendError::new(kind, "esp", "")), "{kind:?}");
        }
        for status in [400, 401, 422, 500, 502, 503, 504] {
            assert!(
                !safe(&SendError::from_http_status("esp", status)),
                "{status}"
            );
        }
    }

    #[test]
    fn delays_grow_with_jitter_up_to_their_limit() {
        let policy = RetryPolicy {
            max_tries: 100,
            max_elapsed: Duration::MAX,
            ..RetryPolicy::standard()
        };
        let mut waits = policy.waits();
        let mut nominal = policy.first_wait;
        for tries in 1..20 {
            let wait = waits.next(tries, Duration::ZERO, None).unwrap();
            assert!(wait >= nominal && wait <= nominal * 2, "{tries}: {wait:?}");
            nominal = (nominal * 2).min(policy.max_wait);
        }
    }

    #[test]
    fn a_retry_after_beyond_the_limit_is_not_waited_for() {
        let policy = RetryPolicy::standard();
        let allowed = |asked| {
            let error = SendError::from_http_status("esp", 429);
            policy.allows(&error.with_retry_after(asked))
        };
        assert!(allowed(None));
        assert!(allowed(Some(policy.max_wait)));
        assert!(!allowed(Some(policy.max_wait + Duration::from_nanos(1))));
        assert!(!allowed(Some(Duration::MAX)));
    }

    #[test]
    fn retries_stop_after_the_maximum_of_attempts_and_time() {
        let policy = RetryPolicy::standard();
        let next = |tries, elapsed, asked| policy.waits().next(tries, elapsed, asked);
        assert!(next(3, Duration::ZERO, None).is_some());
        assert!(next(4, Duration::ZERO, None).is_none());
        assert!(next(1, policy.max_elapsed, None).is_none());
        let asked = next(1, Duration::ZERO, Some(20 * SECOND)).unwrap();
        assert!(asked >= 20 * SECOND);
        assert!(
            RetryPolicy::none()
                .waits()
                .next(1, Duration::ZERO, None)
                .is_none()
        );
    }
}
