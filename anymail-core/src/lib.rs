//! What every ESP has in common.
mod message;
mod secret;
mod sending;

pub use message::*;
pub use secret::Secret;
pub use sending::*;
