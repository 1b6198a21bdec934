//! Tests of `conversation.rs`: what counts as sent, and when a connection can be reused.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::super::secrets::Secrets;
use super::super::session::Offers;
use super::super::wire::Wire;
use super::*;
use crate::sending::{Accepted, SendErrorKind as K};

const CONTENT: &[u8] = b"Subject: Your receipt\r\n\r\nThank you.\r\n";

/// Sends a message to a server, to which only so many bytes fit at a time.
async fn send_to<F: Future<Output = ()>>(
    most: usize,
    encrypted: bool,
    serve: impl FnOnce(DuplexStream) -> F,
) -> Turn {
    let (ours, theirs) = tokio::io::duplex(most);
    let limit = Duration::from_secs(5);
    let mut session = Session {
        wire: Wire::new(
            Box::new(ours),
            encrypted,
            limit,
            Arc::new(Secrets::of(None)),
        ),
        offers: Offers::default(),
        used: 0,
    };
    let mail = Mail {
        sender: "<shop@example.com>",
        parameters: "",
        recipients: &["<ann@example.com>"],
        content: CONTENT,
    };
    let served = async {
        serve(theirs).await;
        std::future::pending().await
    };
    tokio::select! {
        turn = send(&mut session, &mail, "mail.example.com:25") => turn,
        turn = served => turn,
    }
}

/// Reads one line.
async fn line(io: &mut DuplexStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

async fn say(io: &mut DuplexStream, reply: &str) {
    io.write_all(reply.as_bytes()).await.unwrap();
}

/// Accepts sender, recipient and DATA.
async fn accept_envelope(io: &mut DuplexStream) {
    for reply in ["250 Ok\r\n", "250 Ok\r\n", "354 Go on\r\n"] {
        line(io).await;
        say(io, reply).await;
    }
}

/// Reads the content with its end marker, and replies to it.
async fn reply_to_message(io: &mut DuplexStream, reply: &str) {
    accept_envelope(io).await;
    while line(io).await != ".\r\n" {}
    say(io, reply).await;
}

#[tokio::test(start_paused = true)]
async fn from_the_first_byte_of_the_end_marker_on_a_message_may_be_accepted() {
    // What was passed to an encrypted connection may be on the wire, whether it fits or not.
    for (encrypted, fits, accepted) in [
        (false, CONTENT.len() - 1, Accepted::No),
        (false, CONTENT.len(), Accepted::No),
        (false, CONTENT.len() + 1, Accepted::Maybe),
        (false, CONTENT.len() + 2, Accepted::Maybe),
        (true, CONTENT.len() - 1, Accepted::No),
        (true, CONTENT.len(), Accepted::Maybe),
    ] {
        // The server reads no further.
        let turn = send_to(fits, encrypted, |mut io| async move {
            accept_envelope(&mut io).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        let Ended::Failed(error) = turn.await.ended else {
            panic!("nobody replied to the message");
        };
        assert_eq!(error.kind(), K::Timeout);
        assert_eq!(error.accepted(), accepted, "{encrypted} {fits}");
    }
}

#[tokio::test]
async fn a_reply_within_the_end_marker_is_the_reply_to_the_message() {
    let turn = send_to(CONTENT.len() + 1, false, |mut io| async move {
        accept_envelope(&mut io).await;
        // By then, all that fits has arrived: the content and one byte of the marker.
        io.read_u8().await.unwrap();
        say(&mut io, "250 Queued\r\n").await;
        let _ = io.read_to_end(&mut Vec::new()).await;
    });
    let turn = turn.await;
    assert!(matches!(turn.ended, Ended::Taken(_)), "{turn:?}");
}

#[tokio::test]
async fn a_connection_is_kept_only_if_the_server_can_take_another_message() {
    for (reply, reset, keep) in [
        ("250 Queued\r\n", "", true),
        ("554 Refused\r\n", "250 Ok\r\n", true),
        ("554 Refused\r\n", "502 No such command\r\n", false),
        ("554 Refused\r\n", "250 Ok\r\n250 Ok\r\n", false),
        ("421 Closing\r\n", "250 Ok\r\n", false),
        ("354 Go on\r\n", "250 Ok\r\n", false),
    ] {
        let turn = send_to(1024, false, |mut io| async move {
            reply_to_message(&mut io, reply).await;
            assert_eq!(line(&mut io).await, "RSET\r\n");
            say(&mut io, reset).await;
            let _ = io.read_u8().await;
        });
        let turn = turn.await;
        assert_eq!(turn.keep, keep, "{reply:?} {reset:?}: {turn:?}");
    }
}
