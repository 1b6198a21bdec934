//! The public surface of each crate, with all features, as a file: `<crate>/public-api.txt`. A
//! change to it thereby shows in the diff of whatever makes it.
//!
//! ```sh
//! cargo run --manifest-path .ci/surface/Cargo.toml            # writes the files
//! cargo run --manifest-path .ci/surface/Cargo.toml -- --check # fails if one is stale
//! ```
//!
//! It reads rustdoc's JSON, which stable toolchains give only with `RUSTC_BOOTSTRAP` set, and in
//! a format of their own: where public-api does not know it, nothing is checked, and that is said.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
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
        Some(other) => return Err(format!("{other}: there is only --check").into()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stale = Vec::new();
    for name in CRATES {
        let json = json_of(name, &root)?;
        let surface = match surface(&json) {
            Ok(surface) => surface,
            Err(error) => {
                println!("skipped: public-api cannot read the JSON of this rustdoc: {error}");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let file = root.join(name).join("public-api.txt");
        if !check {
            fs::write(&file, surface)?;
        } else if fs::read_to_string(&file).unwrap_or_default() != surface {
            let new = Path::new(&json).with_extension("txt");
            fs::write(&new, surface)?;
            // What differs is for a person to see; the verdict stands.
            let _ = Command::new("diff").arg("-u").arg(&file).arg(&new).status();
            stale.push(name);
        }
    }
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("public-api.txt is stale in {}: {REFRESH}", stale.join(", "));
    Ok(ExitCode::FAILURE)
}

/// rustdoc with its unstable options on. Were the variable set for all that cargo starts, it
/// would build every dependency anew.
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

/// Has rustdoc write the JSON of a crate; gives its path.
fn json_of(name: &str, root: &Path) -> Result<String, Box<dyn Error>> {
    let target = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let mut cargo = Command::new("cargo");
    cargo.args([
        "rustdoc",
        "--quiet",
        "--lib",
        "--all-features",
        "--package",
        name,
    ]);
    cargo.args([
        "--",
        "-Zunstable-options",
        "--output-format",
        "json",
        "--cap-lints",
        "allow",
    ]);
    cargo
        .env("RUSTDOC", env::current_exe()?)
        .env(AS_RUSTDOC, "1")
        .current_dir(root);
    if !cargo.status()?.success() {
        return Err(format!("rustdoc failed for {name}").into());
    }
    let file = format!("doc/{}.json", name.replace('-', "_"));
    Ok(root.join(target).join(file).to_string_lossy().into_owned())
}

/// One line an item. What the compiler implements for nearly every type is left out.
fn surface(json: &str) -> Result<String, Box<dyn Error>> {
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
