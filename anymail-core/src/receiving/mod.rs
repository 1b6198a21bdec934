//! Receives an ESP's webhooks: authentication, events, and inbound messages.
//!
//! Each backend interprets its ESP's payloads; `sending` sends messages.

mod auth;
#[cfg(feature = "axum")]
mod axum;
mod content;
mod event;
#[cfg(feature = "forms")]
mod form;
mod handled_once;
mod headers;
#[cfg(feature = "signatures")]
mod hmac;
mod inbound;
mod inbound_address;
mod mime;
mod parameters;
mod paths;
mod raw;
mod replay;
mod serve;
mod signature;
#[cfg(feature = "signatures")]
mod standard_webhooks;
mod trace;
mod webhook;
mod words;

pub use auth::{WebhookAuth, WebhookAuthError};
#[cfg(feature = "axum")]
pub use axum::webhook_routes;
pub use event::{
    Event, EventActor, EventType, InboundEvent, RejectReason, TrackingEvent, dedup_key,
};
#[cfg(feature = "forms")]
pub use form::{Form, FormError, FormField};
pub use handled_once::handled_once;
#[cfg(feature = "signatures")]
pub use hmac::HmacSha256Keys;
pub use inbound::{InboundAttachment, InboundMessage};
pub use inbound_address::InboundAddress;
pub use paths::{one_for_each_path, webhook_at, webhook_path};
pub use raw::RawBytes;
pub use replay::{EventClaim, MemoryReplayGuard, ReplayGuard, ReplayGuardError};
pub use serve::{answer_webhook, serve_webhook};
pub use signature::{SignatureError, TimestampTolerance, WebhookSignature};
#[cfg(feature = "signatures")]
pub use standard_webhooks::StandardWebhooks;
pub use webhook::{Webhook, WebhookError, WebhookErrorKind, WebhookKind};
