//! Enforces the crate's own rules: dependencies between modules run only downwards, and no ESP is
//! named.
//!
//! The modules' own tests cover what they do.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used)]

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// Which other modules the code of a module may use.
const ARROWS: [(&str, &[&str]); 8] = [
    ("secret", &[]),
    ("panics", &[]),
    ("message", &[]),
    ("sending", &["message", "panics", "secret"]),
    ("receiving", &["message", "panics", "secret"]),
    ("backends", &["sending", "message", "secret"]),
    (
        "suppressions",
        &["sending", "receiving", "message", "panics", "secret"],
    ),
    (
        "config",
        &[
            "backends",
            "suppressions",
            "sending",
            "receiving",
            "message",
            "secret",
        ],
    ),
];

#[test]
fn modules_depend_only_on_modules_below() {
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for file in files_under("src") {
        let name = file.strip_prefix(root().join("src")).unwrap();
        let module = name.iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        if module == "lib" || module == "guide" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == module) else {
            wrong.push(format!("{module}: its place among the modules is not said"));
            continue;
        };
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for used in used_modules(line) {
                arrows += 1;
                if used != module && !allowed.contains(&used) {
                    let place = format!("{}:{}", name.display(), number + 1);
                    wrong.push(format!("{place}: {module} may not use {used}"));
                }
            }
        }
    }
    assert!(
        arrows > 5,
        "only {arrows} uses were found: is this test blind?"
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_two_files_depend_on_each_other() {
    let arrows = circles::arrows(&root().join("src"));
    let found: usize = arrows.values().map(|used| used.len()).sum();
    assert!(
        found > 300,
        "only {found} uses were found: is this test blind?"
    );
    let circles = circles::circles(&arrows);
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

#[test]
fn a_cycle_is_found_through_groups_reexports_and_paths_in_code() {
    let src = tempfile::tempdir().unwrap();
    fs::create_dir(src.path().join("c")).unwrap();
    for (name, code) in [
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::W;\n"),
        (
            "a.rs",
            "use super::{\n    b::{self as other, X},\n};\npub struct W;\n",
        ),
        ("b.rs", "use crate::c::Z;\npub struct X;\n"),
        ("c/mod.rs", "mod d;\npub(crate) use d::Z;\n"),
        (
            "c/d.rs",
            "pub fn f() { super::super::a::g() }\n#[cfg(test)]\nuse crate::b::X;\n",
        ),
    ] {
        fs::write(src.path().join(name), code).unwrap();
    }
    let found = circles::circles(&circles::arrows(src.path()));
    assert_eq!(found, ["a -> b -> c/d -> a"]);
}

/// What follows `crate::` in the code of a line. A flat re-export (`crate::Message`) counts as a
/// module that nobody may use, because it would hide a dependency.
fn used_modules(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default()
    })
}

#[test]
fn no_line_names_an_esp() {
    // Concatenated, so that this file does not contain the name either.
    let esp = ["post", "mark"].concat();
    let mut named = Vec::new();
    for file in files_under("") {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).to_lowercase();
        for (number, line) in text.lines().enumerate() {
            if line.contains(&esp) {
                named.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(named.is_empty(), "\n{}", named.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files
}
