//! The keys by which duplicates of Postmark's events are recognized.
//!
//! `anymail-core` decides what happens to duplicates.

use bytes::Bytes;
use http::Request;

/// Identifies an event in all attempts to post it (Postmark's documentation of 2026-09).
const TRACE_ID: &str = "X-PM-Webhook-Trace-Id";

/// Postmark's own key of an event, if there is one, or else one derived from its identity.
pub(super) fn dedup_key(request: &Request<Bytes>, parts: &[&[u8]]) -> String {
    let given = request.headers().get(TRACE_ID);
    match given.and_then(|id| id.to_str().ok()).map(str::trim) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => anymail_core::dedup_key(parts),
    }
}
