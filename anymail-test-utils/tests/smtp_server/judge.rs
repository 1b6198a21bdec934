//! The violations of a sloppy client, and that the server reports them.

use std::time::Duration;

use anymail_test_utils::{LoopbackSmtp, LoopbackTls, SmtpExtension, SmtpRule};

use crate::client::Client;

fn rules(server: &LoopbackSmtp) -> Vec<SmtpRule> {
    server.violations().iter().map(|v| v.rule).collect()
}

/// Returns the violations of these bytes after EHLO, followed by QUIT.
fn judged(server: &LoopbackSmtp, bytes: &[u8]) -> Vec<SmtpRule> {
    let mut client = Client::greeted(server);
    client.send(bytes);
    client.ends_with();
    rules(server)
}

/// Returns the violations of a message with this content.
fn content_judged(parameters: &str, content: &str) -> Vec<SmtpRule> {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    client.say(&format!("MAIL FROM:<me@example.com>{parameters}"));
    client.say("RCPT TO:<you@example.com>");
    client.say("DATA");
    assert!(client.say(&format!("{content}\r\n.")).starts_with("250 "));
    rules(&server)
}

#[test]
fn commands_out_of_order_are_reported() {
    for line in ["MAIL FROM:<a@example.com>", "AUTH PLAIN AAA=", "STARTTLS"] {
        let server = LoopbackSmtp::start().unwrap();
        let mut client = Client::connect(&server);
        client.reply().unwrap();
        assert!(client.say(line).starts_with("503 "), "{line}");
        assert_eq!(rules(&server), [SmtpRule::Order], "{line}");
    }
    for lines in [
        &["RCPT TO:<a@example.com>"][..],
        &["DATA"],
        &["MAIL FROM:<a@example.com>", "DATA"],
        &["MAIL FROM:<a@example.com>", "MAIL FROM:<b@example.com>"],
    ] {
        let server = LoopbackSmtp::start().unwrap();
        let mut client = Client::greeted(&server);
        let last = lines.iter().map(|line| client.say(line)).last().unwrap();
        assert!(last.starts_with("503 "), "{lines:?}: {last}");
        assert_eq!(rules(&server), [SmtpRule::Order], "{lines:?}");
    }
}

#[test]
fn wrong_line_ends_are_reported() {
    for (bytes, rule) in [
        (&b"NOOP\nQUIT\r\n"[..], SmtpRule::BareLineFeed),
        (b"NO\rOP\r\nQUIT\r\n", SmtpRule::BareCarriageReturn),
        (b"NOOP \0\r\nQUIT\r\n", SmtpRule::Nul),
    ] {
        let server = LoopbackSmtp::start().unwrap();
        let seen = judged(&server, bytes);
        assert!(seen.contains(&rule), "{rule:?}: {seen:?}");
    }
}

#[test]
fn invalid_commands_are_reported() {
    for line in [
        "MAIL FROM: <a@example.com>",
        "MAIL FROM:a@example.com",
        "MAIL FROM:<a@example.com> ",
        "MAIL FROM:<a@example.com> SIZE=many",
        "EHLO my_host",
        "RSET now",
    ] {
        let server = LoopbackSmtp::start().unwrap();
        Client::greeted(&server).say(line);
        assert_eq!(rules(&server), [SmtpRule::Syntax], "{line}");
    }
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    assert!(client.say("SEND MONEY").starts_with("500 "));
    assert!(
        client
            .say(&format!("NOOP {}", "x".repeat(510)))
            .starts_with("250 ")
    );
    assert!(
        client
            .say("MAIL FROM:<jörg@example.com>")
            .starts_with("553 5.6.7 ")
    );
    assert_eq!(
        rules(&server),
        [
            SmtpRule::UnknownCommand,
            SmtpRule::CommandTooLong,
            SmtpRule::EightBitHeader
        ]
    );
}

#[test]
fn a_client_that_does_not_wait_is_reported() {
    let early = b"MAIL FROM:<a@example.com>\r\nRSET\r\nQUIT\r\n";
    let server = LoopbackSmtp::builder()
        .without(SmtpExtension::Pipelining)
        .start()
        .unwrap();
    assert_eq!(judged(&server, early), [SmtpRule::Pipelining; 2]);
    let server = LoopbackSmtp::start().unwrap();
    assert_eq!(judged(&server, early), []);
    let behind_noop = b"NOOP\r\nQUIT\r\n";
    assert_eq!(judged(&server, behind_noop), [SmtpRule::Pipelining]);

    let server = LoopbackSmtp::builder()
        .judge_patience(Duration::from_millis(200))
        .start()
        .unwrap();
    let mut client = Client::connect(&server);
    client.send("EHLO client.example.com\r\n");
    client.reply().unwrap();
    client.reply().unwrap();
    assert_eq!(rules(&server), [SmtpRule::Pipelining]);
}

#[test]
fn helo_allows_no_extensions() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::connect(&server);
    client.reply().unwrap();
    assert_eq!(client.say("HELO client.example.com"), "250 mx.example.test");
    assert!(
        client
            .say("MAIL FROM:<a@example.com> SIZE=1")
            .starts_with("555 ")
    );
    client.send("MAIL FROM:<a@example.com>\r\nRSET\r\n");
    client.reply().unwrap();
    client.reply().unwrap();
    assert_eq!(
        rules(&server),
        [SmtpRule::ExtensionNotOffered, SmtpRule::Pipelining]
    );
}

#[test]
fn invalid_content_is_reported() {
    let long = format!("A: b\r\n\r\n{}", "x".repeat(999));
    for (parameters, content, rule) in [
        ("", "A: b\r\n\r\na\nb", Some(SmtpRule::BareLineFeed)),
        ("", "A: b\r\n\r\na\rb", Some(SmtpRule::BareCarriageReturn)),
        ("", "A: b\r\n\r\n\0", Some(SmtpRule::Nul)),
        ("", "A: b\r\n\r\né", Some(SmtpRule::EightBitBody)),
        (" BODY=8BITMIME", "A: b\r\n\r\né", None),
        (
            " BODY=8BITMIME",
            "A: é\r\n\r\né",
            Some(SmtpRule::EightBitHeader),
        ),
        (" SMTPUTF8", "A: é\r\n\r\ne", None),
        ("", "A: b\r\n\r\n.dot", Some(SmtpRule::UnstuffedDot)),
        ("", "A: b\r\n\r\n..dot", None),
        ("", &long, Some(SmtpRule::LineTooLong)),
        ("", &long[..long.len() - 1], None),
    ] {
        let seen = content_judged(parameters, content);
        assert_eq!(seen, Vec::from_iter(rule), "{parameters} {content:?}");
    }
}

#[test]
fn an_end_of_data_with_bare_line_feeds_ends_the_connection() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    client.send_mail("you@example.com").unwrap();
    client.say("MAIL FROM:<me@example.com>");
    client.say("RCPT TO:<you@example.com>");
    client.say("DATA");
    assert!(
        client
            .say("A: b\r\n\r\nx\n.\nMAIL FROM:<evil@example.com>")
            .starts_with("521 ")
    );
    assert_eq!(client.ends_with(), None);
    assert_eq!(rules(&server), [SmtpRule::BareLineFeed]);
    assert_eq!(server.counts().messages, 1);
}

#[test]
fn an_unstuffed_line_with_only_a_dot_turns_the_rest_into_commands() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    client.say("MAIL FROM:<me@example.com>");
    client.say("RCPT TO:<you@example.com>");
    client.say("DATA");
    client.send("A: b\r\n\r\nfirst\r\n.\r\nsecond\r\n.\r\n");
    for code in ["250", "500", "500"] {
        assert!(client.reply().unwrap().starts_with(code));
    }
    assert_eq!(rules(&server), [SmtpRule::UnknownCommand; 2]);
}

#[test]
fn unannounced_extensions_are_reported() {
    let server = LoopbackSmtp::builder()
        .without(SmtpExtension::Chunking)
        .start()
        .unwrap();
    let mut client = Client::greeted(&server);
    assert!(client.say("AUTH PLAIN AAA=").starts_with("502 "));
    assert!(client.say("STARTTLS").starts_with("502 "));
    client.say("MAIL FROM:<me@example.com>");
    client.say("RCPT TO:<you@example.com>");
    assert!(client.say("BDAT 2 LAST\r\n").starts_with("502 "));
    assert_eq!(rules(&server), [SmtpRule::ExtensionNotOffered; 3]);
    assert_eq!(LoopbackTls::default(), LoopbackTls::None);
}

#[test]
fn a_connection_that_is_dropped_without_quit_is_counted() {
    let server = LoopbackSmtp::start().unwrap();
    drop(Client::greeted(&server));
    while server.counts().closed_without_quit == 0 {
        std::thread::yield_now();
    }
    server.assert_no_violations();
}

#[test]
#[should_panic(expected = "UnknownCommand: \"XYZ\"")]
fn a_failed_assertion_names_the_violation() {
    let server = LoopbackSmtp::start().unwrap();
    Client::greeted(&server).say("XYZ");
    server.assert_no_violations();
}
