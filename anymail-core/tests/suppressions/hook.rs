//! Which recipients are removed from which message, what is reported to the caller, and what happens
//! when a store fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anymail_core::{
    Accepted, Address, AddressKey, AllowDomains, Failover, HookError, Mailer, Member,
    MemorySuppressionStore, Message, PreSendVerdict, Reactivation, RedirectTo, RetryPolicy,
    SendErrorKind, SendStatus, Status, StoreFailurePolicy, Suppression, SuppressionHook,
    SuppressionOrigin, SuppressionReason, SuppressionStore, SuppressionStoreError,
};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use time::macros::datetime;

use super::scripted::Scripted;
use SuppressionReason::{HardBounce, Manual, SpamComplaint, Unsubscribe};

fn suppression(email: &str, reason: SuppressionReason) -> Suppression {
    let since = datetime!(2026-11-01 12:00 UTC);
    let origin = SuppressionOrigin::new("postbox");
    Suppression::of_key(AddressKey::of(email), reason, since).with_origin(origin)
}

async fn store(suppressions: &[Suppression]) -> MemorySuppressionStore {
    let store = MemorySuppressionStore::new();
    store.add(suppressions).await.unwrap();
    store
}

fn to(recipients: &[&str]) -> Message {
    let message = Message::builder().from("shop@example.com").subject("Hi");
    let message = recipients.iter().fold(message, |it, one| it.to(*one));
    message.build().unwrap()
}

fn emails(message: &Message) -> Vec<&str> {
    message.recipients().map(Address::email).collect()
}

fn states(status: &SendStatus) -> Vec<(&str, Status)> {
    let all = status.recipients();
    all.map(|one| (one.email.as_str(), one.status)).collect()
}

fn mailer(backend: &Scripted, hook: SuppressionHook) -> Mailer {
    Mailer::builder(backend.clone()).pre_send(hook).build()
}

#[tokio::test]
async fn a_suppressed_recipient_is_removed_and_the_status_says_why_and_since_when() {
    let backend = Scripted::new("acme");
    let store = store(&[
        suppression("ann@example.com", HardBounce),
        suppression("carl@příklad.cz", SpamComplaint),
    ])
    .await;
    let mailer = mailer(&backend, SuppressionHook::new(store));
    let mut message = to(&["Ann <Ann@Example.com>", "bob@example.com"]);
    message.cc = vec!["carl@xn--pklad-zsa96e.cz".parse().unwrap()].into();

    let status = mailer.send(&message).await.unwrap();
    assert_eq!(emails(&backend.calls()[0][0]), ["bob@example.com"]);
    let ann = status.recipient("ann@example.com").unwrap();
    assert_eq!(ann.status, Status::Rejected);
    assert_eq!(ann.email, "Ann@Example.com");
    let detail = ann.detail.as_ref().unwrap();
    assert_eq!(detail.code.as_deref(), Some("hard_bounce"));
    assert_eq!(
        detail.message,
        "suppressed since 2026-11-01T12:00:00Z: hard_bounce, reported by postbox"
    );
    let carl = status.recipient("carl@příklad.cz").unwrap();
    assert_eq!(carl.status, Status::Rejected);
    let bob = status.recipient("bob@example.com").unwrap();
    assert_eq!(bob.status, Status::Sent);
}

#[tokio::test]
async fn a_message_that_loses_all_recipients_is_refused_without_a_call() {
    let backend = Scripted::new("acme");
    let store = store(&[
        suppression("ann@example.com", HardBounce),
        suppression("bob@example.com", Unsubscribe),
    ])
    .await;
    let posts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&posts);
    let count = move |_: &Message, _: Result<&SendStatus, &_>| {
        seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let builder = || Mailer::builder(backend.clone()).retry(RetryPolicy::standard());
    let hook = SuppressionHook::new(store);
    let mailer = builder().pre_send(hook.clone()).post_send(count).build();

    let error = mailer
        .send(&to(&["ann@example.com", "bob@example.com"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::RecipientsRefused);
    assert_eq!(error.accepted(), Accepted::No);
    assert!(!error.is_transient());
    assert!(error.to_string().contains("acme was not called"), "{error}");
    assert!(!error.to_string().contains('@'), "{error}");
    let status = error.status().unwrap();
    let expected = [
        ("ann@example.com", Status::Rejected),
        ("bob@example.com", Status::Rejected),
    ];
    assert_eq!(states(status), expected);

    // Without its `to`, a message is not sent to its cc alone.
    let mut message = to(&["ann@example.com"]);
    message.cc = vec!["carl@example.com".parse().unwrap()].into();
    let error = mailer.send(&message).await.unwrap_err();
    let status = error.status().unwrap();
    let state = |email| status.recipient(email).map(|one| one.status);
    assert_eq!(state("ann@example.com"), Some(Status::Rejected));
    assert_eq!(state("carl@example.com"), Some(Status::Failed));
    assert!(backend.calls().is_empty());
    assert_eq!(posts.load(Ordering::Relaxed), 0);

    let mailer = builder()
        .pre_send(hook)
        .ignore_recipient_status(true)
        .build();
    let status = mailer.send(&to(&["ann@example.com"])).await.unwrap();
    assert!(status.all(Status::Rejected));
    assert!(backend.calls().is_empty());
}

#[tokio::test]
async fn in_a_batch_only_the_messages_to_suppressed_recipients_are_left_out() {
    let backend = Scripted::new("acme");
    let hook = SuppressionHook::new(store(&[suppression("n3@example.com", Manual)]).await);
    let mailer = mailer(&backend, hook);
    let everybody: Vec<_> = (0..6).map(|n| format!("n{n}@example.com")).collect();
    let mut message = to(&everybody.iter().map(String::as_str).collect::<Vec<_>>());
    message.merge_data = Default::default();
    message.merge_data.value_or_default();
    let status = mailer.send(&message).await.unwrap();
    assert_eq!(backend.calls()[0][0].to.items().len(), 5);
    assert_eq!(status.recipients().len(), 6);

    // Of unrelated messages, only those to suppressed recipients alone are not sent.
    let messages: Vec<_> = everybody.iter().map(|email| to(&[email])).collect();
    let results = mailer.send_all(&messages).await;
    let sent: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(sent, [true, true, true, false, true, true]);
    assert_eq!(backend.call_sizes(), [1, 5]);
}

#[tokio::test]
async fn a_recipient_who_left_the_newsletter_still_gets_receipts() {
    let backend = Scripted::new("acme");
    let left = suppression("ann@example.com", Unsubscribe).in_scope("news");
    let store = store(&[left]).await;
    let mailer = mailer(&backend, SuppressionHook::new(store.clone()));
    let in_scope = |scope: Option<&str>| {
        let mut message = to(&["ann@example.com"]);
        if let Some(scope) = scope {
            message.suppression_scope = scope.to_owned().into();
        }
        message
    };
    for (scope, goes_out) in [
        (None, true),
        (Some("receipts"), true),
        (Some("news"), false),
    ] {
        let result = mailer.send(&in_scope(scope)).await;
        assert_eq!(result.is_ok(), goes_out, "{scope:?}");
    }
    let error = mailer.send(&in_scope(Some("news"))).await.unwrap_err();
    assert!(error.message().contains("in \"news\""), "{error}");

    // Whoever unsubscribed from everything gets nothing.
    let all = suppression("ann@example.com", Unsubscribe);
    store.add(&[all]).await.unwrap();
    mailer.send(&in_scope(Some("receipts"))).await.unwrap_err();
}

#[tokio::test]
async fn a_transactional_scope_ignores_unsubscribes_but_bounces_only_if_named() {
    let backend = Scripted::new("acme");
    let store = store(&[
        suppression("left@example.com", Unsubscribe),
        suppression("manual@example.com", Manual),
        suppression("bounced@example.com", HardBounce),
        suppression("bounced@example.com", Unsubscribe),
        suppression("complained@example.com", SpamComplaint),
    ])
    .await;
    let hook = SuppressionHook::new(store)
        .transactional("account")
        .transactional("law")
        .ignoring("law", [SpamComplaint]);
    let mailer = mailer(&backend, hook);
    for (scope, expected) in [
        ("receipts", [false, false, false, false]),
        ("account", [true, true, false, false]),
        ("law", [true, true, false, true]),
    ] {
        let people = ["left", "manual", "bounced", "complained"];
        let mut went = Vec::new();
        for person in people {
            let mut message = to(&[&format!("{person}@example.com")]);
            message.suppression_scope = scope.to_owned().into();
            let result = mailer.send(&message).await;
            if person == "bounced" {
                let code = result.as_ref().unwrap_err().esp_code();
                assert_eq!(
                    code,
                    Some("hard_bounce"),
                    "the most serious reason is reported"
                );
            }
            went.push(result.is_ok());
        }
        assert_eq!(went, expected, "{scope}");
    }
}

#[tokio::test]
async fn the_scope_can_come_from_the_send_defaults() {
    let backend = Scripted::new("acme");
    let left = suppression("ann@example.com", Unsubscribe).in_scope("news");
    let hook = SuppressionHook::new(store(&[left]).await);
    let defaults = serde_json::json!({"suppression_scope": "news", "bcc": ["ann@example.com"]});
    let mailer = Mailer::builder(backend.clone())
        .pre_send(hook)
        .send_defaults(serde_json::from_value(defaults).unwrap())
        .build();
    let status = mailer.send(&to(&["bob@example.com"])).await.unwrap();
    let expected = [
        ("bob@example.com", Status::Sent),
        ("ann@example.com", Status::Rejected),
    ];
    assert_eq!(states(&status), expected);
}

#[tokio::test]
async fn members_of_a_failover_and_staging_hooks_never_see_suppressed_recipients() {
    let (first, second) = (Scripted::new("first"), Scripted::new("second"));
    let refused = anymail_core::SendError::new(SendErrorKind::Connect, "first", "down");
    let first = first.fails(refused);
    let hook = SuppressionHook::new(store(&[suppression("ann@example.com", HardBounce)]).await);
    let members = [
        Member::new("a", first.clone()),
        Member::new("b", second.clone()),
    ];
    let mailer = Mailer::builder(Failover::new(members))
        .pre_send(hook.clone())
        .build();
    let message = to(&["ann@example.com", "bob@example.com"]);
    mailer.send(&message).await.unwrap();
    for member in [first, second] {
        assert_eq!(emails(&member.calls()[0][0]), ["bob@example.com"]);
    }

    let backend = Scripted::new("acme");
    let redirect = RedirectTo::new("qa@example.com".parse().unwrap());
    let mailer = Mailer::builder(backend.clone())
        .pre_send(hook)
        .pre_send(redirect)
        .build();
    mailer.send(&message).await.unwrap();
    mailer.send(&to(&["ann@example.com"])).await.unwrap_err();
    let calls = backend.calls();
    assert_eq!(calls.len(), 1);
    let headers = calls[0][0].headers.value().unwrap();
    let original = headers.get("X-Anymail-Original-To");
    assert_eq!(original, Some("bob@example.com"));
}

#[tokio::test]
async fn recipients_withheld_for_different_reasons_are_all_reported() {
    let backend = Scripted::new("acme");
    let hook = SuppressionHook::new(store(&[suppression("ann@example.com", HardBounce)]).await);
    let mailer = Mailer::builder(backend.clone())
        .pre_send(hook)
        .pre_send(AllowDomains::new(["example.com"]).unwrap())
        .build();
    let message = to(&["ann@example.com", "bob@example.net"]);
    let error = mailer.send(&message).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Cancelled);
    let expected = [
        ("ann@example.com", Status::Rejected),
        ("bob@example.net", Status::Failed),
    ];
    assert_eq!(states(error.status().unwrap()), expected);
    assert!(backend.calls().is_empty());
}

/// Counts lookups, and fails if the test asks for it.
#[derive(Debug, Clone, Default)]
struct Flaky {
    inner: MemorySuppressionStore,
    look_ups: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
}

#[async_trait]
impl SuppressionStore for Flaky {
    async fn look_up(
        &self,
        keys: &[AddressKey],
    ) -> Result<Vec<Suppression>, SuppressionStoreError> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err("the database is gone".into());
        }
        self.inner.look_up(keys).await
    }

    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError> {
        self.inner.add(suppressions).await
    }

    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        self.inner.remove(reactivations).await
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        stream::empty().boxed()
    }
}

#[tokio::test]
async fn while_the_store_fails_messages_wait_and_can_be_sent_again() {
    let backend = Scripted::new("acme");
    let store = Flaky::default();
    store.failures.store(2, Ordering::Relaxed);
    let mailer = mailer(&backend, SuppressionHook::new(store));
    let message = to(&["ann@example.com"]);
    let error = mailer.send(&message).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Hook);
    assert_eq!(error.accepted(), Accepted::No);
    assert!(error.is_transient());
    assert!(
        error.to_string().contains("the database is gone"),
        "{error}"
    );
    let results = mailer.send_all(&[message.clone(), message.clone()]).await;
    let waits = |result: &Result<_, anymail_core::SendError>| {
        result
            .as_ref()
            .is_err_and(anymail_core::SendError::is_transient)
    };
    assert!(results.iter().all(waits));
    assert!(backend.calls().is_empty());
    mailer.send(&message).await.unwrap();
}

#[derive(Debug)]
pub(super) struct Panicking;

#[async_trait]
impl SuppressionStore for Panicking {
    async fn look_up(&self, _: &[AddressKey]) -> Result<Vec<Suppression>, SuppressionStoreError> {
        panic!("on purpose")
    }

    async fn add(&self, _: &[Suppression]) -> Result<(), SuppressionStoreError> {
        panic!("on purpose")
    }

    async fn remove(&self, _: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        panic!("on purpose")
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        panic!("on purpose")
    }
}

#[tokio::test]
async fn a_store_that_panics_is_a_store_that_fails() {
    for (policy, sent) in [(StoreFailurePolicy::Wait, 0), (StoreFailurePolicy::Send, 1)] {
        let backend = Scripted::new("acme");
        let hook = SuppressionHook::new(Panicking).on_store_failure(policy);
        let result = mailer(&backend, hook).send(&to(&["ann@example.com"])).await;
        assert_eq!(backend.calls().len(), sent);
        if let Err(error) = result {
            assert_eq!(error.accepted(), Accepted::No);
            assert!(error.is_transient());
        }
    }
}

#[tokio::test]
async fn while_the_store_fails_messages_are_sent_if_configured() {
    let backend = Scripted::new("acme");
    let store = Flaky::default();
    let bounced = suppression("ann@example.com", HardBounce);
    store.add(&[bounced]).await.unwrap();
    store.failures.store(1, Ordering::Relaxed);
    let hook = SuppressionHook::new(store).on_store_failure(StoreFailurePolicy::Send);
    let mailer = mailer(&backend, hook);
    let message = to(&["ann@example.com"]);
    mailer.send(&message).await.unwrap();
    mailer.send(&message).await.unwrap_err();
    assert_eq!(backend.calls().len(), 1);
}

#[tokio::test]
async fn five_hundred_messages_take_one_lookup() {
    let backend = Scripted::new("acme");
    let store = Flaky::default();
    let mailer = mailer(&backend, SuppressionHook::new(store.clone()));
    let messages: Vec<_> = (0..500)
        .map(|n| to(&[&format!("n{n}@example.com")]))
        .collect();
    let results = mailer.send_all(&messages).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(store.look_ups.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_message_for_which_a_hook_returns_no_verdict_is_not_sent() {
    struct Forgetful;
    #[async_trait]
    impl anymail_core::PreSend for Forgetful {
        async fn pre_send(&self, _: &mut Message, _: &str) -> Result<PreSendVerdict, HookError> {
            Ok(PreSendVerdict::Send)
        }

        async fn pre_send_many(
            &self,
            _: &mut [&mut Message],
            _: &str,
        ) -> Vec<Result<PreSendVerdict, HookError>> {
            vec![Ok(PreSendVerdict::Send)]
        }
    }
    let backend = Scripted::new("acme");
    let mailer = Mailer::builder(backend.clone()).pre_send(Forgetful).build();
    let results = mailer
        .send_all(&[to(&["a@example.com"]), to(&["b@example.com"])])
        .await;
    assert!(results[0].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Hook);
    assert_eq!(backend.call_sizes(), [1]);
}
