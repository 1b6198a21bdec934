//! What the figures of anymail are measured with, and beside.
#![allow(clippy::unwrap_used, reason = "a bench fails by its panic")]

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
