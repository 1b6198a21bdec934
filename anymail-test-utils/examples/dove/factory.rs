//! The factory: creates the backend when a configuration names Dove.

use std::sync::Arc;

use anymail_core::{
    BackendFactory, BackendUrl, EmailBackend, OptionFault, OptionSpec, Options, SmtpConfig,
    UrlOptions,
};

use super::backend::{Dove, NAME};

const HOST: &str = "smtp.dove.example";
/// The user name that goes with every API key.
const USER: &str = "apikey";

/// Creates Dove's backends.
#[derive(Debug)]
pub struct DoveFactory;

impl BackendFactory for DoveFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 3] = [
            OptionSpec::secret("api_key", "the key from Dove's settings page").required(),
            OptionSpec::text("host", "the SMTP server; Dove's own by default"),
            OptionSpec::seconds("timeout", "the time limit of a reply; 30 by default"),
        ];
        &OPTIONS
    }

    /// The connection is encrypted, which is the default for SMTP.
    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let key = options.secret("api_key");
        let key = key.ok_or(OptionFault::missing("api_key"))?.clone();
        let mut config = SmtpConfig::new(options.text("host").unwrap_or(HOST));
        config = config.password(USER, key);
        if let Some(timeout) = options.seconds("timeout") {
            config = config.timeout(timeout);
        }
        match Dove::new(config) {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(error) => Err(OptionFault::new("host", error.to_string()).into()),
        }
    }

    /// `dove://API-KEY@default?timeout=10`.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url).user("api_key").host("host")
    }
}
