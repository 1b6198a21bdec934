//! The measurements of anymail and of the libraries that it is compared with.
#![allow(clippy::unwrap_used, reason = "a failing benchmark panics")]

pub mod addresses;
pub mod measure;
pub mod payload;
pub mod receiving;
#[path = "../../scenarios/mod.rs"]
pub mod scenarios;
pub mod sending;
pub mod server;
pub mod smtp;
pub mod suppressions;
