//! The documents in the repository refer only to files that exist.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGES: [&str; 11] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "anymail-core/README.md",
    "anymail-postmark/README.md",
    "anymail-postmark/benches/README.md",
    "anymail-postmark/docs/reliability.md",
    "anymail-postmark/fuzz/README.md",
    "anymail-test-utils/README.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_path_that_a_page_links_to_exists() {
    let root = root();
    let mut broken = Vec::new();
    let mut links = 0;
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let page_path = root.join(page);
        let folder = page_path.parent().unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            links += 1;
            if !folder.join(path).exists() {
                broken.push(format!("{page}: {path}"));
            }
        }
    }
    assert!(links > 80, "only {links} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_test_that_the_page_on_reliability_names_exists() {
    let root = root();
    let text = std::fs::read_to_string(root.join("anymail-postmark/docs/reliability.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    let mut named = 0;
    let mut missing = Vec::new();
    for cell in cells {
        let quoted = cell.split('`').skip(1).step_by(2);
        for path in quoted.filter(|word| !word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        {
            named += 1;
            let here = root.join("anymail-postmark/tests").join(path);
            if !here.exists() && !root.join(path).exists() {
                missing.push(path);
            }
        }
    }
    assert!(named > 40, "only {named} paths were found");
    assert!(missing.is_empty(), "not found: {missing:?}");
}

#[test]
fn architecture_lists_the_crates_whose_types_are_in_public_signatures() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, section) = page.split_once("## Types of other crates").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed = rows.map(|row| row.split('`').next().unwrap().replace('-', "_"));
    let listed: BTreeSet<_> = listed.collect();
    let mut found = BTreeSet::new();
    for crate_name in ["anymail-core", "anymail-postmark", "anymail-test-utils"] {
        let api = root().join(crate_name).join("public-api.txt");
        let api = std::fs::read_to_string(api).unwrap();
        for path in api.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
            let (root, rest) = path.split_once("::").unwrap_or_default();
            let is_crate = !root.is_empty() && root.chars().all(|c| c.is_lowercase() || c == '_');
            let ours = root.starts_with("anymail") || ["core", "std", "alloc"].contains(&root);
            if is_crate && !ours && rest.contains(char::is_uppercase) {
                found.insert(root.replace("serde_core", "serde"));
            }
        }
    }
    assert_eq!(found, listed);
}
