//! The links in the repository's own pages lead somewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::path::Path;

const PAGES: [&str; 7] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "anymail-postmark/benches/README.md",
    "anymail-postmark/fuzz/README.md",
];

#[test]
fn every_path_that_a_page_links_to_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut broken = Vec::new();
    let mut links = 0;
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let folder = root.join(page);
        let folder = folder.parent().unwrap();
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
