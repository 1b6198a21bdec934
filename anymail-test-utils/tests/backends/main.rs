//! The conformance suite on the backends that need no ESP, and on the made-up ESP's.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON object has null for what is not there"
)]

mod fake_esp;
mod file;
mod memory;

use std::sync::Arc;

use anymail_test_utils::conformance::{Outcome, Suite};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() {
    let suites = [
        ("fake_esp", Suite::new(fake_esp::FakeEspHarness)),
        ("file", Suite::local(file::FileHarness)),
        ("memory", Suite::local(memory::MemoryHarness)),
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
