//! [`MemorySuppressionStore`]: suppressions in memory.
//!
//! `records.rs` stores them compactly; `file.rs` has a store that survives a restart.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::records::{Records, SHARDS};
use super::store::{SuppressionStore, SuppressionStoreError};
use super::suppression::{Reactivation, Suppression};
use crate::message::AddressKey;

/// A [`SuppressionStore`] in memory: for tests, and for apps that fill it at each start.
///
/// It stores a limited number of addresses, 1,000,000 by default, at about 110 bytes each. A full
/// store refuses further addresses with an error and never forgets a suppressed one. To make room,
/// it forgets reactivated addresses; if an older suppression of one of these is reported later, it
/// becomes effective again.
///
/// Clones share the content.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use anymail_core::{
///     Address, MemorySuppressionStore, Suppression, SuppressionReason, SuppressionStore,
/// };
/// use time::OffsetDateTime;
///
/// let store = MemorySuppressionStore::new();
/// let ann: Address = "ann@example.com".parse()?;
/// let now = OffsetDateTime::now_utc();
/// store.add(&[Suppression::new(&ann, SuppressionReason::HardBounce, now)]).await?;
///
/// let found = store.look_up(&[ann.key()]).await?;
/// assert_eq!(found[0].reason, SuppressionReason::HardBounce);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemorySuppressionStore {
    records: Arc<Records>,
    limit: usize,
}

impl MemorySuppressionStore {
    /// Creates a store for up to 1,000,000 addresses.
    pub fn new() -> Self {
        Self::with_limit(1_000_000)
    }

    /// Creates a store for up to this many addresses.
    pub fn with_limit(addresses: usize) -> Self {
        Self {
            records: Arc::new(Records::new()),
            limit: addresses,
        }
    }

    /// The number of addresses, including those that have been reactivated.
    pub fn addresses(&self) -> usize {
        self.records.addresses()
    }

    fn make_room(&self, address: &AddressKey) -> Result<(), SuppressionStoreError> {
        let is_full = || self.addresses() >= self.limit && !self.records.contains(address);
        if !is_full() {
            return Ok(());
        }
        self.records.forget_unsuppressed();
        match is_full() {
            false => Ok(()),
            true => Err(format!(
                "the in-memory suppression store is full: it has reached its limit of {} \
                 addresses; raise the limit",
                self.limit
            )
            .into()),
        }
    }
}

impl Default for MemorySuppressionStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SuppressionStore for MemorySuppressionStore {
    async fn look_up(
        &self,
        keys: &[AddressKey],
    ) -> Result<Vec<Suppression>, SuppressionStoreError> {
        Ok(self.records.look_up(keys))
    }

    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError> {
        for suppression in suppressions {
            self.make_room(&suppression.address)?;
            self.records.add(suppression);
        }
        Ok(())
    }

    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        for reactivation in reactivations {
            self.make_room(&reactivation.address)?;
            self.records.remove(reactivation);
        }
        Ok(())
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        list(&self.records)
    }
}

pub(super) fn list(records: &Records) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
    let shards = stream::iter(0..SHARDS);
    shards
        .flat_map(|shard| stream::iter(records.list(shard)))
        .map(Ok)
        .boxed()
}
