//! Suppressions as an app uses them: stores, hooks, feeds, and one-click unsubscribe.
// Clippy does not recognize functions next to tests as test code.
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
