//! After a lost response: looking up whether Postmark has the message.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use anymail_core::{Accepted, Mailer, Message, SendErrorKind as Kind};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, Fault};
use bytes::Bytes;
use serde_json::json;

fn backend(postmark: &FakePostmark) -> PostmarkBackend {
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    PostmarkBackend::new(config.generate_message_id(true)).unwrap()
}

fn message(to: &str) -> Message {
    let builder = Message::builder().from("from@example.com").to(to);
    builder.subject("S").text_body("the body").build().unwrap()
}

#[tokio::test]
async fn an_accepted_message_with_a_lost_response_is_found_and_an_unaccepted_one_is_not() {
    let postmark = FakePostmark::start().unwrap();
    let backend = backend(&postmark);
    let mailer = Mailer::new(backend.clone());
    let mut batch = message("a@example.com, b@example.com");
    batch.merge_metadata.value_or_default();
    for (fault, accepted) in [
        (Fault::AcceptThenReset, true),
        (Fault::ResetAfterReading, false),
    ] {
        for message in [message("a@example.com, b@example.com"), batch.clone()] {
            postmark.server().inject(fault.clone(), 1);
            let error = mailer.send(&message).await.unwrap_err();
            assert_eq!(error.accepted(), Accepted::Maybe);
            let status = error.status().unwrap();
            assert_eq!(status.recipients().len(), 2);
            for recipient in status.recipients() {
                let id = recipient.message_id.as_deref().unwrap();
                let found = backend.find_sent(id).await.unwrap();
                assert_eq!(found.is_some(), accepted, "{fault}");
                if let Some(found) = found {
                    let messages = postmark.messages();
                    let sent = messages.iter().find(|it| it.id == found).unwrap();
                    assert!(sent.to.iter().any(|to| to.email == recipient.email));
                }
            }
        }
    }
}

#[tokio::test]
async fn an_app_can_set_the_id_itself_to_look_the_message_up_after_a_crash() {
    let postmark = FakePostmark::start().unwrap();
    let backend = backend(&postmark);
    let mailer = Mailer::new(backend.clone());
    let mut one = message("a@example.com");
    one.metadata
        .value_or_default()
        .insert("anymail_id".into(), "order 7&8".into());
    let status = mailer.send(&one).await.unwrap();
    assert_eq!(status.message_id(), Some("order 7&8"));
    let found = backend.find_sent("order 7&8").await.unwrap();
    assert_eq!(found, Some(postmark.messages()[0].id.clone()));
    assert_eq!(backend.find_sent("order 7").await.unwrap(), None);

    // In a batch, each recipient has a separate ID; a common one would identify nobody.
    let mut batch = message("a@example.com, b@example.com");
    batch.metadata = one.metadata.clone();
    let own = json!({"anymail_id": "own-a"});
    batch
        .merge_metadata
        .value_or_default()
        .insert("a@example.com", serde_json::from_value(own).unwrap());
    let status = mailer.send(&batch).await.unwrap();
    let id = |email| status.recipient(email).unwrap().message_id.clone().unwrap();
    assert_eq!(id("a@example.com"), "own-a");
    assert_ne!(id("b@example.com"), "order 7&8");
    assert_eq!(
        postmark.messages()[2].metadata["anymail_id"],
        id("b@example.com")
    );
}

#[tokio::test]
async fn a_failed_lookup_is_an_error_and_can_be_repeated() {
    let postmark = FakePostmark::start().unwrap();
    let backend = backend(&postmark);
    let json = |body: &'static str| Fault::Status {
        status: 200,
        retry_after: None,
        content_type: "application/json".into(),
        body: Bytes::from_static(body.as_bytes()),
    };
    // A search that ignores the query and returns the newest message.
    let other = r#"{"TotalCount": 1, "Messages": [{"MessageID": "x", "Metadata": {"a": "b"}}]}"#;
    for (fault, kind, transient) in [
        (Fault::AcceptThenReset, Kind::Disconnected, true),
        (Fault::status(429), Kind::RateLimited, true),
        (Fault::status(500), Kind::ServerError, true),
        (Fault::html_page(503), Kind::ServerError, true),
        (
            FakePostmark::api_error(401, 10, "No."),
            Kind::Authentication,
            false,
        ),
        (json(""), Kind::InvalidResponse, false),
        (json("[]"), Kind::InvalidResponse, false),
        (json("{}"), Kind::InvalidResponse, false),
        (json(r#"{"Messages": [7]}"#), Kind::InvalidResponse, false),
        (json(other), Kind::InvalidResponse, false),
    ] {
        postmark.server().inject(fault.clone(), 1);
        let error = backend.find_sent("id").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error}");
        assert_eq!(error.is_transient(), transient, "{fault}: {error}");
        assert_eq!(error.accepted(), Accepted::No, "{fault}: {error}");
    }
    assert_eq!(backend.find_sent("id").await.unwrap(), None);
}

#[tokio::test]
async fn a_message_is_looked_up_in_the_backends_stream() {
    let postmark = FakePostmark::start().unwrap();
    let config = PostmarkConfig::new("server-token")
        .api_url(postmark.url())
        .message_stream("broadcast")
        .generate_message_id(true);
    let backend = PostmarkBackend::new(config).unwrap();
    let mailer = Mailer::new(backend.clone());
    let status = mailer.send(&message("a@example.com")).await.unwrap();
    let found = backend.find_sent(status.message_id().unwrap()).await;
    assert_eq!(found.unwrap(), Some(postmark.messages()[0].id.clone()));
    let asked = postmark.server().requests().pop().unwrap();
    let query = asked.uri().query().unwrap();
    assert!(query.contains("messagestream=broadcast"), "{query}");
}
