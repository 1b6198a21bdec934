//! Real SMTP servers: Postfix, and Python's aiosmtpd.
//!
//! If one is not installed, its tests print that they are skipped, and why.
#![cfg(all(feature = "smtp", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test panics"
)]

mod aiosmtpd;
mod postfix;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anymail_core::{
    Accepted, ContentId, Env, Mailer, Mailers, MailersConfig, Message, Registry, RetryPolicy,
    SendErrorKind, SmtpBackend, SmtpConfig,
};
use mail_parser::{MessageParser, MimeHeaders};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The result of sending to a server whose certificate is not trusted.
const UNTRUSTED: (SendErrorKind, Accepted) = (SendErrorKind::Configuration, Accepted::No);

/// A certificate for 127.0.0.1 by the test's own authority, in files.
struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn write(folder: &Path) -> Self {
        let file = |name: &str, content: String| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "anymail-core, made for one test";
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        Self {
            authority: file("authority.pem", authority),
            certificate: file("certificate.pem", certificate),
            key: file("key.pem", key.serialize_pem()),
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn mailer(config: SmtpConfig) -> Mailer {
    let backend = SmtpBackend::new(config).unwrap();
    let mailer = Mailer::builder(backend).retry(RetryPolicy::none());
    mailer.concurrency(16).build()
}

/// A mailer configured like an app's: by a URL, with the authority in a file. A `login` ends with
/// `@`.
fn by_file(port: u16, login: &str, certificates: &Certificates) -> Mailers {
    let file = certificates.authority.display();
    let url = format!("smtp://{login}127.0.0.1:{port}?ca_file={file}");
    let env = Env::from([("ANYMAIL_URL", url)]);
    let registry = Registry::new();
    let config = MailersConfig::from_env(&env, &registry);
    config.build_in(&env, &registry).unwrap()
}

fn message(to: &[&str]) -> Message {
    let builder = Message::builder().from("Shop <shop@example.com>");
    to.iter()
        .fold(builder, |builder, to| builder.to(*to))
        .subject("Your receipt")
        .text_body("Thank you.")
        .build()
        .unwrap()
}

/// Bytes of all kinds, some with lines that start with dots.
fn picture() -> Vec<u8> {
    let bytes = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
    bytes.chain(*b"\n.\r\n..\r.\0").collect()
}

fn with_files() -> Message {
    Message::builder()
        .from("Shop <shop@example.com>")
        .to("Ann <ann@example.com>")
        .cc("copy@example.com")
        .bcc("hidden@example.com")
        .envelope_sender("bounces@example.com")
        .subject("\u{17d}lu\u{165}ou\u{10d}k\u{fd} k\u{16f}\u{148}")
        .text_body(".\n..\nFrom here on: \u{fa}p\u{11b}l\n")
        .html_body("<p>\u{fa}p\u{11b}l</p><img src=\"cid:logo@example.com\">")
        .attach_inline(
            "logo.png",
            picture(),
            &ContentId::new("logo@example.com").unwrap(),
        )
        .attach("\u{159}\u{ed}jen.pdf", picture())
        .build()
        .unwrap()
}

fn has_files(content: &[u8]) {
    let mail = MessageParser::default().parse(content).unwrap();
    let sent = with_files();
    assert_eq!(mail.subject(), sent.subject.value().map(String::as_str));
    let text = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(Some(&text), sent.text_body.value());
    let names: Vec<_> = mail.attachments().map(|it| it.attachment_name()).collect();
    assert_eq!(names, [Some("logo.png"), Some("\u{159}\u{ed}jen.pdf")]);
    assert!(mail.attachments().all(|it| it.contents() == picture()));
}

fn batch() -> Message {
    let mut message = message(&["ann@example.com", "bob@example.com", "zoe@example.com"]);
    for (recipient, name) in [("ann@example.com", "Ann"), ("BOB@example.com", "Bob")] {
        let headers = message.merge_headers.value_or_default();
        let headers = headers.value_or_default(recipient);
        headers.insert("X-Name", name).unwrap();
    }
    message
}

/// Accepts recipients and messages.
fn is_batch<'a>(mails: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
    let expected = [
        ("ann@example.com", Some("Ann")),
        ("bob@example.com", Some("Bob")),
        ("zoe@example.com", None),
    ];
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for ((recipient, content), (to, name)) in mails.into_iter().zip(expected) {
        assert_eq!(recipient, to);
        let mail = MessageParser::default().parse(content).unwrap();
        let named: Vec<_> = mail.to().unwrap().iter().map(|it| it.address()).collect();
        assert_eq!(named, [Some(to)]);
        let header = mail.header_raw("X-Name").map(str::trim);
        assert_eq!(header, name);
        ids.insert(mail.message_id().unwrap().to_owned());
        count += 1;
    }
    assert_eq!((count, ids.len()), (3, 3));
}

/// Sends this number of messages, to `a000@example.com` and so on.
async fn many(mailer: &Mailer, count: usize) {
    let messages: Vec<_> = (0..count)
        .map(|n| message(&[&format!("a{n:03}@example.com")]))
        .collect();
    for result in mailer.send_all(&messages).await {
        result.unwrap();
    }
}

fn limit() -> Duration {
    Duration::from_secs(20)
}
