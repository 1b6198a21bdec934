//! What a mailer retries automatically, when, and for how long.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test panics"
)]

mod told;

use std::time::Duration;

use anymail_core::{Accepted, RetryPolicy, SendErrorKind as K};
use tokio::time::Instant;
use told::{Told, error, mailer, message, told};

#[tokio::test(start_paused = true)]
async fn messages_that_were_certainly_not_accepted_are_retried_with_growing_delays() {
    let backend = told([error(K::Connect), error(K::RateLimited), error(K::Connect)]);
    let started = Instant::now();
    let mailer = mailer(&backend).retry(RetryPolicy::standard()).build();
    assert!(mailer.send(&message("a")).await.is_ok());
    assert_eq!(backend.batches().len(), 4);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(3500) && waited <= Duration::from_millis(7000));
}

#[tokio::test(start_paused = true)]
async fn messages_that_may_have_been_accepted_are_never_retried_automatically() {
    for kind in [
        K::Timeout,
        K::Disconnected,
        K::ServerError,
        K::InvalidResponse,
        K::Refused,
    ] {
        let backend = told([error(kind)]);
        let mailer = mailer(&backend).retry(RetryPolicy::standard()).build();
        let error = mailer.send(&message("a")).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.tries(), 1);
        assert_eq!(backend.batches().len(), 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_error_says_how_many_attempts_were_made() {
    let backend = told((0..9).map(|_| error(K::Connect)));
    let mailer = mailer(&backend).retry(RetryPolicy::standard()).build();
    let error = mailer.send(&message("a")).await.unwrap_err();
    assert_eq!(error.tries(), 4);
    assert!(error.to_string().contains("tried 4 times"));
    assert_eq!(backend.batches().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_respected_unless_it_is_too_long() {
    let limited =
        |seconds| error(K::RateLimited).with_retry_after(Some(Duration::from_secs(seconds)));
    let backend = told([limited(20)]);
    let started = Instant::now();
    let mailer = |backend: &Told| mailer(backend).retry(RetryPolicy::standard()).build();
    assert!(mailer(&backend).send(&message("a")).await.is_ok());
    assert!(started.elapsed() >= Duration::from_secs(20));
    let backend = told([limited(3600)]);
    let error = mailer(&backend).send(&message("a")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(backend.batches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_messages_that_were_not_accepted_are_retried() {
    let backend = told([error(K::Connect), error(K::Timeout)]);
    let messages = [message("busy"), message("steady"), message("lost")];
    let mailer = mailer(&backend).retry(RetryPolicy::standard()).build();
    let results = mailer.send_all(&messages).await;
    assert_eq!(
        backend.batches(),
        [vec!["busy", "steady", "lost"], vec!["busy"]]
    );
    assert!(results[0].is_ok() && results[1].is_ok());
    assert_eq!(results[2].as_ref().unwrap_err().accepted(), Accepted::Maybe);
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_applies_to_all_attempts_together() {
    let mut backend = told((0..99).map(|_| error(K::Connect)));
    let limit = Duration::from_secs(10);
    let patient = RetryPolicy {
        max_tries: 99,
        ..RetryPolicy::standard()
    };
    let started = Instant::now();
    let sender = mailer(&backend).retry(patient).time_limit(limit).build();
    let error = sender.send(&message("a")).await.unwrap_err();
    assert!(started.elapsed() <= limit);
    assert_eq!(error.accepted(), Accepted::No);
    assert!(error.tries() > 1);

    backend.takes = Duration::from_secs(60);
    let sender = mailer(&backend).time_limit(limit).build();
    let error = sender.send(&message("a")).await.unwrap_err();
    assert_eq!(error.kind(), K::Timeout);
    assert_eq!(error.accepted(), Accepted::Maybe, "it was under way");
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_leaves_the_mailer_usable() {
    let mut backend = told([]);
    backend.takes = Duration::from_secs(5);
    let mailer = mailer(&backend).build();
    let one = message("a");
    let dropped = tokio::time::timeout(Duration::from_secs(1), mailer.send(&one)).await;
    assert!(dropped.is_err());
    assert!(mailer.send(&one).await.is_ok());
}

#[tokio::test]
async fn a_time_limit_or_retry_after_beyond_the_range_of_the_clock_is_harmless() {
    let asked = error(K::RateLimited).with_retry_after(Some(Duration::MAX));
    let backend = told([asked]);
    let mailer = mailer(&backend)
        .retry(RetryPolicy::standard())
        .time_limit(Duration::MAX)
        .build();
    let error = mailer.send(&message("a")).await.unwrap_err();
    assert_eq!(
        (error.retry_after(), error.tries()),
        (Some(Duration::MAX), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_with_a_too_long_retry_after_does_not_prevent_retries_of_others() {
    let hour = Duration::from_secs(3600);
    let asks = error(K::RateLimited).with_retry_after(Some(hour));
    let backend = told([error(K::Connect), asks, error(K::RateLimited)]);
    let mailer = mailer(&backend).retry(RetryPolicy::standard()).build();
    let results = mailer.send_all(&["a", "b", "c"].map(message)).await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.retry_after(), Some(hour));
    assert!(error.to_string().contains("retry after 3600 s"), "{error}");
    assert_eq!(backend.batches(), [vec!["a", "b", "c"], vec!["a", "c"]]);
}
