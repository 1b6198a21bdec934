//! [`FakeEspConfig`] and [`FakeEspFactory`]: the backend's settings, in code and in a
//! configuration.
//!
//! `anymail-core` finds the options in a configuration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    BackendFactory, BackendUrl, EmailBackend, OptionFault, OptionSpec, Options, Secret, UrlOptions,
};

use super::NAME;
use super::backend::FakeEspBackend;

/// The settings to reach a [`FakeEsp`](crate::FakeEsp).
#[derive(Debug, Clone)]
pub struct FakeEspConfig {
    pub(super) api_key: Secret,
    pub(super) api_url: String,
    pub(super) timeout: Duration,
}

impl FakeEspConfig {
    /// Creates settings with the key and the URL that [`FakeEsp::url`](crate::FakeEsp::url)
    /// returns. The time limit of a call is 10 seconds.
    pub fn new(api_key: impl Into<Secret>, api_url: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            api_url: api_url.into(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Sets the time limit of one call.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

/// A key or URL that is not valid. Does not quote the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeEspConfigError {
    pub(super) option: &'static str,
    pub(super) problem: String,
}

impl std::error::Error for FakeEspConfigError {}

impl fmt::Display for FakeEspConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}: {}: {}", self.option, self.problem)
    }
}

/// Creates [`FakeEspBackend`]s under the name `fake_esp`.
///
/// ```
/// use anymail_core::{MailersConfig, Registry};
/// use anymail_test_utils::{FakeEsp, FakeEspFactory};
///
/// let esp = FakeEsp::start()?;
/// let config: MailersConfig = serde_json::from_value(serde_json::json!({
///     "backend": "fake_esp",
///     "options": {"api_key": "api-key", "api_url": esp.url()},
/// }))?;
/// let mailers = config.build(&Registry::new().with(FakeEspFactory))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FakeEspFactory;

impl BackendFactory for FakeEspFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 3] = [
            OptionSpec::secret("api_key", "the API key of the fictional ESP").required(),
            OptionSpec::text("api_url", "the URL that FakeEsp::url() returns").required(),
            OptionSpec::seconds("timeout", "the time limit of one call; 10 by default"),
        ];
        &OPTIONS
    }

    /// `fake-esp://API-KEY@127.0.0.1:PORT`; the fake uses plain http.
    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        UrlOptions::of(url)
            .user("api_key")
            .api_url("api_url", "http")
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let missing = OptionFault::missing;
        let key = options
            .secret("api_key")
            .ok_or_else(|| missing("api_key"))?;
        let url = options.text("api_url").ok_or_else(|| missing("api_url"))?;
        let mut config = FakeEspConfig::new(key.clone(), url);
        if let Some(limit) = options.seconds("timeout") {
            config = config.timeout(limit);
        }
        let backend = FakeEspBackend::new(config)
            .map_err(|error| OptionFault::new(error.option, error.problem))?;
        Ok(Arc::new(backend))
    }
}
