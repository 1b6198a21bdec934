//! Looking up suppressed addresses.

use std::hint::black_box;

use anymail_core::{
    AddressKey, MemorySuppressionStore, Suppression, SuppressionReason, SuppressionStore,
};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use futures_util::FutureExt;
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use crate::measure::{Clock, Row, side_by_side};
use crate::scenarios;

pub const ADDRESSES: usize = 1_000_000;
const BATCH: usize = 500;

/// A full store.
pub fn store() -> MemorySuppressionStore {
    let store = MemorySuppressionStore::with_limit(ADDRESSES);
    let now = OffsetDateTime::now_utc();
    for first in (0..ADDRESSES).step_by(10_000) {
        let suppressed: Vec<_> = (first..first + 10_000)
            .map(|n| {
                let key = key(2 * n);
                Suppression::of_key(key, SuppressionReason::HardBounce, now)
            })
            .collect();
        store.add(&suppressed).now_or_never().unwrap().unwrap();
    }
    store
}

fn key(n: usize) -> AddressKey {
    AddressKey::of(&format!("customer{n}@example.com"))
}

pub fn look_up(runtime: &Runtime) -> Row {
    let store = store();
    // One in a hundred is suppressed, more than an ESP tolerates. They are spread over the store,
    // which does not fit into a cache.
    let keys: Vec<_> = (0..BATCH)
        .map(|n| key((n * 3_989) / 2 * 2 + usize::from(n % 100 != 0)))
        .collect();
    let backend = PostmarkBackend::new(PostmarkConfig::new("token")).unwrap();
    let messages: Vec<_> = (0..BATCH).map(scenarios::small).collect();
    let look_up = || {
        black_box(runtime.block_on(store.look_up(&keys)).unwrap());
    };
    let prepare = || {
        black_box(runtime.block_on(scenarios::prepared(&backend, &messages)));
    };
    side_by_side(Clock::Processor, 500, look_up, prepare).time(
        "looking up a batch of 500 in 1,000,000 suppressed addresses, in memory: time over that \
         of preparing the batch",
        Some(0.1),
    )
}
