//! Any bytes from an SMTP server, in an unsubscribe request or in a suppression file lead to values or
//! errors, but never to a panic.
//!
//! The fuzz targets (`fuzz/README.md`) test the same with many more inputs; the shorter ones of those
//! that found new code are tested here.

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

#[path = "any_input/smtp.rs"]
mod smtp;
#[path = "any_input/suppressions.rs"]
mod suppressions;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any_input");
    let text = std::fs::read_to_string(path.join(name).with_extension("base64")).unwrap();
    let inputs: Vec<_> = text
        .lines()
        .map(|it| STANDARD.decode(it).unwrap())
        .collect();
    assert!(inputs.len() >= 10, "{name}");
    inputs
}

#[test]
fn every_recipient_is_accounted_for_whatever_an_smtp_server_replies() {
    for input in corpus("smtp_replies") {
        smtp::smtp_replies(&input);
        for cut in (0..input.len()).step_by(23) {
            smtp::smtp_replies(&input[..cut]);
        }
    }
}

#[test]
fn only_a_signed_token_unsubscribes_and_only_its_own_recipient() {
    let signed = suppressions::signed_request();
    for at in 0..signed.len() {
        suppressions::unsubscribe_token(&signed.as_bytes()[..at]);
        let mut changed = signed.clone().into_bytes();
        changed[at] ^= 1;
        suppressions::unsubscribe_token(&changed);
    }
    for input in corpus("unsubscribe_token") {
        suppressions::unsubscribe_token(&input);
    }
}

#[test]
fn a_suppression_file_with_any_contents_opens_and_keeps_what_is_added() {
    for input in corpus("suppression_file") {
        suppressions::suppression_file(&input);
        for cut in (0..input.len()).step_by(41) {
            suppressions::suppression_file(&input[..cut]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_reply_codes_are_handled(
        codes in prop::collection::vec((200u16..600, any::<bool>(), "[ -~]{0,12}"), 0..10),
    ) {
        let reply = |(code, more, text): &(u16, bool, String)| {
            let more = more.then(|| format!("{code}-{text}\r\n")).unwrap_or_default();
            format!("{more}{code} {text}\r\n")
        };
        let replies: Vec<_> = codes.iter().map(reply).collect();
        smtp::smtp_replies(replies.join("\0").as_bytes());
    }

    #[test]
    fn any_bytes_are_a_suppression_file(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        suppressions::suppression_file(&bytes);
    }
}
