//! What django-anymail does with Postmark, case by case: one named check for each.
//!
//! The cases lie in `tests/vectors/` (see its README); `ANYMAIL_VECTORS=DIR` takes others of
//! the same form. `cargo test --test vectors -- 'send: bulk'` runs some of them.

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a check may panic: that is how it fails"
)]

#[path = "vectors/send.rs"]
mod send;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::de::DeserializeOwned;

fn main() {
    let arguments = Arguments::from_args();
    let folder = std::env::var_os("ANYMAIL_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"),
        PathBuf::from,
    );
    let files = [File::new("send", read(&folder, "send"), send::check)];
    let mut trials = Vec::new();
    let mut tallies = Vec::new();
    for file in files {
        tallies.push((file.name, file.trials.len(), file.held));
        trials.extend(file.trials);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        for (name, all, held) in tallies {
            println!(
                "{name}: {} of {all} cases hold",
                held.load(Ordering::Relaxed)
            );
        }
    }
    conclusion.exit();
}

fn read<C: DeserializeOwned>(folder: &std::path::Path, name: &str) -> Vec<C> {
    let path = folder.join(format!("{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A case has a name that its check is called by.
trait Named {
    fn name(&self) -> &str;
}

struct File {
    name: &'static str,
    trials: Vec<Trial>,
    held: Arc<AtomicUsize>,
}

impl File {
    fn new<C: Named + Send + 'static>(
        name: &'static str,
        cases: Vec<C>,
        check: fn(C) -> Result<(), String>,
    ) -> Self {
        assert!(!cases.is_empty(), "{name}.json holds no case");
        let held = Arc::new(AtomicUsize::new(0));
        let trials = cases.into_iter().map(|case| {
            let held = held.clone();
            Trial::test(format!("{name}: {}", case.name()), move || {
                check(case).map_err(Failed::from)?;
                held.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        });
        Self {
            name,
            trials: trials.collect(),
            held,
        }
    }
}
