//! The conformance suite tests whether a backend keeps the promises of [`EmailBackend`].
//!
//! A backend's author writes a [`Harness`], which implements the ESP's side of the wire in a few
//! lines, and gets one named trial for each rule.
//! [Writing a backend](crate::guide::writing_a_backend) explains how to write both.
//!
//! In the backend's `Cargo.toml`:
//!
//! ```toml
//! [dev-dependencies]
//! anymail-test-utils = "0.1"
//!
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! In `tests/conformance.rs`, next to the harness:
//!
//! ```no_run
//! # use anymail_test_utils::conformance::{Harness, main};
//! # fn example(MyHarness: impl Harness) {
//! anymail_test_utils::conformance::main(MyHarness)
//! # }
//! ```
//!
//! `cargo test --test conformance` runs the suite. Add a word to filter by name, or `-- --list` to
//! list the trials, which depend on what the backend declares.
//!
//! [`EmailBackend`]: anymail_core::EmailBackend

mod about;
mod addresses;
mod attachments;
mod batch;
mod broken;
mod calls;
mod capture;
mod desk;
mod events;
mod excerpt;
mod extra;
mod features;
mod harness;
mod many;
mod messages;
mod mime;
mod mutants;
mod network;
mod posts;
mod profile;
mod protocol;
mod responses;
mod rig;
mod secrets;
mod signatures;
mod signer;
mod spellings;
mod statuses;
mod subject;
mod suite;
mod tasks;
mod templates;
mod together;
mod trial;
mod understood;
mod webhooks;
mod wire;

pub use broken::{ReadResult, Sabotage, SendResult};
pub use harness::{
    Credentials, Failure, FailureKind, Harness, HarnessError, LocalHarness, Mailbox, Recipient,
    Report, SmtpHarness, SmtpTarget, Target,
};
pub use mutants::{Mutants, main_mutants};
pub use posts::{Expected, Post, Posts};
pub use profile::{MessageIds, Profile};
pub use signer::{Signer, Signing};
pub use suite::{Outcome, Suite};
pub use understood::{File, Understood};

/// Runs the suite on a backend of an ESP with an HTTP API, with the command line of `cargo test`, and
/// exits the process.
pub fn main(harness: impl Harness) -> ! {
    Suite::new(harness).main()
}

/// Runs the suite on a backend that sends over SMTP, and exits the process.
pub fn main_smtp(harness: impl SmtpHarness) -> ! {
    Suite::smtp(harness).main()
}

/// Runs the suite on a backend that makes no calls, and exits the process.
pub fn main_local(harness: impl LocalHarness) -> ! {
    Suite::local(harness).main()
}
