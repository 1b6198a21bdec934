//! The factory: creates the backend and the webhooks when a configuration names Starling.

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    BackendFactory, BackendUrl, EmailBackend, OptionFault, OptionSpec, Options, UrlOptions, Webhook,
};

use super::backend::{NAME, Starling, StarlingError};
use super::signature::StarlingSignature;
use super::webhook::{StarlingInboundWebhook, StarlingWebhook};

const API_URL: &str = "https://api.starling.example";

/// Creates Starling's backends and webhooks.
#[derive(Debug)]
pub struct StarlingFactory;

impl BackendFactory for StarlingFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 3] = [
            OptionSpec::secret("api_key", "the key from Starling's settings page").required(),
            OptionSpec::text(
                "api_url",
                "the base URL of the API; Starling's own by default",
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
        match Starling::new(url, key, timeout) {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(error @ StarlingError::Key(_)) => {
                Err(OptionFault::new("api_key", error.to_string()).into())
            }
            Err(error) => Err(OptionFault::new("api_url", error.to_string()).into()),
        }
    }

    /// `starling://API-KEY@default?timeout=10`.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url)
            .user("api_key")
            .api_url("api_url", "https")
    }

    fn webhook_options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 2] = [
            OptionSpec::text(
                "webhook_verification_key",
                "the public key from Starling's settings page",
            ),
            OptionSpec::text(
                "webhook_verification_key_2",
                "a second key, during a key rotation",
            ),
        ];
        &OPTIONS
    }

    /// The signature is checked in addition to `webhook_secret`. If neither is set, core refuses
    /// the webhooks.
    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        let names = ["webhook_verification_key", "webhook_verification_key_2"];
        let keys = names.into_iter().filter_map(|name| options.text(name));
        let keys: Vec<_> = keys.collect();
        let mut auth = options.webhook_auth();
        if !keys.is_empty() {
            let signature = StarlingSignature::new(keys)
                .map_err(|error| OptionFault::new("webhook_verification_key", error.to_string()))?;
            auth = auth.and_signature(signature);
        }
        Ok(vec![
            Arc::new(StarlingWebhook::new(auth.clone())),
            Arc::new(StarlingInboundWebhook::new(auth)),
        ])
    }
}
