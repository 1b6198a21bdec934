//! The backend: SMTP, and a header for Dove's other features.
//!
//! `wire.rs` writes the header.

use std::sync::Arc;

use anymail_core::{
    Capabilities, EmailBackend, Feature, Mailer, Message, Objection, PreparedMessage, SendError,
    SendStatus, SmtpBackend, SmtpConfig, SmtpConfigError, Support,
};
use async_trait::async_trait;

use super::wire;

/// The name in statuses, errors and configurations.
pub const NAME: &str = "dove";

/// Sends through Dove.
#[derive(Debug)]
pub struct Dove {
    smtp: Arc<SmtpBackend>,
    /// Writes the header and leaves the rest to SMTP.
    mailer: Mailer,
    capabilities: Capabilities,
}

impl Dove {
    /// Creates a backend for this server.
    ///
    /// # Errors
    /// Returns [`SmtpConfigError`] if the configuration is invalid.
    pub fn new(config: SmtpConfig) -> Result<Self, SmtpConfigError> {
        let smtp = Arc::new(SmtpBackend::new(config)?);
        let own = [
            (Feature::Metadata, Support::Yes),
            (Feature::MergeMetadata, Support::Yes),
            (Feature::Tags, Support::AtMost(10)),
            (Feature::TrackOpens, Support::Yes),
            (Feature::TrackClicks, Support::Yes),
            (Feature::SendAt, Support::Yes),
        ];
        Ok(Self {
            capabilities: smtp.capabilities().iter().chain(own).collect(),
            mailer: Mailer::new(Arc::clone(&smtp)),
            smtp,
        })
    }
}

#[async_trait]
impl EmailBackend for Dove {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let mut objections = self.smtp.check(message);
        let for_all = message.headers.value().into_iter();
        let own = message.merge_headers.value().into_iter();
        let own = own.flat_map(|map| map.iter().map(|(_, headers)| headers));
        if for_all.chain(own).any(|it| it.get(wire::HEADER).is_some()) {
            objections.push(Objection::new(
                "does not support Dove's own header",
                wire::HEADER,
            ));
        }
        objections
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        match self.mailer.send(&wire::by_smtp(message)).await {
            Ok(status) => Ok(own_status(status)),
            Err(error) => Err(own_error(error)),
        }
    }
}

fn own_status(mut status: SendStatus) -> SendStatus {
    status.esp = NAME.into();
    status
}

/// Renames the backend in an error.
fn own_error(error: SendError) -> SendError {
    let status = error.status().cloned().map(own_status);
    let own = error.with_esp(NAME);
    match status {
        Some(status) => own.with_status(status),
        None => own,
    }
}
