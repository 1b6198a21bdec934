//! A panic in an app's code or in a backend affects only one message, or one call.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

mod told;

use std::time::Duration;

use anymail_core::{
    Accepted, Capabilities, EmailBackend, Failover, Mailer, Member, MemoryBackend, Message,
    PreSendVerdict, PreparedMessage, RetryPolicy, RoundRobin, SendError, SendErrorKind as K,
    SendStatus, UnsupportedPolicy,
};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream};
use told::{mailer, message, told};

fn numbered(count: usize) -> Vec<Message> {
    (0..count).map(|n| message(&n.to_string())).collect()
}

fn subject(message: &Message) -> &str {
    message.subject.value().unwrap()
}

#[tokio::test]
async fn a_pre_send_hook_that_panics_fails_its_own_message_and_no_other() {
    let backend = told([]);
    let hook = |message: &mut Message| match subject(message) {
        "2" => panic!("no such customer"),
        _ => Ok(PreSendVerdict::Send),
    };
    let mailer = mailer(&backend).pre_send(hook).build();
    let results = mailer.send_all(&numbered(5)).await;
    let error = results[2].as_ref().unwrap_err();
    assert_eq!(error.kind(), K::Hook);
    assert_eq!(error.accepted(), Accepted::No);
    assert!(error.message().contains("no such customer"), "{error}");
    let sent = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(sent, 4);
    assert!(backend.batches().concat().iter().all(|it| it != "2"));
}

#[tokio::test]
async fn a_post_send_hook_that_panics_loses_no_result() {
    const COUNT: usize = 4000;
    let backend = told([]);
    let hook = |message: &Message, _: Result<&SendStatus, &SendError>| match subject(message) {
        "17" => panic!("disk full"),
        _ => Ok(()),
    };
    let mailer = mailer(&backend).post_send(hook).build();
    let results = mailer.send_all(&numbered(COUNT)).await;
    assert_eq!(results.len(), COUNT);
    for (place, result) in results.iter().enumerate() {
        let failed = &result.as_ref().unwrap().hook_errors;
        assert_eq!(
            failed.len(),
            usize::from(place == 17),
            "{place}: {failed:?}"
        );
        assert!(
            failed.iter().all(|it| it.contains("disk full")),
            "{failed:?}"
        );
    }
}

#[tokio::test]
async fn an_on_result_that_panics_loses_no_result() {
    let backend = told([]);
    let mut seen = Vec::new();
    let mailer = mailer(&backend).build();
    let messages = numbered(5);
    let results = mailer.send_all_with(&messages, |place, _| {
        seen.push(place);
        assert_ne!(place, 3, "the screen is gone");
    });
    let results = results.await;
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    for (place, result) in results.iter().enumerate() {
        let failed = &result.as_ref().unwrap().hook_errors;
        assert_eq!(failed.len(), usize::from(place == 3), "{place}: {failed:?}");
    }
}

/// Accepts every message, and then panics for one of them.
#[derive(Debug, Default)]
struct Clumsy(Capabilities);

/// Gets all messages in one call, and accepts them one by one.
#[async_trait]
impl EmailBackend for Clumsy {
    fn max_batch(&self) -> usize {
        100
    }

    fn name(&self) -> &str {
        "clumsy"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        assert_ne!(message.subject(), Some("1"), "the token is s3cret");
        Ok(SendStatus::unknown("clumsy", message.message()))
    }
}

#[tokio::test]
async fn a_backend_that_panics_leaves_open_whether_its_message_was_accepted() {
    let retry = RetryPolicy::standard();
    let mailer = Mailer::builder(Clumsy::default()).retry(retry).build();
    let results = mailer.send_all(&numbered(3)).await;
    let error = results[1].as_ref().unwrap_err();
    assert_eq!((error.accepted(), error.tries()), (Accepted::Maybe, 1));
    assert!(
        !format!("{error} {error:?}").contains("s3cret"),
        "{error:?}"
    );
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = mailer.send(&message("1")).await.unwrap_err();
    assert_eq!(error.accepted(), Accepted::Maybe);
}

/// Panics in `check`.
#[derive(Debug, Default)]
struct Blind(Clumsy);

#[async_trait]
impl EmailBackend for Blind {
    fn name(&self) -> &str {
        "blind"
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn check(&self, message: &Message) -> Vec<anymail_core::Objection> {
        assert_ne!(subject(message), "1", "it has a one");
        Vec::new()
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0.send(message).await
    }
}

#[tokio::test]
async fn a_backend_that_panics_while_it_checks_a_message_has_not_sent_it() {
    let results = Mailer::new(Blind::default()).send_all(&numbered(3)).await;
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.accepted()),
        (K::Configuration, Accepted::No)
    );
    assert!(results[0].is_ok() && results[2].is_ok());
}

#[tokio::test]
async fn a_member_that_panics_does_not_affect_the_results_of_other_members() {
    let members = [
        Member::new("steady", MemoryBackend::new()),
        Member::new("clumsy", Whole::default()),
    ];
    // Of messages 0 to 3, the clumsy member gets 1 and 3, in one call.
    let results = Mailer::new(RoundRobin::new(members));
    let results = results.send_all(&numbered(4)).await;
    for (place, result) in results.iter().enumerate() {
        match place {
            1 | 3 => assert_eq!(result.as_ref().unwrap_err().accepted(), Accepted::Maybe),
            _ => assert!(result.is_ok(), "{place}: {result:?}"),
        }
    }
}

/// Accepts all messages of a call together.
#[derive(Debug, Default)]
struct Whole(Clumsy);

#[async_trait]
impl EmailBackend for Whole {
    fn name(&self) -> &str {
        "whole"
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn max_batch(&self) -> usize {
        100
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0.send(message).await
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        let mut results = Vec::new();
        for message in messages {
            results.push(self.send(message).await);
        }
        results
    }
}

#[tokio::test]
async fn after_a_member_panics_no_other_is_tried_because_it_may_have_sent() {
    let second = MemoryBackend::new();
    let outbox = second.outbox();
    let members = [
        Member::new("clumsy", Clumsy::default()),
        Member::new("second", second),
    ];
    let mailer = Mailer::new(Failover::new(members));
    let error = mailer.send(&message("1")).await.unwrap_err();
    assert_eq!(error.accepted(), Accepted::Maybe);
    assert!(outbox.is_empty());
}

#[tokio::test]
async fn after_a_member_panics_while_checking_another_is_tried() {
    let second = MemoryBackend::new();
    let outbox = second.outbox();
    let members = [
        Member::new("blind", Blind::default()),
        Member::new("second", second),
    ];
    // With this policy, each member checks the message only when it is tried.
    let failover = Failover::new(members)
        .rest(Duration::ZERO)
        .unsupported(UnsupportedPolicy::Drop);
    let mailer = Mailer::builder(failover).unsupported(UnsupportedPolicy::Drop);
    let results = mailer.build().send_all(&numbered(3)).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(outbox.len(), 1);
}

#[tokio::test]
async fn a_message_stream_that_panics_loses_no_result_of_earlier_messages() {
    let backend = told([]);
    let messages = numbered(7).into_iter().enumerate();
    let messages = messages.map(|(place, message)| {
        assert_ne!(place, 5, "the database is gone");
        message
    });
    let mailer = mailer(&backend).build();
    let mut sent = std::pin::pin!(mailer.send_stream(stream::iter(messages)));
    let mut places = Vec::new();
    let panicked = std::panic::AssertUnwindSafe(async {
        while let Some((place, result)) = sent.next().await {
            assert!(result.is_ok(), "{result:?}");
            places.push(place);
        }
    });
    let payload = panicked.catch_unwind().await.unwrap_err();
    let words = payload.downcast_ref::<String>().unwrap();
    assert!(words.contains("the database is gone"), "{words}");
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2, 3, 4]);
    assert_eq!(backend.batches().concat(), ["0", "1", "2", "3", "4"]);
}

#[cfg(feature = "blocking")]
#[test]
fn a_hook_that_panics_leaves_the_blocking_mailer_usable_with_all_results() {
    let backend = told([]);
    let hook = |message: &mut Message| match subject(message) {
        "2" => panic!("no such customer"),
        _ => Ok(PreSendVerdict::Send),
    };
    let mailer = mailer(&backend).pre_send(hook).build();
    let mailer = anymail_core::blocking::Mailer::new(mailer).unwrap();
    for _ in 0..2 {
        let results = mailer.send_all(&numbered(5));
        let kind = |result: &Result<_, SendError>| result.as_ref().err().map(SendError::kind);
        let kinds: Vec<_> = results.iter().map(kind).collect();
        assert_eq!(kinds, [None, None, Some(K::Hook), None, None]);
        assert_eq!(mailer.send(&message("2")).unwrap_err().kind(), K::Hook);
    }
}
