//! Transactional email through any ESP (email service provider).
//!
//! An app builds a [`Message`] and passes it to a [`Mailer`], which sends it with a backend. A
//! backend belongs to one ESP and lives in its own crate; this crate contains backends that need no
//! ESP, and everything that backends have in common. The configuration selects the backend.
//! Features that the ESP does not support are refused before anything is sent and are never
//! silently dropped, and a message that may have been accepted is never sent again automatically.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use anymail_core::{MailersConfig, Message, Registry};
//!
//! let config: MailersConfig = toml::from_str(r#"
//!     backend = "memory"                      # the only value that differs in production
//!     default_from = "Anvil Shop <shop@example.com>"
//!
//!     [send_defaults]
//!     tags = ["shop"]
//! "#)?;
//! let registry = Registry::new();             // .with(the factory of an ESP's crate)
//! let mailers = config.build(&registry)?;     // the error lists all faults
//!
//! let message = Message::builder()
//!     .to("\"Doe, Ann\" <ann@příklad.cz>")
//!     .subject("Your receipt")
//!     .text_body("Thank you.")
//!     .metadata("order", 4711)
//!     .build()?;                              // the error lists all faults
//!
//! for (name, check) in mailers.check_all(&message) {
//!     assert!(check.is_ok(), "{name}: {check}");
//! }
//! match mailers.default_mailer().send(&message).await {
//!     Ok(status) => println!("sent as {:?}", status.message_id()),
//!     Err(error) => println!("{error}; accepted: {:?}", error.accepted()),
//! }
//! assert_eq!(registry.outbox().messages()[0].message.tags.items(), ["shop"]);
//! # Ok(())
//! # }
//! ```
//!
//! - To build a message: [`Message`], [`Address`], [`Attachment`], [`Headers`], [`MergeMap`].
//! - To send it: [`Mailer`], [`SendDefaults`], [`PreSend`] and [`PostSend`], [`RetryPolicy`]. For
//!   the result: [`SendStatus`], [`SendError`].
//! - To configure mailers: [`MailersConfig`], [`Registry`], [`Mailers`], [`Settings`].
//! - Backends without an ESP: [`MemoryBackend`] for tests, [`ConsoleBackend`], [`FileBackend`].
//!   Backends over other backends: [`Failover`], [`RoundRobin`]. For staging: [`RedirectTo`],
//!   [`AllowDomains`].
//! - To receive events and inbound email: [`Mailers::webhooks`], [`Webhook`], [`WebhookAuth`],
//!   [`WebhookSignature`], [`Event`]. To skip duplicates: [`handled_once`], [`ReplayGuard`].
//! - To stop writing to addresses that bounced, complained or unsubscribed, with any ESP:
//!   [`SuppressionHook`] over a [`SuppressionStore`] ([`FileSuppressionStore`],
//!   [`MemorySuppressionStore`]), filled by a [`SuppressionFeed`] and by [`OneClickUnsubscribe`].
//! - To write a backend: [`EmailBackend`], [`Capabilities`], [`BackendFactory`]. The guide is
//!   `anymail_test_utils::guide::writing_a_backend`, and the source of [`MemoryBackend`] is the
//!   smallest example.
//! - To find what you know from Python: [`guide::coming_from_django_anymail`].
//!
//! # Features
//!
//! None is enabled by default.
//!
//! - `mime`: [`Message::to_mime`] and [`FileBackend`].
//! - `webhooks`: events and inbound email from an ESP's webhooks, with any web framework.
//! - `signatures`: `StandardWebhooks` and `HmacSha256Keys`, for ESPs that sign their webhook
//!   requests, and `OneClickUnsubscribe`.
//! - `forms`: `Form`, for ESPs that post HTML forms.
//! - `smtp`: [`SmtpBackend`], for any ESP and any mail server.
//! - `axum`: webhook routes for axum.
//! - `blocking`: `blocking::Mailer`, for programs without an async runtime.
//! - `rate-limit`: `RateLimiter`, for backends of ESPs that limit the rate of calls.
//! - `metrics`: counters and durations of messages, calls and webhooks, recorded with the `metrics`
//!   crate. `tracing` spans are always available.
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
