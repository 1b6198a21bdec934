//! The backends that keep messages on this machine: memory, console, file.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use anymail_core::{
    Accepted, ConsoleBackend, Feature, Mailer, MemoryBackend, Message, Outbox, SendErrorKind,
    Status,
};
use serde_json::json;

fn message(subject: &str) -> Message {
    let builder = Message::builder()
        .from("Shop <shop@example.com>")
        .to("ann@example.com");
    builder.subject(subject).text_body("Hello").build().unwrap()
}

/// Every feature of a message except `esp_extra`.
fn everything() -> Message {
    Message::from_json_map(
        json!({
            "from": "Shop <shop@example.com>",
            "to": ["Ann <ann@example.com>", "bob@příklad.cz"],
            "cc": "cc@example.com", "bcc": "bcc@example.com", "reply_to": "reply@example.com",
            "subject": "Your receipt", "text_body": "Thank you.", "html_body": "<p>Thanks</p>",
            "headers": {"X-Order": "4711"},
            "attachments": [
                {"filename": "a.txt", "content_base64": "YWJj"},
                {"filename": "logo.png", "content_base64": "YWJj", "content_id": "logo@shop"},
            ],
            "envelope_sender": "bounces@example.com",
            "metadata": {"order": "4711"}, "tags": ["receipt", "shop"],
            "track_opens": true, "track_clicks": false, "send_at": 1_900_000_000,
            "template_id": "welcome", "merge_global_data": {"product": "Anvil"},
            "merge_data": {"ann@example.com": {"name": "Ann"}, "BOB@příklad.cz": {"name": "Bob"}},
            "merge_metadata": {"ann@example.com": {"order": "1"}},
            "merge_headers": {"bob@příklad.cz": {"X-Order": "2"}},
        })
        .as_object()
        .unwrap()
        .clone(),
    )
    .unwrap()
}

fn metadata(message: &Message, key: &str) -> String {
    message.metadata.value().unwrap()[key].clone()
}

#[tokio::test]
async fn memory_keeps_a_batch_as_one_message_for_each_recipient() {
    let backend = MemoryBackend::new();
    let outbox = backend.outbox();
    let status = Mailer::new(backend).send(&everything()).await.unwrap();
    let sent = outbox.take();
    assert!(outbox.is_empty());
    let [ann, bob] = sent.as_slice() else {
        panic!("{} messages", sent.len())
    };
    assert_eq!(
        ann.message.to.items()[0].to_string(),
        "Ann <ann@example.com>"
    );
    assert_eq!(bob.message.to.items()[0].email(), "bob@příklad.cz");
    for (copy, name, order, header) in [(ann, "Ann", "1", "4711"), (bob, "Bob", "4711", "2")] {
        assert!(!copy.message.is_batch());
        assert_eq!(
            copy.message.to.items().len(),
            1,
            "no recipient sees another"
        );
        assert_eq!(copy.message.cc.items()[0].email(), "cc@example.com");
        let data = copy.message.merge_global_data.value().unwrap();
        assert_eq!(
            (&data["name"], &data["product"]),
            (&json!(name), &json!("Anvil"))
        );
        assert_eq!(metadata(&copy.message, "order"), order);
        assert_eq!(
            copy.message.headers.value().unwrap().get("X-Order"),
            Some(header)
        );
    }
    assert!(status.all(Status::Sent));
    let id = |email| status.recipient(email).unwrap().message_id.as_deref();
    assert_eq!(id("ann@example.com"), Some(ann.message_id.as_str()));
    assert_eq!(id("BOB@xn--pklad-zsa96e.cz"), Some(bob.message_id.as_str()));
    assert_eq!(id("cc@example.com"), Some(ann.message_id.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_tasks_do_not_see_each_others_outboxes() {
    let tests = (0..8).map(|test| {
        tokio::spawn(async move {
            let backend = MemoryBackend::new();
            let outbox = backend.outbox();
            let mailer = Mailer::new(backend);
            let tasks: Vec<_> = (0..50)
                .map(|at| {
                    let mailer = mailer.clone();
                    let send = async move { mailer.send(&message(&format!("{test}/{at}"))).await };
                    tokio::spawn(send)
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            (test, outbox)
        })
    });
    for test in tests.collect::<Vec<_>>() {
        let (test, outbox) = test.await.unwrap();
        let sent = outbox.messages();
        let subjects: BTreeSet<_> = sent
            .iter()
            .map(|m| m.message.subject.value().unwrap().clone())
            .collect();
        let expected: BTreeSet<_> = (0..50).map(|at| format!("{test}/{at}")).collect();
        assert_eq!(subjects, expected);
        let ids: BTreeSet<_> = sent.iter().map(|m| &m.message_id).collect();
        assert_eq!(ids.len(), 50);
    }
}

#[test]
fn an_outbox_survives_a_test_that_panics() {
    let outbox = Outbox::new();
    let mailer = Mailer::new(MemoryBackend::with_outbox(outbox.clone()));
    let send = async move {
        mailer.send(&message("before")).await.unwrap();
        panic!("as a failed assertion would");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert!(
        runtime
            .block_on(async { tokio::spawn(send).await })
            .is_err()
    );
    assert_eq!(outbox.len(), 1);
}

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_console_shows_every_field_of_a_message() {
    let screen = Screen::default();
    let mailer = Mailer::new(ConsoleBackend::to(screen.clone()));
    let status = mailer.send(&everything()).await.unwrap();
    let text = screen.text();
    for line in [
        "From: Shop <shop@example.com>",
        "To: Ann <ann@example.com>",
        "To: bob@příklad.cz",
        "Cc: cc@example.com",
        "Bcc: bcc@example.com",
        "Reply-To: reply@example.com",
        "Subject: Your receipt",
        "X-Order: 2",
        "Envelope-Sender: \"bounces@example.com\"",
        "Tags: [\"receipt\",\"shop\"]",
        "Metadata: {\"order\":\"1\"}",
        "Track-Opens: true",
        "Track-Clicks: false",
        "Send-At: \"2030-03-17T17:46:40Z\"",
        "Template-Id: \"welcome\"",
        "Merge-Data: {\"product\":\"Anvil\",\"name\":\"Ann\"}",
        "Attachment: a.txt (text/plain, 3 bytes)",
        "Attachment: logo.png (image/png, 3 bytes, inline as cid:logo@shop)",
        "Thank you.",
        "<p>Thanks</p>",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line} is not in\n{text}"
        );
    }
    let first = status
        .recipient("ann@example.com")
        .unwrap()
        .message_id
        .clone()
        .unwrap();
    assert!(text.contains(&first));
}

#[tokio::test]
async fn the_console_escapes_terminal_control_sequences() {
    let screen = Screen::default();
    let mailer = Mailer::new(ConsoleBackend::to(screen.clone()));
    let mut message = message("Hello");
    message.text_body = "\u{1b}[2Jgone\u{9b}31m\r\nnext".to_owned().into();
    let metadata = message.metadata.value_or_default();
    metadata.insert("key".to_owned(), "\u{1b}]0;title\u{7}".to_owned());
    mailer.send(&message).await.unwrap();
    let controls: BTreeSet<_> = screen.text().chars().filter(|c| c.is_control()).collect();
    assert_eq!(controls, BTreeSet::from(['\n']));
}

#[tokio::test]
async fn a_closed_console_is_an_error_and_nothing_was_sent() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mailer = Mailer::new(ConsoleBackend::to(Gone));
    let error = mailer.send(&message("Hello")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.accepted()),
        (SendErrorKind::ServerError, Accepted::No)
    );
}

#[tokio::test]
async fn the_console_refuses_esp_extra() {
    let mailer = Mailer::new(ConsoleBackend::to(io::sink()));
    let mut message = message("Hello");
    message
        .esp_extra
        .value_or_default()
        .insert("Token".to_owned(), json!("s3cret"));
    let error = mailer.send(&message).await.unwrap_err();
    assert_eq!(error.unsupported()[0].feature, Some(Feature::EspExtra));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[cfg(feature = "mime")]
mod file {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use anymail_core::FileBackend;
    use mail_parser::MessageParser;

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut found: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        found.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
        found.sort();
        found
    }

    #[tokio::test]
    async fn a_batch_is_one_eml_per_recipient_with_esp_features_in_headers() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = Mailer::new(FileBackend::new(folder.path().join("new/mails")).unwrap());
        let status = mailer.send(&everything()).await.unwrap();
        let files = files(&folder.path().join("new/mails"));
        assert_eq!(files.len(), 2);
        let names = ["Ann", "Bob"];
        let orders = ["{\"order\":\"1\"}", "{\"order\":\"4711\"}"];
        for ((file, recipient), (name, order)) in files
            .iter()
            .zip(["ann@example.com", "bob@příklad.cz"])
            .zip(names.iter().zip(orders))
        {
            let bytes = fs::read(file).unwrap();
            let mail = MessageParser::default().parse(&bytes).unwrap();
            let id = status.recipient(recipient).unwrap().message_id.as_deref();
            assert_eq!(mail.message_id(), id);
            assert!(
                file.to_str()
                    .unwrap()
                    .contains(id.unwrap().split('@').next().unwrap())
            );
            let header = |name: &str| mail.header(name).unwrap().as_text().unwrap().to_owned();
            assert_eq!(header("X-Anymail-Tags"), "[\"receipt\",\"shop\"]");
            assert_eq!(header("X-Anymail-Metadata"), order);
            assert_eq!(header("X-Anymail-Template-Id"), "\"welcome\"");
            assert!(header("X-Anymail-Merge-Data").contains(name));
            assert_eq!(mail.to().unwrap().iter().count(), 1);
            assert!(!String::from_utf8_lossy(&bytes).contains("bcc@example.com"));
            assert_eq!(mail.attachment_count(), 2);
        }
    }

    #[tokio::test]
    async fn filenames_are_unique_and_sort_in_the_order_of_writing() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = Mailer::new(FileBackend::new(folder.path()).unwrap());
        for at in 0..30 {
            mailer.send(&message(&format!("{at:02}"))).await.unwrap();
        }
        let files = files(folder.path());
        assert_eq!(files.len(), 30);
        for (at, file) in files.iter().enumerate() {
            let text = fs::read_to_string(file).unwrap();
            assert!(text.contains(&format!("Subject: {at:02}\r\n")));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_reader_never_sees_an_incomplete_file() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = Mailer::new(FileBackend::new(folder.path()).unwrap());
        let done = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (done, folder) = (done.clone(), folder.path().to_owned());
            move || {
                let mut seen = 0;
                while seen == 0 || !done.load(Ordering::SeqCst) {
                    for file in files(&folder) {
                        let bytes = fs::read(&file).unwrap();
                        // The final boundary is written last.
                        assert!(bytes.ends_with(b"--\r\n"), "{file:?} is cut off");
                        seen += 1;
                    }
                }
            }
        });
        let large = vec![7; 300_000];
        let send = |at: usize| {
            let mut message = message(&at.to_string());
            let file = anymail_core::Attachment::new("a.bin", large.clone()).unwrap();
            message.attachments = vec![file].into();
            let mailer = mailer.clone();
            tokio::spawn(async move { mailer.send(&message).await })
        };
        for task in (0..20).map(send).collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        assert_eq!(files(folder.path()).len(), 20);
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap();
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 20, "no unfinished file is left");
    }

    #[tokio::test]
    async fn a_failed_write_is_an_error_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mails = folder.path().join("mails");
        let mailer = Mailer::new(FileBackend::new(&mails).unwrap());
        fs::remove_dir(&mails).unwrap();
        let error = mailer.send(&everything()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.accepted()),
            (SendErrorKind::ServerError, Accepted::No)
        );
        assert!(error.status().unwrap().all(Status::Failed));
        fs::write(&mails, "a file in the folder's place").unwrap();
        assert!(FileBackend::new(&mails).is_err());
    }

    #[test]
    fn a_file_can_be_written_without_tokio() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = Mailer::new(FileBackend::new(folder.path()).unwrap());
        futures_util::future::FutureExt::now_or_never(mailer.send(&message("Hello")))
            .unwrap()
            .unwrap();
        assert_eq!(files(folder.path()).len(), 1);
    }
}

/// A terminal that is closed after the first message.
struct ClosesAfterOne(usize);

impl Write for ClosesAfterOne {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            Ok(bytes.len())
        } else {
            Err(io::Error::other("closed"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0 += 1;
        Ok(())
    }
}

#[tokio::test]
async fn a_copy_that_could_not_be_stored_affects_only_its_recipient() {
    let mailer = Mailer::new(ConsoleBackend::to(ClosesAfterOne(0)));
    let status = mailer.send(&everything()).await.unwrap();
    let of = |email| status.recipient(email).unwrap();
    assert_eq!(of("ann@example.com").status, Status::Sent);
    assert_eq!(of("bob@příklad.cz").status, Status::Failed);
    assert!(
        of("bob@příklad.cz")
            .detail
            .as_ref()
            .unwrap()
            .message
            .contains("closed")
    );
}
