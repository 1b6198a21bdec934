//! The signature: Pigeon signs its webhooks with HMAC-SHA256 over the time and the body.

use anymail_core::{
    HmacSha256Keys, Secret, SignatureError, TimestampTolerance, WebhookAuthError, WebhookSignature,
};
use bytes::Bytes;
use http::Request;

const TIME: &str = "pigeon-time";
const SIGNATURE: &str = "pigeon-signature";

/// Verifies `pigeon-signature`.
#[derive(Debug)]
pub struct PigeonSignature {
    keys: HmacSha256Keys,
    tolerance: TimestampTolerance,
}

impl PigeonSignature {
    /// Accepts one key, or several during a key rotation.
    ///
    /// # Errors
    /// Returns [`WebhookAuthError`] if there is no key or a key is blank.
    pub fn new<K: Into<Secret>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, WebhookAuthError> {
        Ok(Self {
            keys: HmacSha256Keys::new(keys)?,
            tolerance: TimestampTolerance::default(),
        })
    }
}

impl WebhookSignature for PigeonSignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let header = |name| {
            request
                .headers()
                .get(name)
                .ok_or(SignatureError::Missing(name))
        };
        let (time, signature) = (header(TIME)?, header(SIGNATURE)?);
        let seconds = time.to_str().ok().and_then(|time| time.parse().ok());
        self.tolerance
            .check(seconds.ok_or(SignatureError::Malformed(TIME))?)?;
        let signed = [time.as_bytes(), b".", request.body()];
        self.keys.verify_hex(&signed, signature.as_bytes())
    }
}
