//! [`WebhookSignature`]: verifies that the sender of a request has a key.
//!
//! `webhook.rs` decides when it is checked; `hmac.rs` and `standard_webhooks.rs` implement schemes
//! that several ESPs share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;

/// Verifies the signatures of one ESP's webhook requests.
///
/// An ESP's crate implements this trait and passes the value to
/// [`WebhookAuth::signature`](crate::WebhookAuth::signature). Core calls [`verify`](Self::verify)
/// after the body has been read up to its limit, and before
/// [`Webhook::read`](crate::Webhook::read).
///
/// The feature `signatures` contains schemes that several ESPs share: `StandardWebhooks` is
/// complete, and with `HmacSha256Keys`, the ESP's crate defines only what is signed and where the
/// signature is. Other algorithms belong in the ESP's crate. This example verifies ECDSA with the
/// curve P-256, over the timestamp and the body, with the crate `p256`:
///
/// ```
/// use anymail_core::{SignatureError, TimestampTolerance, WebhookAuth, WebhookSignature};
/// use base64::{Engine, engine::general_purpose::STANDARD};
/// use bytes::Bytes;
/// use http::Request;
/// use p256::ecdsa::signature::Verifier;
/// use p256::ecdsa::{Signature, VerifyingKey};
/// use p256::pkcs8::DecodePublicKey;
///
/// struct EcdsaSignature {
///     keys: Vec<VerifyingKey>, // several while a key is being changed
///     tolerance: TimestampTolerance,
/// }
///
/// impl WebhookSignature for EcdsaSignature {
///     fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
///         let header = |name| request.headers().get(name).ok_or(SignatureError::Missing(name));
///         let (signature, time) = (header("x-signature")?, header("x-timestamp")?);
///
///         let seconds = time.to_str().ok().and_then(|time| time.parse().ok());
///         self.tolerance.check(seconds.ok_or(SignatureError::Malformed("x-timestamp"))?)?;
///
///         let der = STANDARD.decode(signature).ok();
///         let signature = der.and_then(|der| Signature::from_der(&der).ok());
///         let signature = signature.ok_or(SignatureError::Malformed("x-signature"))?;
///         let signed = [time.as_bytes(), request.body()].concat();
///         let made_by = |key: &VerifyingKey| key.verify(&signed, &signature).is_ok();
///         match self.keys.iter().any(made_by) {
///             true => Ok(()),
///             false => Err(SignatureError::NoMatch),
///         }
///     }
/// }
///
/// let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcw\
///            HBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";
/// let keys = vec![VerifyingKey::from_public_key_der(&STANDARD.decode(key)?)?];
/// let tolerance = TimestampTolerance::default();
/// let auth = WebhookAuth::signature(EcdsaSignature { keys, tolerance });
/// assert_eq!(format!("{auth:?}"), "WebhookAuth(signature)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait WebhookSignature: Send + Sync {
    /// Verifies that one of the ESP's keys signed this request.
    ///
    /// The implementation must guarantee:
    /// - The signature covers everything that [`Webhook::read`](crate::Webhook::read) uses: the
    ///   body, and each header that it reads.
    /// - A symmetric signature is compared in constant time, and every configured key is tried.
    /// - A signature that is too old or too far in the future is refused ([`TimestampTolerance`]),
    ///   if the ESP signs a timestamp.
    /// - Any headers and any body yield a result and never a panic, in time proportional to their
    ///   length.
    ///
    /// It is synchronous and does no I/O: the keys it needs must already be there.
    ///
    /// # Errors
    /// [`SignatureError`], which says why. The reason is logged; the sender of the request learns
    /// only that it was refused.
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError>;
}

impl<S: WebhookSignature + ?Sized> WebhookSignature for Arc<S> {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        (**self).verify(request)
    }
}

impl<S: WebhookSignature + ?Sized> WebhookSignature for Box<S> {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        (**self).verify(request)
    }
}

/// Why a request's signature is not valid.
///
/// It contains no text of the request and no key, so it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature: the header or field with this name is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// The header or field with this name cannot be parsed.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    /// The signature is older than the tolerance allows. Either somebody replays a request, or a
    /// clock is wrong.
    #[error(
        "the signature is {} s old, more than the tolerance of {} s; \
         check this machine's clock",
        age.as_secs(), tolerance.as_secs()
    )]
    TooOld {
        /// The age of the signature.
        age: Duration,
        /// The tolerance.
        tolerance: Duration,
    },
    /// The signature is further in the future than the tolerance allows, so a clock is wrong.
    #[error(
        "the signature is {} s in the future, more than the tolerance of {} s; \
         check this machine's clock",
        ahead.as_secs(), tolerance.as_secs()
    )]
    TooNew {
        /// The time until the signature's timestamp.
        ahead: Duration,
        /// The tolerance.
        tolerance: Duration,
    },
    /// None of the keys made this signature of this request.
    #[error("the signature does not match any configured key")]
    NoMatch,
}

/// How far a signature's timestamp may be from the current time, in either direction.
///
/// The default is five minutes, like in the [Standard Webhooks] libraries. The limit prevents
/// somebody who obtained a request from replaying it later. It must be larger than the difference
/// between clocks. For an ESP that signs an event once and sends the same signature with each
/// attempt, it must be larger than the time during which the ESP retries.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use anymail_core::TimestampTolerance;
///
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let tolerance = TimestampTolerance::new(Duration::from_secs(60)).with_clock(move || noon);
/// assert!(tolerance.check(1_700_000_060).is_ok());
/// assert!(tolerance.check(1_700_000_061).is_err());
/// assert!(tolerance.check(1_699_999_939).is_err());
/// ```
///
/// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks
#[derive(Clone)]
pub struct TimestampTolerance {
    limit: Duration,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl TimestampTolerance {
    /// Creates a limit that uses the system clock. Fractions of a second are ignored.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Uses another clock, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks a timestamp, in seconds since 1970-01-01 00:00 UTC.
    ///
    /// # Errors
    /// [`SignatureError::TooOld`] and [`SignatureError::TooNew`].
    pub fn check(&self, unix_seconds: i64) -> Result<(), SignatureError> {
        let now = (self.clock)()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
            });
        let tolerance = self.limit;
        let apart = Duration::from_secs(now.abs_diff(unix_seconds));
        match () {
            () if apart.as_secs() <= tolerance.as_secs() => Ok(()),
            () if unix_seconds < now => Err(SignatureError::TooOld {
                age: apart,
                tolerance,
            }),
            () => Err(SignatureError::TooNew {
                ahead: apart,
                tolerance,
            }),
        }
    }
}

impl Default for TimestampTolerance {
    fn default() -> Self {
        Self::new(Duration::from_secs(5 * 60))
    }
}

impl fmt::Debug for TimestampTolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimestampTolerance({:?})", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerance(now: i64) -> TimestampTolerance {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
        TimestampTolerance::new(Duration::from_millis(10_900)).with_clock(move || now)
    }

    #[test]
    fn a_timestamp_is_valid_up_to_the_tolerance_in_both_directions() {
        for (time, expected) in [
            (90, None),
            (100, None),
            (110, None),
            (89, Some("TooOld")),
            (111, Some("TooNew")),
            (0, Some("TooOld")),
            (-5, Some("TooOld")),
            (i64::MIN, Some("TooOld")),
            (i64::MAX, Some("TooNew")),
        ] {
            let found = tolerance(100).check(time).err().map(|it| format!("{it:?}"));
            let found = found.as_deref().and_then(|it| it.split(' ').next());
            assert_eq!(found, expected, "{time}");
        }
    }

    #[test]
    fn a_clock_before_1970_does_not_panic() {
        let then = SystemTime::UNIX_EPOCH - Duration::from_secs(100);
        let tolerance = TimestampTolerance::default().with_clock(move || then);
        assert!(tolerance.check(0).is_ok());
        assert!(tolerance.check(301).is_err());
    }

    #[test]
    fn an_error_says_how_far_off_the_timestamp_is() {
        assert_eq!(
            tolerance(100).check(40).unwrap_err().to_string(),
            "the signature is 60 s old, more than the tolerance of 10 s; \
             check this machine's clock"
        );
    }
}
