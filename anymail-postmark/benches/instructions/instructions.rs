//! Counts the instructions of each hot path with valgrind. CI fails if the number grows.
//!
//! Unlike times, instruction counts are the same on a busy and on an idle machine. They differ
//! slightly between compilers and processors, hence the margin. The previous counts are next to the
//! paths, in `../scenarios/paths.rs`.

#[path = "../scenarios/mod.rs"]
mod scenarios;

use std::env;
use std::process::{Command, ExitCode};

use scenarios::paths::{PATHS, Path, Setup};

/// The growth that is a failure.
const MARGIN: f64 = 0.10;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--run"), Some(name)) => run(&name, |path| Some(path.setup)),
        (Some("--run-beyond"), Some(name)) => run(&name, |path| path.beyond),
        (Some("--figures"), _) => figures(),
        // Cargo passes it only to benchmarks; `cargo test --all-targets` runs this program, too.
        (Some("--bench"), _) => compare(),
        _ => ExitCode::SUCCESS,
    }
}

/// The program that valgrind runs.
fn run(name: &str, part: fn(&Path) -> Option<Setup>) -> ExitCode {
    let Some(setup) = PATHS.iter().find(|path| path.name == name).and_then(part) else {
        return ExitCode::FAILURE;
    };
    let mut run = setup();
    run(); // work that is done once, such as detecting the processor's features, does not count
    counted(&mut *run);
    ExitCode::SUCCESS
}

/// valgrind counts only inside this function.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    run();
}

fn compare() -> ExitCode {
    if let Some(why) = cannot() {
        println!("instructions: skipped: {why}");
        return ExitCode::SUCCESS;
    }
    println!("| instructions | before | now | |\n| --- | --- | --- | --- |");
    let mut slower = false;
    for path in &PATHS {
        let now = match count_all(path) {
            Ok(now) => now,
            Err(why) => {
                println!("{}: {why}", path.name);
                return ExitCode::FAILURE;
            }
        };
        let change = now as f64 / path.instructions as f64 - 1.0;
        let verdict = match change {
            _ if change > MARGIN => "**too many**",
            _ if change < -MARGIN => "fewer: write the new count into paths.rs",
            _ => "",
        };
        slower |= change > MARGIN;
        println!(
            "| {} | {} | {now} ({:+.1} %) | {verdict} |",
            path.name,
            path.instructions,
            change * 100.0
        );
    }
    match slower {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn cannot() -> Option<&'static str> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the counts are for x86-64");
    }
    #[cfg(target_arch = "x86_64")]
    if !is_x86_feature_detected!("avx2") {
        return Some("the counts are for a processor with AVX2");
    }
    let there = Command::new("valgrind").arg("--version").output();
    there.is_err().then_some("valgrind is not installed")
}

/// Prints the rows that have a target, for the table of figures.
fn figures() -> ExitCode {
    if let Some(why) = cannot() {
        eprintln!("instructions: skipped: {why}");
        return ExitCode::SUCCESS;
    }
    for path in &PATHS {
        let Some(asked) = path.asked else {
            continue;
        };
        match count_all(path) {
            Ok(now) => {
                let verdict = if now <= asked { "met" } else { "**missed**" };
                println!(
                    "| instructions of {} | at most {asked} | {now} | {verdict} |  |  |",
                    path.name
                );
            }
            Err(why) => {
                println!("{}: {why}", path.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Returns the instructions for one unit of a path, without those that are not ours.
fn count_all(path: &Path) -> Result<u64, String> {
    let whole = count(path.name, "--run")?;
    let not_ours = match path.beyond {
        Some(_) => count(path.name, "--run-beyond")?,
        None => 0,
    };
    Ok(whole.saturating_sub(not_ours) / path.times as u64)
}

fn count(name: &str, run: &str) -> Result<u64, String> {
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=instructions::counted")
        .arg(own)
        .args([run, name])
        .output()
        .map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stderr);
    // "==4711== Collected : 123456"
    let collected = words
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .filter(|count| *count > 0 && output.status.success());
    collected.ok_or_else(|| format!("valgrind counted nothing:\n{words}"))
}
