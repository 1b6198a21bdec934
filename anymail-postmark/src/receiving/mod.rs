//! What Postmark posts: news of mail that was sent, and mail that came in.
//!
//! What an event is, and who may post, is told in `anymail-core`.

mod inbound;
mod json;
mod tracking;

use std::sync::Arc;

use anymail_core::{Webhook, WebhookAuth};
use bytes::Bytes;
use http::Request;

use crate::backend::NAME;

pub use inbound::PostmarkInboundWebhook;
pub use tracking::PostmarkTrackingWebhook;

/// Names an event in all tries to post it (Postmark's documentation of 2026-09).
const TRACE_ID: &str = "X-PM-Webhook-Trace-Id";

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

/// Postmark's own key of an event, where it gives one, else one over what it is known by.
fn dedup_key(request: &Request<Bytes>, parts: &[&[u8]]) -> String {
    let given = request.headers().get(TRACE_ID);
    match given.and_then(|id| id.to_str().ok()).map(str::trim) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => anymail_core::dedup_key(parts),
    }
}
