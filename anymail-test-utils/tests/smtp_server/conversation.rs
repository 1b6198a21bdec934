//! The protocol as a well-behaved client uses it.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;

use anymail_test_utils::{LoopbackSmtp, SmtpExtension, SmtpReply};

use crate::client::Client;

#[test]
fn a_message_is_kept_with_its_envelope_and_its_bytes() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    let say = &mut |line: &str| client.say(line);
    let mail =
        "MAIL FROM:<bounces@example.com> SIZE=40 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2By";
    assert_eq!(say(mail), "250 2.1.0 Ok");
    let rcpt = "RCPT TO:<\"a > b\"@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@example.com";
    assert_eq!(say(rcpt), "250 2.1.5 Ok");
    assert_eq!(say("RCPT TO:<jörg@příklad.cz>"), "250 2.1.5 Ok");
    assert!(say("DATA").starts_with("354 "));
    let reply = say("Subject: é\r\n\r\n..dot\r\n...\r\nbody: é\r\n.");
    assert_eq!(say("QUIT"), "221 2.0.0 Bye");

    let mails = server.messages();
    let mail = &mails[0];
    assert_eq!(reply, format!("250 2.0.0 Ok: queued as {}", mail.id));
    assert_eq!(mail.sender, "bounces@example.com");
    assert_eq!(mail.parameter("size"), Some("40"));
    assert_eq!(mail.parameter("smtputf8"), Some(""));
    assert_eq!(mail.parameter("auth"), None);
    assert_eq!(
        mail.addresses(),
        ["\"a > b\"@example.com", "jörg@příklad.cz"]
    );
    assert_eq!(
        mail.recipients[0].parameter("NOTIFY"),
        Some("SUCCESS,FAILURE")
    );
    assert_eq!(mail.content, "Subject: é\r\n\r\n.dot\r\n..\r\nbody: é\r\n");
    assert_eq!(
        (mail.hello.as_str(), mail.connection),
        ("client.example.com", 1)
    );
    assert_eq!((mail.over_tls, mail.user.as_deref()), (false, None));
    server.assert_no_violations();
    let counts = server.counts();
    assert_eq!((counts.messages, counts.connections), (1, 1));
    assert_eq!((counts.of("rcpt"), counts.of("RSET")), (2, 0));
    assert_eq!(counts.content_bytes, 40);
    assert_eq!(client.ends_with(), None);
    assert_eq!(counts.closed_without_quit, 0);
}

#[test]
fn all_extensions_are_announced_unless_disabled() {
    let server = LoopbackSmtp::builder().size_limit(1000).start().unwrap();
    let mut client = Client::connect(&server);
    client.reply().unwrap();
    assert_eq!(
        client.say("EHLO [127.0.0.1]"),
        "250-mx.example.test\n250-PIPELINING\n250-SIZE 1000\n250-8BITMIME\n250-SMTPUTF8\n\
         250-DSN\n250-ENHANCEDSTATUSCODES\n250 CHUNKING"
    );
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::connect(&server);
    client.reply().unwrap();
    let default = client.say("EHLO [127.0.0.1]");
    assert!(default.contains("\n250-SIZE 67108864\n"), "{default}");
    let mut builder = LoopbackSmtp::builder();
    for &extension in SmtpExtension::ALL {
        builder = builder.without(extension);
    }
    let server = builder.start().unwrap();
    let mut client = Client::connect(&server);
    client.reply().unwrap();
    assert_eq!(client.say("EHLO [127.0.0.1]"), "250 mx.example.test");
    assert_eq!(client.say("MAIL FROM:<>"), "250 Ok");
    assert!(client.say("RSET").starts_with("250 Ok"));
    for parameter in ["SIZE=1", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL"] {
        let refused = client.say(&format!("MAIL FROM:<a@example.com> {parameter}"));
        assert!(refused.starts_with("555 "), "{refused}");
    }
    assert_eq!(server.counts().violations, 4);
}

#[test]
fn pipelined_commands_are_answered_one_by_one() {
    let server = LoopbackSmtp::start().unwrap();
    server.reply_to_recipient(|address| {
        address
            .starts_with("gone")
            .then(|| SmtpReply::new(550, "5.1.1 No such user"))
    });
    let mut client = Client::greeted(&server);
    client.send(
        "MAIL FROM:<me@example.com>\r\nRCPT TO:<gone@example.com>\r\n\
         RCPT TO:<you@example.com>\r\nDATA\r\n",
    );
    let codes: Vec<_> = (0..4)
        .map(|_| client.reply().unwrap()[..3].to_owned())
        .collect();
    assert_eq!(codes, ["250", "550", "250", "354"]);
    assert!(client.say("Hello\r\n.").starts_with("250 "));
    assert_eq!(server.messages()[0].addresses(), ["you@example.com"]);

    client.send("MAIL FROM:<me@example.com>\r\nRCPT TO:<gone@example.com>\r\nDATA\r\n");
    let codes: Vec<_> = (0..3)
        .map(|_| client.reply().unwrap()[..3].to_owned())
        .collect();
    assert_eq!(codes, ["250", "550", "554"]);
    client.send("RSET\r\nMAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.com>\r\nRSET\r\n");
    for _ in 0..4 {
        assert!(client.reply().unwrap().starts_with("250 "));
    }
    assert_eq!(server.counts().messages, 1);
    server.assert_no_violations();
}

#[test]
fn a_message_over_the_size_limit_is_refused_with_and_without_a_declared_size() {
    let server = LoopbackSmtp::builder().size_limit(20).start().unwrap();
    let mut client = Client::greeted(&server);
    assert!(
        client
            .say("MAIL FROM:<a@example.com> SIZE=21")
            .starts_with("552 5.3.4 ")
    );
    let refused = client.send_mail("you@example.com").unwrap();
    assert!(refused.starts_with("552 5.3.4 "), "{refused}");
    assert_eq!(
        (server.counts().messages, server.counts().content_bytes),
        (0, 25)
    );
    server.assert_no_violations();
}

#[test]
fn a_line_of_a_megabyte_is_read_and_a_longer_one_ends_the_connection() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    client.send("x".repeat(1_000_000));
    assert!(client.say("").starts_with("500 "));
    client.send("x".repeat(1_100_000));
    assert_ne!(client.ends_with(), Some(ErrorKind::WouldBlock));
}

#[test]
fn a_recipient_over_the_limit_is_refused_temporarily() {
    let server = LoopbackSmtp::builder().recipient_limit(1).start().unwrap();
    let mut client = Client::greeted(&server);
    client.say("MAIL FROM:<a@example.com>");
    assert!(client.say("RCPT TO:<b@example.com>").starts_with("250 "));
    assert!(
        client
            .say("RCPT TO:<c@example.com>")
            .starts_with("452 4.5.3 ")
    );
}

#[test]
fn content_can_arrive_in_chunks() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    client.send("MAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.com>\r\n");
    client.send("BDAT 7\r\nA: b\r\n\rBDAT 4 LAST\r\n\n.\r\n");
    for _ in 0..4 {
        assert!(client.reply().unwrap().starts_with("250 "));
    }
    assert_eq!(server.messages()[0].content, "A: b\r\n\r\n.\r\n");
    server.assert_no_violations();
}

#[test]
fn a_rule_decides_about_each_message() {
    let server = LoopbackSmtp::start().unwrap();
    server.reply_to_message(|mail| {
        assert!(
            mail.addresses() != ["panic@example.com"],
            "this rule panics on purpose"
        );
        (mail.addresses() == ["no@example.com"]).then(|| SmtpReply::new(554, "5.7.1 Spam"))
    });
    let mut client = Client::greeted(&server);
    assert_eq!(
        client.send_mail("no@example.com").unwrap(),
        "554 5.7.1 Spam"
    );
    assert!(
        client
            .send_mail("panic@example.com")
            .unwrap()
            .starts_with("451 ")
    );
    assert!(
        client
            .send_mail("yes@example.com")
            .unwrap()
            .starts_with("250 ")
    );
    assert_eq!(server.counts().messages, 1);
}

#[test]
fn messages_can_be_counted_without_being_kept() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    client.send_mail("a@example.com").unwrap();
    server.forget_messages();
    server.set_recording(false);
    client.send_mail("b@example.com").unwrap();
    assert!(server.messages().is_empty());
    assert_eq!(server.counts().messages, 2);
}

#[tokio::test]
async fn refusing_closes_idle_connections_and_refuses_new_ones() {
    let server = LoopbackSmtp::start().unwrap();
    let mut idle = Client::greeted(&server);
    idle.send_mail("a@example.com").unwrap();
    server.refuse().await.unwrap();
    assert_eq!(idle.ends_with(), None);
    let refused = TcpStream::connect(server.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    server.accept_again().await.unwrap();
    Client::greeted(&server).send_mail("b@example.com").unwrap();
    assert_eq!(server.counts().messages, 2);
}

#[test]
fn a_dropped_server_frees_its_port() {
    let server = LoopbackSmtp::start().unwrap();
    let address = server.address();
    let mut client = Client::greeted(&server);
    drop(server);
    assert!(client.ask("NOOP").is_err());
    let again = LoopbackSmtp::builder().address(address).start().unwrap();
    let taken = LoopbackSmtp::builder().port(again.port()).start();
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
    let open = LoopbackSmtp::builder()
        .address(([0, 0, 0, 0], 0).into())
        .start();
    assert_eq!(open.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn debug_shows_no_content_and_no_login() {
    let builder = LoopbackSmtp::builder().user("key-user", "key-password");
    assert!(!format!("{builder:?}").contains("key-"));
    let server = builder.auth_required(false).start().unwrap();
    let mut client = Client::greeted(&server);
    client.say("AUTH PLAIN AGtleS11c2VyAGtleS1wYXNzd29yZA==");
    client.send_mail("you@example.com").unwrap();
    let mail = Arc::clone(&server.messages()[0]);
    assert_eq!(mail.user.as_deref(), Some("key-user"));
    for shown in [format!("{server:?}"), format!("{mail:?}")] {
        assert!(
            !shown.contains("key-") && !shown.contains("Hello"),
            "{shown}"
        );
    }
}
