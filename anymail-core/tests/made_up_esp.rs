//! All of core over HTTP with a backend whose ESP is made up: other limits, words and answers.
// Clippy does not see that functions beside tests are tests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use anymail_core::{
    Accepted, Env, Feature, Mailer, Mailers, MailersConfig, Message, Registry, SendErrorKind,
    Status,
};
use anymail_test_utils::{FakeEsp, FakeEspBackend, FakeEspConfig, FakeEspFactory, Fault};
use serde_json::{Value, json};

fn registry() -> Registry {
    Registry::new().with(FakeEspFactory)
}

fn mailers(config: Value) -> (Mailers, Registry) {
    let config: MailersConfig = serde_json::from_value(config).unwrap();
    let registry = registry();
    (
        config.build_in(&Env::default(), &registry).unwrap(),
        registry,
    )
}

fn mailer(esp: &FakeEsp) -> Mailer {
    Mailer::new(FakeEspBackend::new(FakeEspConfig::new("api-key", esp.url())).unwrap())
}

fn message(more: Value) -> Message {
    let mut fields = json!({
        "from": "Shop <shop@example.com>", "to": ["Ann <ann@příklad.cz>"],
        "subject": "Your receipt", "text_body": "Thank you.",
    });
    for (key, value) in more.as_object().unwrap() {
        fields[key] = value.clone();
    }
    serde_json::from_value(fields).unwrap()
}

#[tokio::test]
async fn what_this_esp_can_do_arrives_in_its_own_words() {
    let esp = FakeEsp::start().unwrap();
    let sent = message(json!({
        "bcc": "log@example.com", "reply_to": "help@example.com",
        "envelope_sender": "bounces@example.com", "html_body": "<p>Thanks</p>",
        "headers": {"X-Order": "4711"}, "metadata": {"order": 4711},
        "tags": ["shop", "receipt", "eu"], "track_opens": true, "send_at": 1_900_000_000,
        "attachments": [{"filename": "a.txt", "content_base64": "YWJj"}],
        "esp_extra": {"pool": "fast"},
    }));
    esp.block("LOG@example.com");
    let status = mailer(&esp).send(&sent).await.unwrap();
    let person = |email, name: Option<&str>| json!({"email": email, "name": name});
    assert_eq!(
        esp.messages(),
        [json!({
            "pool": "fast",
            "sender": person("shop@example.com", Some("Shop")),
            "to": [person("ann@xn--pklad-zsa96e.cz", Some("Ann"))],
            "bcc": [person("log@example.com", None)],
            "answer_to": [person("help@example.com", None)],
            "bounce_to": "bounces@example.com",
            "subject": "Your receipt", "plain": "Thank you.", "html": "<p>Thanks</p>",
            "headers": {"X-Order": "4711"}, "labels": {"order": "4711"},
            "tags": ["shop", "receipt", "eu"], "watch_opens": true, "not_before": 1_900_000_000,
            "files": [{"name": "a.txt", "type": "text/plain", "data": "YWJj"}],
        })]
    );
    let of = |email| {
        status
            .recipient(email)
            .map(|r| (r.status, r.message_id.as_deref()))
    };
    assert_eq!(of("ann@příklad.cz"), Some((Status::Queued, Some("fake-1"))));
    assert_eq!(of("log@example.com"), Some((Status::Rejected, None)));
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_before_any_call_or_left_out_and_reported() {
    let esp = FakeEsp::start().unwrap();
    let asks = message(json!({
        "tags": ["1", "2", "3", "4", "5", "6"], "track_clicks": true, "template_id": "welcome",
        "reply_to": ["a@example.com", "b@example.com"], "headers": {"X-Fake-Esp": "stop"},
    }));
    let error = mailer(&esp).send(&asks).await.unwrap_err();
    let features: Vec<_> = error
        .unsupported()
        .iter()
        .map(|found| found.feature)
        .collect();
    let expected = [
        Feature::ReplyTo,
        Feature::Tags,
        Feature::TrackClicks,
        Feature::Template,
        Feature::TemplateSubject,
        Feature::TemplateBody,
    ];
    let expected: Vec<_> = expected.into_iter().map(Some).chain([None]).collect();
    assert_eq!(features, expected);
    assert_eq!(esp.server().counts().calls, 0);

    let (mailers, _) = mailers(json!({
        "backend": "fake_esp", "options": {"api_key": "api-key", "api_url": esp.url()},
        "ignore_unsupported_features": true,
    }));
    let asks = message(
        json!({"tags": ["1", "2", "3", "4", "5", "6"], "track_clicks": true,
        "headers": {"X-Fake-Esp": "stop"}}),
    );
    let status = mailers.default_mailer().send(&asks).await.unwrap();
    assert_eq!(status.dropped.len(), 3);
    let arrived = &esp.messages()[0];
    assert_eq!(arrived["tags"], json!(["1", "2", "3", "4", "5"]));
    assert_eq!(arrived.get("headers"), None);

    let batch = message(json!({"merge_data": {}}));
    let error = mailers.default_mailer().send(&batch).await.unwrap_err();
    assert_eq!(
        error.unsupported()[0].feature,
        Some(Feature::Batch),
        "never dropped"
    );
}

#[tokio::test]
async fn each_way_to_fail_says_whether_the_message_may_have_been_accepted() {
    let esp = FakeEsp::start().unwrap();
    for fault in [
        Fault::ResetAfterReading,
        Fault::AcceptThenReset,
        Fault::AcceptThenClose,
        Fault::CutShort { bytes: 5 },
        Fault::not_json(),
        Fault::empty(),
        Fault::status(500),
        Fault::status(422),
        Fault::status(503),
        Fault::html_page(503),
    ] {
        let shown = format!("{fault:?}");
        esp.server().inject(fault, 1);
        let error = mailer(&esp).send(&message(json!({}))).await.unwrap_err();
        assert_eq!(error.accepted(), Accepted::Maybe, "{shown}: {error}");
    }
    for (fault, kind) in [
        (Fault::rate_limited(None), SendErrorKind::RateLimited),
        (Fault::status(401), SendErrorKind::Authentication),
    ] {
        esp.server().inject(fault, 1);
        let error = mailer(&esp).send(&message(json!({}))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.accepted()),
            (kind, Accepted::No),
            "{error}"
        );
    }
    let error = mailer(&esp)
        .send(&message(json!({"subject": null})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.esp_code(), error.message(), error.accepted()),
        (Some("subject"), "a subject is required", Accepted::No)
    );
    let backend = FakeEspBackend::new(FakeEspConfig::new("s3cret", esp.url())).unwrap();
    let error = Mailer::new(backend)
        .send(&message(json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Authentication);
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

/// One app, one message; what changes is one value of the configuration.
#[tokio::test]
async fn an_app_switches_by_one_value() {
    let esp = FakeEsp::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for backend in ["fake_esp", "file", "memory", "console", "failover"] {
        let (mailers, registry) = mailers(json!({
            "backend": backend,
            "backends": {
                "fake_esp": {"options": {"api_key": "api-key", "api_url": esp.url()}},
                "file": {"options": {"folder": folder.path()}},
                "failover": {"options": {"members": ["fake_esp", "memory"]}},
            },
        }));
        let (arrived, stored) = (esp.messages().len(), registry.outbox().len());
        if backend == "failover" {
            esp.server().refuse().await.unwrap();
        }
        let status = mailers
            .default_mailer()
            .send(&message(json!({"tags": ["receipt"]})))
            .await;
        let status = status.unwrap();
        match backend {
            "fake_esp" => assert_eq!(esp.messages().len(), arrived + 1),
            "file" => assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1),
            "memory" => assert_eq!(registry.outbox().len(), stored + 1),
            "failover" => {
                assert_eq!(registry.outbox().len(), stored + 1);
                assert_eq!(
                    (&*status.esp, status.member.as_deref()),
                    ("memory", Some("memory"))
                );
                assert_eq!(status.member_errors[0].member, "fake_esp");
            }
            _ => assert_eq!(status.esp, "console"),
        }
    }
}

#[tokio::test]
async fn a_failover_does_not_send_again_what_the_first_may_have() {
    let esp = FakeEsp::start().unwrap();
    let (mailers, registry) = mailers(json!({
        "backend": "failover",
        "options": {"members": ["fake_esp", "memory"]},
        "backends": {"fake_esp": {"options": {"api_key": "api-key", "api_url": esp.url()}}},
    }));
    esp.server().inject(Fault::AcceptThenReset, 1);
    let error = mailers
        .default_mailer()
        .send(&message(json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.accepted(), Accepted::Maybe);
    assert_eq!((esp.messages().len(), registry.outbox().len()), (1, 0));

    let many: Vec<_> = (0..5).map(|_| message(json!({}))).collect();
    let results = mailers.default_mailer().send_all(&many).await;
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap().esp == "memory"),
        "at rest"
    );
    assert_eq!((esp.messages().len(), registry.outbox().len()), (1, 5));
}
