//! SMTP: messages from any program, as they arrive and are shown.

use std::process::Command;

use anymail_core::{Attachment, ContentId, Message};
use anymail_test_utils::FakePostmark;

use crate::caller::send;
use crate::receiver::Receiver;
use crate::smtp_sender::{by_hand, deliver, emails, hello, mailer, only, port, start};

#[tokio::test]
async fn a_message_from_the_smtp_backend_arrives_like_one_over_http() {
    let caller = start(FakePostmark::builder()).await;
    let id = ContentId::new("logo").unwrap();
    let logo = Attachment::new("logo.png", &b"\x89PNG"[..])
        .unwrap()
        .inline(&id);
    let message = Message::builder()
        .from("\"Doe, Jané\" <jane@example.com>")
        .to("Recipient <to@example.com>")
        .cc("copied@example.com")
        .bcc("blind@example.com")
        .reply_to("reply@example.com")
        .subject("Grüße")
        .text_body("One\nTwo ☃\n")
        .html_body("<b>Hello</b><img src=\"cid:logo\">")
        .header("X-PM-Tag", "Invitation")
        .header("X-PM-Metadata-color", "blue")
        .header("X-PM-Metadata-client-id", "12345")
        .header("X-PM-Message-Stream", "broadcast")
        .header("X-PM-TrackOpens", "true")
        .header("X-PM-TrackLinks", "HtmlOnly")
        .header("X-Own", "žluťoučký kůň")
        .attachment(Attachment::new("a.txt", &b"test"[..]).unwrap())
        .attachment(logo)
        .build()
        .unwrap();
    deliver(&caller.postmark, &message).await.unwrap();

    let message = only(caller.postmark.messages());
    assert_eq!(message.endpoint, "smtp");
    assert_eq!(message.from.to_string(), "\"Doe, Jané\" <jane@example.com>");
    assert_eq!(message.to[0].to_string(), "\"Recipient\" <to@example.com>");
    assert_eq!(emails(&message.cc), ["copied@example.com"]);
    assert_eq!(emails(&message.bcc), ["blind@example.com"]);
    assert_eq!(emails(&message.reply_to), ["reply@example.com"]);
    assert_eq!(message.subject, "Grüße");
    assert_eq!(message.text_body.as_deref(), Some("One\nTwo ☃"));
    let html = "<b>Hello</b><img src=\"cid:logo\">";
    assert_eq!(message.html_body.as_deref(), Some(html));
    assert_eq!(message.tag.as_deref(), Some("Invitation"));
    let metadata: Vec<_> = message.metadata.values().map(String::as_str).collect();
    assert_eq!(metadata, ["12345", "blue"]);
    assert_eq!(message.stream, "broadcast");
    assert!(message.track_opens);
    assert_eq!(message.track_links, "HtmlOnly");
    let own = ("X-Own".to_owned(), "žluťoučký kůň".to_owned());
    assert_eq!(message.headers, [own]);
    let mut files: Vec<_> = message
        .attachments
        .iter()
        .map(|file| (&*file.name, &*file.content, file.content_id.as_deref()))
        .collect();
    files.sort_unstable();
    let logo = ("logo.png", &b"\x89PNG"[..], Some("logo"));
    assert_eq!(files, [("a.txt", &b"test"[..], None), logo]);
    assert_eq!(message.refusal, None);
    let raw = message.raw_mime.as_ref().unwrap();
    assert!(raw.windows(8).any(|part| part == b"X-PM-Tag"));
    assert!(!format!("{message:?}").contains("Hello"));

    let path = format!("messages/outbound/{}/details", message.id);
    let details = caller.get(&path).await.ok();
    assert_eq!(details["Metadata"]["color"], "blue");
    assert_eq!(details["Recipients"].as_array().unwrap().len(), 3);
    caller.postmark.smtp().unwrap().assert_no_violations();
}

#[tokio::test]
async fn the_outgoing_message_has_postmarks_ids_and_none_of_its_commands() {
    let caller = start(FakePostmark::builder()).await;
    for keep in ["false", "true"] {
        let message = Message::builder()
            .from("me@example.com")
            .to("you@example.com")
            .text_body("X-PM-Metadata-a: in the body stays")
            .header("X-PM-Metadata-a", "hidden metadata ".repeat(4).trim())
            .header("X-PM-Tag", "seen")
            .header("X-PM-KeepID", keep);
        deliver(&caller.postmark, &message.build().unwrap())
            .await
            .unwrap();
        let message = caller.postmark.messages().pop().unwrap();
        let path = format!("messages/outbound/{}/dump", message.id);
        let dump = caller.get(&path).await.ok();
        let source = dump["Body"].as_str().unwrap();
        assert!(source.contains(&format!("X-PM-Message-Id: {}\r\n", message.id)));
        assert!(source.contains("X-PM-Tag: seen\r\n"), "{source}");
        assert!(!source.contains("hidden"), "{source}");
        assert!(!source.contains("KeepID"), "{source}");
        assert!(source.contains("in the body stays"), "{source}");
        let own_id = format!("Message-ID: <{}@mtasv.net>", message.id);
        assert_eq!(source.contains(&own_id), keep == "false", "{source}");
        let ids = source.to_ascii_lowercase().matches("\nmessage-id:").count();
        assert_eq!(ids, 1, "{source}");
        assert_eq!(message.header("Message-ID").is_some(), keep == "true");
    }
}

#[tokio::test]
async fn the_envelope_determines_the_recipients() {
    let caller = start(FakePostmark::builder()).await;
    let mail = "From: me@example.com\r\nTo: Ann <ANN@example.com>, absent@example.com\r\n\
                Cc: bob@example.com\r\nBcc: Blind <blind@example.com>\r\n\
                X-PM-Metadata-Color: blue\r\nx-pm-metadata-color: red\r\n\
                X-PM-Message-Stream:\r\nX-PM-Bounce-Type: SoftBounce\r\n\r\nHi!\r\n";
    let to = [
        "ann@example.com",
        "bob@example.com",
        "blind@example.com",
        "more@example.com",
        "More@example.com",
    ];
    let reply = by_hand(&caller.postmark, &to, mail).await;
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    let message = only(caller.postmark.messages());
    assert_eq!(message.to[0].to_string(), "\"Ann\" <ANN@example.com>");
    assert_eq!(emails(&message.to).len(), 1);
    assert_eq!(emails(&message.cc), ["bob@example.com"]);
    let blind = ["blind@example.com", "more@example.com"];
    assert_eq!(emails(&message.bcc), blind);
    assert_eq!(message.bcc[0].name, "Blind");
    assert_eq!(message.metadata["Color"], "blue");
    assert_eq!(message.metadata["color1"], "red");
    assert_eq!(message.stream, "outbound");
    assert_eq!(message.header("X-PM-Bounce-Type"), Some("SoftBounce"));
    let path = format!("messages/outbound/{}/dump", message.id);
    let dump = caller.get(&path).await.ok();
    let source = dump["Body"].as_str().unwrap();
    assert!(source.contains("absent@") && !source.contains("blind@"));
}

#[tokio::test]
async fn an_smtp_token_sends_to_its_stream() {
    let builder = FakePostmark::builder().smtp_token("broadcast", "access", "very-secret");
    assert!(!format!("{builder:?}").contains("very-secret"));
    let caller = start(builder).await;
    let sent = mailer(&caller.postmark, "access", "very-secret")
        .send(&hello("you@example.com"))
        .await;
    sent.unwrap();
    assert_eq!(only(caller.postmark.messages()).stream, "broadcast");
    let wrong = mailer(&caller.postmark, "access", "access");
    assert!(wrong.send(&hello("you@example.com")).await.is_err());
}

#[tokio::test]
async fn the_page_shows_messages_over_smtp_and_why_they_are_refused() {
    let caller = start(FakePostmark::builder()).await;
    let page = async |path: &str| send(caller.bare("GET", path)).await.text;
    let address = caller.postmark.smtp().unwrap().address().to_string();
    assert!(page("").await.contains(&address));
    deliver(&caller.postmark, &hello("you@example.com"))
        .await
        .unwrap();
    let evil = "From: me@example.com\r\nSubject: Evil <script>\r\n\
                X-PM-Message-Stream: <script>\r\n\r\nHi!\r\n";
    by_hand(&caller.postmark, &["bad@example.com"], evil).await;
    let list = page("").await;
    assert!(list.contains("2 messages") && list.contains("you@example.com"));
    assert!(list.find("Evil").unwrap() < list.find("Hello").unwrap());
    assert!(list.contains("refused"));
    let accepted = page(&format!("mailbox/{}", caller.postmark.messages()[0].id)).await;
    assert!(accepted.contains("to smtp") && accepted.contains("Source"));
    assert!(accepted.contains("Message-ID:") && accepted.contains("Unsubscribe"));
    let refused = page(&format!("mailbox/{}", caller.postmark.refused()[0].id)).await;
    assert!(refused.contains("(error code 1235)") && !refused.contains("Unsubscribe"));
    assert!(!refused.contains("<script"));
}

#[tokio::test]
async fn deliveries_are_posted_to_webhooks_as_for_any_message() {
    let caller = start(FakePostmark::builder().deliver_at_once(true)).await;
    let receiver = Receiver::new();
    caller.postmark.add_webhook(&receiver.url());
    deliver(&caller.postmark, &hello("you@example.com"))
        .await
        .unwrap();
    while receiver.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let payload = &receiver.payloads()[0];
    assert_eq!(payload["RecordType"], "Delivery");
    assert_eq!(payload["Recipient"], "you@example.com");
}

#[tokio::test]
async fn an_invitation_and_an_attached_message_arrive_as_attachments() {
    let caller = start(FakePostmark::builder()).await;
    let mail = "From: me@example.com\r\nTo: you@example.com\r\n\
        Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\
        Content-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain\r\n\r\nCome!\r\n\
        --a\r\nContent-Type: text/html\r\n\r\n<p>Come!\r\n\
        --a\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n--a--\r\n\
        --m\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=x.eml\r\n\r\n\
        Subject: inner\r\n\r\nInner\r\n--m--\r\n";
    by_hand(&caller.postmark, &["you@example.com"], mail).await;
    let message = only(caller.postmark.messages());
    assert_eq!(message.text_body.as_deref(), Some("Come!"));
    assert_eq!(message.html_body.as_deref(), Some("<p>Come!"));
    let files = message.attachments.iter();
    let files: Vec<_> = files
        .map(|file| (&*file.content_type, &*file.content))
        .collect();
    let inner = &b"Subject: inner\r\n\r\nInner"[..];
    let invitation = ("text/calendar", &b"BEGIN:VCALENDAR"[..]);
    assert_eq!(files, [invitation, ("message/rfc822", inner)]);
    assert_eq!(message.raw_mime.as_deref(), Some(mail.as_bytes()));
}

const PYTHON: &str = r#"
import smtplib, sys
from email.message import EmailMessage
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20)
try:
    client.login("wrong", "wrong")
    raise SystemExit("a wrong token was accepted")
except smtplib.SMTPAuthenticationError as error:
    assert error.smtp_code == 535, error
client.close()
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20)
client.login("server-token", "server-token")
mail = EmailMessage()
mail["From"], mail["To"] = "Jané <me@example.com>", "you@example.com"
mail["Bcc"] = "blind@example.com"
mail["Subject"] = "Grüße"
mail["X-PM-Tag"] = "welcome"
mail["X-PM-Metadata-Color"] = "blue"
mail["X-PM-TrackLinks"] = "TextOnly"
mail.set_content(".\nHällo\n")
mail.add_alternative("<p>Hällo</p><img src='cid:logo'>", subtype="html")
mail.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo>", filename="logo.png")
mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf")
assert client.send_message(mail) == {}
client.quit()
"#;

#[tokio::test]
async fn pythons_smtplib_sends() {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 is not installed");
        return;
    }
    let caller = start(FakePostmark::builder()).await;
    let port = port(&caller.postmark).to_string();
    let script = Command::new("python3").args(["-c", PYTHON, &port]).output();
    let output = script.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let message = only(caller.postmark.messages());
    assert_eq!(message.from.to_string(), "\"Jané\" <me@example.com>");
    assert_eq!(emails(&message.to), ["you@example.com"]);
    assert_eq!(emails(&message.bcc), ["blind@example.com"]);
    assert_eq!(message.subject, "Grüße");
    assert_eq!(message.text_body.as_deref(), Some(".\nHällo"));
    let html = "<p>Hällo</p><img src='cid:logo'>";
    assert_eq!(message.html_body.as_deref(), Some(html));
    assert_eq!(message.tag.as_deref(), Some("welcome"));
    assert_eq!(message.metadata["Color"], "blue");
    assert_eq!(message.track_links, "TextOnly");
    let mut files: Vec<_> = message
        .attachments
        .iter()
        .map(|file| (&*file.name, &*file.content_type, file.content_id.as_deref()))
        .collect();
    files.sort_unstable();
    let logo = ("logo.png", "image/png", Some("logo"));
    assert_eq!(files, [logo, ("Übersicht.pdf", "application/pdf", None)]);
}

#[cfg(feature = "smtp-tls")]
#[tokio::test]
async fn starttls_is_announced_if_it_is_configured() {
    use anymail_core::{Mailer, SmtpBackend, SmtpConfig};

    let builder = FakePostmark::builder().smtp_tls(anymail_test_utils::LoopbackTls::StartTls);
    let caller = start(builder).await;
    let smtp = caller.postmark.smtp().unwrap();
    let config = SmtpConfig::new("127.0.0.1")
        .port(smtp.port())
        .ca_pem(smtp.ca_pem())
        .password("server-token", "server-token");
    let secured = Mailer::new(SmtpBackend::new(config).unwrap());
    secured.send(&hello("you@example.com")).await.unwrap();
    // A login in clear text is accepted as well.
    deliver(&caller.postmark, &hello("you@example.com"))
        .await
        .unwrap();
    let over_tls: Vec<_> = smtp.messages().iter().map(|mail| mail.over_tls).collect();
    assert_eq!(over_tls, [true, false]);
    assert_eq!(caller.postmark.accepted(), 2);
}
