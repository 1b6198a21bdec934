//! [`StandardWebhooks`]: the signatures of <https://www.standardwebhooks.com>, by HMAC-SHA256.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, Request};

use super::auth::{Fault, WebhookAuthError};
use super::hmac::{HmacSha256Keys, base64};
use super::signature::{SignatureError, TimestampTolerance, WebhookSignature};
use crate::secret::Secret;

/// Verifies the HMAC-SHA256 signatures (`v1`) of [Standard Webhooks], version 1.0.0.
///
/// The headers are `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`
/// (one or more `v1,<base64>`, separated by spaces). The signed content is the ID, the timestamp
/// and the body, separated by dots. One valid signature is enough; signatures of other versions
/// (`v1a` is Ed25519) are ignored. A timestamp may be up to five minutes from the current time,
/// unless [`tolerance`](Self::tolerance) is set.
///
/// ```
/// use anymail_core::{StandardWebhooks, WebhookAuth};
///
/// let signature = StandardWebhooks::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])?;
/// let auth = WebhookAuth::signature(signature);
/// # Ok::<(), anymail_core::WebhookAuthError>(())
/// ```
///
/// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
#[derive(Debug, Clone)]
pub struct StandardWebhooks {
    keys: HmacSha256Keys,
    tolerance: TimestampTolerance,
    headers: &'static Headers,
}

#[derive(Debug)]
struct Headers {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

const STANDARD: Headers = Headers {
    id: "webhook-id",
    timestamp: "webhook-timestamp",
    signature: "webhook-signature",
};

const SVIX: Headers = Headers {
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
};

/// The padding of a key is optional: it is sometimes lost on the way into a configuration.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl StandardWebhooks {
    /// Creates a verifier from one or several keys in base64, with or without the prefix `whsec_`.
    ///
    /// # Errors
    /// [`WebhookAuthError`] if there is no key, or if a key is blank or not base64. A public key
    /// (`whpk_`) is not accepted.
    pub fn new<K: Into<Secret>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, WebhookAuthError> {
        let mut decoded = Vec::new();
        for key in keys {
            let key = key.into();
            let text = key.expose().trim();
            let text = text.strip_prefix("whsec_").unwrap_or(text);
            let bytes = KEY.decode(text);
            decoded.push(bytes.map_err(|_| WebhookAuthError(Fault::KeyNotBase64))?);
        }
        Ok(Self {
            keys: HmacSha256Keys::from_bytes(decoded)?,
            tolerance: TimestampTolerance::default(),
            headers: &STANDARD,
        })
    }

    /// Sets how far a timestamp may be from the current time.
    #[must_use]
    pub fn tolerance(mut self, tolerance: TimestampTolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Reads the headers `svix-id`, `svix-timestamp` and `svix-signature`, which ESPs that post
    /// with Svix use.
    #[must_use]
    pub fn svix_headers(mut self) -> Self {
        self.headers = &SVIX;
        self
    }

    /// The ID of the request, which stays the same when it is posted again. It is a good
    /// [`dedup_key`](crate::Event::dedup_key) if a request contains one event.
    pub fn id<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let id = headers.get(self.headers.id)?.to_str().ok()?;
        Some(id).filter(|id| !id.is_empty())
    }

    /// The value of the signature header with the first key, like the ESP would make it. For tests.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let timestamp = unix_seconds.to_string();
        let signed = signed(id.as_bytes(), timestamp.as_bytes(), body);
        format!("v1,{}", self.keys.sign_base64(&signed))
    }
}

fn signed<'p>(id: &'p [u8], timestamp: &'p [u8], body: &'p [u8]) -> [&'p [u8]; 5] {
    [id, b".", timestamp, b".", body]
}

impl WebhookSignature for StandardWebhooks {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let value = |name| {
            let value = request.headers().get(name);
            value
                .map(|it| it.as_bytes())
                .filter(|it| !it.is_empty())
                .ok_or(SignatureError::Missing(name))
        };
        let id = value(self.headers.id)?;
        let timestamp = value(self.headers.timestamp)?;
        value(self.headers.signature)?;

        let seconds =
            seconds(timestamp).ok_or(SignatureError::Malformed(self.headers.timestamp))?;
        self.tolerance.check(seconds)?;

        let signed = signed(id, timestamp, request.body());
        let lines = request
            .headers()
            .get_all(self.headers.signature)
            .into_iter();
        let signatures = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b' '));
        let ours = signatures.filter_map(|signature| signature.strip_prefix(b"v1,"));
        self.keys.all(&signed, base64).verify(ours)
    }
}

/// Digits only: `i64::from_str` also accepts a sign.
fn seconds(text: &[u8]) -> Option<i64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "standard_webhooks_tests.rs"]
mod tests;
