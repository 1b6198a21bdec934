//! The factory: creates the backend and the webhooks when a configuration names Pigeon.

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    BackendFactory, BackendUrl, EmailBackend, OptionFault, OptionSpec, Options, UrlOptions, Webhook,
};

use crate::backend::{NAME, Pigeon, PigeonError};
use crate::signature::PigeonSignature;
use crate::webhook::{PigeonInboundWebhook, PigeonWebhook};

const API_URL: &str = "https://api.pigeon.example";

/// Creates Pigeon's backends and webhooks.
#[derive(Debug)]
pub struct PigeonFactory;

impl BackendFactory for PigeonFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 3] = [
            OptionSpec::secret("api_key", "the key from Pigeon's settings page").required(),
            OptionSpec::text(
                "api_url",
                "the base URL of the API; Pigeon's own by default",
            ),
            OptionSpec::seconds("timeout", "the time limit of a call; 30 by default"),
        ];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let key = options.secret("api_key");
        let key = key.ok_or(OptionFault::missing("api_key"))?.clone();
        let url = options.text("api_url").unwrap_or(API_URL);
        let url = url.trim_end_matches('/');
        let timeout = options
            .seconds("timeout")
            .unwrap_or(Duration::from_secs(30));
        match Pigeon::new(url, key, timeout) {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(error @ PigeonError::Key(_)) => {
                Err(OptionFault::new("api_key", error.to_string()).into())
            }
            Err(error) => Err(OptionFault::new("api_url", error.to_string()).into()),
        }
    }

    /// `pigeon://API-KEY@default?timeout=10`.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url)
            .user("api_key")
            .api_url("api_url", "https")
    }

    fn webhook_options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 2] = [
            OptionSpec::secret(
                "webhook_signing_key",
                "the key that Pigeon signs its webhooks with",
            ),
            OptionSpec::secret(
                "webhook_signing_key_2",
                "a second key, during a key rotation",
            ),
        ];
        &OPTIONS
    }

    /// The signature is checked in addition to `webhook_secret`. If neither is set, core refuses
    /// the webhooks.
    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        let names = ["webhook_signing_key", "webhook_signing_key_2"];
        let keys = names.into_iter().filter_map(|name| options.secret(name));
        let keys: Vec<_> = keys.cloned().collect();
        let mut auth = options.webhook_auth();
        if !keys.is_empty() {
            let signature = PigeonSignature::new(keys)
                .map_err(|error| OptionFault::new("webhook_signing_key", error.to_string()))?;
            auth = auth.and_signature(signature);
        }
        Ok(vec![
            Arc::new(PigeonWebhook::new(auth.clone())),
            Arc::new(PigeonInboundWebhook::new(auth)),
        ])
    }
}
