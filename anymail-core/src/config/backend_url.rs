//! [`BackendUrl`], a backend and its options in one URL, and [`UrlOptions`], which maps the parts
//! of such a URL to options.
//!
//! `mailer_config.rs` says where a configuration may contain one.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::secret::Secret;

/// A backend and its options in one URL, for platforms that configure an app with a single
/// variable: `acme://API-KEY@default?region=eu`.
///
/// The scheme selects the backend ([`BackendFactory::url_schemes`]), the query contains options by
/// name, and the factory maps the other parts to options ([`BackendFactory::url_options`]).
///
/// User, password, host, path and query are percent-decoded: write `%40` for `@`, `%2F` for `/`,
/// `%3F` for `?`, `%23` for `#` and `%25` for `%`. A `+` is a plus sign. All values are literal:
/// `env:` and `file:` have no special meaning in a URL.
///
/// The whole URL is a secret: `Debug` shows only its scheme, and it cannot be serialized.
///
/// ```
/// use anymail_core::BackendUrl;
///
/// let url: BackendUrl = "acme://s3cret%40key@default?region=eu".parse()?;
/// assert_eq!(url.scheme(), "acme");
/// assert_eq!(url.user().map(|user| user.expose()), Some("s3cret@key"));
/// assert_eq!(url.host(), None);
/// assert_eq!(format!("{url:?}"), "BackendUrl(acme)");
/// # Ok::<(), anymail_core::BackendUrlError>(())
/// ```
///
/// [`BackendFactory::url_schemes`]: crate::BackendFactory::url_schemes
/// [`BackendFactory::url_options`]: crate::BackendFactory::url_options
#[derive(Clone)]
pub struct BackendUrl {
    scheme: String,
    user: Option<Secret>,
    password: Option<Secret>,
    host: Option<String>,
    port: Option<u16>,
    path: String,
    query: Vec<(String, Secret)>,
}

/// The host of a URL that uses the ESP's default host.
const DEFAULT_HOST: &str = "default";

impl BackendUrl {
    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The user, if there is one.
    pub fn user(&self) -> Option<&Secret> {
        self.user.as_ref()
    }

    /// The password, if there is one.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The host; an IPv6 address is in brackets. `None` if the URL has no host or if it is
    /// `default`.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port, if there is one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path, which starts with a slash. Empty if the URL has no path or only a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The names and values of the query, in order.
    pub fn query(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.query
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

impl FromStr for BackendUrl {
    type Err = BackendUrlError;

    fn from_str(text: &str) -> Result<Self, BackendUrlError> {
        let text = text.trim();
        // Without the slashes, everything after the colon would be parsed as a path.
        if !text.contains("://") {
            return Err(BackendUrlError::new("expected \"name://...\""));
        }
        let not_encoded = |problem: &str| {
            let rule = "percent-encode characters such as @ : / ? # % in user, password and path";
            BackendUrlError::new(format!("{problem} ({rule})"))
        };
        let url = Url::parse(text).map_err(|error| not_encoded(&error.to_string()))?;
        // An unescaped slash in a password would turn the part before it into the host.
        if url.path().contains('@') {
            return Err(not_encoded("found / before @"));
        }
        if url.fragment().is_some() {
            return Err(BackendUrlError::new("percent-encode # as %23"));
        }
        let host = url.host_str().map(decoded).transpose()?;
        let path = decoded(url.path())?;
        let mut query = Vec::new();
        let pairs = url.query().unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.push((decoded(name)?, Secret::new(decoded(value)?)));
        }
        let part = |text: &str| -> Result<Option<Secret>, BackendUrlError> {
            let text = decoded(text)?;
            Ok((!text.is_empty()).then(|| Secret::new(text)))
        };
        Ok(Self {
            scheme: url.scheme().to_owned(),
            user: part(url.username())?,
            password: part(url.password().unwrap_or_default())?,
            host: host.filter(|host| !host.is_empty() && host != DEFAULT_HOST),
            port: url.port(),
            path: if path == "/" { String::new() } else { path },
            query,
        })
    }
}

fn decoded(text: &str) -> Result<String, BackendUrlError> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| {
        BackendUrlError::new("found bytes that are not UTF-8 after percent-decoding")
    })?;
    Ok(text.into_owned())
}

/// Shows the scheme.
impl fmt::Debug for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendUrl({})", self.scheme)
    }
}

/// The error of parsing a [`BackendUrl`]. It does not quote the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendUrlError(String);

impl BackendUrlError {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl std::error::Error for BackendUrlError {}

impl fmt::Display for BackendUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid URL: {}", self.0)
    }
}

/// The options that a factory makes of the parts of a [`BackendUrl`] before the query.
///
/// A part that is in the URL but that the factory does not map to an option is a configuration
/// fault. The query is not the factory's concern: core reads its pairs as options by name.
///
/// ```
/// use anymail_core::{BackendUrl, UrlOptions};
///
/// fn url_options(url: &BackendUrl) -> UrlOptions {
///     let tls = if url.scheme() == "smtps" { "implicit" } else { "starttls" };
///     UrlOptions::of(url).user("user").password("password").host("host").port("port").set("tls", tls)
/// }
/// ```
///
/// `Debug` shows the names of the options.
#[derive(Clone)]
pub struct UrlOptions {
    url: BackendUrl,
    pub(super) options: Vec<(&'static str, Secret)>,
    used: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Password,
    Host,
    Port,
    Path,
}

impl Part {
    const ALL: [Self; 5] = [
        Self::User,
        Self::Password,
        Self::Host,
        Self::Port,
        Self::Path,
    ];
}

impl UrlOptions {
    /// Starts with no part mapped to an option.
    pub fn of(url: &BackendUrl) -> Self {
        Self {
            url: url.clone(),
            options: Vec::new(),
            used: Vec::new(),
        }
    }

    /// Maps the user, if any, to this option.
    #[must_use]
    pub fn user(self, option: &'static str) -> Self {
        let user = self.url.user.clone();
        self.part(Part::User, option, user)
    }

    /// Maps the password, if any, to this option.
    #[must_use]
    pub fn password(self, option: &'static str) -> Self {
        let password = self.url.password.clone();
        self.part(Part::Password, option, password)
    }

    /// Maps the host, if any, to this option.
    #[must_use]
    pub fn host(self, option: &'static str) -> Self {
        let host = self.url.host.clone().map(Secret::new);
        self.part(Part::Host, option, host)
    }

    /// Maps the port, if any, to this option.
    #[must_use]
    pub fn port(self, option: &'static str) -> Self {
        let port = self.url.port.map(|port| Secret::new(port.to_string()));
        self.part(Part::Port, option, port)
    }

    /// Maps the path, if any, to this option.
    #[must_use]
    pub fn path(self, option: &'static str) -> Self {
        let path = Some(self.url.path.clone()).filter(|path| !path.is_empty());
        self.part(Part::Path, option, path.map(Secret::new))
    }

    /// Maps host, port and path to this option, as the URL of an HTTP API with this scheme, usually
    /// `https`. Does nothing if there is no host.
    #[must_use]
    pub fn api_url(mut self, option: &'static str, scheme: &str) -> Self {
        if let Some(host) = &self.url.host {
            let port = self.url.port.map(|port| format!(":{port}"));
            let port = port.unwrap_or_default();
            let url = format!("{scheme}://{host}{port}{}", self.url.path);
            self.options.push((option, Secret::new(url)));
            self.used.extend([Part::Host, Part::Port, Part::Path]);
        }
        self
    }

    /// Sets an option that follows from something else, such as the scheme.
    #[must_use]
    pub fn set(mut self, option: &'static str, value: impl Into<Secret>) -> Self {
        self.options.push((option, value.into()));
        self
    }

    fn part(mut self, part: Part, option: &'static str, value: Option<Secret>) -> Self {
        self.used.push(part);
        self.options.extend(value.map(|value| (option, value)));
        self
    }

    /// The parts that are in the URL but not mapped to an option.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let url = &self.url;
        let unused = Part::ALL
            .into_iter()
            .filter(|part| !self.used.contains(part));
        let unused = unused.filter_map(|part| match part {
            Part::User => url.user.as_ref().map(|_| "user"),
            Part::Password => url.password.as_ref().map(|_| "password"),
            Part::Host => url.host.as_ref().map(|_| "host"),
            Part::Port => url.port.map(|_| "port"),
            Part::Path => (!url.path.is_empty()).then_some("path"),
        });
        unused.collect()
    }
}

impl fmt::Debug for UrlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.options.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// Whether the name of a backend looks like a URL. Such a name is not quoted in errors.
pub(super) fn is_url(name: &str) -> bool {
    name.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> BackendUrl {
        text.parse().unwrap()
    }

    fn exposed(secret: Option<&Secret>) -> Option<&str> {
        secret.map(Secret::expose)
    }

    #[test]
    fn every_part_is_percent_decoded_and_a_plus_is_a_plus() {
        let url = url("SMTPS://us%40er:p%2F%3a%23+w%25@[::1]:465/a%20b/c?x=a+b%26c&y&z=%C3%A9=1");
        assert_eq!(url.scheme(), "smtps");
        assert_eq!(exposed(url.user()), Some("us@er"));
        assert_eq!(exposed(url.password()), Some("p/:#+w%"));
        assert_eq!(url.host(), Some("[::1]"));
        assert_eq!(url.port(), Some(465));
        assert_eq!(url.path(), "/a b/c");
        let query: Vec<_> = url.query().map(|(name, v)| (name, v.expose())).collect();
        assert_eq!(query, [("x", "a+b&c"), ("y", ""), ("z", "é=1")]);
    }

    #[test]
    fn missing_parts_are_none() {
        for text in [
            "memory://",
            "memory://default",
            "memory:///",
            "memory://@default/?&",
        ] {
            let url = url(text);
            assert!(url.user().is_none() && url.password().is_none(), "{text}");
            assert!(url.host().is_none() && url.port().is_none(), "{text}");
            assert_eq!((url.path(), url.query().count()), ("", 0), "{text}");
        }
        assert_eq!(url("file:///var/mail").path(), "/var/mail");
        assert_eq!(exposed(url("smtp://:pass@host").password()), Some("pass"));
    }

    #[test]
    fn an_invalid_url_is_refused_and_not_quoted() {
        for text in [
            "",
            "s3cret",
            "acme:s3cret",
            "://s3cret",
            "s3cret s3cret://x",
            "acme://s3cret:pa/s3cret@host",
            "acme://key@host:s3cret",
            "acme://key@host?a=1#s3cret",
            "acme://%FFs3cret@host",
            "acme://s3cret@[host",
            "acme://s3cret/s3cret@default",
        ] {
            let error = text.parse::<BackendUrl>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("s3cret"), "{text}: {shown}");
        }
    }

    #[test]
    fn unused_parts_are_detected() {
        let url = url("acme://user:pass@host:1/path?a=b");
        assert_eq!(
            UrlOptions::of(&url).unused(),
            ["user", "password", "host", "port", "path"]
        );
        let options = UrlOptions::of(&url).user("key").api_url("api_url", "https");
        assert_eq!(options.unused(), ["password"]);
        let read: Vec<_> = options
            .options
            .iter()
            .map(|(n, v)| (*n, v.expose()))
            .collect();
        assert_eq!(read, [("key", "user"), ("api_url", "https://host:1/path")]);
        assert_eq!(
            format!("{options:?} {url:?}"),
            r#"{"key", "api_url"} BackendUrl(acme)"#
        );
    }

    proptest! {
        #[test]
        fn encoded_parts_round_trip_and_any_text_is_parsed_or_refused(
            user in ".+", password in ".+", value in ".*", other in "\\PC{0,40}"
        ) {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let [user_, password_, value_] = [&user, &password, &value].map(|it| encode(it));
            let text = format!("acme://{user_}:{password_}@default?key={value_}");
            let url = url(&text);
            prop_assert_eq!(exposed(url.user()), Some(user.as_str()));
            prop_assert_eq!(exposed(url.password()), Some(password.as_str()));
            let query: Vec<_> = url.query().map(|(name, v)| (name, v.expose())).collect();
            prop_assert_eq!(query, [("key", value.as_str())]);
            let _ = other.parse::<BackendUrl>();
            let _ = format!("a://{other}").parse::<BackendUrl>();
        }
    }
}
