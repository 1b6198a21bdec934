//! `webhooks`: how they are configured, and how they are called.

use std::time::Duration;

use anymail_test_utils::{FakePostmark, Fault};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::receiver::{Receiver, kinds};

async fn send_one(caller: &Caller) -> String {
    let answer = caller.email(json!({})).await.ok();
    answer["MessageID"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn retries_follow_the_schedule_for_tracking() {
    let cases: [(&'static [u16], usize, bool); 7] = [
        (&[200], 1, true),
        (&[204], 1, true),
        (&[500, 503, 200], 3, true),
        (&[408, 429, 201], 3, true),
        (&[404], 1, false),
        (&[403], 1, false),
        (&[500], 7, false),
    ];
    for (statuses, attempts, delivered) in cases {
        let caller = Caller::new().await;
        let receiver = Receiver::answering(statuses);
        caller.postmark.add_webhook(&receiver.url());
        let id = send_one(&caller).await;
        let report = caller.postmark.deliver(&id).await.unwrap().remove(0);
        assert_eq!(
            (report.attempts.len(), report.delivered),
            (attempts, delivered),
            "{statuses:?}"
        );
        assert_eq!(report.status(), statuses.last().copied());
        let requests = receiver.requests();
        assert_eq!(requests.len(), attempts);
        for (i, request) in requests.iter().enumerate() {
            assert_eq!(
                request.headers()["x-pm-webhook-trace-id"],
                report.trace_id.as_str()
            );
            let remaining = (6 - i).to_string();
            assert_eq!(
                request.headers()["x-pm-retries-remaining"],
                remaining.as_str()
            );
            assert_eq!(request.body(), requests[0].body());
        }
    }
}

#[tokio::test]
async fn retries_follow_the_schedule_for_inbound_mail() {
    let cases: [(&'static [u16], usize, bool); 5] = [
        (&[200], 1, true),
        (&[403], 1, false),
        (&[204, 404, 500, 200], 4, true),
        (&[302, 200], 2, true),
        (&[500], 11, false),
    ];
    for (statuses, attempts, delivered) in cases {
        let postmark = FakePostmark::builder().webhook_minute(Duration::ZERO);
        let postmark = postmark.start().unwrap();
        let receiver = Receiver::answering(statuses);
        postmark.set_inbound_webhook(&receiver.url());
        let mail = b"From: a@example.com\r\nTo: b@example.com\r\n\r\nHi";
        let report = postmark.receive(mail).await.unwrap().remove(0);
        assert_eq!(
            (report.attempts.len(), report.delivered),
            (attempts, delivered),
            "{statuses:?}"
        );
        let first = &receiver.requests()[0];
        assert_eq!(first.headers()["x-pm-retries-remaining"], "10");
    }
}

#[tokio::test]
async fn a_receiver_that_disconnects_is_retried() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    caller.postmark.add_webhook(&receiver.url());
    receiver.server().inject(Fault::AcceptThenClose, 1);
    receiver.server().inject(Fault::ResetAfterReading, 1);
    let id = send_one(&caller).await;
    let report = caller.postmark.deliver(&id).await.unwrap().remove(0);
    assert!(report.delivered);
    assert_eq!(
        (report.attempts.len(), report.attempts[0].status),
        (3, None)
    );
    assert!(!report.attempts[0].body.is_empty());

    receiver.server().refuse().await.unwrap();
    let report = caller.postmark.deliver(&id).await.unwrap().remove(0);
    assert_eq!((report.attempts.len(), report.delivered), (7, false));
}

#[tokio::test]
async fn credentials_come_from_the_url_or_the_settings() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    let basic = |url: &str| url.replacen("://", "://user%40x:p%3Ass@", 1);
    caller.postmark.add_webhook(&basic(&receiver.url()));
    let id = send_one(&caller).await;
    let report = caller.postmark.deliver(&id).await.unwrap().remove(0);
    let sent = receiver.requests()[0].headers()["authorization"].clone();
    assert_eq!(sent, "Basic dXNlckB4OnA6c3M="); // user@x:p:ss
    assert!(!report.url.contains("p%3Ass"), "{}", report.url);

    let hook = json!({
        "Url": receiver.url(),
        "HttpAuth": {"Username": "user", "Password": "pass"},
        "HttpHeaders": [{"Name": "X-Secret", "Value": "42"}],
        "Triggers": {"Delivery": {"Enabled": true}},
    });
    caller.post("webhooks", &hook).await.ok();
    caller.postmark.deliver(&id).await.unwrap();
    let requests = receiver.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.headers()["authorization"], "Basic dXNlcjpwYXNz");
    assert_eq!(last.headers()["x-secret"], "42");
}

#[tokio::test]
async fn a_webhook_is_created_read_changed_and_removed() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    let hook = json!({
        "Url": receiver.url(), "MessageStream": "broadcast",
        "HttpAuth": {"Username": "user", "Password": "pass"},
        "HttpHeaders": [{"Name": "name", "Value": "value"}],
        "Triggers": {"Open": {"Enabled": true, "PostFirstOpenOnly": true}, "Click": {"Enabled": true}},
    });
    let created = caller.post("webhooks", &hook).await.ok();
    let id = created["ID"].as_i64().unwrap();
    let expected = json!({
        "ID": id, "Url": receiver.url(), "MessageStream": "broadcast",
        "HttpAuth": {"Username": "user", "Password": "pass"},
        "HttpHeaders": [{"Name": "name", "Value": "value"}],
        "Triggers": {
            "Open": {"Enabled": true, "PostFirstOpenOnly": true},
            "Click": {"Enabled": true},
            "Delivery": {"Enabled": false},
            "Bounce": {"Enabled": false, "IncludeContent": false},
            "SpamComplaint": {"Enabled": false, "IncludeContent": false},
            "SubscriptionChange": {"Enabled": false},
        },
        "Status": "verified",
    });
    assert_eq!(created, expected);
    let probes: Vec<_> = receiver
        .payloads()
        .iter()
        .map(|p| p["RecordType"].clone())
        .collect();
    assert_eq!(
        probes,
        ["Open", "Click"],
        "each trigger that is on is tried"
    );

    let path = format!("webhooks/{id}");
    assert_eq!(caller.get(&path).await.ok(), expected);
    let list = caller.get("webhooks?MessageStream=broadcast").await.ok();
    assert_eq!(list, json!({"Webhooks": [expected]}));
    let none = caller.get("webhooks?MessageStream=outbound").await.ok();
    assert_eq!(none, json!({"Webhooks": []}));

    let change = json!({"Triggers": {"Open": {"Enabled": false}, "Bounce": {"Enabled": true}}});
    let edited = caller.put(&path, &change).await.ok();
    assert_eq!(edited["Triggers"]["Open"]["Enabled"], false);
    assert_eq!(edited["Triggers"]["Click"]["Enabled"], true);
    assert_eq!(edited["HttpAuth"]["Username"], "user");
    let moved = caller
        .put(&path, &json!({"MessageStream": "outbound"}))
        .await;
    assert_eq!(moved.json()["ErrorCode"], 1357);

    let deleted = caller.delete(&path).await.ok();
    assert_eq!(
        deleted,
        json!({"ErrorCode": 0, "Message": format!("Webhook {id} removed.")})
    );
    assert_eq!(caller.get(&path).await.json()["ErrorCode"], 1352);
}

#[tokio::test]
async fn only_enabled_events_are_posted() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    let hook = json!({"Url": receiver.url(), "Triggers": {
        "Open": {"Enabled": true, "PostFirstOpenOnly": true},
        "Bounce": {"Enabled": true, "IncludeContent": true},
    }});
    caller.post("webhooks", &hook).await.ok();
    let id = send_one(&caller).await;
    let postmark = &caller.postmark;
    assert!(postmark.deliver(&id).await.unwrap().is_empty());
    assert_eq!(kinds(&postmark.open(&id).await.unwrap()), ["Open"]);
    assert!(postmark.open(&id).await.unwrap().is_empty());
    let reports = postmark
        .bounce(&id, anymail_test_utils::BounceType::SoftBounce)
        .await
        .unwrap();
    let content = reports[0].payload["Content"].as_str().unwrap();
    assert!(content.contains("receiver@example.com") && content.contains(&id));

    // The other stream has no webhook.
    let answer = caller
        .email(json!({"MessageStream": "broadcast"}))
        .await
        .ok();
    let id = answer["MessageID"].as_str().unwrap();
    assert!(postmark.open(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_must_answer_200_to_be_verified() {
    let caller = Caller::new().await;
    let receiver = Receiver::answering(&[200, 204, 200]);
    let mut hook = json!({"Url": receiver.url(), "Triggers": {
        "Open": {"Enabled": true}, "Click": {"Enabled": true}, "Delivery": {"Enabled": true},
    }});
    let answer = caller.post("webhooks", &hook).await;
    assert_eq!(
        (
            answer.status,
            answer.headers["x-pm-apierrorcode"].to_str().unwrap()
        ),
        (422, "1364")
    );
    let report = answer.json();
    assert_eq!(report["Success"], false);
    assert_eq!(report["Message"], "2/3 triggers verified successfully");
    let expected = json!({
        "TriggerType": "Click", "Success": false, "StatusCode": 204,
        "Message": "Remote server returned an HTTP status code of 204.",
    });
    assert_eq!(report["Results"][1], expected);
    assert_eq!(caller.get("webhooks").await.ok()["Webhooks"], json!([]));

    hook["Verify"] = json!(false);
    let created = caller.post("webhooks", &hook).await.ok();
    assert_eq!(created["Status"], "unverified");
    let id = send_one(&caller).await;
    let reports = caller.postmark.deliver(&id).await.unwrap();
    assert!(
        reports.is_empty(),
        "nothing is posted to an unverified webhook"
    );
}

#[tokio::test]
async fn invalid_webhooks_are_refused() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    let url = receiver.url();
    for (hook, code) in [
        (json!({}), 1355),
        (json!({"Triggers": {}}), 1354),
        (json!({"Url": "ftp://example.com"}), 1354),
        (json!({"Url": "not a url"}), 1354),
        (json!({"Url": url, "MessageStream": "inbound"}), 1351),
        (json!({"Url": url, "MessageStream": "missing"}), 1226),
        (
            json!({"Url": url, "HttpHeaders": [{"Name": "a b", "Value": "c"}]}),
            1358,
        ),
        (json!({"Url": url, "Triggers": {"Open": true}}), 403),
    ] {
        let answer = caller.post("webhooks", &hook).await;
        assert_eq!(answer.json()["ErrorCode"], code, "{hook}");
    }
    for _ in 0..10 {
        caller.post("webhooks", &json!({"Url": url})).await.ok();
    }
    let answer = caller.post("webhooks", &json!({"Url": url})).await;
    assert_eq!(answer.json()["ErrorCode"], 1359);
}

#[tokio::test]
async fn the_servers_own_hooks_get_the_events_of_the_default_stream() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    let hooks = json!({
        "DeliveryHookUrl": receiver.url(), "OpenHookUrl": receiver.url(),
        "BounceHookUrl": receiver.url(), "ClickHookUrl": receiver.url(),
        "PostFirstOpenOnly": true, "IncludeBounceContentInHook": true,
    });
    caller.put("server", &hooks).await.ok();
    let id = send_one(&caller).await;
    let postmark = &caller.postmark;
    postmark.deliver(&id).await.unwrap();
    postmark.open(&id).await.unwrap();
    postmark.open(&id).await.unwrap();
    postmark.click(&id, "https://example.com").await.unwrap();
    postmark
        .bounce(&id, anymail_test_utils::BounceType::SoftBounce)
        .await
        .unwrap();
    let payloads = receiver.payloads();
    let kinds: Vec<&Value> = payloads
        .iter()
        .map(|payload| &payload["RecordType"])
        .collect();
    assert_eq!(kinds, ["Delivery", "Open", "Click", "Bounce"]);
    assert!(payloads[3]["Content"].is_string());
}

#[tokio::test]
async fn redirects_are_followed() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    let target = receiver.url();
    let redirecting = anymail_test_utils::LoopbackServer::start(move |_| {
        let response = http::Response::builder()
            .status(307)
            .header("Location", &target);
        response.body(bytes::Bytes::new()).unwrap()
    })
    .unwrap();
    caller.postmark.add_webhook(&redirecting.url());
    let id = send_one(&caller).await;
    let report = caller.postmark.deliver(&id).await.unwrap().remove(0);
    assert!(report.delivered);
    assert_eq!(receiver.payloads()[0]["MessageID"], id.as_str());
}
