//! Any bytes as addresses, as a message's JSON and as Postmark's response lead to values or errors,
//! but never to a panic.
//!
//! The fuzz targets (`fuzz/README.md`) test the same with many more inputs; the shorter ones of
//! those that found new code are tested here. `any_input.rs` tests incoming data.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failing test panics"
)]

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

#[path = "any_input/sending.rs"]
mod sending;

type Target = (&'static str, fn(&[u8]));

#[test]
fn inputs_that_the_fuzz_targets_found_cause_no_panic() {
    let targets: [Target; 3] = [
        ("addresses", sending::addresses),
        ("message_json", sending::message_json),
        ("answers", sending::answers),
    ];
    for (name, target) in targets {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any_input");
        let corpus = std::fs::read_to_string(path.join(name).with_extension("base64")).unwrap();
        assert!(corpus.lines().count() > 20, "{name}");
        for line in corpus.lines() {
            target(&STANDARD.decode(line).unwrap());
        }
    }
}

#[test]
fn truncated_messages_of_the_vectors_cause_no_panic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/send.json");
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in cases {
        let json = case["message"].to_string();
        for cut in (0..json.len()).step_by(17) {
            sending::message_json(&json.as_bytes()[..cut]);
        }
        sending::message_json(json.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_as_addresses_or_refused(text in "[a-z<>@,:;\"\\\\() .\r\n\u{e9}=?_-]{0,40}") {
        sending::addresses(text.as_bytes());
    }

    #[test]
    fn any_error_message_of_postmark_is_a_response(
        choice in any::<[u8; 2]>(),
        code in prop_oneof![Just(0), Just(300), Just(406), any::<i64>()],
        words in "(Invalid 'To' address: |Found inactive addresses: )?['a-z@.,: ]{0,40}",
    ) {
        let row = serde_json::json!({"ErrorCode": code, "Message": words, "MessageID": "id"});
        for body in [row.to_string(), serde_json::json!([row, row]).to_string()] {
            sending::answers(&[&choice[..], body.as_bytes()].concat());
        }
    }
}
