//! Backends that are broken on purpose. Each fault lists the trials that must detect it, and
//! together they list every trial. This proves that each trial can fail, and fails for the right
//! reason. `cargo test --test mutants -- --topics` lists the faults.
//!
//! The broken backends are the guide's (`examples/pigeon`), those of the other examples, and a
//! small SMTP client.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "broken backends may panic, and a failing test does"
)]

#[path = "../../examples/pigeon/backend.rs"]
mod backend;
mod breaks;
mod careless;
mod dove;
mod forged;
#[path = "../../examples/pigeon/harness.rs"]
mod harness;
mod in_both;
mod in_calls;
mod in_contents;
mod in_errors;
mod in_magpie;
mod in_magpie_calls;
mod in_magpie_hooks;
mod in_people;
mod in_responses;
mod in_secrets;
mod in_signatures;
mod in_smtp;
mod in_starling;
mod in_starling_calls;
mod in_starling_hooks;
mod in_values;
mod in_webhooks;
mod lark;
mod magpie;
mod mutant;
#[path = "../../examples/pigeon/signature.rs"]
mod signature;
mod starling;
#[path = "../../examples/pigeon/webhook.rs"]
mod webhook;
#[path = "../../examples/pigeon/wire.rs"]
mod wire;

use anymail_test_utils::conformance::{Mutants, Suite, main_mutants};

use crate::breaks::{Break, Mutant, mutant};
use crate::harness::PigeonHarness;
use crate::mutant::MutantHarness;

fn mutants() -> Vec<Mutant> {
    [
        in_people::mutants(),
        in_contents::mutants(),
        in_values::mutants(),
        in_calls::mutants(),
        in_responses::mutants(),
        in_errors::mutants(),
        in_secrets::mutants(),
        in_signatures::mutants(),
        in_webhooks::mutants(),
    ]
    .concat()
}

fn main() {
    // The suite that creates the mutants must not detect a fault without one.
    let unbroken = || suite_of(mutant("unbroken", Break::Nowhere, &[]));
    let mut pigeon = Mutants::http("pigeon", || PigeonHarness)
        .unbroken(unbroken)
        .of_every_trial();
    for mutant in mutants() {
        pigeon = pigeon.plant_suite(mutant.name, move || suite_of(mutant), mutant.caught_by);
    }
    main_mutants([
        pigeon,
        in_magpie::mutants(),
        in_starling::mutants(),
        dove::mutants(),
        in_smtp::mutants(),
    ])
}

fn suite_of(mutant: Mutant) -> Suite {
    Suite::new(MutantHarness::new(mutant))
}
