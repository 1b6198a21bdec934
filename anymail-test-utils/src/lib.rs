//! Test an app that sends mail, or a backend that carries it.
mod faults;
mod server;

pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
