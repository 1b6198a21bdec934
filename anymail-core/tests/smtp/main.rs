//! The `smtp` backend as an app uses it, with a server on loopback.
#![cfg(feature = "smtp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test panics"
)]

mod configured;
mod connections;
mod failures;
mod odd_servers;
mod statuses;
mod tls;

use std::time::Duration;

use anymail_core::{Mailer, MailerBuilder, Message, SmtpBackend, SmtpConfig, SmtpTls};
use anymail_test_utils::LoopbackSmtp;

fn config(server: &LoopbackSmtp) -> SmtpConfig {
    SmtpConfig::new("127.0.0.1")
        .port(server.port())
        .tls(SmtpTls::None)
        .timeout(Duration::from_secs(2))
}

fn mailer(server: &LoopbackSmtp) -> Mailer {
    builder(config(server)).build()
}

fn builder(config: SmtpConfig) -> MailerBuilder {
    Mailer::builder(SmtpBackend::new(config).unwrap())
}

fn message(to: &[&str]) -> Message {
    let builder = Message::builder().from("Shop <shop@example.com>");
    to.iter()
        .fold(builder, |builder, to| builder.to(*to))
        .subject("Your receipt")
        .text_body("Thank you.")
        .build()
        .unwrap()
}
