//! What the fuzz targets and `any_answer.rs` do with any bytes while sending.
//!
//! A panic in this code is a bug in the library. `exercise.rs` handles incoming data.

#![allow(dead_code, reason = "each target uses one of the functions")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failing test panics"
)]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anymail_core::{Accepted, Address, Mailer, Message, SendError, SendStatus, UnsupportedPolicy};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::LoopbackServer;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Parses a text as a list of addresses and as a single one.
pub(crate) fn addresses(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let list = Address::parse_list(&text);
    for address in list.iter().flatten().chain(&Address::parse(&text)) {
        let written = address.to_ascii();
        let breaks_a_line = |c: char| c.is_control() && c != '\t';
        assert!(!written.chars().any(breaks_a_line), "{written:?}");
        let back = Address::parse(&written).expect("what is written can be read");
        assert_eq!(back.key(), address.key(), "another address: {written:?}");
        assert_eq!(back.name(), address.name(), "another name: {written:?}");
        let one = Address::parse_list(&format!("{written}, x@example.com"));
        assert_eq!(one.expect("a list of two").len(), 2, "{written:?}");
    }
    if let Err(error) = list {
        assert!(!error.to_string().contains(['\r', '\n']), "{error}");
    }
}

/// Parses a message's JSON, and checks the message with the Postmark backend.
pub(crate) fn message_json(input: &[u8]) {
    static MAILERS: LazyLock<[Mailer; 2]> = LazyLock::new(|| {
        [UnsupportedPolicy::Refuse, UnsupportedPolicy::Drop].map(|policy| {
            let backend = PostmarkBackend::new(PostmarkConfig::new("token")).unwrap();
            Mailer::builder(backend).unsupported(policy).build()
        })
    });
    let message = match Message::from_json(input) {
        Ok(message) => message,
        Err(error) => {
            assert!(!error.faults().is_empty());
            let _ = error.to_string();
            return;
        }
    };
    let json = serde_json::to_vec(&message).expect("a message goes into JSON");
    let back = Message::from_json(&json).expect("and comes back");
    assert_eq!(back, message, "a message changes on its way through JSON");
    for mailer in MAILERS.iter() {
        let _ = (mailer.check(&message).to_string(), format!("{message:?}"));
    }
}

/// A response from Postmark: two bytes select its status and the call, the others are its body.
pub(crate) fn answers(input: &[u8]) {
    const STATUSES: [u16; 12] = [200, 200, 200, 200, 422, 401, 429, 500, 503, 302, 404, 207];
    let (&[status, call], body) = match input.split_first_chunk() {
        Some((choice, body)) => (choice, body),
        None => (&[0, 0], input),
    };
    let status = STATUSES[usize::from(status) % STATUSES.len()];
    // One at a time, because all callers get the same response.
    let world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    *world.answer.lock().unwrap() = (status, Bytes::copy_from_slice(body));
    let one = |to: &str| {
        let message = Message::builder().from("from@example.com").to(to);
        message.subject("S").text_body("B")
    };
    let both = "ann@example.com, Bob <bob@example.com>";
    let (mailer, messages) = match call % 5 {
        0 => (&world.mailer, vec![one(both)]),
        1 => (&world.mailer, vec![one("ann@example.com"), one(both)]),
        2 => (&world.mailer, vec![one(both).cc("cc@example.com").batch()]),
        3 => (&world.bulk, vec![one(both)]),
        _ => {
            let found = world.runtime.block_on(world.backend.find_sent("the id"));
            if let Err(error) = found {
                assert_eq!(error.accepted(), Accepted::No);
                check_error(&error, status, body);
            }
            return;
        }
    };
    let messages: Vec<_> = messages.into_iter().map(|it| it.build().unwrap()).collect();
    let results = match &messages[..] {
        [message] => vec![world.runtime.block_on(mailer.send(message))],
        many => world.runtime.block_on(mailer.send_all(many)),
    };
    assert_eq!(results.len(), messages.len());
    for (message, result) in messages.iter().zip(results) {
        let known: Option<&SendStatus> = match &result {
            Ok(status) => Some(status),
            Err(error) => error.status(),
        };
        if let Some(known) = known {
            let recipients = message.to.items().len() + message.cc.items().len();
            assert_eq!(known.recipients().len(), recipients);
        }
        if let Err(error) = &result {
            let refuses = [422, 401, 429, 503, 404].contains(&status) || says_code(body);
            assert!(error.accepted() == Accepted::Maybe || refuses, "{error}");
            check_error(error, status, body);
        }
    }
}

/// Whether the response or one of its rows has an error code, which every refusal needs.
fn says_code(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let rows = serde_json::from_str::<Vec<&RawValue>>(&text);
    let rows = rows.map(|rows| rows.into_iter().map(RawValue::get).collect());
    // A key may contain escapes, so it is parsed; an invalid row does not affect the others.
    let row_says = |row: &str| {
        let members = serde_json::from_str::<HashMap<String, IgnoredAny>>(row);
        members.is_ok_and(|members| members.contains_key("ErrorCode"))
    };
    rows.unwrap_or(vec![&*text]).into_iter().any(row_says)
}

fn check_error(error: &SendError, status: u16, body: &[u8]) {
    assert!(!error.to_string().is_empty());
    let told = error.http_status();
    assert!(told.is_none_or(|told| told == status), "{told:?} {status}");
    if status == 500 && error.status().is_none() && says_code(body) {
        assert!(error.is_transient(), "{error}");
    }
}

/// The server that sends arbitrary responses.
struct World {
    runtime: tokio::runtime::Runtime,
    answer: Arc<Mutex<(u16, Bytes)>>,
    backend: PostmarkBackend,
    mailer: Mailer,
    bulk: Mailer,
    _server: LoopbackServer,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| {
    let answer = Arc::new(Mutex::new((200, Bytes::new())));
    let given = Arc::clone(&answer);
    let server = LoopbackServer::start(move |_| {
        let (status, body) = given.lock().unwrap().clone();
        let response = http::Response::builder().status(status);
        response.body(body).expect("a response")
    });
    let server = server.expect("a server");
    server.set_recording(false);
    let config = PostmarkConfig::new("token").api_url(server.url());
    let backend = PostmarkBackend::new(config.clone()).unwrap();
    let bulk = PostmarkBackend::new(config.use_bulk_api(true)).unwrap();
    Mutex::new(World {
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime"),
        answer,
        mailer: Mailer::new(backend.clone()),
        backend,
        bulk: Mailer::new(bulk),
        _server: server,
    })
});
