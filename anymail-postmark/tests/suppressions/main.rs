//! Suppressions and Postmark: updated by its webhooks, read from its lists, and written to them.
#![cfg(feature = "axum")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failing test panics"
)]

mod switch;

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    AddressKey, Event, Mailer, MemorySuppressionStore, Message, Reactivation, SendErrorKind,
    Suppression, SuppressionFeed, SuppressionHook, SuppressionReason, SuppressionStore, Webhook,
    WebhookAuth, webhook_routes,
};
use anymail_postmark::{
    PostmarkBackend, PostmarkConfig, PostmarkSuppressionsError, PostmarkTrackingWebhook,
};
use anymail_test_utils::{BounceType, FakePostmark, InactiveReason, LoopbackServer};
use futures_util::TryStreamExt;
use time::OffsetDateTime;

use SuppressionReason::{HardBounce, Manual, SpamComplaint, Unsubscribe};

fn postmark(fake: &FakePostmark) -> PostmarkBackend {
    PostmarkBackend::new(PostmarkConfig::new("server-token").api_url(fake.url())).unwrap()
}

async fn kinds(store: &dyn SuppressionStore) -> Vec<(String, Option<String>, SuppressionReason)> {
    let all: Vec<Suppression> = store.list().try_collect().await.unwrap();
    let kind = |one: Suppression| (one.address.to_string(), one.scope, one.reason);
    let mut kinds: Vec<_> = all.into_iter().map(kind).collect();
    kinds.sort();
    kinds
}

fn kind(
    address: &str,
    scope: Option<&str>,
    reason: SuppressionReason,
) -> (String, Option<String>, SuppressionReason) {
    (address.into(), scope.map(str::to_owned), reason)
}

fn suppression(email: &str, reason: SuppressionReason) -> Suppression {
    let since = OffsetDateTime::now_utc() - time::Duration::days(3);
    Suppression::of_key(AddressKey::of(email), reason, since)
}

/// An app whose webhook updates a store.
async fn app(fake: &FakePostmark, store: &MemorySuppressionStore) {
    let auth = WebhookAuth::basic([("hook", "secret")]).unwrap();
    let webhook: Arc<dyn Webhook> = Arc::new(PostmarkTrackingWebhook::new(auth));
    let feed = SuppressionFeed::new(store.clone());
    let routes = webhook_routes([webhook], move |event: Event| {
        let feed = feed.clone();
        async move { feed.handle(&event).await }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    fake.add_webhook(&format!(
        "http://hook:secret@{address}/anymail/postmark/tracking/"
    ));
}

async fn send(mailer: &Mailer, to: &str, stream: &str) -> String {
    let message = Message::builder()
        .from("shop@example.com")
        .to(to)
        .text_body("hi")
        .esp_extra(serde_json::json!({"MessageStream": stream}));
    let status = mailer.send(&message.build().unwrap()).await.unwrap();
    status.message_id().unwrap().to_owned()
}

#[tokio::test]
async fn what_postmark_reports_is_suppressed_and_what_it_reactivates_is_not() {
    let fake = FakePostmark::start().unwrap();
    let store = MemorySuppressionStore::new();
    app(&fake, &store).await;
    let mailer = Mailer::new(postmark(&fake));
    let hard = send(&mailer, "Hard@Example.com", "outbound").await;
    fake.bounce(&hard, BounceType::HardBounce).await.unwrap();
    let full = send(&mailer, "full@example.com", "outbound").await;
    fake.bounce(&full, BounceType::SoftBounce).await.unwrap();
    let later = send(&mailer, "later@example.com", "outbound").await;
    fake.bounce(&later, BounceType::Transient).await.unwrap();
    let blocked = send(&mailer, "blocked@example.com", "outbound").await;
    fake.bounce(&blocked, BounceType::Blocked).await.unwrap();
    let angry = send(&mailer, "angry@example.com", "broadcast").await;
    fake.complain(&angry).await.unwrap();
    let left = send(&mailer, "left@example.com", "broadcast").await;
    fake.unsubscribe(&left).await.unwrap();
    let expected = [
        kind("angry@example.com", None, SpamComplaint),
        kind("hard@example.com", None, HardBounce),
        kind("left@example.com", Some("broadcast"), Unsubscribe),
    ];
    assert_eq!(kinds(&store).await, expected);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!(
            "{}/message-streams/outbound/suppressions/delete",
            fake.url()
        ))
        .header("X-Postmark-Server-Token", "server-token")
        .header("Accept", "application/json")
        .header("Content-Type", "application/json")
        .body(r#"{"Suppressions": [{"EmailAddress": "hard@example.com"}]}"#)
        .send();
    assert_eq!(answer.await.unwrap().status(), 200);
    for _ in 0..200 {
        if kinds(&store).await.len() == 2 {
            return;
        }
        // The fake posts a reactivation in the background.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not reactivated: {:?}", kinds(&store).await);
}

#[tokio::test]
async fn exporting_from_postmark_reads_each_list_in_one_call_and_reports_differences() {
    let fake = FakePostmark::start().unwrap();
    fake.suppress("outbound", "Hard@example.com", InactiveReason::HardBounce);
    fake.suppress("outbound", "back@example.com", InactiveReason::HardBounce);
    fake.suppress(
        "broadcast",
        "angry@example.com",
        InactiveReason::SpamComplaint,
    );
    fake.suppress(
        "broadcast",
        "left@příklad.cz",
        InactiveReason::ManualSuppression,
    );
    let store = MemorySuppressionStore::new();
    // Reactivated here after Postmark suppressed it, but not at Postmark.
    let later = OffsetDateTime::now_utc() + time::Duration::hours(1);
    let back = Reactivation::of_key(AddressKey::of("back@example.com"), later);
    store.remove(&[back]).await.unwrap();
    let ours = suppression("ours@example.com", Manual).in_scope("broadcast");
    let offers = suppression("offers@example.com", Unsubscribe).in_scope("offers");
    store.add(&[ours, offers]).await.unwrap();

    let backend = postmark(&fake);
    let outbound = backend.suppressions("outbound");
    let report = outbound.read_into(&store).await.unwrap();
    assert_eq!((report.read, report.added), (2, 1));
    let emails = |list: &[Suppression]| -> Vec<String> {
        list.iter().map(|one| one.address.to_string()).collect()
    };
    assert_eq!(emails(&report.only_at_postmark), ["back@example.com"]);
    assert!(report.only_in_store.is_empty());

    let broadcast = backend.suppressions("broadcast");
    let report = broadcast.read_into(&store).await.unwrap();
    assert_eq!((report.read, report.added), (2, 2));
    let mut only_here = emails(&report.only_in_store);
    only_here.sort();
    assert_eq!(only_here, ["hard@example.com", "ours@example.com"]);
    let expected = [
        kind("angry@example.com", None, SpamComplaint),
        kind("hard@example.com", None, HardBounce),
        kind("left@xn--pklad-zsa96e.cz", Some("broadcast"), Unsubscribe),
        kind("offers@example.com", Some("offers"), Unsubscribe),
        kind("ours@example.com", Some("broadcast"), Manual),
    ];
    assert_eq!(kinds(&store).await, expected);
    assert_eq!(fake.calls(), 2);

    // The second time, nothing is new.
    let report = broadcast.read_into(&store).await.unwrap();
    assert_eq!((report.read, report.added), (2, 0));
    let mapped = broadcast.clone().in_scope(Some("news"));
    mapped.read_into(&store).await.unwrap();
    let news = kind("left@xn--pklad-zsa96e.cz", Some("news"), Unsubscribe);
    assert!(kinds(&store).await.contains(&news));
}

#[tokio::test]
async fn importing_into_postmark_writes_fifty_per_call_and_reports_refused_addresses() {
    let fake = FakePostmark::start().unwrap();
    fake.suppress(
        "broadcast",
        "theirs@example.com",
        InactiveReason::HardBounce,
    );
    let store = MemorySuppressionStore::new();
    let mut ours: Vec<_> = (0..120)
        .map(|n| suppression(&format!("n{n}@example.com"), HardBounce))
        .collect();
    // Suppressed for two reasons, but written once.
    ours.push(suppression("n1@example.com", Unsubscribe).in_scope("broadcast"));
    ours.push(suppression("left@example.com", Unsubscribe).in_scope("broadcast"));
    ours.push(suppression("offers@example.com", Unsubscribe).in_scope("offers"));
    // Postmark's parser and ours disagree about what an address is.
    ours.push(suppression("user@[192.0.2.1]", HardBounce));
    store.add(&ours).await.unwrap();

    let broadcast = postmark(&fake).suppressions("broadcast");
    let report = broadcast.write_from(&store).await.unwrap();
    // One dump, and 122 addresses in calls of 50.
    assert_eq!(fake.calls(), 4);
    let only_there = &report.only_at_postmark;
    assert_eq!(only_there.len(), 1);
    assert_eq!(only_there[0].address.as_str(), "theirs@example.com");
    assert_eq!(report.written + report.refused.len(), 122);
    for refused in &report.refused {
        assert_eq!(refused.address.as_str(), "user@[192.0.2.1]");
        assert_eq!(refused.reason, "An invalid email address was provided.");
    }

    let again = broadcast.write_from(&store).await.unwrap();
    assert_eq!(again.written, 0);
    // An address on Postmark's list gets no messages of this stream, but those of another one.
    let mailer = Mailer::new(postmark(&fake));
    let message = |stream: &str| {
        let message = Message::builder()
            .from("shop@example.com")
            .to("left@example.com")
            .text_body("hi")
            .esp_extra(serde_json::json!({"MessageStream": stream}));
        message.build().unwrap()
    };
    let error = mailer.send(&message("broadcast")).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::RecipientsRefused);
    mailer.send(&message("outbound")).await.unwrap();
}

#[tokio::test]
async fn a_refused_address_is_reported_with_postmarks_error_message() {
    // The sample response of Postmark's documentation.
    let created = include_str!("created.json");
    let esp = LoopbackServer::start(move |call| {
        let is_dump = call.uri().path().ends_with("/dump");
        let body = if is_dump {
            r#"{"Suppressions": []}"#
        } else {
            created
        };
        http::Response::new(body.into())
    });
    let esp = esp.unwrap();
    let store = MemorySuppressionStore::new();
    let ours = [
        "good.address@example.com",
        "spammy.address@example.com",
        "other@example.com",
    ]
    .map(|email| suppression(email, Manual));
    store.add(&ours).await.unwrap();
    let config = PostmarkConfig::new("server-token").api_url(esp.url());
    let outbound = PostmarkBackend::new(config)
        .unwrap()
        .suppressions("outbound");
    let report = outbound.write_from(&store).await.unwrap();
    assert_eq!(report.written, 1);
    let refused: Vec<_> = report
        .refused
        .iter()
        .map(|one| (one.address.as_str(), one.reason.as_str()))
        .collect();
    let expected = [
        (
            "other@example.com",
            "the response does not mention this address",
        ),
        (
            "spammy.address@example.com",
            "You do not have the required authority to change this suppression.",
        ),
    ];
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn an_unknown_stream_and_a_failing_postmark_are_distinct_errors() {
    let fake = FakePostmark::start().unwrap();
    let store = MemorySuppressionStore::new();
    let backend = postmark(&fake);
    let error = backend.suppressions("news/../x y").read_into(&store).await;
    let error = error.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    let whole = error.to_string();
    assert_eq!(
        whole,
        "could not read or change postmark's suppression list"
    );
    let PostmarkSuppressionsError::Postmark(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(source, error.to_string());
    assert_eq!(error.http_status(), Some(422), "{error}");
    fake.server()
        .inject(FakePostmark::api_error(500, 101, "Oops"), 1);
    let error = backend.suppressions("outbound").write_from(&store).await;
    let Err(PostmarkSuppressionsError::Postmark(error)) = error else {
        panic!("{error:?}");
    };
    assert!(error.is_transient());
    assert_eq!(error.accepted(), anymail_core::Accepted::No);
}

#[tokio::test]
async fn a_suppression_from_postmark_applies_at_the_next_esp() {
    let fake = FakePostmark::start().unwrap();
    fake.suppress("outbound", "hard@example.com", InactiveReason::HardBounce);
    let store = MemorySuppressionStore::new();
    let outbound = postmark(&fake).suppressions("outbound");
    outbound.read_into(&store).await.unwrap();
    let next = anymail_core::MemoryBackend::new();
    let mailer = Mailer::builder(next).pre_send(SuppressionHook::new(store));
    let mailer = mailer.build();
    let message = |to: &str| {
        let message = Message::builder().from("shop@example.com").to(to);
        message.build().unwrap()
    };
    let error = mailer.send(&message("hard@example.com")).await.unwrap_err();
    assert!(error.message().ends_with("reported by postmark"), "{error}");
    mailer.send(&message("ok@example.com")).await.unwrap();
}

#[tokio::test]
async fn an_entry_that_holds_no_address_is_reported_and_the_others_are_read() {
    let server = LoopbackServer::start(|_| {
        let list = serde_json::json!({"Suppressions": [
            {"EmailAddress": "not an address", "SuppressionReason": "HardBounce",
                "Origin": "Recipient", "CreatedAt": "2026-11-01T12:00:00-05:00"},
            {"EmailAddress": "ann@example.com", "SuppressionReason": "HardBounce",
                "Origin": "Recipient", "CreatedAt": "2026-11-01T12:00:00-05:00"},
        ]});
        http::Response::new(list.to_string().into())
    })
    .unwrap();
    let config = PostmarkConfig::new("server-token").api_url(server.url());
    let backend = PostmarkBackend::new(config).unwrap();
    let store = MemorySuppressionStore::new();
    let report = backend.suppressions("outbound").read_into(&store).await;
    let report = report.unwrap();
    assert_eq!(report.unreadable, ["not an address"]);
    assert_eq!(
        kinds(&store).await,
        [kind("ann@example.com", None, HardBounce)]
    );
}

#[tokio::test]
async fn a_list_that_is_larger_than_other_responses_is_read() {
    let server = LoopbackServer::start(|_| {
        let list = serde_json::json!({"Padding": "x".repeat(12_000_000), "Suppressions": [
            {"EmailAddress": "ann@example.com", "SuppressionReason": "HardBounce",
                "Origin": "Recipient", "CreatedAt": "2026-11-01T12:00:00-05:00"},
        ]});
        http::Response::new(list.to_string().into())
    })
    .unwrap();
    let config = PostmarkConfig::new("server-token").api_url(server.url());
    let backend = PostmarkBackend::new(config.max_response_bytes(1000)).unwrap();
    let store = MemorySuppressionStore::new();
    let list = backend.suppressions("outbound");
    list.read_into(&store).await.unwrap();
    assert_eq!(
        kinds(&store).await,
        [kind("ann@example.com", None, HardBounce)]
    );
}
