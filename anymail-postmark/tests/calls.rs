//! Which calls are made for which messages, over real HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "calls/bodies.rs"]
mod bodies;

use std::time::Duration;

use anymail_core::{
    Accepted, Attachment, Mailer, Message, RetryPolicy, SendErrorKind, SendStatus, Status,
    UnsupportedPolicy,
};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, PostmarkOptions};
use anymail_test_utils::{FakePostmark, Fault};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use serde_json::{Value, json};
use wiremock::matchers::{any, header};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Accepts every row with its recipient as the ID.
fn accept(request: &Request) -> ResponseTemplate {
    let body: Value = request.body_json().unwrap();
    let row = |row: &Value| json!({"ErrorCode": 0, "Message": "OK", "To": row["To"], "MessageID": row["To"]});
    let answer = match body.get("Messages").unwrap_or(&body) {
        Value::Array(rows) => rows.iter().map(row).collect(),
        one => row(one),
    };
    ResponseTemplate::new(200).set_body_json(answer)
}

async fn server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(accept).mount(&server).await;
    server
}

fn mailer(server: &MockServer) -> Mailer {
    let config = PostmarkConfig::new("token").api_url(server.uri());
    Mailer::new(PostmarkBackend::new(config).unwrap())
}

fn message(to: &str) -> Message {
    let builder = Message::builder().from("from@example.com").to(to);
    builder.subject("S").text_body("the body").build().unwrap()
}

/// Returns the calls as path, token and number of rows, in no particular order.
async fn calls(server: &MockServer) -> Vec<(String, String, usize)> {
    let requests = server.received_requests().await.unwrap();
    let mut calls: Vec<_> = requests
        .iter()
        .map(|request| {
            let body: Value = request.body_json().unwrap();
            let rows = match body.get("Messages").unwrap_or(&body) {
                Value::Array(rows) => rows.len(),
                _ => 0,
            };
            let token = request.headers["x-postmark-server-token"].to_str().unwrap();
            (request.url.path().to_owned(), token.to_owned(), rows)
        })
        .collect();
    calls.sort();
    calls
}

fn call(path: &str, token: &str, rows: usize) -> (String, String, usize) {
    (path.to_owned(), token.to_owned(), rows)
}

#[tokio::test]
async fn a_batch_of_more_than_500_recipients_is_split_and_comes_back_as_one_status() {
    let server = server().await;
    let to: Vec<_> = (0..1201).map(|i| format!("u{i}@example.com")).collect();
    let mut many = message(&to.join(","));
    many.merge_metadata.value_or_default();
    let status = mailer(&server).send(&many).await.unwrap();
    let path = "/email/batch";
    assert_eq!(
        calls(&server).await,
        [
            call(path, "token", 201),
            call(path, "token", 500),
            call(path, "token", 500)
        ]
    );
    assert!(status.all(Status::Sent));
    assert_eq!(status.recipients().len(), 1201);
    for recipient in status.recipients() {
        assert_eq!(recipient.message_id.as_ref(), Some(&recipient.email));
    }
}

#[tokio::test]
async fn a_batch_of_more_than_50_mb_is_split() {
    let server = server().await;
    let mut many = message("a@example.com, b@example.com, c@example.com");
    many.merge_metadata.value_or_default();
    let file = Attachment::new("a.bin", vec![7_u8; 14_000_000]).unwrap();
    many.attachments = vec![file].into();
    let status = mailer(&server).send(&many).await.unwrap();
    let path = "/email/batch";
    assert_eq!(
        calls(&server).await,
        [call(path, "token", 1), call(path, "token", 2)]
    );
    assert!(status.all(Status::Sent));
}

#[tokio::test]
async fn a_large_attachment_arrives_completely_with_its_length_also_on_a_retry() {
    let content: Vec<_> = (0..3_000_001_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let text = STANDARD.encode(&content);
    let file = Attachment::new("report.pdf", content).unwrap();
    let mail = |to: &[&str]| {
        let mut message = message(&to.join(","));
        message.attachments = vec![file.clone()].into();
        message
    };
    let postmark = FakePostmark::start().unwrap();
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    let retry = RetryPolicy {
        first_wait: Duration::from_millis(1),
        ..RetryPolicy::standard()
    };
    let mailer = Mailer::builder(PostmarkBackend::new(config).unwrap())
        .retry(retry)
        .build();
    postmark.server().inject(Fault::rate_limited(None), 1);
    let [ann, bob] = ["ann@example.com", "bob@example.com"];
    mailer.send(&mail(&[ann])).await.unwrap();
    mailer.send(&mail(&[bob])).await.unwrap();
    // A batch contains the attachment once, as text, and sends it for both messages.
    let mut batch = mail(&[ann, bob]);
    batch.merge_metadata.value_or_default();
    mailer.send(&batch).await.unwrap();

    let requests = postmark.server().requests();
    for request in &requests {
        let length = request.body().len().to_string();
        assert_eq!(request.headers()["content-length"], length.as_str());
        assert!(!request.headers().contains_key("transfer-encoding"));
    }
    let bodies: Vec<_> = requests.iter().map(|request| request.body()).collect();
    let [failed, ann, bob, both] = bodies[..] else {
        panic!("{} calls", bodies.len());
    };
    assert!(failed == ann, "the retry sends something else");
    let body: Value = serde_json::from_slice(ann).unwrap();
    assert!(body["Attachments"][0]["Content"] == text, "another text");
    let rows = [b"[", &ann[..], b",", &bob[..], b"]"].concat();
    assert!(
        rows == *both,
        "a row of the batch differs from a mail alone"
    );
}

#[tokio::test]
async fn unrelated_messages_are_packed_by_token_and_by_template_or_not() {
    let server = server().await;
    let options = PostmarkOptions::new().server_token("other");
    let mut other = message("c@example.com");
    other.esp_extra = options.to_esp_extra().into();
    let mut template = message("d@example.com");
    template.template_id = "welcome".to_owned().into();
    let mut batch = message("e@example.com, f@example.com");
    batch.merge_metadata.value_or_default();
    let messages = [
        message("a@example.com"),
        other,
        template,
        batch,
        message("b@example.com, g@example.com"),
    ];
    let results = mailer(&server).send_all(&messages).await;
    assert_eq!(
        calls(&server).await,
        [
            call("/email/batch", "other", 1),
            call("/email/batch", "token", 4),
            call("/email/batchWithTemplates", "token", 1),
        ]
    );
    let ids: Vec<Vec<String>> = results
        .iter()
        .map(|result| {
            let ids = result.as_ref().unwrap().message_ids();
            ids.into_iter().map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(
        ids,
        [
            vec!["a@example.com"],
            vec!["c@example.com"],
            vec!["d@example.com"],
            vec!["e@example.com", "f@example.com"],
            vec!["b@example.com, g@example.com"],
        ]
    );
    for request in server.received_requests().await.unwrap() {
        assert!(!String::from_utf8_lossy(&request.body).contains("server_token"));
    }
}

#[tokio::test]
async fn a_lost_response_affects_only_the_messages_of_its_call() {
    let server = MockServer::start().await;
    let dead = ResponseTemplate::new(502);
    let token = |token: &'static str| Mock::given(header("x-postmark-server-token", token));
    token("bad").respond_with(dead).mount(&server).await;
    token("token").respond_with(accept).mount(&server).await;
    let mut bad = message("b@example.com");
    bad.esp_extra = PostmarkOptions::new()
        .server_token("bad")
        .to_esp_extra()
        .into();
    let messages = [message("a@example.com"), bad, message("c@example.com")];
    let results = mailer(&server).send_all(&messages).await;
    let [Ok(_), Err(error), Ok(_)] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!(error.accepted(), Accepted::Maybe);
}

#[tokio::test]
async fn one_lost_call_of_a_split_batch_leaves_its_rows_unknown_and_the_others_sent() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(|request: &Request| {
            let rows: Vec<Value> = request.body_json().unwrap();
            match rows.len() {
                500 => accept(request),
                _ => ResponseTemplate::new(500),
            }
        })
        .mount(&server)
        .await;
    let to: Vec<_> = (0..502).map(|i| format!("u{i}@example.com")).collect();
    let mut many = message(&to.join(","));
    many.merge_metadata.value_or_default();
    let status = mailer(&server).send(&many).await.unwrap();
    let count = |wanted| status.recipients().filter(|r| r.status == wanted).count();
    assert_eq!((count(Status::Sent), count(Status::Unknown)), (500, 2));
}

#[tokio::test]
async fn if_all_calls_of_a_batch_fail_the_error_is_one_that_leaves_acceptance_open() {
    for lost in [1, 500] {
        let server = MockServer::start().await;
        let answer = move |request: &Request| {
            let rows: Vec<Value> = request.body_json().unwrap();
            ResponseTemplate::new(if rows.len() == lost { 500 } else { 413 })
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let to: Vec<_> = (0..501).map(|i| format!("u{i}@example.com")).collect();
        let mut many = message(&to.join(","));
        many.merge_metadata.value_or_default();
        let error = mailer(&server).send(&many).await.unwrap_err();
        assert_eq!(error.accepted(), Accepted::Maybe, "{lost}: {error}");
        // Neither response has an error code of Postmark.
        for recipient in error.status().unwrap().recipients() {
            assert_eq!(recipient.detail.as_ref().unwrap().code, None);
        }
    }
}

#[tokio::test]
async fn generated_ids_are_in_every_row_and_in_the_status() {
    let server = server().await;
    let config = PostmarkConfig::new("token")
        .api_url(server.uri())
        .generate_message_id(true);
    let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
    let mut batch = message("a@example.com, b@example.com");
    batch.metadata = anymail_core::Metadata::from([("k".into(), "v".into())]).into();
    batch.merge_metadata.value_or_default();
    let status: SendStatus = mailer.send(&batch).await.unwrap();
    let [request] = &server.received_requests().await.unwrap()[..] else {
        panic!()
    };
    let rows: Vec<Value> = request.body_json().unwrap();
    let ids: Vec<_> = rows
        .iter()
        .map(|row| row["Metadata"]["anymail_id"].as_str())
        .collect();
    let reported: Vec<_> = status
        .recipients()
        .map(|r| r.message_id.as_deref())
        .collect();
    assert_eq!(ids, reported);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(rows[0]["Metadata"]["k"], "v");

    let mut own = message("c@example.com");
    let id = anymail_core::Metadata::from([("anymail_id".into(), "own".into())]);
    own.merge_metadata
        .value_or_default()
        .insert("c@example.com", id);
    let status = mailer.send(&own).await.unwrap();
    assert_eq!(status.message_id(), Some("own"));
}

#[tokio::test]
async fn connections_are_reused_and_a_closed_port_is_certainly_not_accepted() {
    let server = server().await;
    let mailer = mailer(&server);
    for _ in 0..3 {
        mailer.send(&message("a@example.com")).await.unwrap();
    }
    drop(server);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let config = PostmarkConfig::new("token").api_url(&url);
    let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
    let error = mailer.send(&message("a@example.com")).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connect);
    assert_eq!(error.accepted(), Accepted::No);
    assert!(error.is_transient());
    assert!(
        error
            .to_string()
            .starts_with(&format!("could not connect to postmark at {url}: ")),
        "{error}"
    );
}

#[cfg(feature = "rustls-tls")]
#[tokio::test]
async fn a_connect_timeout_is_certainly_not_accepted() {
    // The system accepts connections, but nothing answers the TLS handshake.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let config = PostmarkConfig::new("token")
        .api_url(url)
        .connect_timeout(Duration::from_millis(200))
        .timeout(Duration::from_secs(60));
    let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
    // The time limit of the whole call would leave the result unknown.
    let error = mailer.send(&message("a@example.com")).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connect, "{error}");
    assert_eq!(error.accepted(), Accepted::No);
    assert!(error.is_transient());
}

#[cfg(feature = "rustls-tls")]
#[tokio::test]
async fn a_server_without_tls_at_an_https_url_is_named_as_the_problem() {
    let server = server().await;
    let config = PostmarkConfig::new("token").api_url(server.uri().replace("http:", "https:"));
    let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
    let error = mailer.send(&message("a@example.com")).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connect, "{error}");
    let hint = "if the server does not use TLS on this port, write http://";
    assert!(error.message().contains(hint), "{error}");
}
