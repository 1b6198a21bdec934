//! A dropped future neither leaks nor blocks anything, and calls wait for their turn.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::time::Duration;

use anymail_core::{Mailer, Message, RetryPolicy};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, Fault};
use futures_util::future::{join_all, select};
use futures_util::{StreamExt, stream};
use tokio::runtime::Handle;

fn config(postmark: &FakePostmark) -> PostmarkConfig {
    PostmarkConfig::new("server-token").api_url(postmark.url())
}

fn mailer(postmark: &FakePostmark) -> Mailer {
    Mailer::new(PostmarkBackend::new(config(postmark)).unwrap())
}

fn message(number: usize) -> Message {
    let to = format!("u{number}@example.com");
    let builder = Message::builder().from("from@example.com").to(to);
    builder.subject("S").text_body("the body").build().unwrap()
}

/// Waits until a condition holds; fails after ten seconds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(done.is_ok(), "never: {what}");
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Polls `sending` until this many calls are in progress, and then drops it.
async fn give_up_after(postmark: &FakePostmark, calls: u64, sending: impl Future<Output = ()>) {
    let under_way = until("all calls have come", || postmark.calls() >= calls);
    select(Box::pin(sending), Box::pin(under_way)).await;
}

#[tokio::test]
async fn sends_that_are_dropped_leave_no_task_and_no_connection_behind() {
    let postmark = FakePostmark::start().unwrap();
    let mailer = mailer(&postmark);
    postmark.server().inject(Fault::Hang, 40);
    let messages: Vec<_> = (0..40).map(message).collect();
    let sends = messages.iter().map(|message| mailer.send(message));
    let sending = async {
        join_all(sends).await;
    };
    give_up_after(&postmark, 40, sending).await;
    // Each connection has a task, and none is kept because a response may still arrive on it.
    until("the connections are closed", || tasks() == 0).await;
    mailer.send(&message(0)).await.unwrap();
    assert_eq!(postmark.accepted(), 1);
    drop(mailer);
    until("the pool is closed", || tasks() == 0).await;
}

#[tokio::test]
async fn a_run_that_is_dropped_in_the_middle_leaves_the_mailer_working() {
    let postmark = FakePostmark::start().unwrap();
    let mailer = mailer(&postmark);
    let rule = |call, _: &_| (call > 2).then_some(Fault::AcceptThenHang);
    postmark.server().inject_rule(rule);
    let run = async {
        let messages = stream::iter((0..5000).map(message));
        mailer.send_stream(messages).collect::<Vec<_>>().await;
    };
    give_up_after(&postmark, 6, run).await;
    postmark.server().clear_faults();
    let results = mailer.send_all(&[message(1), message(2)]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    drop(mailer);
    until("all is closed", || tasks() == 0).await;
}

#[tokio::test]
async fn a_send_that_is_dropped_during_a_backoff_is_not_retried() {
    let postmark = FakePostmark::start().unwrap();
    let backend = PostmarkBackend::new(config(&postmark)).unwrap();
    let retry = RetryPolicy::standard();
    let mailer = Mailer::builder(backend).retry(retry).build();
    postmark
        .server()
        .inject(Fault::rate_limited(Some(Duration::from_secs(20))), 1);
    let one = message(1);
    let sending = async {
        mailer.send(&one).await.unwrap_err();
    };
    give_up_after(&postmark, 1, sending).await;
    drop(mailer);
    until("all is closed", || tasks() == 0).await;
    assert_eq!((postmark.calls(), postmark.accepted()), (1, 0));
}

#[cfg(feature = "rate-limit")]
mod rate_limit {
    use super::*;
    use anymail_core::{Accepted, MailersConfig, RateLimiter, Registry, SendErrorKind};
    use anymail_postmark::PostmarkFactory;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_429_delays_all_backends_that_share_the_limiter() {
        let postmark = FakePostmark::start().unwrap();
        let limiter = RateLimiter::per_second(100);
        let mailer = || {
            let config = config(&postmark).rate_limiter(limiter.clone());
            Mailer::new(PostmarkBackend::new(config).unwrap())
        };
        let (one, other) = (mailer(), mailer());
        let too_fast = Fault::rate_limited(Some(Duration::from_secs(2)));
        postmark.server().inject(too_fast, 1);
        let error = one.send(&message(1)).await.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::RateLimited);

        let message = message(2);
        let mut waiting = Box::pin(other.send(&message));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(limiter.turn().now_or_never().is_none(), "there is no pause");
        assert_eq!(postmark.calls(), 1);
        waiting.await.unwrap();
        assert_eq!(postmark.accepted(), 1);
    }

    #[tokio::test]
    async fn a_lookup_waits_for_its_turn_and_a_dropped_one_blocks_nobody() {
        let postmark = FakePostmark::start().unwrap();
        let limiter = RateLimiter::per_second(1);
        let config = config(&postmark).rate_limiter(limiter.clone());
        let backend = PostmarkBackend::new(config).unwrap();
        backend.find_sent("id").await.unwrap();
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(backend.find_sent("id"))).collect();
        for question in &mut waiting {
            assert!(question.now_or_never().is_none());
        }
        drop(waiting);
        Mailer::new(backend).send(&message(1)).await.unwrap();
        assert_eq!(postmark.calls(), 2);
    }

    #[tokio::test]
    async fn every_configured_mailer_has_its_own_rate_limit() {
        let postmark = FakePostmark::start().unwrap();
        let config: MailersConfig = serde_json::from_value(serde_json::json!({
            "default": "one",
            "time_limit": 3,
            "backends": {"postmark": {"options": {
                "server_token": "server-token", "api_url": postmark.url(),
                "calls_per_second": 100,
            }}},
            "mailers": {"one": {"backend": "postmark"}, "other": {"backend": "postmark"}},
        }))
        .unwrap();
        let mailers = config
            .build(&Registry::new().with(PostmarkFactory))
            .unwrap();
        let (one, other) = (mailers.default_mailer(), mailers.get("other").unwrap());
        let too_fast = Fault::rate_limited(Some(Duration::from_secs(60)));
        postmark.server().inject(too_fast, 1);
        let error = one.send(&message(1)).await.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::RateLimited);

        // Its turn comes in a minute, but its timeout is shorter.
        let error = one.send(&message(2)).await.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Timeout);
        assert_eq!(error.accepted(), Accepted::Maybe);
        assert_eq!((postmark.calls(), postmark.accepted()), (1, 0));
        other.send(&message(3)).await.unwrap();
        assert_eq!((postmark.calls(), postmark.accepted()), (2, 1));
    }
}
