//! [`MailersConfig`] and its parts, as a configuration file contains them.
//!
//! `build.rs` builds mailers from it; `env_config.rs` reads it from the environment.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::backend_url::is_url;
use super::error::{ConfigFault, ConfigFaultKind as Kind};
use super::read::{Given, Place, Table};
use super::settings::{Settings, read_defaults};
use crate::message::JsonMap;
use crate::secret::Secret;
use crate::sending::SendDefaults;

/// An app's mail configuration: mailers by name, and settings for several of them.
///
/// Read it from TOML, JSON or any other format that serde supports, from the
/// [environment](Self::from_env), or create it in code. A single mailer needs no name:
///
/// ```
/// # use anymail_core::{MailersConfig, Registry};
/// let config: MailersConfig = toml::from_str(r#"
///     backend = "console"    # the one value to change
///     default_from = "Shop <shop@example.com>"
/// "#)?;
/// let mailers = config.build(&Registry::new())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A [`BackendUrl`](crate::BackendUrl) is a backend with its options in one value. It contains
/// secrets, so keep it out of the file:
///
/// ```
/// # use anymail_core::{Env, MailersConfig, Registry};
/// let config: MailersConfig = toml::from_str(r#"
///     url = "env:MAIL_URL"           # or "file:PATH", or the URL itself
/// "#)?;
/// let env = Env::from([("MAIL_URL", "failover://?members=memory,console&rest=30")]);
/// let mailers = config.build_in(&env, &Registry::new())?;
/// assert_eq!(mailers.default_mailer().backend().name(), "failover");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each of several mailers has its own backend or URL, and its own [`Settings`] take precedence
/// over the general ones:
///
/// ```
/// # use anymail_core::{MailersConfig, Registry};
/// let config: MailersConfig = toml::from_str(r#"
///     default = "main"                           # else the one named "default", or the only one
///     webhook_secret = "user:password"           # or "env:NAME", "file:PATH", a list, or "none"
///     ignore_unsupported_features = true         # any of the settings
///
///     [send_defaults]                            # the general ones
///     tags = ["shop"]
///
///     [backends.memory]                          # for every mailer with this backend
///     send_defaults = { metadata = { place = "memory" } }
///
///     [mailers.main]
///     backend = "failover"
///     options = { members = ["marketing", "console"], rest = 30 }
///
///     [mailers.marketing]
///     backend = "memory"
///     redirect_to = "qa@example.com"             # for staging
///
///     [mailers.main.send_defaults]
///     from = "Shop <shop@example.com>"
/// "#)?;
/// # let error = config.build(&Registry::new()).unwrap_err();
/// # assert_eq!(error.faults().len(), 1); // "marketing" redirects, "main" does not
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An option is read from the first place that sets it: the mailer's `options` or URL, the options
/// in `backends`, the environment. A `webhook_secret` is read from the mailer or its URL, then from
/// the backend, then from the general settings; `none` turns webhook authentication off. Write
/// secrets as `env:NAME` or `file:PATH`: the error of a parser may quote the line that contains a
/// literal secret.
///
/// Deserializing accepts any table. All faults are reported together when the configuration is
/// [built](Self::build). It cannot be serialized, and `Debug` shows only the names of options,
/// because the values may be secrets.
#[derive(Debug, Clone, Default)]
pub struct MailersConfig {
    /// Settings for all mailers that do not override them.
    pub settings: Settings,
    pub(super) default: Option<String>,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) backends: IndexMap<String, BackendConfig>,
    pub(super) mailers: IndexMap<String, MailerConfig>,
    pub(super) place: Place,
    pub(super) faults: Vec<ConfigFault>,
}

impl MailersConfig {
    /// Creates a configuration without mailers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a mailer, replacing one with the same name.
    #[must_use]
    pub fn mailer(mut self, name: impl Into<String>, mailer: MailerConfig) -> Self {
        let name = name.into();
        let mailer = mailer.at(Place::Path(format!("mailers.{name}.")));
        self.mailers.insert(name, mailer);
        self
    }

    /// Sets what all mailers with the backend of this name have in common.
    #[must_use]
    pub fn backend(mut self, name: impl Into<String>, backend: BackendConfig) -> Self {
        self.backends.insert(name.into(), backend);
        self
    }

    /// Selects the default mailer. Without it, the default is the mailer named `default`, or the
    /// only one.
    #[must_use]
    pub fn default_mailer(mut self, name: impl Into<String>) -> Self {
        self.default = Some(name.into());
        self
    }

    /// Adds a secret, `user:password`, that webhook requests must contain. There can be several, so
    /// that you can change a secret without losing events. `none` turns authentication off, for
    /// webhooks that are protected in another way.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.webhook_secrets.push(secret.into());
        self
    }

    fn read(map: JsonMap) -> Self {
        let mut table = Table::new(map, Place::default());
        let mut config = Self {
            settings: Settings::read(&mut table),
            default: table.read("default", Given::text),
            webhook_secrets: table
                .read("webhook_secret", Given::secrets)
                .unwrap_or_default(),
            ..Self::default()
        };
        let keys = ["backend", "url", "options"];
        let short = keys.map(|key| table.take(key));
        if short.iter().any(Option::is_some) {
            let keys = keys.into_iter().zip(short);
            let map = keys.filter_map(|(key, given)| Some((key.to_owned(), given?.value)));
            let mailer = MailerConfig::read(map.collect(), Place::default());
            config.mailers.insert("default".to_owned(), mailer);
        }
        for (name, map, place) in table.tables("mailers") {
            if name == "default" && config.mailers.contains_key(&name) {
                let problem =
                    "the mailer \"default\" is also set by backend, url or options: remove one";
                let fault = ConfigFault::new(Kind::Conflict, "mailers.default", problem);
                table.faults.push(fault);
            }
            config.mailers.insert(name, MailerConfig::read(map, place));
        }
        for (name, map, place) in table.tables("backends") {
            let mut own = Table::new(map, place);
            let mut backend = BackendConfig::read_own(&mut own);
            backend.options = own.read("options", Given::table).unwrap_or_default();
            backend.faults = own.finish();
            config.backends.insert(name, backend);
        }
        config.faults = table.finish();
        config
    }
}

/// Becomes the only mailer, `default`.
impl From<MailerConfig> for MailersConfig {
    fn from(mailer: MailerConfig) -> Self {
        let mailers = IndexMap::from([("default".to_owned(), mailer)]);
        Self {
            mailers,
            ..Self::default()
        }
    }
}

impl<'de> Deserialize<'de> for MailersConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonMap::deserialize(deserializer).map(Self::read)
    }
}

/// The configuration of one mailer: its backend, by name or by URL, the backend's options, and its
/// settings.
///
/// ```
/// use anymail_core::{MailerConfig, MailersConfig, Registry};
///
/// let config = MailersConfig::new()
///     .mailer("transactional", MailerConfig::new("memory"))
///     .mailer(
///         "marketing",
///         MailerConfig::new("failover").option("members", ["memory", "console"]),
///     )
///     .default_mailer("transactional");
/// let mailers = config.build(&Registry::new())?;
/// assert_eq!(mailers.names().collect::<Vec<_>>(), ["transactional", "marketing"]);
/// # Ok::<(), anymail_core::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct MailerConfig {
    /// The settings of this mailer, which take precedence over the general ones.
    pub settings: Settings,
    pub(super) backend: Option<String>,
    pub(super) url: Option<Secret>,
    pub(super) options: JsonMap,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) place: Place,
    pub(super) faults: Vec<ConfigFault>,
}

impl MailerConfig {
    /// Creates a mailer with the backend of this name.
    pub fn new(backend: impl Into<String>) -> Self {
        Self {
            backend: Some(backend.into()),
            ..Self::default()
        }
    }

    /// Creates a mailer from a [`BackendUrl`](crate::BackendUrl): the URL itself, or `env:NAME` or
    /// `file:PATH` for the variable or file that contains it. A value that starts with `file://` is
    /// a URL.
    ///
    /// ```
    /// use anymail_core::{Env, MailerConfig, MailersConfig, Registry};
    ///
    /// let env = Env::from([("MAIL_URL", "console://")]);
    /// let config = MailersConfig::from(MailerConfig::from_url("env:MAIL_URL"));
    /// let mailers = config.build_in(&env, &Registry::new())?;
    /// assert_eq!(mailers.default_mailer().backend().name(), "console");
    /// # Ok::<(), anymail_core::ConfigError>(())
    /// ```
    pub fn from_url(url: impl Into<Secret>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// Sets an option of the backend.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Adds a secret, `user:password`, that webhook requests must contain, instead of the backend's
    /// and the general ones. Use it if you have several accounts at an ESP. `none` turns
    /// authentication off.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.webhook_secrets.push(secret.into());
        self
    }

    fn read(map: JsonMap, place: Place) -> Self {
        let mut table = Table::new(map, place.clone());
        let named = [table.take("backend"), table.take("url")];
        if named.iter().all(Option::is_none) {
            let problem = "a mailer needs a backend: set backend or url";
            let fault = ConfigFault::new(Kind::Missing, place.of("backend"), problem);
            table.faults.push(fault);
        }
        let [backend, url] = named.map(|given| {
            let text = given?.text();
            text.map_err(|fault| table.faults.push(fault)).ok()
        });
        Self {
            settings: Settings::read(&mut table),
            backend,
            url: url.map(Secret::new),
            options: table.read("options", Given::table).unwrap_or_default(),
            webhook_secrets: table
                .read("webhook_secret", Given::secrets)
                .unwrap_or_default(),
            place,
            faults: table.finish(),
        }
    }

    /// Moves the configuration to another location.
    fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

impl<'de> Deserialize<'de> for MailerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = JsonMap::deserialize(deserializer)?;
        Ok(Self::read(map, Place::default()))
    }
}

/// Shows the names of options, not their values.
impl fmt::Debug for MailerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL in the wrong place is still a secret.
        let backend = self.backend.as_deref();
        let backend = backend.map(|name| if is_url(name) { "[redacted]" } else { name });
        f.debug_struct("MailerConfig")
            .field("backend", &backend)
            .field("url", &self.url)
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What all mailers with the same backend have in common: options and send defaults.
#[derive(Clone, Default)]
pub struct BackendConfig {
    /// Send defaults that take precedence over the general ones, field by field, but not over a
    /// mailer's own.
    pub send_defaults: SendDefaults,
    pub(super) options: JsonMap,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) faults: Vec<ConfigFault>,
}

impl BackendConfig {
    /// Creates an empty configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an option for mailers that do not set it themselves.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Adds a secret, `user:password`, that this ESP's webhook requests must contain, instead of
    /// the general ones. `none` turns authentication off.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.webhook_secrets.push(secret.into());
        self
    }

    /// Reads everything that a file and the environment have in common: all but the options.
    pub(super) fn read_own(table: &mut Table) -> Self {
        Self {
            send_defaults: read_defaults(table),
            webhook_secrets: table
                .read("webhook_secret", Given::secrets)
                .unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Shows the names of options, not their values.
impl fmt::Debug for BackendConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendConfig")
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .field("send_defaults", &self.send_defaults)
            .finish_non_exhaustive()
    }
}
