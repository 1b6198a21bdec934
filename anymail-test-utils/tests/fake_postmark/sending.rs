//! `email` and `email/batch`: what is accepted, what is refused, and with which error message.

use anymail_test_utils::{FakePostmark, Fault, InactiveReason, StreamKind};
use serde_json::{Value, json};

use crate::caller::{Caller, email};

#[tokio::test]
async fn a_message_with_all_fields_arrives_completely() {
    let caller = Caller::new().await;
    let answer = caller
        .email(json!({
            "From": "\"Doe, Jane\" <jane@example.com>",
            "To": "Recipient <to1@example.com>, to2@example.com",
            "Cc": "copied@example.com",
            "Bcc": "blind@example.com",
            "Tag": "Invitation",
            "HtmlBody": "<b>Hello</b><img src=\"cid:logo\">",
            "ReplyTo": "reply@example.com, other@example.com",
            "Headers": [{"Name": "X-A", "Value": "1"}, {"Name": "X-a", "Value": "2"}],
            "TrackOpens": true,
            "TrackLinks": "HtmlOnly",
            "Attachments": [
                {"Name": "a.txt", "Content": "dGVz\r\ndA==", "ContentType": "text/plain", "ContentID": null},
                {"Name": "l.png", "Content": "", "ContentType": "image/png", "ContentID": "cid:logo"},
            ],
            "Metadata": {"color": "blue"},
            "MessageStream": "broadcast",
            "Unknown": {"ignored": true},
        }))
        .await
        .ok();
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["ErrorCode", "Message", "MessageID", "SubmittedAt", "To"]
    );
    assert_eq!(answer["ErrorCode"], 0);
    assert_eq!(answer["Message"], "OK");
    assert_eq!(answer["To"], "Recipient <to1@example.com>, to2@example.com");
    let at = answer["SubmittedAt"].as_str().unwrap();
    assert!(at.len() == 28 && at.ends_with('Z'), "{at}");

    let messages = caller.postmark.messages();
    let message = &messages[0];
    assert_eq!(answer["MessageID"], message.id.as_str());
    assert_eq!(message.from.name, "Doe, Jane");
    assert_eq!(message.to[0].name, "Recipient");
    assert_eq!(message.recipients().count(), 4);
    assert_eq!(message.reply_to.len(), 2);
    assert_eq!(message.header("x-A"), Some("1"));
    assert_eq!(message.headers[1], ("X-a".to_owned(), "2".to_owned()));
    assert_eq!(message.attachments[0].content, "test");
    assert_eq!(message.attachments[0].content_id, None);
    assert_eq!(message.attachments[1].content_id.as_deref(), Some("logo"));
    assert_eq!(message.metadata["color"], "blue");
    assert_eq!(message.tag.as_deref(), Some("Invitation"));
    assert_eq!(message.stream, "broadcast");
    assert!(message.track_opens);
    assert_eq!(message.track_links, "HtmlOnly");
    assert_eq!(message.endpoint, "email");
    assert_eq!(message.request["Unknown"]["ignored"], true);
}

#[tokio::test]
async fn field_names_are_case_insensitive_and_null_is_absent() {
    let caller = Caller::new().await;
    let body = json!({
        "from": "a@example.com", "TO": "b@example.com", "HTMLBody": "<p>", "textBody": null,
        "Cc": "", "Bcc": "", "ReplyTo": "", "Tag": null, "Headers": null, "Attachments": null,
        "Metadata": null, "TrackOpens": null, "MessageStream": null,
        "attachments": [{"name": "x", "CONTENT": "", "contentType": "text/plain", "ContentId": "y"}],
    });
    caller.post("email", &body).await.ok();
    let message = &caller.postmark.messages()[0];
    assert_eq!(message.html_body.as_deref(), Some("<p>"));
    assert_eq!(message.text_body, None);
    assert_eq!(message.attachments[0].content_id.as_deref(), Some("y"));
    assert_eq!(message.stream, "outbound");
}

#[tokio::test]
async fn a_message_can_have_only_cc_or_bcc_and_its_response_has_no_to() {
    let caller = Caller::new().await;
    for field in ["Cc", "Bcc"] {
        let answer = caller
            .email(json!({"To": null, field: "x@example.com"}))
            .await;
        assert!(answer.ok().get("To").is_none());
    }
}

#[tokio::test]
async fn invalid_messages_are_refused_with_postmarks_error_messages() {
    let caller = Caller::new().await;
    let long_key = "onboarding_experiment";
    let metadata_words = format!(
        "Invalid metadata content. Field names are limited to 20 characters and field values \
         are limited to 80 characters in length. The '{long_key}' field in your metadata content \
         exceeds these limits."
    );
    let cases = [
        (json!({"From": null}), 300, "Invalid 'From' address: ''."),
        (
            json!({"From": "x@localhost"}),
            300,
            "Invalid 'From' address: 'x@localhost'.",
        ),
        (json!({"To": null}), 300, "Zero recipients specified"),
        (
            json!({"To": "", "Cc": "  "}),
            300,
            "Zero recipients specified",
        ),
        (
            json!({"To": "foo@bar"}),
            300,
            "Invalid 'To' address: 'foo@bar'.",
        ),
        (
            json!({"To": "Doe, John <j@example.com>"}),
            300,
            "Error parsing 'To': Illegal email address 'Doe'. It must contain the '@' symbol.",
        ),
        (
            json!({"ReplyTo": "invalid@+"}),
            300,
            "Error parsing 'Reply-To': Illegal email domain '+' in address 'invalid@+'.",
        ),
        (
            json!({"TextBody": null}),
            300,
            "Provide either email TextBody or HtmlBody or both.",
        ),
        (json!({"Metadata": {long_key: "x"}}), 300, &metadata_words),
        (
            json!({"Attachments": [{"Name": "virus.EXE", "Content": "", "ContentType": "a/b"}]}),
            411,
            "Attachment file type not allowed.",
        ),
        (
            json!({"MessageStream": "unknown-stream"}),
            1235,
            "The stream provided: 'unknown-stream' does not exist on this server.",
        ),
        (
            json!({"MessageStream": "inbound"}),
            1236,
            "Sending is not supported on the supplied 'MessageStream'.",
        ),
    ];
    for (changes, code, words) in cases {
        caller.email(changes).await.refused(422, code, words);
    }
    assert_eq!(caller.postmark.accepted(), 0);
}

/// Asserts that a message at the limit is accepted, and that one over it is refused with `code`.
async fn limit(caller: &Caller, code: i64, at: Value, over: Value) {
    caller.email(at).await.ok();
    let answer = caller.email(over).await;
    assert_eq!(
        (answer.status, &answer.json()["ErrorCode"]),
        (422, &json!(code))
    );
}

#[tokio::test]
async fn limits_are_exact() {
    let caller = Caller::new().await;
    let list = |n: usize, kind: &str| -> String {
        let one = |i| format!("{kind}{i}@example.com");
        (0..n).map(one).collect::<Vec<_>>().join(", ")
    };
    let split = |n| json!({"To": list(20, "to"), "Cc": list(20, "cc"), "Bcc": list(n, "bcc")});
    limit(&caller, 300, split(10), split(11)).await;
    // UTF-16: an emoji counts as two.
    let subject = |n: usize| json!({"Subject": "😀".to_owned() + &"x".repeat(n - 2)});
    limit(&caller, 300, subject(2000), subject(2001)).await;
    let tag = |n: usize| json!({"Tag": "t".repeat(n)});
    limit(&caller, 300, tag(1000), tag(1001)).await;
    let from = |n: usize| json!({"From": format!("{} <a@example.com>", "n".repeat(n - 16))});
    limit(&caller, 300, from(255), from(256)).await;
    for field in ["TextBody", "HtmlBody"] {
        let body = |n: usize| json!({field: "x".repeat(n)});
        limit(&caller, 300, body(5 << 20), body((5 << 20) + 1)).await;
    }
    let metadata = |n: usize, key: usize, value: usize| {
        let pair = |i| (format!("{i:0key$}"), json!("v".repeat(value)));
        json!({"Metadata": (0..n).map(pair).collect::<serde_json::Map<_, _>>()})
    };
    limit(&caller, 300, metadata(10, 20, 80), metadata(11, 2, 2)).await;
    limit(&caller, 300, metadata(1, 20, 80), metadata(1, 21, 80)).await;
    limit(&caller, 300, metadata(1, 20, 80), metadata(1, 20, 81)).await;
    let twice = json!({"Metadata": {"a": "1", "A": "2"}});
    limit(
        &caller,
        300,
        json!({"Metadata": {"a": "1", "b": "2"}}),
        twice,
    )
    .await;
}

#[tokio::test]
async fn invalid_headers_and_attachments_are_refused() {
    let caller = Caller::new().await;
    for header in [
        json!({"Name": "", "Value": "x"}),
        json!({"Value": "x"}),
        json!({"Name": "X:Y", "Value": "x"}),
        json!({"Name": "X Y", "Value": "x"}),
        json!({"Name": "X", "Value": "x\r\nBcc: a@b.com"}),
        json!({"Name": "X\r\nBcc", "Value": "a@b.com"}),
    ] {
        let answer = caller.email(json!({"Headers": [header]})).await;
        assert_eq!(answer.json()["ErrorCode"], 300, "{header}");
    }
    for attachment in [
        json!({"Content": "", "ContentType": "a/b"}),
        json!({"Name": "a.txt", "ContentType": "a/b"}),
        json!({"Name": "a.txt", "Content": "no base64!", "ContentType": "a/b"}),
        json!({"Name": "a.txt", "Content": "YQ", "ContentType": "a/b"}),
    ] {
        let answer = caller.email(json!({"Attachments": [attachment]})).await;
        assert_eq!(answer.json()["ErrorCode"], 300, "{attachment}");
    }
    let unnamed = json!([{"Name": "", "Content": "YQ==", "ContentType": "a/b"}]);
    caller.email(json!({"Attachments": unnamed})).await.ok();
}

#[tokio::test]
async fn inactive_recipients_are_refused_or_left_out() {
    let caller = Caller::new().await;
    let postmark = &caller.postmark;
    postmark.suppress("outbound", "Hard@Example.com", InactiveReason::HardBounce);
    postmark.suppress(
        "outbound",
        "spam@example.com",
        InactiveReason::SpamComplaint,
    );

    let all = json!({"To": "hard@example.com", "Cc": "Spam <SPAM@example.com>"});
    caller.email(all.clone()).await.refused(
        422,
        406,
        "You tried to send to recipient(s) that have been marked as inactive. Found inactive \
         addresses: hard@example.com, spam@example.com. Inactive recipients are ones that have \
         generated a hard bounce, a spam complaint, or a manual suppression.",
    );
    let to = "HARD@example.com, valid@example.com, Spam <spam@example.com>";
    let answer = caller.email(json!({"To": to})).await.ok();
    assert_eq!(answer["ErrorCode"], 0);
    assert_eq!(answer["To"], to);
    assert_eq!(
        answer["Message"],
        "Message OK, but will not deliver to these inactive addresses: hard@example.com, \
         spam@example.com"
    );
    let message = &postmark.messages()[0];
    assert_eq!(message.recipients().count(), 1);
    assert_eq!(message.inactive, ["hard@example.com", "spam@example.com"]);

    // A suppression applies to its stream only.
    let mut elsewhere = all;
    elsewhere["MessageStream"] = json!("broadcast");
    caller.email(elsewhere).await.ok();
}

#[tokio::test]
async fn a_batch_has_a_row_for_each_message_in_order() {
    let caller = Caller::new().await;
    caller
        .postmark
        .suppress("outbound", "gone@example.com", InactiveReason::HardBounce);
    let rows = json!([
        email(json!({"To": "one@example.com"})),
        email(json!({"To": "gone@example.com"})),
        email(json!({"To": "foo@bar"})),
        email(json!({"To": "two@example.com"})),
    ]);
    let answer = caller.post("email/batch", &rows).await.ok();
    let codes: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["ErrorCode"].as_i64().unwrap())
        .collect();
    assert_eq!(codes, [0, 406, 300, 0]);
    assert_eq!(answer[3]["To"], "two@example.com");
    let refused: Vec<_> = answer[2].as_object().unwrap().keys().collect();
    assert_eq!(refused, ["ErrorCode", "Message"]);
    assert_eq!(caller.postmark.accepted(), 2);
    assert_eq!(caller.postmark.calls(), 1);
    assert_eq!(caller.post("email/batch", &json!([])).await.ok(), json!([]));
}

#[tokio::test]
async fn a_batch_can_have_500_messages_but_not_501() {
    let caller = Caller::new().await;
    let rows = |n: usize| Value::Array(vec![email(json!({})); n]);
    let answer = caller.post("email/batch", &rows(500)).await.ok();
    assert_eq!(answer.as_array().unwrap().len(), 500);
    let answer = caller.post("email/batch", &rows(501)).await;
    let words = "You may only send up to 500 messages in a single batched request.";
    answer.refused(422, 410, words);
    assert_eq!(caller.postmark.accepted(), 500);
}

#[tokio::test]
async fn senders_and_approval_depend_on_the_account() {
    let builder = FakePostmark::builder().senders(["example.com", "me@example.org"]);
    let caller = Caller::of(builder).await;
    caller
        .email(json!({"From": "anybody@EXAMPLE.com"}))
        .await
        .ok();
    caller
        .email(json!({"From": "Me <me@example.org>"}))
        .await
        .ok();
    caller
        .email(json!({"From": "you@example.org"}))
        .await
        .refused(
            422,
            400,
            "The 'From' address you supplied (you@example.org) is not a Sender Signature on your \
         account. Please add and confirm this address in order to be able to use it in the \
         'From' field of your messages.",
        );

    let caller = Caller::of(FakePostmark::builder().pending_approval(true)).await;
    caller.email(json!({})).await.ok();
    caller.email(json!({"Bcc": "a@example.org"})).await.refused(
        422,
        412,
        "While your account is pending approval, all recipient addresses must share the same \
         domain as the 'From' address. The domain of the 'From' address is 'example.com', but \
         you are attempting to send email to the following domain: 'example.org'.",
    );
}

#[tokio::test]
async fn custom_streams_can_be_added() {
    let builder = FakePostmark::builder().stream("alerts", StreamKind::Transactional);
    let caller = Caller::of(builder).await;
    caller.email(json!({"MessageStream": "alerts"})).await.ok();
}

#[tokio::test]
async fn a_custom_api_error_is_a_fault() {
    let caller = Caller::new().await;
    let words = "This account is not approved to send email.";
    let fault = FakePostmark::api_error(422, 413, words);
    caller.postmark.server().inject(fault, 1);
    let answer = caller.email(json!({})).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json(), json!({"ErrorCode": 413, "Message": words}));
    assert_eq!(caller.postmark.accepted(), 0);
    caller.email(json!({})).await.ok();
}

#[tokio::test]
async fn sent_messages_can_be_searched() {
    let caller = Caller::new().await;
    let sent = caller
        .email(json!({
            "From": "Joe <joe@example.com>", "To": "Ann <ann@example.com>", "Cc": "c@example.com",
            "Tag": "welcome", "Subject": "Welcome, Ann", "Metadata": {"Order-Id": "42", "again": "42"},
            "HtmlBody": "<p>Hi</p>",
            "Attachments": [{"Name": "a.txt", "Content": "YQ==", "ContentType": "text/plain"}],
        }))
        .await
        .ok();
    caller
        .email(json!({"MessageStream": "broadcast"}))
        .await
        .ok();
    let search = async |query: &str| {
        let path = format!("messages/outbound?count=10&offset=0&{query}");
        caller.get(&path).await.ok()
    };
    let all = search("").await;
    assert_eq!(all["TotalCount"], 2);
    assert_eq!(
        all["Messages"][1]["MessageID"], sent["MessageID"],
        "newest first"
    );
    let row = &all["Messages"][1];
    assert_eq!(row["From"], "\"Joe\" <joe@example.com>");
    assert_eq!(
        row["To"],
        json!([{"Email": "ann@example.com", "Name": "Ann"}])
    );
    assert_eq!(
        row["Recipients"],
        json!(["ann@example.com", "c@example.com"])
    );
    assert_eq!(row["Attachments"], json!(["a.txt"]));
    assert_eq!(row["Status"], "Sent");
    for query in [
        "recipient=ANN%40example.com",
        "recipient=c@example.com",
        "tag=welcome",
        "metadata_order-id=42",
        "fromemail=joe@example.com",
        "subject=welcome",
        "messagestream=outbound&status=sent",
        "fromdate=2020-01-01&tag=welcome",
    ] {
        let found = search(query).await;
        assert_eq!(found["TotalCount"], 1, "{query}");
        assert_eq!(found["Messages"][0]["MessageID"], sent["MessageID"]);
    }
    for query in [
        "tag=wel",
        "metadata_order-id=4",
        "status=queued",
        "todate=2020-01-01",
    ] {
        assert_eq!(search(query).await["TotalCount"], 0, "{query}");
    }
    let page = caller.get("messages/outbound?count=1&offset=1").await.ok();
    assert_eq!(page["TotalCount"], 2);
    assert_eq!(page["Messages"].as_array().unwrap().len(), 1);
    for bad in [
        "",
        "count=501&offset=0",
        "count=0&offset=0",
        "count=500&offset=9501",
    ] {
        let answer = caller.get(&format!("messages/outbound?{bad}")).await;
        assert_eq!(answer.json()["ErrorCode"], 700, "{bad}");
    }

    let id = sent["MessageID"].as_str().unwrap();
    let details = caller
        .get(&format!("messages/outbound/{id}/details"))
        .await
        .ok();
    assert_eq!(details["TextBody"], "Hi!");
    assert_eq!(details["HtmlBody"], "<p>Hi</p>");
    assert_eq!(details["MessageEvents"], json!([]));
    let source = details["Body"].as_str().unwrap();
    assert!(source.contains("Subject: Welcome, Ann") && source.contains(id));
    let dump = caller
        .get(&format!("messages/outbound/{id}/dump"))
        .await
        .ok();
    assert!(dump["Body"].as_str().unwrap().contains("ann@example.com"));
    let missing = caller.get("messages/outbound/nothing/details").await;
    assert_eq!(missing.json()["ErrorCode"], 701);
}

#[tokio::test]
async fn the_search_can_lag_behind() {
    let hour = std::time::Duration::from_secs(3600);
    let caller = Caller::of(FakePostmark::builder().search_lag(hour)).await;
    let sent = caller.email(json!({})).await.ok();
    let found = caller.get("messages/outbound?count=1&offset=0").await.ok();
    assert_eq!(found["TotalCount"], 0);
    let id = sent["MessageID"].as_str().unwrap();
    caller
        .get(&format!("messages/outbound/{id}/details"))
        .await
        .ok();
}

#[tokio::test]
async fn a_message_with_a_lost_response_is_accepted() {
    let caller = Caller::new().await;
    let server = caller.postmark.server();
    for fault in Fault::one_of_each() {
        let (before, handled) = (caller.postmark.accepted(), u64::from(fault.handled()));
        server.inject(fault.clone(), 1);
        let client = reqwest::Client::builder().no_proxy().build().unwrap(); // a new connection, for the fault to meet
        let rows = json!([email(json!({})), email(json!({}))]);
        let _ = client
            .post(format!("{}/email/batch", caller.postmark.url()))
            .timeout(std::time::Duration::from_secs(2))
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .header("X-Postmark-Server-Token", "server-token")
            .body(rows.to_string())
            .send()
            .await;
        let accepted = caller.postmark.accepted() - before;
        assert_eq!(accepted as u64, 2 * handled, "{fault}");
    }
}
