//! The fake Postmark, endpoint by endpoint, over plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

mod bounces;
mod bulk;
mod caller;
mod events;
mod http;
mod inbound;
mod page;
mod receiver;
mod sending;
mod server;
mod smtp;
mod smtp_refusals;
mod smtp_sender;
mod streams;
mod template_folder;
mod templates;
mod webhooks;
