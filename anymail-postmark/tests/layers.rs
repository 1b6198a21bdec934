//! Enforces the crate's own rule: no two files depend on each other, directly or indirectly.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used)]

#[path = "../../anymail-core/tests/circles/mod.rs"]
mod circles;

use std::path::Path;

#[test]
fn no_two_files_depend_on_each_other() {
    let arrows = circles::arrows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let found: usize = arrows.values().map(|used| used.len()).sum();
    assert!(
        found > 40,
        "only {found} uses were found: is this test blind?"
    );
    let circles = circles::circles(&arrows);
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}
