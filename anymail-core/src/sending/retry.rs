//! [`RetryPolicy`]: whether a failed send is tried again, and after what wait.
//!
//! It decides; the loop that waits is in `mailer.rs`, and what makes an error safe to retry is
//! said in `error.rs`.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::{Deserialize, Serialize};

use super::error::{Accepted, SendError};

/// When a [`Mailer`](crate::Mailer) sends again by itself.
///
/// Only what may work later and was surely not accepted is tried again: a refused connection,
/// a 429, a 503 in the ESP's own words. What may have been accepted (a lost answer, a 500, a
/// timeout, a 503 that a proxy may have written) never is, since that could send a mail twice.
/// Waits grow by the factor 2, each between its nominal length and twice that (so that many
/// clients do not come back at once), and are no shorter than the `Retry-After` of the ESP.
///
/// An ESP that asks for a wait longer than [`max_wait`](Self::max_wait) is not waited for: the
/// message's error comes back at once, and its [`retry_after`](SendError::retry_after) says how
/// long the ESP wants. Other messages of the same call are tried again as usual.
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
    /// How often a message is tried at the most, the first time included. 1: never again.
    pub max_tries: u32,
    /// The first wait, before its jitter.
    #[serde(with = "seconds")]
    pub first_wait: Duration,
    /// The longest wait, before its jitter, and the longest `Retry-After` that is waited for.
    #[serde(with = "seconds")]
    pub max_wait: Duration,
    /// The time from the first try after which no further one begins.
    #[serde(with = "seconds")]
    pub max_elapsed: Duration,
}

impl RetryPolicy {
    /// One try, no retry: the default.
    pub const fn none() -> Self {
        Self {
            max_tries: 1,
            ..Self::standard()
        }
    }

    /// Up to 4 tries within 2 minutes, with waits from 0.5 s to 30 s.
    pub const fn standard() -> Self {
        Self {
            max_tries: 4,
            first_wait: Duration::from_millis(500),
            max_wait: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(120),
        }
    }

    /// Whether a message that failed like this may be tried again, as far as the error says.
    pub(super) fn allows(&self, error: &SendError) -> bool {
        is_safe(error) && error.retry_after().unwrap_or_default() <= self.max_wait
    }

    /// The waits of one message or of one call's messages.
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

/// Whether sending the same again is of use and cannot send it twice.
fn is_safe(error: &SendError) -> bool {
    error.is_transient() && error.accepted() == Accepted::No
}

/// A run of growing waits.
#[derive(Debug)]
pub(super) struct Waits {
    policy: RetryPolicy,
    backoff: backon::ExponentialBackoff,
}

impl Waits {
    /// How long to wait before the next try, or `None` to give up: `tries` were made, the
    /// first began `elapsed` ago, and the ESP asked to wait for `asked`, which the policy
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

/// Times as seconds, with a fraction.
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
    fn only_what_is_transient_and_surely_not_accepted_is_safe() {
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
    fn waits_grow_with_jitter_up_to_their_limit() {
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
    fn an_esp_that_asks_for_a_wait_beyond_the_longest_one_is_not_waited_for() {
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
    fn it_gives_up_by_tries_and_by_time() {
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
