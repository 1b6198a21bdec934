//! `bounces` and `deliverystats`.

use anymail_test_utils::BounceType;
use serde_json::json;

use crate::caller::Caller;

/// Creates a hard bounce of `a@example.com` and a soft bounce of `b@example.com`.
async fn bounced() -> (Caller, Vec<String>) {
    let caller = Caller::new().await;
    let mut ids = Vec::new();
    for (to, tag, kind) in [
        ("a@example.com", "one", BounceType::HardBounce),
        ("b@example.com", "two", BounceType::SoftBounce),
    ] {
        let answer = caller.email(json!({"To": to, "Tag": tag})).await.ok();
        let id = answer["MessageID"].as_str().unwrap();
        caller.postmark.bounce(id, kind).await.unwrap();
        ids.push(id.to_owned());
    }
    (caller, ids)
}

#[tokio::test]
async fn bounces_are_listed_and_found() {
    let (caller, ids) = bounced().await;
    let list = async |query: &str| {
        caller
            .get(&format!("bounces?count=50&offset=0&{query}"))
            .await
            .ok()
    };
    let all = list("").await;
    assert_eq!(all["TotalCount"], 2);
    assert_eq!(all["Bounces"][0]["Email"], "b@example.com", "newest first");
    let by_id = format!("messageID={}", ids[0]);
    for query in [
        "type=HardBounce",
        "inactive=true",
        "emailFilter=A@exa",
        "tag=one",
        "messagestream=outbound&tag=one",
        "fromdate=2020-01-01&tag=one",
        &by_id,
    ] {
        let found = list(query).await;
        assert_eq!(found["TotalCount"], 1, "{query}");
        assert_eq!(found["Bounces"][0]["Email"], "a@example.com", "{query}");
    }
    assert_eq!(list("type=Blocked").await["TotalCount"], 0);
    assert_eq!(caller.get("bounces").await.json()["ErrorCode"], 1000);

    let id = all["Bounces"][1]["ID"].as_i64().unwrap();
    let bounce = caller.get(&format!("bounces/{id}")).await.ok();
    assert_eq!(bounce["Type"], "HardBounce");
    assert_eq!(bounce["TypeCode"], 1);
    assert!(
        bounce["Content"]
            .as_str()
            .unwrap()
            .contains("a@example.com")
    );
    let dump = caller.get(&format!("bounces/{id}/dump")).await.ok();
    assert_eq!(dump["Body"], bounce["Content"]);
    for path in ["bounces/99", "bounces/nonsense", "bounces/99/dump"] {
        assert_eq!(caller.get(path).await.json()["ErrorCode"], 1001);
    }
}

#[tokio::test]
async fn an_address_can_be_reactivated_unless_it_complained() {
    let (caller, ids) = bounced().await;
    let list = caller.get("bounces?count=1&offset=1").await.ok();
    let id = list["Bounces"][0]["ID"].as_i64().unwrap();
    assert_eq!(
        caller.email(json!({"To": "a@example.com"})).await.status,
        422
    );
    let answer = caller
        .put(&format!("bounces/{id}/activate"), &json!({}))
        .await
        .ok();
    assert_eq!(answer["Message"], "OK");
    assert_eq!(answer["Bounce"]["Inactive"], false);
    caller.email(json!({"To": "a@example.com"})).await.ok();

    caller.postmark.complain(&ids[1]).await.unwrap();
    let list = caller
        .get("bounces?count=1&offset=0&type=SpamComplaint")
        .await
        .ok();
    let id = list["Bounces"][0]["ID"].as_i64().unwrap();
    let answer = caller
        .put(&format!("bounces/{id}/activate"), &json!({}))
        .await;
    assert_eq!(answer.json()["ErrorCode"], 1003);
}

#[tokio::test]
async fn statistics_count_kinds_and_inactive_addresses() {
    let (caller, _) = bounced().await;
    let stats = caller.get("deliverystats").await.ok();
    let expected = json!({"InactiveMails": 1, "Bounces": [
        {"Type": "All", "TypeCode": 0, "Name": "All", "Count": 2},
        {"Type": "HardBounce", "TypeCode": 1, "Name": "Hard bounce", "Count": 1},
        {"Type": "SoftBounce", "TypeCode": 4096, "Name": "Soft bounce", "Count": 1},
    ]});
    assert_eq!(stats, expected);
    caller.get("deliveryStats/").await.ok();
}
