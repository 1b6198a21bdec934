//! Messages to an ESP that supports features conditionally.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use anymail_core::{
    Alternative, Capabilities, EmailBackend, Feature, Mailer, MemoryBackend, Message, Outbox,
    PreparedMessage, SendError, SendStatus, Support, UnsupportedPolicy,
};
use async_trait::async_trait;
use serde_json::json;

/// Keeps messages, and declares only these features.
#[derive(Debug)]
struct Limited(MemoryBackend, Capabilities);

#[async_trait]
impl EmailBackend for Limited {
    fn name(&self) -> &str {
        "limited"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.1
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0.send(message).await
    }
}

impl Limited {
    fn outbox(&self) -> Outbox {
        self.0.outbox()
    }
}

fn backend(pairs: &[(Feature, Support)]) -> Limited {
    Limited(MemoryBackend::new(), pairs.iter().copied().collect())
}

fn message() -> Message {
    serde_json::from_value(json!({
        "from": "from@example.com", "to": ["ann@example.com"], "subject": "a", "text_body": "b"
    }))
    .unwrap()
}

fn with_bodies(types: &[&str]) -> Message {
    let mut message = message();
    let bodies = types
        .iter()
        .map(|kind| Alternative::new("a body", kind).unwrap());
    message.alternatives = bodies.collect::<Vec<_>>().into();
    message
}

const AMP: &str = "text/x-amp-html";

#[tokio::test]
async fn a_second_amp_body_needs_an_esp_that_supports_alternative_bodies() {
    let mailer = Mailer::new(backend(&[(Feature::AmpHtml, Support::Yes)]));
    mailer.send(&with_bodies(&[AMP])).await.unwrap();
    let error = mailer.send(&with_bodies(&[AMP, AMP])).await.unwrap_err();
    let [found] = error.unsupported() else {
        panic!("one thing is unsupported: {error}");
    };
    assert_eq!(found.feature, Some(Feature::Alternatives));
    assert_eq!(found.requested, format!("{AMP:?}"));

    let both = backend(&[
        (Feature::AmpHtml, Support::Yes),
        (Feature::Alternatives, Support::Yes),
    ]);
    let sent = Mailer::new(both).send(&with_bodies(&[AMP, AMP])).await;
    assert!(sent.is_ok());
}

#[tokio::test]
async fn the_first_amp_body_is_the_one_that_is_sent_when_the_others_are_left_out() {
    let backend = backend(&[(Feature::AmpHtml, Support::Yes)]);
    let outbox = backend.outbox();
    let builder = Mailer::builder(backend).unsupported(UnsupportedPolicy::Drop);
    let mut message = with_bodies(&["text/calendar", AMP, AMP]);
    let first = Alternative::new("the first", AMP).unwrap();
    if let Some(bodies) = message.alternatives.value_mut()
        && let Some(slot) = bodies.get_mut(1)
    {
        *slot = first.clone();
    }
    let status = builder.build().send(&message).await.unwrap();
    assert_eq!(status.dropped.len(), 1);
    let sent = outbox.messages();
    let sent = sent.first().unwrap().message.alternatives.items();
    assert_eq!(sent, [first]);
}

#[tokio::test]
async fn without_amp_no_amp_body_is_sent_however_many_there_are() {
    let backend = backend(&[(Feature::Alternatives, Support::Yes)]);
    let outbox = backend.outbox();
    let builder = Mailer::builder(backend).unsupported(UnsupportedPolicy::Drop);
    let message = with_bodies(&[AMP, "text/calendar", AMP]);
    let status = builder.build().send(&message).await.unwrap();
    let dropped: Vec<_> = status.dropped.iter().map(|it| it.feature).collect();
    assert_eq!(dropped, [Some(Feature::AmpHtml)]);
    let sent = outbox.messages();
    let sent = sent.first().unwrap().message.alternatives.items();
    let types: Vec<_> = sent.iter().map(Alternative::content_type).collect();
    assert_eq!(types, ["text/calendar"]);
}

#[tokio::test]
async fn a_feature_with_several_conditions_is_supported_under_each_of_them() {
    let condition = Support::with_any([Feature::Template, Feature::Batch]);
    let mailer = Mailer::new(backend(&[
        (Feature::Template, Support::Yes),
        (Feature::TemplateSubject, Support::Yes),
        (Feature::TemplateBody, Support::Yes),
        (Feature::Batch, Support::Yes),
        (Feature::MergeData, Support::Yes),
        (Feature::MergeGlobalData, condition),
    ]));
    let mut message = message();
    message
        .merge_global_data
        .value_or_default()
        .insert("shop".to_owned(), "Anvils".into());
    let error = mailer.send(&message).await.unwrap_err();
    let [found] = error.unsupported() else {
        panic!("one thing is unsupported: {error}");
    };
    assert_eq!(
        found.problem,
        "supports `merge_global_data` only with templates or batches"
    );

    let mut by_template = message.clone();
    by_template.template_id = "welcome".to_owned().into();
    mailer.send(&by_template).await.unwrap();
    let mut in_a_batch = message;
    in_a_batch.merge_data.value_or_default();
    mailer.send(&in_a_batch).await.unwrap();
}

#[tokio::test]
async fn what_was_requested_is_told_in_full() {
    let mailer = Mailer::new(backend(&[]));
    for (field, value, feature, requested) in [
        (
            "reply_to",
            json!(["Ann <ann@example.com>", "bob@example.com"]),
            Feature::ReplyTo,
            "Ann <ann@example.com>, bob@example.com",
        ),
        (
            "alternatives",
            json!([["a", AMP], ["b", "text/calendar"]]),
            Feature::Alternatives,
            "\"text/calendar\"",
        ),
        (
            "attachments",
            json!([
                {"filename": "a.txt", "content_base64": "QQ=="},
                {"filename": "b.png", "content_base64": "QQ==", "inline": true, "content_id": "b"}
            ]),
            Feature::Attachments,
            "\"a.txt\"",
        ),
        (
            "merge_metadata",
            json!({"ann@example.com": {"order": "1"}, "bob@example.com": {"order": "2"}}),
            Feature::MergeMetadata,
            "values for 2 recipients",
        ),
    ] {
        let fields = json!({
            "from": "from@example.com", "to": ["ann@example.com", "bob@example.com"],
            "subject": "a", "text_body": "b", field: value
        });
        let message = serde_json::from_value(fields).unwrap();
        let error = mailer.send(&message).await.unwrap_err();
        let found = error
            .unsupported()
            .iter()
            .find(|it| it.feature == Some(feature));
        assert_eq!(found.map(|it| &*it.requested), Some(requested), "{error}");
    }
}

#[tokio::test]
async fn what_depends_on_a_dropped_feature_is_dropped_and_reported_too() {
    let backend = backend(&[
        (Feature::Batch, Support::Yes),
        (Feature::MergeGlobalData, Support::With(Feature::Template)),
    ]);
    let outbox = backend.outbox();
    let mailer = Mailer::builder(backend).unsupported(UnsupportedPolicy::Drop);
    let mut message = message();
    message.template_id = "welcome".to_owned().into();
    let shop = ("shop".to_owned(), "Anvils".into());
    message.merge_global_data.value_or_default().extend([shop]);
    let status = mailer.build().send(&message).await.unwrap();
    let dropped: Vec<_> = status.dropped.iter().filter_map(|it| it.feature).collect();
    assert!(dropped.contains(&Feature::Template), "{dropped:?}");
    assert!(dropped.contains(&Feature::MergeGlobalData), "{dropped:?}");
    let sent = &outbox.messages()[0].message;
    assert_eq!(sent.template_id.value(), None);
    assert_eq!(sent.merge_global_data.value(), None);
}
