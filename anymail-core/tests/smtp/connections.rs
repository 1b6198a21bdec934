//! How connections are shared, kept and replaced.

use std::time::Duration;

use anymail_core::RetryPolicy;
use anymail_test_utils::{
    LoopbackSmtp, SmtpAction, SmtpExtension, SmtpFault, SmtpReply, SmtpStage,
};

use super::{builder, config, mailer, message};

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced_without_counting_an_attempt() {
    for (stage, action) in [
        (SmtpStage::Idle, SmtpAction::Close),
        (SmtpStage::Idle, SmtpAction::Reset),
        (
            SmtpStage::Idle,
            SmtpAction::Reply(SmtpReply::new(421, "4.4.2 Idle for too long")),
        ),
        // Only 421 may be sent unasked (RFC 5321, 3.8), and it is not the reply to MAIL.
        (
            SmtpStage::Idle,
            SmtpAction::Reply(SmtpReply::new(554, "5.3.0 Nobody asked")),
        ),
        (
            SmtpStage::Mail,
            SmtpAction::Reply(SmtpReply::new(421, "4.4.2 Idle for too long")),
        ),
        (SmtpStage::Mail, SmtpAction::Close),
    ] {
        let server = LoopbackSmtp::start().unwrap();
        let mailer = builder(config(&server)).retry(RetryPolicy::none()).build();
        mailer.send(&message(&["ann@example.com"])).await.unwrap();
        server.inject(SmtpFault::new(stage, action.clone()), 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let status = mailer.send(&message(&["bob@example.com"])).await;
        assert!(status.is_ok(), "{stage} {action}: {status:?}");
        assert_eq!(server.messages().len(), 2);
        assert_eq!(server.counts().connections, 2);
        server.assert_no_violations();
    }
}

#[tokio::test]
async fn a_421_on_a_new_connection_is_a_transient_error() {
    let server = LoopbackSmtp::start().unwrap();
    for stage in [
        SmtpStage::Greeting,
        SmtpStage::Ehlo,
        SmtpStage::Mail,
        SmtpStage::Rcpt,
    ] {
        let fault = SmtpAction::Reply(SmtpReply::shutting_down());
        server.inject(SmtpFault::new(stage, fault), 1);
        let mailer = mailer(&server);
        let error = mailer
            .send(&message(&["ann@example.com"]))
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{stage}: {error}");
    }
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn after_a_refusal_the_next_message_uses_the_same_connection() {
    let server = LoopbackSmtp::start().unwrap();
    let mailer = mailer(&server);
    for stage in [
        SmtpStage::Mail,
        SmtpStage::Rcpt,
        SmtpStage::Data,
        SmtpStage::EndOfData,
    ] {
        let fault = SmtpAction::Reply(SmtpReply::new(554, "5.7.1 Not this one"));
        server.inject(SmtpFault::new(stage, fault), 1);
        mailer
            .send(&message(&["ann@example.com"]))
            .await
            .unwrap_err();
        mailer.send(&message(&["bob@example.com"])).await.unwrap();
    }
    assert_eq!(server.messages().len(), 4);
    assert_eq!(server.counts().connections, 1);
    assert!(server.counts().of("RSET") > 0);
    server.assert_no_violations();
}

#[tokio::test]
async fn many_messages_share_no_more_connections_than_allowed() {
    let server = LoopbackSmtp::start().unwrap();
    let mailer = builder(config(&server).max_connections(3))
        .concurrency(16)
        .build();
    let messages: Vec<_> = (0..100)
        .map(|n| message(&[&format!("a{n}@example.com")]))
        .collect();
    let results = mailer.send_all(&messages).await;
    for (place, result) in results.iter().enumerate() {
        let status = result.as_ref().unwrap();
        assert!(status.recipient(&format!("a{place}@example.com")).is_some());
    }
    assert_eq!(server.messages().len(), 100);
    let connections = server.counts().connections;
    assert!((2..=3).contains(&connections), "{connections}");
    server.assert_no_violations();
}

#[tokio::test]
async fn a_connection_is_closed_after_its_limit_of_messages_and_of_idle_time() {
    let server = LoopbackSmtp::start().unwrap();
    let most = config(&server).max_messages_per_connection(2);
    let mailer = builder(most.idle_timeout(Duration::from_millis(100))).build();
    for _ in 0..5 {
        mailer.send(&message(&["ann@example.com"])).await.unwrap();
    }
    assert_eq!(server.counts().connections, 3);
    closed(&server, 3).await;

    // Also if only one was ever kept.
    let server = LoopbackSmtp::start().unwrap();
    let mailer = builder(config(&server).idle_timeout(Duration::from_millis(50))).build();
    mailer.send(&message(&["ann@example.com"])).await.unwrap();
    closed(&server, 1).await;
}

#[tokio::test]
async fn the_connections_of_a_dropped_mailer_are_closed() {
    let server = LoopbackSmtp::start().unwrap();
    let mailer = mailer(&server);
    mailer.send(&message(&["ann@example.com"])).await.unwrap();
    assert_eq!(server.counts().of("QUIT"), 0);
    drop(mailer);
    closed(&server, 1).await;
}

/// Waits until this many connections were closed with QUIT.
async fn closed(server: &LoopbackSmtp, connections: u64) {
    for _ in 0..100 {
        if server.counts().of("QUIT") == connections {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.counts().of("QUIT"), connections);
}

#[tokio::test]
async fn the_copies_of_a_batch_share_several_connections() {
    let server = LoopbackSmtp::start().unwrap();
    let everybody: Vec<_> = (0..20).map(|n| format!("a{n}@example.com")).collect();
    let everybody: Vec<_> = everybody.iter().map(String::as_str).collect();
    let mut batch = message(&everybody);
    batch.merge_headers.value_or_default();
    let mailer = builder(config(&server).max_connections(3)).build();
    mailer.send(&batch).await.unwrap();
    assert_eq!(server.messages().len(), 20);
    let connections = server.counts().connections;
    assert!((2..=3).contains(&connections), "{connections}");
}

#[tokio::test]
async fn the_envelope_is_pipelined_only_if_the_server_offers_it() {
    for pipelining in [true, false] {
        let mut server = LoopbackSmtp::builder();
        if !pipelining {
            server = server.without(SmtpExtension::Pipelining);
        }
        let server = server.start().unwrap();
        let everybody: Vec<_> = (0..250).map(|n| format!("a{n}@example.com")).collect();
        let everybody: Vec<_> = everybody.iter().map(String::as_str).collect();
        mailer(&server).send(&message(&everybody)).await.unwrap();
        assert_eq!(server.messages()[0].addresses(), everybody);
        // The server reports commands that are sent too early as violations.
        server.assert_no_violations();
    }
}
