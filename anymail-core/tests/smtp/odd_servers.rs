//! Servers that behave in ways that `LoopbackSmtp` does not simulate.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anymail_core::{Accepted, Mailer, RetryPolicy, SendErrorKind as K, SmtpConfig, SmtpTls};

use super::{builder, message};

/// How a server reacts to a command.
enum Answer {
    Say(&'static str),
    SayAndHangUp(&'static str),
}

use Answer::{Say, SayAndHangUp};

/// A server on loopback with a thread for each connection.
fn serve(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> SmtpConfig {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // Replies are short, and the client waits for each.
            stream.set_nodelay(true).unwrap();
            let talk = talk.clone();
            std::thread::spawn(move || talk(stream));
        }
    });
    SmtpConfig::new("127.0.0.1")
        .port(port)
        .tls(SmtpTls::None)
        .timeout(Duration::from_secs(2))
}

/// Sends a greeting, and replies to each command; the content of a message is the command `.`.
fn converse(mut stream: TcpStream, answer: impl Fn(&str) -> Answer) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let _ = stream.write_all(b"220 mail.example.com\r\n");
    let mut in_content = false;
    for line in lines {
        let Ok(line) = line else { return };
        if in_content && line != "." {
            continue;
        }
        let (words, hang_up) = match answer(line.split(' ').next().unwrap_or_default()) {
            Say(words) => (words, false),
            SayAndHangUp(words) => (words, true),
        };
        in_content = words.starts_with("354");
        if stream.write_all(words.as_bytes()).is_err() || hang_up {
            return;
        }
    }
}

fn as_usual(command: &str) -> Answer {
    Say(match command {
        "EHLO" => "250-mail.example.com\r\n250 PIPELINING\r\n",
        "DATA" => "354 Go on\r\n",
        "QUIT" => "221 Bye\r\n",
        _ => "250 2.0.0 Ok\r\n",
    })
}

fn mailer(config: SmtpConfig) -> Mailer {
    builder(config).retry(RetryPolicy::none()).build()
}

#[tokio::test]
async fn a_server_that_refuses_a_message_and_disconnects_or_hangs_has_refused_it() {
    let refusal = "554 5.7.1 You are blocked\r\n";
    let hangs_up: fn(&str) -> Answer = |command| match command {
        "MAIL" => SayAndHangUp("554 5.7.1 You are blocked\r\n"),
        other => as_usual(other),
    };
    let falls_silent: fn(&str) -> Answer = |command| match command {
        "MAIL" => Say("554 5.7.1 You are blocked\r\n"),
        "RCPT" => Say(""),
        other => as_usual(other),
    };
    let shuts_down: fn(&str) -> Answer = |command| match command {
        "MAIL" => SayAndHangUp("554 5.7.1 You are blocked\r\n421 4.7.0 Goodbye\r\n"),
        other => as_usual(other),
    };
    for answer in [hangs_up, falls_silent, shuts_down] {
        let mailer = mailer(serve(move |stream| converse(stream, answer)));
        let two = message(&["ann@example.com", "bob@example.com"]);
        let error = mailer.send(&two).await.unwrap_err();
        assert_eq!(error.kind(), K::Refused, "{error}");
        assert!(!error.is_transient());
        assert_eq!(error.accepted(), Accepted::No);
        assert_eq!(error.esp_code(), refusal.get(..9));
    }
}

#[tokio::test]
async fn a_server_that_allows_few_connections_gets_every_message_over_those() {
    for (most, refusal) in [(4, "421 4.7.0 Too many connections\r\n"), (4, ""), (1, "")] {
        let open = Arc::new(AtomicUsize::new(0));
        let config = serve(move |mut stream| {
            if open.fetch_add(1, Ordering::SeqCst) < most {
                converse(stream, |command| {
                    if command == "QUIT" {
                        open.fetch_sub(1, Ordering::SeqCst);
                    }
                    as_usual(command)
                });
            } else {
                open.fetch_sub(1, Ordering::SeqCst);
                let _ = stream.write_all(refusal.as_bytes());
            }
        });
        // The server also counts a connection that is being closed.
        let mailer = mailer(config.max_messages_per_connection(20));
        let messages: Vec<_> = (0..200)
            .map(|n| message(&[&format!("a{n}@example.com")]))
            .collect();
        // One connection is kept and used again by one of the messages.
        mailer.send(&message(&["ann@example.com"])).await.unwrap();
        for result in mailer.send_all(&messages).await {
            assert!(result.is_ok(), "{most} {refusal:?}: {result:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_confirms_a_message_before_its_end_may_have_it() {
    let config = serve(|stream| {
        let out = stream.try_clone().unwrap();
        converse(stream, |command| {
            if command == "DATA" {
                let _ = (&out).write_all(b"354 Go on\r\n");
                std::thread::sleep(Duration::from_millis(200));
                let _ = (&out).write_all(b"250 2.0.0 Queued\r\n");
                // The server reads nothing more, so the message cannot end.
                std::thread::sleep(Duration::from_secs(5));
            }
            as_usual(command)
        });
    });
    let mut large = message(&["ann@example.com"]);
    large.text_body = "A line of text.\r\n".repeat(1_500_000).into();
    let error = mailer(config).send(&large).await.unwrap_err();
    assert_eq!(error.accepted(), Accepted::Maybe, "{error}");
}

#[tokio::test]
async fn a_password_that_a_server_echoes_in_an_endless_line_is_not_quoted() {
    // No matter where the quotation is cut.
    for before in (20..100).step_by(4) {
        let config = serve(move |mut stream| {
            let _ = stream.write_all(b"220 mail.example.com\r\n");
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.next();
            let _ = stream.write_all(b"250-mail.example.com\r\n250 AUTH PLAIN\r\n");
            lines.next();
            let line = format!("{}correct horse{}", "x".repeat(before), "y".repeat(5000));
            let _ = stream.write_all(line.as_bytes());
            lines.next();
        });
        let mailer = mailer(config.password("shop", "correct horse"));
        let error = mailer.send(&message(&["ann@example.com"])).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), K::InvalidResponse);
        assert!(!error.to_string().contains("xco"), "{error}");
    }
}
