//! Paths, methods, tokens, media types, sizes and encodings.

use std::io::Write;
use std::sync::{Arc, Mutex};

use anymail_test_utils::{FakePostmark, SentMessage};
use serde_json::json;

use crate::caller::{Caller, email, send};

#[tokio::test]
async fn paths_ignore_case_double_slashes_and_a_trailing_slash() {
    let caller = Caller::new().await;
    for path in ["email", "email/", "Email", "/email", "EMAIL//"] {
        caller.post(path, &email(json!({}))).await.ok();
    }
    for path in ["/email/batch", "email/BATCH/"] {
        caller.post(path, &json!([email(json!({}))])).await.ok();
    }
    assert_eq!(caller.postmark.accepted(), 7);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_have_distinct_statuses() {
    let caller = Caller::new().await;
    assert_eq!(caller.get("nowhere").await.status, 404);
    assert_eq!(caller.post("", &json!({})).await.status, 404);
    let answer = caller.get("email").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn exactly_one_token_is_required() {
    let caller = Caller::of(FakePostmark::builder().token("one").token("Two")).await;
    let with = |tokens: &[(&'static str, &str)]| {
        let mut request = caller
            .bare("POST", "email")
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .body(email(json!({})).to_string());
        for (name, token) in tokens {
            request = request.header(*name, *token);
        }
        send(request)
    };
    let bad = "Request does not contain a valid Server token.";
    with(&[]).await.refused(401, 10, bad);
    with(&[("X-Postmark-Server-Token", "server-token")])
        .await
        .refused(401, 10, bad);
    with(&[("X-Postmark-Account-Token", "one")])
        .await
        .refused(401, 10, bad);
    let both = [
        ("X-Postmark-Server-Token", "one"),
        ("X-Postmark-Account-Token", "x"),
    ];
    let words = "Please do not include Account API Token for Server API Token calls.";
    with(&both).await.refused(401, 10, words);
    with(&[("x-postmark-server-token", "ONE")]).await.ok();
    with(&[("X-POSTMARK-SERVER-TOKEN", "two")]).await.ok();
    assert_eq!(caller.postmark.accepted(), 2);
}

#[tokio::test]
async fn the_401_is_the_75_bytes_that_were_seen_on_the_wire() {
    let caller = Caller::of(FakePostmark::builder().token("other")).await;
    let answer = caller.email(json!({})).await;
    assert_eq!(answer.text.len(), 75);
    assert_eq!(
        answer.headers["content-type"],
        "application/json; charset=utf-8"
    );
    assert_eq!(answer.headers["cache-control"], "private");
}

#[tokio::test]
async fn messages_of_the_test_token_are_validated_but_not_kept() {
    let caller = Caller::of(FakePostmark::builder().senders(["example.org"])).await;
    let test = |method, path, body: serde_json::Value| {
        let request = caller
            .bare(method, path)
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .header("X-Postmark-Server-Token", "POSTMARK_API_TEST");
        send(request.body(body.to_string()))
    };
    let answer = test("POST", "email", email(json!({}))).await.ok();
    assert_eq!(answer["Message"], "Test job accepted");
    assert_eq!(answer["ErrorCode"], 0);
    assert_eq!(answer["To"], "receiver@example.com");
    let rows = json!([email(json!({})), email(json!({"To": null}))]);
    let answer = test("POST", "email/batch", rows).await.ok();
    assert_eq!(answer[0]["Message"], "Test job accepted");
    assert_eq!(answer[1]["ErrorCode"], 300);
    test("POST", "email", email(json!({"TextBody": ""})))
        .await
        .refused(
            422,
            300,
            "Provide either email TextBody or HtmlBody or both.",
        );
    assert_eq!(
        test("GET", "message-streams", json!(null)).await.status,
        401
    );
    assert_eq!(caller.postmark.accepted(), 0);
    assert_eq!(caller.postmark.test_jobs(), 2);
}

#[tokio::test]
async fn both_media_type_headers_are_required() {
    let caller = Caller::new().await;
    let body = email(json!({})).to_string();
    let with = |accept: &'static str, content_type: &'static str| {
        let request = caller
            .bare("POST", "email")
            .header("X-Postmark-Server-Token", "server-token")
            .header("Accept", accept)
            .header("Content-Type", content_type);
        send(request.body(body.clone()))
    };
    assert_eq!(with("text/html", "application/json").await.status, 415);
    assert_eq!(with("application/json", "text/plain").await.status, 415);
    with("*/*", "application/json; charset=utf-8").await.ok();
    let request = caller.bare("POST", "email").header("Accept", "*/*");
    assert_eq!(send(request.body(body.clone())).await.status, 415);
}

#[tokio::test]
async fn malformed_json_and_wrong_types_have_distinct_errors() {
    let caller = Caller::new().await;
    for body in ["{\"From\": ", "", "{'From': 1}", "[{]"] {
        let answer = send(caller.request("POST", "email").body(body)).await;
        answer.refused(422, 402, "Invalid JSON.");
    }
    let wrong = |path: &str| format!("Invalid request field(s): {path}");
    caller
        .post("email", &json!([1]))
        .await
        .refused(422, 403, &wrong("$"));
    for (field, value) in [
        ("To", json!(["a@b.com"])),
        ("Cc", json!(1)),
        ("TrackOpens", json!("true")),
        ("Metadata", json!([])),
        ("Metadata", json!({"a": 1})),
        ("Headers", json!({})),
        ("Attachments", json!("x")),
        ("TrackLinks", json!("Sometimes")),
    ] {
        let answer = caller.email(json!({field: value})).await;
        answer.refused(422, 403, &wrong(&format!("$.{field}")));
    }
    let rows = json!([email(json!({})), email(json!({"Subject": 1}))]);
    let answer = caller.post("email/batch", &rows).await;
    answer.refused(422, 403, &wrong("$[1].Subject"));
    let answer = caller.post("email/batch", &email(json!({}))).await;
    answer.refused(422, 403, &wrong("$"));
    assert_eq!(caller.postmark.accepted(), 0);
}

#[tokio::test]
async fn gzip_bodies_are_unpacked_up_to_the_limit() {
    let caller = Caller::new().await;
    let gzip = |text: &str| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text.as_bytes()).unwrap();
        writer.finish().unwrap()
    };
    let post = |encoding: &'static str, body: Vec<u8>| {
        let request = caller.request("POST", "email");
        send(request.header("Content-Encoding", encoding).body(body))
    };
    let packed = gzip(&email(json!({})).to_string());
    post("gzip", packed.clone()).await.ok();
    assert_eq!(post("br", packed.clone()).await.status, 415);
    post("gzip", packed[..20].to_vec())
        .await
        .refused(422, 402, "Invalid JSON.");
    // 20 MB of spaces are 20 kB of gzip.
    let bomb = gzip(&" ".repeat(20 * 1024 * 1024));
    assert_eq!(post("gzip", bomb).await.status, 413);
}

#[tokio::test]
async fn a_message_can_have_10_mb_and_a_batch_50() {
    let caller = Caller::new().await;
    let padded = |path: &'static str, inner: String, size: usize| {
        let body = inner.clone() + &" ".repeat(size - inner.len());
        send(caller.request("POST", path).body(body))
    };
    let one = email(json!({})).to_string();
    let mb = 1024 * 1024;
    padded("email", one.clone(), 10 * mb).await.ok();
    let answer = padded("email", one.clone(), 10 * mb + 1).await;
    assert_eq!((answer.status, answer.text.as_str()), (413, ""));
    let rows = format!("[{one}]");
    padded("email/batch", rows.clone(), 50 * mb).await.ok();
    let answer = padded("email/batch", rows, 50 * mb + 1).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_listener_that_panics_for_one_message_does_not_affect_others() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let heard = Arc::clone(&heard);
        move |message: &SentMessage| {
            heard.lock().unwrap().push(message.subject.clone());
            assert_ne!(message.subject, "1", "as a failed assertion would");
        }
    };
    let caller = Caller::of(FakePostmark::builder().on_message(listener)).await;
    let rows = ["0", "1", "2"].map(|subject| email(json!({ "Subject": subject })));
    let answers = caller.post("email/batch", &json!(rows)).await.ok();
    for place in 0..3 {
        assert_eq!(answers[place]["ErrorCode"], 0, "{answers}");
    }
    caller.post("email", &email(json!({}))).await.ok();
    assert_eq!(caller.postmark.accepted(), 4);
    assert_eq!(heard.lock().unwrap().len(), 4);
}
