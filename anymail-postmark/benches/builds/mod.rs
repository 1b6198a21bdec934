//! How many crates an app compiles, and for how long, compared with other libraries: the same app,
//! which sends one message, with each of them. The other files in this folder are the apps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, io, process};

const ROUNDS: usize = 3;
/// The target with default features: how many crates an app compiles, including ours.
const MOST_CRATES: usize = 120;

struct App {
    name: &'static str,
    main: &'static str,
    dependencies: String,
    /// The maximum of our time divided by its time.
    asked: Option<f64>,
}

/// Each with only the features that are needed to reach Postmark.
fn apps() -> [App; 3] {
    let ours = |name| {
        format!(
            "{name} = {{ path = '{}/../{name}' }}\n",
            env!("CARGO_MANIFEST_DIR")
        )
    };
    [
        App {
            name: "anymail",
            main: include_str!("anymail.rs"),
            dependencies: ours("anymail-core") + &ours("anymail-postmark"),
            asked: None,
        },
        App {
            name: "postmark",
            main: include_str!("postmark.rs"),
            dependencies: "postmark = { version = '2.0.1', features = ['reqwest-rustls-tls'] }\n"
                .to_owned(),
            asked: Some(1.2),
        },
        App {
            name: "missive",
            main: include_str!("missive.rs"),
            dependencies: "missive = { version = '0.7.0', features = ['postmark'] }\n".to_owned(),
            asked: Some(1.0),
        },
    ]
}

/// Prints the rows. It makes nine release builds, during which nothing else should run.
pub(crate) fn print() -> io::Result<()> {
    let room = env::temp_dir().join(format!("anymail-builds-{}", process::id()));
    let printed = print_in(&room);
    let removed = fs::remove_dir_all(&room);
    printed.and(removed)
}

fn print_in(room: &Path) -> io::Result<()> {
    let apps = apps();
    let mut folders = Vec::new();
    for app in &apps {
        let folder = write(app, room)?;
        // Missing crates are downloaded before the time is measured.
        cargo(&folder, &["fetch", "--quiet"])?;
        folders.push(folder);
    }
    if let Some(ours) = folders.first() {
        println!("{}", crates(ours)?);
    }
    let mut times = vec![Vec::new(); apps.len()];
    for round in 0..ROUNDS {
        for turn in 0..apps.len() {
            let at = (round + turn) % apps.len();
            if let (Some(folder), Some(times)) = (folders.get(at), times.get_mut(at)) {
                times.push(build(folder)?);
            }
        }
    }
    let mut times = times.into_iter();
    let ours = times.next().unwrap_or_default();
    for (app, theirs) in apps.iter().skip(1).zip(times) {
        println!("{}", row(app, &ours, &theirs));
    }
    Ok(())
}

/// Creates the app's package, with the versions to which the peers are locked.
fn write(app: &App, room: &Path) -> io::Result<PathBuf> {
    let folder = room.join(app.name);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/main.rs"), app.main)?;
    let manifest = format!(
        "[package]\nname = 'app-with-{}'\nversion = '0.0.0'\nedition = '2024'\n\
         [dependencies]\ntokio = {{ version = '1.54', features = ['rt-multi-thread'] }}\n{}\
         [workspace]\n",
        app.name, app.dependencies
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock"))?;
    Ok(folder)
}

fn build(folder: &Path) -> io::Result<Duration> {
    let target = folder.join("target");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let start = Instant::now();
    cargo(folder, &["build", "--release", "--offline", "--quiet"])?;
    Ok(start.elapsed())
}

fn crates(folder: &Path) -> io::Result<String> {
    let list = cargo(
        folder,
        &["tree", "--offline", "--edges=normal", "--prefix=none"],
    )?;
    let crates: BTreeSet<_> = list
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    let got = crates.len().saturating_sub(1); // the app itself
    let verdict = verdict(got <= MOST_CRATES);
    Ok(format!(
        "| crates that an app compiles for `anymail-core` and `anymail-postmark`, default features \
         | at most {MOST_CRATES} | {got} | {verdict} |  |  |"
    ))
}

fn row(app: &App, ours: &[Duration], theirs: &[Duration]) -> String {
    let mut ratios: Vec<_> = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |n: usize| ratios.get(n).copied().unwrap_or(f64::NAN);
    let got = at(ratios.len() / 2);
    let (asked, verdict) = match app.asked {
        Some(limit) => (format!("at most {limit}"), verdict(got <= limit)),
        None => Default::default(),
    };
    let middle = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    format!(
        "| clean release build of an app that sends one message, over the same with `{}`: time \
         | {asked} | {got:.2} | {verdict} | {:.2} to {:.2} | {:.1?} vs. {:.1?} |",
        app.name,
        at(0),
        at(ratios.len().saturating_sub(1)),
        middle(ours),
        middle(theirs)
    )
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// Runs cargo in a folder and returns its output.
fn cargo(folder: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stderr(process::Stdio::inherit())
        .output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(io::Error::other(format!(
            "cargo {} failed",
            arguments.join(" ")
        ))),
    }
}
