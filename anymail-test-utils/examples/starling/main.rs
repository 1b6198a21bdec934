//! A small but complete backend for an ESP like [SendGrid], with the conformance suite.
//!
//! Starling does not exist. It accepts one message with a list of `personalizations`, each of which
//! becomes a separate message. Success is an HTTP status without a body, with an ID in a header. It
//! posts events as an array, signed with a private key. Copy this example for a similar ESP; the
//! guide "Writing a backend" (`anymail_test_utils::guide::writing_a_backend`) explains each part.
//! Run the suite with `cargo test -p anymail-test-utils --example starling`.
//!
//! | similar to SendGrid | documentation | certainty |
//! | --- | --- | --- |
//! | `personalizations`, names of fields, errors | [mail send] | documented |
//! | 1,000 recipients per call, including copies | [limitations] | documented |
//! | 202, no body, the ID in `X-Message-Id` | [mail send] | documented |
//! | an array of events; `sg_message_id` starts with the ID | [events] | documented |
//! | ECDSA of the time and the body | [signed events] | documented |
//! | inbound messages as a multipart form | [inbound parse] | documented |
//! | inbound messages are signed in the same way | | specific to Starling |
//! | a message without a body, a media type with parameters, or a name with a comma or semicolon is accepted | | specific to Starling: SendGrid refuses them |
//!
//! [SendGrid]: https://www.twilio.com/docs/sendgrid
//! [mail send]: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
//! [limitations]: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations
//! [events]: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
//! [signed events]: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
//! [inbound parse]: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook

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
    anymail_test_utils::conformance::main(harness::StarlingHarness)
}
