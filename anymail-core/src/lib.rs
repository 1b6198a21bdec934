//! What every ESP has in common.
mod backends;
mod config;
mod message;
#[cfg(feature = "webhooks")]
mod receiving;
mod secret;
mod sending;

pub use backends::*;
pub use config::*;
pub use message::*;
#[cfg(feature = "webhooks")]
pub use receiving::*;
pub use secret::Secret;
pub use sending::*;
