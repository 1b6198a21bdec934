//! Other SMTP clients: Python's smtplib, and curl.

use std::io::Write;
use std::process::{Command, Stdio};

use anymail_test_utils::LoopbackSmtp;

/// Whether a program is installed; if not, prints that the test is skipped.
fn present(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

/// Runs a script with these arguments, which must succeed.
fn python(script: &str, arguments: &[&str]) {
    let run = Command::new("python3")
        .arg("-c")
        .arg(script)
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
}

const SEND: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
port, tls, ca = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cadata=ca) if ca else None
if tls == "implicit":
    client = smtplib.SMTP_SSL("localhost", port, context=context, timeout=20)
else:
    client = smtplib.SMTP("127.0.0.1", port, timeout=20)
if tls == "starttls":
    client.starttls(context=context)
client.login("me", "secret")
mail = EmailMessage()
mail["From"], mail["To"] = "me@example.com", "you@example.com, gone@example.com"
mail["Subject"] = "Grüße"
mail.set_content(".\n..\nHällo\n")
# Python writes this body in 8 bits, and leaves it to the caller to say so in MAIL.
refused = client.send_message(mail, mail_options=["BODY=8BITMIME"],
                              rcpt_options=["NOTIFY=FAILURE"])
assert refused == {"gone@example.com": (550, b"5.1.1 No such user")}, refused
client.quit()
"#;

fn refusing_gone(server: &LoopbackSmtp) {
    server.reply_to_recipient(|address| {
        (address == "gone@example.com")
            .then(|| anymail_test_utils::SmtpReply::new(550, "5.1.1 No such user"))
    });
}

#[test]
fn pythons_smtplib_logs_in_and_sends() {
    if !present("python3") {
        return;
    }
    let server = LoopbackSmtp::builder()
        .user("me", "secret")
        .start()
        .unwrap();
    refusing_gone(&server);
    python(SEND, &[&server.port().to_string(), "none", ""]);
    check(&server, false);
}

#[cfg(feature = "smtp-tls")]
#[test]
fn pythons_smtplib_trusts_the_certificate_by_starttls_and_from_the_start() {
    use anymail_test_utils::LoopbackTls;

    if !present("python3") {
        return;
    }
    for (tls, name) in [
        (LoopbackTls::StartTls, "starttls"),
        (LoopbackTls::Implicit, "implicit"),
    ] {
        let builder = LoopbackSmtp::builder().user("me", "secret").tls(tls);
        let server = builder.start().unwrap();
        refusing_gone(&server);
        python(SEND, &[&server.port().to_string(), name, server.ca_pem()]);
        check(&server, true);
    }
}

fn check(server: &LoopbackSmtp, over_tls: bool) {
    let mails = server.messages();
    let mail = &mails[0];
    assert_eq!(mail.addresses(), ["you@example.com"]);
    assert_eq!(mail.parameter("BODY"), Some("8BITMIME"));
    assert_eq!(mail.recipients[0].parameter("NOTIFY"), Some("FAILURE"));
    assert_eq!(
        (mail.user.as_deref(), mail.over_tls),
        (Some("me"), over_tls)
    );
    let parsed = mail_parser::MessageParser::default()
        .parse(&mail.content)
        .unwrap();
    assert_eq!(parsed.subject(), Some("Grüße"));
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        ".\n..\nHällo\n"
    );
    server.assert_no_violations();
}

#[test]
fn curl_sends() {
    if !present("curl") {
        return;
    }
    let server = LoopbackSmtp::builder()
        .user("me", "secret")
        .start()
        .unwrap();
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .arg(format!("smtp://{}/client.example.com", server.address()))
        .args(["--user", "me:secret", "--mail-from", "me@example.com"])
        .args(["--mail-rcpt", "you@example.com", "--upload-file", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = curl.stdin.take().unwrap();
    input.write_all(b"Subject: Hi\r\n\r\n.dot\r\n").unwrap();
    drop(input);
    let output = curl.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("not supported or disabled") {
        println!("skipped: this curl has no SMTP");
        return;
    }
    assert!(output.status.success(), "{errors}");
    let mails = server.messages();
    assert_eq!(mails[0].content, "Subject: Hi\r\n\r\n.dot\r\n");
    assert_eq!(mails[0].addresses(), ["you@example.com"]);
    server.assert_no_violations();
}
