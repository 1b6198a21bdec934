//! The fake Postmark, endpoint by endpoint, spoken to in plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails should panic"
)]

mod bulk;
mod caller;
mod http;
mod sending;
mod streams;
mod templates;
