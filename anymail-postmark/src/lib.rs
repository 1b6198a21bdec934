//! The Postmark backend.
#[cfg(feature = "webhooks")]
mod receiving;

#[cfg(feature = "webhooks")]
pub use receiving::{PostmarkInboundWebhook, PostmarkTrackingWebhook, webhooks};
