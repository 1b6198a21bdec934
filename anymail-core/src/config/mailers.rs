//! [`Mailers`]: an app's mailers by name.
//!
//! `build.rs` builds them from a configuration.

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
    /// Creates a set of one mailer, which is the default.
    pub fn new(name: impl Into<String>, default: Mailer) -> Self {
        Self {
            mailers: IndexMap::from([(name.into(), default.clone())]),
            default,
            suppressions: BTreeMap::new(),
            webhooks: Default::default(),
        }
    }

    /// Adds a mailer, replacing one with the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, mailer: Mailer) -> Self {
        let (at, _) = self.mailers.insert_full(name.into(), mailer.clone());
        if at == 0 {
            self.default = mailer;
        }
        self
    }

    /// Builds mailers from the environment of this process; see [`MailersConfig::from_env`].
    ///
    /// # Errors
    /// [`ConfigError`] with all faults.
    pub fn from_env(registry: &Registry) -> Result<Self, ConfigError> {
        let env = Env::process();
        MailersConfig::from_env(&env, registry).build_in(&env, registry)
    }

    /// The mailer to use unless another one is asked for.
    pub fn default_mailer(&self) -> &Mailer {
        &self.default
    }

    /// The name of the default mailer.
    pub fn default_name(&self) -> &str {
        self.mailers.keys().next().map_or("", String::as_str)
    }

    /// The mailer with this name.
    pub fn get(&self, name: &str) -> Option<&Mailer> {
        self.mailers.get(name)
    }

    /// The names of all mailers, starting with the default.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.mailers.keys().map(String::as_str)
    }

    /// Checks for each mailer, by name, what it would refuse or drop of `message`. Nothing is sent.
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

    /// The suppression store of a mailer, for example to add to it, to list it, or to pass it to
    /// [`OneClickUnsubscribe`](crate::OneClickUnsubscribe). `None` if the mailer has no
    /// suppressions.
    pub fn suppression_store(&self, mailer: &str) -> Option<Arc<dyn SuppressionStore>> {
        self.suppressions.get(mailer).map(Suppressions::store)
    }

    /// The feed that records webhook events in that store (feature `webhooks`). `None` if the
    /// mailer has no suppressions.
    #[cfg(feature = "webhooks")]
    pub fn suppression_feed(&self, mailer: &str) -> Option<SuppressionFeed> {
        self.suppressions.get(mailer).map(Suppressions::feed)
    }

    /// The webhooks of all configured backends, including the members of failovers and round
    /// robins. Pass them to [`webhook_routes`](crate::webhook_routes), or look one up with
    /// [`webhook_at`](crate::webhook_at). Requires the feature `webhooks`.
    ///
    /// Each webhook has its own URL; mailers at the same ESP share one. If they have the same
    /// secrets, they share the webhook, too; otherwise the secret in a request selects the mailer.
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
    /// [`ConfigError`] if a configured backend has webhooks but neither a secret nor
    /// `webhook_secret = "none"`, or if its crate was compiled without them. This is not an error
    /// when the mailers are built, because an app that only sends does not need webhooks.
    #[cfg(feature = "webhooks")]
    pub fn webhooks(&self) -> Result<Vec<Arc<dyn Webhook>>, ConfigError> {
        self.webhooks.to_mount()
    }

    /// Adds webhooks, for mailers that are created in code.
    #[cfg(feature = "webhooks")]
    #[must_use]
    pub fn with_webhooks(mut self, webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>) -> Self {
        self.webhooks.add(webhooks);
        self
    }
}
