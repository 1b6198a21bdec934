//! Injection attempts in every field that accepts text: each is refused, or arrives at the fake
//! Postmark unchanged.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use anymail_core::{
    Address, Attachment, ContentId, Mailer, Message, MessageBuilder, SendErrorKind,
};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, PostmarkOptions};
use anymail_test_utils::{FakePostmark, SentMessage};

const TO: &str = "ann@example.com";

/// Line breaks of all kinds, encoded words, quotes, lists, comments, escapes, JSON, paths,
/// right-to-left marks, and too long texts.
fn corpus() -> Vec<String> {
    let tail = "Bcc: evil@example.com";
    let breaks = [
        "\r\n", "\n", "\r", "\r\n ", "\n\t", "\0", "\u{b}", "\u{c}", "\u{1b}", "\u{7f}",
    ];
    let separators = [
        "\u{85}", "\u{2028}", "\u{2029}", "\u{202e}", "\u{200b}", "\u{feff}",
    ];
    let mut all: Vec<String> = [&breaks[..], &separators[..]]
        .concat()
        .iter()
        .map(|line_break| format!("x{line_break}{tail}"))
        .collect();
    all.extend(
        [
            "x\r\n\r\n<html>a second body</html>",
            "\r\n.\r\nMAIL FROM:<evil@example.com>",
        ]
        .map(Into::into),
    );
    all.extend(
        [
            "=?utf-8?q?x=0D=0ABcc:_evil=40example.com?=",
            "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUuY29t?=",
            "=?utf-8?q?ann=40example.com=3E=2C_=3Cevil?=",
            "x\" <evil@example.com>, \"y",
            "x\\\" <evil@example.com>, \\\"y",
            "x\\",
            "x> <evil@example.com",
            "x <evil@example.com>",
            "x, evil@example.com",
            "x; evil@example.com",
            "x: evil@example.com;",
            "evil@example.com (x",
            "(x) evil@example.com",
            "<evil@example.com>",
            "x%0d%0aBcc:%20evil@example.com",
            "x\\r\\nBcc: evil@example.com",
            "x\",\"Bcc\":\"evil@example.com",
            "{\"Bcc\": \"evil@example.com\"}",
            "{{#each everybody}}{{email}}{{/each}}",
            "x\"; filename=\"evil.exe",
            "../../etc/passwd",
            "x?a=b&c=d#e",
            "cid:x",
            "plain",
            "",
            " ",
        ]
        .map(Into::into),
    );
    all.push(format!("x{}", "y".repeat(100_000)));
    all.push("é€李\u{1f600}".repeat(2_000));
    all
}

/// A place in a message: its name, how a text gets there, and how it appears at Postmark.
struct Place {
    name: &'static str,
    put: fn(MessageBuilder, &str) -> MessageBuilder,
    /// `None` if only the JSON of the request shows it, which is checked anyway.
    seen: Option<fn(&SentMessage) -> Option<String>>,
}

const PLACES: &[Place] = &[
    Place {
        name: "subject",
        put: |message, text| message.subject(text),
        seen: Some(|sent| Some(sent.subject.clone())),
    },
    Place {
        name: "tag",
        put: |message, text| message.tag(text),
        seen: Some(|sent| Some(sent.tag.clone().unwrap_or_default())),
    },
    Place {
        name: "header value",
        put: |message, text| message.header("X-A", text),
        seen: Some(|sent| sent.header("X-A").map(Into::into)),
    },
    Place {
        name: "header name",
        put: |message, text| message.header(text, "1"),
        seen: None,
    },
    Place {
        name: "own header value",
        put: |message, text| message.merge_headers(TO, [("X-A", text)]),
        seen: Some(|sent| sent.header("X-A").map(Into::into)),
    },
    Place {
        name: "display name of a recipient",
        put: |message, text| match Address::new(text, TO) {
            Ok(address) => to_nobody().to(address),
            Err(_) => message.from("refused"),
        },
        seen: Some(|sent| Some(sent.to[0].name.clone())),
    },
    Place {
        name: "display name of the sender",
        put: |message, text| match Address::new(text, "shop@example.com") {
            Ok(address) => message.from(address),
            Err(_) => message.from("refused"),
        },
        seen: Some(|sent| Some(sent.from.name.clone())),
    },
    Place {
        name: "one address",
        put: |message, text| match Address::parse(text) {
            Ok(address) => message.reply_to(address),
            Err(_) => message.from("refused"),
        },
        seen: None,
    },
    Place {
        name: "local part",
        put: |message, text| match Address::new("", &format!("{text}@example.org")) {
            Ok(address) => message.reply_to(address),
            Err(_) => message.from("refused"),
        },
        seen: None,
    },
    Place {
        name: "domain",
        put: |message, text| match Address::new("", &format!("x@{text}.example.org")) {
            Ok(address) => message.reply_to(address),
            Err(_) => message.from("refused"),
        },
        seen: None,
    },
    Place {
        name: "text body",
        put: |message, text| message.text_body(text),
        seen: Some(|sent| Some(sent.text_body.clone().unwrap_or_default())),
    },
    Place {
        name: "HTML body",
        put: |message, text| message.html_body(text),
        seen: Some(|sent| Some(sent.html_body.clone().unwrap_or_default())),
    },
    Place {
        name: "filename",
        put: |message, text| message.attach(text, &b"content"[..]),
        seen: Some(|sent| Some(sent.attachments[0].name.clone())),
    },
    Place {
        name: "content ID",
        put: |message, text| match ContentId::new(text) {
            Ok(id) => message.attach_inline("a.png", &b"content"[..], &id),
            Err(_) => message.from("refused"),
        },
        seen: Some(|sent| sent.attachments[0].content_id.clone()),
    },
    Place {
        name: "content type",
        put: |message, text| {
            let file = Attachment::new("a.txt", &b"content"[..]).unwrap();
            match file.with_content_type(text) {
                Ok(file) => message.attachment(file),
                Err(_) => message.from("refused"),
            }
        },
        seen: Some(|sent| Some(sent.attachments[0].content_type.clone())),
    },
    Place {
        name: "metadata value",
        put: |message, text| message.metadata("key", text),
        seen: Some(|sent| sent.metadata.get("key").cloned()),
    },
    Place {
        name: "metadata key",
        put: |message, text| message.metadata(text, "value"),
        seen: Some(|sent| sent.metadata.keys().next().cloned()),
    },
    Place {
        name: "own metadata value",
        put: |message, text| message.merge_metadata(TO, [("key", text)]),
        seen: Some(|sent| sent.metadata.get("key").cloned()),
    },
    Place {
        name: "unsubscribe URL",
        put: |message, text| message.one_click_unsubscribe(&format!("https://example.com/{text}")),
        seen: None,
    },
    Place {
        name: "message stream",
        put: |message, text| {
            message.esp_extra(PostmarkOptions::new().message_stream(text).to_esp_extra())
        },
        seen: None,
    },
    Place {
        name: "token of one message",
        put: |message, text| {
            message.esp_extra(PostmarkOptions::new().server_token(text).to_esp_extra())
        },
        seen: None,
    },
];

/// Everything except the recipient.
fn to_nobody() -> MessageBuilder {
    Message::builder()
        .from("shop@example.com")
        .subject("S")
        .text_body("B")
}

fn start() -> MessageBuilder {
    to_nobody().to(TO)
}

/// What happened to a text in a place.
#[derive(Debug, PartialEq)]
enum Fate {
    RefusedByUs,
    RefusedByPostmark,
    Inert,
}

async fn try_one(postmark: &FakePostmark, mailer: &Mailer, place: &Place, text: &str) -> Fate {
    let (calls, accepted) = (postmark.calls(), postmark.accepted());
    let Ok(message) = (place.put)(start(), text).build() else {
        return Fate::RefusedByUs;
    };
    let result = mailer.send(&message).await;
    match result {
        Err(error) => {
            assert_eq!(postmark.accepted(), accepted, "accepted, and yet {error}");
            if postmark.calls() == calls {
                assert_eq!(error.kind(), SendErrorKind::UnsupportedFeature, "{error}");
                return Fate::RefusedByUs;
            }
            return Fate::RefusedByPostmark;
        }
        Ok(status) => assert_eq!(status.recipients().len(), 1),
    }
    assert_eq!(postmark.accepted(), accepted + 1);
    let sent = postmark.messages().pop().unwrap();
    check_inert(&sent, place);
    if let Some(seen) = place.seen {
        let seen = seen(&sent).unwrap();
        // White space around a name and the brackets around a content ID are not part of it.
        let bare = match place.name {
            "content ID" => text.trim_matches(['<', '>']),
            name if name.contains("display name") => text.trim(),
            _ => text,
        };
        let same = seen == bare;
        assert!(same, "changed on its way: {seen:?}");
    }
    Fate::Inert
}

/// Checks that the message arrived at the right recipient, and that none of its headers has two
/// lines.
fn check_inert(sent: &SentMessage, place: &Place) {
    let emails = |mailboxes: &[anymail_test_utils::Mailbox]| -> Vec<String> {
        mailboxes
            .iter()
            .map(|mailbox| mailbox.email.clone())
            .collect()
    };
    assert_eq!(emails(&sent.to), [TO]);
    assert_eq!(sent.from.email, "shop@example.com");
    assert!(sent.cc.is_empty() && sent.bcc.is_empty());
    let replies = ["one address", "local part", "domain"].contains(&place.name);
    assert_eq!(sent.reply_to.len(), usize::from(replies));
    let may_have_headers = place.name.contains("header") || place.name == "unsubscribe URL";
    assert!(sent.headers.is_empty() || may_have_headers);
    let fields = [
        "From",
        "To",
        "Cc",
        "Bcc",
        "ReplyTo",
        "Subject",
        "Tag",
        "Headers",
        "Attachments",
    ];
    let known = [
        &fields[..],
        &["TextBody", "HtmlBody", "Metadata", "MessageStream"],
    ]
    .concat();
    for (name, value) in sent.request.as_object().unwrap() {
        assert!(known.contains(&name.as_str()), "a field {name}");
        if fields.contains(&name.as_str()) {
            assert!(!has_control(value), "{name} has a control character");
        }
    }
}

fn has_control(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => text.chars().any(|c| c.is_control() && c != '\t'),
        Value::Array(items) => items.iter().any(has_control),
        Value::Object(map) => map.values().any(has_control),
        _ => false,
    }
}

#[tokio::test]
async fn no_text_is_interpreted_in_any_field() {
    let postmark = FakePostmark::start().unwrap();
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
    for place in PLACES {
        let mut fates = Vec::new();
        for text in corpus() {
            let shown: String = text.chars().take(60).collect();
            println!("{}: {shown:?}", place.name);
            let fate = try_one(&postmark, &mailer, place, &text).await;
            // Line breaks are refused before sending, wherever they could start a new line.
            let body = place.name.contains("body") || place.name.contains("metadata");
            if text.contains(['\r', '\n', '\0']) && !body && place.name != "message stream" {
                assert_eq!(fate, Fate::RefusedByUs);
            }
            fates.push(fate);
        }
        // If everything were refused, the test would prove nothing.
        let takes_any = !["content type", "token of one message"].contains(&place.name);
        assert_eq!(fates.contains(&Fate::Inert), takes_any, "{}", place.name);
    }
}

#[tokio::test]
async fn an_id_to_look_up_is_a_single_parameter() {
    let postmark = FakePostmark::start().unwrap();
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    let backend = PostmarkBackend::new(config).unwrap();
    for text in corpus().into_iter().filter(|text| text.len() < 10_000) {
        postmark.server().forget_requests();
        let found = backend.find_sent(&text).await;
        assert_eq!(found.unwrap(), None, "{text:?}");
        let requests = postmark.server().requests();
        let uri = requests[0].uri();
        assert_eq!(uri.path(), "/messages/outbound");
        let query: Vec<_> = url_pairs(uri.query().unwrap());
        assert_eq!(query.len(), 3, "{query:?}");
        assert_eq!(query[2], ("metadata_anymail_id".to_owned(), text));
    }
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    let url = format!("http://localhost/?{query}");
    let url = reqwest::Url::parse(&url).unwrap();
    url.query_pairs().into_owned().collect()
}

#[test]
fn no_api_url_takes_the_token_where_it_does_not_belong() {
    for url in [
        "http://api.postmarkapp.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "https://api.postmarkapp.com@example.com",
        "https://api.postmarkapp.com:secret@example.com",
        "http://127.0.0.1\r\n.example.com",
        "http://localhost\t.example.com",
        "http://[::ffff:192.0.2.1]",
        "http://0.0.0.0",
        "http://2130706433.example.com",
        "//example.com",
        "example.com",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "unix:/run/socket",
        "data:,x",
        "https://",
        "https://api.postmarkapp.com?x=",
        "https://api.postmarkapp.com#x",
    ] {
        let config = PostmarkConfig::new("s3cret-token").api_url(url);
        let Err(error) = PostmarkBackend::new(config) else {
            panic!("{url:?} was taken")
        };
        assert_eq!(error.faults()[0].option, "api_url", "{url:?}");
        assert!(!error.to_string().contains(['\r', '\n']), "{url:?}");
    }
}
