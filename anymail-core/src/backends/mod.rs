//! Backends that need no ESP: for tests, for development, and over other backends.
//!
//! Their configuration by name lives in `config`; backends of ESPs in crates of their own.

mod console;
#[cfg(feature = "mime")]
mod file;
mod local;
mod memory;

pub use console::ConsoleBackend;
#[cfg(feature = "mime")]
pub use file::FileBackend;
pub use memory::{MemoryBackend, Outbox, StoredMessage};
