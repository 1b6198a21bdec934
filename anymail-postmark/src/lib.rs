//! Mail through [Postmark](https://postmarkapp.com/developer): single messages, batches, merge,
//! templates and bulk, over its HTTP API; and its webhooks, for tracking and inbound mail.
//!
//! Messages, mailers, statuses and events are those of `anymail-core`, the same for every ESP:
//! an app names this crate once, where it sets up its mail.
//!
//! # Send
//!
//! ```no_run
//! use anymail_core::{Mailer, Message};
//! use anymail_postmark::{PostmarkBackend, PostmarkConfig, PostmarkOptions};
//!
//! # async fn send() -> Result<(), Box<dyn std::error::Error>> {
//! let config = PostmarkConfig::new("POSTMARK_API_TEST"); // checked, answered, not delivered
//! let mailer = Mailer::new(PostmarkBackend::new(config)?);
//!
//! let message = Message::builder()
//!     .from("Anvil Shop <shop@example.com>")
//!     .to("ann@example.com, Bob <bob@example.com>")
//!     .template_id("welcome")                                  // an alias, or a number
//!     .merge_global_data(serde_json::json!({"shop": "Anvils"}))
//!     .merge_data("ann@example.com", serde_json::json!({"name": "Ann"}))
//!     .merge_data("bob@example.com", serde_json::json!({"name": "Bob"}))
//!     .esp_extra(PostmarkOptions::new().message_stream("outbound").to_esp_extra())
//!     .build()?;
//! let status = mailer.send(&message).await?; // a mail each: neither sees the other
//! for recipient in status.recipients() {
//!     println!("{}: {:?} {:?}", recipient.email, recipient.status, recipient.message_id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! By configuration, where the backend is one value among others: [`PostmarkFactory`]. Many
//! messages: [`Mailer::send_all`](anymail_core::Mailer::send_all) and
//! [`send_stream`](anymail_core::Mailer::send_stream) pack up to 500 into a call. After an error
//! that leaves it open whether Postmark has the message: [`PostmarkBackend::find_sent`].
//!
//! # Take in events and mail
//!
//! ```
//! # #[cfg(feature = "webhooks")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use anymail_core::{Event, Webhook, WebhookAuth};
//! use anymail_postmark::PostmarkTrackingWebhook;
//!
//! let auth = WebhookAuth::basic([("postmark", "a long random password")])?;
//! let webhook = PostmarkTrackingWebhook::new(auth);
//! let request = http::Request::post("/anymail/postmark/tracking/")
//!     .header("Authorization", "Basic cG9zdG1hcms6YSBsb25nIHJhbmRvbSBwYXNzd29yZA==")
//!     .header("Content-Type", "application/json")
//!     .body(r#"{"RecordType": "Delivery", "Recipient": "ann@example.com"}"#.into())?;
//! for event in webhook.parse(&request)? {
//!     if let Event::Tracking(event) = event {
//!         println!("{:?}: {}", event.recipient, event.event_type);
//!     }
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "webhooks"))]
//! # fn main() {}
//! ```
//!
//! An app that is configured need not name a webhook: `mailers.webhooks()` has those of
//! [`PostmarkFactory`], and `anymail_core::webhook_routes(mailers.webhooks()?, handler)` are routes
//! for axum; for hyper, tower and actix-web, see `anymail-postmark/examples/frameworks` in the
//! repository.
//!
//! # Postmark's limits
//!
//! Who asks for more is refused by Postmark, in its words, with `accepted` being `No`; nothing here
//! counts beforehand. (Its documentation, as of 2026-09.)
//!
//! | what | at most |
//! | --- | --- |
//! | recipients of a message, `cc` and `bcc` included | 50; a batch: 50 for each of its mails |
//! | a message, attachments as base64 included | 10 MB |
//! | the text, the HTML | 5 MB each |
//! | subject; From; tag | 2000; 255; 1000 characters |
//! | metadata | 10 values; names of 20, values of 80 characters |
//! | messages in a call | 500 and 50 MB: more are split into several calls |
//!
//! # What is known of Postmark
//!
//! Everything here is tried against a fake Postmark on loopback (`anymail-test-utils`), which is
//! made of Postmark's pages and of real answers that others have published. None of it has been
//! run against Postmark itself. Where a fact is uncertain, the code that relies on it says so.
//!
//! # Features
//!
//! - `rustls-tls` (default): TLS by rustls. Without it an `https` URL, Postmark's own among them, is
//!   a fault of the configuration.
//! - `webhooks`: tracking and inbound webhooks; `axum`: the same as routes for an axum application.
//! - `http2`: HTTP/2, where the server offers it. Without it, calls use HTTP/1.1.
//! - `blocking`: `anymail_core::blocking::Mailer`.
//! - `rate-limit`: `PostmarkConfig::rate_limiter`, and the option `calls_per_second`.
//! - `metrics`: counters by the `metrics` crate.
mod backend;
#[doc(hidden)]
pub mod bench;
mod codes;
mod config;
mod factory;
mod options;
mod proxy;
#[cfg(feature = "webhooks")]
mod receiving;
mod sending;
mod suppressions;

pub use backend::PostmarkBackend;
pub use config::{PostmarkConfig, PostmarkConfigError, PostmarkConfigFault};
pub use factory::PostmarkFactory;
pub use options::{LinkTracking, PostmarkOptions};
pub use proxy::Proxy;
#[cfg(feature = "webhooks")]
pub use receiving::{PostmarkInboundWebhook, PostmarkTrackingWebhook, webhooks};
pub use suppressions::{
    PostmarkSuppressions, PostmarkSuppressionsError, RefusedSuppression, SuppressionsRead,
    SuppressionsWritten,
};

/// Pages on how to put it to use.
pub mod guide {
    #[doc = include_str!("../docs/reliability.md")]
    pub mod reliability {}
    #[doc = include_str!("../docs/sending_from_a_queue.md")]
    pub mod sending_from_a_queue {}
}

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The page "Testing your app's mail", compiled and run: its own crate has no Postmark backend.
#[cfg(all(doctest, feature = "webhooks"))]
#[doc = include_str!("../../anymail-test-utils/docs/testing_your_apps_mail.md")]
struct TestingYourAppsMail;
