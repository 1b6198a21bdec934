//! Email through [Postmark](https://postmarkapp.com/developer): single messages, batches, merge,
//! templates and the bulk API, and webhooks for tracking events and inbound email.
//!
//! Messages, mailers, statuses and events are the types of `anymail-core`, which are the same for
//! every ESP. An app names this crate only where it sets up its mailers.
//!
//! # Send
//!
//! ```no_run
//! use anymail_core::{Mailer, Message};
//! use anymail_postmark::{PostmarkBackend, PostmarkConfig, PostmarkOptions};
//!
//! # async fn send() -> Result<(), Box<dyn std::error::Error>> {
//! let config = PostmarkConfig::new("POSTMARK_API_TEST"); // validates, but delivers nothing
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
//! let status = mailer.send(&message).await?; // a separate message to each recipient
//! for recipient in status.recipients() {
//!     println!("{}: {:?} {:?}", recipient.email, recipient.status, recipient.message_id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! To select the backend by configuration, register [`PostmarkFactory`]. To send many messages, use
//! [`Mailer::send_all`](anymail_core::Mailer::send_all) or
//! [`send_stream`](anymail_core::Mailer::send_stream), which pack up to 500 messages into one call.
//! After an error that leaves open whether Postmark accepted the message, look it up with
//! [`PostmarkBackend::find_sent`].
//!
//! # Receive events and inbound email
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
//! A configured app does not name webhooks: `mailers.webhooks()` returns those of
//! [`PostmarkFactory`], and `anymail_core::webhook_routes(mailers.webhooks()?, handler)` returns
//! routes for axum. For hyper, tower and actix-web, see `anymail-postmark/examples/frameworks` in
//! the repository.
//!
//! # Postmark's limits
//!
//! This crate does not check these limits. Postmark refuses a message that exceeds one, and the
//! error quotes its message and has [`Accepted::No`](anymail_core::Accepted::No). Source:
//! Postmark's documentation, as of 2026-09.
//!
//! | limit | maximum |
//! | --- | --- |
//! | recipients of a message, including `cc` and `bcc` | 50; in a batch, 50 for each of its messages |
//! | size of a message, including base64-encoded attachments | 10 MB |
//! | text body, HTML body | 5 MB each |
//! | subject; From; tag | 2000; 255; 1000 characters |
//! | metadata | 10 values; names of 20 characters, values of 80 characters |
//! | messages in a call | 500, and 50 MB; larger batches are split into several calls |
//!
//! # How this crate is tested
//!
//! All tests run against a fake Postmark server on loopback (`anymail-test-utils`), which is
//! modeled on Postmark's documentation and on real responses that others have published. Nothing
//! has been run against Postmark itself. Where a fact is uncertain, the code that relies on it says
//! so.
//!
//! # Features
//!
//! - `rustls-tls` (default): TLS with rustls. Without it, `https` URLs, including Postmark's own,
//!   are a configuration error.
//! - `webhooks`: tracking and inbound webhooks. `axum`: the same webhooks as axum routes.
//! - `http2`: HTTP/2, if the server offers it. Without it, calls use HTTP/1.1.
//! - `blocking`: `anymail_core::blocking::Mailer`.
//! - `rate-limit`: `PostmarkConfig::rate_limiter` and the option `calls_per_second`.
//! - `metrics`: counters and durations, recorded with the `metrics` crate.
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

/// Guides.
pub mod guide {
    #[doc = include_str!("../docs/reliability.md")]
    pub mod reliability {}
    #[doc = include_str!("../docs/sending_from_a_queue.md")]
    pub mod sending_from_a_queue {}
}

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles and runs the guide "Testing your app's mail", whose crate has no Postmark backend.
#[cfg(all(doctest, feature = "webhooks"))]
#[doc = include_str!("../../anymail-test-utils/docs/testing_your_apps_mail.md")]
struct TestingYourAppsMail;
