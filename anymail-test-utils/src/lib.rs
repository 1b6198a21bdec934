//! Test utilities for apps that send mail with anymail, and for anymail backends.
//!
//! # Test an app
//!
//! - [`assert_sent`] checks which messages the app sent. It inspects the outbox of core's `memory`
//!   backend and needs no HTTP.
//! - [`FakePostmark`] is Postmark's API on loopback. It shows what the app does when Postmark refuses
//!   a message, when the network fails, or when a webhook arrives. The app keeps its real client,
//!   which may be written in any language.
//! - [`suppression_stores::check`] checks that the app's own suppression store follows the rules.
//! - The program `fake-postmark` is the same fake with a mailbox page in the browser, to look at the
//!   app's messages.
//!
//! [`guide::testing_your_apps_mail`] explains all of these.
//!
//! # Test a backend
//!
//! The [`conformance`] suite tests over real HTTP on loopback whether a backend keeps the promises of
//! `EmailBackend`, with one named trial for each rule. [`guide::writing_a_backend`] leads from an
//! empty crate to a backend that passes.
//!
//! Your own tests can use the parts that the suite is built on:
//!
//! [`LoopbackServer`] is an HTTP server that knows no ESP: a function that you provide creates the
//! responses. [`Fault`] lists what can go wrong with a call, on the network or above it, and documents
//! for each fault whether the ESP accepted the message anyway. The server counts calls, so that a test
//! can tell which messages were lost or duplicated.
//!
//! ```
//! use anymail_test_utils::{Fault, LoopbackServer};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let esp = LoopbackServer::start(|_| http::Response::new("{\"id\": 1}".into()))?;
//! esp.inject(Fault::AcceptThenReset, 1);
//!
//! let client = reqwest::Client::builder().no_proxy().build()?;
//! let send = || client.post(esp.url()).body("a message").send();
//! let error = send().await.unwrap_err();
//! assert!(!error.is_connect()); // the backend cannot know the outcome and must not retry ...
//! assert_eq!(esp.counts().handled, 1); // ... because the ESP accepted the message
//! assert_eq!(send().await?.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! A fake of another ESP is such a function, too. See [`FakePostmark`] for an example; its method
//! [`server`](FakePostmark::server) returns its `LoopbackServer`, to inject the same faults.
//!
//! # Features
//!
//! - `cli` (default): builds the program `fake-postmark`.
//! - `https`: posts webhooks to `https://` URLs.
//! - `smtp-tls`: adds STARTTLS and implicit TLS to [`LoopbackSmtp`].

mod assertions;
pub mod conformance;
mod fake_postmark;
mod faults;
mod fixtures;
pub mod guide;
mod loopback;
mod server;
mod smtp_server;
pub mod suppression_stores;

pub use assertions::{Mail, assert_not_sent, assert_nothing_else_sent, assert_sent, mail};
pub use fake_postmark::{
    BounceType, FakePostmark, FakePostmarkBuilder, InactiveReason, Mailbox, SentAttachment,
    SentMessage, StoredTemplate, StreamKind, TriggerError, WebhookAttempt, WebhookReport,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
pub use smtp_server::{
    LoopbackSmtp, LoopbackSmtpBuilder, LoopbackTls, SmtpAction, SmtpCounts, SmtpExtension,
    SmtpFault, SmtpMechanism, SmtpMessage, SmtpMoment, SmtpParameters, SmtpRecipient, SmtpReply,
    SmtpRule, SmtpStage, SmtpViolation, WrongCertificate,
};
