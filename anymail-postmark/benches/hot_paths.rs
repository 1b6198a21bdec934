//! Measures the time of each hot path, to compare a change on one machine.
//!
//! `figures.rs` compares with other libraries, and `instructions.rs` prints the counts that CI checks.

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
