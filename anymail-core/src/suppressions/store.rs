//! [`SuppressionStore`]: what a store of suppressions must guarantee.
//!
//! The stores of this crate are in `memory.rs` and `file.rs`.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::suppression::{Reactivation, Suppression};
use crate::message::AddressKey;

/// Any error of a store. What it prints goes into errors and logs.
pub type SuppressionStoreError = Box<dyn Error + Send + Sync>;

/// Keeps the addresses that must not get mail.
///
/// [`MemorySuppressionStore`](crate::MemorySuppressionStore) lives as long as its process,
/// [`FileSuppressionStore`](crate::FileSuppressionStore) survives a restart. Where several
/// processes send, the store is a database table: the example `suppressions-postgres` in
/// the repository has one for PostgreSQL.
///
/// An implementer guarantees:
///
/// - **The time of the change decides, not the order of the calls.** ESPs repeat events and
///   deliver them out of order. For each address, scope and reason, the change with the latest
///   time wins. If a suppression and a reactivation have the same time, the suppression wins. A
///   store therefore keeps the time of a reactivation, also of one that ended nothing: an older
///   suppression that arrives later must not count.
/// - **Idempotence.** A change that was made before changes nothing.
/// - **Precision.** Times are kept to the microsecond at least.
/// - A look-up sees every change whose call has returned.
///
/// `anymail_test_utils::suppression_stores::check` tests these rules on any store.
#[async_trait]
pub trait SuppressionStore: Debug + Send + Sync {
    /// Finds the suppressions of these addresses in all scopes, in any order.
    ///
    /// It is called once for each message, or for many messages at once, with the addresses of
    /// all their recipients. An address that is not suppressed has no entry in the answer.
    ///
    /// # Errors
    /// Any, if the store cannot tell. What happens to the messages is configured at the
    /// [`SuppressionHook`](crate::SuppressionHook).
    async fn look_up(&self, keys: &[AddressKey])
    -> Result<Vec<Suppression>, SuppressionStoreError>;

    /// Adds suppressions.
    ///
    /// # Errors
    /// Any. Some of the suppressions may have been added; to add them again is safe.
    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError>;

    /// Ends suppressions.
    ///
    /// # Errors
    /// Any. Some of the suppressions may have ended; to repeat the call is safe.
    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError>;

    /// All suppressions that hold, in any order.
    ///
    /// Changes that are made while the stream is read may be in it or not.
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
