//! [`PostmarkConfig`]: the settings of a Postmark backend, and their validation.
//!
//! `options.rs` defines options of single messages; `factory.rs` reads configurations.

use std::fmt;
use std::time::Duration;

use anymail_core::Secret;
use reqwest::header::HeaderValue;
use url::Url;

use crate::proxy::Proxy;

/// The backend's name in statuses, errors and configurations.
pub(crate) const NAME: &str = "postmark";

/// Where Postmark's API is: <https://postmarkapp.com/developer/api/overview>.
const API_URL: &str = "https://api.postmarkapp.com/";

/// The settings of a Postmark server.
///
/// ```
/// use std::time::Duration;
/// use anymail_postmark::{PostmarkBackend, PostmarkConfig};
///
/// let config = PostmarkConfig::new("POSTMARK_API_TEST")
///     .message_stream("broadcast")
///     .timeout(Duration::from_secs(10));
/// let backend = PostmarkBackend::new(config)?;
/// # Ok::<(), anymail_postmark::PostmarkConfigError>(())
/// ```
///
/// With the token `POSTMARK_API_TEST`, Postmark validates messages and responds to requests, but
/// delivers nothing.
#[derive(Debug, Clone)]
pub struct PostmarkConfig {
    pub(crate) server_token: Secret,
    api_url: ApiUrl,
    pub(crate) allow_plain_http: bool,
    pub(crate) message_stream: Option<String>,
    pub(crate) use_bulk_api: bool,
    pub(crate) generate_message_id: Option<bool>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_response_bytes: usize,
    pub(crate) proxy: Proxy,
    #[cfg(feature = "rate-limit")]
    pub(crate) rate_limiter: Option<anymail_core::RateLimiter>,
}

/// A URL as it was given. One with a password is refused, but may be printed before that.
#[derive(Clone)]
struct ApiUrl(String);

impl fmt::Debug for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains('@') {
            true => f.write_str("[redacted]"),
            false => fmt::Debug::fmt(&self.0, f),
        }
    }
}

impl PostmarkConfig {
    /// Creates settings with this server token and defaults for everything else.
    pub fn new(server_token: impl Into<Secret>) -> Self {
        Self {
            server_token: server_token.into(),
            api_url: ApiUrl(API_URL.to_owned()),
            allow_plain_http: false,
            message_stream: None,
            use_bulk_api: false,
            generate_message_id: None,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_response_bytes: 10_000_000,
            proxy: Proxy::default(),
            #[cfg(feature = "rate-limit")]
            rate_limiter: None,
        }
    }

    /// Sets the API's URL, for a proxy or a fake server. `http://` is allowed only for loopback
    /// addresses, because the token is sent in clear text.
    #[must_use]
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = ApiUrl(url.into());
        self
    }

    /// Allows an `http://` URL that is not loopback. `false` by default.
    #[must_use]
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// Sets the ID of the message stream for messages that do not set one. Postmark's own default
    /// is `outbound`.
    #[must_use]
    pub fn message_stream(mut self, id: impl Into<String>) -> Self {
        self.message_stream = Some(id.into());
        self
    }

    /// Sends with `email/bulk`, which requires a broadcast stream and Postmark's approval. `false`
    /// by default.
    ///
    /// Each address in `to` then gets its own message, and all of them are `Queued`: only webhooks
    /// report the results.
    #[must_use]
    pub fn use_bulk_api(mut self, on: bool) -> Self {
        self.use_bulk_api = on;
        self
    }

    /// Adds a generated ID to the metadata of each message, as `anymail_id`.
    ///
    /// The status and the events of webhooks then report this ID as the message ID, instead of
    /// Postmark's. If a response is lost, you can search for the ID
    /// ([`PostmarkBackend::find_sent`](crate::PostmarkBackend::find_sent)). By default it is on
    /// only with [`use_bulk_api`](Self::use_bulk_api), whose response contains no other IDs.
    ///
    /// If the message's metadata already contains an `anymail_id`, that ID is kept (in a batch: one
    /// in the recipient's own `merge_metadata`). So an app can record an ID before it sends, and
    /// search for it even after a crash. Each message needs its own ID.
    #[must_use]
    pub fn generate_message_id(mut self, on: bool) -> Self {
        self.generate_message_id = Some(on);
        self
    }

    /// Sets the timeout of a call, from connecting to the last byte of the response. 30 s by
    /// default. Postmark takes a while to process large batches: some with 500 messages took longer
    /// than 60 s.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the timeout of connecting. 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the maximum size of a response, in bytes. 10,000,000 by default; that of a full batch
    /// has less than 200,000.
    #[must_use]
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    /// Sets the HTTP proxy for calls to an `https` URL. By default, the environment selects it.
    /// Calls to an `http` URL never use a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Limits the rate of calls, and pauses them after a 429. No limit by default; Postmark does
    /// not publish one. Clones of the limiter in other configurations share the limit. In a
    /// configuration file, set `calls_per_second` ([`PostmarkFactory`](crate::PostmarkFactory)).
    #[cfg(feature = "rate-limit")]
    #[must_use]
    pub fn rate_limiter(mut self, limiter: anymail_core::RateLimiter) -> Self {
        self.rate_limiter = Some(limiter);
        self
    }

    /// Returns the API's URL with a trailing slash, or all faults in the settings.
    pub(crate) fn checked(&self) -> Result<Url, PostmarkConfigError> {
        let mut faults = Vec::new();
        let mut keep = |option, problem| {
            faults.push(PostmarkConfigFault { option, problem });
        };
        if let Err(problem) = token_header(&self.server_token) {
            keep("server_token", problem.to_owned());
        }
        let url = checked_url(&self.api_url.0, self.allow_plain_http)
            .map_err(|problem| keep("api_url", problem))
            .ok();
        for (option, limit) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if limit.is_zero() {
                keep(option, "must be greater than zero".to_owned());
            }
        }
        if let Some(problem) = self.proxy.problem() {
            keep("proxy", problem.to_owned());
        }
        match url {
            Some(url) if faults.is_empty() => Ok(url),
            _ => Err(PostmarkConfigError { faults }),
        }
    }

    /// Whether messages get a generated ID.
    pub(crate) fn generates_ids(&self) -> bool {
        self.generate_message_id.unwrap_or(self.use_bulk_api)
    }
}

/// The token as a header value that is never printed.
pub(crate) fn token_header(token: &Secret) -> Result<HeaderValue, &'static str> {
    if token.is_blank() {
        return Err("must not be empty");
    }
    let mut value = HeaderValue::from_str(token.expose().trim())
        .map_err(|_| "contains a character that is not allowed in an HTTP header")?;
    value.set_sensitive(true);
    Ok(value)
}

fn checked_url(text: &str, allow_plain_http: bool) -> Result<Url, String> {
    let mut url =
        Url::parse(text).map_err(|error| format!("{text:?} is not a valid URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // Not quoted: it contains a password.
        return Err("must not contain a user name or password".to_owned());
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err(format!("{text:?} has no host")),
    };
    match url.scheme() {
        "https" if cfg!(feature = "rustls-tls") => {}
        "https" => {
            return Err(format!(
                "{text:?} requires TLS: enable the feature `rustls-tls` of anymail-postmark"
            ));
        }
        "http" if loopback || allow_plain_http => {}
        "http" => {
            return Err(format!(
                "{text:?} would send the token in clear text: use https, \
                 or set allow_plain_http"
            ));
        }
        _ => return Err(format!("{text:?} is not an https or http URL")),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} must not have a query or fragment"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// The error of creating a Postmark backend, with all faults in its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostmarkConfigError {
    faults: Vec<PostmarkConfigFault>,
}

/// A fault in a setting. It never quotes a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostmarkConfigFault {
    /// The setting, for example `api_url`.
    pub option: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl PostmarkConfigError {
    pub(crate) fn new(option: &'static str, problem: String) -> Self {
        Self {
            faults: vec![PostmarkConfigFault { option, problem }],
        }
    }

    /// The faults, at least one.
    pub fn faults(&self) -> &[PostmarkConfigFault] {
        &self.faults
    }
}

impl std::error::Error for PostmarkConfigError {}

impl fmt::Display for PostmarkConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid postmark configuration")?;
        for (i, fault) in self.faults.iter().enumerate() {
            let before = if i == 0 { ": " } else { "; " };
            write!(f, "{before}{}: {}", fault.option, fault.problem)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(config: &PostmarkConfig) -> String {
        config.checked().unwrap_err().to_string()
    }

    #[test]
    fn all_faults_are_reported_at_once_and_the_token_is_not_quoted() {
        let config = PostmarkConfig::new("sec\nret")
            .api_url("ftp://example.com")
            .timeout(Duration::ZERO);
        assert_eq!(
            problem(&config),
            "invalid postmark configuration: \
             server_token: contains a character that is not allowed in an HTTP header; \
             api_url: \"ftp://example.com\" is not an https or http URL; \
             timeout: must be greater than zero"
        );
        assert!(problem(&PostmarkConfig::new(" ")).contains("server_token: must not be empty"));
    }

    #[test]
    fn a_url_that_would_give_the_token_away_is_refused() {
        let url = |url: &str| PostmarkConfig::new("token").api_url(url);
        for bad in [
            "http://api.example.com",
            "https://user:s3cret@api.example.com",
            "https://api.example.com/?x=1",
            "mailto:a@example.com",
            "nonsense",
            "",
        ] {
            let error = problem(&url(bad));
            assert!(error.contains("api_url"), "{bad}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        for good in [
            "http://127.0.0.1:8025",
            "http://localhost/",
            "http://[::1]:1",
        ] {
            assert!(url(good).checked().is_ok(), "{good}");
        }
        let proxy = url("http://proxy.internal/pm").allow_plain_http(true);
        let url = proxy.checked().unwrap();
        assert_eq!(url.join("email").unwrap().path(), "/pm/email");
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let config = PostmarkConfig::new("s3cret");
        let header = token_header(&config.server_token).unwrap();
        assert!(!format!("{config:?} {header:?}").contains("s3cret"));
    }
}
