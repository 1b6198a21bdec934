//! [`MailersConfig::from_env`]: reads a configuration from the environment, with the variable names
//! of django-anymail.
//!
//! Backend options are looked up in `find.rs` when mailers are built.

use serde_json::Value;

use super::env::{Env, PREFIX, upper};
use super::error::{ConfigFault, ConfigFaultKind as Kind, known_names, nearest};
use super::factory::all_options;
use super::mailer_config::{BackendConfig, MailerConfig, MailersConfig};
use super::read::{Given, Place, Table};
use super::registry::Registry;
use super::settings::Settings;
use crate::secret::Secret;

impl MailersConfig {
    /// Reads the configuration of one mailer, `default`, from the environment.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `ANYMAIL_BACKEND` | the name of the backend |
    /// | `ANYMAIL_URL` | a [`BackendUrl`](crate::BackendUrl) instead, which includes options |
    /// | `ANYMAIL_<BACKEND>_<OPTION>`, or `<BACKEND>_<OPTION>` | an option of the backend |
    /// | `ANYMAIL_<SETTING>` | one of the [`Settings`], for example `ANYMAIL_REDIRECT_TO` |
    /// | `ANYMAIL_<BACKEND>_SEND_DEFAULTS` | send defaults for one backend, as JSON |
    /// | `ANYMAIL_WEBHOOK_SECRET`, `ANYMAIL_<BACKEND>_WEBHOOK_SECRET` | one secret, or a JSON list |
    ///
    /// An unknown variable `ANYMAIL_...` is a fault if it looks like a typo: if it contains the
    /// name of a registered backend, or is similar to a known variable. All faults are reported
    /// when the configuration is [built](Self::build).
    ///
    /// ```
    /// use anymail_core::{Env, MailersConfig, Registry};
    ///
    /// let registry = Registry::new();
    /// let env = Env::from([
    ///     ("ANYMAIL_BACKEND", "console"),
    ///     ("ANYMAIL_DEFAULT_FROM", "Shop <shop@example.com>"),
    ///     ("ANYMAIL_SEND_DEFAULTS", r#"{"tags": ["shop"]}"#),
    /// ]);
    /// let mailers = MailersConfig::from_env(&env, &registry).build_in(&env, &registry)?;
    /// assert_eq!(mailers.default_mailer().backend().name(), "console");
    /// # Ok::<(), anymail_core::ConfigError>(())
    /// ```
    pub fn from_env(env: &Env, registry: &Registry) -> Self {
        let mut table = env_table(env, PREFIX);
        let mut config = Self {
            settings: Settings::read(&mut table),
            webhook_secrets: table
                .read("webhook_secret", Given::secrets)
                .unwrap_or_default(),
            place: Place::Env(PREFIX.to_owned()),
            ..Self::default()
        };
        let named = ["backend", "url"].map(|key| table.read(key, Given::text));
        if named.iter().any(Option::is_some) {
            let [backend, url] = named;
            let mailer = MailerConfig {
                backend,
                url: url.map(Secret::new),
                place: config.place.clone(),
                ..MailerConfig::default()
            };
            config.mailers.insert("default".to_owned(), mailer);
        } else if table.faults.is_empty() {
            let names: Vec<_> = registry.names().collect();
            let problem = format!(
                "must name a backend, unless {} contains a URL (known backends: {})",
                config.place.of("url"),
                names.join(", ")
            );
            let place = config.place.of("backend");
            let fault = ConfigFault::new(Kind::Missing, place, problem);
            table.faults.push(fault);
        }
        let staging = ["redirect_to", "allow_domains"].map(|key| config.place.of(key));
        for name in staging {
            // Treating it as unset would send messages to real recipients.
            if env.names().any(|set| set == name) && env.get(&name).is_none() {
                let problem = "must not be empty; to turn it off, unset the variable";
                table
                    .faults
                    .push(ConfigFault::new(Kind::InvalidValue, name, problem));
            }
        }
        config.faults = misspelt(&table, registry);
        config.faults.append(&mut table.faults);
        for name in registry.names() {
            let mut table = env_table(env, &format!("{PREFIX}{}_", upper(name)));
            let own = BackendConfig::read_own(&mut table);
            config.backends.insert(name.to_owned(), own);
            config
                .faults
                .extend(misspelt_options(&table, name, registry));
            config.faults.append(&mut table.faults);
        }
        config
    }
}

/// The variables with this prefix, by the rest of their names.
fn env_table(env: &Env, prefix: &str) -> Table {
    let named = env.names().filter_map(|name| {
        let key = name.strip_prefix(prefix)?.to_lowercase();
        Some((key, Value::from(env.get(name)?)))
    });
    Table::new(named.collect(), Place::Env(prefix.to_owned()))
}

/// Faults for unknown variables that are similar to known ones.
fn misspelt(table: &Table, registry: &Registry) -> Vec<ConfigFault> {
    let of_a_backend = |key: &&str| owner(key, registry).is_some();
    let options = registry.names().flat_map(|backend| {
        let names = registry.get(backend).map(all_options).unwrap_or_default();
        names
            .into_iter()
            .map(move |name| format!("{backend}_{name}"))
    });
    let options: Vec<String> = options.collect();
    let known: Vec<&str> = table
        .known()
        .chain(options.iter().map(String::as_str))
        .collect();
    let unread = table.rest().filter(|key| !of_a_backend(key));
    let faults = unread.filter_map(|key| {
        let meant = nearest(key, known.iter().copied())?;
        let problem = format!("unknown variable; did you mean {PREFIX}{}?", upper(meant));
        Some(ConfigFault::new(
            Kind::UnknownOption,
            table.place().of(key),
            problem,
        ))
    });
    faults.collect()
}

/// Faults for variables that contain a backend's name but none of its options.
fn misspelt_options(table: &Table, backend: &str, registry: &Registry) -> Vec<ConfigFault> {
    let mut known = registry.get(backend).map(all_options).unwrap_or_default();
    known.extend(table.known());
    let is_ours = |key: &&str| owner(&format!("{backend}_{key}"), registry) == Some(backend);
    let unknown = table
        .rest()
        .filter(|key| !known.contains(key))
        .filter(is_ours);
    let faults = unknown.map(|key| {
        let problem = format!("unknown {backend} option{}", known_names(key, &known));
        ConfigFault::new(Kind::UnknownOption, table.place().of(key), problem)
    });
    faults.collect()
}

/// The backend with the longest name that the key starts with.
fn owner<'a>(key: &str, registry: &'a Registry) -> Option<&'a str> {
    let is_prefix = |name: &&str| {
        let name = upper(name).to_lowercase();
        key.strip_prefix(&name)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    registry
        .names()
        .filter(is_prefix)
        .max_by_key(|name| name.len())
}
