//! What a built message contains, and what a builder, a header or an attachment refuses.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use anymail_core::{
    Address, Attachment, AttachmentError, ContentId, FaultKind, Field, HeaderErrorReason, Headers,
    MergeMap, Message, MessageError,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const AT: OffsetDateTime = datetime!(2026-11-27 10:00 UTC);

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn why(message: Result<Message, MessageError>) -> String {
    message.unwrap_err().to_string()
}

#[test]
fn a_message_contains_what_its_builder_was_given() {
    let logo = ContentId::new("logo@example.com").unwrap();
    let message = Message::builder()
        .from("Shop <shop@example.com>")
        .to("ann@example.com")
        .cc("bob@example.com")
        .bcc("archive@example.com")
        .reply_to("help@example.com")
        .envelope_sender("bounces@example.com")
        .subject("Receipt")
        .text_body("Thank you.")
        .html_body("<p>Thank you.</p>")
        .header("X-Order", "4711")
        .attach("a.txt", "A")
        .attach_inline("logo.png", "PNG", &logo)
        .tag("receipt")
        .track_opens(true)
        .track_clicks(false)
        .send_at(AT)
        .template_id(7)
        .suppression_scope("receipts")
        .build()
        .unwrap();

    assert_eq!(
        message.from.value(),
        Some(&address("Shop <shop@example.com>"))
    );
    assert_eq!(message.to.items(), [address("ann@example.com")]);
    assert_eq!(message.cc.items(), [address("bob@example.com")]);
    assert_eq!(message.bcc.items(), [address("archive@example.com")]);
    assert_eq!(message.reply_to.items(), [address("help@example.com")]);
    assert_eq!(
        message.envelope_sender.value(),
        Some(&address("bounces@example.com"))
    );
    assert_eq!(message.subject.value().map(String::as_str), Some("Receipt"));
    assert_eq!(
        message.text_body.value().map(String::as_str),
        Some("Thank you.")
    );
    assert_eq!(
        message.html_body.value().map(String::as_str),
        Some("<p>Thank you.</p>")
    );
    let headers = message.headers.value().unwrap();
    assert_eq!(headers.get("x-order"), Some("4711"));
    let attachments = message.attachments.items();
    let names: Vec<_> = attachments.iter().map(Attachment::filename).collect();
    assert_eq!(names, [Some("a.txt"), Some("logo.png")]);
    assert_eq!(attachments[1].content_id(), Some("logo@example.com"));
    assert_eq!(message.tags.items(), ["receipt"]);
    assert_eq!(message.track_opens, Field::Value(true));
    assert_eq!(message.track_clicks, Field::Value(false));
    assert_eq!(message.send_at, Field::Value(AT));
    assert_eq!(message.template_id.value().map(String::as_str), Some("7"));
    assert_eq!(
        message.suppression_scope.value().map(String::as_str),
        Some("receipts")
    );
}

#[test]
fn a_single_address_is_required_where_there_can_be_only_one() {
    let two = ["ann@example.com", "bob@example.com"];
    let parsed = two.map(address).to_vec();
    for (message, expected) in [
        (
            Message::builder().from(two).build(),
            "expected one address, got 2",
        ),
        (
            Message::builder().from(parsed.clone()).build(),
            "expected one address, got 2",
        ),
        (
            Message::builder()
                .envelope_sender(Vec::<Address>::new())
                .build(),
            "expected one address, got 0",
        ),
    ] {
        let why = why(message);
        assert!(why.contains(expected), "{why}");
    }
    let message = Message::builder().from(parsed[0].clone()).build().unwrap();
    assert_eq!(message.from.value(), Some(&parsed[0]));
}

#[test]
fn headers_return_what_they_replace_or_remove() {
    let mut headers = Headers::new();
    assert!(headers.is_empty());
    assert_eq!(headers.insert("X-Order", "1").unwrap(), None);
    assert_eq!(
        headers.insert("x-order", "2").unwrap(),
        Some("1".to_owned())
    );
    assert!(!headers.is_empty());
    assert_eq!(headers.len(), 1);
    assert_eq!(headers.remove("X-ORDER"), Some("2".to_owned()));
    assert_eq!(headers.remove("X-ORDER"), None);
    assert_eq!(headers.get("X-Order"), None);
    assert_eq!(headers.len(), 0);
}

#[test]
fn a_header_error_says_which_name_is_wrong_and_why() {
    let mut headers = Headers::new();
    let longest = "x".repeat(996);
    assert!(headers.insert(&longest, "").is_ok());
    let error = headers.insert(&format!("{longest}x"), "").unwrap_err();
    assert_eq!(error.reason(), HeaderErrorReason::InvalidName);
    assert!(error.name().starts_with("xxx"));

    for (name, value, expected) in [
        ("X A", "1", "\"X A\" is not a valid header name"),
        (
            "Subject",
            "1",
            "\"Subject\" cannot be set as a custom header",
        ),
        ("X-A", "a\rb", "the control character U+000D"),
    ] {
        let error = headers.insert(name, value).unwrap_err();
        assert_eq!(error.name(), name);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_attachment_keeps_its_parts() {
    let plain = Attachment::new("a.txt", "A").unwrap();
    assert_eq!(plain.filename(), Some("a.txt"));
    assert_eq!(&plain.content()[..], b"A");
    assert!(!plain.is_inline());
    assert_eq!(plain.content_id(), None);

    let id = ContentId::new("<logo@example.com>").unwrap();
    let inline = plain.inline(&id);
    assert!(inline.is_inline());
    assert_eq!(inline.content_id(), Some("logo@example.com"));
    assert_eq!(inline.without_filename().filename(), None);
}

#[test]
fn a_content_id_can_be_as_long_as_a_header_line_allows() {
    assert!(ContentId::new(&"x".repeat(900)).is_ok());
    let error = ContentId::new(&"x".repeat(901)).unwrap_err();
    assert!(
        error.to_string().ends_with("longer than 900 bytes"),
        "{error}"
    );
    let id = ContentId::new("logo@example.com").unwrap();
    assert_eq!(id.as_str(), id.to_string());
    assert_eq!(id.url(), "cid:logo@example.com");
}

#[test]
fn a_media_type_consists_of_two_tokens_and_parameters() {
    let set = |text: &str| -> Result<Attachment, AttachmentError> {
        Attachment::new("a", "").unwrap().with_content_type(text)
    };
    for given in [
        "image/png",
        "application/vnd.oasis+xml",
        " text/plain; charset=utf-8 ",
    ] {
        assert_eq!(set(given).unwrap().content_type(), given.trim());
    }
    for bad in [
        "image",
        "/png",
        "image/",
        "im age/png",
        "image/p ng",
        "text/plain; a=\u{7f}",
    ] {
        let error = set(bad).unwrap_err().to_string();
        assert!(error.contains("not a valid media type"), "{error}");
    }
}

#[test]
fn a_field_distinguishes_unset_from_explicitly_empty() {
    let mut field = Field::<Vec<String>>::Unset;
    assert!(field.is_unset());
    assert_eq!(field.value_mut(), None);
    assert!(!Field::<bool>::Never.is_unset());
    assert_eq!(Field::<Vec<String>>::Never.items(), [] as [String; 0]);

    field.value_or_default().push("a".to_owned());
    assert_eq!(field.items(), ["a"]);
    field.value_or_default().push("b".to_owned());
    assert_eq!(field.value_mut().map(|items| items.len()), Some(2));
    assert_eq!(Field::from(7), Field::Value(7));
}

#[test]
fn a_file_is_attached_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logo.png");
    std::fs::write(&path, "PNG").unwrap();
    let id = ContentId::random();
    let message = Message::builder()
        .attach_file(&path)
        .attach_inline_file(&path, &id)
        .build()
        .unwrap();
    let [plain, inline] = message.attachments.items() else {
        panic!("two attachments");
    };
    assert_eq!(
        (plain.filename(), plain.content_type()),
        (Some("logo.png"), "image/png")
    );
    assert_eq!(plain.content(), inline.content());
    assert!(!plain.is_inline());
    assert_eq!(inline.content_id(), Some(id.as_str()));

    let missing = folder.path().join("missing.png");
    let why = why(Message::builder().attach_file(&missing).build());
    assert!(why.contains("missing.png"), "{why}");
}

#[test]
fn a_display_name_that_could_be_misread_is_quoted() {
    for (name, expected) in [
        ("Ann Doe", "Ann Doe <ann@example.com>"),
        (" Ann", "\" Ann\" <ann@example.com>"),
        ("Ann ", "\"Ann \" <ann@example.com>"),
        ("Ann  Doe", "\"Ann  Doe\" <ann@example.com>"),
        ("Ann, Doe", "\"Ann, Doe\" <ann@example.com>"),
        ("Ann \"A\" Doe", "\"Ann \\\"A\\\" Doe\" <ann@example.com>"),
    ] {
        let address = Address::new(name, "ann@example.com").unwrap();
        assert_eq!(address.to_string(), expected);
        assert_eq!(expected.parse(), Ok(address));
    }
}

#[test]
fn a_parenthesis_in_a_comment_can_be_escaped() {
    let ann = address(r"ann@example.com (Ann \) Doe)");
    assert_eq!(ann.email(), "ann@example.com");
    assert_eq!(ann.name(), Some("Ann ) Doe"));
}

#[test]
fn an_international_domain_of_which_nothing_is_left_is_refused() {
    let error = Address::parse("ann@\u{ad}").unwrap_err().to_string();
    assert!(error.contains("domain"), "{error}");
}

#[test]
fn null_in_json_means_that_no_default_applies() {
    let message = Message::from_json(br#"{"from": null, "to": null}"#).unwrap();
    assert_eq!(message.from, Field::Never);
    assert_eq!(message.to, Field::Never);
    assert_eq!(message.envelope_sender, Field::Unset);
}

#[test]
fn json_that_is_too_large_is_not_read() {
    const LIMIT: usize = 100 * 1024 * 1024;
    let kind = |json: &[u8]| Message::from_json(json).unwrap_err().faults()[0].kind();
    let mut json = vec![b'x'; LIMIT];
    assert_eq!(kind(&json), FaultKind::InvalidJson);
    json.push(b'x');
    assert_eq!(kind(&json), FaultKind::TooLarge);
}

#[test]
fn json_values_that_are_nested_too_deep_for_an_esp_are_refused() {
    let lists = |depth| (1..depth).fold(json!([]), |inside, _| json!([inside]));
    let objects = |depth| (1..depth).fold(json!({}), |inside, _| json!({"a": inside}));
    for nested in [lists, objects] as [fn(usize) -> Value; 2] {
        let message = |depth| {
            Message::builder()
                .esp_extra(json!({"a": nested(depth)}))
                .build()
        };
        assert!(message(120).is_ok());
        let why = why(message(121));
        assert!(why.contains("deeper than 120 levels"), "{why}");
    }
}

#[test]
fn an_html_alternative_becomes_the_missing_html_body() {
    let message = Message::builder()
        .alternative("<p>a</p>", "text/html")
        .alternative("BEGIN:VCALENDAR", "text/calendar")
        .send_at(AT + time::Duration::milliseconds(999))
        .build()
        .unwrap();
    assert_eq!(
        message.html_body.value().map(String::as_str),
        Some("<p>a</p>")
    );
    let [calendar] = message.alternatives.items() else {
        panic!("one alternative is left");
    };
    assert_eq!(calendar.content(), "BEGIN:VCALENDAR");
    assert_eq!(message.send_at, Field::Value(AT));

    let both = Message::builder()
        .html_body("<p>b</p>")
        .alternative("<p>a</p>", "text/html")
        .build()
        .unwrap();
    assert_eq!(both.html_body.value().map(String::as_str), Some("<p>b</p>"));
    assert_eq!(both.alternatives.items().len(), 1);
}

#[test]
fn merge_values_are_found_by_recipient() {
    let mut values = MergeMap::<u8>::new();
    assert!(values.is_empty());
    assert!(!values.contains("ann@example.com"));
    values.insert("Ann <ann@EXAMPLE.com>", 1);
    assert!(values.contains("ann@example.com"));
    assert!(!values.is_empty());
    assert_eq!(values.get(&address("ann@example.com")), Some(&1));
}
