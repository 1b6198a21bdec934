//! A small but complete backend for an ESP that does not exist, with the conformance suite.
//!
//! It is the backend of the guide "Writing a backend"
//! (`anymail_test_utils::guide::writing_a_backend`). Run the suite with `cargo test -p
//! anymail-test-utils --example pigeon`.

#![allow(
    unreachable_pub,
    reason = "in a backend's own crate, these items are public"
)]

mod backend;
#[allow(dead_code, reason = "the suite creates its backends itself")]
mod factory;
mod harness;
mod signature;
mod webhook;
mod wire;

fn main() {
    anymail_test_utils::conformance::main(harness::PigeonHarness)
}
