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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trace_id: Option<&str>, parts: &[&[u8]]) -> String {
        let mut request = Request::post("/");
        if let Some(id) = trace_id {
            request = request.header(TRACE_ID, id);
        }
        dedup_key(&request.body(Bytes::new()).unwrap(), parts)
    }

    #[test]
    fn an_event_is_identified_by_postmarks_key_or_by_its_contents() {
        let (bounce, open): ([&[u8]; 2], [&[u8]; 2]) = ([b"Bounce", b"1"], [b"Open", b"1"]);
        assert_eq!(key(Some("trace-1"), &bounce), "trace-1");
        assert_eq!(key(Some(" trace-1 "), &open), "trace-1");
        for without in [None, Some(""), Some("  ")] {
            assert_eq!(key(without, &bounce), key(None, &bounce));
            assert_ne!(key(without, &bounce), key(without, &open));
        }
    }
}
