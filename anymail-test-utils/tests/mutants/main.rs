//! Backends that are broken on purpose: each names the trials that must catch it, and together
//! they name every trial there is. So each trial can fail, and fails for what it is meant for.
//!
//! What is broken is the backend of the guide (`examples/pigeon`).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "broken backends may panic, and a test that fails should"
)]

#[path = "../../examples/pigeon/backend.rs"]
mod backend;
mod breaks;
#[path = "../../examples/pigeon/harness.rs"]
mod harness;
mod in_answers;
mod in_calls;
mod in_contents;
mod in_errors;
mod in_people;
mod in_secrets;
mod in_signatures;
mod in_values;
mod in_webhooks;
mod mutant;
#[path = "../../examples/pigeon/signature.rs"]
mod signature;
#[path = "../../examples/pigeon/webhook.rs"]
mod webhook;
#[path = "../../examples/pigeon/wire.rs"]
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use anymail_test_utils::conformance::{Outcome, Suite};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::breaks::{Break, Mutant, mutant};
use crate::harness::PigeonHarness;
use crate::mutant::MutantHarness;

fn mutants() -> Vec<Mutant> {
    [
        in_people::mutants(),
        in_contents::mutants(),
        in_values::mutants(),
        in_calls::mutants(),
        in_answers::mutants(),
        in_errors::mutants(),
        in_secrets::mutants(),
        in_signatures::mutants(),
        in_webhooks::mutants(),
    ]
    .concat()
}

fn main() {
    // Some mutants panic, which the trials report; the backtraces would hide the rest.
    std::panic::set_hook(Box::new(|_| {}));
    let mut trials = vec![Trial::test("every_trial_has_a_mutant", all_are_named)];
    // What makes a mutant is not itself what is caught.
    let unbroken = suite_of(mutant("unbroken", Break::Nowhere, &[]));
    for rule in unbroken.names() {
        let (suite, own) = (Arc::clone(&unbroken), rule.to_owned());
        let name = format!("the_unbroken_backend passes {rule}");
        trials.push(Trial::test(name, move || match suite.run(&own) {
            Outcome::Passed => Ok(()),
            other => Err(format!("{other:?}").into()),
        }));
    }
    for mutant in mutants() {
        let suite = suite_of(mutant);
        for rule in mutant.caught_by {
            let suite = Arc::clone(&suite);
            let name = format!("{} is caught by {rule}", mutant.name);
            trials.push(Trial::test(name, move || match suite.run(rule) {
                Outcome::Failed(_) => Ok(()),
                other => Err(format!("the mutant was not caught: {other:?}").into()),
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

fn all_are_named() -> Result<(), Failed> {
    let suite = Suite::new(PigeonHarness);
    let mutants = mutants();
    let named: BTreeSet<_> = mutants
        .iter()
        .flat_map(|it| it.caught_by)
        .copied()
        .collect();
    // Of the harness itself `tests/suite.rs` takes care.
    let names = suite.names().filter(|name| !name.starts_with("harness::"));
    let left: Vec<_> = names.filter(|name| !named.contains(name)).collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(format!("no mutant is meant for {left:#?}").into()),
    }
}

fn suite_of(mutant: Mutant) -> Arc<Suite> {
    Arc::new(Suite::new(MutantHarness::new(mutant)))
}
