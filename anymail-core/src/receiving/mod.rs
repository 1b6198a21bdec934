//! From an ESP's webhook to events: who may post, what it means, and a mail that came in.
//!
//! Which payload means what is said in each backend; how mail goes out lives in `sending`.

mod auth;
#[cfg(feature = "axum")]
mod axum;
mod content;
mod event;
mod headers;
mod inbound;
mod mime;
mod raw;
mod serve;
mod trace;
mod webhook;

pub use auth::{WebhookAuth, WebhookAuthError};
#[cfg(feature = "axum")]
pub use axum::webhook_routes;
pub use event::{Event, EventType, InboundEvent, RejectReason, TrackingEvent, dedup_key};
pub use inbound::{InboundAddress, InboundAttachment, InboundMessage};
pub use raw::RawBytes;
pub use serve::{answer_webhook, serve_webhook};
pub use webhook::{Webhook, WebhookError, WebhookErrorKind, WebhookKind};
