//! Hooks that prevent a staging system from sending to real people, whatever the message contains.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod scripted;

use anymail_core::{
    Address, AllowDomains, Capabilities, Feature, HookError, Mailer, Message, PreSendVerdict,
    RedirectTo, SendDefaults, SendErrorKind, SendStatus, Status, Support, UnsupportedPolicy,
};
use proptest::prelude::*;
use scripted::Scripted;
use serde_json::json;

fn message(value: serde_json::Value) -> Message {
    serde_json::from_value(value).unwrap()
}

fn redirecting(backend: &Scripted) -> Mailer {
    let hook = RedirectTo::new("QA <qa@staging.example>".parse().unwrap());
    Mailer::builder(backend.clone()).pre_send(hook).build()
}

fn allowing(backend: &Scripted) -> Mailer {
    let hook = AllowDomains::new(["ours.example", "příklad.cz"]).unwrap();
    Mailer::builder(backend.clone()).pre_send(hook).build()
}

fn status_of(status: &SendStatus, email: &str) -> Option<Status> {
    status.recipient(email).map(|r| r.status)
}

#[tokio::test]
async fn a_redirected_batch_keeps_one_message_for_each_recipient_with_their_values() {
    let backend = Scripted::new("acme");
    let batch = message(json!({
        "from": "a@x.example", "to": ["Ann <ann@x.example>", "BOB@x.example", "cy@x.example"],
        "cc": "dan@x.example", "bcc": "eve@x.example, fay@x.example", "subject": "Hello",
        "merge_data": {"ann@x.example": {"n": "Ann"}, "bob@x.example": {"n": "Bob"}},
        "merge_metadata": {"bob@x.example": {"id": "2"}},
        "merge_headers": {"cy@x.example": {"X-Own": "3"}},
        "headers": {"X-All": "1"},
    }));
    redirecting(&backend).send(&batch).await.unwrap();
    let sent = serde_json::to_value(&backend.calls()[0][0]).unwrap();
    let to = |n| format!("qa+{n}@staging.example");
    assert_eq!(
        sent,
        json!({
            "from": "a@x.example", "cc": null, "bcc": null, "subject": "Hello",
            "to": ["QA <qa+1@staging.example>", "QA <qa+2@staging.example>",
                "QA <qa+3@staging.example>"],
            "headers": {"X-All": "1", "X-Anymail-Original-Cc": "dan@x.example",
                "X-Anymail-Original-Bcc": "eve@x.example, fay@x.example"},
            "merge_data": {to(1): {"n": "Ann"}, to(2): {"n": "Bob"}},
            "merge_metadata": {to(2): {"id": "2"}},
            "merge_headers": {
                to(1): {"X-Anymail-Original-To": "ann@x.example"},
                to(2): {"X-Anymail-Original-To": "BOB@x.example"},
                to(3): {"X-Own": "3", "X-Anymail-Original-To": "cy@x.example"},
            },
        })
    );
}

#[tokio::test]
async fn recipients_from_defaults_and_earlier_hooks_are_redirected_too() {
    let backend = Scripted::new("acme");
    let defaults: SendDefaults =
        serde_json::from_value(json!({"bcc": ["archive@x.example"]})).unwrap();
    let add_cc = |message: &mut Message| -> Result<PreSendVerdict, HookError> {
        message
            .cc
            .value_or_default()
            .push("boss@x.example".parse()?);
        Ok(PreSendVerdict::Send)
    };
    let mailer = Mailer::builder(backend.clone())
        .send_defaults(defaults)
        .pre_send(add_cc)
        .pre_send(RedirectTo::new("qa@staging.example".parse().unwrap()))
        .build();
    let to_ann = message(json!({"from": "a@x.example", "to": "ann@x.example"}));
    let status = mailer.send(&to_ann).await.unwrap();
    let sent = &backend.calls()[0][0];
    let recipients: Vec<_> = sent.recipients().map(Address::email).collect();
    assert_eq!(recipients, ["qa@staging.example"]);
    let headers = sent.headers.value().unwrap();
    assert_eq!(headers.get("X-Anymail-Original-Cc"), Some("boss@x.example"));
    assert_eq!(
        headers.get("X-Anymail-Original-Bcc"),
        Some("archive@x.example")
    );
    assert_eq!(status_of(&status, "qa@staging.example"), Some(Status::Sent));
}

#[tokio::test]
async fn a_redirected_message_without_recipients_is_still_refused() {
    let backend = Scripted::new("acme");
    let to_nobody = message(json!({"from": "a@x.example"}));
    let error = redirecting(&backend).send(&to_nobody).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
}

#[tokio::test]
async fn an_esp_without_headers_still_gets_no_real_recipient() {
    let backend = Scripted::new("acme").can([(Feature::Batch, Support::Yes)]);
    let plain = message(json!({"from": "a@x.example", "to": "ann@x.example"}));
    let error = redirecting(&backend).send(&plain).await.unwrap_err();
    assert_eq!(error.unsupported()[0].feature, Some(Feature::Headers));
    let hook = RedirectTo::new("qa@staging.example".parse().unwrap());
    let mailer = Mailer::builder(backend.clone())
        .pre_send(hook)
        .unsupported(UnsupportedPolicy::Drop)
        .build();
    let status = mailer.send(&plain).await.unwrap();
    assert_eq!(
        backend.calls()[0][0].to.items()[0].email(),
        "qa@staging.example"
    );
    assert_eq!(status.dropped.len(), 1);
}

#[tokio::test]
async fn only_allowed_domains_get_messages_and_the_others_are_reported() {
    let backend = Scripted::new("acme");
    let mixed = message(json!({
        "from": "a@x.example",
        "to": ["one@OURS.example", "ann@x.example", "two@xn--pklad-zsa96e.cz"],
        "cc": "boss@sub.ours.example", "bcc": "log@ours.example",
    }));
    let status = allowing(&backend).send(&mixed).await.unwrap();
    let calls = backend.calls();
    let recipients: Vec<_> = calls[0][0].recipients().map(Address::email).collect();
    assert_eq!(
        recipients,
        [
            "one@OURS.example",
            "two@xn--pklad-zsa96e.cz",
            "log@ours.example"
        ]
    );
    for (email, expected) in [
        ("one@ours.example", Status::Sent),
        ("log@ours.example", Status::Sent),
        ("ann@x.example", Status::Failed),
        ("boss@sub.ours.example", Status::Failed),
    ] {
        assert_eq!(status_of(&status, email), Some(expected), "{email}");
    }
    let detail = status
        .recipient("ann@x.example")
        .unwrap()
        .detail
        .clone()
        .unwrap();
    assert_eq!(
        detail.message,
        "not an allowed domain (allowed: ours.example, xn--pklad-zsa96e.cz)"
    );
}

#[tokio::test]
async fn a_message_that_loses_all_of_its_to_is_cancelled() {
    let backend = Scripted::new("acme");
    for lost in [
        json!({"from": "a@x.example", "to": "ann@x.example"}),
        json!({"from": "a@x.example", "to": "ann@x.example", "bcc": "log@ours.example"}),
        json!({"from": "a@x.example", "cc": "ann@x.example"}),
        json!({"from": "a@x.example", "to": ["ann@x.example"], "merge_data": {}}),
    ] {
        let error = allowing(&backend).send(&message(lost)).await.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Cancelled);
        assert!(error.to_string().contains("ours.example"), "{error}");
    }
    assert_eq!(backend.calls().len(), 0);
}

#[tokio::test]
async fn an_address_in_esp_extra_cancels_the_message_and_is_not_quoted() {
    let backend = Scripted::new("acme");
    for (extra, fine_here, fine_there) in [
        (json!({"Bcc": "real@x.example"}), false, false),
        (
            json!({"deep": [{"to": {"email": "real@x.example"}}]}),
            false,
            false,
        ),
        (json!({"vars": {"real@x.example": {}}}), false, false),
        (
            json!({"url": "https://user:s3cret@x.example"}),
            false,
            false,
        ),
        (json!({"Bcc": "QA@staging.example"}), true, false),
        (json!({"Bcc": "log@ours.example"}), false, true),
        (json!({"Stream": "news", "n": 1}), true, true),
    ] {
        let to =
            message(json!({"from": "a@x.example", "to": "a@ours.example", "esp_extra": extra}));
        for (mailer, fine) in [
            (redirecting(&backend), fine_here),
            (allowing(&backend), fine_there),
        ] {
            match mailer.send(&to).await {
                Ok(_) => assert!(fine, "{extra}"),
                Err(error) => {
                    assert!(!fine, "{extra}");
                    assert_eq!(error.kind(), SendErrorKind::Cancelled);
                    let shown = format!("{error} {error:?}");
                    assert!(
                        !shown.contains("s3cret") && !shown.contains("real@"),
                        "{shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_invalid_domain_cannot_be_allowed() {
    for bad in ["", "@", "a b.example", "a@b.example", "x..example"] {
        assert!(AllowDomains::new([bad]).is_err(), "{bad:?}");
    }
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z]{1,8}@(ours|x|y)\\.example", 0..4)
}

proptest! {
    /// No message reaches an address that staging does not allow, however the message is built.
    #[test]
    fn no_real_recipient_is_ever_reached(
        to in addresses(), cc in addresses(), bcc in addresses(), batch in any::<bool>(),
    ) {
        let mut value = json!({"from": "a@x.example", "to": to, "cc": cc, "bcc": bcc});
        if batch {
            value["merge_data"] = json!({"a@x.example": {"n": 1}});
        }
        let message = message(value);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let backend = Scripted::new("acme").can(Capabilities::all());
            let _ = redirecting(&backend).send(&message).await;
            for sent in backend.calls().concat() {
                let fine = |a: &Address| {
                    a.domain() == "staging.example" && a.local_part().starts_with("qa")
                };
                assert!(sent.recipients().all(fine));
                assert_eq!(sent.to.items().len(), if batch { message.to.items().len() } else { 1 });
            }
            let backend = Scripted::new("acme").can(Capabilities::all());
            let _ = allowing(&backend).send(&message).await;
            for sent in backend.calls().concat() {
                assert!(sent.recipients().all(|a| a.domain() == "ours.example"));
            }
        });
    }
}
