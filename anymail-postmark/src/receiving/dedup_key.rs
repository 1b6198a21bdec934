//! What Postmark's events are known by when they are posted again.
//!
//! What becomes of an event that is posted again is decided in `anymail-core`.

use bytes::Bytes;
use http::Request;

/// Names an event in all tries to post it (Postmark's documentation of 2026-09).
const TRACE_ID: &str = "X-PM-Webhook-Trace-Id";

/// Postmark's own key of an event, where it gives one, else one over what it is known by.
pub(super) fn dedup_key(request: &Request<Bytes>, parts: &[&[u8]]) -> String {
    let given = request.headers().get(TRACE_ID);
    match given.and_then(|id| id.to_str().ok()).map(str::trim) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => anymail_core::dedup_key(parts),
    }
}
