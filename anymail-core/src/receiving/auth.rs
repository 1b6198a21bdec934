//! [`WebhookAuth`]: who may post to a webhook.
//!
//! When it is asked is decided in `webhook.rs`; what a signature is, in `signature.rs`.

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

/// Who may post to a webhook: the form of authentication that its ESP has.
///
/// | form | made by | checked |
/// | --- | --- | --- |
/// | HTTP basic authentication (RFC 7617) | [`basic`](Self::basic) | before the body is read |
/// | a signature | [`signature`](Self::signature) | when the body has been read up to its limit |
/// | both: a request must pass both | [`basic`](Self::basic) and [`and_signature`](Self::and_signature) | each at its time |
/// | none | [`none`](Self::none), spelled out | |
///
/// Where an ESP can do both, both are worth having: a signature holds even if a proxy logs
/// headers, and basic authentication keeps strangers from having their bodies read at all.
///
/// Several pairs of user and password may be valid at once. To change a secret without losing
/// an event, add the new pair here, then give it to the ESP, then remove the old one. A
/// signature can have several keys in the same way.
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
/// In configuration, basic authentication is `"user:password"`, or a list of such:
///
/// ```
/// # use anymail_core::WebhookAuth;
/// let auth: WebhookAuth = serde_json::from_str(r#"["hook:new password", "hook:old password"]"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct WebhookAuth {
    /// Any of these; if there are none, basic authentication is not asked for.
    pairs: Vec<Pair>,
    signature: Option<Arc<dyn WebhookSignature>>,
}

#[derive(Clone)]
struct Pair {
    user: Secret,
    password: Secret,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoSecret,
    WrongSecret,
    Signature(SignatureError),
}

impl WebhookAuth {
    /// Takes requests that bear one of these pairs of user and password.
    ///
    /// # Errors
    /// [`WebhookAuthError`] for no pair at all, for a blank user or password, and for a user
    /// with a colon in it, which basic authentication cannot carry.
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
        Ok(Self {
            pairs: checked,
            signature: None,
        })
    }

    /// Takes requests that the ESP has signed.
    pub fn signature(signature: impl WebhookSignature + 'static) -> Self {
        Self::none().and_signature(signature)
    }

    /// Wants a signature as well, in place of one that was wanted before.
    #[must_use]
    pub fn and_signature(mut self, signature: impl WebhookSignature + 'static) -> Self {
        self.signature = Some(Arc::new(signature));
        self
    }

    /// Takes every request. For a webhook that something else protects: a proxy that checks
    /// the secret, a private network.
    pub fn none() -> Self {
        Self {
            pairs: Vec::new(),
            signature: None,
        }
    }

    /// What the headers alone can tell: whether to read the body.
    ///
    /// Compares in constant time: neither which pair matched nor how much of one can be
    /// learnt from how long it took. (The length of a secret can.)
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
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
        if found.into() {
            Ok(())
        } else {
            Err(Refusal::WrongSecret)
        }
    }

    /// What needs the body, which is within its limit.
    pub(super) fn verify(&self, request: &Request<Bytes>) -> Result<(), Refusal> {
        match &self.signature {
            Some(signature) => signature.verify(request).map_err(Refusal::Signature),
            None => Ok(()),
        }
    }

    /// The challenge of an answer with status 401, which must have one (RFC 9110, 15.5.2).
    pub(super) fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self.pairs.is_empty() {
            false => "Basic realm=\"webhook\", charset=\"UTF-8\"",
            true => "Signature realm=\"webhook\"",
        })
    }
}

/// User and password out of an `Authorization` header.
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

    /// Reads one `user:password`.
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

/// Prints how many secrets there are, and nothing of a signature, whatever its own `Debug` does.
impl fmt::Debug for WebhookAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pairs.len(), self.signature.is_some()) {
            (0, false) => f.write_str("WebhookAuth(none)"),
            (0, true) => f.write_str("WebhookAuth(signature)"),
            (n, false) => write!(f, "WebhookAuth({n} secrets)"),
            (n, true) => write!(f, "WebhookAuth({n} secrets and a signature)"),
        }
    }
}

/// A webhook secret or signing key that was not taken. Does not quote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebhookAuthError(pub(super) Fault);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "there is no webhook secret; \
         a webhook that anybody may post to is made with WebhookAuth::none()"
    )]
    NoPair,
    #[error("the user or the password of a webhook secret is blank")]
    Blank,
    #[error("the user of a webhook secret holds a colon, which basic authentication cannot carry")]
    ColonInUser,
    #[error("a webhook secret must have the form \"user:password\"")]
    NoColon,
    #[cfg(feature = "signatures")]
    #[error("there is no signing key")]
    NoKey,
    #[cfg(feature = "signatures")]
    #[error("a signing key is blank")]
    BlankKey,
    #[cfg(feature = "signatures")]
    #[error(
        "a signing key is not base64; \
         copy all of it from the ESP, with or without the `whsec_` before it"
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
    fn any_of_the_pairs_is_let_in_and_no_mix_of_them() {
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
    fn the_scheme_may_be_written_in_any_case_and_nothing_else_gets_in() {
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
    fn a_secret_that_would_let_anybody_in_is_refused_when_it_is_set() {
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
    fn the_form_in_configuration_is_one_pair_or_a_list() {
        for json in [r#""u:p:q""#, r#"["x:y", "u:p:q"]"#] {
            let auth: WebhookAuth = serde_json::from_str(json).unwrap();
            assert_eq!(verdict(&auth, Some(basic("u:p:q").as_bytes())), "in");
        }
        assert!("u:p".parse::<WebhookAuth>().is_ok());
    }

    #[test]
    fn an_error_does_not_quote_the_secret() {
        let error = serde_json::from_str::<WebhookAuth>(r#"["s3cret"]"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
