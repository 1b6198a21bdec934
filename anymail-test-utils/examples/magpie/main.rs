//! A small but complete backend for an ESP like [Mailgun], with the conformance suite.
//!
//! Magpie does not exist. It accepts a message as form fields (`multipart/form-data`), with the
//! values by recipient of a batch in one field, and sends one response for all recipients. It signs
//! its webhooks inside the body. Copy this example for a similar ESP; the guide "Writing a backend"
//! (`anymail_test_utils::guide::writing_a_backend`) explains each part. Run the suite with `cargo
//! test -p anymail-test-utils --example magpie`.
//!
//! | similar to Mailgun | documentation | certainty |
//! | --- | --- | --- |
//! | names of fields, `recipient-variables`, 1,000 recipients per call | [batch sending], [messages] | documented |
//! | `signature` with `timestamp`, `token` and HMAC-SHA256 of both | [securing webhooks] | documented |
//! | `event-data`, its `severity`, IDs without angle brackets | [events], [webhooks] | documented |
//! | inbound messages as a form | [receiving] | documented |
//! | an inline part's content ID is its filename | [messages] | documented |
//! | a variable without a value for a recipient is not substituted | | not documented; observed by others |
//! | an empty header or value is omitted; every message of a batch has all copies | | specific to Magpie |
//! | the option `o:archive-to` is a list | | specific to Magpie |
//!
//! [Mailgun]: https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages
//! [batch sending]: https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/batch-sending
//! [messages]: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
//! [securing webhooks]: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
//! [events]: https://documentation.mailgun.com/docs/mailgun/user-manual/events/events
//! [webhooks]: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks
//! [receiving]: https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store

#![allow(
    unreachable_pub,
    reason = "in a backend's own crate, these items are public"
)]

mod backend;
#[allow(dead_code, reason = "the suite creates its backends itself")]
mod factory;
mod harness;
mod posts;
mod signature;
mod webhook;
mod wire;

fn main() {
    anymail_test_utils::conformance::main(harness::MagpieHarness)
}
