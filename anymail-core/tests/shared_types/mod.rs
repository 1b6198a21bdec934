//! Checks that every public type of a crate can be moved to and shared by threads.
// Clippy does not see that functions beside tests are tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Compiles only if every type can be moved to another task and shared among threads, and gives
/// their names.
macro_rules! shared_by_threads {
    ($($type:ty),* $(,)?) => {{
        fn can_be_shared<T: Send + Sync + 'static>() {}
        $(can_be_shared::<$type>();)*
        [$(stringify!($type)),*]
    }};
}
pub(crate) use shared_by_threads;

/// The public types of the crate in `folder` that are not among those that were checked.
pub(crate) fn forgotten(folder: &str, checked: &[&str]) -> Vec<String> {
    let name = |it: &str| it.split('<').next().unwrap().replace(' ', "");
    let checked: BTreeSet<_> = checked.iter().map(|it| name(it)).collect();
    let api = fs::read_to_string(Path::new(folder).join("public-api.txt")).unwrap();
    let public = api.lines().filter_map(|line| {
        let line = line.trim_start_matches("#[non_exhaustive] ");
        let line = line
            .strip_prefix("pub struct ")
            .or(line.strip_prefix("pub enum "))?;
        let (_, name) = line.split_once("::")?;
        name.split(['<', '(', ' ']).next().map(str::to_owned)
    });
    let public: Vec<_> = public.collect();
    assert!(public.len() > 10, "{public:?}");
    public
        .into_iter()
        .filter(|name| !checked.contains(name))
        .collect()
}
