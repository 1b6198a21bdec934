//! Mailers from a configuration: what it builds, and what the errors say about an invalid one.
// The file backend, which faults name, and the check of webhooks require these features.
#![cfg(all(feature = "mime", feature = "webhooks"))]
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../scripted/mod.rs"]
mod scripted;

mod faults;
mod members;
mod secrets;
mod settings;
mod urls;
mod webhook_options;
mod webhooks;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    BackendConfig, BackendFactory, ConfigError, ConfigFaultKind as Kind, EmailBackend, Env, Event,
    HookError, MailerConfig, MailersConfig, Message, OptionFault, OptionSpec, Options,
    PreSendVerdict, Registry, SendErrorKind, Settings, Webhook, WebhookAuth, WebhookError,
    WebhookKind,
};
use bytes::Bytes;
use http::Request;
use scripted::Scripted;

/// Creates backends for a test, and records the options that it was given.
#[derive(Debug, Clone)]
struct AcmeFactory {
    backend: Scripted,
    given: Arc<Mutex<Vec<Given>>>,
}

/// Token, url, debug, timeout, retries and regions.
type Given = (
    String,
    Option<String>,
    Option<bool>,
    Option<Duration>,
    Option<u64>,
    Vec<String>,
);

impl AcmeFactory {
    fn new(name: &'static str) -> Self {
        Self {
            backend: Scripted::new(name),
            given: Arc::default(),
        }
    }

    fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }
}

impl BackendFactory for AcmeFactory {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 6] = [
            OptionSpec::secret("server_token", "the token from Acme's settings page").required(),
            OptionSpec::text("api_url", "where Acme is"),
            OptionSpec::flag("debug", "whether to tell more"),
            OptionSpec::seconds("timeout", "the time limit of a call"),
            OptionSpec::integer("retries", "how often to try again"),
            OptionSpec::list("regions", "where to send from"),
        ];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let token = options
            .secret("server_token")
            .ok_or(OptionFault::missing("server_token"))?;
        let url = options.text("api_url");
        if url.is_some_and(|url| !url.starts_with("https://")) {
            return Err(vec![
                OptionFault::new("api_url", "it is no https URL"),
                OptionFault::new("retries", "there must be some with such a URL"),
            ]);
        }
        self.given.lock().unwrap().push((
            token.expose().to_owned(),
            url.map(str::to_owned),
            options.flag("debug"),
            options.seconds("timeout"),
            options.integer("retries"),
            options.list("regions").to_vec(),
        ));
        Ok(Arc::new(self.backend.clone()))
    }

    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        let tracking = Hook::new(self.backend.name(), "tracking", options.webhook_auth());
        Ok(vec![Arc::new(tracking)])
    }
}

/// A webhook that reads nothing.
#[derive(Debug)]
struct Hook {
    esp: String,
    url_name: &'static str,
    auth: WebhookAuth,
}

impl Hook {
    fn new(esp: &str, url_name: &'static str, auth: WebhookAuth) -> Self {
        Self {
            esp: esp.to_owned(),
            url_name,
            auth,
        }
    }
}

impl Webhook for Hook {
    fn esp(&self) -> &str {
        &self.esp
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Tracking
    }

    fn url_name(&self) -> &str {
        self.url_name
    }

    fn auth(&self) -> &WebhookAuth {
        &self.auth
    }

    fn read(&self, _: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        Ok(Vec::new())
    }
}

fn acme() -> (AcmeFactory, Registry) {
    let factory = AcmeFactory::new("acme");
    let registry = Registry::new()
        .with(factory.clone())
        .with(AcmeFactory::new("acme_eu"));
    (factory, registry)
}

fn toml(text: &str) -> MailersConfig {
    toml::from_str(text).unwrap()
}

fn no_env() -> Env {
    Env::default()
}

/// The faults as `path: problem`, sorted.
fn faults(result: Result<impl Sized, ConfigError>) -> Vec<String> {
    let error = result.err().unwrap();
    let mut faults: Vec<_> = error.faults().iter().map(ToString::to_string).collect();
    faults.sort();
    faults
}

fn message() -> Message {
    let builder = Message::builder().to("ann@example.com").subject("Hello");
    builder.build().unwrap()
}
