//! SMTP: who may not log in, and what is not sent.

use std::sync::{Arc, Mutex};

use anymail_core::{Message, SendErrorKind};
use anymail_test_utils::{BounceType, FakePostmark, InactiveReason};
use serde_json::json;

use crate::receiver::Receiver;
use crate::smtp_sender::{by_hand, deliver, hello, mailer, only, start};

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_right_one_must_be_user_and_password() {
    let builder = FakePostmark::builder().token("one").token("two");
    let caller = start(builder).await;
    let hello = hello("you@example.com");
    for (user, password) in [
        ("wrong", "wrong"),
        ("one", "two"),
        ("server-token", "server-token"),
    ] {
        let error = mailer(&caller.postmark, user, password).send(&hello).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Authentication, "{error}");
        assert!(error.to_string().contains("535"), "{error}");
    }
    for token in ["one", "two", "TWO"] {
        let sent = mailer(&caller.postmark, token, token).send(&hello).await;
        sent.unwrap();
    }
    assert_eq!(caller.postmark.accepted(), 3);
}

#[tokio::test]
async fn logins_fail_while_smtp_is_disabled() {
    let caller = start(FakePostmark::builder()).await;
    let hello = hello("you@example.com");
    for (active, accepted) in [(false, 0), (true, 1)] {
        let settings = json!({"SmtpApiActivated": active});
        caller.put("server", &settings).await.ok();
        let sent = deliver(&caller.postmark, &hello).await;
        assert_eq!(sent.is_ok(), active);
        assert_eq!(caller.postmark.accepted(), accepted);
    }
}

#[tokio::test]
async fn messages_of_the_test_token_are_validated_but_not_kept() {
    let caller = start(FakePostmark::builder()).await;
    let mailer = mailer(&caller.postmark, "POSTMARK_API_TEST", "POSTMARK_API_TEST");
    mailer.send(&hello("you@example.com")).await.unwrap();
    assert_eq!(caller.postmark.test_jobs(), 1);
    let bad = Message::builder()
        .from("me@example.com")
        .to("you@example.com")
        .text_body("Hi!")
        .header("X-PM-TrackLinks", "Perhaps")
        .build()
        .unwrap();
    let error = mailer.send(&bad).await.unwrap_err();
    assert!(error.to_string().contains("TrackLinks"), "{error}");
    assert_eq!(caller.postmark.test_jobs(), 1);
    assert!(caller.postmark.messages().is_empty() && caller.postmark.refused().is_empty());
}

#[tokio::test]
async fn suppressed_recipients_bounce_after_the_message_was_accepted() {
    let caller = start(FakePostmark::builder()).await;
    let receiver = Receiver::new();
    caller.postmark.add_webhook(&receiver.url());
    let reason = InactiveReason::HardBounce;
    caller
        .postmark
        .suppress("outbound", "Gone@example.com", reason);
    deliver(&caller.postmark, &hello("gone@example.com"))
        .await
        .unwrap();
    assert!(caller.postmark.messages().is_empty());
    let refused = only(caller.postmark.refused());
    let refusal = refused.refusal.as_deref().unwrap();
    assert!(refusal.contains("inactive addresses: gone@example.com"));
    assert!(refusal.ends_with("(error code 406)"), "{refusal}");
    assert_eq!(refused.recipients().count(), 0);
    let bounces = caller.get("bounces?count=10&offset=0").await.ok();
    let bounce = &bounces["Bounces"][0];
    assert_eq!(bounces["TotalCount"], 1);
    assert_eq!(bounce["Type"], "SMTPApiError");
    assert_eq!(bounce["TypeCode"], 100_007);
    assert_eq!(bounce["MessageID"], refused.id.as_str());
    assert_eq!(bounce["Email"], "gone@example.com");
    let dump = caller.get(&format!("bounces/{}/dump", bounce["ID"])).await;
    let dump = dump.ok()["Body"].as_str().unwrap().to_owned();
    assert!(dump.contains("406") && dump.contains("Subject: Hello"));
    assert!(receiver.requests().is_empty());

    // The other recipients still get theirs, and now the webhook is notified.
    let settings = json!({"EnableSmtpApiErrorHooks": true});
    caller.put("server", &settings).await.ok();
    let both = Message::builder()
        .from("me@example.com")
        .to("gone@example.com")
        .to("you@example.com")
        .text_body("Hi!");
    deliver(&caller.postmark, &both.build().unwrap())
        .await
        .unwrap();
    let message = only(caller.postmark.messages());
    assert_eq!(message.inactive, ["gone@example.com"]);
    assert_eq!(message.refusal, None);
    while receiver.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let payload = &receiver.payloads()[0];
    assert_eq!(payload["RecordType"], "Bounce");
    assert_eq!(payload["Type"], "SMTPApiError");
    assert_eq!(payload["Email"], "gone@example.com");
    assert_eq!(payload["MessageID"], message.id.as_str());
}

#[tokio::test]
async fn a_message_that_breaks_a_rule_is_accepted_and_then_refused_with_the_apis_error() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let builder = FakePostmark::builder()
        .senders(["example.com"])
        .on_message({
            let told = Arc::clone(&told);
            move |message| told.lock().unwrap().push(message.refusal.clone())
        });
    let caller = start(builder).await;
    let crowd: Vec<_> = (0..51).map(|n| format!("to{n}@example.com")).collect();
    let crowd: Vec<_> = crowd.iter().map(String::as_str).collect();
    let exe = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHi!\r\n--b\r\n\
               Content-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--b--\r\n";
    let one = &["you@example.com"][..];
    for (header, body, to, code) in [
        ("From: me@elsewhere.com", "\r\nHi!\r\n", one, 400),
        ("X-None: 1", "\r\nHi!\r\n", one, 300),
        ("From: me@example.com", "\r\n", one, 300),
        ("From: me@example.com", exe, one, 411),
        ("From: me@example.com", "\r\nHi!\r\n", &crowd[..], 300),
        (
            "From: me@example.com\r\nX-PM-Message-Stream: nowhere",
            "\r\nHi!\r\n",
            one,
            1235,
        ),
        (
            "From: me@example.com\r\nX-PM-Message-Stream: inbound",
            "\r\nHi!\r\n",
            one,
            1236,
        ),
    ] {
        let mail = format!("{header}\r\nSubject: Hello\r\n{body}");
        let reply = by_hand(&caller.postmark, to, &mail).await;
        assert!(reply.starts_with("250 "), "{reply}");
        let refused = caller.postmark.refused().pop().unwrap();
        let refusal = refused.refusal.clone().unwrap();
        let ending = format!("(error code {code})");
        assert!(refusal.ends_with(&ending), "{header}{body}: {refusal}");
        assert_eq!(refused.subject, "Hello");
        assert_eq!(told.lock().unwrap().pop(), Some(Some(refusal)));
    }
    assert!(caller.postmark.messages().is_empty());
    let path = "bounces?count=50&offset=0&type=SMTPApiError";
    assert_eq!(caller.get(path).await.ok()["TotalCount"], 7);
    // Nothing more can happen to these messages.
    let id = caller.postmark.refused()[0].id.clone();
    caller.postmark.deliver(&id).await.unwrap();
    caller
        .postmark
        .bounce(&id, BounceType::HardBounce)
        .await
        .unwrap();
    assert_eq!(caller.get(path).await.ok()["TotalCount"], 7);
}

#[tokio::test]
async fn invalid_or_too_large_messages_are_refused_at_once() {
    let caller = start(FakePostmark::builder()).await;
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(600);
    let one = &["you@example.com"][..];
    for (mail, code) in [
        (nested, "554 5.6.0 "),
        (
            format!("From: me@example.com\r\n\r\n{}", "x\r\n".repeat(3_600_000)),
            "552 5.3.4 ",
        ),
    ] {
        let reply = by_hand(&caller.postmark, one, &mail).await;
        assert!(reply.starts_with(code), "{reply}");
    }
    assert!(caller.postmark.messages().is_empty() && caller.postmark.refused().is_empty());
}
