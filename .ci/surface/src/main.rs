//! Writes the public API of each crate, with all features, to `<crate>/public-api.txt`, so that the
//! diff of a change shows what it changes in the API.
//!
//! ```sh
//! cargo run --manifest-path .ci/surface/Cargo.toml            # writes the files
//! cargo run --manifest-path .ci/surface/Cargo.toml -- --check # fails if one is stale
//! ```
//!
//! It reads rustdoc's JSON, which stable toolchains write only with `RUSTC_BOOTSTRAP` set, in a format
//! that depends on the toolchain. If public-api does not support the format, the check is skipped and
//! prints the reason.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const CRATES: [&str; 3] = ["anymail-core", "anymail-postmark", "anymail-test-utils"];
const REFRESH: &str = "cargo run --manifest-path .ci/surface/Cargo.toml";
const AS_RUSTDOC: &str = "SURFACE_AS_RUSTDOC";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if env::var_os(AS_RUSTDOC).is_some() {
        return as_rustdoc();
    }
    let check = match env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => return Err(format!("unknown argument {other:?}: expected --check").into()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let json = json(&root)?;
    let mut stale = Vec::new();
    for name in CRATES {
        let json = json.join(format!("{}.json", name.replace('-', "_")));
        let surface = match surface(&json) {
            Ok(surface) => surface,
            Err(error) => {
                println!("skipped: public-api does not support this rustdoc's JSON: {error}");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let file = root.join(name).join("public-api.txt");
        if !check {
            fs::write(&file, surface)?;
        } else if fs::read_to_string(&file).unwrap_or_default() != surface {
            let new = Path::new(&json).with_extension("txt");
            fs::write(&new, surface)?;
            // The diff is only informative: the check fails even without `diff`.
            let _ = Command::new("diff").arg("-u").arg(&file).arg(&new).status();
            stale.push(name);
        }
    }
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "public-api.txt is stale in {}; to refresh it, run {REFRESH}",
        stale.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// Runs rustdoc with unstable options. Setting the variable for cargo instead would rebuild every
/// dependency.
fn as_rustdoc() -> Result<ExitCode, Box<dyn Error>> {
    let mut rustdoc = Command::new("rustdoc");
    let status = rustdoc
        .args(env::args_os().skip(1))
        .env("RUSTC_BOOTSTRAP", "1")
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs rustdoc to write the JSON of every crate, and returns the folder. One command for all of
/// them reuses what the documentation step compiled.
fn json(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "doc",
            "--quiet",
            "--lib",
            "--workspace",
            "--all-features",
            "--no-deps",
        ])
        .env("RUSTDOC", env::current_exe()?)
        .env(
            "RUSTDOCFLAGS",
            "-Zunstable-options --output-format json --cap-lints allow",
        )
        .env(AS_RUSTDOC, "1")
        .current_dir(root);
    if !cargo.status()?.success() {
        return Err("rustdoc failed".into());
    }
    Ok(root.join(target).join("doc"))
}

/// Formats one line per item. Omits blanket and auto trait implementations.
fn surface(json: &Path) -> Result<String, Box<dyn Error>> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    let mut lines = String::new();
    for item in api.items() {
        writeln!(lines, "{item}")?;
    }
    Ok(lines)
}
