//! Finds the backend of a mailer, by name or by URL, and the values of its options.
//!
//! `build.rs` says what is built from them, `read.rs` how a value is read.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use super::backend_url::{BackendUrl, is_url};
use super::env::{Env, option_names, upper};
use super::error::{ConfigFault, ConfigFaultKind as Kind, known_names};
use super::factory::{BackendFactory, all_options};
use super::mailer_config::{BackendConfig, MailerConfig, MailersConfig};
use super::options::{OptionKind, OptionSpec, OptionValue};
use super::read::{Given, Place, Source, resolve};
use super::registry::{Registry, url_scheme};
use crate::secret::Secret;

/// A mailer's backend and all places that may contain its options.
pub(super) struct Chosen<'c> {
    pub(super) factory: &'c dyn BackendFactory,
    pub(super) by_url: Option<ByUrl>,
    config: &'c MailerConfig,
    of_backend: Option<&'c BackendConfig>,
    backend_place: Place,
    env: &'c Env,
}

/// The options in a URL.
pub(super) struct ByUrl {
    /// The URL itself, to detect one that contains itself.
    pub(super) text: Secret,
    place: String,
    values: BTreeMap<&'static str, Secret>,
}

/// An option that a URL may have in addition to the backend's. Mailers, backends and whole
/// configurations have it, too.
const WEBHOOK_SECRET: &str = "webhook_secret";

impl ByUrl {
    /// The webhook secret.
    #[cfg(feature = "webhooks")]
    pub(super) fn webhook_secret(&self) -> Option<&Secret> {
        self.values.get(WEBHOOK_SECRET)
    }

    /// The location of an option in the URL.
    pub(super) fn place_of(&self, option: &str) -> String {
        format!("{} ({option})", self.place)
    }

    /// Redacts the URL's values in a problem. Values of one or two characters are left alone: they
    /// are numbers and the like, and would match everywhere.
    pub(super) fn redact(&self, problem: &str) -> String {
        let mut shown: Vec<String> = Vec::new();
        for value in self.values.values() {
            let value = value.expose().trim();
            let escaped = format!("{value:?}");
            shown.push(escaped.trim_matches('"').to_owned());
            shown.push(value.to_owned());
        }
        shown.retain(|value| value.len() > 2);
        // One value may be a part of another.
        shown.sort_by_key(|value| Reverse(value.len()));
        let redacted = |problem: String, value: &String| problem.replace(value, "[redacted]");
        shown.iter().fold(problem.to_owned(), redacted)
    }
}

impl Chosen<'_> {
    /// Finds an option, in this order: the mailer or its URL, the backend, the environment.
    pub(super) fn find(&self, option: &str) -> Option<Given> {
        let in_table = |value: Option<&Value>, place: &Place| {
            let value = value.filter(|value| !value.is_null())?;
            Some(Given {
                value: value.clone(),
                place: place.of(&format!("options.{option}")),
                source: Source::Table,
            })
        };
        let in_url = || {
            let by_url = self.by_url.as_ref()?;
            Some(Given {
                value: Value::from(by_url.values.get(option)?.expose()),
                place: by_url.place_of(option),
                source: Source::Url,
            })
        };
        let in_env = || {
            let mut names = option_names(self.factory.name(), option).into_iter();
            names.find_map(|place| {
                Some(Given {
                    value: Value::from(self.env.get(&place)?),
                    place,
                    source: Source::Env,
                })
            })
        };
        let of_backend = self.of_backend.and_then(|it| it.options.get(option));
        in_table(self.config.options.get(option), &self.config.place)
            .or_else(in_url)
            .or_else(|| in_table(of_backend, &self.backend_place))
            .or_else(in_env)
    }

    /// The location where an option is set, or would be.
    pub(super) fn place_of(&self, option: &str) -> String {
        if let Some(given) = self.find(option) {
            return given.place;
        }
        match self.config.place {
            Place::Path(_) => self.config.place.of(&format!("options.{option}")),
            Place::Env(_) => {
                let [name, _] = option_names(self.factory.name(), option);
                name
            }
        }
    }
}

/// Looks things up in a configuration and its environment, and collects faults.
pub(super) struct Finder<'a> {
    pub(super) config: &'a MailersConfig,
    pub(super) registry: &'a Registry,
    pub(super) env: &'a Env,
    pub(super) faults: Vec<ConfigFault>,
}

impl<'a> Finder<'a> {
    pub(super) fn fault(
        &mut self,
        kind: Kind,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) {
        self.faults.push(ConfigFault::new(kind, place, problem));
    }

    pub(super) fn backend_place(&self, name: &str) -> Place {
        match self.config.place {
            Place::Path(_) => Place::Path(format!("backends.{name}.")),
            Place::Env(_) => {
                let [prefix, _] = option_names(name, "");
                Place::Env(prefix)
            }
        }
    }

    pub(super) fn factory(&mut self, name: &str, place: &str) -> Option<&'a dyn BackendFactory> {
        let factory = self.registry.get(name);
        if is_url(name) {
            let problem = "expected the name of a backend; for a URL, set url (ANYMAIL_URL in the \
                           environment)";
            self.fault(Kind::UnknownBackend, place, problem);
        } else if factory.is_none() {
            let problem = self.registry.why_no_backend(name);
            self.fault(Kind::UnknownBackend, place, problem);
        }
        factory
    }

    pub(super) fn unknown_options<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k str>,
        factory: &dyn BackendFactory,
        place: &Place,
    ) {
        let known = all_options(factory);
        for key in keys.filter(|key| !known.contains(key)) {
            let name = factory.name();
            let problem = format!("unknown {name} option{}", known_names(key, &known));
            self.fault(
                Kind::UnknownOption,
                place.of(&format!("options.{key}")),
                problem,
            );
        }
    }

    /// The backend that a mailer selects by name or by URL.
    pub(super) fn chosen<'c>(&mut self, config: &'c MailerConfig) -> Option<Chosen<'c>>
    where
        'a: 'c,
    {
        let url_place = config.place.of("url");
        let (factory, by_url) = match (&config.backend, &config.url) {
            (Some(name), None) => (self.factory(name, &config.place.of("backend"))?, None),
            (None, Some(url)) => {
                let (factory, by_url) = self.by_url(url, url_place)?;
                (factory, Some(by_url))
            }
            (Some(_), Some(_)) => {
                let problem =
                    "backend is also set, but the URL already names the backend: remove one";
                self.fault(Kind::Conflict, url_place, problem);
                return None;
            }
            (None, None) => {
                if config.faults.is_empty() {
                    let problem = "a mailer needs a backend: set backend or url";
                    self.fault(Kind::Missing, config.place.of("backend"), problem);
                }
                return None;
            }
        };
        let keys = config.options.keys().map(String::as_str);
        self.unknown_options(keys, factory, &config.place);
        let chosen = Chosen {
            factory,
            by_url,
            config,
            of_backend: self.config.backends.get(factory.name()),
            backend_place: self.backend_place(factory.name()),
            env: self.env,
        };
        if let Some(by_url) = &chosen.by_url {
            let twice = by_url.values.keys();
            for option in twice.filter(|option| config.options.contains_key(**option)) {
                let problem =
                    format!("the option {option} is also in the mailer's options: remove one");
                self.fault(Kind::Conflict, by_url.place.clone(), problem);
            }
        }
        Some(chosen)
    }

    /// Finds an option. A required option that is not set is a fault.
    pub(super) fn given(&mut self, chosen: &Chosen<'_>, spec: &OptionSpec) -> Option<Given> {
        let given = chosen.find(spec.name);
        if given.is_none() && spec.required {
            let name = chosen.factory.name();
            let [long, bare] = option_names(name, spec.name);
            let in_url = match &chosen.by_url {
                Some(_) => url_with(chosen.factory, spec.name),
                None => None,
            };
            let in_url = in_url.map_or(String::new(), |url| format!("write it as {url}, "));
            let problem = format!(
                "required by {name} ({}): {in_url}set it in the configuration, or set {long} or {bare} in the environment",
                spec.help
            );
            self.fault(Kind::Missing, chosen.place_of(spec.name), problem);
        }
        given
    }

    /// Reads the value of an option.
    pub(super) fn value(&mut self, given: &Given, kind: OptionKind) -> Option<OptionValue> {
        let value = match kind {
            OptionKind::Text => given.text().map(OptionValue::Text),
            OptionKind::Secret => given.text().and_then(|text| {
                let secret = match given.source {
                    Source::Url if text.trim().is_empty() => {
                        return Err(given.invalid("the secret must not be empty"));
                    }
                    Source::Url => Secret::new(text),
                    Source::Table | Source::Env => {
                        resolve(&Secret::new(text), self.env, &given.place)?
                    }
                };
                Ok(OptionValue::Secret(secret))
            }),
            OptionKind::Flag => given.flag().map(OptionValue::Flag),
            OptionKind::Integer => given.integer().map(OptionValue::Integer),
            OptionKind::Seconds => given.seconds().map(OptionValue::Seconds),
            OptionKind::List | OptionKind::Mailers => given.list().map(OptionValue::List),
        };
        value.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn by_url(&mut self, url: &Secret, place: String) -> Option<(&'a dyn BackendFactory, ByUrl)> {
        let text = match resolve_url(url, self.env, &place) {
            Ok(text) => text,
            Err(fault) => {
                self.faults.push(fault);
                return None;
            }
        };
        let url: BackendUrl = match text.expose().parse() {
            Ok(url) => url,
            Err(error) => {
                self.fault(Kind::InvalidValue, place, error.to_string());
                return None;
            }
        };
        let Some(factory) = self.registry.of_scheme(url.scheme()) else {
            let problem = self.registry.why_no_scheme(url.scheme());
            self.fault(Kind::UnknownBackend, place, problem);
            return None;
        };
        let name = factory.name();
        let made = factory.url_options(&url);
        for part in made.unused() {
            let problem = format!("{name} does not use the URL's {part}: remove it");
            self.fault(Kind::InvalidValue, place.clone(), problem);
        }
        let mut known = all_options(factory);
        known.push(WEBHOOK_SECRET);
        let made = made.options.iter().map(|(option, value)| (*option, value));
        let mut values = BTreeMap::new();
        for (option, value) in made.chain(url.query()) {
            let Some(known) = known.iter().find(|known| **known == option) else {
                // Not quoted: the URL is a secret, and its query may contain anything.
                let known = known_names(option, &known);
                let problem = format!("unknown {name} option in the URL's query{known}");
                self.fault(Kind::UnknownOption, place.clone(), problem);
                continue;
            };
            if values.insert(*known, value.clone()).is_some() {
                let problem = format!("the option {known} is in the URL's query twice");
                self.fault(Kind::Conflict, place.clone(), problem);
            }
        }
        let by_url = ByUrl {
            text,
            place,
            values,
        };
        Some((factory, by_url))
    }
}

/// The form of a URL that contains this option as its user; `None` if the backend's URLs do not.
fn url_with(factory: &dyn BackendFactory, option: &str) -> Option<String> {
    const USER: &str = "user";
    let scheme = url_scheme(factory.name());
    let url = format!("{scheme}://{USER}@default").parse().ok()?;
    let made = factory.url_options(&url);
    let is_user = |(name, value): &(&str, Secret)| *name == option && value.expose() == USER;
    let upper = upper(option);
    let found = made.options.iter().any(is_user);
    found.then(|| format!("{scheme}://{upper}@default"))
}

/// A URL, or the contents of the variable or file that contains it. `file://` is a URL with the
/// scheme of the `file` backend.
fn resolve_url(given: &Secret, env: &Env, place: &str) -> Result<Secret, ConfigFault> {
    match given.expose().starts_with("file://") {
        true => Ok(given.clone()),
        false => resolve(given, env, place),
    }
}
