//! What a mailer does between an app and its backend.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anymail_core::{
    Accepted, Address, Alternative, Capabilities, EmailBackend, Feature, Mailer, MemoryBackend,
    Message, PreSendVerdict, PreparedMessage, SendError, SendErrorKind as K, SendStatus, Status,
    UnsupportedPolicy,
};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use told::{Told, error, mailer, message, told};

#[tokio::test]
async fn a_pre_send_hook_can_change_the_message_for_the_next_hook() {
    let backend = told([]);
    let add = |text: &'static str| {
        move |message: &mut Message| {
            message.subject.value_or_default().push_str(text);
            Ok(PreSendVerdict::Send)
        }
    };
    let mailer = mailer(&backend)
        .pre_send(add("b"))
        .pre_send(add("c"))
        .build();
    mailer.send(&message("a")).await.unwrap();
    assert_eq!(backend.batches(), [["abc"]]);
}

#[tokio::test]
async fn a_pre_send_hook_that_cancels_or_fails_prevents_sending() {
    let backend = told([]);
    let cancel = |_: &mut Message| Ok(PreSendVerdict::Cancel("not today".into()));
    let fail = |_: &mut Message| Err("no database".into());
    let cancelled = mailer(&backend).pre_send(cancel).build();
    let failed = mailer(&backend).pre_send(fail).build();
    let error = cancelled.send(&message("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (K::Cancelled, "not today"));
    let error = failed.send(&message("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (K::Hook, "no database"));
    assert_eq!(error.accepted(), Accepted::No);
    assert!(backend.batches().is_empty());
}

#[tokio::test]
async fn a_message_changed_by_a_pre_send_hook_is_checked_like_any_other() {
    let backend = told([]);
    let spoil = |message: &mut Message| {
        message.subject = "two\nlines".to_owned().into();
        Ok(PreSendVerdict::Send)
    };
    let error = mailer(&backend)
        .pre_send(spoil)
        .build()
        .send(&message("a"))
        .await;
    assert_eq!(error.unwrap_err().kind(), K::InvalidMessage);
    assert!(backend.batches().is_empty());
}

#[tokio::test]
async fn values_that_are_set_after_building_reach_a_backend_as_if_set_before() {
    let backend = MemoryBackend::new();
    let outbox = backend.outbox();
    let mailer = Mailer::new(backend);
    let mut html = message("a");
    html.alternatives = vec![Alternative::new("<p>a</p>", "text/html").unwrap()].into();
    mailer.send(&html).await.unwrap();
    let at = time::OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .unwrap();
    let mut timed = message("b");
    timed.send_at = (at + time::Duration::milliseconds(999)).into();
    mailer.send(&timed).await.unwrap();
    let sent = outbox.messages();
    let (html, timed) = (&sent[0].message, &sent[1].message);
    assert_eq!(html.html_body.value().map(String::as_str), Some("<p>a</p>"));
    assert!(html.alternatives.items().is_empty());
    assert_eq!(timed.send_at.value(), Some(&at));
}

#[tokio::test]
async fn every_post_send_hook_runs_even_if_one_fails_and_the_message_counts_as_sent() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = |fails: bool| {
        let runs = runs.clone();
        move |_: &Message, _: Result<&SendStatus, &SendError>| {
            runs.fetch_add(1, Ordering::Relaxed);
            if fails {
                Err("disk full".into())
            } else {
                Ok(())
            }
        }
    };
    let send = async |backend: &Told| {
        let mailer = mailer(backend)
            .post_send(count(true))
            .post_send(count(false))
            .build();
        mailer.send(&message("a")).await
    };
    let status = send(&told([])).await.unwrap();
    assert_eq!(status.hook_errors, ["disk full"]);
    let refused = error(K::Refused).with_status(SendStatus::unknown("acme", &message("a")));
    let error = send(&told([refused])).await.unwrap_err();
    assert_eq!(error.status().unwrap().hook_errors, ["disk full"]);
    assert_eq!(runs.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn all_faults_of_a_message_are_reported_at_once() {
    let backend = told([]);
    let mut message = Message::builder()
        .tag("one")
        .tag("two")
        .track_opens(true)
        .merge_data("a@example.com", serde_json::json!({"x": 1}))
        .build()
        .unwrap();
    message.subject = "two\nlines".to_owned().into();
    let mailer = mailer(&backend).build();
    let error = mailer.send(&message).await.unwrap_err();
    let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
    assert_eq!(fields, ["subject", "from", "to"]);
    let features: Vec<_> = error
        .unsupported()
        .iter()
        .filter_map(|it| it.feature)
        .collect();
    let expected = [
        Feature::Tags,
        Feature::TrackOpens,
        Feature::MergeData,
        Feature::WithoutTo,
    ];
    assert_eq!(features, expected);
    let check = mailer.check(&message);
    assert_eq!(check.faults, error.faults());
    assert_eq!(check.unsupported, error.unsupported());
    assert!(backend.batches().is_empty());
}

#[tokio::test]
async fn dropped_features_are_listed_in_the_status() {
    let mut asks = message("a");
    asks.tags = vec!["one".to_owned(), "two".to_owned()].into();
    asks.track_opens = true.into();
    let backend = told([]);
    let error = mailer(&backend).build().send(&asks).await.unwrap_err();
    assert_eq!(error.kind(), K::UnsupportedFeature);
    assert_eq!(
        error.to_string(),
        "acme supports at most 1 tag per message (got 2) \
         (requested: \"one\", \"two\"); acme does not support open tracking (requested: true)"
    );
    let drops = mailer(&backend)
        .unsupported(UnsupportedPolicy::Drop)
        .build();
    let status = drops.send(&asks).await.unwrap();
    assert_eq!(status.dropped, error.unsupported());
}

#[tokio::test]
async fn refusal_of_all_recipients_is_an_error_unless_the_app_ignores_it() {
    #[derive(Debug)]
    struct Refuses(Capabilities);
    #[async_trait]
    impl EmailBackend for Refuses {
        fn name(&self) -> &str {
            "acme"
        }
        fn capabilities(&self) -> &Capabilities {
            &self.0
        }
        async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
            let mut status = SendStatus::unknown("acme", message.message());
            for (i, to) in message.to().iter().enumerate() {
                let refused = [Status::Invalid, Status::Rejected, Status::Failed];
                status.set(&to.key(), refused[i % 3], None, None);
            }
            Ok(status)
        }
    }
    let two = Message::builder()
        .from("f@example.com")
        .to("a@example.com, b@example.com");
    let two = two.build().unwrap();
    let three = Message::builder()
        .from("f@example.com")
        .to("a@x.example, b@x.example, c@x.example");
    let three = three.build().unwrap();
    let strict = Mailer::new(Refuses(Capabilities::all()));
    let error = strict.send(&two).await.unwrap_err();
    assert_eq!(error.kind(), K::RecipientsRefused);
    let status = error.status().unwrap();
    assert_eq!(
        status.recipient("B@EXAMPLE.COM").unwrap().status,
        Status::Rejected
    );
    let ignores = Mailer::builder(Refuses(Capabilities::all())).ignore_recipient_status(true);
    let ignores = ignores.build();
    assert!(ignores.send(&two).await.is_ok());
    // A recipient who was not refused did not get the message either, which is never ignored.
    assert!(ignores.send(&three).await.is_err());
}

#[tokio::test]
async fn send_all_returns_one_result_per_message_in_order_even_if_some_are_invalid() {
    let backend = told([]);
    let mut invalid = message("3");
    invalid.from = anymail_core::Field::Unset;
    let messages = [
        message("0"),
        message("1"),
        message("refused"),
        invalid,
        message("4"),
    ];
    let results = mailer(&backend).build().send_all(&messages).await;
    let ok: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, true, false, false, true]);
    assert_eq!(results[3].as_ref().unwrap_err().kind(), K::InvalidMessage);
    let mut batches = backend.batches();
    batches.sort();
    assert_eq!(batches, [vec!["0", "1", "refused"], vec!["4"]]);
    assert!(mailer(&backend).build().send_all(&[]).await.is_empty());
}

#[tokio::test]
async fn a_backend_that_loses_results_leaves_its_messages_in_doubt() {
    #[derive(Debug)]
    struct Loses(Told);
    #[async_trait]
    impl EmailBackend for Loses {
        fn name(&self) -> &str {
            "acme"
        }
        fn capabilities(&self) -> &Capabilities {
            &self.0.can
        }
        fn max_batch(&self) -> usize {
            9
        }
        async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
            self.0.send(message).await
        }
        async fn send_many(&self, all: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
            self.0.send_many(&all[..1]).await
        }
    }
    let mailer = Mailer::new(Loses(told([])));
    let results = mailer.send_all(&[message("0"), message("1")]).await;
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().accepted(), Accepted::Maybe);
}

#[tokio::test]
async fn the_stream_reads_ahead_only_what_is_being_sent_and_ends_with_its_messages() {
    let backend = told([]);
    let mailer = mailer(&backend).concurrency(2).build();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let messages = stream::iter(0..1000).map(move |i| {
        counter.fetch_add(1, Ordering::Relaxed);
        message(&i.to_string())
    });
    let mut sent = std::pin::pin!(mailer.send_stream(messages));
    let mut places = vec![sent.next().await.unwrap().0];
    assert!(taken.load(Ordering::Relaxed) <= 3 * 3);
    while let Some((place, result)) = sent.next().await {
        assert!(result.is_ok());
        places.push(place);
    }
    places.sort_unstable();
    assert_eq!(places, (0..1000).collect::<Vec<_>>());
    assert_eq!(backend.batches().len(), 334);
}

#[tokio::test]
async fn progress_is_reported_as_results_arrive() {
    let backend = told([]);
    let mut told_of = Vec::new();
    let messages: Vec<_> = (0..7).map(|i| message(&i.to_string())).collect();
    let progress = |place, result: &Result<_, _>| told_of.push((place, result.is_ok()));
    mailer(&backend)
        .build()
        .send_all_with(&messages, progress)
        .await;
    told_of.sort_unstable();
    assert_eq!(told_of, (0..7).map(|i| (i, true)).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_about_a_missing_sender_says_where_to_set_one() {
    let backend = told([]);
    let mut message = message("a");
    let from = std::mem::take(&mut message.from);
    let refused = mailer(&backend).build().send(&message).await.unwrap_err();
    let words = refused.to_string();
    assert!(words.contains("send_defaults") && words.contains("default_from"));
    let mut defaults = Message::default();
    defaults.from = from;
    let mailer = mailer(&backend).send_defaults(defaults.into()).build();
    assert!(mailer.send(&message).await.is_ok());
}

/// Sends single messages only; a batch fails.
#[derive(Debug)]
struct OneByOne(Capabilities);

#[async_trait]
impl EmailBackend for OneByOne {
    fn name(&self) -> &str {
        "one_by_one"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        Ok(told::sent(message))
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        messages.iter().map(|_| Err(error(K::Refused))).collect()
    }
}

/// Refuses a message without an envelope sender.
#[derive(Debug)]
struct Bounces(Capabilities);

#[async_trait]
impl EmailBackend for Bounces {
    fn name(&self) -> &str {
        "bounces"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        match message.envelope_sender() {
            Some(sender) if sender.email() == "bounces@example.com" => Ok(told::sent(message)),
            _ => Err(error(K::Refused)),
        }
    }
}

#[tokio::test]
async fn a_backend_is_told_the_envelope_sender() {
    let mailer = Mailer::new(Bounces(Capabilities::all()));
    let mut message = message("a");
    assert!(mailer.send(&message).await.is_err());
    let sender: Address = "bounces@example.com".parse().unwrap();
    message.envelope_sender = sender.into();
    assert!(mailer.send(&message).await.is_ok());
}

#[tokio::test]
async fn a_single_message_is_not_sent_as_a_batch() {
    let mailer = Mailer::new(OneByOne(Capabilities::default()));
    assert!(mailer.send(&message("a")).await.is_ok());
    assert!(mailer.send_all(&[message("a"), message("b")]).await[0].is_err());
}

#[test]
fn a_check_lists_what_is_wrong_with_a_message() {
    let mailer = Mailer::new(OneByOne(Capabilities::default()));
    let fine = mailer.check(&message("a"));
    assert!(fine.is_ok());
    assert_eq!(fine.to_string(), "the message can be sent");

    let tagged = Message::builder().tag("a").build().unwrap();
    let check = mailer.check(&tagged);
    let (faults, unsupported) = (check.faults.len(), check.unsupported.len());
    assert!(faults > 0 && unsupported > 0, "{check:?}");
    let parts = check.to_string().split("; ").count();
    assert_eq!(parts, faults + unsupported, "{check}");
    let only_tags = Message::builder()
        .from("shop@example.com")
        .to("ann@example.com")
        .text_body("a")
        .tag("a")
        .build()
        .unwrap();
    let check = mailer.check(&only_tags);
    assert_eq!(check.to_string(), check.unsupported[0].to_string());
}

#[tokio::test]
async fn a_copy_of_a_batch_has_only_the_values_of_its_recipient() {
    let backend = MemoryBackend::new();
    let outbox = backend.outbox();
    let batch = Message::builder()
        .from("shop@example.com")
        .to(["ann@example.com", "bob@example.com"])
        .text_body("a")
        .merge_headers("ann@example.com", [("X-Order", "1")])
        .merge_metadata("ann@example.com", [("order", "1")])
        .build()
        .unwrap();
    Mailer::new(backend).send(&batch).await.unwrap();
    let sent = outbox.messages();
    let (ann, bob) = (&sent[0].message, &sent[1].message);
    assert_eq!(ann.headers.value().map(|headers| headers.len()), Some(1));
    assert_eq!(ann.metadata.value().map(|metadata| metadata.len()), Some(1));
    assert!(bob.headers.is_unset() && bob.metadata.is_unset());
}

#[cfg(feature = "blocking")]
mod without_async {
    use super::*;
    use anymail_core::{RetryPolicy, blocking};
    use std::time::Duration;

    #[test]
    fn the_blocking_mailer_returns_what_the_async_one_does() {
        let mut backend = told([error(K::Connect)]);
        backend.takes = Duration::from_millis(1);
        let quick = RetryPolicy {
            first_wait: Duration::from_millis(1),
            ..RetryPolicy::standard()
        };
        let mailer = blocking::Mailer::new(mailer(&backend).retry(quick).build()).unwrap();
        assert!(mailer.send(&message("a")).is_ok());
        assert_eq!(backend.batches().len(), 2);
        let results = mailer.send_all(&[message("a"), message("refused")]);
        assert!(results[0].is_ok() && results[1].is_err());
        let mut told = Vec::new();
        let messages = [message("a"), message("refused")];
        let _ = mailer.send_all_with(&messages, |place, result| {
            told.push((place, result.is_ok()))
        });
        told.sort_unstable();
        assert_eq!(told, [(0, true), (1, false)]);
        assert_eq!(mailer.backend().name(), backend.name());
        let two_tags = Message::builder().tag("a").tag("b").build().unwrap();
        let check = mailer.check(&two_tags);
        assert!(!check.unsupported.is_empty());
        assert!(mailer.check(&message("a")).is_ok());
    }

    #[tokio::test]
    async fn the_blocking_mailer_in_async_code_is_an_error_rather_than_a_panic() {
        let mailer = blocking::Mailer::new(mailer(&told([])).build()).unwrap();
        let error = mailer.send(&message("a")).unwrap_err();
        assert_eq!(error.kind(), K::Configuration);
        assert!(mailer.send_all(&[message("a")])[0].is_err());
    }
}
