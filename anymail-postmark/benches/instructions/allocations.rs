//! Counts the allocations for a message in a batch of 500. CI fails if the number grows.
//!
//! Only the sending thread counts, from `send_all` until the results are dropped. The server runs in
//! another thread.

#[path = "../scenarios/mod.rs"]
mod scenarios;

use std::env;
use std::process::ExitCode;

use scenarios::paths;

/// The target.
const ASKED: f64 = 6.0;

fn main() -> ExitCode {
    let as_figure = match env::args().nth(1).as_deref() {
        Some("--figures") => true,
        // Cargo passes it only to benchmarks; `cargo test --all-targets` runs this program, too.
        Some("--bench") => false,
        _ => return ExitCode::SUCCESS,
    };
    let mut run = paths::send_500();
    run(); // things that are created once, such as a connection, do not count
    let counted = allocation_counter::measure(run);
    let each = counted.count_total as f64 / 500.0;
    let met = each <= ASKED;
    let verdict = if met { "met" } else { "**missed**" };
    if as_figure {
        println!(
            "| allocations for a message in a batch of 500 | at most {ASKED} | {each:.2} | \
             {verdict} |  |  |"
        );
        return ExitCode::SUCCESS;
    }
    println!("allocations for a message in a batch of 500: {each:.2}, {verdict}");
    match met {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
