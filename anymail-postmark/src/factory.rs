//! [`PostmarkFactory`]: builds Postmark backends from a configuration.
//!
//! `config.rs` documents and validates the options.

use std::sync::Arc;

#[cfg(feature = "webhooks")]
use anymail_core::Webhook;
use anymail_core::{
    BackendFactory, BackendUrl, EmailBackend, OptionFault, OptionSpec, Options, UrlOptions,
};

use crate::backend::PostmarkBackend;
use crate::config::{NAME, PostmarkConfig, PostmarkConfigFault};
use crate::proxy::Proxy;

/// Builds Postmark backends from a configuration, in which they are called `postmark`.
///
/// The options are those of [`PostmarkConfig`]; only `server_token` is required. The environment
/// variables are `ANYMAIL_POSTMARK_SERVER_TOKEN` and so on.
///
/// ```
/// use anymail_core::{MailersConfig, Registry};
/// use anymail_postmark::PostmarkFactory;
///
/// let registry = Registry::new().with(PostmarkFactory);
/// let config: MailersConfig = serde_json::from_str(
///     r#"{"backend": "postmark", "options": {"server_token": "POSTMARK_API_TEST"}}"#,
/// )?;
/// let mailers = config.build(&registry)?;
/// assert_eq!(mailers.default_mailer().backend().name(), "postmark");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # As a URL
///
/// `postmark://SERVER-TOKEN@default?message_stream=broadcast` contains the token and any other
/// options. A host other than `default`, with port and path, is the `api_url`, with https. For a
/// fake server on loopback, which uses http, the scheme is `postmark+http`.
///
/// ```
/// use anymail_core::{Env, MailersConfig, Registry};
/// use anymail_postmark::PostmarkFactory;
///
/// let registry = Registry::new().with(PostmarkFactory);
/// let env = Env::from([("ANYMAIL_URL", "postmark+http://POSTMARK_API_TEST@127.0.0.1:8025")]);
/// let mailers = MailersConfig::from_env(&env, &registry).build_in(&env, &registry)?;
/// assert_eq!(mailers.default_mailer().backend().name(), "postmark");
/// # Ok::<(), anymail_core::ConfigError>(())
/// ```
///
/// # Webhooks
///
/// Postmark does not sign webhook requests; it uses HTTP basic authentication. So `webhook_secret`
/// is `user:password`, and the URLs for Postmark are
/// `https://user:password@app.example.com/anymail/postmark/tracking/` and `.../inbound/` (feature
/// `webhooks`).
///
/// # Rate limit
///
/// `calls_per_second` (feature `rate-limit`) sets `PostmarkConfig::rate_limiter` to a
/// `RateLimiter::per_second`: at most this many calls are made in any second, evenly spaced, each
/// with one message or up to 500, and there is a pause after a 429. No limit by default. Without
/// the feature, the option is a configuration fault.
///
/// Every configured mailer has its own limit, even if two have the same token, and even if the
/// option is set once for all of them under `backends.postmark`: two mailers may make twice as many
/// calls. The same holds for a failover or a round robin over two: a 429 pauses only the member
/// that got it, and waiting for a turn is not a failure, so the next member is not tried. For a
/// shared limit, create the backends in code, each from a [`PostmarkConfig`] with a clone of one
/// `RateLimiter`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostmarkFactory;

/// The URL scheme of an API that uses plain http: a fake server on loopback.
const PLAIN_HTTP: &str = "postmark+http";

const CALLS_PER_SECOND: &str = "calls_per_second";

const OPTIONS: [OptionSpec; 11] = [
    OptionSpec::secret(
        "server_token",
        "the API token of the Postmark server to send with",
    )
    .required(),
    OptionSpec::text(
        "api_url",
        "the API's base URL; https://api.postmarkapp.com/ by default",
    ),
    OptionSpec::flag(
        "allow_plain_http",
        "allows http:// beyond loopback; false by default",
    ),
    OptionSpec::text("message_stream", "the stream's id; \"outbound\" by default"),
    OptionSpec::flag(
        "use_bulk_api",
        "sends batches with email/bulk; false by default",
    ),
    OptionSpec::flag(
        "generate_message_id",
        "generates the message ids; by default the same as use_bulk_api",
    ),
    OptionSpec::seconds("timeout", "seconds that a call may take; 30 by default"),
    OptionSpec::seconds(
        "connect_timeout",
        "seconds that connecting may take; 10 by default",
    ),
    OptionSpec::integer(
        "max_response_bytes",
        "the maximum size of a response; 10000000 by default",
    ),
    OptionSpec::secret(
        "proxy",
        "the proxy for https: a URL, `never`, or `environment` (the default)",
    ),
    // Also known without its feature, so that the error can name the feature.
    OptionSpec::integer(
        CALLS_PER_SECOND,
        "the maximum number of calls per second; no limit by default",
    ),
];

impl BackendFactory for PostmarkFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        &OPTIONS
    }

    fn url_schemes(&self) -> Vec<&str> {
        vec![NAME, PLAIN_HTTP]
    }

    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        let scheme = if url.scheme() == PLAIN_HTTP {
            "http"
        } else {
            "https"
        };
        let options = UrlOptions::of(url).user("server_token");
        options.api_url("api_url", scheme)
    }

    #[cfg(feature = "webhooks")]
    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        Ok(crate::webhooks(options.webhook_auth()).into())
    }

    #[cfg(not(feature = "webhooks"))]
    fn webhooks_unavailable(&self) -> Option<&str> {
        Some("enable the feature `webhooks` of anymail-postmark")
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let token = options
            .secret("server_token")
            .ok_or(OptionFault::missing("server_token"))?;
        let mut config = PostmarkConfig::new(token.clone());
        config.message_stream = options.text("message_stream").map(str::to_owned);
        config.generate_message_id = options.flag("generate_message_id");
        if let Some(url) = options.text("api_url") {
            config = config.api_url(url);
        }
        set(
            &mut config.allow_plain_http,
            options.flag("allow_plain_http"),
        );
        set(&mut config.use_bulk_api, options.flag("use_bulk_api"));
        set(&mut config.timeout, options.seconds("timeout"));
        set(
            &mut config.connect_timeout,
            options.seconds("connect_timeout"),
        );
        let size = |name| {
            options
                .integer(name)
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX))
        };
        set(&mut config.max_response_bytes, size("max_response_bytes"));
        if let Some(proxy) = options.secret("proxy") {
            config.proxy = Proxy::named(proxy);
        }
        let mut faults = Vec::new();
        if let Some(calls) = options.integer(CALLS_PER_SECOND)
            && let Err(problem) = limit_calls(&mut config, calls)
        {
            faults.push(OptionFault::new(CALLS_PER_SECOND, problem));
        }
        match PostmarkBackend::new(config) {
            Ok(backend) if faults.is_empty() => return Ok(Arc::new(backend)),
            Ok(_) => {}
            Err(error) => {
                let fault =
                    |it: &PostmarkConfigFault| OptionFault::new(it.option, it.problem.clone());
                faults.extend(error.faults().iter().map(fault));
            }
        }
        Err(faults)
    }
}

#[cfg(feature = "rate-limit")]
fn limit_calls(config: &mut PostmarkConfig, calls: u64) -> Result<(), String> {
    let calls = match u32::try_from(calls) {
        Ok(0) => return Err("must be greater than zero".to_owned()),
        Ok(calls) => calls,
        Err(_) => return Err(format!("expected at most {}, got {calls}", u32::MAX)),
    };
    config.rate_limiter = Some(anymail_core::RateLimiter::per_second(calls));
    Ok(())
}

#[cfg(not(feature = "rate-limit"))]
fn limit_calls(_: &mut PostmarkConfig, _: u64) -> Result<(), String> {
    Err("enable the feature `rate-limit` of anymail-postmark".to_owned())
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anymail_core::{ConfigError, Env, Mailers, MailersConfig, Registry};

    /// Needs no TLS, which the build may not have.
    const LOCAL: &str = "http://127.0.0.1:9";

    fn build(options: &serde_json::Value) -> Result<Mailers, ConfigError> {
        let json = serde_json::json!({"backend": "postmark", "options": options});
        let config: MailersConfig = serde_json::from_value(json).unwrap();
        config.build_in(&Env::default(), &Registry::new().with(PostmarkFactory))
    }

    #[cfg(not(feature = "webhooks"))]
    #[test]
    fn a_build_without_webhooks_refuses_to_return_incomplete_routes() {
        let mailers = build(&serde_json::json!({"server_token": "t", "api_url": LOCAL})).unwrap();
        let error = mailers.webhooks().unwrap_err().to_string();
        assert!(
            error.contains("feature `webhooks` of anymail-postmark"),
            "{error}"
        );
    }

    #[test]
    fn every_option_of_a_configuration_reaches_the_backend() {
        let mut all = serde_json::json!({
            "server_token": "s3cret", "api_url": "http://proxy.example/pm",
            "allow_plain_http": true, "message_stream": "broadcast", "use_bulk_api": true,
            "generate_message_id": false, "timeout": 1.5, "connect_timeout": 2,
            "max_response_bytes": 3, "proxy": "http://u:s3cret@proxy.example",
            CALLS_PER_SECOND: 5,
        });
        assert_eq!(all.as_object().map(|map| map.len()), Some(OPTIONS.len()));
        let mut seen = vec![
            "proxy.example/pm",
            "allow_plain_http: true",
            "\"broadcast\"",
            "use_bulk_api: true",
            "Some(false)",
            "1.5s",
            "connect_timeout: 2s",
            "max_response_bytes: 3",
            "proxy: Url([redacted])",
        ];
        match cfg!(feature = "rate-limit") {
            true => seen.push("calls_per_second: 5"),
            false => all[CALLS_PER_SECOND] = serde_json::Value::Null,
        }
        let mailers = build(&all).unwrap();
        let shown = format!("{:?}", mailers.default_mailer().backend());
        for value in seen {
            assert!(shown.contains(value), "{value} is not in {shown}");
        }
        assert!(!shown.contains("s3cret"));
    }

    fn by_url(url: &str) -> Result<Mailers, ConfigError> {
        let registry = Registry::new().with(PostmarkFactory);
        let env = Env::from([("ANYMAIL_URL", url)]);
        MailersConfig::from_env(&env, &registry).build_in(&env, &registry)
    }

    #[test]
    fn a_url_sets_the_token_the_address_and_any_option() {
        let url = "postmark+http://s3cret@127.0.0.1:9/pm?message_stream=broad%20cast&timeout=1.5";
        let mailers = by_url(url).unwrap();
        let shown = format!("{mailers:?}");
        for value in ["http://127.0.0.1:9/pm", "\"broad cast\"", " 1.5s"] {
            assert!(shown.contains(value), "{value} is not in {shown}");
        }
        assert!(!shown.contains("s3cret"), "{shown}");
        #[cfg(feature = "rustls-tls")]
        for (url, api) in [
            ("postmark://s3cret@default", "https://api.postmarkapp.com/"),
            (
                "postmark://s3cret@relay.example:8443",
                "https://relay.example:8443",
            ),
        ] {
            let shown = format!("{:?}", by_url(url).unwrap());
            assert!(shown.contains(api), "{shown}");
        }
    }

    #[test]
    fn an_unusable_url_is_a_fault_that_does_not_quote_it() {
        for (url, problem) in [
            (
                "postmark+http://s3cret@h0st.example",
                "would send the token in clear",
            ),
            (
                "postmark+http://s3cret:s3cret@127.0.0.1:9",
                "postmark does not use the URL's password",
            ),
            (
                "postmark://s3cret@default?api_url=ftp://s3cret",
                "is not an https or http URL",
            ),
            (
                "postmark://s3cret@default?timeout=s3cret",
                "a number of seconds",
            ),
            (
                "postmark://s3cret@default?tokn=s3cret",
                "unknown postmark option",
            ),
            ("postmark://tok%0Aen-s3cret@default", "contains a character"),
        ] {
            let error = by_url(url).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(problem), "{url}: {shown}");
            assert!(!shown.contains("s3cret"), "{url}: {shown}");
        }
    }

    #[test]
    fn all_faults_in_the_options_are_reported_at_once() {
        let wrong = serde_json::json!({
            "server_token": "x\ny", "api_url": LOCAL, "timeout": 0, CALLS_PER_SECOND: 0,
        });
        let error = build(&wrong).unwrap_err();
        let mut paths: Vec<_> = error.faults().iter().map(|fault| fault.path()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "options.calls_per_second",
                "options.server_token",
                "options.timeout"
            ]
        );
    }

    #[test]
    fn an_impossible_rate_limit_is_a_fault() {
        let bad = [0, u64::from(u32::MAX) + 1, u64::MAX];
        let bad = bad.into_iter().map(serde_json::Value::from);
        for calls in bad.chain([serde_json::json!(-1), serde_json::json!("5")]) {
            let error = build(&serde_json::json!({
                "server_token": "t", "api_url": LOCAL, CALLS_PER_SECOND: calls,
            }));
            let error = error.unwrap_err();
            assert_eq!(error.faults().len(), 1, "{error}");
            assert_eq!(error.faults()[0].path(), "options.calls_per_second");
        }
    }

    #[cfg(not(feature = "rate-limit"))]
    #[test]
    fn a_rate_limit_without_its_cargo_feature_is_a_fault_that_names_it() {
        let options = serde_json::json!({"server_token": "t", CALLS_PER_SECOND: 5});
        let error = build(&options).unwrap_err().to_string();
        assert!(error.contains("feature `rate-limit`"), "{error}");
    }

    #[cfg(not(feature = "rustls-tls"))]
    #[test]
    fn https_without_its_cargo_feature_is_a_fault_that_names_it() {
        let error = build(&serde_json::json!({"server_token": "t"})).unwrap_err();
        assert_eq!(error.faults().len(), 1, "{error}");
        assert_eq!(error.faults()[0].path(), "options.api_url");
        assert!(error.to_string().contains("`rustls-tls`"), "{error}");
    }
}
