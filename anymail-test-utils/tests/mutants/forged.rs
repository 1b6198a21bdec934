//! [`Forged`]: an example's ESP whose webhooks verify signatures carelessly.

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    EmailBackend, SignatureError, TimestampTolerance, WebhookAuth, WebhookSignature,
};
use anymail_test_utils::conformance::{
    Credentials, Failure, Harness, HarnessError, Mutants, Posts, Profile, Report, Signer, Signing,
    Suite, Target, Understood,
};
use bytes::Bytes;
use http::{Request, Response};

type TimeAndSignature = fn(&Request<Bytes>) -> (Option<String>, Option<String>);
type Expected = fn(&str, &Request<Bytes>) -> Result<String, HarnessError>;

/// How an ESP signs.
#[derive(Clone)]
pub struct Scheme {
    pub signer: Arc<dyn Signer>,
    pub time_and_signature: TimeAndSignature,
    /// Returns the signature with a key, if there is only one.
    pub expected: Option<Expected>,
    pub is_right: fn(&str, &Request<Bytes>, &str) -> bool,
}

/// What a careless verifier does.
#[derive(Clone, Copy, PartialEq)]
enum Forgery {
    NeverVerifies,
    VerifiesOnlyWhatIsSigned,
    ComparesAPrefix,
    IgnoresTheAge,
    ChecksTheAgeOneWay,
    UsesTheFirstKeyOnly,
    TakesJsonUnverified,
    TakesFormsUnverified,
    DecodesWithoutLooking,
    TakesNoKey,
    TracesTheKeys,
}

use Forgery as F;

pub fn plant<H: Harness>(mut all: Mutants, harness: fn() -> H, scheme: Scheme) -> Mutants {
    const FORGED: &[&str] = &[
        "signatures::tracking::a_post_without_the_right_signature_is_not_read",
        "signatures::inbound::a_post_without_the_right_signature_is_not_read",
    ];
    const AGED: &[&str] = &[
        "signatures::tracking::a_signature_is_valid_for_a_limited_time",
        "signatures::inbound::a_signature_is_valid_for_a_limited_time",
    ];
    let mut add = |name: &str, forgery: Forgery, caught_by: &[&str]| {
        let scheme = scheme.clone();
        let suite = move || Suite::new(Forged::new(harness(), scheme, forgery));
        let before = std::mem::replace(&mut all, Mutants::http("none", harness));
        all = before.plant_suite(name, suite, caught_by);
    };
    add("never_verifies", F::NeverVerifies, FORGED);
    add(
        "verifies_only_what_is_signed",
        F::VerifiesOnlyWhatIsSigned,
        FORGED,
    );
    if scheme.expected.is_some() {
        add("compares_a_prefix", F::ComparesAPrefix, FORGED);
    }
    add(
        "accepts_unverified_json",
        F::TakesJsonUnverified,
        &FORGED[..1],
    );
    add(
        "accepts_unverified_forms",
        F::TakesFormsUnverified,
        &FORGED[1..],
    );
    add("ignores_the_age", F::IgnoresTheAge, AGED);
    add(
        "accepts_signatures_from_the_future",
        F::ChecksTheAgeOneWay,
        AGED,
    );
    add(
        "uses_the_first_key_only",
        F::UsesTheFirstKeyOnly,
        &[
            "signatures::tracking::a_signed_post_is_read",
            "signatures::inbound::a_signed_post_is_read",
        ],
    );
    add(
        "decodes_signatures_without_checks",
        F::DecodesWithoutLooking,
        &[
            "signatures::tracking::any_bytes_for_a_signature_are_refused",
            "signatures::inbound::any_bytes_for_a_signature_are_refused",
        ],
    );
    add(
        "needs_no_key",
        F::TakesNoKey,
        &["signatures::tracking::without_a_key_no_post_is_read"],
    );
    add(
        "traces_the_keys",
        F::TracesTheKeys,
        &["signatures::tracking::signing_keys_are_in_no_debug_output_response_or_log"],
    );
    all
}

/// Knows the same ESP, but verifies the signature carelessly.
struct Forged<H> {
    harness: H,
    scheme: Scheme,
    forgery: Forgery,
}

impl<H> Forged<H> {
    fn new(harness: H, scheme: Scheme, forgery: Forgery) -> Self {
        Self {
            harness,
            scheme,
            forgery,
        }
    }
}

impl<H: Harness> Harness for Forged<H> {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        self.harness.backend(target)
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        self.harness.read(request)
    }

    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        self.harness.response(request, reports)
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        self.harness.error_response(failure)
    }

    fn credentials(&self, secret: &str) -> Credentials {
        self.harness.credentials(secret)
    }

    fn profile(&self) -> Profile {
        self.harness.profile()
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        self.harness.webhooks(auth, sent)
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::new(Forger {
            scheme: self.scheme.clone(),
            forgery: self.forgery,
        }))
    }
}

/// Signs as the ESP does; only the verifier is careless.
struct Forger {
    scheme: Scheme,
    forgery: Forgery,
}

impl Signer for Forger {
    fn auth(&self, keys: &[&str]) -> Result<WebhookAuth, HarnessError> {
        if self.forgery != F::TakesNoKey {
            self.scheme.signer.auth(keys)?;
        }
        Ok(WebhookAuth::signature(Careless {
            scheme: self.scheme.clone(),
            forgery: self.forgery,
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
        }))
    }

    fn sign(&self, request: &mut Request<Bytes>, how: &Signing<'_>) -> Result<(), HarnessError> {
        self.scheme.signer.sign(request, how)
    }

    fn tolerance(&self) -> Option<Duration> {
        self.scheme.signer.tolerance()
    }

    fn covers_body(&self) -> bool {
        self.scheme.signer.covers_body()
    }
}

struct Careless {
    scheme: Scheme,
    forgery: Forgery,
    keys: Vec<String>,
}

impl WebhookSignature for Careless {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let kind = request.headers().get("content-type");
        let json = kind.is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
        let (time, signature) = (self.scheme.time_and_signature)(request);
        match self.forgery {
            F::NeverVerifies => return Ok(()),
            F::VerifiesOnlyWhatIsSigned if signature.is_none() => return Ok(()),
            F::TakesJsonUnverified if json => return Ok(()),
            F::TakesFormsUnverified if !json => return Ok(()),
            F::TakesNoKey if self.keys.iter().all(String::is_empty) => return Ok(()),
            F::TracesTheKeys => tracing::debug!(keys = ?self.keys, "verifying"),
            _ => {}
        }
        let seconds = time.ok_or(SignatureError::Missing("time"))?.parse();
        let seconds = seconds.map_err(|_| SignatureError::Malformed("time"))?;
        match (self.forgery, TimestampTolerance::default().check(seconds)) {
            (F::IgnoresTheAge, _) | (_, Ok(())) => {}
            (F::ChecksTheAgeOneWay, Err(SignatureError::TooNew { .. })) => {}
            (_, Err(error)) => return Err(error),
        }
        let signature = signature.ok_or(SignatureError::Missing("signature"))?;
        if self.forgery == F::DecodesWithoutLooking {
            assert!(signature.is_ascii() && signature.len() > 1);
        }
        let keys = self.keys.iter().take(match self.forgery {
            F::UsesTheFirstKeyOnly => 1,
            _ => usize::MAX,
        });
        let is_right = |key: &String| match (self.forgery, self.scheme.expected) {
            (F::ComparesAPrefix, Some(expected)) => {
                let expected = expected(key, request).unwrap_or_default();
                !signature.is_empty() && expected.starts_with(&signature)
            }
            _ => (self.scheme.is_right)(key, request, &signature),
        };
        let mut keys = keys;
        match keys.any(is_right) {
            true => Ok(()),
            false => Err(SignatureError::NoMatch),
        }
    }
}
