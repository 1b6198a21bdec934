//! Tests that run the program `fake-postmark`.

#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anymail_core::{Mailer, Message, SmtpBackend, SmtpConfig, SmtpTls};
use anymail_test_utils::LoopbackServer;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-postmark"));
    command.args(arguments);
    command
}

/// Starts the program on a free port and returns its lines of output. The first contains its URL.
fn start(arguments: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = program(&["--port", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output.lines().map(Result::unwrap))
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn send(url: &str, token: &str) -> u16 {
    let response = client()
        .post(format!("{url}/email"))
        .header("Accept", "application/json")
        .header("Content-Type", "application/json")
        .header("X-Postmark-Server-Token", token)
        .body(r#"{"From": "a@example.com", "To": "b@example.com", "Subject": "Hi\u001b[2J", "TextBody": "x"}"#)
        .send();
    response.await.unwrap().status().as_u16()
}

fn url_of(line: &str) -> String {
    let url = line.strip_prefix("fake Postmark listening on ");
    url.unwrap().to_owned()
}

#[tokio::test]
async fn it_prints_its_url_and_each_message_and_stops_on_ctrl_c() {
    let hook = LoopbackServer::start(|_| http::Response::default()).unwrap();
    let arguments = ["--token", "one", "--token", "two", "--deliver", "--webhook"];
    let (mut child, mut lines) = start(&[&arguments[..], &[&hook.url()]].concat());
    let url = url_of(&lines.next().unwrap());
    assert_eq!(send(&url, "server-token").await, 401);
    assert_eq!(send(&url, "one").await, 200);
    assert_eq!(send(&url, "two").await, 200);
    let line = lines.next().unwrap();
    let message = r#"  a@example.com -> b@example.com  "Hi\u{1b}[2J""#;
    assert!(line.ends_with(message), "{line}");
    assert!(lines.next().unwrap().ends_with(message));
    while hook.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let pid = child.id().to_string();
    let stop = Command::new("kill").args(["-INT", &pid]).status();
    assert!(stop.unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn the_default_token_is_server_token() {
    let (mut child, mut lines) = start(&[]);
    let url = url_of(&lines.next().unwrap());
    assert_eq!(send(&url, "server-token").await, 200);
    let page = client().get(&url).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("1 message,"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn messages_over_smtp_are_printed_and_shown_with_the_reason_for_a_refusal() {
    let (mut child, mut lines) = start(&["--smtp-port", "0"]);
    let url = url_of(&lines.next().unwrap());
    let smtp = lines.next().unwrap();
    let port: u16 = smtp.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(smtp, format!("SMTP listening on 127.0.0.1:{port}"));
    let config = SmtpConfig::new("127.0.0.1")
        .port(port)
        .tls(SmtpTls::None)
        .password("server-token", "server-token");
    let mailer = Mailer::new(SmtpBackend::new(config).unwrap());
    for stream in ["outbound", "nowhere"] {
        let message = Message::builder()
            .from("a@example.com")
            .to("b@example.com")
            .subject("Hi")
            .text_body("x")
            .header("X-PM-Message-Stream", stream);
        mailer.send(&message.build().unwrap()).await.unwrap();
        let line = lines.next().unwrap();
        assert!(
            line.ends_with("  a@example.com -> b@example.com  \"Hi\""),
            "{line}"
        );
    }
    let refused = lines.next().unwrap();
    assert!(
        refused.contains("  refused: ") && refused.contains("1235"),
        "{refused}"
    );
    let page = client().get(&url).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("2 messages,") && page.contains(&format!("SMTP 127.0.0.1:{port}")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_prints_help_and_reports_invalid_arguments() {
    let help = program(&["--help"]).output().unwrap();
    assert!(help.status.success());
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("--inbound-webhook URL")
    );
    for wrong in [
        &["--port", "x"][..],
        &["--nonsense"],
        &["extra"],
        &["--token"],
    ] {
        let output = program(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.starts_with("fake-postmark: "), "{words}");
    }
    let taken = LoopbackServer::start(|_| http::Response::default()).unwrap();
    let port = taken.address().port().to_string();
    let output = program(&["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains(&format!("could not listen on port {port}")),
        "{words}"
    );
    let arguments = ["--port", "0", "--smtp-port", &port];
    let output = program(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains(&format!("could not listen on port {port}")),
        "{words}"
    );
}

#[tokio::test]
async fn it_reports_invalid_template_files_and_when_they_are_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("welcome");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("content.txt"), "Dear {{#each name}}").unwrap();
    let meta = r#"{"Name": "Welcome", "Alias": "welcome", "Subject": "Hi"}"#;
    std::fs::write(path.join("meta.json"), meta).unwrap();
    let (mut child, mut lines) = start(&["--templates", folder.path().to_str().unwrap()]);
    url_of(&lines.next().unwrap());
    let line = lines.next().unwrap();
    assert!(line.contains("welcome/content.txt:1:"), "{line}");
    std::fs::write(path.join("content.txt"), "Dear {{name}}").unwrap();
    assert_eq!(lines.next().unwrap(), "all templates are valid");
    child.kill().unwrap();
    child.wait().unwrap();
}
