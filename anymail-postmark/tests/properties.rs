//! Properties of all messages.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::collections::BTreeSet;

use anymail_core::{Address, AddressKey, Attachment, ContentId, Field, JsonMap, Mailer, Message};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

/// Texts that try to span several lines.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        "[a-z\r\n\t\0\"\\\\<>,;:@() \u{85}\u{2028}é€李]{0,20}",
        Just("x\r\nBcc: evil@example.com".to_owned()),
        Just("=?utf-8?q?x=0D=0ABcc:_evil=40example.com?=".to_owned()),
        any::<String>(),
    ]
}

fn domain() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "example.com",
        "příklad.cz",
        "sub.example.org",
        "[192.0.2.1]",
    ])
}

/// Addresses as callers create them: from arbitrary parts, if these form an address.
fn address() -> impl Strategy<Value = Address> {
    (nasty(), "[A-Za-z0-9.+'\"é ]{1,8}", domain()).prop_map(|(name, local, domain)| {
        Address::new(&name, &format!("{local}@{domain}"))
            .or_else(|_| Address::new("", &format!("{}@{domain}", local.len())))
            .unwrap()
    })
}

fn object() -> impl Strategy<Value = JsonMap> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        nasty().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[a-z]{1,4}", inner), 0..3).prop_map(|entries| entries.into_iter().collect()),
        ]
    });
    vec(("[a-z]{1,4}", value), 0..3).prop_map(|entries| entries.into_iter().collect())
}

#[derive(Debug, Clone)]
struct Parts {
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
    reply_to: Vec<Address>,
    texts: Vec<Option<String>>,
    headers: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
    merge: Option<JsonMap>,
    global: Option<JsonMap>,
    file: Option<(String, Vec<u8>, bool)>,
    flags: (Option<bool>, Option<bool>, bool),
}

fn parts() -> impl Strategy<Value = Parts> {
    (
        (
            vec(address(), 1..4),
            vec(address(), 0..3),
            vec(address(), 0..3),
            vec(address(), 0..3),
        ),
        vec(of(nasty()), 4..5),
        vec(("[A-Za-z-]{1,8}", nasty()), 0..3),
        vec((nasty(), nasty()), 0..3),
        of(object()),
        of(object()),
        of((nasty(), vec(any::<u8>(), 0..20), any::<bool>())),
        (of(any::<bool>()), of(any::<bool>()), any::<bool>()),
    )
        .prop_map(
            |((to, cc, bcc, reply_to), texts, headers, metadata, merge, global, file, flags)| {
                Parts {
                    to,
                    cc,
                    bcc,
                    reply_to,
                    texts,
                    headers,
                    metadata,
                    merge,
                    global,
                    file,
                    flags,
                }
            },
        )
}

/// A message of arbitrary parts that a builder accepts.
fn message() -> impl Strategy<Value = Message> {
    (address(), parts()).prop_map(|(from, parts)| {
        let mut builder = Message::builder()
            .from(from)
            .to(parts.to.clone())
            .cc(parts.cc)
            .bcc(parts.bcc)
            .reply_to(parts.reply_to);
        for (name, value) in parts.headers {
            let one = Message::builder().header(&name, &value);
            if one.clone().build().is_ok() {
                builder = builder.header(&name, &value);
            }
        }
        for (key, value) in parts.metadata {
            builder = builder.metadata(key, value);
        }
        if let Some(values) = parts.merge {
            builder = builder.merge_data(parts.to[0].email(), values);
        }
        if let Some((name, bytes, inline)) = parts.file {
            let id = ContentId::new("cid").unwrap();
            if let Ok(file) = Attachment::new(&name, bytes) {
                builder = builder.attachment(if inline { file.inline(&id) } else { file });
            }
        }
        let mut message = builder.build().unwrap();
        let mut texts = parts.texts.into_iter();
        let mut text = || texts.next().flatten();
        let one_line = |it: &String| !it.chars().any(char::is_control);
        if let Some(subject) = text().filter(one_line) {
            message.subject = subject.into();
        }
        if let Some(body) = text() {
            message.text_body = body.into();
        }
        if let Some(body) = text() {
            message.html_body = body.into();
        }
        if let Some(tag) = text().filter(one_line) {
            message.tags = vec![tag].into();
        }
        if message.is_batch() || parts.global.is_some() {
            message.template_id = "welcome".to_owned().into();
        }
        if let Some(values) = parts.global {
            message.merge_global_data = values.into();
        }
        if let Some(on) = parts.flags.0 {
            message.track_opens = on.into();
        }
        message.track_clicks = parts.flags.1.map_or(Field::Never, Field::from);
        message
    })
}

/// Sends a message over HTTP and returns the rows of its request.
fn rows_on_the_wire(message: &Message) -> Vec<Value> {
    thread_local! {
        static WIRE: (tokio::runtime::Runtime, MockServer, Mailer) = {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let server = runtime.block_on(async {
                let server = MockServer::start().await;
                Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
                server
            });
            let config = PostmarkConfig::new("token").api_url(server.uri());
            let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
            (runtime, server, mailer)
        };
    }
    WIRE.with(|(runtime, server, mailer)| {
        runtime.block_on(async {
            server.reset().await;
            Mock::given(matchers::any())
                .respond_with(answer)
                .mount(server)
                .await;
            mailer.send(message).await.unwrap();
            let [request] = &server.received_requests().await.unwrap()[..] else {
                panic!("one call was expected")
            };
            rows(&request.body_json().unwrap())
        })
    })
}

fn rows(body: &Value) -> Vec<Value> {
    match body.get("Messages").unwrap_or(body) {
        Value::Array(rows) => rows.clone(),
        row => vec![row.clone()],
    }
}

fn answer(request: &Request) -> ResponseTemplate {
    let body: Value = request.body_json().unwrap();
    let accepted = json!({"ErrorCode": 0, "Message": "OK", "MessageID": "id"});
    let batch = body.is_array() || body.get("Messages").is_some();
    ResponseTemplate::new(200).set_body_json(match batch {
        true => rows(&body).iter().map(|_| accepted.clone()).collect(),
        false => accepted,
    })
}

fn keys<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> BTreeSet<AddressKey> {
    addresses.into_iter().map(Address::key).collect()
}

fn keys_in(row: &Value, name: &str) -> BTreeSet<AddressKey> {
    match row.get(name) {
        Some(text) => keys(&Address::parse_list(text.as_str().unwrap()).unwrap()),
        None => BTreeSet::new(),
    }
}

proptest! {
    #[test]
    fn any_message_goes_through_json_and_back_unchanged(message in message()) {
        let json = serde_json::to_vec(&message).unwrap();
        prop_assert_eq!(Message::from_json(&json).unwrap(), message);
    }

    #[test]
    fn the_recipients_on_the_wire_are_exactly_the_messages(message in message()) {
        let rows = rows_on_the_wire(&message);
        let mut to = BTreeSet::new();
        for row in &rows {
            let own = keys_in(row, "To");
            prop_assert!(!message.is_batch() || own.len() == 1, "{} recipients in a row", own.len());
            to.extend(own);
            prop_assert_eq!(keys_in(row, "Cc"), keys(message.cc.items()));
            prop_assert_eq!(keys_in(row, "Bcc"), keys(message.bcc.items()));
        }
        prop_assert_eq!(to, keys(message.to.items()));
        let expected = if message.is_batch() { message.to.items().len() } else { 1 };
        prop_assert_eq!(rows.len(), expected);
    }

    #[test]
    fn no_header_on_the_wire_contains_a_line_break(message in message()) {
        for row in rows_on_the_wire(&message) {
            let fields = ["From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "Tag", "Headers"];
            let mut texts: Vec<_> = fields.iter().filter_map(|name| row.get(name)).collect();
            if let Some(Value::Array(files)) = row.get("Attachments") {
                let names = ["Name", "ContentType", "ContentID"];
                texts.extend(files.iter().flat_map(|file| names.map(|name| file.get(name))).flatten());
            }
            for text in texts {
                // JSON escapes control characters.
                let json = text.to_string();
                for escape in ["\\r", "\\n", "\\u0000"] {
                    let unescaped = json.replace("\\\\", "");
                    prop_assert!(!unescaped.contains(escape), "{}", json);
                }
            }
        }
    }
}
