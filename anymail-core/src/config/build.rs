//! Builds mailers from a configuration, or reports all of its faults.
//!
//! `read.rs` says where values come from; `sending` what a mailer does with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::env::Env;
use super::error::{ConfigError, ConfigFaultKind as Kind, known_names};
use super::find::{Chosen, Finder};
use super::mailer_config::{MailerConfig, MailersConfig};
use super::mailers::Mailers;
use super::options::{OptionKind, OptionValue, Options};
use super::registry::Registry;
use super::suppressions::Suppressions;
use super::webhooks::MakingWebhooks;
use crate::secret::Secret;
use crate::sending::{EmailBackend, Mailer, MailerBuilder, SendDefaults};

impl MailersConfig {
    /// Builds the mailers. Options that the configuration does not set, and secrets, are read from
    /// the environment of this process.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults.
    pub fn build(&self, registry: &Registry) -> Result<Mailers, ConfigError> {
        self.build_in(&Env::process(), registry)
    }

    /// Builds the mailers like [`build`](Self::build), with the given environment.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults.
    pub fn build_in(&self, env: &Env, registry: &Registry) -> Result<Mailers, ConfigError> {
        self.build_with(env, registry, |_, builder| builder)
    }

    /// Builds the mailers like [`build_in`](Self::build_in) and customizes each mailer: `change`
    /// gets the mailer's name and builder, for example to add hooks. The hooks of the staging
    /// settings still run last.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults.
    pub fn build_with(
        &self,
        env: &Env,
        registry: &Registry,
        mut change: impl FnMut(&str, MailerBuilder) -> MailerBuilder,
    ) -> Result<Mailers, ConfigError> {
        let mut build = Build {
            find: Finder {
                config: self,
                registry,
                env,
                faults: self.faults.clone(),
            },
            made: BTreeMap::new(),
            open: Vec::new(),
            open_urls: Vec::new(),
            webhooks: Default::default(),
        };
        let conflicts = self.settings.conflicts(&self.place);
        build.find.faults.extend(conflicts);
        build.check_backends();
        build.webhooks.read_secrets(&mut build.find);
        let mut mailers = Vec::new();
        let mut suppressions = BTreeMap::new();
        for (name, config) in &self.mailers {
            build.find.faults.extend(config.faults.iter().cloned());
            let conflicts = config.settings.conflicts(&config.place);
            build.find.faults.extend(conflicts);
            if let Some(made) = build.make(name) {
                let settings = self.settings.replaced_by(&config.settings);
                let builder = Mailer::builder(made.backend).send_defaults(made.defaults);
                let mut builder = change(name, settings.apply(builder));
                if let Some(heeded) =
                    Suppressions::open(&mut build.find, settings.suppressions.as_ref())
                {
                    builder = builder.pre_send(heeded.hook());
                    suppressions.insert(name.clone(), heeded);
                }
                mailers.push((name, settings.apply_staging(builder).build()));
            }
        }
        let default = build.default_name();
        let webhooks = build.webhooks.finish(&mut build.find);
        let default = mailers
            .iter()
            .find(|(name, _)| Some(name.as_str()) == default);
        let (Some((name, default)), true) = (default, build.find.faults.is_empty()) else {
            return Err(ConfigError::new(build.find.faults));
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

/// A mailer's backend and the send defaults that its mailer applies.
#[derive(Clone)]
pub(super) struct Made {
    /// The backend's name in a configuration.
    pub(super) name: String,
    pub(super) backend: Arc<dyn EmailBackend>,
    defaults: SendDefaults,
    /// Whether its members have their own send defaults.
    pub(super) members_have_own: bool,
}

pub(super) struct Build<'a> {
    pub(super) find: Finder<'a>,
    /// The results by mailer name; `None` if making one failed and was reported.
    made: BTreeMap<String, Option<Made>>,
    /// The mailers that are being made, each a member of the one before.
    pub(super) open: Vec<String>,
    /// The same of URLs.
    open_urls: Vec<Secret>,
    webhooks: MakingWebhooks,
}

impl<'a> Build<'a> {
    fn default_name(&mut self) -> Option<&'a str> {
        let config = self.find.config;
        let names: Vec<&str> = config.mailers.keys().map(String::as_str).collect();
        match (&config.default, names.as_slice()) {
            (Some(name), _) if config.mailers.contains_key(name) => return Some(name),
            (Some(name), names) => {
                let problem = format!("unknown mailer {name:?}{}", known_names(name, names));
                self.find.fault(Kind::UnknownMailer, "default", problem);
            }
            (None, []) if self.find.faults.is_empty() => {
                let problem = "no mailer is configured: set backend, url or mailers";
                self.find.fault(Kind::Missing, "backend", problem);
            }
            (None, [only]) => return Some(only),
            (None, names) if names.contains(&"default") => return Some("default"),
            (None, []) => {}
            (None, names) => {
                let problem = format!("expected one of the mailers {}", names.join(", "));
                self.find.fault(Kind::Missing, "default", problem);
            }
        }
        None
    }

    /// Reports unknown backends in `backends`, and unknown options of known ones.
    fn check_backends(&mut self) {
        for (name, backend) in &self.find.config.backends {
            self.find.faults.extend(backend.faults.iter().cloned());
            let place = self.find.backend_place(name);
            if let Some(factory) = self.find.factory(name, &format!("backends.{name}")) {
                let keys = backend.options.keys();
                self.find
                    .unknown_options(keys.map(String::as_str), factory, &place);
            }
        }
    }

    /// Makes the mailer of this name on first use, so that a member of several mailers is the same
    /// backend.
    pub(super) fn make(&mut self, name: &str) -> Option<Made> {
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        self.open.push(name.to_owned());
        let made = match self.find.config.mailers.get(name) {
            Some(config) => self.make_of(config),
            None => self.make_of(&self.implied(name)),
        };
        self.open.pop();
        self.made.insert(name.to_owned(), made.clone());
        made
    }

    pub(super) fn make_of(&mut self, config: &MailerConfig) -> Option<Made> {
        let before = self.find.faults.len();
        let chosen = self.find.chosen(config)?;
        let Some(by_url) = &chosen.by_url else {
            return self.make_chosen(&chosen, config, before);
        };
        // A URL can only name itself as a member through a variable or file that contains it.
        let same = |open: &Secret| open.expose() == by_url.text.expose();
        if self.open_urls.iter().any(same) {
            let problem = "a backend cannot be a member of itself";
            self.find
                .fault(Kind::Conflict, config.place.of("url"), problem);
            return None;
        }
        self.open_urls.push(by_url.text.clone());
        let made = self.make_chosen(&chosen, config, before);
        self.open_urls.pop();
        for fault in self.find.faults.iter_mut().skip(before) {
            fault.change_problem(|problem| by_url.redact(problem));
        }
        made
    }

    /// Makes a backend, unless there are more faults than `before`.
    fn make_chosen(
        &mut self,
        chosen: &Chosen<'_>,
        config: &MailerConfig,
        before: usize,
    ) -> Option<Made> {
        let factory = chosen.factory;
        let general = self.find.config.settings.all_defaults();
        let specific = self.specific_defaults(factory.name(), config);
        let mut defaults = general.replaced_by(&specific);
        let settings = self.find.config.settings.replaced_by(&config.settings);
        let mut options = Options {
            unsupported: settings.policy(),
            ..Options::default()
        };
        let mut members_have_own = false;
        for spec in factory.options() {
            let Some(given) = self.find.given(chosen, spec) else {
                continue;
            };
            let value = if spec.kind == OptionKind::Mailers {
                self.members(&given, &settings, &mut defaults)
                    .map(|(members, have_own)| {
                        members_have_own |= have_own;
                        OptionValue::Members(members)
                    })
            } else {
                self.find.value(&given, spec.kind)
            };
            if let Some(value) = value {
                options.values.insert(spec.name, value);
            }
        }
        if self.find.faults.len() > before {
            return None;
        }
        match factory.build(&options) {
            Ok(backend) => {
                self.webhooks.make(&mut self.find, chosen, config);
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
                    self.find.fault(kind, place, fault.problem);
                }
                None
            }
        }
    }

    /// The send defaults for this mailer or its backend, without the general ones.
    pub(super) fn specific_defaults(&self, backend: &str, config: &MailerConfig) -> SendDefaults {
        let of_backend = self.find.config.backends.get(backend);
        let of_backend = of_backend
            .map(|b| b.send_defaults.clone())
            .unwrap_or_default();
        of_backend.replaced_by(&config.settings.all_defaults())
    }
}
