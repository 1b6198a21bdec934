//! [`Mailers`]: an app's mailers by name.
//!
//! How they are made of a configuration is in `build.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::env::Env;
use super::error::ConfigError;
use super::mailer_config::MailersConfig;
use super::registry::Registry;
use super::suppressions::Suppressions;
use super::webhooks::Webhooks;
use crate::message::Message;
#[cfg(feature = "webhooks")]
use crate::receiving::Webhook;
use crate::sending::{Check, Mailer};
#[cfg(feature = "webhooks")]
use crate::suppressions::SuppressionFeed;
use crate::suppressions::SuppressionStore;

/// Several mailers by name, one of which is the default.
///
/// ```
/// use anymail_core::{Mailer, Mailers, MemoryBackend};
///
/// let mailers = Mailers::new("transactional", Mailer::new(MemoryBackend::new()))
///     .with("marketing", Mailer::new(MemoryBackend::new()));
/// assert!(mailers.get("marketing").is_some());
/// ```
#[derive(Debug, Clone)]
pub struct Mailers {
    /// The first of the mailers.
    default: Mailer,
    mailers: IndexMap<String, Mailer>,
    pub(super) suppressions: BTreeMap<String, Suppressions>,
    #[cfg_attr(not(feature = "webhooks"), allow(dead_code))]
    pub(super) webhooks: Webhooks,
}

impl Mailers {
    /// One mailer, the default.
    pub fn new(name: impl Into<String>, default: Mailer) -> Self {
        Self {
            mailers: IndexMap::from([(name.into(), default.clone())]),
            default,
            suppressions: BTreeMap::new(),
            webhooks: Default::default(),
        }
    }

    /// The same with one mailer more, in the place of one of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, mailer: Mailer) -> Self {
        let (at, _) = self.mailers.insert_full(name.into(), mailer.clone());
        if at == 0 {
            self.default = mailer;
        }
        self
    }

    /// What the environment of this process says; see [`MailersConfig::from_env`].
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong.
    pub fn from_env(registry: &Registry) -> Result<Self, ConfigError> {
        let env = Env::process();
        MailersConfig::from_env(&env, registry).build_in(&env, registry)
    }

    /// The mailer for all mail that asks for no other.
    pub fn default_mailer(&self) -> &Mailer {
        &self.default
    }

    /// The name of that mailer.
    pub fn default_name(&self) -> &str {
        self.mailers.keys().next().map_or("", String::as_str)
    }

    /// The mailer of this name.
    pub fn get(&self, name: &str) -> Option<&Mailer> {
        self.mailers.get(name)
    }

    /// The names, the default's first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.mailers.keys().map(String::as_str)
    }

    /// For each mailer by name, what it would refuse of `message` or leave out; nothing is sent.
    ///
    /// ```
    /// use anymail_core::{ConsoleBackend, Mailer, Mailers, MemoryBackend, Message};
    /// use serde_json::json;
    ///
    /// let mailers = Mailers::new("now", Mailer::new(MemoryBackend::new()))
    ///     .with("next", Mailer::new(ConsoleBackend::new()));
    /// let message = Message::builder()
    ///     .from("shop@example.com")
    ///     .to("ann@example.com")
    ///     .esp_extra(json!({"stream": "news"}))
    ///     .build()?;
    /// for (name, check) in mailers.check_all(&message) {
    ///     println!("{name}: {check}");
    ///     assert_eq!(check.is_ok(), name == "now");
    /// }
    /// # Ok::<(), anymail_core::MessageError>(())
    /// ```
    pub fn check_all(&self, message: &Message) -> Vec<(&str, Check)> {
        let checks = self.mailers.iter();
        let checks = checks.map(|(name, mailer)| (name.as_str(), mailer.check(message)));
        checks.collect()
    }

    /// The store of the suppressions that a mailer heeds, to add to it, list it, or give it to
    /// one-click unsubscribe. Nothing, if none is configured for the mailer.
    pub fn suppression_store(&self, mailer: &str) -> Option<Arc<dyn SuppressionStore>> {
        self.suppressions.get(mailer).map(Suppressions::store)
    }

    /// What enters the events of webhooks into that store (feature `webhooks`).
    #[cfg(feature = "webhooks")]
    pub fn suppression_feed(&self, mailer: &str) -> Option<SuppressionFeed> {
        self.suppressions.get(mailer).map(Suppressions::feed)
    }

    /// The webhooks of all configured backends, members of failovers and round robins included,
    /// to be given to [`webhook_routes`](crate::webhook_routes) or looked up by
    /// [`webhook_at`](crate::webhook_at) (feature `webhooks`).
    ///
    /// Each is at a URL of its own: mailers at the same ESP share one. If they have the same
    /// secrets, they have one webhook, too; otherwise a request is for the mailer whose secret it
    /// bears.
    ///
    /// ```
    /// use anymail_core::{MailersConfig, Registry, webhook_path};
    /// # fn app(registry: &Registry) -> Result<(), Box<dyn std::error::Error>> {
    ///
    /// let config: MailersConfig = serde_json::from_str(
    ///     r#"{"url": "env:MAIL_URL", "webhook_secret": "env:MAIL_WEBHOOK_SECRET"}"#,
    /// )?;
    /// let mailers = config.build(registry)?;
    /// for webhook in mailers.webhooks()? {
    ///     println!("let {} post to {}", webhook.esp(), webhook_path(&webhook));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] if a configured backend has webhooks, and neither a secret for them nor
    /// `webhook_secret = "none"`, or if its crate was built without them. The error comes here and
    /// not when the mailers are built, because an app that only sends needs neither.
    #[cfg(feature = "webhooks")]
    pub fn webhooks(&self) -> Result<Vec<Arc<dyn Webhook>>, ConfigError> {
        self.webhooks.to_mount()
    }

    /// The same with more webhooks, for mailers that are made by code.
    #[cfg(feature = "webhooks")]
    #[must_use]
    pub fn with_webhooks(mut self, webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>) -> Self {
        self.webhooks.add(webhooks);
        self
    }
}
