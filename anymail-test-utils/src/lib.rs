//! Test an app that sends mail, or a backend that carries it.
//!
//! There are two doors. Both lead to real HTTP on loopback: nothing of the client under test is
//! replaced, and it may be written in any language.
//!
//! # I test an app
//!
//! [`FakePostmark`] takes messages as Postmark does, refuses what Postmark refuses, in its
//! words, and keeps what it accepted for the test to look at. Give the app its URL in place of
//! `https://api.postmarkapp.com`.
//!
//! ```
//! use anymail_test_utils::{FakePostmark, SuppressionReason};
//!
//! # async fn the_app_sends_a_mail(url: &str) -> Result<(), reqwest::Error> {
//! #     let call = reqwest::Client::new().post(format!("{url}/email"));
//! #     let call = call.header("Accept", "*/*").header("Content-Type", "application/json");
//! #     let call = call.header("X-Postmark-Server-Token", "server-token");
//! #     let json = r#"{"From": "shop@example.com", "To": "ann@example.com", "Tag": "order",
//! #                    "Subject": "Your order", "TextBody": "It is on its way."}"#;
//! #     call.body(json).send().await?.error_for_status().map(drop)
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let postmark = FakePostmark::start().await?; // its token is "server-token"
//! the_app_sends_a_mail(&postmark.url()).await?;
//!
//! let messages = postmark.messages();
//! assert_eq!(messages[0].to[0].email, "ann@example.com");
//! assert_eq!(messages[0].tag.as_deref(), Some("order"));
//!
//! // What does the app do when Ann is inactive?
//! postmark.suppress("outbound", "ann@example.com", SuppressionReason::HardBounce);
//! assert!(the_app_sends_a_mail(&postmark.url()).await.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! It also tells the app's webhooks what becomes of its messages, when the test says so:
//! [`deliver`](FakePostmark::deliver), [`bounce`](FakePostmark::bounce),
//! [`open`](FakePostmark::open), [`receive`](FakePostmark::receive), and more.
//!
//! A person who writes an app has the same server as a program, with a mailbox to look at in a
//! browser:
//!
//! ```text
//! cargo run -p anymail-test-utils --bin fake-postmark -- --port 8025 --token server-token
//! ```
//!
//! # I test a backend
//!
//! Whether it keeps what `EmailBackend` promises is tried by the [`conformance`] suite, one named
//! trial for each rule; the [`guide`] leads from an empty crate to a backend that passes.
//!
//! Under it there is, for tests of your own:
//!
//! [`LoopbackServer`] is an HTTP server without an ESP: a function answers. [`Fault`] names what
//! can go wrong with a call, on the wire or above it, and says of each whether the ESP has the
//! message all the same. The server counts, so that a test can say what was lost or doubled.
//!
//! ```
//! use anymail_test_utils::{Fault, LoopbackServer};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let esp = LoopbackServer::start(|_| http::Response::new("{\"id\": 1}".into()))?;
//! esp.inject(Fault::AcceptThenReset, 1);
//!
//! let send = || reqwest::Client::new().post(esp.url()).body("a message").send();
//! let error = send().await.unwrap_err();
//! assert!(!error.is_connect()); // the backend cannot know, and must not send again ...
//! assert_eq!(esp.counts().handled, 1); // ... for the ESP has it
//! assert_eq!(send().await?.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! A fake of another ESP is such a function, too. Postmark's is a good example: it gives its
//! server away by [`FakePostmark::server`], for the same faults.
//!
//! # Features
//!
//! - `cli` (on by default): the program `fake-postmark`.
//! - `https`: webhooks may have `https://` URLs.

mod assertions;
pub mod conformance;
mod fake_esp;
mod fake_postmark;
mod faults;
mod fixtures;
pub mod guide;
mod server;

pub use assertions::{Mail, assert_not_sent, assert_nothing_else_sent, assert_sent, mail};
pub use fake_esp::{FakeEsp, FakeEspBackend, FakeEspConfig, FakeEspConfigError, FakeEspFactory};
pub use fake_postmark::{
    BounceType, FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage,
    StreamKind, SuppressionReason, TriggerError, WebhookReport, WebhookTry,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
