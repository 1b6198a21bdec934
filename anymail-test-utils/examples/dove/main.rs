//! A small but complete backend for an ESP that accepts messages over SMTP and options in a header,
//! like [SendGrid's SMTP API][smtpapi], with the conformance suite.
//!
//! Dove does not exist. Tags, metadata and tracking, which SMTP does not support, are sent as JSON
//! in the header `X-Dove-API`, which Dove removes from the message. Everything else is
//! anymail-core's SMTP backend, so an ESP never needs another SMTP client. Copy this example for a
//! similar ESP; the guide "Writing a backend" (`anymail_test_utils::guide::writing_a_backend`)
//! explains each part. Run the suite with `cargo test -p anymail-test-utils --example dove`.
//!
//! | similar to SendGrid | documentation | certainty |
//! | --- | --- | --- |
//! | a header with JSON in ASCII | [building the header][smtpapi] | documented |
//! | `category`, `unique_args`, `send_at` | [categories], [unique arguments], [scheduling] | documented |
//! | `filters` with `opentrack` and `clicktrack`, `enable` 1 or 0 | [filters] | documented |
//! | a message's status from the replies to `RCPT` and to its content | RFC 5321 | standard |
//!
//! Other ESPs use different headers for the same purpose: Mailgun ([X-Mailgun-Tag,
//! X-Mailgun-Variables][mailgun]), Postmark ([X-PM-Tag, X-PM-Metadata-...][postmark]).
//!
//! [smtpapi]: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/building-an-x-smtpapi-header
//! [categories]: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/categories
//! [unique arguments]: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/unique-arguments
//! [scheduling]: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/scheduling-parameters
//! [filters]: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/smtp-filters
//! [mailgun]: https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp
//! [postmark]: https://postmarkapp.com/developer/user-guide/send-email-with-smtp

#![allow(
    unreachable_pub,
    reason = "in a backend's own crate, these items are public"
)]

mod backend;
#[allow(dead_code, reason = "the suite creates its backends itself")]
mod factory;
mod harness;
mod wire;

fn main() {
    anymail_test_utils::conformance::main_smtp(harness::DoveHarness)
}
