//! Runs the conformance suite on the backends that need no ESP, and on those that use other
//! backends.

#![allow(
    clippy::indexing_slicing,
    reason = "indexing a JSON object returns null for a missing key"
)]
#![allow(
    unreachable_pub,
    reason = "in Pigeon's own crate, these items are public"
)]

#[path = "../../examples/pigeon/backend.rs"]
mod backend;
mod console;
mod file;
#[path = "../../examples/pigeon/harness.rs"]
mod harness;
mod members;
mod memory;
#[path = "../../examples/pigeon/signature.rs"]
mod signature;
mod smtp;
#[path = "../../examples/pigeon/webhook.rs"]
mod webhook;
#[path = "../../examples/pigeon/wire.rs"]
mod wire;

use std::sync::Arc;

use anymail_test_utils::conformance::{Outcome, Suite};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() {
    let suites = [
        ("console", Suite::local(console::ConsoleHarness)),
        ("failover", Suite::new(members::Group::failover())),
        (
            "failover_in_an_outage",
            Suite::new(members::Group::failover_in_an_outage()),
        ),
        ("file", Suite::local(file::FileHarness)),
        ("memory", Suite::local(memory::MemoryHarness)),
        ("round_robin", Suite::new(members::Group::round_robin())),
        ("smtp", Suite::smtp(smtp::CoreSmtpHarness)),
    ];
    let mut trials = Vec::new();
    for (backend, suite) in suites {
        let suite = Arc::new(suite);
        for name in suite.names() {
            let (own, rule) = (Arc::clone(&suite), name.to_owned());
            let run = move || match own.run(&rule) {
                Outcome::Passed => Ok(Completion::Completed),
                Outcome::Skipped(why) => Ok(Completion::ignored_with(why)),
                other => Err(Failed::from(format!("{other:?}"))),
            };
            trials.push(Trial::ignorable_test(format!("{backend}::{name}"), run));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}
