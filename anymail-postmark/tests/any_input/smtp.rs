//! What the fuzz target and `any_reply.rs` do with any bytes from an SMTP server.
//!
//! A panic in this code is a bug in the library.

#![allow(clippy::expect_used, reason = "a failing test panics")]

use std::net::Ipv4Addr;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anymail_core::{Accepted, Mailer, Message, SmtpBackend, SmtpConfig, SmtpTls, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The replies of a server, separated by zero bytes. It sends the first as its greeting, and each of
/// the others once the client has written something, or has written nothing for a while.
pub(crate) fn smtp_replies(input: &[u8]) {
    // One at a time, because a long run would otherwise need many sockets.
    let runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    runtime.block_on(talk(input));
}

async fn talk(input: &[u8]) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = SmtpConfig::new("127.0.0.1")
        .port(port)
        .tls(SmtpTls::None)
        .timeout(Duration::from_secs(5));
    let mailer = Mailer::new(SmtpBackend::new(config).expect("a backend"));
    let message = Message::builder()
        .from("from@example.com")
        .to("ann@example.com, bob@example.com")
        .subject("S")
        .text_body("B")
        .build()
        .expect("a message");
    let server = async {
        let (mut client, _) = listener.accept().await.expect("a client");
        drop(listener);
        let mut commands = [0; 4096];
        for reply in input.split(|byte| *byte == 0) {
            if client.write_all(reply).await.is_err() {
                return;
            }
            // A client that still waits for the end of a reply writes nothing.
            let wait = Duration::from_millis(2);
            let read = tokio::time::timeout(wait, client.read(&mut commands));
            if let Ok(Ok(0) | Err(_)) = read.await {
                return;
            }
        }
    };
    let (sent, ()) = tokio::join!(mailer.send(&message), server);
    let has_reply = |first: u8| {
        let mut lines = input.split(|byte| matches!(byte, 0 | b'\n'));
        lines.any(|line| line.first() == Some(&first))
    };
    let known = match &sent {
        Ok(status) => Some(status),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!error.to_string().contains(['\r', '\n']), "{error}");
            if !has_reply(b'3') {
                assert_eq!(
                    error.accepted(),
                    Accepted::No,
                    "no content was sent: {error}"
                );
            }
            error.status()
        }
    };
    if let Some(known) = known {
        assert_eq!(known.recipients().len(), 2, "{known:?}");
        if known.recipients().any(|it| it.status == Status::Sent) {
            assert!(has_reply(b'2') && has_reply(b'3'), "{known:?}");
        }
    }
}

static RUNTIME: LazyLock<Mutex<tokio::runtime::Runtime>> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Mutex::new(builder.enable_all().build().expect("a runtime"))
});
