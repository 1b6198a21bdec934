//! What django-anymail does with Postmark: one named check per case.
//!
//! The cases are in `tests/vectors/` (see its README). `ANYMAIL_VECTORS=DIR` reads others in the
//! same format. `cargo test --test vectors -- 'send: bulk'` runs some of them.

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a failing check panics"
)]

#[path = "vectors/inbound.rs"]
mod inbound;
#[path = "vectors/send.rs"]
mod send;
#[path = "vectors/tracking.rs"]
mod tracking;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::de::DeserializeOwned;

fn main() {
    let arguments = Arguments::from_args();
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let dir = std::env::var_os("ANYMAIL_VECTORS").map_or(PathBuf::from(own), PathBuf::from);
    let files = [
        (&SEND, send::trials(&dir)),
        (&TRACKING, tracking::trials(&dir)),
        (&INBOUND, inbound::trials(&dir)),
    ];
    let mut trials = Vec::new();
    let mut counts = Vec::new();
    for (file, cases) in files {
        assert!(!cases.is_empty(), "{}.json holds no case", file.name);
        counts.push((file, cases.len()));
        trials.extend(cases);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        for (file, all) in counts {
            let held = file.held.load(Ordering::Relaxed);
            println!("{}: {held} of {all} cases hold", file.name);
        }
    }
    conclusion.exit();
}

/// A file of cases, and how many of them passed.
struct File {
    name: &'static str,
    held: AtomicUsize,
}

static SEND: File = File::new("send");
static TRACKING: File = File::new("tracking");
static INBOUND: File = File::new("inbound");

impl File {
    const fn new(name: &'static str) -> Self {
        let held = AtomicUsize::new(0);
        Self { name, held }
    }

    fn cases<C: DeserializeOwned>(&self, dir: &Path) -> Vec<C> {
        let path = dir.join(self.name).with_extension("json");
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn trial(
        &'static self,
        case: &str,
        check: impl FnOnce() -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        Trial::test(format!("{}: {case}", self.name), move || {
            check()?;
            self.held.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }
}
