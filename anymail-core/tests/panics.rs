//! A panic in an app's code, or in a backend, stays one message's (or one call's).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by its panic"
)]

mod told;

use anymail_core::{
    Accepted, Capabilities, EmailBackend, Mailer, Message, PreSendVerdict, PreparedMessage,
    RetryPolicy, SendError, SendErrorKind as K, SendStatus,
};
use async_trait::async_trait;
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

/// Takes every message, and then panics about one of them.
#[derive(Debug, Default)]
struct Clumsy(Capabilities);

#[async_trait]
impl EmailBackend for Clumsy {
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

/// Cannot even look at a message.
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
