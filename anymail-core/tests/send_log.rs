//! What the log says about a message that was sent, and about one that was not. A single test,
//! because a subscriber may miss lines if other tests run in parallel.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod log;
mod told;

use anymail_core::SendErrorKind;
use log::logged;
use told::{error, mailer, message, told};

#[test]
fn a_message_that_could_not_be_sent_is_a_warning_without_its_content() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let backend = told([error(SendErrorKind::Connect)]);
    let mailer = mailer(&backend).build();
    let mut message = message("s3cret");
    message.cc = vec!["bob@example.com".parse().unwrap()].into();
    message.bcc = vec!["eve@example.com".parse().unwrap()].into();
    let text = logged(|| {
        assert!(runtime.block_on(mailer.send(&message)).is_err());
        assert!(runtime.block_on(mailer.send(&message)).is_ok());
    });
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{text}");
    assert!(
        warnings
            .iter()
            .all(|it| it.contains("could not send a message")),
        "{text}"
    );
    assert!(
        warnings.iter().all(|it| it.contains("esp=\"acme\"")),
        "{text}"
    );
    assert!(
        warnings.iter().all(|it| it.contains("kind=Connect")),
        "{text}"
    );
    let sent = text
        .lines()
        .filter(|line| line.contains("DEBUG") && line.contains("sent"));
    assert_eq!(sent.count(), 1, "{text}");
    assert!(text.contains("message_count=1 recipients=3"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
