//! Every fault at every stage.

use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anymail_test_utils::{LoopbackSmtp, SmtpAction, SmtpFault, SmtpReply, SmtpStage};

use crate::client::Client;

fn with(stage: SmtpStage, action: SmtpAction) -> LoopbackSmtp {
    let server = LoopbackSmtp::builder()
        .user("me", "secret")
        .start()
        .unwrap();
    server.inject(SmtpFault::new(stage, action), 1);
    server
}

const CONTENT: &str = "Subject: Hi\r\n\r\nHello\r\n.";

/// A complete conversation with every command; an error is where it ended.
fn converse(server: &LoopbackSmtp) -> std::io::Result<()> {
    let mut client = Client::connect(server);
    client.reply()?;
    let mut content_may_come = false;
    for line in [
        "EHLO client.example.com",
        "AUTH PLAIN AG1lAHNlY3JldA==",
        "NOOP",
        "RSET",
        "MAIL FROM:<me@example.com>",
        "RCPT TO:<you@example.com>",
        "DATA",
        CONTENT,
        "QUIT",
    ] {
        if line == CONTENT && !content_may_come {
            continue; // the content would be interpreted as commands
        }
        let reply = client.ask(line)?;
        content_may_come = reply.starts_with("354");
        if reply.starts_with("421") {
            assert_eq!(client.ends_with(), None, "after 421 to {line}");
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[test]
fn every_action_at_every_stage_knows_whether_the_message_is_kept_and_occurs_once() {
    // Most of the time is spent waiting for silent servers, so the stages run concurrently.
    thread::scope(|scope| {
        for &stage in SmtpStage::ALL {
            if !matches!(stage, SmtpStage::StartTls | SmtpStage::Handshake) {
                scope.spawn(move || every_action_at(stage));
            } // tls.rs tests the other stages
        }
    });
}

fn every_action_at(stage: SmtpStage) {
    for action in SmtpAction::one_of_each() {
        let fault = SmtpFault::new(stage, action.clone());
        let server = with(stage, action.clone());
        let outcome = converse(&server);
        let mails = server.counts().messages;
        if outcome.is_err() {
            assert_eq!(mails, u64::from(fault.keeps_mail()), "{fault}");
        }
        let ends = match action {
            SmtpAction::Reply(reply) => reply.code() == 421 || stage == SmtpStage::Content,
            SmtpAction::Drip { .. } => false,
            // No reply is due at this stage that could be cut.
            SmtpAction::CutShort { .. } => !matches!(
                stage,
                SmtpStage::Connect | SmtpStage::Auth | SmtpStage::Content | SmtpStage::Idle
            ),
            _ => true,
        };
        // This test's client reads no unsolicited reply after the greeting.
        let unasked = matches!(stage, SmtpStage::Connect | SmtpStage::Idle);
        if ends {
            assert!(outcome.is_err(), "{fault}");
        } else if !unasked {
            outcome.unwrap_or_else(|error| panic!("{fault}: {error}"));
        }
        let before = server.counts().messages;
        converse(&server).unwrap_or_else(|error| panic!("after {fault}: {error}"));
        assert_eq!(server.counts().messages, before + 1, "after {fault}");
    }
}

#[test]
fn clients_see_the_difference_between_a_reset_and_a_close() {
    for (action, end) in [
        (SmtpAction::Reset, Some(ErrorKind::ConnectionReset)),
        (SmtpAction::Close, None),
        (SmtpAction::Hang, Some(ErrorKind::WouldBlock)),
    ] {
        let server = LoopbackSmtp::start().unwrap();
        let mut client = Client::greeted(&server);
        server.inject(SmtpFault::new(SmtpStage::Noop, action), 1);
        client.send("NOOP\r\n");
        assert_eq!(client.ends_with(), end);
    }
}

#[test]
fn a_refused_command_is_not_executed() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    server.inject(SmtpFault::reply(SmtpStage::Rcpt, 450, "4.2.1 Busy"), 1);
    client.say("MAIL FROM:<me@example.com>");
    assert_eq!(client.say("RCPT TO:<a@example.com>"), "450 4.2.1 Busy");
    client.say("RCPT TO:<b@example.com>");
    client.say("DATA");
    client.say("A: b\r\n.");
    assert_eq!(server.messages()[0].addresses(), ["b@example.com"]);

    server.inject(
        SmtpFault::reply(SmtpStage::EndOfData, 451, "4.3.0 Disk full"),
        1,
    );
    assert_eq!(
        client.send_mail("c@example.com").unwrap(),
        "451 4.3.0 Disk full"
    );
    assert_eq!(server.counts().messages, 1);
    server.inject(SmtpFault::reply(SmtpStage::Kept, 451, "4.3.0 Too slow"), 1);
    assert_eq!(
        client.send_mail("c@example.com").unwrap(),
        "451 4.3.0 Too slow"
    );
    assert_eq!(server.counts().messages, 2);
    server.assert_no_violations();
}

#[test]
fn faults_wait_for_their_stage_and_take_precedence_over_the_rule() {
    let server = LoopbackSmtp::start().unwrap();
    server.inject(SmtpFault::reply(SmtpStage::Data, 451, "4.3.0 first"), 1);
    server.inject(SmtpFault::reply(SmtpStage::Noop, 450, "4.3.0 twice"), 2);
    server.inject(SmtpFault::reply(SmtpStage::Noop, 450, "4.3.0 never"), 0);
    server.inject_rule(|moment| {
        let odd = moment.stage == SmtpStage::Noop && moment.count % 2 == 1;
        let you = moment.stage == SmtpStage::Rcpt && moment.address == "you@example.com";
        (odd || you).then(|| SmtpAction::Reply(SmtpReply::new(550, "5.0.0 by rule")))
    });
    let mut client = Client::greeted(&server);
    let codes: Vec<_> = (0..4).map(|_| client.say("NOOP")[..3].to_owned()).collect();
    assert_eq!(codes, ["450", "450", "550", "250"]);
    assert_eq!(
        client.send_mail("you@example.com").unwrap(),
        "550 5.0.0 by rule"
    );
    client.say("RSET");
    assert_eq!(
        client.send_mail("a@example.com").unwrap(),
        "451 4.3.0 first"
    );
    server.clear_faults();
    client.say("RSET");
    assert!(
        client
            .send_mail("you@example.com")
            .unwrap()
            .starts_with("250 ")
    );
}

#[test]
fn an_idle_connection_is_closed_at_once_or_after_its_message() {
    let server = LoopbackSmtp::start().unwrap();
    let fault = SmtpFault::new(SmtpStage::Idle, SmtpAction::Close);
    let mut client = Client::greeted(&server);
    client.send_mail("a@example.com").unwrap();
    server.inject(fault.clone(), 1);
    assert_eq!(client.ends_with(), None);

    server.inject(fault, 1);
    let mut client = Client::greeted(&server);
    assert!(
        client
            .send_mail("a@example.com")
            .unwrap()
            .starts_with("250 ")
    );
    assert_eq!(client.ends_with(), None);

    let shutdown = SmtpAction::Reply(SmtpReply::shutting_down());
    server.inject(SmtpFault::new(SmtpStage::Idle, shutdown), 1);
    let mut client = Client::greeted(&server);
    client.send_mail("a@example.com").unwrap();
    assert!(client.reply().unwrap().starts_with("421 "));
    assert_eq!(client.ends_with(), None);
    assert_eq!(server.counts().messages, 3);
}

#[test]
fn a_reset_while_content_is_read_fails_the_clients_write() {
    for action in [SmtpAction::Reset, SmtpAction::Hang] {
        let server = with(SmtpStage::Content, action);
        let mut client = Client::greeted(&server);
        client.say("AUTH PLAIN AG1lAHNlY3JldA==");
        client.say("MAIL FROM:<me@example.com>");
        client.say("RCPT TO:<you@example.com>");
        client.say("DATA");
        client.send("A: b\r\n\r\n");
        assert!(client.reply().is_err());
        assert_eq!(server.counts().messages, 0);
    }
}

#[test]
fn replies_can_be_slowed_truncated_changed_and_followed_by_more() {
    let server = LoopbackSmtp::start().unwrap();
    let mut client = Client::greeted(&server);
    let mut noop = |action: SmtpAction| {
        server.inject(SmtpFault::new(SmtpStage::Noop, action), 1);
        client.ask("NOOP")
    };
    let interval = Duration::from_millis(1);
    assert_eq!(noop(SmtpAction::Drip { interval }).unwrap(), "250 2.0.0 Ok");
    let change = |reply: SmtpReply| SmtpReply::new(251, format!("{}!", reply.text()));
    let changed = noop(SmtpAction::Rewrite(Arc::new(change))).unwrap();
    assert_eq!(changed, "251 2.0.0 Ok!");
    let trailing = SmtpAction::Trailing("250 unasked\r\n".into());
    assert_eq!(noop(trailing).unwrap(), "250 2.0.0 Ok");
    assert_eq!(client.reply().unwrap(), "250 unasked");
    server.inject(
        SmtpFault::new(SmtpStage::Noop, SmtpAction::CutShort { bytes: 4 }),
        1,
    );
    assert_eq!(
        client.ask("NOOP").unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}

#[test]
fn an_endless_reply_ends_after_64_mib() {
    let server = with(SmtpStage::Ehlo, SmtpAction::EndlessReply);
    let mut client = Client::connect(&server);
    client.send("EHLO client.example.com\r\n");
    client.ends_with();
    let read = server.counts().endless_bytes;
    assert!(read >= 67_108_864, "{read}");
}
