//! What happens to messages, and the webhooks that report it.

use anymail_test_utils::{BounceType, FakePostmark, StoredTemplate, TriggerError};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::receiver::{Receiver, keys, kinds};

/// Starts a fake that posts events to a receiver, and sends a message; returns its ID.
async fn sent(changes: Value) -> (Caller, Receiver, String) {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    caller.postmark.add_webhook(&receiver.url());
    let answer = caller.email(changes).await.ok();
    let id = answer["MessageID"].as_str().unwrap().to_owned();
    (caller, receiver, id)
}

fn tagged() -> Value {
    json!({
        "To": "John <John@example.com>", "Tag": "welcome-email", "Metadata": {"a_key": "a_value"},
        "HtmlBody": "<a href=\"https://example.com/x\">",
    })
}

#[tokio::test]
async fn a_delivery_has_the_documented_shape() {
    let (caller, receiver, id) = sent(tagged()).await;
    let reports = caller.postmark.deliver(&id).await.unwrap();
    assert_eq!(kinds(&reports), ["Delivery"]);
    assert!(reports[0].delivered);
    assert_eq!(reports[0].attempts[0].body, "seen");
    let payload = &receiver.payloads()[0];
    assert_eq!(*payload, reports[0].payload);
    let expected = [
        "DeliveredAt",
        "Details",
        "MessageID",
        "MessageStream",
        "Metadata",
        "Recipient",
        "RecordType",
        "ServerID",
        "Tag",
    ];
    assert_eq!(keys(payload), expected);
    assert_eq!(payload["MessageID"], id.as_str());
    assert_eq!(payload["Recipient"], "John@example.com");
    assert_eq!(payload["Tag"], "welcome-email");
    assert_eq!(payload["Metadata"], json!({"a_key": "a_value"}));
    assert_eq!(payload["MessageStream"], "outbound");
    assert_eq!(payload["DeliveredAt"].as_str().unwrap().len(), 28);

    let request = &receiver.requests()[0];
    assert_eq!(request.method(), "POST");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["x-pm-retries-remaining"], "6");
    let details = caller
        .get(&format!("messages/outbound/{id}/details"))
        .await
        .ok();
    let event = &details["MessageEvents"][0];
    assert_eq!(event["Type"], "Delivered");
    assert_eq!(event["Recipient"], "John@example.com");
    assert_eq!(event["Details"]["DestinationServer"], "mx.example.com");
}

#[tokio::test]
async fn every_kind_of_bounce_has_the_documented_shape() {
    let expected = [
        "BouncedAt",
        "CanActivate",
        "Description",
        "Details",
        "DumpAvailable",
        "Email",
        "From",
        "ID",
        "Inactive",
        "MessageID",
        "MessageStream",
        "Metadata",
        "Name",
        "RecordType",
        "ServerID",
        "Subject",
        "Tag",
        "Type",
        "TypeCode",
    ];
    for kind in BounceType::ALL {
        let (caller, receiver, id) = sent(tagged()).await;
        let reports = caller.postmark.bounce(&id, *kind).await.unwrap();
        let payload = &receiver.payloads()[0];
        assert_eq!(keys(payload), expected);
        assert_eq!(payload["Type"], kind.as_str());
        assert_eq!(payload["Email"], "John@example.com");
        assert_eq!(payload["From"], "sender@example.com");
        let record = match kind {
            BounceType::SpamComplaint => "SpamComplaint",
            _ => "Bounce",
        };
        assert_eq!(payload["RecordType"], record);
        let mut kinds_expected = vec![record];
        if payload["Inactive"] == true {
            kinds_expected.push("SubscriptionChange");
            let answer = caller.email(json!({"To": "john@example.com"})).await;
            assert_eq!(answer.json()["ErrorCode"], 406);
        }
        assert_eq!(kinds(&reports), kinds_expected, "{kind:?}");
    }
}

#[tokio::test]
async fn a_hard_bounce_and_a_complaint_suppress_the_address_with_the_reason() {
    for (kind, reason) in [
        (BounceType::HardBounce, "HardBounce"),
        (BounceType::SpamComplaint, "SpamComplaint"),
        (BounceType::ManuallyDeactivated, "ManualSuppression"),
    ] {
        let (caller, receiver, id) = sent(tagged()).await;
        caller.postmark.bounce(&id, kind).await.unwrap();
        let change = &receiver.payloads()[1];
        let expected = [
            "ChangedAt",
            "MessageID",
            "MessageStream",
            "Metadata",
            "Origin",
            "Recipient",
            "RecordType",
            "ServerID",
            "SuppressSending",
            "SuppressionReason",
            "Tag",
        ];
        assert_eq!(keys(change), expected);
        assert_eq!(change["SuppressionReason"], reason);
        assert_eq!(change["SuppressSending"], true);
        assert_eq!(change["Origin"], "Recipient");
        assert_eq!(change["MessageID"], id.as_str());
        let again = caller.postmark.bounce(&id, kind).await.unwrap();
        assert_eq!(
            again.len(),
            1,
            "what is suppressed already is not told again"
        );
    }
}

#[tokio::test]
async fn opens_and_clicks_have_the_documented_shape() {
    let (caller, receiver, id) = sent(tagged()).await;
    let postmark = &caller.postmark;
    postmark.open(&id).await.unwrap();
    postmark.open(&id).await.unwrap();
    let link = "https://example.com/x";
    postmark.click(&id, link).await.unwrap();
    assert!(
        postmark.click(&id, link).await.unwrap().is_empty(),
        "only the first click"
    );
    postmark.click(&id, "https://example.com/y").await.unwrap();
    let payloads = receiver.payloads();
    assert_eq!(payloads.len(), 4);
    let expected = [
        "Client",
        "FirstOpen",
        "Geo",
        "MessageID",
        "MessageStream",
        "Metadata",
        "OS",
        "Platform",
        "ReadSeconds",
        "ReceivedAt",
        "Recipient",
        "RecordType",
        "Tag",
        "UserAgent",
    ];
    assert_eq!(keys(&payloads[0]), expected);
    assert_eq!(
        (&payloads[0]["FirstOpen"], &payloads[1]["FirstOpen"]),
        (&json!(true), &json!(false))
    );
    let expected = [
        "ClickLocation",
        "Client",
        "Geo",
        "MessageID",
        "MessageStream",
        "Metadata",
        "OS",
        "OriginalLink",
        "Platform",
        "ReceivedAt",
        "Recipient",
        "RecordType",
        "Tag",
        "UserAgent",
    ];
    assert_eq!(keys(&payloads[2]), expected);
    assert_eq!(payloads[2]["OriginalLink"], link);
    assert_eq!(payloads[2]["ClickLocation"], "HTML");
    assert_eq!(payloads[3]["ClickLocation"], "Text");
}

#[tokio::test]
async fn unsubscribing_is_reported_as_the_recipients_change() {
    let (caller, _receiver, id) = sent(json!({"MessageStream": "broadcast"})).await;
    let reports = caller.postmark.unsubscribe(&id).await.unwrap();
    assert_eq!(kinds(&reports), ["SubscriptionChange"]);
    let payload = &reports[0].payload;
    assert_eq!(payload["SuppressionReason"], "ManualSuppression");
    assert_eq!(payload["Origin"], "Recipient");
    assert_eq!(payload["MessageStream"], "broadcast");
    assert_eq!(payload["Tag"], Value::Null);
    caller.email(json!({})).await.ok(); // the other stream is not affected
}

#[tokio::test]
async fn the_recipients_address_determines_the_event() {
    let cases: [(&str, &[&str], Option<&str>); 9] = [
        ("ann@example.com", &["Delivery"], None),
        (
            "HardBounce@example.com",
            &["Bounce", "SubscriptionChange"],
            Some("HardBounce"),
        ),
        ("softbounce+x@example.com", &["Bounce"], Some("SoftBounce")),
        (
            "spamcomplaint@example.com",
            &["Delivery", "SpamComplaint", "SubscriptionChange"],
            None,
        ),
        (
            "SoftBounce@bounce-testing.postmarkapp.com",
            &["Bounce"],
            Some("SoftBounce"),
        ),
        (
            "dns_error@Bounce-Testing.postmarkapp.com",
            &["Bounce"],
            Some("DnsError"),
        ),
        (
            "whoever@bounce-testing.postmarkapp.com",
            &["Bounce", "SubscriptionChange"],
            Some("HardBounce"),
        ),
        (
            "SpamComplaint@bounce-testing.postmarkapp.com",
            &["Bounce", "SubscriptionChange"],
            Some("HardBounce"),
        ),
        ("test@blackhole.postmarkapp.com", &["Delivery"], None),
    ];
    for (to, expected, kind) in cases {
        let (caller, _receiver, id) = sent(json!({"To": to})).await;
        let reports = caller.postmark.deliver(&id).await.unwrap();
        assert_eq!(kinds(&reports), expected, "{to}");
        if let Some(kind) = kind {
            assert_eq!(reports[0].payload["Type"], kind, "{to}");
        }
    }
    let header = json!([{"Name": "X-PM-Bounce-Type", "Value": "Blocked"}]);
    let to = "x@bounce-testing.postmarkapp.com";
    let (caller, _receiver, id) = sent(json!({"To": to, "Headers": header})).await;
    let reports = caller.postmark.deliver(&id).await.unwrap();
    assert_eq!(reports[0].payload["Type"], "Blocked");
}

#[tokio::test]
async fn every_active_recipient_has_their_own_event() {
    let (caller, receiver, _) = sent(json!({})).await;
    let reason = anymail_test_utils::InactiveReason::HardBounce;
    caller
        .postmark
        .suppress("outbound", "gone@example.com", reason);
    let changes =
        json!({"To": "a@x.com, gone@example.com", "Cc": "b@x.com", "Bcc": "hardbounce@x.com"});
    let answer = caller.email(changes).await.ok();
    let id = answer["MessageID"].as_str().unwrap();
    let reports = caller.postmark.deliver(id).await.unwrap();
    assert_eq!(
        kinds(&reports),
        ["Delivery", "Delivery", "Bounce", "SubscriptionChange"]
    );
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test]
async fn a_message_that_cannot_be_rendered_bounces() {
    let (caller, _receiver, _) = sent(json!({})).await;
    let template = StoredTemplate::new("t").subject("Hi");
    caller
        .postmark
        .add_template(template.text_body("{{#each name}}x{{/each}}"));
    let body = json!({
        "From": "a@example.com", "To": "b@example.com", "TemplateAlias": "t",
        "TemplateModel": {"name": 1},
    });
    let answer = caller.post("email/withTemplate", &body).await.ok();
    let reports = caller
        .postmark
        .deliver(answer["MessageID"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(reports[0].payload["Type"], "TemplateRenderingFailed");
}

#[tokio::test]
async fn events_of_an_unknown_message_are_errors() {
    let postmark = FakePostmark::start().unwrap();
    let error = postmark.deliver("nothing").await.unwrap_err();
    assert_eq!(error, TriggerError::UnknownMessage("nothing".to_owned()));
    let words = "no message with the ID \"nothing\" was accepted";
    assert_eq!(error.to_string(), words);
    let error = postmark.receive(b"").await.unwrap_err();
    assert_eq!(error, TriggerError::NotAMessage);
}

#[tokio::test]
async fn a_fake_can_deliver_at_once() {
    let receiver = Receiver::new();
    let caller = Caller::of(FakePostmark::builder().deliver_at_once(true)).await;
    caller.postmark.add_webhook(&receiver.url());
    let answer = caller
        .email(json!({"To": "hardbounce@example.com"}))
        .await
        .ok();
    let id = answer["MessageID"].as_str().unwrap();
    while receiver.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let payloads = receiver.payloads();
    assert_eq!(payloads[0]["RecordType"], "Bounce");
    assert_eq!(payloads[0]["MessageID"], id);
    let answer = caller.email(json!({"To": "hardbounce@example.com"})).await;
    assert_eq!(answer.json()["ErrorCode"], 406);
}

#[tokio::test]
async fn changes_through_the_api_are_reported_as_the_customers() {
    let (caller, receiver, _) = sent(json!({})).await;
    let path = "message-streams/outbound/suppressions";
    let body = json!({"Suppressions": [{"EmailAddress": "a@example.com"}]});
    caller.post(path, &body).await.ok();
    caller.post(path, &body).await.ok(); // no change
    caller.post(&format!("{path}/delete"), &body).await.ok();
    while receiver.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let find = |suppress: bool| {
        let payloads = receiver.payloads();
        let found = payloads
            .into_iter()
            .find(|p| p["SuppressSending"] == suppress);
        found.unwrap()
    };
    let made = find(true);
    assert_eq!(made["SuppressionReason"], "ManualSuppression");
    assert_eq!(made["Origin"], "Customer");
    assert_eq!(
        (&made["MessageID"], &made["Tag"]),
        (&Value::Null, &Value::Null)
    );
    let taken_back = find(false);
    assert_eq!(taken_back["SuppressionReason"], Value::Null);
    assert_eq!(taken_back["Metadata"], json!({}));
}
