//! [`Signer`]: how an ESP signs its posts, which the backend's author describes.
//!
//! `signatures.rs` uses it.

use std::fmt;
use std::time::Duration;

use anymail_core::WebhookAuth;
use bytes::Bytes;
use http::Request;

use super::harness::HarnessError;

/// Describes the ESP's signature on its webhooks.
///
/// The suite creates keys and signed requests, and posts both those and forged ones to the
/// backend's webhooks. Write [`sign`](Self::sign) from the ESP's documentation, not from your
/// `WebhookSignature`.
///
/// ```
/// use anymail_core::{StandardWebhooks, WebhookAuth};
/// use anymail_test_utils::conformance::{HarnessError, Signer, Signing};
/// use base64::{Engine, engine::general_purpose::STANDARD};
/// use bytes::Bytes;
/// use http::{HeaderValue, Request};
///
/// /// An ESP that keeps to Standard Webhooks.
/// struct StandardSigner;
///
/// /// The ESP's keys have a form of their own, so they are made from the suite's.
/// fn key(text: &str) -> String {
///     format!("whsec_{}", STANDARD.encode(text))
/// }
///
/// impl Signer for StandardSigner {
///     fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
///         let signature = StandardWebhooks::new(keys.iter().map(|text| key(text)))?;
///         Ok(WebhookAuth::signature(signature))
///     }
///
///     fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
///         let (id, time) = ("msg_1", how.unix_seconds);
///         let signature = StandardWebhooks::new([key(how.key)])?.sign(id, time, request.body());
///         let headers = request.headers_mut();
///         headers.insert("webhook-id", HeaderValue::from_static(id));
///         headers.insert("webhook-timestamp", time.into());
///         headers.insert("webhook-signature", HeaderValue::from_bytes(&how.spell(&signature))?);
///         Ok(())
///     }
/// }
/// ```
pub trait Signer: Send + Sync {
    /// Creates the authentication of the backend's webhooks, which accepts signatures with any of
    /// these keys. It does what the backend's factory does with the keys in a configuration.
    ///
    /// # Errors
    /// Must return an error for an empty list of keys and for an empty key.
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError>;

    /// Signs a request as the ESP does.
    ///
    /// The whole value of the signature's header or field must pass through [`Signing::spell`].
    ///
    /// # Errors
    /// Can return any error. If the suite spelled the signature in bytes that its header or field
    /// cannot carry, the suite skips that variant; otherwise, the trial fails.
    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError>;

    /// Returns how far the time of a signature may be from now, by default five minutes, as with
    /// `TimestampTolerance`. `None` if the ESP does not sign a time.
    fn tolerance(&self) -> Option<Duration> {
        Some(Duration::from_secs(5 * 60))
    }

    /// Whether the signature covers the body, so that another body needs another signature. The
    /// default is `true`; `false` if the ESP signs only a time and a token.
    fn covers_body(&self) -> bool {
        true
    }
}

/// The key and the time for a [`Signer`].
#[non_exhaustive]
pub struct Signing<'s> {
    /// The key, which consists of letters and digits. If the ESP's keys have a certain format,
    /// derive the key from the text in a way that always has the same result, and keep the text
    /// whole or in base64 if possible, so that the suite can search for it.
    pub key: &'s str,
    /// The time of signing, as a Unix timestamp in seconds.
    pub unix_seconds: i64,
    pub(super) spell: &'s (dyn Fn(&str) -> Vec<u8> + Send + Sync),
}

impl Signing<'_> {
    /// Returns what to put in place of the signature: the signature, or what a forger would write.
    pub fn spell(&self, signature: &str) -> Vec<u8> {
        (self.spell)(signature)
    }
}

/// Shows no key.
impl fmt::Debug for Signing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing")
            .field("unix_seconds", &self.unix_seconds)
            .finish_non_exhaustive()
    }
}
