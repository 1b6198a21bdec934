//! [`Proxy`]: through which HTTP proxy calls to Postmark go.
//!
//! Where it is set is `config.rs`; what else a client needs is in `sending/client.rs`.

use std::fmt;

use anymail_core::Secret;
use reqwest::ClientBuilder;
use url::Url;

/// The HTTP proxy that calls to an `https` URL go through.
///
/// A proxy sees the name of the host and nothing else: the client asks it for a tunnel
/// (`CONNECT`, RFC 9110, 9.3.6) and speaks TLS with Postmark inside. Calls to an `http` URL never
/// go through a proxy, whatever is set here: it would see the token and the messages.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The one that the environment names in `HTTPS_PROXY` or `ALL_PROXY`, in upper or lower
    /// case, unless `NO_PROXY` excludes the host. The default.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Never,
    /// This one, for every host: `http://proxy.example.com:3128`, with `user:password@` in front
    /// of the host if the proxy wants that. A secret, since it may hold a password.
    Url(Secret),
}

impl Proxy {
    /// Reads `environment`, `never`, or a URL.
    pub(crate) fn named(text: &Secret) -> Self {
        match text.expose() {
            "environment" => Self::Environment,
            "never" => Self::Never,
            _ => Self::Url(text.clone()),
        }
    }

    /// What is wrong with it, in words that do not quote it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let Self::Url(text) = self else {
            return None;
        };
        match Url::parse(text.expose()) {
            Ok(url) if !url.has_host() => Some("the proxy URL has no host"),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Some("the proxy URL must start with http:// or https://")
            }
            Ok(_) => None,
            Err(_) => Some(
                "expected `environment`, `never` or a URL such as http://proxy.example.com:3128",
            ),
        }
    }

    /// Sets up a client for calls to `url`.
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

/// A URL is not printed.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Never => "Never",
            Self::Url(_) => "Url([redacted])",
        })
    }
}
