//! [`SuppressionStore`]: the contract of suppression stores.
//!
//! The stores of this crate are in `memory.rs` and `file.rs`.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::suppression::{Reactivation, Suppression};
use crate::message::AddressKey;

/// Any error of a store. Its `Display` goes into errors and logs.
pub type SuppressionStoreError = Box<dyn Error + Send + Sync>;

/// Stores addresses that must not be sent to.
///
/// [`MemorySuppressionStore`](crate::MemorySuppressionStore) lives as long as its process;
/// [`FileSuppressionStore`](crate::FileSuppressionStore) survives a restart. If several processes
/// send, use a database: the example `suppressions-postgres` in the repository implements a store
/// for PostgreSQL.
///
/// An implementation must guarantee:
///
/// - **The time of the change decides, not the order of the calls.** ESPs repeat events and deliver
///   them out of order. For each address, scope and reason, the change with the latest time wins.
///   If a suppression and a reactivation have the same time, the suppression wins. Therefore a
///   store keeps the time of every reactivation, even of one that ended nothing: an older
///   suppression that arrives later must have no effect.
/// - **Idempotence.** Repeating a change has no effect.
/// - **Precision.** Times are stored at least to the microsecond.
/// - **Visibility.** A look-up sees every change whose call has returned.
///
/// `anymail_test_utils::suppression_stores::check` tests these rules on any store.
#[async_trait]
pub trait SuppressionStore: Debug + Send + Sync {
    /// Finds the suppressions of these addresses, in all scopes and in any order.
    ///
    /// It is called once for each message, or for many messages at once, with the addresses of all
    /// their recipients. Addresses that are not suppressed have no entry in the result.
    ///
    /// # Errors
    /// Any error. The [`SuppressionHook`](crate::SuppressionHook) configures what happens to the
    /// messages.
    async fn look_up(&self, keys: &[AddressKey])
    -> Result<Vec<Suppression>, SuppressionStoreError>;

    /// Adds suppressions.
    ///
    /// # Errors
    /// Any error. Some suppressions may have been added; it is safe to add them again.
    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError>;

    /// Ends suppressions.
    ///
    /// # Errors
    /// Any error. Some suppressions may have ended; it is safe to repeat the call.
    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError>;

    /// Lists all effective suppressions, in any order.
    ///
    /// Changes during the listing may or may not be included.
    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SuppressionStore + ?Sized> SuppressionStore for Arc<S> {
    async fn look_up(
        &self,
        keys: &[AddressKey],
    ) -> Result<Vec<Suppression>, SuppressionStoreError> {
        (**self).look_up(keys).await
    }

    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError> {
        (**self).add(suppressions).await
    }

    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        (**self).remove(reactivations).await
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        (**self).list()
    }
}
