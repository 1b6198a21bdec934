//! The webhooks of the configured backends: made beside each backend, from the same options and
//! secrets.
//!
//! Who is let in is checked in `receiving/auth.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::Build;
use super::error::{ConfigError, ConfigFault, ConfigFaultKind as Kind};
use super::find::Chosen;
use super::mailer_config::MailerConfig;
use super::mailers::Mailers;
use super::options::{OptionFault, OptionSpec, Options};
use super::read::resolve;
use crate::receiving::{Webhook, WebhookAuth, one_for_each_path};
use crate::secret::Secret;

/// What a configuration says in place of a secret, if anybody may post.
const NONE: &str = "none";

impl Mailers {
    /// The webhooks of all configured backends, members of failovers and round robins included,
    /// to be given to [`webhook_routes`](crate::webhook_routes) or looked up by
    /// [`webhook_at`](crate::webhook_at) (feature `webhooks`, on by default).
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
    /// [`ConfigError`] if a configured backend has webhooks, and neither a secret for them nor, in
    /// so many words, `webhook_secret = "none"`. It comes here and not when the mailers are built,
    /// so that an app that only sends needs no secret.
    pub fn webhooks(&self) -> Result<Vec<Arc<dyn Webhook>>, ConfigError> {
        if !self.webhooks.missing.is_empty() {
            return Err(ConfigError::new(self.webhooks.missing.clone()));
        }
        Ok(one_for_each_path(self.webhooks.made.iter().cloned()))
    }

    /// The same with more webhooks, for mailers that are made by code.
    #[must_use]
    pub fn with_webhooks(mut self, webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>) -> Self {
        self.webhooks.made.extend(webhooks);
        self
    }
}

/// The webhooks of mailers.
#[derive(Debug, Clone, Default)]
pub(super) struct Webhooks {
    made: Vec<Arc<dyn Webhook>>,
    /// What nobody needs who does not ask for webhooks.
    missing: Vec<ConfigFault>,
}

/// What is known of webhooks while mailers are made.
#[derive(Default)]
pub(super) struct MakingWebhooks {
    general: Secrets,
    of_backends: BTreeMap<String, Secrets>,
    made: Vec<Made>,
    missing: Vec<ConfigFault>,
}

/// The webhooks of one backend, and what they were made from.
struct Made {
    backend: String,
    place: String,
    secrets: Secrets,
    options: Options,
    webhooks: Vec<Arc<dyn Webhook>>,
}

/// Who may post, as `webhook_secret` says it.
#[derive(Clone, Default)]
struct Secrets {
    texts: Vec<Secret>,
    /// Nothing if the configuration says nothing.
    auth: Option<WebhookAuth>,
}

impl Secrets {
    fn are_unset(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether anybody may post, in so many words.
    fn are_none(&self) -> bool {
        matches!(self.texts.as_slice(), [only] if only.expose() == NONE)
    }

    fn are_same(&self, other: &Self) -> bool {
        let same = |(one, two): (&Secret, &Secret)| one.expose() == two.expose();
        self.texts.len() == other.texts.len() && self.texts.iter().zip(&other.texts).all(same)
    }
}

impl Build<'_> {
    /// Reads the secrets that hold for several mailers.
    pub(super) fn read_webhook_secrets(&mut self) {
        let config = self.config;
        let place = config.place.of("webhook_secret");
        self.webhooks.general = self.secrets(&config.webhook_secrets, &place);
        for (name, backend) in &config.backends {
            let place = self.backend_place(name).of("webhook_secret");
            let secrets = self.secrets(&backend.webhook_secrets, &place);
            self.webhooks.of_backends.insert(name.clone(), secrets);
        }
    }

    fn secrets(&mut self, given: &[Secret], place: &str) -> Secrets {
        let before = self.faults.len();
        let mut texts = Vec::new();
        for secret in given {
            match resolve(secret, self.env, place) {
                Ok(secret) => texts.push(secret),
                Err(fault) => self.faults.push(fault),
            }
        }
        if self.faults.len() > before {
            return Secrets::default();
        }
        self.secrets_of(texts, place)
    }

    fn secrets_of(&mut self, texts: Vec<Secret>, place: &str) -> Secrets {
        let mut secrets = Secrets { texts, auth: None };
        if secrets.are_none() {
            secrets.auth = Some(WebhookAuth::none());
        } else if !secrets.are_unset() {
            let pairs = secrets.texts.iter();
            let pairs: Option<Vec<_>> = pairs.map(|it| it.expose().split_once(':')).collect();
            secrets.auth = pairs.and_then(|pairs| WebhookAuth::basic(pairs).ok());
            if secrets.auth.is_none() {
                let problem = "a secret must have the form \"user:password\"; \"none\", alone, \
                               lets anybody post";
                self.fault(Kind::InvalidValue, place, problem);
            }
        }
        secrets
    }

    /// The secrets that hold for a mailer, and where they are given or would be.
    fn secrets_for(&mut self, chosen: &Chosen<'_>, config: &MailerConfig) -> (Secrets, String) {
        let place = config.place.of("webhook_secret");
        if let Some(by_url) = &chosen.by_url
            && let Some(secret) = by_url.webhook_secret()
        {
            let place = by_url.place_of("webhook_secret");
            return (self.secrets_of(vec![secret.clone()], &place), place);
        }
        if !config.webhook_secrets.is_empty() {
            return (self.secrets(&config.webhook_secrets, &place), place);
        }
        let of_backend = self.webhooks.of_backends.get(chosen.factory.name());
        let secrets = of_backend.filter(|secrets| !secrets.are_unset());
        (secrets.unwrap_or(&self.webhooks.general).clone(), place)
    }

    /// Makes the webhooks of a backend, unless it has none, or those of another are the same.
    pub(super) fn make_webhooks(&mut self, chosen: &Chosen<'_>, config: &MailerConfig) {
        let factory = chosen.factory;
        let (secrets, place) = self.secrets_for(chosen, config);
        let mut options = Options {
            webhook_auth: secrets.auth.clone(),
            ..Options::default()
        };
        let mut missing = Vec::new();
        for spec in factory.webhook_options() {
            if let Some(given) = chosen.find(spec.name) {
                if let Some(value) = self.value(&given, spec.kind) {
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
        if self.webhooks.made.iter().any(|made| same(&made)) {
            return;
        }
        let webhooks = match missing.is_empty() {
            true => factory.webhooks(&options),
            false => Err(missing),
        };
        let webhooks = match webhooks {
            Ok(webhooks) => webhooks,
            Err(faults) => return self.no_webhooks(chosen, faults),
        };
        let is_open = |webhook: &Arc<dyn Webhook>| webhook.auth().is_open();
        if !secrets.are_none() && webhooks.iter().any(is_open) {
            let problem = no_secret(factory.name(), factory.webhook_options());
            let fault = ConfigFault::new(Kind::Missing, place, problem);
            self.webhooks.missing.push(fault);
            return;
        }
        self.webhooks.made.push(Made {
            backend: factory.name().to_owned(),
            place,
            secrets,
            options,
            webhooks,
        });
    }

    /// Keeps what is wrong with the options of webhooks: what is missing, for whoever asks for the
    /// webhooks.
    fn no_webhooks(&mut self, chosen: &Chosen<'_>, faults: Vec<OptionFault>) {
        let name = chosen.factory.name();
        for fault in faults {
            let place = chosen.place_of(&fault.option);
            if fault.is_missing {
                let mut specs = chosen.factory.webhook_options().iter();
                let spec = specs.find(|spec| spec.name == fault.option);
                let help = spec.map(|spec| spec.help).unwrap_or(&fault.problem);
                let problem = format!("the webhooks of {name} need it ({help})");
                let fault = ConfigFault::new(Kind::Missing, place, problem);
                self.webhooks.missing.push(fault);
            } else {
                self.fault(Kind::InvalidValue, place, fault.problem);
            }
        }
    }

    /// All webhooks that were made.
    pub(super) fn made_webhooks(&mut self) -> Webhooks {
        let making = std::mem::take(&mut self.webhooks);
        for made in &making.made {
            let is_open = |it: &Made| it.webhooks.iter().any(|webhook| webhook.auth().is_open());
            let guarded = |it: &&Made| it.backend == made.backend && !is_open(it);
            if is_open(made)
                && let Some(other) = making.made.iter().find(guarded)
            {
                let problem = format!(
                    "the webhooks of {} let anybody post here, and want a secret at {}, but they \
                     have the same URL",
                    made.backend, other.place
                );
                self.fault(Kind::Conflict, made.place.clone(), problem);
            }
        }
        let made = making.made.into_iter().flat_map(|made| made.webhooks);
        Webhooks {
            made: made.collect(),
            missing: making.missing,
        }
    }
}

/// What is wrong with webhooks that would take every request.
fn no_secret(backend: &str, options: &[OptionSpec]) -> String {
    let others = options.iter().map(|spec| format!(" or {}", spec.name));
    let others: String = others.collect();
    format!(
        "{backend} has webhooks, and no secret says who may post to them: set webhook_secret to \
         \"user:password\"{others}; only webhook_secret = \"none\" lets anybody post"
    )
}
