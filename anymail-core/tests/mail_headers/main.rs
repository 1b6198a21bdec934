//! Headers of inbound messages as mail clients write them, valid and invalid.
//!
//! `cases.json` contains the expected values, and the values that two other parsers return:
//! Python's `email` with `policy.default` (Python 3.11) and `mailparser` 3 for Node, as of 2026-11.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use anymail_core::{InboundAddress, InboundMessage};
use serde_json::{Value, json};

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

#[test]
fn a_filename_is_read_in_every_notation() {
    let mut tried = 0;
    for case in cases() {
        let Some(headers) = case["headers"].as_str() else {
            continue;
        };
        // The first of two headers with the same name counts.
        let mail = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\n{headers}\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n--b--\r\n"
        );
        let mail = InboundMessage::from_raw(mail);
        let file = mail.attachments().chain(mail.inlines()).next().unwrap();
        assert_eq!(file.filename(), case["filename"].as_str(), "{headers}");
        tried += 1;
    }
    assert!(tried > 20, "only {tried} cases");
}

#[test]
fn the_addresses_of_a_header_are_read_in_every_notation() {
    let mut tried = 0;
    for case in cases() {
        let Some(to) = case["to"].as_str() else {
            continue;
        };
        let mail = InboundMessage::from_raw(format!("To: {to}\r\n\r\nx"));
        let pair = |it: &InboundAddress| json!([it.name, it.email]);
        let found: Vec<_> = mail.to.iter().map(pair).collect();
        assert_eq!(Value::from(found), case["addresses"], "{to}");
        tried += 1;
    }
    assert!(tried > 15, "only {tried} cases");
}

/// A case in which both other parsers disagree with ours would need a reason.
#[test]
fn at_least_one_other_parser_agrees() {
    for case in cases() {
        let ours = [&case["filename"], &case["addresses"]];
        let ours = ours.into_iter().find(|it| !it.is_null()).unwrap();
        let agrees = case["python"] == *ours || case["mailparser"] == *ours;
        assert!(agrees, "{case}");
    }
}
