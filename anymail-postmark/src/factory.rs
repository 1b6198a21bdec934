//! [`PostmarkFactory`]: what a configuration can say of a Postmark backend.
//!
//! What each option does, and what can be wrong with it, is in `config.rs`.

use std::sync::Arc;

use anymail_core::{BackendFactory, EmailBackend, OptionFault, OptionSpec, Options};

use crate::backend::{NAME, PostmarkBackend};
use crate::config::{PostmarkConfig, PostmarkConfigFault};

/// Makes Postmark backends from a configuration; its name there is `postmark`.
///
/// Its options are those of [`PostmarkConfig`]; `server_token` is the one that must be there.
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
#[derive(Debug, Clone, Copy, Default)]
pub struct PostmarkFactory;

const OPTIONS: [OptionSpec; 10] = [
    OptionSpec::secret(
        "server_token",
        "the token of the Postmark server to send by",
    )
    .required(),
    OptionSpec::text(
        "api_url",
        "where the API is; Postmark's own address by default",
    ),
    OptionSpec::flag(
        "allow_plain_http",
        "takes http:// beyond loopback; false by default",
    ),
    OptionSpec::text("message_stream", "the stream's id; \"outbound\" by default"),
    OptionSpec::flag("use_bulk_api", "sends through email/bulk; false by default"),
    OptionSpec::flag(
        "generate_message_id",
        "gives rows ids of our own; as use_bulk_api by default",
    ),
    OptionSpec::seconds("timeout", "the time limit of one call; 30 by default"),
    OptionSpec::seconds(
        "connect_timeout",
        "the time limit of connecting; 10 by default",
    ),
    OptionSpec::integer(
        "max_response_bytes",
        "the largest answer read; 10000000 by default",
    ),
    OptionSpec::integer(
        "concurrency",
        "calls under way at once for many rows; 8 by default",
    ),
];

impl BackendFactory for PostmarkFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        &OPTIONS
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
        set(&mut config.concurrency, size("concurrency"));
        let backend = PostmarkBackend::new(config).map_err(|error| {
            let fault = |it: &PostmarkConfigFault| OptionFault::new(it.option, it.problem.clone());
            error.faults().iter().map(fault).collect::<Vec<_>>()
        })?;
        Ok(Arc::new(backend))
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_a_configuration_reaches_the_backend() {
        let registry = anymail_core::Registry::new().with(PostmarkFactory);
        let build = |options: serde_json::Value| {
            let json = serde_json::json!({"backend": "postmark", "options": options});
            let config: anymail_core::MailersConfig = serde_json::from_value(json).unwrap();
            config.build(&registry)
        };
        let all = serde_json::json!({
            "server_token": "s3cret", "api_url": "http://proxy.example/pm",
            "allow_plain_http": true, "message_stream": "broadcast", "use_bulk_api": true,
            "generate_message_id": false, "timeout": 1.5, "connect_timeout": 2,
            "max_response_bytes": 3, "concurrency": 4,
        });
        assert_eq!(all.as_object().map(|map| map.len()), Some(OPTIONS.len()));
        let mailers = build(all).unwrap();
        let shown = format!("{:?}", mailers.default_mailer().backend());
        for value in [
            "proxy.example/pm",
            "allow_plain_http: true",
            "\"broadcast\"",
            "use_bulk_api: true",
            "Some(false)",
            "1.5s",
            "connect_timeout: 2s",
            "max_response_bytes: 3",
            "concurrency: 4",
        ] {
            assert!(shown.contains(value), "{value} is not in {shown}");
        }
        assert!(!shown.contains("s3cret"));

        let error = build(serde_json::json!({"server_token": "x\ny", "timeout": 0})).unwrap_err();
        let paths: Vec<_> = error.faults().iter().map(|fault| fault.path()).collect();
        assert_eq!(paths, ["options.server_token", "options.timeout"]);
    }
}
