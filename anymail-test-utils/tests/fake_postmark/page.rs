//! Tests of the mailbox page, as a browser without scripts sees it.

use std::time::Duration;

use anymail_test_utils::FakePostmark;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller, send};
use crate::receiver::Receiver;

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

async fn page(caller: &Caller, path: &str) -> Answer {
    send(caller.bare("GET", path)).await
}

async fn press(caller: &Caller, path: &str, form: &'static str) -> Answer {
    send(caller.bare("POST", path).body(form)).await
}

async fn sent(caller: &Caller, changes: Value) -> String {
    let answer = caller.email(changes).await.ok();
    answer["MessageID"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_list_starts_empty_and_shows_the_newest_message_first() {
    let caller = Caller::new().await;
    let empty = page(&caller, "").await;
    assert_eq!(empty.status, 200);
    assert!(
        empty.text.contains("No messages yet")
            && empty
                .text
                .contains(&caller.postmark.server().address().to_string())
    );
    sent(&caller, json!({"Subject": "First one"})).await;
    sent(
        &caller,
        json!({"Subject": "Second one", "To": "ann@example.com"}),
    )
    .await;
    let list = page(&caller, "").await.text;
    assert!(list.contains("2 messages") && list.contains("ann@example.com"));
    assert!(list.find("Second one").unwrap() < list.find("First one").unwrap());
}

#[tokio::test]
async fn every_part_of_a_message_is_escaped() {
    let caller = Caller::new().await;
    let name = "a\"<script>.txt";
    let id = sent(
        &caller,
        json!({
            "From": format!("{} <a@example.com>", EVIL.replace(['"', '<', '>'], " ")),
            "Subject": EVIL, "TextBody": EVIL, "HtmlBody": EVIL, "Tag": EVIL,
            "Headers": [{"Name": "X-Evil<script>", "Value": EVIL}],
            "Metadata": {"<script>": "<script>\"'"},
            "Attachments": [{"Name": name, "Content": "YQ==", "ContentType": EVIL, "ContentID": EVIL}],
        }),
    )
    .await;
    caller.postmark.click(&id, EVIL).await.unwrap();
    for path in [
        "".to_owned(),
        format!("mailbox/{id}"),
        format!("mailbox/{id}?events"),
    ] {
        let page = page(&caller, &path).await;
        assert_eq!(page.status, 200);
        assert!(!page.text.contains("<script"), "{path}");
        assert!(!page.text.contains("onerror=alert(2)>"), "{path}");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"));
    }
    let file = page(&caller, &format!("mailbox/{id}/attachments/0")).await;
    assert_eq!(file.text, "a");
    assert_eq!(file.headers["content-type"], "application/octet-stream");
    let disposition = "attachment; filename=\"a__script_.txt\"";
    assert_eq!(file.headers["content-disposition"], disposition);
}

#[tokio::test]
async fn html_is_served_in_a_sandbox_with_inline_images_embedded() {
    let caller = Caller::new().await;
    let id = sent(
        &caller,
        json!({
            "HtmlBody": "<img src=\"cid:dot\"><img src=\"cid:evil\"><script>x</script>",
            "Attachments": [
                {"Name": "d.png", "Content": "AAEC", "ContentType": "image/png", "ContentID": "cid:dot"},
                {"Name": "e", "Content": "AAEC", "ContentType": "text/html", "ContentID": "cid:evil"},
            ],
        }),
    )
    .await;
    let whole = page(&caller, &format!("mailbox/{id}")).await.text;
    assert!(whole.contains(&format!(
        "<iframe sandbox=\"\" title=\"HTML body\" src=\"/mailbox/{id}/html\">"
    )));
    let html = page(&caller, &format!("mailbox/{id}/html")).await;
    assert_eq!(
        html.text,
        "<img src=\"data:image/png;base64,AAEC\"><img src=\"cid:evil\"><script>x</script>"
    );
    let policy = html.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'"));
    assert_eq!(html.headers["x-content-type-options"], "nosniff");
    let json = page(&caller, &format!("mailbox/{id}/json")).await;
    assert_eq!(json.json()["Attachments"][0]["ContentID"], "cid:dot");
}

#[tokio::test]
async fn buttons_trigger_events_and_show_the_webhook_responses() {
    let caller = Caller::new().await;
    let receiver = Receiver::answering(&[200, 404]);
    caller.postmark.add_webhook(&receiver.url());
    let text = "Look at https://example.com/a?b=1. Bye";
    let id = sent(&caller, json!({"TextBody": text})).await;
    let whole = page(&caller, &format!("mailbox/{id}")).await.text;
    assert!(
        whole.contains("<option>https:&#x2f;&#x2f;example.com&#x2f;a?b=1</option>"),
        "{whole}"
    );
    for (action, form) in [
        ("deliver", ""),
        ("open", ""),
        ("click", "link=https%3A%2F%2Fexample.com%2Fa%3Fb%3D1"),
        ("bounce", "kind=SoftBounce"),
        ("unsubscribe", ""),
    ] {
        let path = format!("mailbox/{id}/{action}");
        // The client follows the redirect to the page.
        let answer = press(&caller, &path, form).await;
        assert_eq!(answer.status, 200, "{action}");
        let words = if action == "deliver" {
            "HTTP 200"
        } else {
            "HTTP 404"
        };
        assert!(answer.text.contains(words), "{action}: {}", answer.text);
    }
    let payloads = receiver.payloads();
    let kinds: Vec<_> = payloads
        .iter()
        .map(|p| p["RecordType"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["Delivery", "Open", "Click", "Bounce", "SubscriptionChange"]
    );
    assert_eq!(payloads[2]["OriginalLink"], "https://example.com/a?b=1");
    let bad = press(&caller, &format!("mailbox/{id}/bounce"), "kind=Nonsense").await;
    assert_eq!(bad.status, 400);
    for path in ["mailbox/nothing", "mailbox/nothing/html"] {
        assert_eq!(page(&caller, path).await.status, 404);
    }
    assert_eq!(press(&caller, "mailbox/nothing/open", "").await.status, 404);
    let unknown = format!("mailbox/{id}/explode");
    assert_eq!(press(&caller, &unknown, "").await.status, 404);
    let answer = send(caller.bare("DELETE", &format!("mailbox/{id}"))).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn an_inbound_message_can_be_posted_to_the_mailbox() {
    let caller = Caller::new().await;
    let receiver = Receiver::new();
    caller.postmark.set_inbound_webhook(&receiver.url());
    let mail = "From: a@example.com\nTo: b@example.com\nSubject: Dropped\n\nHi";
    let answer = press(&caller, "mailbox/receive", mail).await;
    assert_eq!(answer.text, "Received; posting to 1 webhook(s).\n");
    while receiver.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.payloads()[0]["Subject"], "Dropped");
    assert_eq!(press(&caller, "mailbox/receive", "").await.status, 400);
}

#[tokio::test]
async fn an_inbound_message_can_be_composed_in_a_form() {
    let caller = Caller::new().await;
    let form = page(&caller, "mailbox/receive").await.text;
    assert!(form.contains("No inbound webhook is configured"), "{form}");
    assert!(
        !form.contains("http-equiv"),
        "a refresh would discard the user's input"
    );
    let fields = "from=Ann+%3Cann@example.com%3E&to=shop@example.com&subject=A%0D%0AB&text=Hi%0A";
    let answer = press(&caller, "mailbox/receive/form", fields).await;
    assert_eq!(answer.status, 200);

    let receiver = Receiver::answering(&[403]);
    let url = receiver.url().replace("http://", "http://user:s3cret@");
    caller.postmark.set_inbound_webhook(&url);
    let form = page(&caller, "mailbox/receive").await.text;
    assert!(
        form.contains("The message is posted to") && !form.contains("s3cret"),
        "{form}"
    );
    // The client follows the redirect to the page.
    let answer = press(&caller, "mailbox/receive/form", fields).await;
    assert!(
        answer.text.contains("HTTP 403") && !answer.text.contains("s3cret"),
        "{}",
        answer.text
    );
    let mail = receiver.payloads().remove(0);
    assert_eq!(mail["FromFull"]["Name"], "Ann");
    assert_eq!(mail["OriginalRecipient"], "shop@example.com");
    assert_eq!(mail["Subject"], "A B");
    assert_eq!(mail["TextBody"].as_str().unwrap().trim(), "Hi");

    let bad = press(
        &caller,
        "mailbox/receive/form",
        "from=Ann&to=shop@example.com",
    )
    .await;
    assert_eq!(bad.status, 400);
    assert!(bad.text.starts_with("from: "), "{}", bad.text);
}

#[tokio::test]
async fn the_form_says_when_no_webhook_has_accepted_the_message_yet() {
    let hour = Duration::from_secs(3600);
    let caller = Caller::of(FakePostmark::builder().webhook_minute(hour)).await;
    let receiver = Receiver::answering(&[500]);
    caller.postmark.set_inbound_webhook(&receiver.url());
    let fields = "from=ann@example.com&to=shop@example.com";
    let answer = press(&caller, "mailbox/receive/form", fields).await;
    assert!(answer.text.contains("being retried"), "{}", answer.text);
    assert_eq!(receiver.payloads().len(), 1);
}

#[tokio::test]
async fn other_sites_can_neither_read_the_page_nor_trigger_events() {
    let caller = Caller::new().await;
    let id = sent(&caller, json!({})).await;
    let path = format!("mailbox/{id}/deliver");
    for (name, value) in [
        ("Host", "evil.example.com"),
        ("Host", "localhost.evil.example.com:80"),
        ("Origin", "http://evil.example.com"),
        ("Origin", "null"),
    ] {
        let answer = send(caller.bare("POST", &path).header(name, value)).await;
        assert_eq!(answer.status, 403, "{name}: {value}");
    }
    let rebound = caller.bare("GET", "").header("Host", "evil.example.com");
    assert_eq!(send(rebound).await.status, 403);
    let details = caller
        .get(&format!("messages/outbound/{id}/details"))
        .await
        .ok();
    assert_eq!(details["MessageEvents"], json!([]));
    let own = caller
        .bare("POST", &path)
        .header("Origin", caller.postmark.url());
    assert_eq!(send(own).await.status, 200);
}
