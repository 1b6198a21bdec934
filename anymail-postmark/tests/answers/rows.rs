//! Responses to a batch: which row of the response is about which row of the call.

use super::*;

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
    let second = json!({"ErrorCode": 406, "Message": "Found inactive addresses: b@example.com."});
    let unclear = json!({"nonsense": true});
    let sent = accepted("a@example.com", "id-a");
    for (rows, wanted) in [
        ([unclear.clone(), second], Status::Unknown),
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

    // The second names its address. The first can only be about the first message.
    let answer = json!([
        {"ErrorCode": 300, "Message": "Zero recipients specified"},
        {"ErrorCode": 406, "Message": "Found inactive addresses: a@example.com."},
    ]);
    let server = self::server(ResponseTemplate::new(200).set_body_json(answer)).await;
    let results = mailer(&server).send_all(&messages[..2]).await;
    let codes = results.iter().map(|it| it.as_ref().unwrap_err().esp_code());
    assert_eq!(codes.collect::<Vec<_>>(), [Some("300"), Some("406")]);
}
