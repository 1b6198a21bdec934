//! What every ESP has in common.
mod backends;
mod config;
mod message;
mod secret;
mod sending;

pub use backends::*;
pub use config::*;
pub use message::*;
pub use secret::Secret;
pub use sending::*;
