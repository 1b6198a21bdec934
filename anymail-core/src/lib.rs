//! What every ESP has in common.
mod message;
#[cfg(feature = "webhooks")]
mod receiving;
mod secret;
mod sending;

pub use message::*;
#[cfg(feature = "webhooks")]
pub use receiving::*;
pub use secret::Secret;
pub use sending::*;
