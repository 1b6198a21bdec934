//! The `smtp` backend: any ESP and any mail server, by SMTP.
//!
//! `conversation.rs` says which command goes out when, `reply.rs` what each answer means, and
//! `backend.rs` what becomes of the message. Nothing of SMTP is known outside this folder.

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
