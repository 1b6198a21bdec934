//! [`MailersConfig`] and its parts, as they stand in a configuration file.
//!
//! Mailers are made of it in `build.rs`; from the environment it is read in `env_config.rs`.

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

/// All of an app's mail configuration: mailers by name, and what holds for several of them.
///
/// It is read from TOML, JSON or any other format that serde knows, from the
/// [environment](Self::from_env), or put together by code. One mailer needs no name:
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
/// A [`BackendUrl`](crate::BackendUrl) is a backend and its options in one value, which is best
/// kept outside the file:
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
/// Several mailers have a backend or URL each, and [`Settings`] of their own over the general
/// ones:
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
/// An option is looked for in the mailer's `options` and its URL, then in the options of
/// `backends`, then in the environment. A `webhook_secret` is one of the mailer's or its URL's, of
/// the backend's, or the general one, in this order; `none` lets anybody post to the webhooks.
/// Secrets may be given as `env:NAME` or `file:PATH`, and should be: a parser that stumbles over the
/// line quotes it.
///
/// Reading takes anything that is a table; what is wrong in it comes out when it is
/// [built](Self::build), all at once. It cannot be serialized, and `Debug` shows the names of
/// options only: they may be secrets.
#[derive(Debug, Clone, Default)]
pub struct MailersConfig {
    /// What holds for all mailers that do not say otherwise.
    pub settings: Settings,
    pub(super) default: Option<String>,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) backends: IndexMap<String, BackendConfig>,
    pub(super) mailers: IndexMap<String, MailerConfig>,
    pub(super) place: Place,
    pub(super) faults: Vec<ConfigFault>,
}

impl MailersConfig {
    /// A configuration without any mailer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a mailer, in the place of one of the same name.
    #[must_use]
    pub fn mailer(mut self, name: impl Into<String>, mailer: MailerConfig) -> Self {
        let name = name.into();
        let mailer = mailer.at(Place::Path(format!("mailers.{name}.")));
        self.mailers.insert(name, mailer);
        self
    }

    /// Says what holds for every mailer with the backend of this name.
    #[must_use]
    pub fn backend(mut self, name: impl Into<String>, backend: BackendConfig) -> Self {
        self.backends.insert(name.into(), backend);
        self
    }

    /// Says which mailer is the default. Else it is the one named `default`, or the only one.
    #[must_use]
    pub fn default_mailer(mut self, name: impl Into<String>) -> Self {
        self.default = Some(name.into());
        self
    }

    /// Adds a secret, `user:password`, that webhooks must bring. Several are allowed, so that it
    /// can be changed without losing events. `none` lets anybody post: for webhooks that something
    /// else protects.
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

/// As the mailer `default`, the only one.
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

/// One mailer: its backend, by name or by URL, the backend's options, and settings of its own.
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
    /// What this mailer has of its own.
    pub settings: Settings,
    pub(super) backend: Option<String>,
    pub(super) url: Option<Secret>,
    pub(super) options: JsonMap,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) place: Place,
    pub(super) faults: Vec<ConfigFault>,
}

impl MailerConfig {
    /// A mailer with the backend of this name.
    pub fn new(backend: impl Into<String>) -> Self {
        Self {
            backend: Some(backend.into()),
            ..Self::default()
        }
    }

    /// A mailer with the backend that a [`BackendUrl`](crate::BackendUrl) names, and its options:
    /// the URL itself, or `env:NAME` or `file:PATH` for the variable or file that has it. (What
    /// begins with `file://` is a URL itself.)
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

    /// Adds a secret, `user:password`, that webhooks must bring, in place of the backend's and the
    /// general ones: for one of several accounts at an ESP. `none` lets anybody post.
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

    /// The same at another place.
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
        // A URL in the wrong place is a secret there, too.
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

/// What every mailer with one backend has in common: options and send defaults.
#[derive(Clone, Default)]
pub struct BackendConfig {
    /// Send defaults over the general ones, field by field, and under a mailer's own.
    pub send_defaults: SendDefaults,
    pub(super) options: JsonMap,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) faults: Vec<ConfigFault>,
}

impl BackendConfig {
    /// Nothing in common yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an option for mailers that do not set it themselves.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Adds a secret, `user:password`, that this ESP's webhooks must bring, in the place of the
    /// general ones. `none` lets anybody post.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.webhook_secrets.push(secret.into());
        self
    }

    /// What stands in a file as well as in the environment: all but the options.
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
