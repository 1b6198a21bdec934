//! Mailers are made of a configuration here, or all of its faults are told.
//!
//! Where values come from is said in `read.rs`; what a mailer does with them in `sending`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::env::{Env, option_names};
use super::error::{ConfigError, ConfigFault, ConfigFaultKind as Kind, known_names};
use super::factory::BackendFactory;
use super::mailer_config::{MailerConfig, MailersConfig};
use super::mailers::Mailers;
use super::member_defaults::apart;
use super::options::{OptionKind, OptionSpec, OptionValue, Options};
use super::read::{Given, Place, resolve};
use super::registry::Registry;
use super::settings::Settings;
use super::suppressions::suppressions_lost;
use crate::backends::Member;
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
        };
        build.faults.extend(self.settings.conflicts(&self.place));
        build.check_backends();
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
        let general =
            build.webhook_secrets(&self.webhook_secrets, &self.place.of("webhook_secret"));
        let mut of_backends = BTreeMap::new();
        for (name, backend) in &self.backends {
            if !backend.webhook_secrets.is_empty() {
                let place = build.backend_place(name).of("webhook_secret");
                let secrets = build.webhook_secrets(&backend.webhook_secrets, &place);
                of_backends.insert(name.clone(), secrets);
            }
        }
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
        built.webhook_secrets = general;
        built.webhook_secrets_of = of_backends;
        Ok(built)
    }
}

/// A mailer's backend, and the send defaults that its mailer lays.
#[derive(Clone)]
struct Made {
    backend: Arc<dyn EmailBackend>,
    defaults: SendDefaults,
    /// Whether members of it have send defaults of their own.
    members_have_own: bool,
}

pub(super) struct Build<'a> {
    config: &'a MailersConfig,
    pub(super) registry: &'a Registry,
    env: &'a Env,
    pub(super) faults: Vec<ConfigFault>,
    /// What was made, by the mailer's name; none where that failed, and was told.
    made: BTreeMap<String, Option<Made>>,
    /// The mailers that are being made, each a member of the one before.
    open: Vec<String>,
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

    fn backend_place(&self, name: &str) -> Place {
        match self.config.place {
            Place::Path(_) => Place::Path(format!("backends.{name}.")),
            Place::Env(_) => {
                let [prefix, _] = option_names(name, "");
                Place::Env(prefix)
            }
        }
    }

    fn factory(&mut self, name: &str, place: &str) -> Option<&'a dyn BackendFactory> {
        let factory = self.registry.get(name);
        if factory.is_none() {
            let names: Vec<_> = self.registry.names().collect();
            let problem = format!("there is no backend {name:?}{}", known_names(name, &names));
            self.fault(Kind::UnknownBackend, place, problem);
        }
        factory
    }

    fn unknown_options<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k str>,
        factory: &dyn BackendFactory,
        place: &Place,
    ) {
        let known: Vec<_> = factory.options().iter().map(|spec| spec.name).collect();
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
    fn make(&mut self, name: &str) -> Option<Made> {
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

    /// A member that is no mailer but the name of a backend.
    fn implied(&self, name: &str) -> MailerConfig {
        let mut config = MailerConfig::new(name);
        config.place = match &self.config.place {
            Place::Path(_) => Place::Path(format!("mailers.{name}.")),
            env => env.clone(),
        };
        config
    }

    fn make_of(&mut self, config: &MailerConfig) -> Option<Made> {
        let before = self.faults.len();
        let Some(name) = config.backend.as_deref() else {
            if config.faults.is_empty() {
                let problem = "it must name the backend";
                self.fault(Kind::Missing, config.place.of("backend"), problem);
            }
            return None;
        };
        let factory = self.factory(name, &config.place.of("backend"))?;
        let keys = config.options.keys().map(String::as_str);
        self.unknown_options(keys, factory, &config.place);
        let general = self.config.settings.all_defaults();
        let mut defaults = general.replaced_by(&self.specific_defaults(config));
        let settings = self.config.settings.replaced_by(&config.settings);
        let mut options = Options {
            unsupported: settings.policy(),
            ..Options::default()
        };
        let mut members_have_own = false;
        for spec in factory.options() {
            let Some(given) = self.given(config, factory, spec) else {
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
            Ok(backend) => Some(Made {
                backend,
                defaults,
                members_have_own,
            }),
            Err(faults) => {
                for fault in faults {
                    let place = self.option_place(config, factory, &fault.option);
                    self.fault(Kind::InvalidValue, place, fault.problem);
                }
                None
            }
        }
    }

    /// What is said for this mailer or its backend, not for all.
    fn specific_defaults(&self, config: &MailerConfig) -> SendDefaults {
        let of_backend = config
            .backend
            .as_ref()
            .and_then(|name| self.config.backends.get(name));
        let of_backend = of_backend
            .map(|b| b.send_defaults.clone())
            .unwrap_or_default();
        of_backend.replaced_by(&config.settings.all_defaults())
    }

    /// An option from where it is given first: at the mailer, at the backend, in the environment.
    /// Where it is not and must be, that is a fault.
    fn given(
        &mut self,
        config: &MailerConfig,
        factory: &dyn BackendFactory,
        spec: &OptionSpec,
    ) -> Option<Given> {
        let given = self.find(config, factory, spec.name);
        if given.is_none() && spec.required {
            let [long, bare] = option_names(factory.name(), spec.name);
            let place = unset_place(config, factory, spec.name);
            let problem = format!(
                "{} needs it ({}): set it in the configuration, or {long} or {bare} in the environment",
                factory.name(),
                spec.help
            );
            self.fault(Kind::Missing, place, problem);
        }
        given
    }

    fn find(
        &self,
        config: &MailerConfig,
        factory: &dyn BackendFactory,
        option: &str,
    ) -> Option<Given> {
        let in_table = |value: Option<&Value>, place: &Place| {
            let value = value.filter(|value| !value.is_null())?;
            Some(Given {
                value: value.clone(),
                place: place.of(&format!("options.{option}")),
                from_env: false,
            })
        };
        let of_backend = self.config.backends.get(factory.name());
        let of_backend = of_backend.and_then(|backend| backend.options.get(option));
        in_table(config.options.get(option), &config.place)
            .or_else(|| in_table(of_backend, &self.backend_place(factory.name())))
            .or_else(|| {
                let names = option_names(factory.name(), option).into_iter();
                let mut found = names.filter_map(|name| Some((self.env.get(&name)?, name)));
                let (text, place) = found.next()?;
                Some(Given {
                    value: Value::from(text),
                    place,
                    from_env: true,
                })
            })
    }

    /// Where an option is given, or would be.
    fn option_place(
        &self,
        config: &MailerConfig,
        factory: &dyn BackendFactory,
        option: &str,
    ) -> String {
        let given = self.find(config, factory, option).map(|given| given.place);
        given.unwrap_or_else(|| unset_place(config, factory, option))
    }

    pub(super) fn value(&mut self, given: &Given, kind: OptionKind) -> Option<OptionValue> {
        let value = match kind {
            OptionKind::Text => given.text().map(OptionValue::Text),
            OptionKind::Secret => given.text().and_then(|text| {
                let secret = resolve(&Secret::new(text), self.env, &given.place)?;
                Ok(OptionValue::Secret(secret))
            }),
            OptionKind::Flag => given.flag().map(OptionValue::Flag),
            OptionKind::Integer => given.integer().map(OptionValue::Integer),
            OptionKind::Seconds => given.seconds().map(OptionValue::Seconds),
            OptionKind::List | OptionKind::Mailers => given.list().map(OptionValue::List),
        };
        value.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// The members that an option names, and whether they have send defaults of their own; what
    /// those are goes out of `defaults`.
    fn members(
        &mut self,
        given: &Given,
        settings: &Settings,
        defaults: &mut SendDefaults,
    ) -> Option<(Vec<Member>, bool)> {
        let names = given.list().map_err(|fault| self.faults.push(fault)).ok()?;
        let mut found = Vec::new();
        for name in names {
            if let Some((made, own)) = self.member(&name, given, settings) {
                found.push((name, made, own));
            }
        }
        let own: Vec<_> = found.iter().map(|(_, _, own)| own.clone()).collect();
        let apart = apart(defaults, &own);
        for (at, field) in apart.refused {
            if let Some((name, ..)) = found.get(at) {
                let problem = format!(
                    "its member {name:?} has another send default for {field}, which must be the \
                     same for all members: set it at the mailer that has the members"
                );
                self.fault(Kind::Conflict, &given.place, problem);
            }
        }
        *defaults = apart.shared;
        let have_own = apart.own.iter().any(|own| !own.is_empty());
        let members = found.into_iter().zip(&apart.own);
        let members = members
            .map(|((name, made, _), own)| Member::new(name, made.backend).send_defaults(own));
        Some((members.collect(), have_own))
    }

    /// A member's backend and its own send defaults.
    fn member(
        &mut self,
        name: &str,
        given: &Given,
        settings: &Settings,
    ) -> Option<(Made, SendDefaults)> {
        let config = match self.config.mailers.get(name) {
            Some(config) => config.clone(),
            None if self.registry.get(name).is_some() => self.implied(name),
            None => {
                let mailers = self.config.mailers.keys().map(String::as_str);
                let names: Vec<_> = mailers.chain(self.registry.names()).collect();
                let known = known_names(name, &names);
                let problem = format!("there is no mailer or backend {name:?}{known}");
                self.fault(Kind::UnknownMailer, &given.place, problem);
                return None;
            }
        };
        if self.open.iter().any(|open| open == name) {
            let problem = format!("the mailer {name:?} would be a member of itself");
            self.fault(Kind::Conflict, &given.place, problem);
            return None;
        }
        let own = self.config.settings.replaced_by(&config.settings);
        if (&own.redirect_to, &own.allow_domains)
            != (&settings.redirect_to, &settings.allow_domains)
        {
            let problem = format!(
                "its member {name:?} has other settings for staging (redirect_to, \
                 allow_domains), which would not apply: set them for all mailers alike"
            );
            self.fault(Kind::Conflict, &given.place, problem);
        }
        if let Some(problem) = suppressions_lost(name, &config.settings, settings) {
            self.fault(Kind::Conflict, &given.place, problem);
        }
        let made = self.make(name)?;
        if made.members_have_own {
            let problem = format!("members of its member {name:?} have send defaults of their own");
            self.fault(Kind::Conflict, &given.place, problem);
        }
        Some((made, self.specific_defaults(&config)))
    }

    fn webhook_secrets(&mut self, given: &[Secret], place: &str) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for secret in given {
            match resolve(secret, self.env, place) {
                Ok(secret) if is_user_and_password(&secret) => secrets.push(secret),
                Ok(_) => {
                    let problem = "a secret must have the form \"user:password\"";
                    self.fault(Kind::InvalidValue, place, problem);
                }
                Err(fault) => self.faults.push(fault),
            }
        }
        secrets
    }
}

/// What HTTP basic authentication can carry (RFC 7617).
fn is_user_and_password(secret: &Secret) -> bool {
    let parts = secret.expose().split_once(':');
    parts.is_some_and(|(user, password)| !user.trim().is_empty() && !password.trim().is_empty())
}

/// Where an option that is not given would be.
fn unset_place(config: &MailerConfig, factory: &dyn BackendFactory, option: &str) -> String {
    match config.place {
        Place::Path(_) => config.place.of(&format!("options.{option}")),
        Place::Env(_) => {
            let [name, _] = option_names(factory.name(), option);
            name
        }
    }
}
