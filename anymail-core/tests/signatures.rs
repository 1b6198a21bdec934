//! Signatures with public keys, as an ESP's crate implements them with [`WebhookSignature`], with
//! the test vectors that two ESPs' own libraries publish.
#![cfg(feature = "webhooks")]
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use anymail_core::{SignatureError, TimestampTolerance, WebhookSignature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;

/// A tolerance of five minutes at that time.
fn at(unix_seconds: u64) -> TimestampTolerance {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds);
    TimestampTolerance::default().with_clock(move || now)
}

fn header<'r>(request: &'r Request<Bytes>, name: &'static str) -> Result<&'r str, SignatureError> {
    let value = request.headers().get(name);
    let value = value.ok_or(SignatureError::Missing(name))?;
    value.to_str().map_err(|_| SignatureError::Malformed(name))
}

fn time(request: &Request<Bytes>, name: &'static str) -> Result<i64, SignatureError> {
    let time = header(request, name)?;
    time.parse().map_err(|_| SignatureError::Malformed(name))
}

fn post(headers: &[(&str, &str)], body: &str) -> Request<Bytes> {
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

/// Headers that were not created with the key, and arbitrary bodies.
#[cfg(feature = "signatures")]
mod any_bytes {
    use anymail_core::StandardWebhooks;
    use http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes that are allowed in a header, often those of a signature.
    fn value() -> impl Strategy<Value = HeaderValue> {
        let like_one = "(v1a?,)?[A-Za-z0-9+/=_-]{0,60}( v1,[A-Za-z0-9+/]{43}=){0,3}";
        let any = vec(
            prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t')],
            0..80,
        );
        prop_oneof![like_one.prop_map(String::into_bytes), any]
            .prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap())
    }

    proptest! {
        #[test]
        fn are_refused(
            id in value(),
            time in prop_oneof![value(), "16142653[0-9]{2}".prop_map(|it| it.parse().unwrap())],
            signatures in vec(value(), 0..4),
            body in vec(any::<u8>(), 0..200),
        ) {
            let webhooks = StandardWebhooks::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
            let webhooks = webhooks.unwrap().tolerance(at(1_614_265_330));
            let mut request = Request::post("/").body(Bytes::from(body)).unwrap();
            let headers = request.headers_mut();
            headers.insert("webhook-id", id);
            headers.insert("webhook-timestamp", time);
            for signature in signatures {
                headers.append("webhook-signature", signature);
            }
            let error = webhooks.verify(&request).unwrap_err();
            let printed = format!("{error} {error:?}");
            prop_assert!(!printed.contains("MfKQ"), "{}", printed);
        }
    }
}

/// ECDSA over P-256 of the timestamp and the body, as SendGrid signs its events. Keys,
/// signature and payload are those of its library (sendgrid-nodejs,
/// `packages/eventwebhook/src/eventwebhook.spec.js`).
mod ecdsa {
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    use p256::pkcs8::DecodePublicKey;

    use super::*;

    const SIGNATURE: &str = "X-Twilio-Email-Event-Webhook-Signature";
    const TIMESTAMP: &str = "X-Twilio-Email-Event-Webhook-Timestamp";

    struct EcdsaSignature {
        keys: Vec<VerifyingKey>,
        tolerance: TimestampTolerance,
    }

    impl WebhookSignature for EcdsaSignature {
        fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
            let signature = header(request, SIGNATURE)?;
            self.tolerance.check(time(request, TIMESTAMP)?)?;
            let signed = [header(request, TIMESTAMP)?.as_bytes(), request.body()].concat();
            let der = STANDARD.decode(signature).ok();
            let signature = der.and_then(|der| Signature::from_der(&der).ok());
            let signature = signature.ok_or(SignatureError::Malformed(SIGNATURE))?;
            let made_by = |key: &VerifyingKey| key.verify(&signed, &signature).is_ok();
            match self.keys.iter().any(made_by) {
                true => Ok(()),
                false => Err(SignatureError::NoMatch),
            }
        }
    }

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjc\
                       MMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";
    const OTHER_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4S\
                             XZkLW6jDutdhXSJCWHw8REntlo7aNDthvj+y7GjUuFDb/R1NGe1OPzpA==";
    const SIGNED: &str = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6Bp\
                          SzoQsbVRamr2nlxFDWYNH2j/0=";
    const MISSIGNED: &str = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi\
                             6BpSzoQsbVRamr2nlxFDWYNH3j/0=";
    const BODY: &str =
        r#"{"category":"example_payload","event":"test_event","message_id":"message_id"}"#;

    fn verdict(keys: &[&str], signature: &str, time: &str, body: &str) -> &'static str {
        let key =
            |key: &&str| VerifyingKey::from_public_key_der(&STANDARD.decode(key).unwrap()).unwrap();
        let signatures = EcdsaSignature {
            keys: keys.iter().map(key).collect(),
            tolerance: at(1_588_788_400),
        };
        match signatures.verify(&post(&[(SIGNATURE, signature), (TIMESTAMP, time)], body)) {
            Ok(()) => "ok",
            Err(SignatureError::NoMatch) => "no match",
            Err(SignatureError::Malformed(_)) => "malformed",
            Err(_) => "another error",
        }
    }

    #[test]
    fn the_published_vectors_hold() {
        let time = "1588788367";
        assert_eq!(verdict(&[KEY], SIGNED, time, BODY), "ok");
        assert_eq!(verdict(&[OTHER_KEY, KEY], SIGNED, time, BODY), "ok");
        assert_eq!(verdict(&[OTHER_KEY], SIGNED, time, BODY), "no match");
        assert_eq!(verdict(&[KEY], SIGNED, time, "payload"), "no match");
        assert_eq!(verdict(&[KEY], MISSIGNED, time, BODY), "no match");
        assert_eq!(verdict(&[KEY], SIGNED, "timestamp", BODY), "malformed");
        assert_eq!(verdict(&[KEY], SIGNED, "1588788368", BODY), "no match");
    }

    #[test]
    fn bytes_that_are_not_a_signature_are_malformed() {
        for wrong in ["", "!", "MEUCIQCtIHJeH93Y", "AAAA", &"MEUC".repeat(5000)] {
            assert_eq!(verdict(&[KEY], wrong, "1588788367", BODY), "malformed");
        }
    }
}

/// Ed25519, which Standard Webhooks offers in addition to HMAC (`v1a`). Key, signature and payload are
/// those of its reference library (`libraries/go/webhook_asymmetric_test.go`).
mod ed25519 {
    use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

    use super::*;

    struct Ed25519Signature {
        keys: Vec<VerifyingKey>,
        tolerance: TimestampTolerance,
    }

    impl WebhookSignature for Ed25519Signature {
        fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
            let (id, signatures) = (header(request, "webhook-id")?, "webhook-signature");
            let signatures = header(request, signatures)?;
            let time = time(request, "webhook-timestamp")?;
            self.tolerance.check(time)?;
            let signed = [format!("{id}.{time}.").as_bytes(), request.body()].concat();
            let ours = signatures
                .split(' ')
                .filter_map(|it| it.strip_prefix("v1a,"));
            for signature in ours.filter_map(|it| STANDARD.decode(it).ok()) {
                let Ok(signature) = Signature::from_slice(&signature) else {
                    continue;
                };
                let made_by = |key: &VerifyingKey| key.verify_strict(&signed, &signature).is_ok();
                if self.keys.iter().any(made_by) {
                    return Ok(());
                }
            }
            Err(SignatureError::NoMatch)
        }
    }

    const SECRET: &str = "VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const TIME: &str = "1614265330";
    const SIGNED: &str = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeY\
                          Gb7KaaBRdM5WqyeFiL8Ag==";
    const WRONG: &str = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    const BODY: &str = r#"{"test": 2432232314}"#;

    fn verify(signature: &str, body: &str, now: u64) -> Result<(), SignatureError> {
        let secret = STANDARD.decode(SECRET).unwrap().try_into().unwrap();
        let signatures = Ed25519Signature {
            keys: vec![SigningKey::from_bytes(&secret).verifying_key()],
            tolerance: at(now),
        };
        let headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", TIME),
            ("webhook-signature", signature),
        ];
        let signatures: Box<dyn WebhookSignature> = Box::new(signatures);
        signatures.verify(&post(&headers, body))
    }

    #[test]
    fn the_published_vectors_hold() {
        let now = 1_614_265_330;
        assert_eq!(verify(SIGNED, BODY, now), Ok(()));
        let many = [WRONG, &WRONG.replace("v1", "v1a"), SIGNED, WRONG].join(" ");
        assert_eq!(verify(&many, BODY, now), Ok(()));
        let symmetric = SIGNED.replace("v1a", "v1");
        for wrong in [WRONG, "v1a,", "", &symmetric, &SIGNED[..20]] {
            assert_eq!(verify(wrong, BODY, now), Err(SignatureError::NoMatch));
        }
        assert_eq!(verify(SIGNED, "{}", now), Err(SignatureError::NoMatch));
        assert!(matches!(
            verify(SIGNED, BODY, now + 301),
            Err(SignatureError::TooOld { .. })
        ));
        assert!(matches!(
            verify(SIGNED, BODY, now - 301),
            Err(SignatureError::TooNew { .. })
        ));
    }
}
