//! [`Subject`]: the backend under test, with any kind of harness.

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{EmailBackend, WebhookAuth, WebhookKind};
use uuid::Uuid;

use super::desk::Desk;
use super::harness::{
    Harness, HarnessError, LocalHarness, Report, SmtpHarness, SmtpTarget, Target,
};
use super::posts::Posts;
use super::profile::Profile;
use super::rig::Rig;
use super::signer::Signer;
use super::trial::{Stop, Verdict};
use super::wire::{Faults, HttpWire, LocalWire, SMTP_USER, SmtpWire, http_faults, smtp_faults};

/// Creates a backend and knows the ESP's side.
#[derive(Clone)]
pub(super) enum Subject {
    Http(Arc<dyn Harness>),
    Smtp(Arc<dyn SmtpHarness>),
    Local(Arc<dyn LocalHarness>),
}

impl Subject {
    pub(super) fn profile(&self) -> Profile {
        match self {
            Self::Http(harness) => harness.profile(),
            Self::Smtp(harness) => harness.profile(),
            Self::Local(harness) => harness.profile(),
        }
    }

    /// Creates a backend that sends nothing.
    pub(super) fn idle_backend(&self) -> Verdict<Arc<dyn EmailBackend>> {
        let made = match self {
            // Port 9 is "discard": if the backend makes a call anyway, nothing listens there.
            Self::Http(harness) => harness.backend(&Target {
                url: "http://127.0.0.1:9".to_owned(),
                secret: secret(),
                timeout: Duration::from_secs(30),
            }),
            Self::Smtp(harness) => {
                harness.backend(&smtp_target(9, secret(), Duration::from_secs(30)))
            }
            Self::Local(harness) => harness.backend().map(|(backend, _)| backend),
        };
        made.map_err(no_backend)
    }

    /// Returns the faults that can occur on the way to the ESP; `None` if there are no calls.
    pub(super) fn faults(&self) -> Option<Faults> {
        match self {
            Self::Http(_) => Some(http_faults()),
            Self::Smtp(_) => Some(smtp_faults()),
            Self::Local(_) => None,
        }
    }

    /// Returns the webhooks, created with these secrets, and events about a message.
    pub(super) fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        match self {
            Self::Http(harness) => harness.webhooks(auth, sent),
            Self::Smtp(_) | Self::Local(_) => Vec::new(),
        }
    }

    /// Returns how the ESP signs, if it does.
    pub(super) fn signer(&self) -> Option<Arc<dyn Signer>> {
        match self {
            Self::Http(harness) => harness.signer(),
            Self::Smtp(_) | Self::Local(_) => None,
        }
    }

    /// Returns the names of the webhooks.
    pub(super) fn webhook_kinds(&self) -> Vec<WebhookKind> {
        let mut kinds = Vec::new();
        let profile = self.profile();
        for posts in self.webhooks(WebhookAuth::none(), &profile.some_mail()) {
            if !kinds.contains(&posts.webhook.kind()) {
                kinds.push(posts.webhook.kind());
            }
        }
        kinds
    }

    /// Creates a new rig. The backend gets this time limit for its calls.
    pub(super) fn rig(&self, timeout: Duration) -> Verdict<Rig> {
        let own = self.clone();
        match self {
            Self::Http(harness) => {
                let secret = secret();
                let desk = Desk::new(self.profile());
                let wire = HttpWire::start(Arc::clone(harness), desk, &secret)?;
                let target = Target {
                    url: wire.url(),
                    secret: secret.clone(),
                    timeout,
                };
                let backend = harness.backend(&target).map_err(no_backend)?;
                Ok(Rig::new(own, backend, Box::new(wire), secret))
            }
            Self::Smtp(harness) => {
                let secret = secret();
                let desk = Desk::new(self.profile());
                let wire = SmtpWire::start(Arc::clone(harness), desk, &secret)?;
                let target = smtp_target(wire.port(), secret.clone(), timeout);
                let backend = harness.backend(&target).map_err(no_backend)?;
                Ok(Rig::new(own, backend, Box::new(wire), secret))
            }
            Self::Local(harness) => {
                let (backend, mailbox) = harness.backend().map_err(no_backend)?;
                let wire = Box::new(LocalWire(mailbox));
                Ok(Rig::new(own, backend, wire, String::new()))
            }
        }
    }
}

fn smtp_target(port: u16, secret: String, timeout: Duration) -> SmtpTarget {
    SmtpTarget {
        host: "127.0.0.1".to_owned(),
        port,
        user: SMTP_USER.to_owned(),
        secret,
        timeout,
    }
}

fn no_backend(error: HarnessError) -> Stop {
    Stop::fail(format!("the harness could not create a backend: {error}"))
}

fn secret() -> String {
    format!("token{}", Uuid::new_v4().simple())
}
