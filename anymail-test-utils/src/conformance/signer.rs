//! [`Signer`]: how an ESP signs what it posts, which the backend's author describes.
//!
//! What is tried with it is in `signatures.rs`.

use std::fmt;
use std::time::Duration;

use anymail_core::WebhookAuth;
use bytes::Bytes;
use http::Request;

use super::harness::HarnessError;

/// The ESP's signature on its webhooks, for the suite.
///
/// The suite makes keys, has requests signed with them, and posts those and what a forger could
/// make of them to the backend's webhooks. Write [`sign`](Self::sign) from the ESP's
/// documentation, not from your `WebhookSignature`.
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
    /// Makes what the backend's webhooks take: signatures by any of these keys. It is what the
    /// backend's factory makes of the keys in a configuration.
    ///
    /// # Errors
    /// Any: for no keys, and for an empty one.
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError>;

    /// Signs a request as the ESP does.
    ///
    /// The signature passes [`Signing::spell`] on its way to its header or field, as the whole
    /// value of it.
    ///
    /// # Errors
    /// Any. Where the suite spelt the signature in bytes that its header or field cannot carry,
    /// that variant is passed over; else the trial fails.
    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError>;

    /// How far the time of a signature may lie from now: five minutes by default, as with
    /// `TimestampTolerance`. `None` if the ESP signs no time.
    fn tolerance(&self) -> Option<Duration> {
        Some(Duration::from_secs(5 * 60))
    }

    /// Whether the signature is one of the body as well, so that another body needs another
    /// signature. `true` by default; `false` where the ESP signs a time and a token only.
    fn covers_body(&self) -> bool {
        true
    }
}

/// What a [`Signer`] is to sign with.
#[non_exhaustive]
pub struct Signing<'s> {
    /// The key, made of letters and digits. An ESP whose keys have a certain form gets them
    /// from the text in some way that has the same result each time, and keeps the text whole
    /// or in base64 where that is possible, so that the suite can look for it.
    pub key: &'s str,
    /// The time of signing, in seconds since 1970.
    pub unix_seconds: i64,
    pub(super) spell: &'s (dyn Fn(&str) -> Vec<u8> + Send + Sync),
}

impl Signing<'_> {
    /// What to put where the signature belongs: the signature, or what a forger would write
    /// there.
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
