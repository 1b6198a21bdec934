//! What the log says about a refused webhook request, and the response does not. A single test,
//! because a subscriber may miss lines if other tests run in parallel.
#![cfg(feature = "signatures")]
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used)]

mod log;

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anymail_core::{
    Event, StandardWebhooks, TimestampTolerance, Webhook, WebhookAuth, WebhookError, WebhookKind,
    answer_webhook,
};
use bytes::Bytes;
use http::Request;
use log::logged;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: i64 = 1_614_265_330;

#[derive(Debug)]
struct Postbox(WebhookAuth);

impl Webhook for Postbox {
    fn esp(&self) -> &str {
        "postbox"
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Tracking
    }

    fn auth(&self) -> &WebhookAuth {
        &self.0
    }

    fn read(&self, _: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        Ok(Vec::new())
    }
}

/// The status and body of the response to a request that was signed at that time, with that key.
async fn answered(key: &str, time: i64, sign: bool) -> (u16, Bytes) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    let tolerance = TimestampTolerance::default().with_clock(move || now);
    let signature = StandardWebhooks::new([KEY]).unwrap().tolerance(tolerance);
    let webhook = Postbox(WebhookAuth::signature(signature));
    let mut request = Request::post("/")
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", time);
    if sign {
        let signature = StandardWebhooks::new([key])
            .unwrap()
            .sign("msg_1", time, b"{}");
        request = request.header("webhook-signature", signature);
    }
    let request = request.body(Bytes::from("{}")).unwrap();
    let handler = async |_| Ok::<(), Infallible>(());
    let answer = answer_webhook(&webhook, &request, handler).await;
    (answer.status().as_u16(), answer.into_body())
}

#[test]
fn the_log_says_why_a_signature_is_invalid_but_the_response_does_not() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    for (key, time, sign, status, line) in [
        (KEY, NOW, true, 200, ""),
        (KEY, NOW, false, 401, "`webhook-signature` is missing"),
        (
            other,
            NOW,
            true,
            503,
            "the signature does not match any configured key",
        ),
        (KEY, NOW - 301, true, 503, "the signature is 301 s old"),
        (
            KEY,
            NOW + 301,
            true,
            503,
            "the signature is 301 s in the future",
        ),
    ] {
        let text = logged(|| {
            let (found, body) = runtime.block_on(answered(key, time, sign));
            assert_eq!(found, status, "{line}");
            assert!(body.is_empty(), "{line}: {body:?}");
        });
        assert!(text.contains(line), "{line}: {text}");
        assert_eq!(text.contains(" WARN "), !line.is_empty(), "{text}");
        assert!(text.contains("http.request.body.size=2"), "{text}");
        for secret in ["MfKQ9r8GKYqrTwjU", "C2FVsBQIhrscChlQ"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
