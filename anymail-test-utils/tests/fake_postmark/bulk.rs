//! `email/bulk` and its status.

use anymail_test_utils::{FakePostmark, InactiveReason, StoredTemplate};
use serde_json::{Value, json};

use crate::caller::Caller;

fn bulk(changes: Value) -> Value {
    let mut request = json!({
        "From": "sender@example.com",
        "Subject": "Hi {{FirstName}}",
        "TextBody": "Hi, {{FirstName}}",
        "HtmlBody": "<p>{{FirstName}}</p>",
        "MessageStream": "broadcast",
        "Tag": "news",
        "Headers": [{"Name": "X-A", "Value": "all"}, {"Name": "X-B", "Value": "all"}],
        "Metadata": {"k": "all", "l": "all"},
        "Messages": [
            {"To": "one@example.com", "TemplateModel": {"FirstName": "O&ne"}},
            {"To": "two@example.com", "Cc": "cc@example.com", "TemplateModel": {"FirstName": "Two"},
             "Metadata": {"K": "own"}, "Headers": [{"Name": "x-a", "Value": "own"}]},
        ],
    });
    for (key, value) in changes.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

#[tokio::test]
async fn a_bulk_request_is_rendered_for_each_and_reports_its_progress() {
    let caller = Caller::new().await;
    let answer = caller.post("email/bulk", &bulk(json!({}))).await.ok();
    assert_eq!(answer["Status"], "Accepted");
    assert_eq!(answer["TotalMessages"], 2);
    assert_eq!(answer["PercentageCompleted"], 0.0);
    assert_eq!(answer["Subject"], "Hi {{FirstName}}");
    let id = answer["ID"].as_str().unwrap();

    let status = caller.get(&format!("email/bulk/{id}")).await.ok();
    assert_eq!(status["Id"], id);
    assert_eq!(status["Status"], "Completed");
    assert_eq!(
        (&status["ReleasedCount"], &status["FailedCount"]),
        (&json!(2), &json!(0))
    );

    let messages = caller.postmark.messages();
    assert_eq!(messages[0].subject, "Hi O&ne");
    assert_eq!(messages[0].html_body.as_deref(), Some("<p>O&amp;ne</p>"));
    assert_eq!(messages[0].bulk_id.as_deref(), Some(id));
    assert_eq!(messages[0].metadata["k"], "all");
    let second = &messages[1];
    assert_eq!(second.cc[0].email, "cc@example.com");
    assert_eq!(second.header("X-A"), Some("own"));
    assert_eq!(second.header("X-B"), Some("all"));
    assert_eq!(
        (second.metadata["K"].as_str(), second.metadata["l"].as_str()),
        ("own", "all")
    );
    assert_eq!(second.tag.as_deref(), Some("news"));
    assert_eq!(second.stream, "broadcast");
    assert_eq!(second.endpoint, "email/bulk");
}

#[tokio::test]
async fn a_bulk_request_may_use_a_template_and_the_default_stream() {
    let caller = Caller::new().await;
    let news = StoredTemplate::new("news").subject("{{FirstName}}!");
    caller.postmark.add_template(news.text_body("x"));
    let request = bulk(json!({
        "Subject": null, "TextBody": null, "HtmlBody": null, "MessageStream": null,
        "TemplateAlias": "news",
    }));
    caller.post("email/bulk", &request).await.ok();
    let message = &caller.postmark.messages()[1];
    assert_eq!(
        (message.subject.as_str(), message.stream.as_str()),
        ("Two!", "broadcast")
    );
    let request = bulk(json!({"TemplateAlias": "news"}));
    let answer = caller.post("email/bulk", &request).await;
    assert_eq!(answer.json()["ErrorCode"], 1123);
}

#[tokio::test]
async fn suppressed_and_unrenderable_messages_count_as_failed() {
    let caller = Caller::new().await;
    let spam = InactiveReason::SpamComplaint;
    caller
        .postmark
        .suppress("broadcast", "one@example.com", spam);
    let text = "{{#each FirstName}}x{{/each}}";
    let answer = caller
        .post("email/bulk", &bulk(json!({"TextBody": text})))
        .await
        .ok();
    let id = answer["ID"].as_str().unwrap();
    let status = caller.get(&format!("email/bulk/{id}")).await.ok();
    assert_eq!(
        (&status["ReleasedCount"], &status["FailedCount"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(caller.postmark.accepted(), 0);
}

#[tokio::test]
async fn a_bulk_request_is_accepted_completely_or_not_at_all() {
    let caller = Caller::new().await;
    let one = |changes| {
        let request = bulk(changes);
        let caller = &caller;
        async move { caller.post("email/bulk", &request).await }
    };
    one(json!({"From": "test@x"}))
        .await
        .refused(422, 300, "Invalid 'From' address: 'test@x'.");
    let to = json!([{"To": "a@b.com"}, {"To": "test@y"}]);
    one(json!({"Messages": to}))
        .await
        .refused(422, 300, "Invalid 'To' address: 'test@y'.");
    let answer = one(json!({"From": "test@x", "Messages": [{"To": "test@y"}, {"To": "test@y"}, {"To": "a@b.com"}]})).await;
    let expected = json!({
        "ErrorCode": 11,
        "Message": "Multiple errors occurred. Inspect the Errors property for more information.",
        "Errors": {
            "From": [{"ErrorCode": 300, "Message": "Invalid 'From' address: 'test@x'."}],
            "To": [{"ErrorCode": 300, "Message": "Invalid 'To' address: 'test@y'."}],
        },
    });
    assert_eq!((answer.status, answer.json()), (422, expected));
    for (changes, code) in [
        (json!({"MessageStream": "outbound"}), 1236),
        (json!({"MessageStream": "missing"}), 1226),
        (json!({"TextBody": "", "HtmlBody": ""}), 300),
        (json!({"Messages": []}), 300),
        (json!({"Messages": {}}), 403),
    ] {
        assert_eq!(
            one(changes.clone()).await.json()["ErrorCode"],
            code,
            "{changes}"
        );
    }
    assert_eq!(caller.postmark.accepted(), 0);
}

#[tokio::test]
async fn bulk_requests_are_found_and_listed_page_by_page() {
    let caller = Caller::new().await;
    let missing = caller
        .get("email/bulk/00000000-0000-0000-0000-000000000000")
        .await;
    missing.refused(404, 12, "Bulk send not found.");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = caller.post("email/bulk", &bulk(json!({}))).await.ok();
        ids.push(answer["ID"].clone());
    }
    let first = caller.get("email/bulk?count=2").await.ok();
    assert_eq!(first["Requests"][0]["Id"], ids[2]);
    let key = first["PaginationKey"].as_str().unwrap();
    let second = caller
        .get(&format!("email/bulk?count=2&paginationKey={key}"))
        .await
        .ok();
    assert_eq!(second["Requests"][0]["Id"], ids[0]);
    assert!(second.get("PaginationKey").is_none());
    let answer = caller.get("email/bulk?paginationKey=nonsense").await;
    assert_eq!(answer.json()["ErrorCode"], 13);
}

#[tokio::test]
async fn bulk_needs_approval() {
    let caller = Caller::of(FakePostmark::builder().bulk_approved(false)).await;
    for answer in [
        caller.post("email/bulk", &bulk(json!({}))).await,
        caller.get("email/bulk").await,
        caller.get("email/bulk/x").await,
    ] {
        assert_eq!(
            (answer.status, &answer.json()["ErrorCode"]),
            (422, &json!(14))
        );
    }
}
