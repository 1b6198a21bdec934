//! Guarantees about all public types.
#![allow(clippy::unwrap_used)]
#![cfg(all(feature = "rate-limit", feature = "webhooks"))]

#[path = "../../anymail-core/tests/shared_types/mod.rs"]
mod shared_types;

use anymail_postmark::*;

#[test]
fn every_public_type_is_send_and_sync() {
    let checked = shared_types::shared_by_threads![
        LinkTracking,
        PostmarkBackend,
        PostmarkConfig,
        PostmarkConfigError,
        PostmarkConfigFault,
        PostmarkFactory,
        PostmarkInboundWebhook,
        PostmarkOptions,
        PostmarkSuppressions,
        PostmarkSuppressionsError,
        PostmarkTrackingWebhook,
        Proxy,
        RefusedSuppression,
        SuppressionsRead,
        SuppressionsWritten,
    ];
    let none: [String; 0] = [];
    assert_eq!(
        shared_types::forgotten(env!("CARGO_MANIFEST_DIR"), &checked),
        none
    );
}
