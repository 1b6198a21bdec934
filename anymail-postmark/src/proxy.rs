//! [`Proxy`]: the HTTP proxy for calls to Postmark.
//!
//! `config.rs` sets it; `sending/client.rs` contains the other settings of the client.

use std::fmt;

use anymail_core::Secret;
use reqwest::ClientBuilder;
use url::Url;

/// The HTTP proxy for calls to an `https` URL.
///
/// A proxy sees only the host name: the client requests a tunnel (`CONNECT`, RFC 9110, 9.3.6) and
/// uses TLS with Postmark inside it. Calls to an `http` URL never use a proxy, whatever is set
/// here, because it would see the token and the messages.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The proxy in the environment variables `HTTPS_PROXY` or `ALL_PROXY`, in upper or lower case,
    /// unless `NO_PROXY` excludes the host. The default.
    #[default]
    Environment,
    /// No proxy, whatever the environment says.
    Never,
    /// This proxy, for every host: `http://proxy.example.com:3128`, with `user:password@` before
    /// the host if the proxy requires it. A secret, because it may contain a password.
    Url(Secret),
}

impl Proxy {
    /// Parses `environment`, `never`, or a URL.
    pub(crate) fn named(text: &Secret) -> Self {
        match text.expose() {
            "environment" => Self::Environment,
            "never" => Self::Never,
            _ => Self::Url(text.clone()),
        }
    }

    /// What is wrong with it, without quoting it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let Self::Url(text) = self else {
            return None;
        };
        match Url::parse(text.expose()) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Some("the proxy URL must start with http:// or https://")
            }
            Ok(_) => None,
            Err(_) => Some(
                "expected `environment`, `never` or a URL such as http://proxy.example.com:3128",
            ),
        }
    }

    /// Configures a client for calls to `url`.
    pub(crate) fn apply(
        &self,
        builder: ClientBuilder,
        url: &Url,
    ) -> reqwest::Result<ClientBuilder> {
        if url.scheme() != "https" {
            return Ok(builder.no_proxy());
        }
        Ok(match self {
            Self::Environment => builder,
            Self::Never => builder.no_proxy(),
            Self::Url(proxy) => {
                let proxy = reqwest::Proxy::https(proxy.expose())?;
                builder.no_proxy().proxy(proxy)
            }
        })
    }
}

/// The URL is not printed.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Never => "Never",
            Self::Url(_) => "Url([redacted])",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_set_by_a_word_or_a_url() {
        let named = |text: &str| Proxy::named(&text.into());
        assert!(matches!(named("environment"), Proxy::Environment));
        assert!(matches!(named("never"), Proxy::Never));
        let url = "http://proxy.example.com:3128";
        assert!(matches!(named(url), Proxy::Url(it) if it.expose() == url));
    }

    #[test]
    fn a_proxy_without_a_scheme_is_explained() {
        for url in ["proxy.example.com:3128", "ftp://proxy.example.com"] {
            let problem = Proxy::Url(url.into()).problem();
            let words = "the proxy URL must start with http:// or https://";
            assert_eq!(problem, Some(words), "{url}");
        }
    }
}
