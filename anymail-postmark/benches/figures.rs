//! Prints the figures beside their peers, which are compiled here and nowhere else.
//!
//! `cargo bench -p anymail-postmark --bench figures`; with `-- NAME` behind it, the part of that
//! name alone. What is measured is in `peers/`, what came of it in `README.md`.

use std::env;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // cargo gives it to benches alone: `cargo test --all-targets` has come here, too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let part = arguments.iter().filter(|argument| *argument != "--bench");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/Cargo.toml");
    let cargo = |verb: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([verb, "--release", "--locked", "--manifest-path", manifest]);
        cargo
    };
    // Two programs: one counts what the other would be slowed down by counting.
    let built = cargo("build").args(["--bins"]).status();
    let run = || cargo("run").args(["--quiet", "--"]).args(part).status();
    match built.and_then(|built| if built.success() { run() } else { Ok(built) }) {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("figures: cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
