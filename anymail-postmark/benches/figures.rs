//! Prints the table of figures, with the libraries that we compare with. Nothing else compiles them.
//!
//! Run it with `cargo bench -p anymail-postmark --bench figures`; `-- NAME` selects one part. The part
//! `build` runs only if it is named. `peers/` contains the measurements, and `README.md` the results.

mod builds;

use std::env;
use std::io;
use std::process::{Command, ExitCode, ExitStatus};

const MESSAGES: &str = "100000";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // Cargo passes it only to benchmarks; `cargo test --all-targets` runs this program, too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "build") {
        return match builds::print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("figures: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let part = arguments.iter().filter(|argument| *argument != "--bench");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/Cargo.toml");
    let cargo = |verb: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([verb, "--release", "--locked", "--manifest-path", manifest]);
        cargo
    };
    // Two programs, because counting allocations would slow the other one down.
    let built = cargo("build").args(["--bins"]).status();
    let run = || {
        cargo("run")
            .args(["--quiet", "--"])
            .args(part.clone())
            .status()
    };
    let ran = built.and_then(|built| if built.success() { run() } else { Ok(built) });
    let all = part.clone().next().is_none();
    let wanted = |name| all || part.clone().any(|it| it == name);
    let ran = match ran {
        Ok(status) if status.success() && wanted("instructions") => {
            counted("instructions").and_then(|_| counted("allocations"))
        }
        other => other,
    };
    let ran = match ran {
        Ok(status) if status.success() && wanted("accounting") => accounting(),
        other => other,
    };
    match ran {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("figures: cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The counts of another benchmark, which are the same on a busy and on an idle machine.
fn counted(bench: &str) -> io::Result<ExitStatus> {
    let manifest = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/instructions/Cargo.toml"
    );
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["bench", "--quiet", "--manifest-path", manifest]);
    cargo.args(["--bench", bench, "--", "--figures"]).status()
}

/// The accounting test over SMTP; the figure is whether it passes.
fn accounting() -> io::Result<ExitStatus> {
    let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../anymail-core/Cargo.toml");
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--quiet", "--all-features", "--manifest-path", core])
        .args(["--test", "smtp_accounting"])
        .env("ANYMAIL_ACCOUNTING_MESSAGES", MESSAGES);
    let output = test.output()?;
    let (got, verdict) = match output.status.success() {
        true => ("0", "met"),
        false => ("some", "**missed**"),
    };
    println!(
        "| 100,000 messages over SMTP under random faults: recipients who got a message twice, or \
         whose loss was not reported | 0 | {got} | {verdict} |  |  |"
    );
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(output.status)
}
