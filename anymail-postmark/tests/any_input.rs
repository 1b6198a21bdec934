//! Any bytes at a webhook lead to events or an error, but never to a panic.
//!
//! The fuzz targets (`fuzz/README.md`) test the same with many more inputs; the shorter ones of
//! those that found new code are tested here.

#![cfg(feature = "webhooks")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failing test panics"
)]

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[path = "any_input/exercise.rs"]
mod exercise;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 3] = [
    ("tracking", exercise::tracking),
    ("inbound", exercise::inbound),
    ("raw_mime", exercise::raw_mime),
];

/// The payloads of the vectors, and the messages in them.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for file in ["tracking.json", "inbound.json"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors")
            .join(file);
        let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for case in cases {
            seeds.push(case["payload"].to_string().into_bytes());
            seeds.extend(
                case["payload"]["RawEmail"]
                    .as_str()
                    .map(|mail| mail.as_bytes().to_vec()),
            );
        }
    }
    assert!(seeds.len() > 100);
    seeds
}

#[test]
fn complete_and_truncated_vectors_cause_no_panic_at_any_target() {
    for seed in seeds() {
        let others: [fn(&[u8]); 2] = [exercise::form, exercise::signature];
        for target in TARGETS.map(|(_, target)| target).into_iter().chain(others) {
            target(&seed);
            for cut in (0..seed.len()).step_by(37) {
                target(&seed[..cut]);
            }
        }
    }
}

#[test]
fn inputs_that_the_fuzz_targets_found_cause_no_panic() {
    for (name, target) in TARGETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any_input");
        let corpus = std::fs::read_to_string(path.join(name).with_extension("base64")).unwrap();
        assert!(corpus.lines().count() > 100, "{name}");
        for line in corpus.lines() {
            target(&STANDARD.decode(line).unwrap());
        }
    }
}

#[test]
fn a_payload_made_to_exhaust_the_parser_is_parsed_on_a_small_stack() {
    let n = 50_000;
    let payloads = move || {
        [
            format!(r#"{{"Attachments": [{}{{}}]}}"#, "{},".repeat(n)),
            format!(r#"{{"Headers": [{}1]}}"#, r#"{"Name": "a"},"#.repeat(n)),
            format!(r#"{{"ToFull": {}"#, "[".repeat(n)),
            format!(r#"{{"Metadata": {}"#, r#"{"a": "#.repeat(n)),
            format!(r#"{{"x": {}"#, r#"[{"a": "#.repeat(n)),
            format!(r#"{{{}"a": 1}}"#, r#""Tag": "a","#.repeat(n)),
            format!(r#"{{"To": "{}"}}"#, "a@b.c,".repeat(n)),
            format!(r#"{{"Subject": "{}"}}"#, "=?".repeat(n)),
            "[".repeat(n),
        ]
    };
    let read = move || {
        for payload in payloads() {
            exercise::tracking(payload.as_bytes());
            exercise::inbound(payload.as_bytes());
        }
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    thread.spawn(read).unwrap().join().unwrap();
}

#[test]
fn deeply_nested_messages_are_parsed_on_a_small_stack_raw_and_in_raw_email() {
    let levels = |level: fn(usize) -> String| (0..20_000).map(level).collect::<String>();
    let mails = [
        levels(|_| "Content-Type: message/rfc822\n\n".to_owned()),
        levels(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")),
        levels(|n| {
            let part = "Content-Type: message/rfc822\n\nSubject: forwarded\n";
            format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n{part}")
        }),
    ];
    let read = move || {
        for mail in mails {
            exercise::inbound(json!({"RawEmail": mail}).to_string().as_bytes());
            exercise::raw_mime(mail.as_bytes());
        }
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    thread.spawn(read).unwrap().join().unwrap();
}

/// JSON values of every type, some of them as Postmark would write them.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[A-Za-z0-9+/=\r\n]{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            json!("Bounce"),
            json!("SubscriptionChange"),
            json!("Inbound"),
            json!("Return-Path"),
            json!("<a@b.c>"),
            json!("2026-02-28T23:59:59.9999999Z"),
            json!("Wed, 11 Oct 2017 18:31:04 -0700"),
            json!("Subject: =?utf-8?q?=C3=A9?=\n\nbody"),
        ]),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..4)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let known: Vec<&str> = "RecordType Type ID MessageID Email Recipient DeliveredAt Metadata \
        SuppressSending SuppressionReason FromFull ToFull From To Headers Name Value Date \
        Attachments Content Data ContentType ContentID RawEmail TextBody Subject"
        .split_whitespace()
        .collect();
    prop_oneof![
        4 => prop::sample::select(known).prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }

    #[test]
    fn fields_of_any_type_yield_an_event(
        fields in prop::collection::vec((any_key(), any_json()), 0..12),
    ) {
        let payload = Value::Object(Map::from_iter(fields)).to_string();
        exercise::tracking(payload.as_bytes());
        exercise::inbound(payload.as_bytes());
    }
}
