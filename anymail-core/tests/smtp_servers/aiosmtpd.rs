//! aiosmtpd, the SMTP server of the Python community, with STARTTLS and AUTH but without
//! pipelining.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use anymail_core::{Accepted, SendErrorKind as K, SmtpConfig, SmtpTls, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use tempfile::TempDir;

use super::{Certificates, limit, mailer, message};

const PASSWORD: &str = "p@ss/w:rd";

struct Aiosmtpd {
    process: Child,
    mails: Receiver<String>,
    port: u16,
    certificates: Certificates,
    _folder: TempDir,
}

#[derive(Debug, Deserialize)]
struct Taken {
    sender: String,
    recipients: Vec<String>,
    content: String,
    over_tls: bool,
    logged_in: bool,
    utf8: bool,
    peer: u16,
}

impl Taken {
    fn content(&self) -> Vec<u8> {
        BASE64.decode(&self.content).unwrap()
    }
}

/// Python, with the packages that `.ci/run` installs in addition to the system's.
fn python() -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut places = vec![target.join("ci-servers")];
    if let Some(others) = std::env::var_os("PYTHONPATH") {
        places.extend(std::env::split_paths(&others));
    }
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", std::env::join_paths(places).unwrap());
    python
}

impl Aiosmtpd {
    /// Returns `None`, and prints the reason, if it is not installed.
    fn start() -> Option<Self> {
        let found = python()
            .args(["-c", "import aiosmtpd.smtp"])
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            println!("skipped: aiosmtpd is not installed for python3 (pip install aiosmtpd)");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let certificates = Certificates::write(folder.path());
        let mut process = python()
            .args(["-c", include_str!("server.py")])
            .args([&certificates.certificate, &certificates.key])
            .arg(PASSWORD)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let (into, mails) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = into.send(line);
            }
        });
        Some(Self {
            process,
            mails,
            port,
            certificates,
            _folder: folder,
        })
    }

    fn config(&self) -> SmtpConfig {
        let config = SmtpConfig::new("127.0.0.1").port(self.port);
        config.tls(SmtpTls::StartTls).timeout(limit())
    }

    fn trusting(&self) -> SmtpConfig {
        let config = self.config().ca_file(&self.certificates.authority);
        config.password("shop", PASSWORD)
    }

    /// Waits for this number of messages, and checks that there are no more so far.
    fn mails(&self, count: usize) -> Vec<Taken> {
        let next = |_| self.mails.recv_timeout(limit()).unwrap();
        let mails: Vec<String> = (0..count).map(next).collect();
        assert!(self.mails.try_recv().is_err(), "more than {count} mails");
        let read = |line: &String| serde_json::from_str(line).unwrap();
        mails.iter().map(read).collect()
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_message_is_sent_with_starttls_and_a_login() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let login = "shop:p%40ss%2Fw%3Ard@";
    let mailers = super::by_file(server.port, login, &server.certificates);
    let mailer = mailers.default_mailer();
    let status = mailer.send(&message(&["ann@example.com"])).await.unwrap();
    let recipient = status.recipient("ann@example.com").unwrap();
    assert_eq!(recipient.status, Status::Queued);
    let mail = &server.mails(1)[0];
    assert_eq!(mail.sender, "shop@example.com");
    assert_eq!(mail.recipients, ["ann@example.com"]);
    assert!(mail.over_tls && mail.logged_in && !mail.utf8);
    let text = String::from_utf8(mail.content()).unwrap();
    let id = status.message_id().unwrap();
    assert!(text.contains(&format!("Message-ID: <{id}>\r\n")));
    assert!(text.ends_with("\r\n\r\nThank you.\r\n"), "{text}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_nothing_is_sent() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let config = server.config().ca_file(&server.certificates.authority);
    let mailer = mailer(config.password("shop", "correct horse"));
    let error = mailer.send(&message(&["ann@example.com"])).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), K::Authentication);
    assert_eq!(error.accepted(), Accepted::No);
    assert!(!error.is_transient());
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("535") && !shown.contains("horse"), "{shown}");
    server.mails(0);
}

#[tokio::test]
async fn a_server_with_another_certificate_is_not_trusted() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let mailer = mailer(server.config().password("shop", PASSWORD));
    let error = mailer.send(&message(&["ann@example.com"])).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.accepted()),
        super::UNTRUSTED,
        "{error}"
    );
    server.mails(0);
}

#[tokio::test]
async fn all_parts_arrive_and_nobody_sees_the_bcc() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let mailer = mailer(server.trusting());
    mailer.send(&super::with_files()).await.unwrap();
    let mail = &server.mails(1)[0];
    assert_eq!(mail.sender, "bounces@example.com");
    let to = ["ann@example.com", "copy@example.com", "hidden@example.com"];
    assert_eq!(mail.recipients, to);
    super::has_files(&mail.content());
    assert!(!String::from_utf8_lossy(&mail.content()).contains("hidden"));
}

#[tokio::test]
async fn a_batch_arrives_as_one_message_for_each_recipient() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let mailer = mailer(server.trusting());
    let status = mailer.send(&super::batch()).await.unwrap();
    assert_eq!(status.recipients().count(), 3);
    let mut mails = server.mails(3);
    mails.sort_by(|a, b| a.recipients.cmp(&b.recipients));
    let contents: Vec<_> = mails.iter().map(Taken::content).collect();
    let recipients = mails.iter().map(|it| &*it.recipients[0]);
    super::is_batch(recipients.zip(contents.iter().map(|it| &**it)));
}

#[tokio::test]
async fn a_refused_recipient_does_not_affect_the_others() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let mailer = mailer(server.trusting());
    let three = ["ann@example.com", "gone@example.com", "bob@example.com"];
    let status = mailer.send(&message(&three)).await.unwrap();
    let told = three.map(|it| status.recipient(it).unwrap().status);
    assert_eq!(told, [Status::Queued, Status::Invalid, Status::Queued]);
    assert_eq!(server.mails(1)[0].recipients, [three[0], three[2]]);

    let nobody = message(&["gone@example.com", "gone2@example.com"]);
    let error = mailer.send(&nobody).await.unwrap_err();
    assert_eq!(error.kind(), K::RecipientsRefused);
    assert_eq!(error.accepted(), Accepted::No);
    server.mails(0);
}

#[tokio::test]
async fn an_international_address_is_sent_with_smtputf8() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let mailer = mailer(server.trusting());
    let to = "j\u{f6}rg@example.com";
    mailer.send(&message(&[to])).await.unwrap();
    let mail = &server.mails(1)[0];
    assert_eq!(mail.recipients, [to]);
    assert!(mail.utf8);
    let text = String::from_utf8(mail.content()).unwrap();
    assert!(text.contains(&format!("To: <{to}>\r\n")), "{text}");
}

#[tokio::test]
async fn many_messages_over_several_connections_arrive_once_each() {
    let Some(server) = Aiosmtpd::start() else {
        return;
    };
    let mailer = mailer(server.trusting().max_connections(3));
    super::many(&mailer, 100).await;
    let mut mails = server.mails(100);
    mails.sort_by(|a, b| a.recipients.cmp(&b.recipients));
    for (place, mail) in mails.iter().enumerate() {
        assert_eq!(mail.recipients, [format!("a{place:03}@example.com")]);
    }
    let mut peers: Vec<_> = mails.iter().map(|it| it.peer).collect();
    peers.sort_unstable();
    peers.dedup();
    assert!((2..=3).contains(&peers.len()), "{peers:?}");
}
