//! The example `switch`: its configurations in a file and in variables.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "../examples/switch.rs"]
#[allow(dead_code, reason = "main belongs to the example")]
mod switch;

use anymail_core::Env;
use anymail_test_utils::{FakePostmark, LoopbackSmtp};

async fn run(choice: &str) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let output = switch::by_file(choice, &folder.path().to_string_lossy())
        .await
        .unwrap();
    let files = std::fs::read_dir(folder.path()).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    (output, texts.collect())
}

#[tokio::test]
async fn one_value_changes_where_messages_go() {
    for (choice, esp, status, [postmark, smtp, memory, files]) in [
        ("postmark", "postmark", "Sent", [1, 0, 0, 0]),
        ("smtp", "smtp", "Queued", [0, 1, 0, 0]),
        ("console", "console", "Sent", [0, 0, 0, 0]),
        ("file", "file", "Sent", [0, 0, 0, 1]),
        ("memory", "memory", "Sent", [0, 0, 1, 0]),
        ("failover", "smtp", "Queued", [0, 1, 0, 0]),
    ] {
        let (output, texts) = run(choice).await;
        assert!(
            output.contains(&format!("Sent by {esp}:\n  ann@example.com: {status}\n")),
            "{output}"
        );
        let counts =
            format!("Messages: Postmark has {postmark}, the SMTP server {smtp}, memory {memory}.");
        assert!(output.contains(&counts), "{choice}: {output}");
        assert_eq!(texts.len(), files, "{choice}");
        for text in texts {
            assert!(text.contains("Subject: Your receipt"), "{text}");
        }
    }
}

#[tokio::test]
async fn the_app_learns_before_sending_what_each_mailer_does_not_support() {
    let (output, _) = run("memory").await;
    assert!(
        output.contains("postmark: postmark supports at most 1 tag per message (got 2)"),
        "{output}"
    );
    assert!(
        output.contains("smtp: smtp does not support tags"),
        "{output}"
    );
    assert!(
        output.contains("memory: the message can be sent"),
        "{output}"
    );
}

#[tokio::test]
async fn failover_reports_which_member_was_down() {
    let (output, _) = run("failover").await;
    assert!(output.contains("tried before: "), "{output}");
    assert!(output.contains("could not connect to postmark"), "{output}");
}

#[tokio::test]
async fn an_unknown_mailer_is_an_error_that_lists_the_configured_ones() {
    let error = switch::by_file("posmark", "unused")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean \"postmark\"?"), "{error}");
}

#[tokio::test]
async fn one_variable_changes_where_messages_go() {
    for backend in ["console", "memory"] {
        let env = Env::from([("ANYMAIL_BACKEND", backend)]);
        let output = switch::by_variables(&env).await.unwrap();
        assert!(output.contains(&format!("Sent by {backend}:")), "{output}");
    }
    let fake = FakePostmark::start().unwrap();
    let url = fake.url();
    let mut env = vec![("ANYMAIL_BACKEND", "postmark"), ("POSTMARK_API_URL", &url)];
    let error = switch::by_variables(&env.iter().copied().collect()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("POSTMARK_SERVER_TOKEN"), "{error}");
    env.push(("POSTMARK_SERVER_TOKEN", "server-token"));
    let output = switch::by_variables(&env.into_iter().collect()).await;
    assert!(output.unwrap().contains("Sent by postmark:"));
    assert_eq!(fake.messages()[0].subject, "Your receipt");

    let by_url = fake
        .url()
        .replace("http://", "postmark+http://server-token@");
    let env = Env::from([("ANYMAIL_URL", by_url.as_str())]);
    let output = switch::by_variables(&env).await;
    assert!(output.unwrap().contains("Sent by postmark:"));
    assert_eq!(fake.messages().len(), 2);

    let server = LoopbackSmtp::start().unwrap();
    let by_url = format!("smtp://127.0.0.1:{}?tls=none", server.port());
    let env = Env::from([("ANYMAIL_URL", by_url.as_str())]);
    let output = switch::by_variables(&env).await;
    assert!(output.unwrap().contains("Sent by smtp:"));
    let content = String::from_utf8_lossy(&server.messages()[0].content).into_owned();
    assert!(content.contains("Subject: Your receipt\r\n"), "{content}");
}
