//! The conformance suite on the Postmark backend.

#![allow(
    clippy::indexing_slicing,
    reason = "indexing a JSON object returns null for a missing key"
)]

mod posts;
mod read;
mod response;
mod watch;

use std::sync::Arc;

use anymail_core::{EmailBackend, WebhookAuth};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::conformance::{
    Credentials, Failure, FailureKind, Harness, HarnessError, Posts, Profile, Report, Target,
    Understood,
};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

/// Knows Postmark's sending API from its documentation and from published responses. It shares no
/// code with the fake Postmark of anymail-test-utils.
struct PostmarkHarness;

impl Harness for PostmarkHarness {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        watch::secret(&target.secret);
        let config = PostmarkConfig::new(&*target.secret)
            .api_url(&*target.url)
            .timeout(target.timeout);
        Ok(Arc::new(PostmarkBackend::new(config)?))
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        read::mails(request)
    }

    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        match read::endpoint(request) {
            Some(endpoint) if endpoint.is_batch() => response::batch(reports),
            _ => response::single(reports),
        }
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        // The codes of https://postmarkapp.com/developer/api/overview#error-codes; they contain
        // none for too many requests.
        let code = match failure.kind {
            FailureKind::BadToken => 10,
            FailureKind::Refused => 1235,
            FailureKind::Crashed => 101,
            FailureKind::Unavailable => 100,
            _ => 0,
        };
        let json = json!({"ErrorCode": code, "Message": failure.error_message});
        response::response(failure.http_status, &json)
    }

    fn credentials(&self, secret: &str) -> Credentials {
        Credentials::header("x-postmark-server-token", secret)
    }

    fn profile(&self) -> Profile {
        let options = json!({"MessageStream": "broadcast", "InlineCss": false});
        let spy = "spy@example.com";
        let map = |json: Value| json.as_object().cloned().unwrap_or_default();
        Profile {
            // https://postmarkapp.com/developer/api/email-api#send-batch-emails
            recipients_per_call: Some(500),
            esp_extra: map(options),
            recipient_keys: map(json!({"To": spy, "Cc": spy, "Bcc": spy, "bcc": spy})),
            subject_key: Some("Subject".to_owned()),
            ..Profile::default()
        }
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        posts::posts(auth, sent)
    }
}

fn main() {
    watch::start();
    anymail_test_utils::conformance::main(PostmarkHarness)
}
