//! What `Message::to_mime` writes, read back with another implementation: `mail-parser`.
#![cfg(feature = "mime")]
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used, clippy::panic)]

use anymail_core::{Address, Attachment, ContentId, Message, MessageBuilder};
use mail_parser::{Message as Parsed, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

fn minimal() -> MessageBuilder {
    Message::builder()
        .from("from@example.com")
        .to("to@example.com")
}

fn parse(bytes: &[u8]) -> Parsed<'_> {
    MessageParser::default().parse(bytes).unwrap()
}

/// The tree of media types, for example `mixed(plain, pdf)`.
fn shape(mail: &Parsed<'_>, at: u32) -> String {
    let part = mail.part(at).unwrap();
    let subtype = part.content_type().unwrap().subtype().unwrap();
    match &part.body {
        PartType::Multipart(children) => {
            let children: Vec<_> = children.iter().map(|child| shape(mail, *child)).collect();
            format!("{subtype}({})", children.join(", "))
        }
        _ => subtype.to_owned(),
    }
}

#[test]
fn bodies_inline_parts_and_attachments_are_nested_correctly() {
    let text = |b: MessageBuilder| b.text_body("Hello");
    let html = |b: MessageBuilder| b.html_body("<img src=\"cid:logo@x\">");
    let logo = |b: MessageBuilder| {
        b.attach_inline(
            "logo.png",
            vec![1, 2, 3],
            &ContentId::new("logo@x").unwrap(),
        )
    };
    let file = |b: MessageBuilder| b.attach("a.pdf", "%PDF");
    let more = |b: MessageBuilder| {
        b.alternative("BEGIN:VCALENDAR", "text/calendar; method=REQUEST")
            .alternative("<html amp4email>", "text/x-amp-html")
    };
    for (builder, expected) in [
        (minimal(), "plain"),
        (text(minimal()), "plain"),
        (html(minimal()), "html"),
        (html(text(minimal())), "alternative(plain, html)"),
        (
            more(html(text(minimal()))),
            "alternative(plain, x-amp-html, html, calendar)",
        ),
        (logo(html(minimal())), "related(html, png)"),
        (
            logo(html(text(minimal()))),
            "related(alternative(plain, html), png)",
        ),
        (file(text(minimal())), "mixed(plain, pdf)"),
        (file(minimal()), "mixed(pdf)"),
        (logo(text(minimal())), "mixed(plain, png)"),
        (
            file(logo(html(text(minimal())))),
            "mixed(related(alternative(plain, html), png), pdf)",
        ),
    ] {
        let mime = builder.build().unwrap().to_mime();
        assert_eq!(shape(&parse(mime.bytes()), 0), expected);
    }
}

#[test]
fn headers_arrive_unchanged() {
    let link = format!("<https://example.com/unsubscribe?{}>", "x".repeat(200));
    let long: String = "word ".repeat(500).trim_end().to_owned();
    let message = Message::builder()
        .from("\"Odesílatel, z adresy\" <from@příklad.cz>")
        .to("\"Doe, Ann\" <ann@example.com>, jöhn@example.com")
        .cc("cc@příklad.cz")
        .bcc("secret@example.com")
        .reply_to("reply@example.com")
        .subject("Žluťoučký kůň úpěl ďábelské ódy: ".repeat(5).trim_end())
        .header("List-Unsubscribe", &link)
        .header("X-Long", &long)
        .header("X-Unicode", "příliš žluťoučký")
        .header("X-One-Word", &"y".repeat(3000))
        .text_body("Hello")
        .build()
        .unwrap();
    let mime = message.to_mime();
    let text = String::from_utf8(mime.bytes().to_vec()).unwrap();
    assert!(text.lines().all(|line| line.len() <= 998));
    assert!(
        !text.contains("secret@example.com"),
        "bcc is only in the envelope"
    );
    // Encoded words would make it unusable (RFC 2047, 5).
    assert!(text.contains(&link));
    let mail = parse(mime.bytes());
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("Odesílatel, z adresy"));
    assert_eq!(from.address(), Some("from@xn--pklad-zsa96e.cz"));
    let to: Vec<_> = mail
        .to()
        .unwrap()
        .iter()
        .map(|a| (a.name(), a.address()))
        .collect();
    assert_eq!(
        to,
        [
            (Some("Doe, Ann"), Some("ann@example.com")),
            (None, Some("jöhn@example.com"))
        ]
    );
    assert_eq!(
        mail.cc().unwrap().first().unwrap().address(),
        Some("cc@xn--pklad-zsa96e.cz")
    );
    assert_eq!(
        mail.reply_to().unwrap().first().unwrap().address(),
        Some("reply@example.com")
    );
    assert_eq!(mail.subject(), message.subject.value().map(String::as_str));
    let unstructured = MessageParser::default()
        .header_text("X-Long")
        .header_text("X-Unicode")
        .header_text("X-One-Word")
        .parse(mime.bytes())
        .unwrap();
    for name in ["X-Long", "X-Unicode", "X-One-Word"] {
        let given = message.headers.value().unwrap().get(name);
        assert_eq!(unstructured.header(name).unwrap().as_text(), given);
    }
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    assert!((now - mail.date().unwrap().to_timestamp()).abs() < 60);
}

#[test]
fn the_message_id_is_the_custom_header_or_a_new_one_in_the_senders_domain() {
    let given = minimal()
        .header("message-id", "<42@example.org>")
        .build()
        .unwrap();
    let mime = given.to_mime();
    assert_eq!(mime.message_id(), "42@example.org");
    assert_eq!(parse(mime.bytes()).message_id(), Some("42@example.org"));
    let text = String::from_utf8_lossy(mime.bytes()).to_lowercase();
    assert_eq!(text.matches("message-id:").count(), 1);

    let new = minimal().from("a@příklad.cz").build().unwrap();
    let (one, two) = (new.to_mime(), new.to_mime());
    assert!(one.message_id().ends_with("@xn--pklad-zsa96e.cz"));
    assert_ne!(one.message_id(), two.message_id());
    assert_eq!(parse(one.bytes()).message_id(), Some(one.message_id()));
}

#[test]
fn attachments_arrive_byte_for_byte() {
    let large: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|i| (i % 251) as u8).collect();
    let files = [
        ("empty.bin", Vec::new()),
        ("one.bin", vec![0]),
        ("line ends.txt", b"a\nb\r\nc\rd \t\n\0e".to_vec()),
        ("From dot.csv", b"From me\n.\n..\n--boundary\n".to_vec()),
        ("Jahresabschluß, \"2024\"; 日本.pdf", b"%PDF".to_vec()),
        ("large.bin", large),
    ];
    let builder = files
        .iter()
        .fold(minimal().text_body("Hello"), |builder, (name, content)| {
            builder.attach(name, content.clone())
        });
    let mime = builder.build().unwrap().to_mime();
    let mail = parse(mime.bytes());
    assert_eq!(mail.attachment_count(), files.len());
    for (part, (name, content)) in mail.attachments().zip(&files) {
        assert_eq!(part.attachment_name(), Some(*name));
        assert!(part.contents() == content.as_slice(), "{name} has changed");
    }
}

#[test]
fn an_inline_part_has_its_content_id_in_angle_brackets() {
    let mime = minimal()
        .html_body("<img src=\"cid:logo@example.com\">")
        .attach_inline(
            "lögo.png",
            vec![137, 80],
            &ContentId::new("logo@example.com").unwrap(),
        )
        .build()
        .unwrap()
        .to_mime();
    assert!(String::from_utf8_lossy(mime.bytes()).contains("Content-ID: <logo@example.com>\r\n"));
    let mail = parse(mime.bytes());
    let logo = mail
        .parts
        .iter()
        .find(|part| part.content_id().is_some())
        .unwrap();
    assert_eq!(logo.content_id(), Some("logo@example.com"));
    assert_eq!(logo.attachment_name(), Some("lögo.png"));
    assert!(logo.content_disposition().unwrap().is_inline());
    assert_eq!(logo.contents(), [137, 80]);
}

#[test]
fn a_media_type_keeps_its_parameters() {
    let file = Attachment::new("a.txt", vec![0xE9])
        .unwrap()
        .with_content_type("text/plain; charset=\"iso-8859-1\"")
        .unwrap();
    let mime = minimal()
        .text_body("Hello")
        .attachment(file)
        .build()
        .unwrap()
        .to_mime();
    let mail = parse(mime.bytes());
    let kind = mail.attachment(0).unwrap().content_type().unwrap();
    assert_eq!(kind.attribute("charset"), Some("iso-8859-1"));
}

#[test]
fn a_body_that_needs_an_encoding_arrives_unchanged() {
    for body in [
        "lone\rreturn",
        "nul\0byte",
        &"x".repeat(5000),
        "trailing  \nspace ",
        ".",
    ] {
        let mime = minimal().text_body(body).build().unwrap().to_mime();
        let mail = parse(mime.bytes());
        let text = mail.body_text(0).unwrap();
        assert_eq!(
            text.trim_end_matches('\n').replace("\r\n", "\n"),
            body.trim_end_matches('\n')
        );
    }
}

proptest! {
    /// No text in a message can add a header or a recipient.
    #[test]
    fn no_text_can_add_a_header(
        subject in "\\PC*",
        name in "\\PC{0,40}",
        value in "\\PC*",
        filename in "\\PC*",
        body in any::<String>(),
    ) {
        let address = Address::new(&name, "ann@example.com");
        prop_assume!(address.is_ok());
        let message = Message::builder()
            .from("from@example.com")
            .to(address.unwrap())
            .subject(subject)
            .header("X-Custom", &value)
            .text_body(body)
            .attach(&filename, "content")
            .build();
        prop_assume!(message.is_ok());
        let mime = message.unwrap().to_mime();
        let mail = parse(mime.bytes());
        let mut names: Vec<_> = mail.headers().iter().map(|header| header.name()).collect();
        names.sort_unstable();
        prop_assert_eq!(
            names,
            ["Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To",
                "X-Custom"]
        );
        let to: Vec<_> = mail.to().unwrap().iter().map(|a| a.address()).collect();
        prop_assert_eq!(to, [Some("ann@example.com")]);
        prop_assert_eq!(mail.attachment_count(), 1);
    }
}

#[test]
fn an_attached_message_is_not_encoded_and_can_be_parsed() {
    let bare = "From: a@example.com\nSubject: inner\n\nThe inner body.\n.\n-- \nA\n";
    let crlf = bare.replace('\n', "\r\n");
    let longest = format!("{bare}{}", "x".repeat(998));
    for (kind, inner) in [
        ("message/rfc822", bare),
        ("message/rfc822", bare.trim_end()),
        ("message/rfc822", &crlf),
        ("message/rfc822", &longest),
        ("Message/RFC822; x=y", bare),
    ] {
        let mail = Attachment::new("forwarded.eml", inner.as_bytes().to_vec()).unwrap();
        let mail = mail.with_content_type(kind).unwrap();
        let message = minimal().text_body("See below.").attachment(mail);
        let mime = message.build().unwrap().to_mime();
        let text = String::from_utf8(mime.bytes().to_vec()).unwrap();
        assert!(
            text.contains("Content-Transfer-Encoding: 7bit\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\nSubject: inner\r\n\r\nThe inner body.\r\n.\r\n-- \r\nA\r\n"),
            "{text}"
        );
        let outer = parse(mime.bytes());
        let part = outer.attachment(0).unwrap();
        let PartType::Message(inner) = &part.body else {
            panic!("{part:?}");
        };
        assert_eq!(inner.subject(), Some("inner"));
        assert_eq!(part.attachment_name(), Some("forwarded.eml"));
    }
}

#[test]
fn an_attached_message_that_would_need_an_encoding_is_sent_as_a_file() {
    let long = "x".repeat(999);
    for inner in ["Subject: ünï\n\nbody", "A: 1\n\n\0", "A: 1\n\na\rb", &long] {
        let mail = Attachment::new("forwarded.eml", inner.as_bytes().to_vec()).unwrap();
        let mail = mail.with_content_type("message/rfc822").unwrap();
        let mime = minimal().attachment(mail).build().unwrap().to_mime();
        let outer = parse(mime.bytes());
        let part = outer.attachment(0).unwrap();
        let kind = part.content_type().unwrap();
        assert_eq!(kind.subtype(), Some("octet-stream"));
        assert_eq!(part.attachment_name(), Some("forwarded.eml"));
        assert_eq!(part.contents(), inner.as_bytes());
    }
}

#[test]
fn composite_types_are_encoded_only_where_the_standard_allows_it() {
    for (kind, encoded) in [
        ("message/delivery-status", false),
        ("multipart/mixed; boundary=inner", false),
        ("message/partial; id=x; number=1", false),
        ("message/global", true),
        ("text/rfc822-headers", true),
        ("application/zip", true),
    ] {
        let file = Attachment::new("a", b"--inner\n\nx\n--inner--\n".to_vec()).unwrap();
        let file = file.with_content_type(kind).unwrap();
        let mime = minimal().attachment(file).build().unwrap().to_mime();
        let text = String::from_utf8(mime.bytes().to_vec()).unwrap();
        assert_eq!(text.contains("base64"), encoded, "{kind}: {text}");
    }
}
