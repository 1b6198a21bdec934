//! What Postmark posts: news of mail that was sent, and mail that came in.
//!
//! What an event is, and who may post, is told in `anymail-core`.

mod dedup_key;
mod inbound;
mod json;
mod tracking;

use std::sync::Arc;

use anymail_core::{Webhook, WebhookAuth};

pub use inbound::PostmarkInboundWebhook;
pub use tracking::PostmarkTrackingWebhook;

/// Both of Postmark's webhooks, with the same secrets and the default limits.
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
