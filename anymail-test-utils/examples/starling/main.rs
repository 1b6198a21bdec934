//! A complete small backend for an ESP like [SendGrid], and the conformance suite on it.
//!
//! Starling does not exist. It takes a message once and a list of `personalizations`, each a mail;
//! its yes is an HTTP status without a body, with an id in a header. It posts events by the array,
//! signed with a private key. Copy it for an ESP of this kind; the page "Writing a backend"
//! (`anymail_test_utils::guide::writing_a_backend`) explains each part. The suite runs with
//! `cargo test -p anymail-test-utils --example starling`.
//!
//! | what is like SendGrid's | where that is documented | how sure |
//! | --- | --- | --- |
//! | `personalizations`, names of fields, errors | [mail send] | documented |
//! | 1,000 recipients a call, copies included | [limitations] | documented |
//! | 202, no body, the id in `X-Message-Id` | [mail send] | documented |
//! | an array of events; `sg_message_id` begins with the id | [events] | documented |
//! | ECDSA of the time and the body | [signed events] | documented |
//! | a mail that came in, as a form in parts | [inbound parse] | documented |
//! | mails that came in are signed in the same way | | Starling's own |
//! | a mail without a body, a media type with parameters, a name with a comma or semicolon are taken | | Starling's own: SendGrid refuses them |
//!
//! [SendGrid]: https://www.twilio.com/docs/sendgrid
//! [mail send]: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
//! [limitations]: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations
//! [events]: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
//! [signed events]: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
//! [inbound parse]: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook

#![allow(
    unreachable_pub,
    reason = "they are the public items of a backend's own crate"
)]

mod backend;
#[allow(dead_code, reason = "the suite makes its backends itself")]
mod factory;
mod harness;
mod posts;
mod signature;
mod webhook;
mod wire;

fn main() {
    anymail_test_utils::conformance::main(harness::StarlingHarness)
}
