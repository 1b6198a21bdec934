//! [`PostmarkConfig`]: what a Postmark backend needs to know, and what can be wrong with it.
//!
//! What one message may say otherwise is in `options.rs`; how a configuration says it, in
//! `factory.rs`.

use std::fmt;
use std::time::Duration;

use anymail_core::Secret;
use reqwest::header::HeaderValue;
use url::Url;

use crate::proxy::Proxy;

/// The backend's name in statuses, errors and configuration.
pub(crate) const NAME: &str = "postmark";

/// Where Postmark's API is: <https://postmarkapp.com/developer/api/overview>.
const API_URL: &str = "https://api.postmarkapp.com/";

/// How to reach one Postmark server.
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
/// With the token `POSTMARK_API_TEST` Postmark checks messages and answers, but delivers
/// nothing.
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
    pub(crate) concurrency: usize,
    pub(crate) proxy: Proxy,
    #[cfg(feature = "rate-limit")]
    pub(crate) rate_limiter: Option<anymail_core::RateLimiter>,
}

/// A URL as it was given. One with a password is refused, but may be printed before.
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
    /// All as by default, with this server token.
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
            concurrency: 8,
            proxy: Proxy::default(),
            #[cfg(feature = "rate-limit")]
            rate_limiter: None,
        }
    }

    /// Another address of the API, for a proxy or a fake. `http://` is taken for loopback
    /// addresses only: the token goes along in clear.
    #[must_use]
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = ApiUrl(url.into());
        self
    }

    /// Takes an `http://` URL that is not loopback. `false` by default.
    #[must_use]
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// The message stream of messages that name none, by its id. Postmark's own default is
    /// `outbound`.
    #[must_use]
    pub fn message_stream(mut self, id: impl Into<String>) -> Self {
        self.message_stream = Some(id.into());
        self
    }

    /// Whether to send through `email/bulk`, which needs a broadcast stream and Postmark's
    /// approval. `false` by default.
    ///
    /// Every `to` then gets a message of its own, and all of them are `Queued`: what becomes
    /// of each is told by webhooks only.
    #[must_use]
    pub fn use_bulk_api(mut self, on: bool) -> Self {
        self.use_bulk_api = on;
        self
    }

    /// Whether each row sent bears an id of ours in its metadata, as `anymail_id`.
    ///
    /// The status and the webhooks' events then give this id as the message id, in the place
    /// of Postmark's, and after a lost answer Postmark can be asked for it
    /// ([`PostmarkBackend::find_sent`](crate::PostmarkBackend::find_sent)). By default it is
    /// on just for [`use_bulk_api`](Self::use_bulk_api), whose answer has no other ids.
    ///
    /// An id that the message's metadata already has as `anymail_id` is kept (in a batch: one
    /// in the recipient's own `merge_metadata`). So an app can note an id before it sends, and
    /// ask for it even after a crash. No two mails may bear the same.
    #[must_use]
    pub fn generate_message_id(mut self, on: bool) -> Self {
        self.generate_message_id = Some(on);
        self
    }

    /// The time limit of one call, from connecting to the last byte of the answer. 30 s by
    /// default. Large batches take Postmark a while: some 500 rows have been seen to take
    /// longer than 60 s.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// The time limit of connecting. 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The largest answer that is read, in bytes. 10,000,000 by default; a full batch's is
    /// under 200,000.
    #[must_use]
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    /// How many calls are under way at once for the messages of one `send` or `send_many`, when
    /// they need several. 8 by default.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls;
        self
    }

    /// The HTTP proxy for calls to an `https` URL. By default the one that the environment names.
    /// Calls to an `http` URL never go through a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Lets calls go out only when this limiter lets them, and after a 429 none for a while.
    /// None by default. Postmark publishes no limit. A clone of the limiter in another
    /// configuration shares it. Of a configuration from elsewhere its option
    /// `calls_per_second` makes one ([`PostmarkFactory`](crate::PostmarkFactory)).
    #[cfg(feature = "rate-limit")]
    #[must_use]
    pub fn rate_limiter(mut self, limiter: anymail_core::RateLimiter) -> Self {
        self.rate_limiter = Some(limiter);
        self
    }

    /// The API's URL with a slash at its end, or all that is wrong with the settings.
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
        if self.concurrency == 0 {
            keep("concurrency", "must be greater than zero".to_owned());
        }
        match url {
            Some(url) if faults.is_empty() => Ok(url),
            _ => Err(PostmarkConfigError { faults }),
        }
    }

    /// Whether rows bear an id of ours.
    pub(crate) fn generates_ids(&self) -> bool {
        self.generate_message_id.unwrap_or(self.use_bulk_api)
    }
}

/// The token as a header's value that does not print.
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
        // Not quoted: it holds a password.
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

/// Settings that no backend can be made of: all that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostmarkConfigError {
    faults: Vec<PostmarkConfigFault>,
}

/// One setting and what is wrong with it. Never quotes a token.
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

    /// What is wrong; there is at least one fault.
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
    fn all_that_is_wrong_is_told_at_once_and_the_token_is_not_quoted() {
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
    fn the_token_does_not_print() {
        let config = PostmarkConfig::new("s3cret");
        let header = token_header(&config.server_token).unwrap();
        assert!(!format!("{config:?} {header:?}").contains("s3cret"));
    }
}
