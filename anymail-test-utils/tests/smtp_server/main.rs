//! What clients see of the loopback SMTP server, and what it sees of them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

mod client;
mod conversation;
mod faults;
mod judge;
mod logins;
mod others;
#[cfg(feature = "smtp-tls")]
mod tls;
