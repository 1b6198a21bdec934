//! The cases of `vectors/`, one named check each; `ANYMAIL_VECTORS=DIR` takes them from there.

use std::path::PathBuf;

#[path = "vectors/inbound.rs"]
mod inbound;
#[path = "vectors/tracking.rs"]
mod tracking;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let dir = std::env::var_os("ANYMAIL_VECTORS").map_or(PathBuf::from(own), PathBuf::from);
    let mut trials = tracking::trials(&dir);
    trials.extend(inbound::trials(&dir));
    libtest_mimic::run(&arguments, trials).exit();
}
