//! What every ESP has in common.
mod message;
mod secret;

pub use message::*;
pub use secret::Secret;
