//! Suppressions: addresses that must not be sent to, with any ESP.
//!
//! Stores keep them, a pre-send hook removes suppressed recipients from messages, and ESPs' events
//! fill the stores. `sending` and `receiving` know nothing of this module.

#[cfg(all(feature = "axum", feature = "signatures"))]
mod axum;
#[cfg(feature = "webhooks")]
mod feed;
mod file;
mod hook;
mod journal;
mod line;
mod memory;
#[cfg(feature = "signatures")]
mod one_click;
#[cfg(feature = "signatures")]
mod page;
mod records;
mod store;
mod suppression;
#[cfg(feature = "signatures")]
mod token;

#[cfg(all(feature = "axum", feature = "signatures"))]
pub use axum::unsubscribe_routes;
#[cfg(feature = "webhooks")]
pub use feed::SuppressionFeed;
pub use file::FileSuppressionStore;
pub use hook::{StoreFailurePolicy, SuppressionHook};
pub use journal::DamagedLine;
pub use memory::MemorySuppressionStore;
#[cfg(feature = "signatures")]
pub use one_click::{OneClickUnsubscribe, UnsubscribeUrlError};
#[cfg(feature = "signatures")]
pub use page::UnsubscribePage;
pub use store::{SuppressionStore, SuppressionStoreError};
pub use suppression::{Reactivation, Suppression, SuppressionOrigin, SuppressionReason};
