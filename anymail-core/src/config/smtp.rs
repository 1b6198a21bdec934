//! The factory of the `smtp` backend.
//!
//! What each option does, and what can be wrong with it, is in `backends/smtp/config.rs`.

use std::sync::Arc;

use super::backend_url::{BackendUrl, UrlOptions};
use super::factory::BackendFactory;
use super::options::{OptionFault, OptionSpec, Options};
use crate::backends::smtp::NAME;
use crate::backends::{SmtpBackend, SmtpConfig, SmtpConfigFault, SmtpTls};
use crate::sending::EmailBackend;

#[derive(Debug)]
pub(super) struct SmtpFactory;

/// The scheme of a URL of a server that speaks TLS from the first byte.
const IMPLICIT_TLS: &str = "smtps";

const OPTIONS: [OptionSpec; 13] = [
    OptionSpec::text("host", "the server's host name or IP address").required(),
    OptionSpec::integer("port", "587, 465 or 25 by default, as tls says"),
    OptionSpec::text(
        "tls",
        "starttls (required, the default), implicit, or none (to loopback only)",
    ),
    OptionSpec::flag(
        "allow_clear_text",
        "takes tls = none beyond loopback; false by default",
    ),
    OptionSpec::secret("user", "the name to log in with; without it nobody logs in"),
    OptionSpec::secret("password", "the user's password"),
    OptionSpec::secret(
        "access_token",
        "an OAuth 2 token in the place of a password",
    ),
    OptionSpec::text(
        "hello_name",
        "the name to say in EHLO; the own IP address by default",
    ),
    OptionSpec::seconds("timeout", "the time limit of each step; 60 by default"),
    OptionSpec::integer("max_connections", "the most connections; 8 by default"),
    OptionSpec::seconds(
        "idle_timeout",
        "how long an unused connection stays open; 60 by default",
    ),
    OptionSpec::integer(
        "max_messages_per_connection",
        "messages after which a connection is closed; 100 by default",
    ),
    OptionSpec::text(
        "ca_file",
        "certificates in PEM to trust besides the platform's",
    ),
];

impl BackendFactory for SmtpFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn options(&self) -> &[OptionSpec] {
        &OPTIONS
    }

    fn url_schemes(&self) -> Vec<&str> {
        vec![NAME, IMPLICIT_TLS]
    }

    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        let options = UrlOptions::of(url)
            .user("user")
            .password("password")
            .host("host")
            .port("port");
        match url.scheme() {
            IMPLICIT_TLS => options.set("tls", SmtpTls::Implicit.name()),
            _ => options,
        }
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let config = read(options, &mut faults);
        match SmtpBackend::new(config) {
            Ok(backend) if faults.is_empty() => return Ok(Arc::new(backend)),
            Ok(_) => {}
            Err(error) => {
                let fault = |it: &SmtpConfigFault| OptionFault::new(it.option, it.problem.clone());
                faults.extend(error.faults().iter().map(fault));
            }
        }
        Err(faults)
    }
}

fn read(options: &Options, faults: &mut Vec<OptionFault>) -> SmtpConfig {
    let mut config = SmtpConfig::new(options.text("host").unwrap_or_default());
    if let Some(name) = options.text("tls") {
        match SmtpTls::named(name) {
            Some(tls) => config = config.tls(tls),
            None => faults.push(OptionFault::new(
                "tls",
                format!("{name:?} is not starttls, implicit or none"),
            )),
        }
    }
    if let Some(port) = options.integer("port") {
        match u16::try_from(port) {
            Ok(port) => config = config.port(port),
            Err(_) => faults.push(OptionFault::new("port", format!("{port} is over 65535"))),
        }
    }
    config = config.allow_clear_text(options.flag("allow_clear_text").unwrap_or_default());
    let user = options.secret("user").cloned();
    let password = options.secret("password").cloned();
    let token = options.secret("access_token").cloned();
    match (user, password, token) {
        (None, None, None) => {}
        (Some(user), Some(password), None) => config = config.password(user, password),
        (Some(user), None, Some(token)) => config = config.access_token(user, token),
        (_, Some(_), Some(_)) => faults.push(OptionFault::new(
            "access_token",
            "there is a password, too: leave one of them out",
        )),
        (None, ..) => faults.push(OptionFault::new(
            "user",
            "it is missing, and there is a password or token",
        )),
        (Some(_), None, None) => faults.push(OptionFault::new(
            "password",
            "it is missing, and there is a user",
        )),
    }
    if let Some(name) = options.text("hello_name") {
        config = config.hello_name(name);
    }
    if let Some(limit) = options.seconds("timeout") {
        config = config.timeout(limit);
    }
    if let Some(limit) = options.seconds("idle_timeout") {
        config = config.idle_timeout(limit);
    }
    let number = |name| {
        let number = options.integer(name)?;
        Some(usize::try_from(number).unwrap_or(usize::MAX))
    };
    if let Some(most) = number("max_connections") {
        config = config.max_connections(most);
    }
    if let Some(most) = number("max_messages_per_connection") {
        config = config.max_messages_per_connection(most);
    }
    if let Some(path) = options.text("ca_file") {
        config = config.ca_file(path);
    }
    config
}
