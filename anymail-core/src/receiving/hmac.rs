//! [`HmacSha256Keys`]: HMAC-SHA256 (RFC 2104), in hexadecimal or base64.
//!
//! The ESP's crate defines what is signed and where the signature is.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::auth::{Fault, WebhookAuthError};
use super::event::hex;
use super::signature::SignatureError;
use crate::secret::Secret;

/// One or several keys for HMAC-SHA256.
///
/// Use it for an ESP that signs its webhook requests in this way; your crate selects what is signed
/// and where the signature is. To change a key without losing events, configure the new key in
/// addition to the old one, change it at the ESP, then remove the old one.
///
/// ```
/// use anymail_core::{HmacSha256Keys, SignatureError, WebhookSignature};
/// use bytes::Bytes;
/// use http::Request;
///
/// /// This ESP signs the body, and writes `sha256=` and hexadecimal digits into a header.
/// struct BodySignature(HmacSha256Keys);
///
/// impl WebhookSignature for BodySignature {
///     fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
///         const HEADER: &str = "x-signature";
///         let header = request.headers().get(HEADER).ok_or(SignatureError::Missing(HEADER))?;
///         let digits = header.as_bytes().strip_prefix(b"sha256=");
///         let digits = digits.ok_or(SignatureError::Malformed(HEADER))?;
///         self.0.verify_hex(&[request.body()], digits)
///     }
/// }
///
/// let keys = HmacSha256Keys::new(["new key", "old key"])?;
/// let signature = BodySignature(keys.clone());
/// let request = Request::post("/").header("x-signature", format!("sha256={}", keys.sign_hex(&[b"{}"])));
/// assert!(signature.verify(&request.body("{}".into())?).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HmacSha256Keys(Vec<SecretSlice<u8>>);

impl HmacSha256Keys {
    /// Creates keys from strings, each of which is used as it is, except for surrounding white
    /// space: a file with a key often ends with a line break.
    ///
    /// # Errors
    /// [`WebhookAuthError`] if there is no key or a key is blank.
    pub fn new<K: Into<Secret>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, WebhookAuthError> {
        let bytes = |key: K| key.into().expose().trim().as_bytes().to_vec();
        Self::from_bytes(keys.into_iter().map(bytes))
    }

    /// Creates keys from bytes, for example from decoded base64.
    ///
    /// # Errors
    /// [`WebhookAuthError`] if there is no key or a key is empty.
    pub fn from_bytes(keys: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, WebhookAuthError> {
        let mut checked = Vec::new();
        for key in keys {
            if key.is_empty() {
                return Err(WebhookAuthError(Fault::BlankKey));
            }
            checked.push(SecretSlice::from(key));
        }
        match checked.is_empty() {
            true => Err(WebhookAuthError(Fault::NoKey)),
            false => Ok(Self(checked)),
        }
    }

    /// Verifies a signature in hexadecimal digits of either case, over the concatenated parts. It
    /// must be exactly 64 digits.
    ///
    /// Takes constant time for signatures of the same length.
    ///
    /// # Errors
    /// [`SignatureError::NoMatch`] for anything but the signature by one of the keys.
    pub fn verify_hex(&self, parts: &[&[u8]], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = signature.to_ascii_lowercase();
        self.all(parts, hex).verify([&*signature])
    }

    /// Verifies a signature in base64, over the concatenated parts: 44 characters of the standard
    /// alphabet, including padding.
    ///
    /// Takes constant time for signatures of the same length.
    ///
    /// # Errors
    /// [`SignatureError::NoMatch`] for anything but the signature by one of the keys.
    pub fn verify_base64(&self, parts: &[&[u8]], signature: &[u8]) -> Result<(), SignatureError> {
        self.all(parts, base64).verify([signature])
    }

    /// Signs with the first key, in lower-case hexadecimal digits, like the ESP would. For tests.
    pub fn sign_hex(&self, parts: &[&[u8]]) -> String {
        hex(&self.sign(parts))
    }

    /// Signs with the first key, in base64, like the ESP would. For tests.
    pub fn sign_base64(&self, parts: &[&[u8]]) -> String {
        base64(&self.sign(parts))
    }

    fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        self.0
            .first()
            .and_then(|key| mac(key, parts))
            .unwrap_or_default()
    }

    /// The signatures of these parts with each key, to compare with many signatures.
    pub(super) fn all(&self, parts: &[&[u8]], encode: fn(&[u8]) -> String) -> Expected {
        let macs = self.0.iter().filter_map(|key| mac(key, parts));
        Expected(macs.map(|mac| encode(&mac)).collect())
    }
}

/// Shows the number of keys.
impl fmt::Debug for HmacSha256Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacSha256Keys({} keys)", self.0.len())
    }
}

/// Expected signatures.
///
/// The received signature is never decoded. It is compared, as a string, with the only correct
/// spelling, so each signature has exactly one spelling and checking it costs no more than its
/// length.
pub(super) struct Expected(Vec<String>);

impl Expected {
    /// Whether one of these signatures is expected.
    pub(super) fn verify<'s>(
        &self,
        signatures: impl IntoIterator<Item = &'s [u8]>,
    ) -> Result<(), SignatureError> {
        let mut found = Choice::from(0);
        for signature in signatures {
            for expected in &self.0 {
                found |= expected.as_bytes().ct_eq(signature);
            }
        }
        match found.into() {
            true => Ok(()),
            false => Err(SignatureError::NoMatch),
        }
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn mac(key: &SecretSlice<u8>, parts: &[&[u8]]) -> Option<Vec<u8>> {
    // HMAC accepts keys of any length: the error belongs to the trait, not to the algorithm.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&[u8]]) -> HmacSha256Keys {
        HmacSha256Keys::from_bytes(keys.iter().map(|key| key.to_vec())).unwrap()
    }

    /// RFC 4231, test cases 1 to 4, 6 and 7 (5 is truncated).
    #[test]
    fn the_test_vectors_of_rfc_4231_pass() {
        let one_to_25: Vec<u8> = (1..=25).collect();
        for (key, data, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &one_to_25,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than \
                  block-size data. The key needs to be hashed before being used by the HMAC \
                  algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ] {
            let keys = keys(&[key]);
            assert_eq!(keys.sign_hex(&[data]), expected);
            let (start, end) = data.split_at(3);
            assert_eq!(keys.verify_hex(&[start, end], expected.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn each_key_is_accepted_in_both_encodings_and_no_other_spelling() {
        let both = keys(&[b"new", b"old"]);
        let body: &[&[u8]] = &[b"body"];
        for own in [keys(&[b"new"]), keys(&[b"old"])] {
            let (hex, base64) = (own.sign_hex(body), own.sign_base64(body));
            assert!(both.verify_hex(body, hex.as_bytes()).is_ok());
            assert!(both.verify_hex(body, hex.to_uppercase().as_bytes()).is_ok());
            assert!(both.verify_base64(body, base64.as_bytes()).is_ok());
            for wrong in [
                String::new(),
                hex[1..].to_owned(),
                hex[..32].to_owned(),
                format!("{hex}0"),
                format!(" {hex}"),
                format!("0x{hex}"),
                hex.replace(|_| true, "\0"),
                base64.clone(),
                base64.trim_end_matches('=').to_owned(),
                base64.replace('=', ""),
                base64.to_lowercase(),
            ] {
                let found = both.verify_hex(body, wrong.as_bytes());
                assert_eq!(found, Err(SignatureError::NoMatch), "{wrong}");
                if wrong != base64 {
                    let found = both.verify_base64(body, wrong.as_bytes());
                    assert_eq!(found, Err(SignatureError::NoMatch), "{wrong}");
                }
            }
            assert!(both.verify_hex(&[b"bodY"], hex.as_bytes()).is_err());
            assert!(keys(&[b"third"]).verify_hex(body, hex.as_bytes()).is_err());
        }
        assert!(both.verify_hex(body, b"\xff\xfe").is_err());
    }

    #[test]
    fn a_key_that_proves_nothing_is_refused_when_it_is_set() {
        for wrong in [&[][..], &[""], &["key", " \t"]] {
            assert!(
                HmacSha256Keys::new(wrong.iter().copied()).is_err(),
                "{wrong:?}"
            );
        }
        assert!(HmacSha256Keys::from_bytes([Vec::new()]).is_err());
    }

    #[test]
    fn a_key_from_a_file_may_end_in_a_line_break() {
        let signature = |key| HmacSha256Keys::new([key]).unwrap().sign_hex(&[b"body"]);
        assert_eq!(signature("key\r\n"), signature("key"));
        assert_ne!(signature("k ey"), signature("key"));
    }

    #[test]
    fn debug_does_not_show_keys() {
        let printed = format!("{:?}", HmacSha256Keys::new(["s3cret"]).unwrap());
        assert_eq!(printed, "HmacSha256Keys(1 keys)");
    }
}
