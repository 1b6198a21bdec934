//! Prints the figures beside their peers, which are compiled here and nowhere else.
//!
//! `cargo bench -p anymail-postmark --bench figures`; with `-- NAME` behind it, the part of that
//! name alone. What is measured is in `peers/`, what came of it in `README.md`. The part `build`
//! runs only when it is named.

mod builds;

use std::env;
use std::io;
use std::process::{Command, ExitCode, ExitStatus};

const MESSAGES: &str = "100000";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // cargo gives it to benches alone: `cargo test --all-targets` has come here, too.
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
    // Two programs: one counts what the other would be slowed down by counting.
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

/// What another bench counts, on a busy machine the same as on an idle one.
fn counted(bench: &str) -> io::Result<ExitStatus> {
    let manifest = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/instructions/Cargo.toml"
    );
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["bench", "--quiet", "--manifest-path", manifest]);
    cargo.args(["--bench", bench, "--", "--figures"]).status()
}

/// The accounting run over SMTP, which is a test: whether it passes is the figure.
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
        "| 100,000 messages by SMTP under random faults: recipients who have the mail twice, or \
         lack it without a word | 0 | {got} | {verdict} |  |  |"
    );
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(output.status)
}
