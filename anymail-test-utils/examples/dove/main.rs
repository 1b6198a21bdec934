//! A complete small backend for an ESP that takes mail by SMTP and options in a header, like
//! [SendGrid's SMTP API][smtpapi], and the conformance suite on it.
//!
//! Dove does not exist. What SMTP has no place for, tags and metadata and tracking, stands as JSON
//! in the header `X-Dove-API`, which Dove takes out of the mail. All else is the SMTP backend of
//! anymail-core: nobody needs another SMTP client for an ESP. Copy it for an ESP of this kind; the
//! page "Writing a backend" (`anymail_test_utils::guide::writing_a_backend`) explains each part.
//! The suite runs with `cargo test -p anymail-test-utils --example dove`.
//!
//! | what is like SendGrid's | where that is documented | how sure |
//! | --- | --- | --- |
//! | a header with JSON in ASCII | [building the header][smtpapi] | documented |
//! | `category`, `unique_args`, `send_at` | [categories], [unique arguments], [scheduling] | documented |
//! | `filters` with `opentrack` and `clicktrack`, `enable` 1 or 0 | [filters] | documented |
//! | a mail's status by the reply to `RCPT` and to its content | RFC 5321 | standard |
//!
//! Others have the same in other headers: Mailgun ([X-Mailgun-Tag, X-Mailgun-Variables][mailgun]),
//! Postmark ([X-PM-Tag, X-PM-Metadata-...][postmark]).
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
    reason = "they are the public items of a backend's own crate"
)]

mod backend;
#[allow(dead_code, reason = "the suite makes its backends itself")]
mod factory;
mod harness;
mod wire;

fn main() {
    anymail_test_utils::conformance::main_smtp(harness::DoveHarness)
}
