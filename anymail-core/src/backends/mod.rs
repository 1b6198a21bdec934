//! Backends that need no ESP: for tests, for development, for SMTP, and over other backends.
//!
//! `config` makes them configurable by name. Backends of ESPs are in their own crates.

mod console;
mod failover;
#[cfg(feature = "mime")]
mod file;
mod local;
mod members;
mod memory;
mod round_robin;
#[cfg(feature = "smtp")]
pub(crate) mod smtp;

pub use console::ConsoleBackend;
pub use failover::Failover;
#[cfg(feature = "mime")]
pub use file::FileBackend;
pub use members::Member;
pub use memory::{MemoryBackend, Outbox, StoredMessage};
pub use round_robin::RoundRobin;
#[cfg(feature = "smtp")]
pub use smtp::{SmtpBackend, SmtpConfig, SmtpConfigError, SmtpConfigFault, SmtpTls};
