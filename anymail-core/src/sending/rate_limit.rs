//! [`RateLimiter`]: limits how often a backend calls its ESP.
//!
//! `retry.rs` decides about retries; this limits all calls together.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::Quota;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use tokio::time::Instant;

/// The pause if the ESP does not say how long to wait.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. If the ESP asks for more, an occasional failed call is better than a program
/// that seems to hang.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Limits the number of calls per second, and pauses calls when the ESP asks for it.
///
/// Take a [`turn`](Self::turn) before each call. Turns are granted in the order of the requests.
/// Clones share the limit: use one limiter for all backends with the same account at the ESP. It
/// only applies within this process.
///
/// Waiting for a turn is part of an attempt. If a mailer's time limit expires during the wait, the
/// error says that the message may have been accepted, because the mailer does not know how far the
/// backend got.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use anymail_core::RateLimiter;
///
/// let limiter = RateLimiter::per_second(10);
/// for call in 0..3 {
///     limiter.turn().await;
///     // ... call the ESP; and when it responds with 429:
///     // limiter.pause(error.retry_after());
/// }
/// # });
/// ```
#[derive(Clone)]
pub struct RateLimiter(Arc<Shared>);

type Bucket = governor::RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

struct Shared {
    calls: NonZeroU32,
    bucket: Bucket,
    /// Held by the task that waits for the clock; the others wait for it in order.
    next: tokio::sync::Mutex<()>,
    paused_until: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// Creates a limit of this many calls per second, evenly spaced: with ten, one every 100 ms,
    /// even after a rest. So there are never more in any second. 0 counts as 1.
    pub fn per_second(calls: u32) -> Self {
        let calls = NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN);
        // A bucket with more than one call would release them in addition to those of its second.
        let quota = Quota::per_second(calls).allow_burst(NonZeroU32::MIN);
        let clock = TokioClock(Instant::now());
        Self(Arc::new(Shared {
            calls,
            bucket: governor::RateLimiter::direct_with_clock(quota, clock),
            next: tokio::sync::Mutex::default(),
            paused_until: Mutex::default(),
        }))
    }

    /// Waits until a call is allowed, and counts it. Requires a tokio runtime with time enabled. If
    /// the future is dropped, the turn goes to the next caller.
    pub async fn turn(&self) {
        let _next = self.0.next.lock().await;
        loop {
            let wait = match self.pause_left() {
                Some(pause) => pause,
                None => match self.0.bucket.check() {
                    Ok(()) => return,
                    Err(early) => early.wait_time_from(self.0.bucket.clock().now()),
                },
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Pauses all calls for as long as the ESP asked (the
    /// [`retry_after`](crate::SendError::retry_after) of a 429): one second if it did not say, and
    /// at most a minute. If there are several pauses, the one that ends last counts.
    pub fn pause(&self, asked: Option<Duration>) {
        let until = Instant::now() + asked.unwrap_or(PAUSE).min(MAX_PAUSE);
        let mut paused = self.paused_until();
        *paused = (*paused).max(Some(until));
    }

    fn pause_left(&self) -> Option<Duration> {
        let until = (*self.paused_until())?;
        let left = until.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    fn paused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        let paused = self.0.paused_until.lock();
        paused.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokio's clock, which tests can pause: the time since the limiter was created.
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("calls_per_second", &self.0.calls)
            .field("pause_left", &self.pause_left())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_calls_than_allowed_even_after_a_pause() {
        let limiter = RateLimiter::per_second(10);
        let mut turns = Vec::new();
        for _ in 0..3 {
            let burst = (0..25).map(|_| async {
                limiter.turn().await;
                Instant::now()
            });
            turns.extend(join_all(burst).await);
            tokio::time::sleep(SECOND * 5).await;
        }
        // Tokio's clock rounds up to a millisecond.
        let second = SECOND - Duration::from_millis(1);
        for calls in turns.windows(11) {
            assert!(calls[10] - calls[0] >= second, "{calls:?}");
        }
        // It does not take much longer than necessary.
        for burst in turns.chunks(25) {
            assert!(burst[24] - burst[0] < SECOND * 5 / 2, "{burst:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_applies_to_everybody_who_shares_the_limiter() {
        let limiter = RateLimiter::per_second(10);
        let other = limiter.clone();
        let start = Instant::now();
        for (asked, paused) in [
            (Some(3 * SECOND), 3 * SECOND),
            (None, SECOND),
            // Nobody waits for a day.
            (Some(86_400 * SECOND), 60 * SECOND),
        ] {
            limiter.pause(asked);
            limiter.pause(Some(SECOND / 2)); // ends earlier, so it changes nothing
            assert!(other.turn().now_or_never().is_none());
            let before = start.elapsed();
            other.turn().await;
            let took = start.elapsed() - before;
            assert!(
                took >= paused && took < paused + SECOND / 10,
                "{asked:?}: {took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_gives_its_turn_to_the_next() {
        let limiter = RateLimiter::per_second(1);
        limiter.turn().await;
        let start = Instant::now();
        let mut first = Box::pin(limiter.turn());
        let mut second = Box::pin(limiter.turn());
        let third = limiter.turn();
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop(second);
        third.await;
        assert!(
            start.elapsed() < SECOND + SECOND / 10,
            "{:?}",
            start.elapsed()
        );
    }
}
