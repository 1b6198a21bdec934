//! Transactional email through any ESP (email service provider): what all of them have in common.
//!
//! An app builds a [`Message`] and gives it to a [`Mailer`], which carries it to a backend: an
//! ESP's, from a crate of its own, or one of those here. Which one is a value of the
//! configuration. What the chosen one cannot do is refused before anything is sent; nothing is
//! left out in silence, and nothing that may have been accepted is sent twice.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use anymail_core::{MailersConfig, Message, Registry};
//!
//! let config: MailersConfig = toml::from_str(r#"
//!     backend = "memory"                      # the one value that differs in production
//!     default_from = "Anvil Shop <shop@example.com>"
//!
//!     [send_defaults]
//!     tags = ["shop"]
//! "#)?;
//! let registry = Registry::new();             // .with(the factory of an ESP's crate)
//! let mailers = config.build(&registry)?;     // or all that is wrong with it, at once
//!
//! let message = Message::builder()
//!     .to("\"Doe, Ann\" <ann@příklad.cz>")
//!     .subject("Your receipt")
//!     .text_body("Thank you.")
//!     .metadata("order", 4711)
//!     .build()?;                              // or all that is wrong with it, at once
//!
//! for (name, check) in mailers.check_all(&message) {
//!     assert!(check.is_ok(), "{name}: {check}");
//! }
//! match mailers.default_mailer().send(&message).await {
//!     Ok(status) => println!("sent as {:?}", status.message_id()),
//!     Err(error) => println!("{error}; does the ESP have it? {:?}", error.accepted()),
//! }
//! assert_eq!(registry.outbox().messages()[0].message.tags.items(), ["shop"]);
//! # Ok(())
//! # }
//! ```
//!
//! - To say what a mail is: [`Message`], [`Address`], [`Attachment`], [`Headers`], [`MergeMap`].
//! - To send it: [`Mailer`], [`SendDefaults`], [`PreSend`] and [`PostSend`], [`RetryPolicy`]; to
//!   learn what came of it: [`SendStatus`], [`SendError`].
//! - To choose by configuration: [`MailersConfig`], [`Registry`], [`Mailers`], [`Settings`].
//! - Without an ESP: [`MemoryBackend`] for tests, [`ConsoleBackend`], [`FileBackend`]; over other
//!   backends: [`Failover`], [`RoundRobin`]; for staging: [`RedirectTo`], [`AllowDomains`].
//! - To take in what an ESP reports: [`Mailers::webhooks`], [`Webhook`], [`WebhookAuth`],
//!   [`WebhookSignature`], [`Event`]; to handle none twice: [`handled_once`], [`ReplayGuard`].
//! - Not to write to addresses that bounced, complained or unsubscribed, whichever ESP is in use:
//!   [`SuppressionHook`] over a [`SuppressionStore`]: [`FileSuppressionStore`],
//!   [`MemorySuppressionStore`]; fed by a
//!   [`SuppressionFeed`] and by [`OneClickUnsubscribe`].
//! - To write a backend: [`EmailBackend`], [`Capabilities`], [`BackendFactory`]; the way is
//!   told in `anymail_test_utils::guide::writing_a_backend`, and the source of [`MemoryBackend`]
//!   is the smallest example.
//! - To find what you know from Python: [`guide::coming_from_django_anymail`].
//!
//! # Features
//!
//! - `mime` (default): [`Message::to_mime`] and [`FileBackend`].
//! - `webhooks`: events and inbound mail from an ESP's webhooks, without a web framework.
//! - `signatures`: `StandardWebhooks` and `HmacSha256Keys`, for ESPs that sign what they post,
//!   and `OneClickUnsubscribe`.
//! - `forms`: `Form`, for ESPs that post HTML forms.
//! - `smtp`: [`SmtpBackend`], to any ESP and any mail server.
//! - `axum`: routes for an axum application.
//! - `blocking`: `blocking::Mailer`, for programs without a runtime.
//! - `rate-limit`: `RateLimiter`, for backends that must not call their ESP too fast.
//! - `metrics`: counters and durations of messages, calls and webhooks, through the `metrics`
//!   crate. Spans of the same for `tracing` are always there.
mod backends;
mod config;
pub mod guide;
mod message;
mod panics;
#[cfg(feature = "webhooks")]
mod receiving;
mod secret;
mod sending;
mod suppressions;

pub use backends::*;
pub use config::*;
pub use message::*;
#[cfg(feature = "webhooks")]
pub use receiving::*;
pub use secret::Secret;
pub use sending::*;
pub use suppressions::*;
