//! Postfix: an instance in its own folder, which delivers to a Maildir.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anymail_core::{Accepted, SendErrorKind as K, SmtpConfig, SmtpTls, Status};
use tempfile::TempDir;

use super::{Certificates, free_port, limit, mailer, message};

const PROGRAM: &str = "/usr/sbin/postfix";
const MASTER: &str = "/usr/share/postfix/master.cf.dist";

struct Postfix {
    folder: TempDir,
    port: u16,
    certificates: Certificates,
}

/// A message in the Maildir. Postfix writes one for each recipient.
struct Delivered {
    recipient: String,
    sender: String,
    content: Vec<u8>,
}

impl Postfix {
    /// Returns `None`, and prints the reason, if Postfix is not installed or cannot be started.
    fn start() -> Option<Self> {
        let skipped = |why: &str| {
            println!("skipped: {why}");
            None
        };
        if !Path::new(PROGRAM).exists() || !Path::new(MASTER).exists() {
            return skipped("Postfix is not installed (Debian: apt-get install postfix)");
        }
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout.trim_ascii() != b"0" {
            return skipped("Postfix can only be started by root");
        }
        let folder = TempDir::new().unwrap();
        let certificates = Certificates::write(folder.path());
        let port = free_port();
        let postfix = Self {
            folder,
            port,
            certificates,
        };
        postfix.configure();
        assert!(postfix.run("start"), "{}", postfix.log());
        let patience = Instant::now() + limit();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "{}", postfix.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(postfix)
    }

    fn path(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }

    fn configure(&self) {
        // Its processes run as other users, who need access to the folder.
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["etc", "spool", "data", "mail"] {
            fs::create_dir(self.path(part)).unwrap();
        }
        for (owner, part) in [("postfix", "data"), ("65534:65534", "mail")] {
            let chown = Command::new("chown")
                .arg(owner)
                .arg(self.path(part))
                .status();
            assert!(chown.unwrap().success());
        }
        let listen = format!("127.0.0.1:{} inet n - n - - smtpd", self.port);
        let service = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["smtp", "inet", ..] => listen.clone(),
            [
                name,
                kind @ ("inet" | "unix" | "pass" | "fifo" | "unix-dgram"),
                private,
                unpriv,
                _,
                ref rest @ ..,
            ] => {
                format!("{name} {kind} {private} {unpriv} n {}", rest.join(" "))
            }
            _ => line.to_owned(),
        };
        let master = fs::read_to_string(MASTER).unwrap();
        let mut master: Vec<_> = master.lines().map(service).collect();
        if !master.iter().any(|line| line.starts_with("postlog ")) {
            master.push("postlog unix-dgram n - n - 1 postlogd".to_owned());
        }
        fs::write(self.path("etc/master.cf"), master.join("\n") + "\n").unwrap();
        let folder = self.folder.path().display();
        let main = format!(
            "compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/spool/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
myhostname = mx.example.test
alias_maps =
alias_database =
virtual_mailbox_domains = example.com, example.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_tls_cert_file = {}
smtpd_tls_key_file = {}
smtpd_tls_security_level = may
",
            self.certificates.certificate.display(),
            self.certificates.key.display(),
        );
        fs::write(self.path("etc/main.cf"), main).unwrap();
    }

    fn run(&self, command: &str) -> bool {
        let run = Command::new(PROGRAM)
            .arg("-c")
            .arg(self.path("etc"))
            .arg(command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        run.is_ok_and(|status| status.success())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("spool/log")).unwrap_or_default()
    }

    fn config(&self) -> SmtpConfig {
        let config = SmtpConfig::new("127.0.0.1").port(self.port);
        config.tls(SmtpTls::None).timeout(limit())
    }

    /// Waits for this number of messages, and returns them sorted by recipient.
    fn mails(&self, count: usize) -> Vec<Delivered> {
        let patience = Instant::now() + limit();
        loop {
            let inbox = fs::read_dir(self.path("mail/inbox/new"));
            let files: Vec<_> = inbox.into_iter().flatten().map(Result::unwrap).collect();
            if files.len() >= count {
                assert_eq!(files.len(), count, "{}", self.log());
                let read = |file: &fs::DirEntry| delivered(fs::read(file.path()).unwrap());
                let mut mails: Vec<_> = files.iter().map(read).collect();
                mails.sort_by(|a, b| a.recipient.cmp(&b.recipient));
                return mails;
            }
            assert!(
                Instant::now() < patience,
                "{} mails: {}",
                files.len(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.run("stop");
    }
}

fn delivered(content: Vec<u8>) -> Delivered {
    let header = |name: &str| {
        let text = String::from_utf8_lossy(&content);
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default()
            .trim_matches(['<', '>', ' '])
            .to_owned()
    };
    Delivered {
        recipient: header("Delivered-To:"),
        sender: header("Return-Path:"),
        content,
    }
}

#[tokio::test]
async fn the_status_of_a_message_has_its_queue_id() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let mailer = mailer(postfix.config());
    let status = mailer.send(&message(&["ann@example.com"])).await.unwrap();
    assert_eq!(
        status.recipient("ann@example.com").unwrap().status,
        Status::Queued
    );
    let said = status.esp_responses.last().unwrap().to_string();
    let (_, id) = said.split_once("queued as ").unwrap();
    let id: String = id.chars().take_while(char::is_ascii_alphanumeric).collect();
    let mail = &postfix.mails(1)[0];
    assert_eq!(mail.recipient, "ann@example.com");
    assert_eq!(mail.sender, "shop@example.com");
    let text = String::from_utf8_lossy(&mail.content);
    assert!(text.contains(&format!("Message-ID: <{}>", status.message_id().unwrap())));
    assert!(text.contains(&format!(" id {id}")), "{text}");
    assert!(text.ends_with("\n\nThank you.\n"), "{text}");
}

#[tokio::test]
async fn all_parts_arrive_and_nobody_sees_the_bcc() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let mailer = mailer(postfix.config());
    mailer.send(&super::with_files()).await.unwrap();
    let mails = postfix.mails(3);
    let to: Vec<_> = mails.iter().map(|it| &*it.recipient).collect();
    assert_eq!(
        to,
        ["ann@example.com", "copy@example.com", "hidden@example.com"]
    );
    for mail in &mails {
        assert_eq!(mail.sender, "bounces@example.com");
        super::has_files(&mail.content);
        // Postfix's own headers are above.
        let text = String::from_utf8_lossy(&mail.content);
        let (_, own) = text.split_once("\nDate:").unwrap();
        assert!(!own.contains("hidden"), "{own}");
    }
}

#[tokio::test]
async fn a_batch_arrives_as_one_message_for_each_recipient() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let status = mailer(postfix.config())
        .send(&super::batch())
        .await
        .unwrap();
    assert_eq!(status.recipients().count(), 3);
    let mails = postfix.mails(3);
    super::is_batch(mails.iter().map(|it| (&*it.recipient, &*it.content)));
}

#[tokio::test]
async fn a_recipient_refused_for_relaying_does_not_affect_the_others() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let mailer = mailer(postfix.config());
    let both = ["ann@example.com", "far@example.org", "bob@example.test"];
    let status = mailer.send(&message(&both)).await.unwrap();
    let told = both.map(|it| status.recipient(it).unwrap().status);
    assert_eq!(told, [Status::Queued, Status::Rejected, Status::Queued]);
    let detail = status.recipient("far@example.org").unwrap().detail.as_ref();
    assert_eq!(detail.unwrap().code.as_deref(), Some("554 5.7.1"));

    let error = mailer
        .send(&message(&["far@example.org"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), K::RecipientsRefused);
    assert_eq!(error.accepted(), Accepted::No);
    let to: Vec<_> = postfix
        .mails(2)
        .into_iter()
        .map(|it| it.recipient)
        .collect();
    assert_eq!(to, ["ann@example.com", "bob@example.test"]);
}

#[tokio::test]
async fn an_international_address_is_sent_with_smtputf8() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let mailer = mailer(postfix.config());
    mailer
        .send(&message(&["j\u{f6}rg@example.com"]))
        .await
        .unwrap();
    let mail = &postfix.mails(1)[0];
    assert_eq!(mail.recipient, "j\u{f6}rg@example.com");
    let text = String::from_utf8_lossy(&mail.content);
    assert!(text.contains("To: <j\u{f6}rg@example.com>"), "{text}");
    assert!(text.contains("UTF8SMTP"), "{text}");
}

#[tokio::test]
async fn many_messages_over_several_connections_arrive_once_each() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    // The following commands are pipelined.
    let said = hello(postfix.port);
    assert!(
        said.iter().any(|line| line.ends_with("PIPELINING")),
        "{said:?}"
    );
    let mailer = mailer(postfix.config().max_connections(4));
    super::many(&mailer, 200).await;
    let mails = postfix.mails(200);
    for (place, mail) in mails.iter().enumerate() {
        assert_eq!(mail.recipient, format!("a{place:03}@example.com"));
    }
    let log = postfix.log();
    // One connection asked for the extensions, and one waited for the server to start.
    let connections = log.matches(": connect from").count();
    assert!((3..=6).contains(&connections), "{connections}: {log}");
    assert!(!log.contains("improper command pipelining"), "{log}");
}

fn hello(port: u16) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map(Result::unwrap);
    replies.next().unwrap();
    stream.write_all(b"EHLO test.example.com\r\n").unwrap();
    let mut said = Vec::new();
    for line in replies {
        let last = line.starts_with("250 ");
        said.push(line);
        if last {
            break;
        }
    }
    said
}

#[tokio::test]
async fn a_server_with_another_certificate_is_not_trusted() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let config = postfix.config().tls(SmtpTls::StartTls);
    let error = mailer(config).send(&message(&["ann@example.com"])).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.accepted()),
        super::UNTRUSTED,
        "{error}"
    );
    let mailers = super::by_file(postfix.port, "", &postfix.certificates);
    let mailer = mailers.default_mailer();
    mailer.send(&message(&["ann@example.com"])).await.unwrap();
    let text = String::from_utf8_lossy(&postfix.mails(1)[0].content).into_owned();
    assert!(text.contains("with ESMTPS"), "{text}");
}

#[tokio::test]
async fn nothing_is_sent_of_a_message_that_is_too_large() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let mut large = message(&["ann@example.com"]);
    large.text_body = "A line of text.\n".repeat(700_000).into();
    let error = mailer(postfix.config()).send(&large).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (K::Refused, Accepted::No));
    assert!(error.message().contains("10240000 bytes"), "{error}");
}
