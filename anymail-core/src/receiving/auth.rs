//! [`WebhookAuth`]: how a webhook authenticates requests.
//!
//! `webhook.rs` decides when it is checked; `signature.rs` defines signatures.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request};
use serde::{Deserialize, Deserializer};
use subtle::{Choice, ConstantTimeEq};

use super::signature::{SignatureError, WebhookSignature};
use crate::secret::Secret;

/// How a webhook authenticates its requests. It depends on what the ESP supports.
///
/// | form | made by | checked |
/// | HTTP basic authentication (RFC 7617) | [`basic`](Self::basic) | before the body is read |
/// | a signature | [`signature`](Self::signature) | after the body has been read, up to its limit |
/// | both | [`basic`](Self::basic) and [`and_signature`](Self::and_signature) | each at its time; a request must pass both |
/// | either one or another | [`or`](Self::or) | each at its time |
/// | no authentication | [`none`](Self::none), explicitly | |
///
/// If an ESP supports both, use both: a signature still protects you if a proxy logs headers, and
/// basic authentication prevents strangers from having their bodies read at all.
///
/// Several pairs of user and password can be valid at once. To change a secret without losing
/// events, add the new pair here, then change it at the ESP, then remove the old pair. Signatures
/// support several keys in the same way.
///
/// ```
/// use anymail_core::WebhookAuth;
///
/// let auth = WebhookAuth::basic([("hook", "new password"), ("hook", "old password")])?;
/// assert_eq!(format!("{auth:?}"), "WebhookAuth(2 secrets)");
/// assert!(WebhookAuth::basic([("hook", "")]).is_err());
/// # Ok::<(), anymail_core::WebhookAuthError>(())
/// ```
///
/// In a configuration, basic authentication is `"user:password"`, or a list of such strings:
///
/// ```
/// # use anymail_core::WebhookAuth;
/// let auth: WebhookAuth = serde_json::from_str(r#"["hook:new password", "hook:old password"]"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct WebhookAuth {
    /// Any of these admits a request. There is at least one.
    ways: Vec<Way>,
}

/// What a request must have, all at once.
#[derive(Clone, Default)]
struct Way {
    /// Any of these is valid. If empty, basic authentication is not required.
    pairs: Vec<Pair>,
    signature: Option<Arc<dyn WebhookSignature>>,
}

#[derive(Clone)]
struct Pair {
    user: Secret,
    password: Secret,
}

/// Why a request is not admitted. Later ones were closer to being admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    NoSecret,
    WrongSecret,
    Signature(SignatureError),
}

impl WebhookAuth {
    /// Requires basic authentication with one of these pairs of user and password.
    ///
    /// # Errors
    /// [`WebhookAuthError`] if there is no pair, if a user or password is blank, or if a user
    /// contains a colon, which basic authentication does not allow.
    pub fn basic<U, P>(pairs: impl IntoIterator<Item = (U, P)>) -> Result<Self, WebhookAuthError>
    where
        U: Into<Secret>,
        P: Into<Secret>,
    {
        let mut checked = Vec::new();
        for (user, password) in pairs {
            let (user, password) = (user.into(), password.into());
            if user.is_blank() || password.is_blank() {
                return Err(WebhookAuthError(Fault::Blank));
            }
            if user.expose().contains(':') {
                return Err(WebhookAuthError(Fault::ColonInUser));
            }
            checked.push(Pair { user, password });
        }
        if checked.is_empty() {
            return Err(WebhookAuthError(Fault::NoPair));
        }
        let way = Way {
            pairs: checked,
            signature: None,
        };
        Ok(Self { ways: vec![way] })
    }

    /// Requires a valid signature of the ESP.
    pub fn signature(signature: impl WebhookSignature + 'static) -> Self {
        Self::none().and_signature(signature)
    }

    /// Additionally requires a signature, replacing any earlier one.
    #[must_use]
    pub fn and_signature(mut self, signature: impl WebhookSignature + 'static) -> Self {
        let signature: Arc<dyn WebhookSignature> = Arc::new(signature);
        for way in &mut self.ways {
            way.signature = Some(Arc::clone(&signature));
        }
        self
    }

    /// Accepts every request. Use it for webhooks that are protected in another way, such as by a
    /// proxy that checks the secret or by a private network.
    pub fn none() -> Self {
        Self {
            ways: vec![Way::default()],
        }
    }

    /// Whether it accepts every request.
    pub fn is_open(&self) -> bool {
        let open = |way: &Way| way.pairs.is_empty() && way.signature.is_none();
        self.ways.iter().any(open)
    }

    /// Accepts requests that either of the two accepts, for two accounts at one ESP that post to
    /// the same URL.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.ways.extend(other.ways);
        self
    }

    /// Checks the headers alone, to decide whether to read the body.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        any(self.ways.iter().map(|way| way.check(headers)))
    }

    /// Checks what needs the body, which is within its limit.
    pub(super) fn verify(&self, request: &Request<Bytes>) -> Result<(), Refusal> {
        any(self.ways.iter().map(|way| {
            way.check(request.headers())?;
            match &way.signature {
                Some(signature) => signature.verify(request).map_err(Refusal::Signature),
                None => Ok(()),
            }
        }))
    }

    /// The challenge of a 401 response, which requires one (RFC 9110, 15.5.2).
    pub(super) fn challenge(&self) -> HeaderValue {
        let is_basic = self.ways.iter().any(|way| !way.pairs.is_empty());
        HeaderValue::from_static(match is_basic {
            true => "Basic realm=\"webhook\", charset=\"UTF-8\"",
            false => "Signature realm=\"webhook\"",
        })
    }
}

/// Whether any of the ways admits a request; if not, the reason of the one that came closest.
fn any(verdicts: impl Iterator<Item = Result<(), Refusal>>) -> Result<(), Refusal> {
    let mut nearest = Refusal::NoSecret;
    for verdict in verdicts {
        match verdict {
            Ok(()) => return Ok(()),
            Err(refusal) => nearest = nearest.max(refusal),
        }
    }
    Err(nearest)
}

impl Way {
    /// Compares in constant time, so that the time does not reveal which pair matched or how much
    /// of it. (It may reveal the length of a secret.)
    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let given = headers.get(AUTHORIZATION).ok_or(Refusal::NoSecret)?;
        let (user, password) = decode(given.as_bytes()).ok_or(Refusal::WrongSecret)?;
        let found = self.pairs.iter().fold(Choice::from(0), |found, pair| {
            let same_user = pair.user.expose().as_bytes().ct_eq(&user);
            let same_password = pair.password.expose().as_bytes().ct_eq(&password);
            found | (same_user & same_password)
        });
        match found.into() {
            true => Ok(()),
            false => Err(Refusal::WrongSecret),
        }
    }
}

/// Parses user and password from an `Authorization` header.
fn decode(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = header.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut user = STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = user.iter().position(|&b| b == b':')?;
    let password = user.split_off(colon).into_iter().skip(1).collect();
    Some((user, password))
}

impl FromStr for WebhookAuth {
    type Err = WebhookAuthError;

    /// Parses `user:password`.
    fn from_str(text: &str) -> Result<Self, WebhookAuthError> {
        Self::basic([split(text)?])
    }
}

fn split(text: &str) -> Result<(&str, &str), WebhookAuthError> {
    text.split_once(':').ok_or(WebhookAuthError(Fault::NoColon))
}

impl<'de> Deserialize<'de> for WebhookAuth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected \"user:password\", or a list of such")]
        enum Form {
            One(Secret),
            Several(Vec<Secret>),
        }
        let texts = match Form::deserialize(deserializer)? {
            Form::One(text) => vec![text],
            Form::Several(texts) => texts,
        };
        let pairs: Result<Vec<_>, _> = texts.iter().map(|text| split(text.expose())).collect();
        pairs
            .and_then(Self::basic)
            .map_err(serde::de::Error::custom)
    }
}

/// Shows the number of secrets and nothing of a signature, whatever its own `Debug` shows.
impl fmt::Debug for WebhookAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookAuth(")?;
        for (place, way) in self.ways.iter().enumerate() {
            if place > 0 {
                f.write_str(" or ")?;
            }
            match (way.pairs.len(), way.signature.is_some()) {
                (0, false) => f.write_str("none")?,
                (0, true) => f.write_str("signature")?,
                (n, false) => write!(f, "{n} secrets")?,
                (n, true) => write!(f, "{n} secrets and a signature")?,
            }
        }
        f.write_str(")")
    }
}

/// The error of creating a [`WebhookAuth`] from a secret or signing key. It does not quote the
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebhookAuthError(pub(super) Fault);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "no webhook secret given; to accept requests without authentication, \
         use WebhookAuth::none()"
    )]
    NoPair,
    #[error("the user and the password of a webhook secret must not be blank")]
    Blank,
    #[error(
        "the user of a webhook secret must not contain a colon, which separates it from the password"
    )]
    ColonInUser,
    #[error("a webhook secret must have the form \"user:password\"")]
    NoColon,
    #[cfg(feature = "signatures")]
    #[error("no signing key given")]
    NoKey,
    #[cfg(feature = "signatures")]
    #[error("a signing key must not be blank")]
    BlankKey,
    #[cfg(feature = "signatures")]
    #[error(
        "a signing key is not valid base64; \
         copy all of it from the ESP, with or without the prefix `whsec_`"
    )]
    KeyNotBase64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(auth: &WebhookAuth, header: Option<&[u8]>) -> &'static str {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.try_into().unwrap());
        }
        match auth.check(&headers) {
            Ok(()) => "in",
            Err(Refusal::NoSecret) => "no secret",
            Err(Refusal::WrongSecret) => "wrong secret",
            Err(Refusal::Signature(_)) => "wrong signature",
        }
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn any_configured_pair_is_accepted_but_no_mixture() {
        let auth = WebhookAuth::basic([("new", "pä:ss"), ("old", "word")]).unwrap();
        for (pair, expected) in [
            ("new:pä:ss", "in"),
            ("old:word", "in"),
            ("new:word", "wrong secret"),
            ("old:pä:ss", "wrong secret"),
            ("old:wor", "wrong secret"),
            ("old:words", "wrong secret"),
            (":", "wrong secret"),
            ("old", "wrong secret"),
            ("", "wrong secret"),
        ] {
            let found = verdict(&auth, Some(basic(pair).as_bytes()));
            assert_eq!(found, expected, "{pair}");
        }
    }

    #[test]
    fn a_pair_that_is_configured_twice_is_accepted() {
        let auth = WebhookAuth::basic([("u", "p"), ("u", "p")]).unwrap();
        assert_eq!(verdict(&auth, Some(basic("u:p").as_bytes())), "in");
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_nothing_else_is_accepted() {
        let auth = WebhookAuth::basic([("u", "p")]).unwrap();
        let token = STANDARD.encode("u:p");
        for (header, expected) in [
            (format!("basic {token}"), "in"),
            (format!("BASIC  {token} "), "in"),
            (format!("Bearer {token}"), "wrong secret"),
            (token, "wrong secret"),
            ("Basic".into(), "wrong secret"),
            ("Basic !!".into(), "wrong secret"),
            (String::new(), "wrong secret"),
        ] {
            assert_eq!(
                verdict(&auth, Some(header.as_bytes())),
                expected,
                "{header}"
            );
        }
        assert_eq!(verdict(&auth, Some(b"Basic \xff\xfe")), "wrong secret");
        assert_eq!(verdict(&auth, None), "no secret");
        assert_eq!(verdict(&WebhookAuth::none(), None), "in");
    }

    #[test]
    fn a_secret_that_would_admit_anybody_is_refused_when_it_is_set() {
        for pair in [("", "p"), ("u", ""), (" ", "p"), ("u", "\t"), ("a:b", "p")] {
            assert!(WebhookAuth::basic([pair]).is_err(), "{pair:?}");
        }
        assert!(WebhookAuth::basic(Vec::<(Secret, Secret)>::new()).is_err());
        for json in [
            r#""""#,
            r#"":""#,
            r#""u:""#,
            r#""nocolon""#,
            "[]",
            r#"["u:p", ""]"#,
            "null",
        ] {
            assert!(serde_json::from_str::<WebhookAuth>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_configured_value_is_one_pair_or_a_list() {
        for json in [r#""u:p:q""#, r#"["x:y", "u:p:q"]"#] {
            let auth: WebhookAuth = serde_json::from_str(json).unwrap();
            assert_eq!(verdict(&auth, Some(basic("u:p:q").as_bytes())), "in");
        }
        assert!("u:p".parse::<WebhookAuth>().is_ok());
    }

    #[test]
    fn either_of_two_is_accepted_but_no_mixture() {
        struct Never;
        impl WebhookSignature for Never {
            fn verify(&self, _: &Request<Bytes>) -> Result<(), SignatureError> {
                Err(SignatureError::NoMatch)
            }
        }
        let basic = |pair| WebhookAuth::basic([pair]).unwrap();
        let one = basic(("a", "1")).and_signature(Never);
        let auth = one.or(basic(("b", "2"))).or(basic(("c", "3")));
        assert_eq!(
            format!("{auth:?}"),
            "WebhookAuth(1 secrets and a signature or 1 secrets or 1 secrets)"
        );
        let never = Refusal::Signature(SignatureError::NoMatch);
        for (pair, checked, verified) in [
            (Some("a:1"), Ok(()), Err(never)),
            (Some("b:2"), Ok(()), Ok(())),
            (Some("c:3"), Ok(()), Ok(())),
            (
                Some("a:2"),
                Err(Refusal::WrongSecret),
                Err(Refusal::WrongSecret),
            ),
            (None, Err(Refusal::NoSecret), Err(Refusal::NoSecret)),
        ] {
            let mut request = Request::post("/");
            if let Some(pair) = pair {
                let token = format!("Basic {}", STANDARD.encode(pair));
                request = request.header(AUTHORIZATION, token);
            }
            let request = request.body(Bytes::new()).unwrap();
            assert_eq!(auth.check(request.headers()), checked, "{pair:?}");
            assert_eq!(auth.verify(&request), verified, "{pair:?}");
        }
    }

    #[test]
    fn an_error_does_not_quote_the_secret() {
        let error = serde_json::from_str::<WebhookAuth>(r#"["s3cret"]"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
