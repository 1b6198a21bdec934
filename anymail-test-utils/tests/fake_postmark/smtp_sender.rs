//! SMTP senders: anymail-core's backend, and a client that sends what it is told.

use std::io::Write;
use std::sync::Arc;

use anymail_core::{Mailer, Message, SendError, SendStatus, SmtpBackend, SmtpConfig, SmtpTls};
use anymail_test_utils::{FakePostmark, FakePostmarkBuilder, SentMessage};

use crate::caller::Caller;

pub(crate) async fn start(builder: FakePostmarkBuilder) -> Caller {
    Caller::of(builder.smtp_port(0)).await
}

pub(crate) fn port(postmark: &FakePostmark) -> u16 {
    postmark.smtp().unwrap().port()
}

/// Creates a mailer with anymail-core's SMTP backend and this login.
pub(crate) fn mailer(postmark: &FakePostmark, user: &str, password: &str) -> Mailer {
    let config = SmtpConfig::new("127.0.0.1")
        .port(port(postmark))
        .tls(SmtpTls::None)
        .password(user, password);
    Mailer::new(SmtpBackend::new(config).unwrap())
}

pub(crate) async fn deliver(
    postmark: &FakePostmark,
    message: &Message,
) -> Result<SendStatus, SendError> {
    mailer(postmark, "server-token", "server-token")
        .send(message)
        .await
}

pub(crate) fn hello(to: &str) -> Message {
    let message = Message::builder().from("me@example.com").to(to);
    message.subject("Hello").text_body("Hi!").build().unwrap()
}

pub(crate) fn emails(mailboxes: &[anymail_test_utils::Mailbox]) -> Vec<&str> {
    mailboxes.iter().map(|m| m.email.as_str()).collect()
}

pub(crate) fn only(messages: Vec<Arc<SentMessage>>) -> Arc<SentMessage> {
    assert_eq!(messages.len(), 1);
    messages.into_iter().next().unwrap()
}

/// Sends a raw message and returns the reply to its end.
pub(crate) async fn by_hand(postmark: &FakePostmark, to: &[&str], mail: &str) -> String {
    let address = postmark.smtp().unwrap().address();
    let mut lines = vec![
        "EHLO [127.0.0.1]".to_owned(),
        "AUTH PLAIN AHNlcnZlci10b2tlbgBzZXJ2ZXItdG9rZW4=".to_owned(),
        "MAIL FROM:<bounces@example.com>".to_owned(),
    ];
    lines.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
    lines.push("DATA".to_owned());
    lines.push(format!("{mail}."));
    let talk = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        let mut reply = read_reply(&mut reader);
        for line in lines {
            assert!(reply.starts_with(['2', '3']), "{reply}");
            stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
            reply = read_reply(&mut reader);
        }
        reply
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

fn read_reply(reader: &mut impl std::io::BufRead) -> String {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}
