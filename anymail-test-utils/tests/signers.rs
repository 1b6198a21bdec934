//! The trials about signatures, on ESPs that sign in other ways than the guide's, because they must
//! work for any kind of signature.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a failing test panics"
)]

#[path = "../examples/pigeon/backend.rs"]
mod backend;
#[path = "../examples/pigeon/harness.rs"]
mod harness;
#[path = "../examples/pigeon/signature.rs"]
mod signature;
#[path = "../examples/pigeon/webhook.rs"]
mod webhook;
#[path = "../examples/pigeon/wire.rs"]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    EmailBackend, HmacSha256Keys, SignatureError, StandardWebhooks, TimestampTolerance,
    WebhookAuth, WebhookSignature,
};
use anymail_test_utils::conformance::{
    Credentials, Failure, Harness, HarnessError, Outcome, Posts, Report, Signer, Signing, Suite,
    Target, Understood,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};

use crate::harness::PigeonHarness;

/// Pigeon with another signature.
struct Signed {
    signer: Arc<dyn Signer>,
    /// A header that its posts have before they are signed.
    before: Option<&'static str>,
}

impl Harness for Signed {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        PigeonHarness.backend(target)
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        PigeonHarness.read(request)
    }

    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        PigeonHarness.response(request, reports)
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        PigeonHarness.error_response(failure)
    }

    fn credentials(&self, secret: &str) -> Credentials {
        PigeonHarness.credentials(secret)
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        let mut all = PigeonHarness.webhooks(auth, sent);
        for post in all.iter_mut().flat_map(|posts| &mut posts.posts) {
            if let Some(name) = self.before {
                let headers = post.request.headers_mut();
                headers.insert(name, HeaderValue::from_static("00"));
            }
        }
        all
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::clone(&self.signer))
    }
}

/// Returns the trials about signatures that do not pass, without the webhook's kind, and their
/// outcome.
fn left_over(signer: impl Signer + 'static) -> Vec<(String, Outcome)> {
    left_over_of(Signed {
        signer: Arc::new(signer),
        before: None,
    })
}

fn left_over_of(signed: Signed) -> Vec<(String, Outcome)> {
    let suite = Suite::new(signed);
    let names = suite.names().filter_map(|name| {
        let name = name.strip_prefix("signatures::tracking::")?;
        Some((name, format!("signatures::tracking::{name}")))
    });
    let outcomes: Vec<_> = names
        .map(|(name, full)| (name.to_owned(), suite.run(&full)))
        .collect();
    assert!(outcomes.len() > 5, "{outcomes:?}");
    let passed = |outcome: &Outcome| *outcome == Outcome::Passed;
    outcomes.into_iter().filter(|(_, it)| !passed(it)).collect()
}

fn header<'r>(request: &'r Request<Bytes>, name: &'static str) -> Result<&'r str, SignatureError> {
    let value = request.headers().get(name);
    let value = value.ok_or(SignatureError::Missing(name))?;
    value.to_str().map_err(|_| SignatureError::Malformed(name))
}

/// Standard Webhooks, with either of its header names.
struct Standard {
    svix: bool,
}

impl Standard {
    fn webhooks(&self, keys: &[&str]) -> Result<StandardWebhooks, HarnessError> {
        let keys = keys
            .iter()
            .map(|key| format!("whsec_{}", STANDARD.encode(key)));
        let webhooks = StandardWebhooks::new(keys)?;
        Ok(match self.svix {
            true => webhooks.svix_headers(),
            false => webhooks,
        })
    }
}

impl Signer for Standard {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        Ok(WebhookAuth::signature(self.webhooks(keys)?))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let webhooks = self.webhooks(&[how.key])?;
        let signature = webhooks.sign("msg_1", how.unix_seconds, request.body());
        let names = match self.svix {
            true => ["svix-id", "svix-timestamp", "svix-signature"],
            false => ["webhook-id", "webhook-timestamp", "webhook-signature"],
        };
        let signature = HeaderValue::from_bytes(&how.spell(&signature))?;
        let values = [
            HeaderValue::from_static("msg_1"),
            how.unix_seconds.into(),
            signature,
        ];
        for (name, value) in names.into_iter().zip(values) {
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }
}

#[test]
fn standard_webhooks_pass_every_trial() {
    for svix in [false, true] {
        assert_eq!(left_over(Standard { svix }), []);
    }
}

/// HMAC in base64, over the body only.
struct BodyAlone;

struct BodySignature(HmacSha256Keys);

impl WebhookSignature for BodySignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let signature = header(request, "x-signature")?;
        self.0
            .verify_base64(&[request.body()], signature.as_bytes())
    }
}

impl Signer for BodyAlone {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let keys = HmacSha256Keys::new(keys.iter().copied())?;
        Ok(WebhookAuth::signature(BodySignature(keys)))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let signature = HmacSha256Keys::new([how.key])?.sign_base64(&[request.body()]);
        let signature = HeaderValue::from_bytes(&how.spell(&signature))?;
        request.headers_mut().insert("X-Signature", signature);
        Ok(())
    }

    fn tolerance(&self) -> Option<Duration> {
        None
    }
}

#[test]
fn the_age_of_a_signature_without_a_time_is_not_tested() {
    let why = "this ESP does not sign a time".to_owned();
    let rule = "a_signature_is_valid_for_a_limited_time".to_owned();
    assert_eq!(left_over(BodyAlone), [(rule, Outcome::Skipped(why))]);
}

/// ECDSA over the time and the body, in DER and base64.
struct Ecdsa;

struct EcdsaSignature {
    keys: Vec<VerifyingKey>,
    tolerance: TimestampTolerance,
}

impl WebhookSignature for EcdsaSignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let (time, signature) = (header(request, "x-time")?, header(request, "x-signature")?);
        let seconds = time
            .parse()
            .map_err(|_| SignatureError::Malformed("x-time"))?;
        self.tolerance.check(seconds)?;
        let signature = STANDARD.decode(signature).ok();
        let signature = signature.and_then(|der| Signature::from_der(&der).ok());
        let signature = signature.ok_or(SignatureError::Malformed("x-signature"))?;
        let signed = [time.as_bytes(), request.body()].concat();
        let made_by = |key: &VerifyingKey| key.verify(&signed, &signature).is_ok();
        match self.keys.iter().any(made_by) {
            true => Ok(()),
            false => Err(SignatureError::NoMatch),
        }
    }
}

/// Creates a key pair from a text.
fn pair(text: &str) -> Result<SigningKey, HarnessError> {
    if text.is_empty() {
        return Err("the key is empty".into());
    }
    let secret = HmacSha256Keys::new([text])?.sign_hex(&[b"pair"]);
    let half = secret.get(..32).unwrap_or_default(); // 32 bytes that are surely in range
    Ok(SigningKey::from_slice(half.as_bytes())?)
}

impl Signer for Ecdsa {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let public = |key: &&str| Ok(*pair(key)?.verifying_key());
        Ok(WebhookAuth::signature(EcdsaSignature {
            keys: keys
                .iter()
                .map(public)
                .collect::<Result<_, HarnessError>>()?,
            tolerance: TimestampTolerance::default(),
        }))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let signed = [how.unix_seconds.to_string().as_bytes(), request.body()].concat();
        let signature: Signature = pair(how.key)?.sign(&signed);
        let signature = how.spell(&STANDARD.encode(signature.to_der()));
        let headers = request.headers_mut();
        headers.insert("X-Time", how.unix_seconds.into());
        headers.insert("X-Signature", HeaderValue::from_bytes(&signature)?);
        Ok(())
    }
}

#[test]
fn public_key_signatures_pass_every_trial() {
    assert_eq!(left_over(Ecdsa), []);
}

/// HMAC over a time and a token, all in one query parameter: the body is not signed.
struct BodyLeftOut;

struct TokenSignature(HmacSha256Keys);

impl WebhookSignature for TokenSignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let query = request.uri().query().unwrap_or_default();
        let field = |wanted: &'static str| {
            let mut fields = form_urlencoded::parse(query.as_bytes());
            let found = fields.find(|(name, _)| name == wanted);
            found
                .map(|(_, value)| value)
                .ok_or(SignatureError::Missing(wanted))
        };
        let (time, signature) = (field("timestamp")?, field("signature")?);
        let seconds = time
            .parse()
            .map_err(|_| SignatureError::Malformed("timestamp"))?;
        TimestampTolerance::default().check(seconds)?;
        self.0.verify_hex(&[time.as_bytes()], signature.as_bytes())
    }
}

impl Signer for BodyLeftOut {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let keys = HmacSha256Keys::new(keys.iter().copied())?;
        Ok(WebhookAuth::signature(TokenSignature(keys)))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        let time = how.unix_seconds.to_string();
        let signature = HmacSha256Keys::new([how.key])?.sign_hex(&[time.as_bytes()]);
        let signature = how.spell(&signature);
        let signature: String = form_urlencoded::byte_serialize(&signature).collect();
        let uri = format!("/?timestamp={time}&signature={signature}");
        *request.uri_mut() = uri.parse()?;
        Ok(())
    }
}

#[test]
fn a_signature_that_does_not_cover_the_body_does_not_protect_it() {
    let left = left_over(BodyLeftOut);
    let rules: Vec<_> = left.iter().map(|(rule, _)| &**rule).collect();
    let body = [
        "a_post_without_the_right_signature_is_not_read",
        "an_unsigned_post_is_not_read",
    ];
    assert_eq!(rules, body, "{left:?}");
}

/// Otherwise, nobody would notice what happens to an unsigned post.
#[test]
fn a_harness_whose_posts_are_already_signed_is_refused() {
    let left = left_over_of(Signed {
        signer: Arc::new(harness::PigeonSigner),
        before: Some("pigeon-signature"),
    });
    let rules: Vec<_> = left.iter().map(|(rule, _)| &**rule).collect();
    let rule = "a_post_without_the_right_signature_is_not_read";
    assert_eq!(rules, [rule], "{left:?}");
    assert!(format!("{left:?}").contains("already has a signature"));
}
