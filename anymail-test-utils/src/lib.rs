//! Test an app that sends mail, or a backend that carries it.
//!
//! There are two doors.
//!
//! # I test an app
//!
//! - That it sent the right mails, without HTTP: [`assert_sent`] looks into the outbox of core's
//!   `memory` backend.
//! - What it does when Postmark refuses, when the network fails, when a webhook comes:
//!   [`FakePostmark`] is Postmark's API on loopback. Nothing of the client under test is
//!   replaced, and it may be written in any language.
//! - That a store of suppressions of its own keeps the rules: [`suppression_stores::check`].
//! - How its mails look: the program `fake-postmark` is the same with a mailbox in the browser.
//!
//! [`guide::testing_your_apps_mail`] shows all of it.
//!
//! # I test a backend
//!
//! Whether it keeps what `EmailBackend` promises is tried by the [`conformance`] suite, one named
//! trial for each rule, over real HTTP on loopback; [`guide::writing_a_backend`] leads from an
//! empty crate to a backend that passes.
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
//! let client = reqwest::Client::builder().no_proxy().build()?;
//! let send = || client.post(esp.url()).body("a message").send();
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
//! - `smtp-tls`: [`LoopbackSmtp`] with STARTTLS and implicit TLS.

mod assertions;
pub mod conformance;
mod fake_esp;
mod fake_postmark;
mod faults;
mod fixtures;
pub mod guide;
mod loopback;
mod server;
mod smtp_server;
pub mod suppression_stores;

pub use assertions::{Mail, assert_not_sent, assert_nothing_else_sent, assert_sent, mail};
pub use fake_esp::{FakeEsp, FakeEspBackend, FakeEspConfig, FakeEspConfigError, FakeEspFactory};
pub use fake_postmark::{
    BounceType, FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage,
    StoredTemplate, StreamKind, SuppressionReason, TriggerError, WebhookReport, WebhookTry,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
pub use smtp_server::{
    LoopbackSmtp, LoopbackSmtpBuilder, SmtpAction, SmtpCounts, SmtpExtension, SmtpFault, SmtpMail,
    SmtpMechanism, SmtpMoment, SmtpParameters, SmtpRecipient, SmtpReply, SmtpRule, SmtpStage,
    SmtpTls, SmtpViolation, WrongCertificate,
};
