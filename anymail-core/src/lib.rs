//! What every ESP has in common.
mod backends;
mod message;
mod secret;
mod sending;

pub use backends::*;
pub use message::*;
pub use secret::Secret;
pub use sending::*;
