//! A complete small backend for an ESP like [Mailgun], and the conformance suite on it.
//!
//! Magpie does not exist. It takes a message as the fields of a form (`multipart/form-data`), a
//! batch with values by recipient in one field, and gives one answer for all recipients. It signs
//! what it posts within the body. Copy it for an ESP of this kind; the page "Writing a backend"
//! (`anymail_test_utils::guide::writing_a_backend`) explains each part. The suite runs with
//! `cargo test -p anymail-test-utils --example magpie`.
//!
//! | what is like Mailgun's | where that is documented | how sure |
//! | --- | --- | --- |
//! | names of fields, `recipient-variables`, 1,000 recipients a call | [batch sending], [messages] | documented |
//! | `signature` with `timestamp`, `token` and HMAC-SHA256 of both | [securing webhooks] | documented |
//! | `event-data`, its `severity`, ids without angle brackets | [events], [webhooks] | documented |
//! | a mail that came in, as a form | [receiving] | documented |
//! | an inline part's content id is its file name | [messages] | documented |
//! | a variable that a recipient lacks stays as it is written | | not documented; seen by others |
//! | an empty header or value is left out; a batch's copies go with every mail | | Magpie's own |
//! | the option `o:archive-to` is a list | | Magpie's own |
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
    anymail_test_utils::conformance::main(harness::MagpieHarness)
}
