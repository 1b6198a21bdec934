//! The signature: Starling signs the time and the body with a private key (ECDSA, P-256).

use anymail_core::{SignatureError, TimestampTolerance, WebhookSignature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;

const TIME: &str = "x-starling-timestamp";
const SIGNATURE: &str = "x-starling-signature";

/// Verifies `X-Starling-Signature`.
#[derive(Debug)]
pub struct StarlingSignature {
    keys: Vec<VerifyingKey>,
    tolerance: TimestampTolerance,
}

/// Why there is no key to verify with.
#[derive(Debug)]
pub enum KeyError {
    /// There is no key.
    None,
    /// A key is not a public key in base64, as Starling's settings page shows it.
    Malformed,
}

impl std::error::Error for KeyError {}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "no public key is configured",
            Self::Malformed => "expected a P-256 public key (DER in base64)",
        })
    }
}

impl StarlingSignature {
    /// Accepts one public key, or several during a key rotation, as DER in base64.
    ///
    /// # Errors
    /// Returns [`KeyError`] if there is no key or a key is malformed.
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Result<Self, KeyError> {
        let key = |text: K| {
            let der = STANDARD.decode(text.as_ref().trim()).ok();
            let key = der.and_then(|der| VerifyingKey::from_public_key_der(&der).ok());
            key.ok_or(KeyError::Malformed)
        };
        let keys = keys.into_iter().map(key).collect::<Result<Vec<_>, _>>()?;
        match keys.is_empty() {
            true => Err(KeyError::None),
            false => Ok(Self {
                keys,
                tolerance: TimestampTolerance::default(),
            }),
        }
    }
}

impl WebhookSignature for StarlingSignature {
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
        let der = STANDARD.decode(signature).ok();
        let signature = der.and_then(|der| Signature::from_der(&der).ok());
        let signature = signature.ok_or(SignatureError::Malformed(SIGNATURE))?;
        let signed = [time.as_bytes(), request.body()].concat();
        let made_by = |key: &VerifyingKey| key.verify(&signed, &signature).is_ok();
        match self.keys.iter().any(made_by) {
            true => Ok(()),
            false => Err(SignatureError::NoMatch),
        }
    }
}
