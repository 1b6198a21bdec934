//! A complete small backend for an ESP that does not exist, and the conformance suite on it.
//!
//! It is the backend of the page "Writing a backend"
//! (`anymail_test_utils::guide::writing_a_backend`). The suite runs with
//! `cargo test -p anymail-test-utils --example pigeon`.

#![allow(
    unreachable_pub,
    reason = "they are the public items of a backend's own crate"
)]

mod backend;
#[allow(dead_code, reason = "the suite makes its backends itself")]
mod factory;
mod harness;
mod signature;
mod webhook;
mod wire;

fn main() {
    anymail_test_utils::conformance::main(harness::PigeonHarness)
}
