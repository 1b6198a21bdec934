//! The time that each hot path takes: to try a change with, on one machine.
//!
//! How that compares with others is printed by `figures.rs`; what CI holds is in
//! `instructions.rs`.

mod scenarios;

use criterion::{Criterion, criterion_group, criterion_main};

use scenarios::paths::PATHS;

fn hot_paths(criterion: &mut Criterion) {
    for path in PATHS {
        let mut run = (path.setup)();
        criterion.bench_function(path.name, |bencher| bencher.iter(&mut run));
    }
}

criterion_group!(benches, hot_paths);
criterion_main!(benches);
