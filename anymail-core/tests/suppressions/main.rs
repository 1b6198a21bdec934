//! Suppressions as an app uses them: stores, and messages that are not sent.
// Clippy does not see that functions beside tests are tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod config;
mod feed;
mod hook;
#[cfg(feature = "signatures")]
mod one_click;
#[path = "../scripted/mod.rs"]
mod scripted;
mod stores;
