//! `message-streams` and their suppressions.

use anymail_test_utils::InactiveReason;
use serde_json::{Value, json};

use crate::caller::Caller;

#[tokio::test]
async fn a_new_server_has_three_streams() {
    let caller = Caller::new().await;
    let list = caller.get("message-streams").await.ok();
    assert_eq!(list["TotalCount"], 3);
    let kinds: Vec<_> = list["MessageStreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| (stream["ID"].as_str().unwrap(), &stream["MessageStreamType"]))
        .collect();
    assert_eq!(kinds[0], ("outbound", &json!("Transactional")));
    assert_eq!(kinds[1], ("inbound", &json!("Inbound")));
    assert_eq!(kinds[2], ("broadcast", &json!("Broadcasts")));
    let path = "message-streams?MessageStreamType=broadcasts";
    assert_eq!(caller.get(path).await.ok()["TotalCount"], 1);
    let stream = caller.get("message-streams/broadcast").await.ok();
    assert_eq!(stream["Name"], "Default Broadcast Stream");
    let missing = caller.get("message-streams/nothing").await;
    assert_eq!(missing.json()["ErrorCode"], 1226);
}

fn addresses(emails: &[&str]) -> Value {
    let one = |email: &&str| json!({"EmailAddress": email});
    json!({"Suppressions": emails.iter().map(one).collect::<Vec<_>>()})
}

#[tokio::test]
async fn suppressions_are_created_listed_and_removed() {
    let caller = Caller::new().await;
    let path = "message-streams/outbound/suppressions";
    let spam = InactiveReason::SpamComplaint;
    caller
        .postmark
        .suppress("outbound", "spam@example.com", spam);

    let body = addresses(&[
        "Good@example.com",
        "spam@example.com",
        "invalid-email-address",
    ]);
    let answer = caller.post(path, &body).await.ok();
    let no_authority = "You do not have the required authority to change this suppression.";
    let expected = json!({"Suppressions": [
        {"EmailAddress": "Good@example.com", "Status": "Suppressed", "Message": null},
        {"EmailAddress": "spam@example.com", "Status": "Failed", "Message": no_authority},
        {"EmailAddress": "invalid-email-address", "Status": "Failed",
         "Message": "An invalid email address was provided."},
    ]});
    assert_eq!(answer, expected);
    let answer = caller.email(json!({"To": "good@example.com"})).await;
    assert_eq!(answer.json()["ErrorCode"], 406);

    let dump = caller.get(&format!("{path}/dump")).await.ok();
    let row = &dump["Suppressions"][0];
    assert_eq!(row["EmailAddress"], "good@example.com");
    assert_eq!(row["SuppressionReason"], "ManualSuppression");
    assert_eq!(row["Origin"], "Customer");
    let query = "SuppressionReason=SpamComplaint&Origin=Recipient&EmailAddress=SPAM@example.com";
    let dump = caller.get(&format!("{path}/dump?{query}")).await.ok();
    assert_eq!(dump["Suppressions"].as_array().unwrap().len(), 1);
    let other = caller
        .get("message-streams/broadcast/suppressions/dump")
        .await
        .ok();
    assert_eq!(other["Suppressions"], json!([]));

    let body = addresses(&["good@example.com", "spam@example.com", "never@example.com"]);
    let answer = caller.post(&format!("{path}/delete"), &body).await.ok();
    let statuses: Vec<_> = (0..3)
        .map(|i| answer["Suppressions"][i]["Status"].clone())
        .collect();
    assert_eq!(statuses, ["Deleted", "Failed", "Deleted"]);
    caller.email(json!({"To": "good@example.com"})).await.ok();
}

#[tokio::test]
async fn suppressions_are_limited_to_50_per_call() {
    let caller = Caller::new().await;
    let path = "message-streams/outbound/suppressions";
    let emails: Vec<String> = (0..51).map(|i| format!("a{i}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    caller.post(path, &addresses(&emails[..50])).await.ok();
    let answer = caller.post(path, &addresses(&emails)).await;
    assert_eq!(answer.json()["ErrorCode"], 1410);
    let answer = caller.post(path, &addresses(&[])).await;
    assert_eq!(answer.status, 422);
    let answer = caller
        .post("message-streams/x/suppressions", &addresses(&["a@b.com"]))
        .await;
    assert_eq!(answer.json()["ErrorCode"], 1226);
}
