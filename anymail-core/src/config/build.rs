//! Mailers are made of a configuration here, or all of its faults are told.
//!
//! Where values come from is said in `read.rs`; what a mailer does with them in `sending`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::env::{Env, option_names};
use super::error::{ConfigError, ConfigFault, ConfigFaultKind as Kind, known_names};
use super::factory::BackendFactory;
use super::find::{Chosen, all_options, is_url};
use super::mailer_config::{MailerConfig, MailersConfig};
use super::mailers::Mailers;
use super::options::{OptionKind, OptionValue, Options};
use super::read::{Given, Place, Source, resolve};
use super::registry::Registry;
use super::webhooks::MakingWebhooks;
use crate::secret::Secret;
use crate::sending::{EmailBackend, Mailer, MailerBuilder, SendDefaults};

impl MailersConfig {
    /// The mailers; options that are not given, and secrets, are looked for in this process's
    /// environment.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong.
    pub fn build(&self, registry: &Registry) -> Result<Mailers, ConfigError> {
        self.build_in(&Env::process(), registry)
    }

    /// As [`build`](Self::build), in an environment of your own.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong.
    pub fn build_in(&self, env: &Env, registry: &Registry) -> Result<Mailers, ConfigError> {
        self.build_with(env, registry, |_, builder| builder)
    }

    /// As [`build_in`](Self::build_in), with something done to each mailer: it gets the mailer's
    /// name and its builder, to add hooks, say. Those of staging still come last.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong.
    pub fn build_with(
        &self,
        env: &Env,
        registry: &Registry,
        mut change: impl FnMut(&str, MailerBuilder) -> MailerBuilder,
    ) -> Result<Mailers, ConfigError> {
        let mut build = Build {
            config: self,
            registry,
            env,
            faults: self.faults.clone(),
            made: BTreeMap::new(),
            open: Vec::new(),
            open_urls: Vec::new(),
            webhooks: MakingWebhooks::default(),
        };
        build.faults.extend(self.settings.conflicts(&self.place));
        build.check_backends();
        build.read_webhook_secrets();
        let mut mailers = Vec::new();
        let mut suppressions = BTreeMap::new();
        for (name, config) in &self.mailers {
            build.faults.extend(config.faults.iter().cloned());
            build
                .faults
                .extend(config.settings.conflicts(&config.place));
            if let Some(made) = build.make(name) {
                let settings = self.settings.replaced_by(&config.settings);
                let builder = Mailer::builder(made.backend).send_defaults(made.defaults);
                let mut builder = change(name, settings.apply(builder));
                if let Some(heeded) = build.suppressions(settings.suppressions.as_ref()) {
                    builder = builder.pre_send(heeded.hook());
                    suppressions.insert(name.clone(), heeded);
                }
                mailers.push((name, settings.apply_staging(builder).build()));
            }
        }
        let default = build.default_name();
        let webhooks = build.made_webhooks();
        let default = mailers
            .iter()
            .find(|(name, _)| Some(name.as_str()) == default);
        let (Some((name, default)), true) = (default, build.faults.is_empty()) else {
            return Err(ConfigError::new(build.faults));
        };
        let mut built = Mailers::new(name.as_str(), default.clone());
        for (name, mailer) in &mailers {
            built = built.with(name.as_str(), mailer.clone());
        }
        built.suppressions = suppressions;
        built.webhooks = webhooks;
        Ok(built)
    }
}

/// A mailer's backend, and the send defaults that its mailer lays.
#[derive(Clone)]
pub(super) struct Made {
    /// The backend's name in a configuration.
    pub(super) name: String,
    pub(super) backend: Arc<dyn EmailBackend>,
    defaults: SendDefaults,
    /// Whether members of it have send defaults of their own.
    pub(super) members_have_own: bool,
}

pub(super) struct Build<'a> {
    pub(super) config: &'a MailersConfig,
    pub(super) registry: &'a Registry,
    pub(super) env: &'a Env,
    pub(super) faults: Vec<ConfigFault>,
    /// What was made, by the mailer's name; none where that failed, and was told.
    made: BTreeMap<String, Option<Made>>,
    /// The mailers that are being made, each a member of the one before.
    pub(super) open: Vec<String>,
    /// The same of URLs.
    open_urls: Vec<Secret>,
    pub(super) webhooks: MakingWebhooks,
}

impl<'a> Build<'a> {
    pub(super) fn fault(
        &mut self,
        kind: Kind,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) {
        self.faults.push(ConfigFault::new(kind, place, problem));
    }

    fn default_name(&mut self) -> Option<&'a str> {
        let config = self.config;
        let names: Vec<&str> = config.mailers.keys().map(String::as_str).collect();
        match (&config.default, names.as_slice()) {
            (Some(name), _) if config.mailers.contains_key(name) => return Some(name),
            (Some(name), names) => {
                let problem = format!("there is no mailer {name:?}{}", known_names(name, names));
                self.fault(Kind::UnknownMailer, "default", problem);
            }
            (None, []) if self.faults.is_empty() => {
                let problem = "there is no mailer: set backend, or a table under mailers";
                self.fault(Kind::Missing, "backend", problem);
            }
            (None, [only]) => return Some(only),
            (None, names) if names.contains(&"default") => return Some("default"),
            (None, []) => {}
            (None, names) => {
                let problem = format!("it must name one of the mailers {}", names.join(", "));
                self.fault(Kind::Missing, "default", problem);
            }
        }
        None
    }

    /// What is said of backends that no registry knows, or of options that they do not have.
    fn check_backends(&mut self) {
        for (name, backend) in &self.config.backends {
            self.faults.extend(backend.faults.iter().cloned());
            let place = self.backend_place(name);
            if let Some(factory) = self.factory(name, &format!("backends.{name}")) {
                let keys = backend.options.keys();
                self.unknown_options(keys.map(String::as_str), factory, &place);
            }
        }
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
            let problem = "this is not the name of a backend; for a URL, set url (in the environment \
                           ANYMAIL_URL)";
            self.fault(Kind::UnknownBackend, place, problem);
        } else if factory.is_none() {
            let names: Vec<_> = self.registry.names().collect();
            let problem = format!("there is no backend {name:?}{}", known_names(name, &names));
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
            let problem = format!("{name} has no such option{}", known_names(key, &known));
            self.fault(
                Kind::UnknownOption,
                place.of(&format!("options.{key}")),
                problem,
            );
        }
    }

    /// The mailer of this name, made when it is first asked for: a member of several others is
    /// one and the same backend.
    pub(super) fn make(&mut self, name: &str) -> Option<Made> {
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        self.open.push(name.to_owned());
        let made = match self.config.mailers.get(name) {
            Some(config) => self.make_of(config),
            None => self.make_of(&self.implied(name)),
        };
        self.open.pop();
        self.made.insert(name.to_owned(), made.clone());
        made
    }

    pub(super) fn make_of(&mut self, config: &MailerConfig) -> Option<Made> {
        let before = self.faults.len();
        let chosen = self.chosen(config)?;
        let Some(by_url) = &chosen.by_url else {
            return self.make_chosen(&chosen, config, before);
        };
        // A URL can name itself as a member only by way of a variable or file that has it.
        let same = |open: &Secret| open.expose() == by_url.text.expose();
        if self.open_urls.iter().any(same) {
            let problem = "a backend would be a member of itself";
            self.fault(Kind::Conflict, config.place.of("url"), problem);
            return None;
        }
        self.open_urls.push(by_url.text.clone());
        let made = self.make_chosen(&chosen, config, before);
        self.open_urls.pop();
        for fault in self.faults.iter_mut().skip(before) {
            fault.change_problem(|problem| by_url.redact(problem));
        }
        made
    }

    /// Makes a backend unless faults were found since there were so many.
    fn make_chosen(
        &mut self,
        chosen: &Chosen<'_>,
        config: &MailerConfig,
        before: usize,
    ) -> Option<Made> {
        let factory = chosen.factory;
        let general = self.config.settings.all_defaults();
        let specific = self.specific_defaults(factory.name(), config);
        let mut defaults = general.replaced_by(&specific);
        let settings = self.config.settings.replaced_by(&config.settings);
        let mut options = Options {
            unsupported: settings.policy(),
            ..Options::default()
        };
        let mut members_have_own = false;
        for spec in factory.options() {
            let Some(given) = self.given(chosen, spec) else {
                continue;
            };
            let value = if spec.kind == OptionKind::Mailers {
                self.members(&given, &settings, &mut defaults)
                    .map(|(members, have_own)| {
                        members_have_own |= have_own;
                        OptionValue::Members(members)
                    })
            } else {
                self.value(&given, spec.kind)
            };
            if let Some(value) = value {
                options.values.insert(spec.name, value);
            }
        }
        if self.faults.len() > before {
            return None;
        }
        match factory.build(&options) {
            Ok(backend) => {
                self.make_webhooks(chosen, config);
                Some(Made {
                    name: factory.name().to_owned(),
                    backend,
                    defaults,
                    members_have_own,
                })
            }
            Err(faults) => {
                for fault in faults {
                    let place = chosen.place_of(&fault.option);
                    let kind = match fault.is_missing {
                        true => Kind::Missing,
                        false => Kind::InvalidValue,
                    };
                    self.fault(kind, place, fault.problem);
                }
                None
            }
        }
    }

    /// What is said for this mailer or its backend, not for all.
    pub(super) fn specific_defaults(&self, backend: &str, config: &MailerConfig) -> SendDefaults {
        let of_backend = self.config.backends.get(backend);
        let of_backend = of_backend
            .map(|b| b.send_defaults.clone())
            .unwrap_or_default();
        of_backend.replaced_by(&config.settings.all_defaults())
    }

    pub(super) fn value(&mut self, given: &Given, kind: OptionKind) -> Option<OptionValue> {
        let value = match kind {
            OptionKind::Text => given.text().map(OptionValue::Text),
            OptionKind::Secret => given.text().and_then(|text| {
                let secret = match given.source {
                    Source::Url if text.trim().is_empty() => {
                        return Err(given.invalid("the secret is empty"));
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
}
