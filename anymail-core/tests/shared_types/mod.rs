//! Checks that every public type of a crate is `Send` and `Sync`.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Compiles only if every type is `Send` and `Sync`, and returns the names of the types.
macro_rules! shared_by_threads {
    ($($type:ty),* $(,)?) => {{
        fn can_be_shared<T: Send + Sync + 'static>() {}
        $(can_be_shared::<$type>();)*
        [$(stringify!($type)),*]
    }};
}
pub(crate) use shared_by_threads;

/// The public types of the crate in `folder` that were not checked.
pub(crate) fn forgotten(folder: &str, checked: &[&str]) -> Vec<String> {
    let name = |it: &str| it.split('<').next().unwrap().trim().to_owned();
    let own = |it: &str| name(it).rsplit("::").next().unwrap().trim().to_owned();
    let checked: BTreeSet<_> = checked.iter().map(|it| own(it)).collect();
    let mut public = BTreeSet::new();
    let mut open = vec![Path::new(folder).join("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
            continue;
        }
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            // The lint `unreachable_pub` guarantees that everything `pub` here is public.
            let line = line.trim_start();
            let rest = line
                .strip_prefix("pub struct ")
                .or(line.strip_prefix("pub enum "));
            public.extend(rest.map(|it| name(it.split(['(', ' ', ';']).next().unwrap())));
        }
    }
    assert!(public.len() > 10, "{public:?}");
    public.difference(&checked).cloned().collect()
}
