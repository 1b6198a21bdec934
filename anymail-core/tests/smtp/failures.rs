//! Misconfigured servers, and what the error says to change.

use std::io::{Read, Write};
use std::net::TcpListener;

use anymail_core::{
    Accepted, Message, RetryPolicy, SendError, SendErrorKind as K, SmtpConfig, SmtpTls, Status,
};
use anymail_test_utils::{
    LoopbackSmtp, SmtpAction, SmtpExtension, SmtpFault, SmtpMechanism, SmtpReply, SmtpStage,
};

use super::{builder, config, mailer, message};

const PASSWORD: &str = "correct horse";

async fn refused(config: SmtpConfig) -> SendError {
    let mailer = builder(config).build();
    let error = mailer
        .send(&message(&["ann@example.com"]))
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    for secret in [PASSWORD, "Y29ycmVjdCBob3JzZQ", "shopkeeper"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

/// The port of a server that sends this to every client, and then closes the connection.
fn says(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(bytes);
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    port
}

#[tokio::test]
async fn a_web_server_is_reported_as_not_speaking_smtp() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
        b"\x16\x03\x01\x00garbage\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let config = SmtpConfig::new("127.0.0.1").tls(SmtpTls::None);
        let error = refused(config.port(says(bytes))).await;
        assert_eq!(error.kind(), K::InvalidResponse);
        assert_eq!(error.accepted(), Accepted::No);
        assert!(
            error.message().contains("check host, port and tls"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn endless_lines_and_replies_are_cut_off() {
    for action in [SmtpAction::EndlessLine, SmtpAction::EndlessReply] {
        for stage in [SmtpStage::Greeting, SmtpStage::Ehlo, SmtpStage::Rcpt] {
            let server = LoopbackSmtp::start().unwrap();
            server.inject(SmtpFault::new(stage, action.clone()), 10);
            let error = refused(config(&server)).await;
            assert_eq!(error.kind(), K::InvalidResponse, "{stage} {action}");
            assert_eq!(error.accepted(), Accepted::No, "{stage} {action}");
            assert!(server.messages().is_empty());
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_nothing_is_sent() {
    for mechanism in [SmtpMechanism::Plain, SmtpMechanism::Login] {
        let server = LoopbackSmtp::builder()
            .user("shopkeeper", "another")
            .mechanisms([mechanism])
            .auth_in_clear(true)
            .start()
            .unwrap();
        let error = refused(config(&server).password("shopkeeper", PASSWORD)).await;
        assert_eq!(error.kind(), K::Authentication);
        assert_eq!(error.accepted(), Accepted::No);
        assert!(!error.is_transient());
        assert!(error.to_string().contains("535"), "{error}");
        assert_eq!(server.counts().of("AUTH"), 1);
        assert_eq!(server.counts().of("MAIL"), 0);
    }
}

#[tokio::test]
async fn a_server_that_echoes_the_login_is_not_quoted() {
    let server = LoopbackSmtp::builder();
    let server = server.user("shopkeeper", "another").auth_in_clear(true);
    let server = server.start().unwrap();
    let echo = "5.7.8 shopkeeper correct horse c2hvcGtlZXBlcg== Y29ycmVjdCBob3JzZQ==";
    let fault = SmtpAction::Reply(SmtpReply::new(535, echo));
    server.inject(SmtpFault::new(SmtpStage::Credentials, fault), 1);
    let error = refused(config(&server).password("shopkeeper", PASSWORD)).await;
    assert_eq!(error.kind(), K::Authentication);
    let rest = "[redacted] [redacted] [redacted] [redacted]";
    assert!(error.message().starts_with(rest), "{error}");
}

#[tokio::test]
async fn without_a_usable_login_nothing_is_sent_and_the_error_says_what_to_change() {
    let server = LoopbackSmtp::start().unwrap();
    let error = refused(config(&server).password("shopkeeper", PASSWORD)).await;
    assert_eq!(error.kind(), K::Configuration);
    assert!(
        error.message().contains("or remove user and password"),
        "{error}"
    );
    assert_eq!(server.counts().of("AUTH") + server.counts().of("MAIL"), 0);

    let server = LoopbackSmtp::builder().user("shopkeeper", PASSWORD);
    let server = server
        .auth_in_clear(true)
        .mechanisms([SmtpMechanism::Plain]);
    let server = server.start().unwrap();
    let error = refused(config(&server).access_token("shopkeeper", PASSWORD)).await;
    assert_eq!(error.kind(), K::Configuration);
    assert!(error.message().contains("XOAUTH2"), "{error}");
    assert_eq!(server.counts().of("AUTH"), 0);
}

#[tokio::test]
async fn a_break_before_the_end_means_not_accepted_and_after_it_possibly_accepted() {
    use SmtpStage as S;
    for action in [SmtpAction::Reset, SmtpAction::Close] {
        for stage in [
            S::Connect,
            S::Greeting,
            S::Ehlo,
            S::Mail,
            S::Rcpt,
            S::Data,
            S::EndOfData,
            S::Kept,
        ] {
            let server = LoopbackSmtp::start().unwrap();
            server.inject(SmtpFault::new(stage, action.clone()), 1);
            let error = mailer(&server).send(&message(&["ann@example.com"])).await;
            let error = error.unwrap_err();
            let expected = match stage {
                S::EndOfData | S::Kept => Accepted::Maybe,
                _ => Accepted::No,
            };
            assert_eq!(error.accepted(), expected, "{action} at {stage}: {error}");
            assert!(error.is_transient(), "{action} at {stage}: {error}");
        }
    }
}

#[tokio::test]
async fn a_message_that_a_kept_connection_may_have_carried_is_not_sent_again() {
    use SmtpStage as S;
    for (stage, accepted) in [
        (S::Rcpt, Accepted::No),
        (S::Data, Accepted::No),
        (S::EndOfData, Accepted::Maybe),
        (S::Kept, Accepted::Maybe),
    ] {
        let server = LoopbackSmtp::start().unwrap();
        let mailer = builder(config(&server)).retry(RetryPolicy::none()).build();
        mailer.send(&message(&["ann@example.com"])).await.unwrap();
        server.inject(SmtpFault::new(stage, SmtpAction::Close), 1);
        let error = mailer.send(&message(&["bob@example.com"])).await;
        let error = error.unwrap_err();
        assert_eq!(error.accepted(), accepted, "{stage}: {error}");
        assert_eq!(server.counts().connections, 1, "{stage}");
    }
}

/// A batch with this many copies.
fn batch(copies: usize) -> Message {
    let to: Vec<_> = (0..copies).map(|n| format!("a{n}@example.com")).collect();
    let mut batch = message(&to.iter().map(String::as_str).collect::<Vec<_>>());
    batch.merge_headers.value_or_default();
    batch
}

#[tokio::test]
async fn after_a_wrong_password_the_other_copies_of_a_batch_do_not_try_it_again() {
    let server = LoopbackSmtp::builder()
        .user("shopkeeper", "another")
        .auth_in_clear(true)
        .start()
        .unwrap();
    let wrong = config(&server).password("shopkeeper", PASSWORD);
    let mailer = builder(wrong.max_connections(2)).build();
    let error = mailer.send(&batch(20)).await.unwrap_err();
    assert_eq!(error.kind(), K::Authentication);
    let tries = server.counts().of("AUTH");
    assert!((1..=2).contains(&tries), "{tries}");
}

#[tokio::test]
async fn if_the_server_is_busy_once_the_other_copies_of_a_batch_are_sent() {
    let server = LoopbackSmtp::start().unwrap();
    server.inject(SmtpFault::reply(SmtpStage::Ehlo, 451, "4.3.0 Busy"), 1);
    let mailer = builder(config(&server).max_connections(1));
    let mailer = mailer.retry(RetryPolicy::none()).build();
    let status = mailer.send(&batch(3)).await.unwrap();
    let sent: Vec<_> = status.recipients().map(|it| it.status).collect();
    assert_eq!(sent, [Status::Failed, Status::Queued, Status::Queued]);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_before_any_of_it_is_sent() {
    let server = LoopbackSmtp::builder().size_limit(2000).start().unwrap();
    let mailer = mailer(&server);
    let mut large = message(&["ann@example.com"]);
    large.text_body = "A line of text.\r\n".repeat(200).into();
    let error = mailer.send(&large).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (K::Refused, Accepted::No));
    assert!(error.message().contains("2000 bytes"), "{error}");
    let address = format!("127.0.0.1:{}", server.port());
    assert_eq!(error.server(), Some(address.as_str()));
    let counts = server.counts();
    assert_eq!((counts.of("MAIL"), counts.content_bytes), (0, 0));
    mailer.send(&message(&["ann@example.com"])).await.unwrap();
}

#[tokio::test]
async fn eight_bit_content_is_sent_only_if_the_server_offers_it() {
    for without in [None, Some(SmtpExtension::EightBitMime)] {
        let server = without
            .into_iter()
            .fold(LoopbackSmtp::builder(), |it, no| it.without(no));
        let server = server.start().unwrap();
        let mut message = message(&["ann@example.com"]);
        message.subject = "Žluťoučký kůň".to_owned().into();
        message.text_body = "úpěl ďábelské ódy".to_owned().into();
        mailer(&server).send(&message).await.unwrap();
        assert_eq!(server.messages().len(), 1);
        server.assert_no_violations();
    }
}

/// No header or address can inject a command into the conversation.
#[tokio::test]
async fn message_content_is_never_a_command() {
    let server = LoopbackSmtp::start().unwrap();
    let smuggled = "\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA";
    for text in [
        smuggled.to_owned(),
        smuggled.replace("\r\n", "\n"),
        smuggled.replace("\r\n", "\r"),
        smuggled.replace("\r\n", "\n\r"),
        smuggled.replace("\r\n.", "\n."),
        smuggled.replace(".\r\n", ".\n"),
    ] {
        let mut message = message(&["\"a> RCPT TO:<b\"@example.com"]);
        message.subject = text.clone().into();
        message.text_body = text.clone().into();
        message.html_body = text.into();
        let _ = mailer(&server).send(&message).await;
    }
    assert!(
        Message::builder()
            .from("a@b\r\nRSET")
            .to("c@example.com")
            .build()
            .is_err()
    );
    assert!(
        Message::builder()
            .to("c@example.com\r\nDATA")
            .build()
            .is_err()
    );
    for mail in server.messages() {
        assert_eq!(mail.sender, "shop@example.com");
        assert_eq!(mail.recipients.len(), 1);
    }
    let counts = server.counts();
    assert_eq!(counts.of("MAIL"), counts.of("RCPT"));
    server.assert_no_violations();
}
