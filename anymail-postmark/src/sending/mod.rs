//! From a prepared message to Postmark and back.
//!
//! `payload.rs` writes requests, `pieces.rs` holds them, `client.rs` carries them, `response.rs` reads the answers,
//! `batch.rs` packs many messages into few calls, `search.rs` finds one again. What Postmark can
//! do is `backend.rs`'s.

mod answer;
mod attachments;
mod base64;
mod batch;
mod check;
mod client;
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
