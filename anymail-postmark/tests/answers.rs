//! The results of Postmark's responses over real HTTP: every form, valid and invalid.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "answers/rows.rs"]
mod rows;

use anymail_core::{Accepted, Mailer, Message, SendError, SendErrorKind as K, SendStatus, Status};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// From an API gateway that got no response.
const GATEWAY: &str = r#"{"message": "Service Unavailable"}"#;
/// In Postmark's format, with an unknown error code.
const UNKNOWN: &str = r#"{"ErrorCode": 99999, "Message": "Service unavailable."}"#;
const MAINTENANCE: &str = r#"{"ErrorCode": 100, "Message": "Under maintenance."}"#;

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn mailer(server: &MockServer) -> Mailer {
    let config = PostmarkConfig::new("s3cret-token").api_url(server.uri());
    Mailer::new(PostmarkBackend::new(config.max_response_bytes(100_000)).unwrap())
}

fn message(to: &str) -> Message {
    let builder = Message::builder().from("from@example.com").to(to);
    builder.subject("S").text_body("the body").build().unwrap()
}

fn batch(to: &str) -> Message {
    let mut message = message(to);
    message.merge_data.value_or_default();
    message
}

async fn send(message: &Message, answer: ResponseTemplate) -> Result<SendStatus, SendError> {
    mailer(&server(answer).await).send(message).await
}

async fn send_json(message: &Message, status: u16, json: Value) -> Result<SendStatus, SendError> {
    send(message, ResponseTemplate::new(status).set_body_json(json)).await
}

fn accepted(to: &str, id: &str) -> Value {
    json!({"ErrorCode": 0, "Message": "OK", "MessageID": id, "To": to,
        "SubmittedAt": "2026-09-30T16:03:52.7892753Z"})
}

fn statuses(status: &SendStatus) -> Vec<(&str, Status, Option<&str>)> {
    let entry = |r| -> (&str, Status, Option<&str>) {
        let r: &anymail_core::RecipientStatus = r;
        (&r.email, r.status, r.message_id.as_deref())
    };
    status.recipients().map(entry).collect()
}

#[tokio::test]
async fn inactive_recipients_are_found_in_the_wording_of_every_year() {
    let to = message("Ann@Example.com, b.o.b@example.co.uk, c@example.com");
    for words in [
        "Message OK, but will not deliver to these inactive addresses: ann@example.com, \
         b.o.b@example.co.uk. Inactive recipients are ones that have generated a hard bounce \
         or a spam complaint.",
        "Message OK, but will not deliver to these inactive addresses: ann@example.com, \
         b.o.b@example.co.uk",
        "Message OK, but will not deliver to these inactive addresses:\nann@example.com, \
         b.o.b@example.co.uk.\nInactive recipients are ones that have generated a hard bounce.",
    ] {
        let mut answer = accepted("Ann@Example.com, c@example.com", "id");
        answer["Message"] = json!(words);
        let status = send_json(&to, 200, answer).await.unwrap();
        assert_eq!(
            statuses(&status),
            [
                ("Ann@Example.com", Status::Rejected, None),
                ("b.o.b@example.co.uk", Status::Rejected, None),
                ("c@example.com", Status::Sent, Some("id")),
            ],
            "{words}"
        );
    }
    for words in [
        "You tried to send to recipient(s) that have been marked as inactive. Found inactive \
         addresses: ann@example.com, b.o.b@example.co.uk, c@example.com. Inactive recipients \
         are ones that have generated a hard bounce, a spam complaint, or a manual suppression.",
        "You tried to send to a recipient that has been marked as inactive.",
    ] {
        let answer = json!({"ErrorCode": 406, "Message": words});
        let error = send_json(&to, 422, answer).await.unwrap_err();
        assert_eq!(error.kind(), K::RecipientsRefused);
        assert_eq!(error.accepted(), Accepted::No);
        assert_eq!(error.esp_code(), Some("406"));
        assert_eq!(error.message(), words);
        assert!(error.status().unwrap().all(Status::Rejected));
        let answer = json!({"ErrorCode": 406, "Message": words});
        let error = send_json(&to, 200, answer).await.unwrap_err();
        assert_eq!(error.kind(), K::RecipientsRefused);
        assert!(error.status().unwrap().all(Status::Rejected));
    }
    // None of this message's recipients.
    let answer = json!({"ErrorCode": 406, "Message": "Found inactive addresses: x@example.com."});
    let error = send_json(&to, 422, answer).await.unwrap_err();
    assert!(error.status().is_none(), "{error:?}");
}

#[tokio::test]
async fn a_message_whose_delivery_may_be_delayed_is_queued() {
    let mut delayed = accepted("a@example.com", "id");
    delayed["Message"] = json!("Message accepted, but delivery may be delayed.");
    let mut without_code = accepted("a@example.com", "id");
    without_code.as_object_mut().unwrap().remove("ErrorCode");
    for answer in [delayed, without_code] {
        let to = message("a@example.com");
        let status = send_json(&to, 200, answer.clone()).await.unwrap();
        let queued = [("a@example.com", Status::Queued, Some("id"))];
        assert_eq!(statuses(&status), queued, "{answer}");
    }
}

#[tokio::test]
async fn a_refusal_with_status_200_is_an_error_with_postmarks_error_message() {
    let one = message("a@example.com");
    let many = batch("a@example.com, b@example.com");
    let bulk = PostmarkConfig::new("token").use_bulk_api(true);
    for (message, config) in [
        (&one, PostmarkConfig::new("token")),
        (&many, PostmarkConfig::new("token")),
        (&many, bulk),
    ] {
        let refusal = json!({"ErrorCode": 300, "Message": "Zero recipients specified"});
        let answer = ResponseTemplate::new(200)
            .insert_header("retry-after", "7")
            .set_body_json(refusal);
        let server = server(answer).await;
        let backend = PostmarkBackend::new(config.api_url(server.uri())).unwrap();
        let error = Mailer::new(backend).send(message).await.unwrap_err();
        assert_eq!(error.kind(), K::Refused);
        assert_eq!(error.accepted(), Accepted::No);
        assert_eq!(error.message(), "Zero recipients specified");
        assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
    }
    let error = send_json(&many, 200, accepted("a@example.com", "id")).await;
    let error = error.unwrap_err();
    assert_eq!(error.accepted(), Accepted::Maybe);
    let words = "expected a list with a row for each message";
    assert_eq!(error.message(), words);
}

#[tokio::test]
async fn a_bulk_response_without_an_id_may_have_been_accepted() {
    for nothing in [json!({"ID": ""}), json!({"ErrorCode": 0, "Message": "OK"})] {
        let server = server(ResponseTemplate::new(200).set_body_json(&nothing)).await;
        let config = PostmarkConfig::new("token").use_bulk_api(true);
        let backend = PostmarkBackend::new(config.api_url(server.uri())).unwrap();
        let error = Mailer::new(backend).send(&batch("a@example.com")).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), K::InvalidResponse, "{nothing}");
        assert_eq!(error.accepted(), Accepted::Maybe, "{nothing}");
    }
}

#[tokio::test]
async fn one_invalid_recipient_fails_the_whole_message_and_the_status_says_so() {
    let to = message("good@example.com, o'k@bad");
    for words in [
        "Invalid 'To' address: 'o'k@bad'.",
        "Error parsing 'To': Illegal email domain 'bad' in address 'o'k@bad'.",
    ] {
        let answer = json!({"ErrorCode": 300, "Message": words});
        let error = send_json(&to, 422, answer).await.unwrap_err();
        assert_eq!(error.kind(), K::RecipientsRefused, "{words}");
        let status = error.status().unwrap();
        assert_eq!(
            statuses(status),
            [
                ("good@example.com", Status::Failed, None),
                ("o'k@bad", Status::Invalid, None),
            ]
        );
        let detail = status
            .recipient("good@example.com")
            .unwrap()
            .detail
            .as_ref();
        assert_eq!(detail.unwrap().code.as_deref(), Some("300"));
    }
}

#[tokio::test]
async fn code_300_without_a_recipient_is_a_refusal_with_postmarks_error_message() {
    for words in [
        "Zero recipients specified",
        "Provide either email TextBody or HtmlBody or both.",
        "Invalid 'From' address: 'to@example.com'.",
        "Error parsing 'Reply-To': Illegal email domain '+' in address 'to@example.com'.",
        "Invalid 'To' address: 'somebody@else.example'.",
        "Invalid metadata content. The 'To' field in your metadata content exceeds these limits.",
    ] {
        let answer = json!({"ErrorCode": 300, "Message": words});
        let error = send_json(&message("to@example.com"), 422, answer).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), K::Refused, "{words}");
        assert_eq!(error.message(), words);
        assert_eq!(error.http_status(), Some(422));
        assert!(error.status().is_none());
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_message_with_an_unexpected_response_may_have_been_accepted() {
    for json in [
        json!({}),
        json!([]),
        json!(null),
        json!("OK"),
        json!({"ErrorCode": 0, "Message": "OK"}),
        json!({"ErrorCode": 0, "Message": "OK", "MessageID": ""}),
        json!({"ErrorCode": 0, "Message": 7, "MessageID": "id"}),
        json!([accepted("to@example.com", "id")]),
    ] {
        let to = message("to@example.com");
        let error = send_json(&to, 200, json.clone()).await.unwrap_err();
        assert_eq!(error.kind(), K::InvalidResponse, "{json}");
        assert_eq!(error.accepted(), Accepted::Maybe, "{json}");
        assert_eq!(error.response(), Some(&*json.to_string()));
    }
}

#[tokio::test]
async fn a_page_an_empty_or_a_huge_body_is_classified_by_its_status() {
    let page = || "<html>Bad gateway</html>".to_owned();
    for (status, body, kind, accepted) in [
        (200, page(), K::InvalidResponse, Accepted::Maybe),
        (200, String::new(), K::InvalidResponse, Accepted::Maybe),
        (
            200,
            "{\"ErrorCode\":0".into(),
            K::InvalidResponse,
            Accepted::Maybe,
        ),
        (200, "[".repeat(90_000), K::InvalidResponse, Accepted::Maybe),
        (
            200,
            "x".repeat(100_001),
            K::InvalidResponse,
            Accepted::Maybe,
        ),
        (302, page(), K::InvalidResponse, Accepted::Maybe),
        (401, page(), K::Authentication, Accepted::No),
        (403, page(), K::Authentication, Accepted::Maybe),
        (404, page(), K::Refused, Accepted::Maybe),
        (400, "x".repeat(100_001), K::Refused, Accepted::Maybe),
        (413, page(), K::Refused, Accepted::No),
        (422, "x".repeat(100_001), K::Refused, Accepted::Maybe),
        (422, String::new(), K::Refused, Accepted::Maybe),
        (429, String::new(), K::RateLimited, Accepted::No),
        (500, page(), K::ServerError, Accepted::Maybe),
        (502, String::new(), K::ServerError, Accepted::Maybe),
        (503, page(), K::ServerError, Accepted::Maybe),
        (503, String::new(), K::ServerError, Accepted::Maybe),
        (503, GATEWAY.to_owned(), K::ServerError, Accepted::Maybe),
        (503, UNKNOWN.to_owned(), K::ServerError, Accepted::Maybe),
        (503, MAINTENANCE.to_owned(), K::ServerError, Accepted::No),
        (504, page(), K::ServerError, Accepted::Maybe),
    ] {
        let answer = ResponseTemplate::new(status)
            .set_body_raw(body, "text/html")
            .insert_header("location", "http://127.0.0.1:9/elsewhere");
        let error = send(&message("to@example.com"), answer).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert_eq!(error.accepted(), accepted, "{status}: {error}");
        assert_eq!(error.http_status(), Some(status), "{error}");
    }
    let page_words = "the body of 24 bytes is not a JSON response of Postmark";
    for (status, body, words) in [
        (200, page(), page_words),
        (502, page(), page_words),
        (200, String::new(), "the body is empty"),
        (422, String::new(), "the body is empty"),
        (
            200,
            "x".repeat(100_000),
            "the body of 100000 bytes is not a JSON response of Postmark",
        ),
        (
            200,
            "x".repeat(100_001),
            "larger than the limit of 100000 bytes",
        ),
    ] {
        let answer = ResponseTemplate::new(status).set_body_raw(body, "text/html");
        let error = send(&message("to@example.com"), answer).await.unwrap_err();
        assert_eq!(error.message(), words, "{status}");
    }
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait() {
    let answer = ResponseTemplate::new(429).insert_header("retry-after", "7");
    let error = send(&message("to@example.com"), answer).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_error_does_not_contain_a_token_that_the_server_echoes() {
    let answer = json!({"ErrorCode": 10, "Message": "No such token: s3cret-token."});
    let error = send_json(&message("to@example.com"), 401, answer)
        .await
        .unwrap_err();
    assert_eq!(error.message(), "No such token: [redacted].");
    assert!(!format!("{error:?} {:?}", error.response()).contains("s3cret-token"));
}

#[tokio::test]
async fn a_member_of_the_wrong_type_counts_as_absent() {
    let to = message("a@example.com");
    for wrong in [
        json!(1.5),
        json!(true),
        json!(null),
        json!(["a"]),
        json!({"a": 1}),
    ] {
        let mut answer = accepted("a@example.com", "id");
        answer["MessageID"] = wrong.clone();
        let error = send_json(&to, 200, answer).await.unwrap_err();
        assert_eq!(error.kind(), K::InvalidResponse, "{wrong}");
        assert_eq!(error.accepted(), Accepted::Maybe, "{wrong}");

        for member in ["SubmittedAt", "To"] {
            let mut answer = accepted("a@example.com", "id");
            answer[member] = wrong.clone();
            assert!(send_json(&to, 200, answer).await.is_ok(), "{wrong}");
        }
    }
    let mut answer = accepted("a@example.com", "id");
    answer["ErrorCode"] = json!(-1);
    let error = send_json(&to, 200, answer).await.unwrap_err();
    assert_eq!(error.esp_code(), Some("-1"));
}

#[tokio::test]
async fn a_server_error_does_not_prove_who_did_not_get_the_message() {
    let words = "Found inactive addresses: to@example.com.";
    let answer = json!({"ErrorCode": 406, "Message": words});
    let error = send_json(&message("to@example.com"), 500, answer)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), K::ServerError);
    assert_eq!(error.accepted(), Accepted::Maybe);
    assert_eq!(error.message(), words);
}
