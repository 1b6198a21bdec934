//! Signatures that are verified carelessly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    Event, HmacSha256Keys, SignatureError, TimestampTolerance, WebhookAuth, WebhookSignature,
};
use anymail_test_utils::conformance::{HarnessError, Signer, Signing};
use bytes::Bytes;
use http::Request;

use crate::breaks::Break::{Events, Own, Signature};
use crate::breaks::{Break, Forgery as F, Mutant, Own as O, mutant};
use crate::harness::PigeonSigner;
use crate::in_webhooks::keyed;

pub fn mutants() -> Vec<Mutant> {
    const FORGED: &[&str] = &[
        "signatures::tracking::a_post_without_the_right_signature_is_not_read",
        "signatures::inbound::a_post_without_the_right_signature_is_not_read",
    ];
    vec![
        mutant("never_verifies", Signature(F::NeverVerifies), FORGED),
        mutant(
            "verifies_only_what_is_signed",
            Signature(F::VerifiesOnlyWhatIsSigned),
            FORGED,
        ),
        mutant("compares_a_prefix", Signature(F::ComparesAPrefix), FORGED),
        mutant(
            "accepts_an_empty_signature",
            Signature(F::AcceptsAnEmptySignature),
            FORGED,
        ),
        mutant(
            "leaves_the_body_out_of_the_signature",
            Signature(F::LeavesOutTheBody),
            FORGED,
        ),
        mutant(
            "uses_the_first_key_only",
            Signature(F::UsesTheFirstKeyOnly),
            &[
                "signatures::tracking::a_signed_post_is_read",
                "signatures::inbound::a_signed_post_is_read",
            ],
        ),
        mutant(
            "tolerates_no_delay",
            Signature(F::ToleratesNoDelay),
            &[
                "signatures::tracking::a_signed_post_is_read",
                "signatures::inbound::a_signed_post_is_read",
            ],
        ),
        mutant(
            "ignores_the_age",
            Signature(F::IgnoresTheAge),
            &[
                "signatures::tracking::a_signature_is_valid_for_a_limited_time",
                "signatures::inbound::a_signature_is_valid_for_a_limited_time",
            ],
        ),
        mutant(
            "accepts_signatures_from_the_future",
            Signature(F::ChecksTheAgeOneWay),
            &[
                "signatures::tracking::a_signature_is_valid_for_a_limited_time",
                "signatures::inbound::a_signature_is_valid_for_a_limited_time",
            ],
        ),
        mutant(
            "verifies_after_reading",
            Own(O::VerifiesAfterReading),
            &[
                "signatures::tracking::an_unsigned_post_is_not_read",
                "signatures::inbound::an_unsigned_post_is_not_read",
            ],
        ),
        mutant(
            "decodes_signatures_without_checks",
            Signature(F::DecodesWithoutLooking),
            &[
                "signatures::tracking::any_bytes_for_a_signature_are_refused",
                "signatures::inbound::any_bytes_for_a_signature_are_refused",
            ],
        ),
        mutant(
            "accepts_what_it_cannot_decode",
            Signature(F::TakesOtherSpellings),
            &[
                "signatures::tracking::any_bytes_for_a_signature_are_refused",
                "signatures::inbound::any_bytes_for_a_signature_are_refused",
            ],
        ),
        mutant(
            "matches_header_names_case_sensitively",
            Signature(F::LooksForTheHeaderByItsSpelling),
            &[
                "signatures::tracking::header_names_may_be_in_any_case",
                "signatures::inbound::header_names_may_be_in_any_case",
            ],
        ),
        mutant(
            "needs_no_key",
            Signature(F::NeedsNoKey),
            &[
                "signatures::tracking::without_a_key_no_post_is_read",
                "signatures::inbound::without_a_key_no_post_is_read",
            ],
        ),
        mutant(
            "accepts_an_empty_key",
            Signature(F::TakesAnEmptyKey),
            &[
                "signatures::tracking::without_a_key_no_post_is_read",
                "signatures::inbound::without_a_key_no_post_is_read",
            ],
        ),
        mutant(
            "uses_the_signature_as_the_events_key",
            Events(|request, events| {
                let signature = request.headers().get("pigeon-signature");
                let key = |event: &Event| format!("{} {signature:?}", event.dedup_key());
                Ok(keyed(events?, key))
            }),
            &[
                "signatures::tracking::a_post_that_is_signed_again_is_handled_once",
                "signatures::inbound::a_post_that_is_signed_again_is_handled_once",
            ],
        ),
        mutant(
            "prints_the_signing_key",
            Own(O::PrintsTheSigningKey),
            &[
                "signatures::tracking::signing_keys_are_in_no_debug_output_response_or_log",
                "signatures::inbound::signing_keys_are_in_no_debug_output_response_or_log",
            ],
        ),
        mutant(
            "traces_the_signing_key",
            Own(O::TracesTheSigningKey),
            &[
                "signatures::tracking::signing_keys_are_in_no_debug_output_response_or_log",
                "signatures::inbound::signing_keys_are_in_no_debug_output_response_or_log",
            ],
        ),
    ]
}

/// The keys of all webhooks so far, because several trials create theirs concurrently.
pub type Keys = Arc<Mutex<Vec<String>>>;

/// Signs as Pigeon does; only the verifier is broken.
pub struct MutantSigner {
    broken: Break,
    keys: Keys,
}

impl MutantSigner {
    pub fn new(broken: Break, keys: Keys) -> Self {
        Self { broken, keys }
    }
}

impl Signer for MutantSigner {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        let keys: Vec<_> = keys.iter().map(|&key| key.to_owned()).collect();
        self.keys.lock().unwrap().extend(keys.clone());
        let traces = matches!(self.broken, Own(O::TracesTheSigningKey));
        let forgery = match self.broken {
            Signature(forgery) => Some(forgery),
            _ if traces => None,
            _ => return PigeonSigner.auth(&keys.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        let lax = matches!(forgery, Some(F::NeedsNoKey | F::TakesAnEmptyKey));
        if !lax {
            HmacSha256Keys::new(keys.clone())?;
        }
        Ok(WebhookAuth::signature(Careless { forgery, keys }))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        if matches!(self.broken, Signature(F::LeavesOutTheBody)) {
            let body = std::mem::take(request.body_mut());
            let signed = PigeonSigner.sign(request, how);
            *request.body_mut() = body;
            return signed;
        }
        if !how.key.is_empty() {
            return PigeonSigner.sign(request, how);
        }
        // HMAC pads a key with zeros, so this key is equivalent to the empty one.
        let signed = [
            how.unix_seconds.to_string().as_bytes(),
            b".",
            request.body(),
        ]
        .concat();
        let signature = HmacSha256Keys::from_bytes([vec![0]])?.sign_hex(&[&signed]);
        let headers = request.headers_mut();
        headers.insert("Pigeon-Time", how.unix_seconds.into());
        headers.insert("Pigeon-Signature", signature.parse()?);
        Ok(())
    }
}

/// Verifies Pigeon's signature with one exception.
struct Careless {
    /// No exception, but it traces its key.
    forgery: Option<F>,
    keys: Vec<String>,
}

impl Careless {
    fn expected(&self, request: &Request<Bytes>, time: &[u8]) -> Vec<String> {
        let body: &[u8] = match self.forgery {
            Some(F::LeavesOutTheBody) => b"",
            _ => request.body(),
        };
        let keys = self.keys.iter().filter_map(|key| match key.is_empty() {
            true => HmacSha256Keys::from_bytes([vec![0]]).ok(),
            false => HmacSha256Keys::new([&**key]).ok(),
        });
        let keys = keys.take(match self.forgery {
            Some(F::UsesTheFirstKeyOnly) => 1,
            _ => usize::MAX,
        });
        keys.map(|key| key.sign_hex(&[time, b".", body])).collect()
    }

    fn in_time(&self, seconds: i64) -> Result<(), SignatureError> {
        let checked = match self.forgery {
            Some(F::IgnoresTheAge) => Ok(()),
            Some(F::ToleratesNoDelay) => {
                TimestampTolerance::new(Duration::from_secs(5)).check(seconds)
            }
            _ => TimestampTolerance::default().check(seconds),
        };
        match (self.forgery, checked) {
            (Some(F::ChecksTheAgeOneWay), Err(SignatureError::TooNew { .. })) => Ok(()),
            (_, checked) => checked,
        }
    }
}

impl WebhookSignature for Careless {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        const SIGNATURE: &str = "pigeon-signature";
        let is_there = request.headers().contains_key(SIGNATURE);
        let name = match self.forgery {
            None => {
                tracing::trace!(keys = ?self.keys, "verifying");
                SIGNATURE
            }
            Some(F::NeverVerifies) => return Ok(()),
            Some(F::VerifiesOnlyWhatIsSigned) if !is_there => return Ok(()),
            Some(F::NeedsNoKey) if self.keys.is_empty() => return Ok(()),
            Some(F::LooksForTheHeaderByItsSpelling) => "Pigeon-Signature",
            Some(_) => SIGNATURE,
        };
        let header = |wanted: &'static str| {
            let mut headers = request.headers().iter();
            let found = headers.find(|(name, _)| name.as_str() == wanted);
            found
                .map(|(_, value)| value)
                .ok_or(SignatureError::Missing(wanted))
        };
        let (time, signature) = (header("pigeon-time")?, header(name)?);
        let seconds = time.to_str().ok().and_then(|time| time.parse().ok());
        self.in_time(seconds.ok_or(SignatureError::Malformed("pigeon-time"))?)?;
        let signature = match (self.forgery, signature.to_str()) {
            (Some(F::DecodesWithoutLooking), signature) => {
                let signature = signature.unwrap();
                for place in (0..signature.len()).step_by(2) {
                    u8::from_str_radix(&signature[place..place + 2], 16).unwrap();
                }
                signature
            }
            (Some(F::TakesOtherSpellings), Err(_)) => return Ok(()),
            (_, signature) => {
                signature.map_err(|_| SignatureError::Malformed("pigeon-signature"))?
            }
        };
        let is_right = |expected: String| match self.forgery {
            Some(F::ComparesAPrefix) => {
                !signature.is_empty() && expected.starts_with(&signature.to_lowercase())
            }
            Some(F::AcceptsAnEmptySignature) if signature.is_empty() => true,
            _ => expected == signature.to_lowercase(),
        };
        match self
            .expected(request, time.as_bytes())
            .into_iter()
            .any(is_right)
        {
            true => Ok(()),
            false => Err(SignatureError::NoMatch),
        }
    }
}
