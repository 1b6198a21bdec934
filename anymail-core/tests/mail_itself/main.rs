//! The messages that people receive: two independent parsers see the same content, and no server
//! objects to anything.
#![cfg(feature = "smtp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test panics"
)]

mod any;
#[allow(dead_code, reason = "the suite uses the other items")]
#[path = "../../../anymail-test-utils/src/fixtures.rs"]
mod fixtures;
mod python;
mod seen;

use std::cell::RefCell;
use std::path::Path;

use anymail_core::{
    Address, Attachment, Capabilities, ContentId, Feature, Mailer, Message, MessageBuilder,
    RetryPolicy, SmtpBackend, SmtpConfig, SmtpTls,
};
use anymail_test_utils::LoopbackSmtp;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::Deserialize as _;
use serde_json::Value;

use self::python::Python;
use self::seen::{Seen, by_mail_parser, expected};

const PYTHON: &str = "Python";

/// Sends a message through a strict SMTP server to the parsers.
struct Way {
    server: LoopbackSmtp,
    mailer: Mailer,
    runtime: tokio::runtime::Runtime,
    python: Option<RefCell<Python>>,
}

impl Way {
    fn new() -> Self {
        let server = LoopbackSmtp::start().unwrap();
        let config = SmtpConfig::new("127.0.0.1")
            .port(server.port())
            .tls(SmtpTls::None);
        let backend = SmtpBackend::new(config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            mailer: Mailer::builder(backend).retry(RetryPolicy::none()).build(),
            server,
            runtime: { runtime }.enable_all().build().unwrap(),
            python: Python::start().map(RefCell::new),
        }
    }

    /// Sends the message, and compares what each parser sees with its content.
    fn check(&self, message: &Message, forwarded: &[Message]) -> Result<(), String> {
        lines_are_sound(message.to_mime().bytes())?;
        self.server.forget_messages();
        let sent = self.runtime.block_on(self.mailer.send(message));
        sent.map_err(|error| format!("{error}"))?;
        if let Some(violation) = self.server.violations().first() {
            return Err(format!("the server minds: {violation}"));
        }
        let mails = self.server.messages();
        let [mail] = &*mails else {
            return Err(format!("{} mails", mails.len()));
        };
        self.read(&mail.content, &expected(message, forwarded))
    }

    fn read(&self, mail: &[u8], expected: &Seen) -> Result<(), String> {
        let mut same = same(expected, by_mail_parser(mail), "mail-parser");
        if let (Ok(()), Some(python)) = (&same, &self.python) {
            let seen = python.borrow_mut().read(mail);
            same = self::same(expected, seen, PYTHON);
        }
        let text = String::from_utf8_lossy(mail);
        same.map_err(|different| format!("{different}\n{text:?}"))
    }
}

fn lines_are_sound(mail: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(mail);
    for line in text.split("\r\n") {
        if line.len() > 998 || line.contains(['\r', '\n', '\0']) {
            return Err(format!("a line of {} bytes: {line:?}", line.len()));
        }
    }
    Ok(())
}

fn same(expected: &Seen, mut seen: Seen, reader: &str) -> Result<(), String> {
    let mut expected = expected.clone();
    if reader == PYTHON {
        // Python reads any white space in a name as one space, and (3.11) leaves a space between
        // two encoded words of a name.
        for name in expected.names().chain(seen.names()) {
            name.retain(|c| !c.is_whitespace());
        }
    }
    as_sent(&expected, &mut seen);
    match seen.first_difference(&expected) {
        None => Ok(()),
        Some(difference) => Err(format!("{reader} sees {difference}")),
    }
}

/// Removes differences that do not matter.
fn as_sent(expected: &Seen, seen: &mut Seen) {
    let only = seen.parts.len() == 1;
    for (part, wanted) in seen.parts.iter_mut().zip(&expected.parts) {
        if wanted.disposition.is_some() {
            // The text of a file is its bytes.
            part.text = None;
        }
        // The last line of a message always ends in a line break.
        if only && part.content.len() == wanted.content.len() + 2 {
            part.content = part
                .content
                .strip_suffix(b"\r\n")
                .unwrap_or(&part.content)
                .to_vec();
            part.text = part
                .text
                .as_ref()
                .map(|it| it.strip_suffix("\r\n").unwrap_or(it).to_owned());
        }
        if let (Some(mail), Some(wanted)) = (&mut part.mail, &wanted.mail) {
            as_sent(wanted, mail);
        }
    }
}

#[test]
fn any_message_is_read_back_unchanged_by_other_parsers() {
    let way = Way::new();
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let done = TestRunner::new(config).run(&any::message(), |(message, forwarded)| {
        let checked = way.check(&message, &forwarded);
        checked.map_err(TestCaseError::fail)
    });
    if let Err(error) = done {
        panic!("{error}");
    }
}

/// The backends' test vectors, without the features that only an ESP has.
#[test]
fn every_message_of_the_vectors_is_read_back_unchanged() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let way = Way::new();
    let mut read = 0;
    for package in std::fs::read_dir(workspace).unwrap() {
        let vectors = package.unwrap().path().join("tests/vectors/send.json");
        let Ok(vectors) = std::fs::read(vectors) else {
            continue;
        };
        let vectors: Vec<Value> = serde_json::from_slice(&vectors).unwrap();
        for vector in &vectors {
            let Ok(message) = Message::deserialize(&vector["message"]) else {
                continue;
            };
            let mime = message.to_mime();
            let checked = lines_are_sound(mime.bytes())
                .and_then(|()| way.read(mime.bytes(), &expected(&message, &[])));
            if let Err(different) = checked {
                panic!("{}: {different}", vector["name"]);
            }
            read += 1;
        }
    }
    println!("{read} messages");
    assert!(read > 50, "only {read} messages");
}

fn plain() -> MessageBuilder {
    Message::builder()
        .from("shop@example.com")
        .to("ann@example.com")
        .text_body("Thank you.")
}

#[test]
fn text_that_parsers_could_misread_is_read_back_unchanged() {
    let way = Way::new();
    for text in [
        "=?utf-8?q?Free=20money?=",
        "a=?iso-8859-1?B?4Q==?=b",
        " a space before it",
        "a\ttab",
        "two  spaces in a subject that is long enough to be folded just at  them",
        "\u{2028}",
        "",
    ] {
        let file = Attachment::new(text.trim(), "x").unwrap();
        let name = Address::new(text.trim(), "ann@example.com").unwrap();
        let message = plain().to(name).subject(text).attachment(file);
        way.check(&message.build().unwrap(), &[]).unwrap();
    }
}

#[test]
fn a_text_arrives_with_crlf_line_ends_and_otherwise_unchanged() {
    let way = Way::new();
    let cyrillic = "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\n".repeat(50);
    for text in [
        "a\nb\n", "a\r\nb", "a\rb\n", "\r", "\0\n", "\n\n", ".\n..\n", &cyrillic,
    ] {
        way.check(&plain().text_body(text).build().unwrap(), &[])
            .unwrap();
    }
}

#[test]
fn binary_content_arrives_byte_for_byte_with_its_own_line_ends() {
    let way = Way::new();
    let json = "{\"a\":\n\"\u{e9}\"}\n";
    let message = plain().alternative(json, "application/json");
    way.check(&message.build().unwrap(), &[]).unwrap();
}

#[test]
fn the_parts_of_an_attached_multipart_are_found_and_one_without_parts_can_be_saved() {
    let way = Way::new();
    let inner = "--inner\nContent-Type: text/plain\n\nOne\n\
                 --inner\nContent-Type: text/plain\n\nTwo\n--inner--\n";
    let with = |kind: &str| {
        let file = Attachment::new("parts", inner).unwrap();
        let file = file.with_content_type(kind).unwrap();
        plain().attachment(file).build().unwrap()
    };
    let message = with("multipart/mixed; boundary=\"inner\"");
    let mut wanted = expected(&message, &[]);
    let body = wanted.parts[0].clone();
    wanted.parts.truncate(1);
    for text in ["One", "Two"] {
        let mut part = body.clone();
        (part.content, part.text) = (text.as_bytes().to_vec(), Some(text.to_owned()));
        wanted.parts.push(part);
    }
    way.read(message.to_mime().bytes(), &wanted).unwrap();
    for kind in [
        "multipart/mixed",
        "multipart/mixed; boundary=other",
        "Multipart/digest; boundary=\"\"",
    ] {
        let message = with(kind);
        let mut wanted = expected(&message, &[]);
        wanted.parts[1].kind = "application/octet-stream".to_owned();
        way.read(message.to_mime().bytes(), &wanted).unwrap();
    }
}

/// Messages that use one feature each, and one that uses all features of MIME.
#[test]
fn every_message_of_the_fixtures_is_read_back_unchanged() {
    let way = Way::new();
    let at = fixtures::AtEsp::default();
    let all: Vec<_> = Feature::ALL.iter().copied().map(|it| (it, 2)).collect();
    let each = Feature::ALL.iter().copied().flat_map(|it| {
        let with = |n| at.using(it, n, &Capabilities::all());
        [with(1), with(3)]
    });
    for message in each.chain([fixtures::plain(), at.with(&all)]) {
        let mime = message.to_mime();
        lines_are_sound(mime.bytes()).unwrap();
        way.read(mime.bytes(), &expected(&message, &[])).unwrap();
    }
}

#[test]
fn any_media_type_fits_into_its_header() {
    let way = Way::new();
    let long = "x".repeat(3000);
    for kind in [
        "application/pdf; note=\"\u{159}\u{ed}.pdf\"".to_owned(),
        format!("application/pdf; note=\"{long}\"; other=y"),
        format!("application/pdf; note={long}"),
        "application/pdf; note=\"a".to_owned(),
        "application/pdf; note=\"a;\\\"b\"; x".to_owned(),
        "text/plain; charset=iso-8859-1; format=flowed".to_owned(),
    ] {
        let file = Attachment::new("", vec![0xe9, b'\n']).unwrap();
        let file = file.without_filename().with_content_type(&kind).unwrap();
        let message = plain().attachment(file).build().unwrap();
        way.check(&message, &[]).unwrap();
    }
}

#[test]
fn a_body_is_labelled_with_its_charset() {
    let way = Way::new();
    for kind in [
        "text/calendar; charset=iso-8859-1; method=REQUEST",
        "text/calendar; x=\"charset=\"",
        "text/calendar;charset=UTF-8",
        "TEXT/calendar; CHARSET=\"windows-1252\";",
        "text/calendar;",
    ] {
        let message = plain().alternative("Caf\u{e9}\n", kind).build().unwrap();
        way.check(&message, &[]).unwrap();
    }
}

#[test]
fn long_headers_and_lists_stay_within_the_line_length() {
    let way = Way::new();
    let mut message = plain().build().unwrap();
    for (length, value) in [
        (996, "x".repeat(900)),
        (900, "y".repeat(5000)),
        (500, String::new()),
    ] {
        let name = format!("X-{}", "n".repeat(length - 2));
        message
            .headers
            .value_or_default()
            .insert(&name, &value)
            .unwrap();
    }
    let gap = format!("a{}b", " ".repeat(2000));
    let headers = message.headers.value_or_default();
    headers.insert("X-Gap", &gap).unwrap();
    headers.insert("X-Space", &" ".repeat(2000)).unwrap();
    let id = format!("<{}@example.com>", "i".repeat(2000));
    headers.insert("Message-ID", &id).unwrap();
    let id = "c".repeat(900);
    assert!(ContentId::new(&format!("{id}c")).is_err());
    let picture = Attachment::new("a.png", "x").unwrap();
    message.attachments = vec![picture.inline(&ContentId::new(&id).unwrap())].into();
    let to = (0..300).map(|n| format!("\"Number {n}\" <to{n}@example.com>"));
    message.cc = to
        .map(|it| it.parse::<Address>().unwrap())
        .collect::<Vec<_>>()
        .into();
    way.check(&message, &[]).unwrap();
}
