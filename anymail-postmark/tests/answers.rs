//! The results of Postmark's responses over real HTTP: every form, valid and invalid.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

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
async fn an_invalid_row_of_a_batch_affects_only_its_recipient() {
    // The last one is JSON by its grammar, but not valid text.
    for bad in [r#"{"nonsense": true}"#, "7", r#"{"Message": "\ud800"}"#] {
        let (a, d) = (
            accepted("a@example.com", "id-a"),
            accepted("d@example.com", "id-d"),
        );
        let refused = r#"{"ErrorCode": 1101, "Message": "The Template's 'Alias' is not valid."}"#;
        let answer = format!("[{a}, {refused}, {bad}, {d}]");
        let to = batch("a@example.com, b@example.com, c@example.com, d@example.com");
        let answer = ResponseTemplate::new(200).set_body_raw(answer, "application/json");
        let status = send(&to, answer).await.unwrap();
        assert_eq!(
            statuses(&status),
            [
                ("a@example.com", Status::Sent, Some("id-a")),
                ("b@example.com", Status::Failed, None),
                ("c@example.com", Status::Unknown, None),
                ("d@example.com", Status::Sent, Some("id-d")),
            ],
            "{bad}"
        );
        let refused = status.recipient("b@example.com").unwrap();
        let detail = refused.detail.as_ref().unwrap();
        assert_eq!(detail.code.as_deref(), Some("1101"));
        assert_eq!(detail.message, "The Template's 'Alias' is not valid.");
    }
}

#[tokio::test]
async fn rows_out_of_order_are_matched_by_the_addresses_that_they_name() {
    let answer = json!([
        {"ErrorCode": 406, "Message": "Found inactive addresses: c@example.com."},
        accepted("A <a@example.com>", "id-a"),
        {"ErrorCode": 300, "Message": "Invalid 'To' address: 'b@example.com'."},
    ]);
    let to = batch("a@example.com, b@example.com, c@example.com");
    let status = send_json(&to, 200, answer).await.unwrap();
    assert_eq!(
        statuses(&status),
        [
            ("a@example.com", Status::Sent, Some("id-a")),
            ("b@example.com", Status::Invalid, None),
            ("c@example.com", Status::Rejected, None),
        ]
    );
}

#[tokio::test]
async fn refusals_that_name_nobody_belong_to_the_rows_that_are_left() {
    let refused = |code: i64| json!({"ErrorCode": code, "Message": "no"});
    let to = batch("a@example.com, b@example.com, c@example.com, d@example.com");
    let moved = [
        accepted("b@example.com", "id-b"),
        accepted("a@example.com", "id-a"),
    ];
    let [second, first] = moved;
    let answer = json!([second, first, refused(1101), refused(1103)]);
    let status = send_json(&to, 200, answer).await.unwrap();
    let code = |address| {
        let detail = status.recipient(address).unwrap().detail.as_ref();
        detail.and_then(|detail| detail.code.clone())
    };
    assert_eq!(code("c@example.com").as_deref(), Some("1101"));
    assert_eq!(code("d@example.com").as_deref(), Some("1103"));

    // Who was accepted is uncertain, so neither of the two may be sent again.
    let unnamed = json!({"ErrorCode": 0, "Message": "OK", "MessageID": "id"});
    let answer = json!([second, first, refused(1101), unnamed]);
    let status = send_json(&to, 200, answer).await.unwrap();
    let left: Vec<_> = status.recipients().skip(2).map(|r| r.status).collect();
    assert_eq!(left, [Status::Unknown, Status::Unknown]);
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

        let mut answer = accepted("a@example.com", "id");
        answer["SubmittedAt"] = wrong.clone();
        assert!(send_json(&to, 200, answer).await.is_ok(), "{wrong}");
    }
}

#[tokio::test]
async fn missing_rows_leave_their_recipients_unknown() {
    let all = batch("a@example.com, b@example.com, c@example.com");
    for (answer, expected) in [
        (
            json!([accepted("a@example.com", "1")]),
            [Status::Sent, Status::Unknown, Status::Unknown],
        ),
        (
            json!([
                accepted("c@example.com", "3"),
                accepted("a@example.com", "1")
            ]),
            [Status::Sent, Status::Unknown, Status::Sent],
        ),
        // An error without an address could belong to either missing row.
        (
            json!([accepted("c@example.com", "3"), {"ErrorCode": 1101, "Message": "no"}]),
            [Status::Unknown, Status::Unknown, Status::Sent],
        ),
    ] {
        let status = send_json(&all, 200, answer.clone()).await.unwrap();
        let got: Vec<_> = status.recipients().map(|r| r.status).collect();
        assert_eq!(got, expected, "{answer}");
    }
    for nothing in [json!([]), json!([{}, 7, null])] {
        let error = send_json(&all, 200, nothing).await.unwrap_err();
        assert_eq!(error.kind(), K::InvalidResponse);
        assert_eq!(error.accepted(), Accepted::Maybe);
    }
}

#[tokio::test]
async fn extra_rows_change_nothing() {
    let answer = json!([
        accepted("a@example.com", "1"),
        accepted("b@example.com", "2"),
        accepted("x@example.com", "3"),
    ]);
    let to = batch("a@example.com, b@example.com");
    let status = send_json(&to, 200, answer).await.unwrap();
    assert_eq!(
        statuses(&status),
        [
            ("a@example.com", Status::Sent, Some("1")),
            ("b@example.com", Status::Sent, Some("2")),
        ]
    );
}

#[tokio::test]
async fn a_copy_is_sent_if_any_row_was() {
    let mut message = batch("a@example.com, b@example.com");
    message.cc = vec!["copy@example.com".parse().unwrap()].into();
    let answer = json!([
        accepted("a@example.com", "id-a"),
        {"ErrorCode": 406, "Message": "Found inactive addresses: b@example.com."},
    ]);
    let status = send_json(&message, 200, answer).await.unwrap();
    assert_eq!(
        statuses(&status),
        [
            ("a@example.com", Status::Sent, Some("id-a")),
            ("b@example.com", Status::Rejected, None),
            ("copy@example.com", Status::Sent, Some("id-a")),
        ]
    );
}

#[tokio::test]
async fn a_copy_that_may_have_been_accepted_with_any_row_is_never_reported_as_refused() {
    let mut message = batch("a@example.com, b@example.com");
    message.cc = vec!["copy@example.com".parse().unwrap()].into();
    let refused = json!({"ErrorCode": 406, "Message": "Found inactive addresses: a@example.com."});
    let unclear = json!({"nonsense": true});
    let sent = accepted("a@example.com", "id-a");
    for (rows, wanted) in [
        ([unclear.clone(), refused.clone()], Status::Unknown),
        ([refused.clone(), unclear.clone()], Status::Unknown),
        ([sent.clone(), unclear.clone()], Status::Sent),
        ([unclear, sent.clone()], Status::Sent),
        ([sent, refused.clone()], Status::Sent),
    ] {
        let answer = json!(rows);
        let status = send_json(&message, 200, answer.clone()).await.unwrap();
        let copy = status.recipient("copy@example.com").unwrap();
        assert_eq!(copy.status, wanted, "{answer}");
        assert_eq!(copy.message_id.is_some(), wanted == Status::Sent);
    }
    let error = send_json(&message, 200, json!([refused.clone(), refused])).await;
    let error = error.unwrap_err();
    let copy = error.status().unwrap().recipient("copy@example.com");
    assert_eq!(copy.unwrap().status, Status::Failed);
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

#[tokio::test]
async fn unrelated_messages_to_one_address_keep_their_own_results() {
    let answer = json!([
        accepted("a@example.com", "1"),
        {"ErrorCode": 300, "Message": "Zero recipients specified"},
        accepted("a@example.com", "3"),
        {"what": 1},
    ]);
    let server = server(ResponseTemplate::new(200).set_body_json(answer)).await;
    let messages = vec![message("a@example.com"); 4];
    let results = mailer(&server).send_all(&messages).await;
    let [one, two, three, four] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!(one.as_ref().unwrap().message_id(), Some("1"));
    assert_eq!(two.as_ref().unwrap_err().esp_code(), Some("300"));
    assert_eq!(two.as_ref().unwrap_err().accepted(), Accepted::No);
    assert_eq!(three.as_ref().unwrap().message_id(), Some("3"));
    assert_eq!(four.as_ref().unwrap_err().accepted(), Accepted::Maybe);
}
