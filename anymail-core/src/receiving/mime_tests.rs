use proptest::prelude::*;

use super::*;

/// Every part of a message: `text` or `html`, `inline` or `attached`, with type, name, content.
fn parts(mail: &InboundMessage) -> Vec<String> {
    let mut found = Vec::new();
    for (name, body) in [("text", mail.text()), ("html", mail.html())] {
        found.extend(body.map(|body| format!("{name} {body:?}")));
    }
    for part in &mail.attachments {
        found.push(format!(
            "{} {} {} {:?}",
            if part.is_inline() {
                "inline"
            } else {
                "attached"
            },
            part.content_type(),
            part.filename().or(part.content_id()).unwrap_or("-"),
            part.text(),
        ));
    }
    found
}

/// A multipart of this kind, whose parts are separated by `boundary`.
fn multipart(kind: &str, boundary: &str, parts: &[&str]) -> String {
    let mut out = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\n\npreamble\n");
    for part in parts {
        out += &format!("--{boundary}\n{part}\n");
    }
    out + &format!("--{boundary}--\nepilogue\n")
}

#[test]
fn no_part_is_lost() {
    let related = multipart(
        "related",
        "b b",
        &[
            "Content-Type: text/html\n\n<img src=cid:a>",
            "Content-Type: image/png\nContent-ID: <a>\n\nPNG",
            "Content-Type: text/css\n\nb {}",
        ],
    );
    let alternative = multipart(
        "alternative",
        "b",
        &["\nplain", &related, "Content-Type: text/calendar\n\nCAL"],
    );
    let mixed = multipart(
        "mixed",
        "=_x",
        &[
            &alternative,
            "Content-Type: application/pdf; name=a.pdf\nContent-ID: <gmail>\n\
             Content-Disposition: attachment\n\nPDF",
            "Content-Type: text/plain\nContent-Disposition: attachment; filename=\"n.txt\"\n\nnote",
            "Content-Type: text/plain; name=log.txt\n\nlog",
            "Content-Type: application/octet-stream\n\n?",
            "Content-Disposition: inline; filename=i.txt\n\ni",
            "\nfooter",
        ],
    );
    let expected = [
        r#"text "plain""#,
        r#"html "<img src=cid:a>""#,
        r#"inline image/png a "PNG""#,
        r#"inline text/css - "b {}""#,
        r#"inline text/calendar - "CAL""#,
        r#"attached application/pdf a.pdf "PDF""#,
        r#"attached text/plain n.txt "note""#,
        r#"inline text/plain log.txt "log""#,
        r#"attached application/octet-stream - "?""#,
        r#"inline text/plain i.txt "i""#,
        r#"inline text/plain - "footer""#,
    ];
    assert_eq!(parts(&InboundMessage::from_raw(mixed.clone())), expected);
    let crlf = mixed.replace('\n', "\r\n");
    assert_eq!(parts(&InboundMessage::from_raw(crlf)), expected);
}

#[test]
fn an_attached_message_is_an_attachment_that_can_be_parsed() {
    let inner = "Subject: inner\n\ninner body\n";
    for (kind, head) in [("mixed", "Content-Type: message/rfc822\n"), ("digest", "")] {
        let mail = multipart(kind, "b", &[&format!("{head}\n{inner}")]);
        let mail = InboundMessage::from_raw(mail);
        let part = mail.attachments().next().unwrap();
        assert_eq!(part.content_type(), "message/rfc822");
        let inner = InboundMessage::from_raw(part.content());
        assert_eq!(inner.subject.as_deref(), Some("inner"));
        assert_eq!(inner.text().as_deref(), Some("inner body\n"));
        assert_eq!((mail.text(), mail.subject.as_deref()), (None, None));
    }
}

#[test]
fn invalid_multiparts_are_parsed_anyway() {
    for (mail, expected) in [
        // No boundary, one that never occurs, one that is part of a longer word.
        ("Content-Type: multipart/mixed\n\nx", vec![r#"text "x""#]),
        (
            "Content-Type: multipart/mixed; boundary=b\n\nx",
            vec![r#"text "x""#],
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--bb\ny --b\nz\n--b",
            vec![r#"text "x\n--bb\ny --b\nz""#],
        ),
        // Never closed; closed immediately; repeated delimiters; trailing space.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx",
            vec![r#"text "x""#],
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b--\n\nx",
            vec![r#"text "--b--\n\nx""#],
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b \t\r\n\r\nx\r\n--b-- \n",
            vec![r#"text "x""#],
        ),
        // An inner multipart that is not closed ends with the outer one's delimiter.
        (
            "Content-Type: multipart/mixed; boundary=o\n\n--o\n\
             Content-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\n\ny\n--o--",
            vec![r#"text "x""#, r#"inline text/plain - "y""#],
        ),
        (
            "Content-Type: text/plain; name=b.txt\n\nx",
            vec![r#"text "x""#, r#"inline text/plain b.txt "x""#],
        ),
        ("", vec![]),
        ("Subject: only", vec![]),
        ("no header at all", vec![r#"text "no header at all""#]),
        (
            "Content-Type: nonsense\n\nx",
            vec![r#"attached application/octet-stream - "x""#],
        ),
    ] {
        assert_eq!(parts(&InboundMessage::from_raw(mail)), expected, "{mail:?}");
    }
}

#[test]
fn repeated_address_headers_are_combined_and_of_others_the_first_counts() {
    let mail = InboundMessage::from_raw(
        "Subject: one\nTo: a@b.c\nSUBJECT: two\nto: d@e.f\nDate: x\nFrom: Q <q@r.s>\n\
         content-type: text/html\nContent-Type: text/plain\nReply-To: q@r.s, z\n\nbody",
    );
    assert_eq!(mail.subject.as_deref(), Some("one"));
    assert_eq!(mail.to.len(), 2);
    assert_eq!(mail.reply_to.len(), 2);
    assert_eq!(mail.date, None);
    assert_eq!(
        mail.header_all("subject").collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(mail.html().as_deref(), Some("body"));
}

/// A parser that takes quadratic time, or too much stack, does not pass.
#[test]
fn a_message_made_to_exhaust_the_parser_is_parsed_on_a_small_stack() {
    let many = |part: &str| multipart("mixed", "a", &[part.repeat(50_000).as_str()]);
    let nested: String = (0..20_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"))
        .collect();
    let mails = [
        "Content-Type: message/rfc822\n\n".repeat(100_000),
        nested,
        many("--a\nContent-Type: multipart/mixed; boundary=missing\n\nhello\n"),
        many("--a\n"),
        many("--a \t"),
        many("--a\nContent-Type: image/png\n\n\n"),
        "A: b\n".repeat(100_000),
        format!("Subject: {}\n\nx", "=?aa?q?x".repeat(100_000)),
        format!("Subject: {}\n\nx", "=?".repeat(100_000)),
        format!("To: {}\n\nx", "a <".repeat(100_000)),
        format!("To: {}\n\nx", "((".repeat(100_000)),
        format!("To: {}\n\nx", "\"a\" <a@b.c>, ".repeat(100_000)),
        format!("Content-Type: a/b{}\n\nx", "; a*0*=u'x'y".repeat(100_000)),
        format!("Subject: x{}\n\nx", "\n y".repeat(100_000)),
        "\n".repeat(500_000),
    ];
    let read = move || mails.map(|mail| InboundMessage::from_raw(mail).attachments.len());
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let counts = thread.spawn(read).unwrap().join().unwrap();
    assert!(counts.iter().all(|count| *count <= MAX_PARTS + MAX_DEPTH));
}

#[test]
fn parts_beyond_the_limits_are_kept_as_raw_attachments() {
    let parts: Vec<String> = (0..MAX_PARTS + 10).map(|n| format!("\npart {n}")).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mail = InboundMessage::from_raw(multipart("mixed", "b", &parts));
    let last = mail.attachments.last().unwrap();
    assert_eq!(last.content_type(), "multipart/mixed");
    assert!(last.text().contains("part 1009\n--b--"), "{}", last.text());

    let mut deep = "\nthe deepest".to_owned();
    for n in 0..MAX_DEPTH + 1 {
        deep = multipart("mixed", &format!("b{n}."), &[&deep]);
    }
    let mail = InboundMessage::from_raw(deep);
    let [only] = &mail.attachments[..] else {
        panic!("{mail:?}")
    };
    assert_eq!(only.content_type(), "multipart/mixed");
    assert!(only.text().contains("the deepest"));
}

#[test]
fn a_message_round_trips_through_json_and_debug_does_not_show_its_content() {
    let mail = multipart(
        "mixed",
        "b",
        &[
            "Content-Transfer-Encoding: quoted-printable\n\ns3cret =C3=A9",
            "Content-Transfer-Encoding: base64\nContent-Disposition: attachment\n\nczNjcmV0",
        ],
    );
    let mut mail = InboundMessage::from_raw(format!("Subject: hi\nX-Token: s3cret\n{mail}"));
    mail.spam_score = Some(-0.1);
    mail.envelope_sender = Some(String::new());
    let json = serde_json::to_string(&mail).unwrap();
    assert_eq!(serde_json::from_str::<InboundMessage>(&json).unwrap(), mail);
    let printed = format!("{mail:?}");
    assert!(
        printed.contains("hi") && !printed.contains("s3cret"),
        "{printed}"
    );
    assert_eq!(
        serde_json::from_str::<InboundMessage>("{}").unwrap(),
        InboundMessage::default()
    );
}

/// Bytes that resemble a message more often than random ones do.
#[test]
fn a_repeated_header_adds_addresses_up_to_a_limit_but_no_second_date() {
    let mut mail = InboundMessage::default();
    mail.add_header("Date", "Wed, 11 Oct 2017 18:31:04 -0700");
    mail.add_header("Date", "Thu, 12 Oct 2017 18:31:04 -0700");
    assert_eq!(mail.date.map(|date| date.day()), Some(11));
    for n in 0..=MANY_ADDRESSES {
        mail.add_header("To", &format!("{n}@example.com"));
    }
    assert_eq!(mail.to.len(), MANY_ADDRESSES);
    assert_eq!(mail.header_all("to").count(), MANY_ADDRESSES + 1);
}

#[test]
fn a_message_keeps_its_raw_bytes_as_text_if_they_are_utf_8() {
    let raw = |bytes: &'static [u8]| InboundMessage::from_raw(bytes).raw.unwrap();
    assert_eq!(raw("A: č\n\n".as_bytes()).as_str(), Some("A: č\n\n"));
    assert_eq!(raw(b"A: \xe8\n\n").as_str(), None);
}

#[test]
fn messages_with_different_bodies_or_attachments_differ() {
    let file = |content: &'static [u8]| InboundAttachment::new(content, "text/plain");
    assert_eq!(
        file(b"a"),
        InboundAttachment::from_base64("YQ==", "text/plain")
    );
    assert_ne!(file(b"a"), file(b"b"));
    assert_ne!(file(b"a"), file(b"a").with_filename("a.txt"));
    let mail = |text: &str| {
        let mut mail = InboundMessage::default();
        mail.set_text(text);
        mail
    };
    assert_eq!(mail("a"), mail("a"));
    assert_ne!(mail("a"), mail("b"));
}

fn mail_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"Content-Type: multipart/mixed; boundary=b\n".to_vec()),
        Just(b"Content-Type: message/rfc822\r\n".to_vec()),
        Just(b"Content-Type: text/plain; charset=".to_vec()),
        Just(b"Content-Transfer-Encoding: base64\n".to_vec()),
        Just(b"Content-Transfer-Encoding: quoted-printable\n".to_vec()),
        Just(b"Content-Disposition: attachment; filename*0*=utf-8''a; filename*1=b\n".to_vec()),
        Just(b"From: \"a\" <b@c>, d: =?utf-8?q?=C3=A9?= <e@f>;\n".to_vec()),
        Just(b"Date: Wed, 11 Oct 2017 18:31:04 -0700\n".to_vec()),
        Just(b"--b\n".to_vec()),
        Just(b"--b--\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n ".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_a_message(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        mail_like(),
    ]) {
        let mail = InboundMessage::from_raw(bytes.clone());
        let _ = (parts(&mail), format!("{mail:?}"));
        let json = serde_json::to_string(&mail).unwrap();
        prop_assert_eq!(serde_json::from_str::<InboundMessage>(&json).unwrap(), mail);
    }
}
