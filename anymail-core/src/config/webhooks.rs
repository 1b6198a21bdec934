//! The webhooks of the configured backends, built together with each backend, from the same options
//! and secrets.
//!
//! `receiving/auth.rs` authenticates requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{ConfigError, ConfigFault, ConfigFaultKind as Kind};
use super::find::{Chosen, Finder};
use super::mailer_config::MailerConfig;
use super::options::{OptionFault, OptionSpec, Options};
use super::read::resolve;
use crate::receiving::{Webhook, WebhookAuth, one_for_each_path};
use crate::secret::Secret;

/// The webhook secret that turns authentication off.
const NONE: &str = "none";

/// The webhooks of the mailers.
#[derive(Debug, Clone, Default)]
pub(super) struct Webhooks {
    made: Vec<Arc<dyn Webhook>>,
    /// Faults that matter only to apps that ask for webhooks.
    missing: Vec<ConfigFault>,
}

impl Webhooks {
    pub(super) fn to_mount(&self) -> Result<Vec<Arc<dyn Webhook>>, ConfigError> {
        if !self.missing.is_empty() {
            return Err(ConfigError::new(self.missing.clone()));
        }
        Ok(one_for_each_path(self.made.iter().cloned()))
    }

    pub(super) fn add(&mut self, webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>) {
        self.made.extend(webhooks);
    }
}

/// The webhooks so far, while mailers are built.
#[derive(Default)]
pub(super) struct MakingWebhooks {
    general: Secrets,
    of_backends: BTreeMap<String, Secrets>,
    made: Vec<Made>,
    missing: Vec<ConfigFault>,
}

/// The webhooks of one backend, and their configuration.
struct Made {
    backend: String,
    place: String,
    secrets: Secrets,
    options: Options,
    webhooks: Vec<Arc<dyn Webhook>>,
}

/// The authentication that `webhook_secret` configures.
#[derive(Clone, Default)]
struct Secrets {
    texts: Vec<Secret>,
    /// `None` if nothing is configured.
    auth: Option<WebhookAuth>,
}

impl Secrets {
    fn are_unset(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether the configuration explicitly turns authentication off.
    fn are_none(&self) -> bool {
        matches!(self.texts.as_slice(), [only] if only.expose() == NONE)
    }

    fn are_same(&self, other: &Self) -> bool {
        let same = |(one, two): (&Secret, &Secret)| one.expose() == two.expose();
        self.texts.len() == other.texts.len() && self.texts.iter().zip(&other.texts).all(same)
    }
}

impl MakingWebhooks {
    /// Reads the secrets that several mailers share.
    pub(super) fn read_secrets(&mut self, find: &mut Finder<'_>) {
        let config = find.config;
        let place = config.place.of("webhook_secret");
        self.general = secrets(find, &config.webhook_secrets, &place);
        for (name, backend) in &config.backends {
            let place = find.backend_place(name).of("webhook_secret");
            let secrets = secrets(find, &backend.webhook_secrets, &place);
            self.of_backends.insert(name.clone(), secrets);
        }
    }

    /// The secrets of a mailer, and the location where they are set, or would be.
    fn secrets_for(
        &self,
        find: &mut Finder<'_>,
        chosen: &Chosen<'_>,
        config: &MailerConfig,
    ) -> (Secrets, String) {
        let place = config.place.of("webhook_secret");
        if let Some(by_url) = &chosen.by_url
            && let Some(secret) = by_url.webhook_secret()
        {
            let place = by_url.place_of("webhook_secret");
            return (secrets_of(find, vec![secret.clone()], &place), place);
        }
        if !config.webhook_secrets.is_empty() {
            return (secrets(find, &config.webhook_secrets, &place), place);
        }
        let of_backend = self.of_backends.get(chosen.factory.name());
        let secrets = of_backend.filter(|secrets| !secrets.are_unset());
        (secrets.unwrap_or(&self.general).clone(), place)
    }

    /// Builds the webhooks of a backend, unless it has none or another mailer has the same ones.
    pub(super) fn make(
        &mut self,
        find: &mut Finder<'_>,
        chosen: &Chosen<'_>,
        config: &MailerConfig,
    ) {
        let factory = chosen.factory;
        if let Some(why) = factory.webhooks_unavailable() {
            let problem = format!("{} was compiled without webhooks: {why}", factory.name());
            let fault = ConfigFault::new(Kind::Missing, config.place.of("backend"), problem);
            if !self.missing.contains(&fault) {
                self.missing.push(fault);
            }
            return;
        }
        let (secrets, place) = self.secrets_for(find, chosen, config);
        let mut options = Options {
            webhook_auth: secrets.auth.clone(),
            ..Options::default()
        };
        let mut missing = Vec::new();
        for spec in factory.webhook_options() {
            if let Some(given) = chosen.find(spec.name) {
                if let Some(value) = find.value(&given, spec.kind) {
                    options.values.insert(spec.name, value);
                }
            } else if spec.required {
                missing.push(OptionFault::missing(spec.name));
            }
        }
        let same = |made: &&Made| {
            made.backend == factory.name()
                && made.secrets.are_same(&secrets)
                && made.options.has_same_values(&options)
        };
        if self.made.iter().any(|made| same(&made)) {
            return;
        }
        let webhooks = match missing.is_empty() {
            true => factory.webhooks(&options),
            false => Err(missing),
        };
        let webhooks = match webhooks {
            Ok(webhooks) => webhooks,
            Err(faults) => return self.no_webhooks(find, chosen, faults),
        };
        let is_open = |webhook: &Arc<dyn Webhook>| webhook.auth().is_open();
        if !secrets.are_none() && webhooks.iter().any(is_open) {
            let problem = no_secret(factory.name(), factory.webhook_options());
            let fault = ConfigFault::new(Kind::Missing, place, problem);
            self.missing.push(fault);
            return;
        }
        self.made.push(Made {
            backend: factory.name().to_owned(),
            place,
            secrets,
            options,
            webhooks,
        });
    }

    /// Records faults in the options of webhooks. Missing options matter only to apps that ask for
    /// the webhooks.
    fn no_webhooks(
        &mut self,
        find: &mut Finder<'_>,
        chosen: &Chosen<'_>,
        faults: Vec<OptionFault>,
    ) {
        let name = chosen.factory.name();
        for fault in faults {
            let place = chosen.place_of(&fault.option);
            if fault.is_missing {
                let mut specs = chosen.factory.webhook_options().iter();
                let spec = specs.find(|spec| spec.name == fault.option);
                let help = spec.map(|spec| spec.help).unwrap_or(&fault.problem);
                let problem = format!("required by the webhooks of {name} ({help})");
                let fault = ConfigFault::new(Kind::Missing, place, problem);
                self.missing.push(fault);
            } else {
                find.fault(Kind::InvalidValue, place, fault.problem);
            }
        }
    }

    /// All webhooks that were built.
    pub(super) fn finish(self, find: &mut Finder<'_>) -> Webhooks {
        for made in &self.made {
            let is_open = |it: &Made| it.webhooks.iter().any(|webhook| webhook.auth().is_open());
            let guarded = |it: &&Made| it.backend == made.backend && !is_open(it);
            if is_open(made)
                && let Some(other) = self.made.iter().find(guarded)
            {
                let problem = format!(
                    "the webhooks of {} accept unauthenticated requests here but require a secret \
                     at {}, although both have the same URL",
                    made.backend, other.place
                );
                find.fault(Kind::Conflict, made.place.clone(), problem);
            }
        }
        let made = self.made.into_iter().flat_map(|made| made.webhooks);
        Webhooks {
            made: made.collect(),
            missing: self.missing,
        }
    }
}

fn secrets(find: &mut Finder<'_>, given: &[Secret], place: &str) -> Secrets {
    let mut texts = Vec::new();
    for secret in given {
        match resolve(secret, find.env, place) {
            Ok(secret) => texts.push(secret),
            Err(fault) => find.faults.push(fault),
        }
    }
    secrets_of(find, texts, place)
}

fn secrets_of(find: &mut Finder<'_>, texts: Vec<Secret>, place: &str) -> Secrets {
    let mut secrets = Secrets { texts, auth: None };
    if secrets.are_none() {
        secrets.auth = Some(WebhookAuth::none());
    } else if !secrets.are_unset() {
        let pairs = secrets.texts.iter();
        let pairs: Option<Vec<_>> = pairs.map(|it| it.expose().split_once(':')).collect();
        secrets.auth = pairs.and_then(|pairs| WebhookAuth::basic(pairs).ok());
        if secrets.auth.is_none() {
            let problem = "expected a secret of the form \"user:password\"; \"none\" on its own \
                           turns authentication off";
            find.fault(Kind::InvalidValue, place, problem);
        }
    }
    secrets
}

/// The fault of webhooks that would accept every request.
fn no_secret(backend: &str, options: &[OptionSpec]) -> String {
    let others = options.iter().map(|spec| format!(" or {}", spec.name));
    let others: String = others.collect();
    format!(
        "the webhooks of {backend} need authentication: set webhook_secret to \
         \"user:password\"{others}, or turn authentication off with webhook_secret = \"none\""
    )
}
