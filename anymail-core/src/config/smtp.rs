//! The factory of the `smtp` backend.
//!
//! `backends/smtp/config.rs` documents and checks the options.

use std::sync::Arc;

use super::backend_url::{BackendUrl, UrlOptions};
use super::factory::BackendFactory;
use super::options::{OptionFault, OptionSpec, Options};
use crate::backends::smtp::NAME;
use crate::backends::{SmtpBackend, SmtpConfig, SmtpConfigFault, SmtpTls};
use crate::sending::EmailBackend;

#[derive(Debug)]
pub(super) struct SmtpFactory;

/// The URL scheme of a server with implicit TLS.
const IMPLICIT_TLS: &str = "smtps";

const OPTIONS: [OptionSpec; 13] = [
    OptionSpec::text("host", "the server's host name or IP address").required(),
    OptionSpec::integer(
        "port",
        "default: 587 for starttls, 465 for implicit, 25 for none",
    ),
    OptionSpec::text(
        "tls",
        "starttls (the default), implicit, or none (loopback only)",
    ),
    OptionSpec::flag(
        "allow_clear_text",
        "allows tls = none beyond loopback; false by default",
    ),
    OptionSpec::secret(
        "user",
        "the user name; without it there is no authentication",
    ),
    OptionSpec::secret("password", "the user's password"),
    OptionSpec::secret("access_token", "an OAuth 2 token instead of a password"),
    OptionSpec::text(
        "hello_name",
        "the name sent in EHLO; the local IP address by default",
    ),
    OptionSpec::seconds("timeout", "seconds that each step may take; 60 by default"),
    OptionSpec::integer(
        "max_connections",
        "the maximum number of connections; 8 by default",
    ),
    OptionSpec::seconds(
        "idle_timeout",
        "seconds before an idle connection is closed; 60 by default",
    ),
    OptionSpec::integer(
        "max_messages_per_connection",
        "the number of messages after which a connection is closed; 100 by default",
    ),
    OptionSpec::text(
        "ca_file",
        "a PEM file with CA certificates to trust in addition to the platform's",
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
                format!("expected starttls, implicit or none, got {name:?}"),
            )),
        }
    }
    if let Some(port) = options.integer("port") {
        match u16::try_from(port) {
            Ok(port) => config = config.port(port),
            Err(_) => faults.push(OptionFault::new(
                "port",
                format!("expected at most 65535, got {port}"),
            )),
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
            "password is also set: remove one",
        )),
        (None, ..) => faults.push(OptionFault::new(
            "user",
            "required if password or access_token is set",
        )),
        (Some(_), None, None) => {
            faults.push(OptionFault::new("password", "required if user is set"))
        }
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
