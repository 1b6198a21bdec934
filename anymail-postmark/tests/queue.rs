//! The example `queue` with a real RabbitMQ: workers are processes, and one is killed while 10,000
//! messages are sent.
//!
//! Without `rabbitmq-server`, these tests are counted as ignored and print the reason.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "../examples/queue/main.rs"]
mod example;
#[path = "queue/killed.rs"]
mod killed;
#[path = "queue/rabbitmq.rs"]
mod rabbitmq;
#[path = "queue/rig.rs"]
mod rig;
#[path = "queue/rules.rs"]
mod rules;

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

use rabbitmq::RabbitMq;

/// Set if this program must run the example.
const AS_EXAMPLE: &str = "ANYMAIL_TEST_AS_EXAMPLE";

type Test = fn(&tokio::runtime::Runtime, &RabbitMq);

const TESTS: [(&str, Test); 7] = [
    (
        "of_10_000_messages_none_is_lost_or_doubled_when_a_worker_is_killed",
        |runtime, server| runtime.block_on(killed::in_the_middle(server)),
    ),
    (
        "what_was_published_twice_is_sent_once",
        |runtime, server| runtime.block_on(rules::published_twice(server)),
    ),
    (
        "what_was_surely_not_accepted_comes_back_after_its_wait_but_not_for_ever",
        |runtime, server| runtime.block_on(rules::waits(server)),
    ),
    (
        "what_is_refused_or_unreadable_is_kept_with_its_reason",
        |runtime, server| runtime.block_on(rules::refused(server)),
    ),
    (
        "what_may_have_been_accepted_is_set_aside_until_postmark_is_asked",
        |runtime, server| runtime.block_on(rules::in_doubt(server)),
    ),
    (
        "a_worker_that_loses_rabbitmq_ends_and_what_it_was_sending_is_in_doubt",
        |runtime, server| runtime.block_on(rules::cut_off(server)),
    ),
    (
        "a_worker_that_is_told_to_stop_finishes_what_is_under_way_and_takes_no_more",
        |runtime, server| runtime.block_on(rules::stopped(server)),
    ),
];

fn main() -> ExitCode {
    if env::var_os(AS_EXAMPLE).is_some() {
        return example::main();
    }
    let arguments = Arguments::from_args();
    let program = rabbitmq::installed();
    if let Err(reason) = &program {
        eprintln!("skipped: {reason}");
    }
    let missing = program.is_err();
    // Started by the first test that runs.
    let server = Arc::new(OnceLock::new());
    let program = Arc::new(program);
    let trial = |(name, test): (&str, Test)| {
        let (server, program) = (Arc::clone(&server), Arc::clone(&program));
        let run = move || {
            let server = server.get_or_init(|| RabbitMq::start(program.as_ref().as_ref()?));
            let runtime = tokio::runtime::Runtime::new()?;
            test(&runtime, server.as_ref()?);
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing)
    };
    let conclusion = libtest_mimic::run(&arguments, TESTS.map(trial).into());
    drop(server);
    conclusion.exit_code()
}
