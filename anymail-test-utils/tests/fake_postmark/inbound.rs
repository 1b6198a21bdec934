//! Inbound messages, as the inbound webhook shows them.

use anymail_test_utils::FakePostmark;
use serde_json::{Value, json};

use crate::receiver::{Receiver, keys};

const MAIL: &str = "Received: from mail.example.org by inbound.example.com\r\n\
    \tfor <test+hash@inbound.example.com>; Wed, 11 Oct 2017 18:31:10 -0700\r\n\
    Return-Path: <envelope@example.org>\r\n\
    From: =?UTF-8?Q?J=C3=BCrgen?= <from+test@example.org>\r\n\
    To: \"Inbound, Test\" <test+hash@inbound.example.com>, other@example.com\r\n\
    Cc: cc@example.com\r\n\
    Reply-To: reply@example.org\r\n\
    Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n\
    Date: Wed, 11 Oct 2017 18:31:04 -0700\r\n\
    Message-ID: <abc@mail.example.org>\r\n\
    In-Reply-To: <before@example.org>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=outer\r\n\
    \r\n\
    --outer\r\n\
    Content-Type: multipart/alternative; boundary=inner\r\n\
    \r\n\
    --inner\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    \r\n\
    Yes, please.\r\n\
    \r\n\
    On Tuesday, Ann wrote:\r\n\
    > Shall I?\r\n\
    --inner\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\
    \r\n\
    <p>Yes=21</p>\r\n\
    --inner--\r\n\
    --outer\r\n\
    Content-Type: image/png; name=\"dot.png\"\r\n\
    Content-ID: <dot123>\r\n\
    Content-Transfer-Encoding: base64\r\n\
    \r\n\
    AAECAw==\r\n\
    --outer--\r\n";

async fn received(mail: &str, recipient: Option<&str>) -> Value {
    let postmark = FakePostmark::start().unwrap();
    let receiver = Receiver::new();
    postmark.set_inbound_webhook(&receiver.url());
    let reports = match recipient {
        Some(recipient) => postmark.receive_for(mail.as_bytes(), recipient).await,
        None => postmark.receive(mail.as_bytes()).await,
    };
    assert_eq!(reports.unwrap()[0].status(), Some(200));
    receiver.payloads().remove(0)
}

#[tokio::test]
async fn a_message_is_parsed_into_fields() {
    let mail = received(MAIL, None).await;
    let expected = [
        "Attachments",
        "Bcc",
        "BccFull",
        "Cc",
        "CcFull",
        "Date",
        "From",
        "FromFull",
        "FromName",
        "Headers",
        "HtmlBody",
        "MailboxHash",
        "MessageID",
        "MessageStream",
        "OriginalRecipient",
        "ReplyTo",
        "StrippedTextReply",
        "Subject",
        "Tag",
        "TextBody",
        "To",
        "ToFull",
    ];
    assert_eq!(keys(&mail), expected);
    assert_eq!(mail["FromName"], "Jürgen");
    let full = json!({"Email": "from+test@example.org", "Name": "Jürgen", "MailboxHash": "test"});
    assert_eq!(mail["FromFull"], full);
    assert_eq!(mail["From"], "from+test@example.org");
    let to = "\"Inbound, Test\" <test+hash@inbound.example.com>, other@example.com";
    assert_eq!(mail["To"], to);
    assert_eq!(mail["ToFull"][0]["MailboxHash"], "hash");
    assert_eq!(mail["OriginalRecipient"], "test+hash@inbound.example.com");
    assert_eq!(mail["MailboxHash"], "hash");
    assert_eq!(mail["CcFull"][0]["Email"], "cc@example.com");
    assert_eq!((&mail["Bcc"], &mail["BccFull"]), (&json!(""), &json!([])));
    assert_eq!(mail["Subject"], "Grüße");
    assert_eq!(mail["ReplyTo"], "reply@example.org");
    assert_eq!(mail["Date"], "Wed, 11 Oct 2017 18:31:04 -0700");
    assert_eq!(mail["HtmlBody"].as_str().unwrap().trim(), "<p>Yes!</p>");
    assert!(mail["TextBody"].as_str().unwrap().contains("> Shall I?"));
    assert_eq!(mail["StrippedTextReply"], "Yes, please.");
    let attachment = json!([{
        "Name": "dot.png", "Content": "AAECAw==", "ContentType": "image/png", "ContentLength": 4,
        "ContentID": "dot123",
    }]);
    assert_eq!(mail["Attachments"], attachment);
}

#[tokio::test]
async fn headers_start_with_the_envelope_and_omit_those_with_a_field() {
    let mail = received(MAIL, None).await;
    let headers = mail["Headers"].as_array().unwrap();
    let names: Vec<_> = headers
        .iter()
        .map(|h| h["Name"].as_str().unwrap())
        .collect();
    let expected = [
        "Return-Path",
        "X-Spam-Status",
        "X-Spam-Score",
        "X-Spam-Tests",
        "Received",
        "Message-ID",
        "In-Reply-To",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names, expected);
    assert_eq!(headers[0]["Value"], "<envelope@example.org>");
    assert_eq!(
        headers[4]["Value"],
        "from mail.example.org by inbound.example.com for <test+hash@inbound.example.com>; Wed, \
         11 Oct 2017 18:31:10 -0700"
    );
}

#[tokio::test]
async fn a_recipient_who_is_not_in_the_header_is_in_bcc() {
    let mail = received(MAIL, Some("hidden+x@inbound.example.com")).await;
    assert_eq!(mail["Bcc"], "hidden+x@inbound.example.com");
    assert_eq!(mail["BccFull"][0]["MailboxHash"], "x");
    assert_eq!(mail["OriginalRecipient"], "hidden+x@inbound.example.com");
    assert_eq!(mail["MailboxHash"], "x");
}

#[tokio::test]
async fn a_message_with_one_kind_of_body_has_no_other() {
    let head = "From: a@example.com\nTo: b@example.com\nSubject: x\n";
    let plain = received(&format!("{head}\nHello\n> quoted\n"), None).await;
    assert_eq!(
        plain["TextBody"].as_str().unwrap().trim(),
        "Hello\n> quoted"
    );
    assert_eq!(
        (&plain["HtmlBody"], &plain["StrippedTextReply"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(plain["Attachments"], json!([]));
    let html = received(&format!("{head}Content-Type: text/html\n\n<p>Hi</p>"), None).await;
    assert_eq!(
        (&html["TextBody"], &html["HtmlBody"]),
        (&json!(""), &json!("<p>Hi</p>"))
    );
}

#[tokio::test]
async fn the_source_is_included_on_request() {
    let postmark = FakePostmark::start().unwrap();
    let receiver = Receiver::new();
    postmark.set_inbound_webhook(&receiver.url());
    postmark.set_raw_email(true);
    postmark.receive(MAIL.as_bytes()).await.unwrap();
    let raw = receiver.payloads()[0]["RawEmail"].clone();
    assert_eq!(raw, MAIL.replace("\r\n", "\n"));
}

#[tokio::test]
async fn an_inbound_message_without_a_webhook_is_not_posted() {
    let postmark = FakePostmark::start().unwrap();
    assert!(postmark.receive(MAIL.as_bytes()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_with_too_many_nested_messages_is_refused() {
    let postmark = FakePostmark::start().unwrap();
    let head = "From: a@example.com\nTo: b@example.com\n";
    let deep = head.to_owned() + &"Content-Type: Message/RFC822\n\n".repeat(50_000);
    let error = postmark.receive(deep.as_bytes()).await.unwrap_err();
    assert_eq!(error, anymail_test_utils::TriggerError::NotAMessage);
}
