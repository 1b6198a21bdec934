//! The `smtp` backend, for any ESP and any mail server.
//!
//! `conversation.rs` decides which command is sent when, `reply.rs` what each reply means, and
//! `backend.rs` what happens to the message. Nothing outside this folder depends on SMTP.

mod backend;
mod config;
mod content;
mod conversation;
mod delivery;
mod envelope;
mod pool;
mod reply;
mod secrets;
mod session;
mod tls;
mod wire;

pub use backend::SmtpBackend;
pub use config::{SmtpConfig, SmtpConfigError, SmtpConfigFault, SmtpTls};

/// The backend's name.
pub(crate) const NAME: &str = "smtp";
