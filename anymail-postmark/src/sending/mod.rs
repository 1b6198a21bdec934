//! From a prepared message to Postmark and back.
//!
//! `payload.rs` writes requests, `pieces.rs` stores them, `client.rs` sends them, `response.rs`
//! reads responses, `batch.rs` packs many messages into few calls, and `search.rs` looks messages
//! up. `backend.rs` defines the capabilities.

mod answer;
mod attachments;
mod base64;
mod batch;
mod check;
mod client;
mod json_text;
mod payload;
mod pieces;
mod response;
mod search;
mod settle;

pub(crate) use batch::{Sender, answered, bodies};
pub(crate) use check::objections;
pub(crate) use client::{Answer, Client};
pub(crate) use payload::MAX_ROWS;
pub(crate) use response::failure;
