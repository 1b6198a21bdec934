//! `server`: the settings.

use serde_json::json;

use crate::caller::Caller;

#[tokio::test]
async fn settings_are_read_and_changed() {
    let caller = Caller::new().await;
    let settings = caller.get("server").await.ok();
    assert_eq!(settings["ApiTokens"], json!(["server-token"]));
    assert_eq!(settings["DeliveryType"], "Live");
    assert_eq!(settings["InboundHookUrl"], "");
    let change = json!({
        "name": "Mine", "TrackLinks": "HtmlOnly", "RawEmailEnabled": true,
        "InboundHookUrl": "https://user:pass@example.com/in", "InboundSpamThreshold": 5,
        "ID": 99, "ApiTokens": [], "Color": null,
    });
    let changed = caller.put("server", &change).await.ok();
    assert_eq!(changed["Name"], "Mine");
    assert_eq!(changed["TrackLinks"], "HtmlOnly");
    assert_eq!(
        changed["InboundHookUrl"],
        "https://user:pass@example.com/in"
    );
    assert_eq!(
        (&changed["ID"], &changed["Color"]),
        (&json!(1), &json!("Blue"))
    );
    assert_eq!(caller.get("server").await.ok(), changed);
    for (bad, code) in [
        (json!({"BounceHookUrl": "nonsense"}), 606),
        (json!({"TrackLinks": "Maybe"}), 612),
        (json!({"InboundSpamThreshold": 31}), 611),
        (json!({"TrackOpens": "yes"}), 403),
    ] {
        let answer = caller.put("server", &bad).await;
        assert_eq!(answer.json()["ErrorCode"], code, "{bad}");
    }
    assert_eq!(caller.get("server").await.ok(), changed);
}

#[tokio::test]
async fn debug_shows_neither_tokens_nor_messages() {
    let caller = Caller::new().await;
    caller.email(json!({"TextBody": "very private"})).await.ok();
    let builder = anymail_test_utils::FakePostmark::builder().token("very-secret");
    let message = &caller.postmark.messages()[0];
    for shown in [
        format!("{:?}", caller.postmark),
        format!("{builder:?}"),
        format!("{message:?}"),
    ] {
        assert!(
            !shown.contains("very") && !shown.contains("server-token"),
            "{shown}"
        );
    }
}
