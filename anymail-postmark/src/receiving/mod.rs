//! Postmark's webhooks: tracking events and inbound messages.
//!
//! `anymail-core` defines events and authentication.

mod dedup_key;
mod inbound;
mod json;
mod tracking;

use std::sync::Arc;

use anymail_core::{Webhook, WebhookAuth};

pub use inbound::PostmarkInboundWebhook;
pub use tracking::PostmarkTrackingWebhook;

/// Creates both of Postmark's webhooks, with the same secrets and the default limits.
///
/// ```
/// use anymail_core::WebhookAuth;
///
/// let auth = WebhookAuth::basic([("postmark", "a long random password")])?;
/// let webhooks = anymail_postmark::webhooks(auth);
/// assert_eq!(webhooks[0].kind().as_str(), "tracking");
/// # Ok::<(), anymail_core::WebhookAuthError>(())
/// ```
pub fn webhooks(auth: WebhookAuth) -> [Arc<dyn Webhook>; 2] {
    [
        Arc::new(PostmarkTrackingWebhook::new(auth.clone())),
        Arc::new(PostmarkInboundWebhook::new(auth)),
    ]
}
