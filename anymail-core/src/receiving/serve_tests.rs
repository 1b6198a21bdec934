use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use super::*;
use crate::receiving::{
    EventType, RawBytes, SignatureError, TrackingEvent, WebhookAuth, WebhookKind, WebhookSignature,
};

/// Reads a body of `n` bytes as `n` events, and `!` as an invalid payload.
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

    fn body_limit(&self) -> usize {
        3
    }

    fn status(&self, error: WebhookErrorKind) -> StatusCode {
        match error {
            WebhookErrorKind::WrongShape => StatusCode::GONE,
            _ => error.status(),
        }
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        if request.body() == "!" {
            let detail = "it is no letter";
            return Err(WebhookError::new(
                self,
                WebhookErrorKind::WrongShape,
                detail,
            ));
        }
        let event = |n: usize| {
            let raw = RawBytes::from(request.body().clone());
            Event::Tracking(TrackingEvent::new(
                "postbox",
                EventType::Sent,
                n.to_string(),
                raw,
            ))
        };
        Ok((0..request.body().len()).map(event).collect())
    }
}

fn postbox() -> Arc<dyn Webhook> {
    Arc::new(Postbox(WebhookAuth::basic([("user", "pass")]).unwrap()))
}

fn request(method: &str, authorization: &str, body: &'static str) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri("/");
    if !authorization.is_empty() {
        request = request.header("Authorization", authorization);
    }
    request.body(Bytes::from(body)).unwrap()
}

/// `user:pass`
const RIGHT: &str = "Basic dXNlcjpwYXNz";
/// `user:wrong`
const WRONG: &str = "Basic dXNlcjp3cm9uZw==";

/// Returns the response to a request whose events are accepted, and their number.
fn answered(request: &Request<Bytes>) -> (Response<Bytes>, usize) {
    let taken = Mutex::new(0);
    let handler = async |_| {
        *taken.lock().unwrap() += 1;
        Ok::<(), Infallible>(())
    };
    let answer = block_on(answer_webhook(&postbox(), request, handler));
    let taken = *taken.lock().unwrap();
    (answer, taken)
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

#[test]
fn authentication_is_checked_before_anything_is_revealed() {
    for (method, authorization, body, status, text, taken) in [
        ("POST", "", "12345", 401, "", 0),
        ("POST", "", "!", 401, "", 0),
        ("GET", "", "", 401, "", 0),
        ("POST", WRONG, "!", 503, "", 0),
        ("GET", WRONG, "", 503, "", 0),
        ("GET", RIGHT, "", 405, "expected method POST, got GET", 0),
        (
            "POST",
            RIGHT,
            "12345",
            413,
            "the body is larger than the limit of 3 bytes",
            0,
        ),
        ("POST", RIGHT, "!", 410, "it is no letter", 0),
        ("POST", RIGHT, "123", 200, "", 3),
        ("POST", RIGHT, "", 200, "", 0),
        ("HEAD", "", "", 200, "", 0),
        ("OPTIONS", "", "", 200, "", 0),
    ] {
        let (answer, found) = answered(&request(method, authorization, body));
        let context = format!("{method} {authorization} {body}");
        assert_eq!(answer.status(), status, "{context}");
        assert_eq!(answer.body(), text, "{context}");
        assert_eq!(found, taken, "{context}");
    }
}

#[test]
fn responses_have_the_headers_that_http_requires() {
    let header = |method, authorization, name: &str| {
        let (answer, _) = answered(&request(method, authorization, ""));
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert!(
        header("POST", "", "WWW-Authenticate")
            .unwrap()
            .starts_with("Basic realm=")
    );
    assert_eq!(header("POST", WRONG, "WWW-Authenticate"), None);
    assert_eq!(
        header("OPTIONS", "", "Allow").unwrap(),
        "POST, HEAD, OPTIONS"
    );
    assert_eq!(
        header("GET", RIGHT, "Allow").unwrap(),
        "POST, HEAD, OPTIONS"
    );
}

#[test]
fn a_failed_handler_gets_no_more_events_and_the_esp_retries() {
    let mut seen = Vec::new();
    let handler = |event: Event| {
        seen.push(event.dedup_key().to_owned());
        std::future::ready(if event.dedup_key() == "1" {
            Err("no space left")
        } else {
            Ok(())
        })
    };
    let answer = block_on(answer_webhook(
        &postbox(),
        &request("POST", RIGHT, "123"),
        handler,
    ));
    assert_eq!(answer.status(), 500);
    assert_eq!(
        answer.body(),
        "",
        "the handler's words are not the ESP's business"
    );
    assert_eq!(seen, ["0", "1"]);
}

#[test]
fn each_error_has_its_own_status_and_none_is_403() {
    use WebhookErrorKind::*;
    let kinds = [
        NoSecret,
        WrongSecret,
        WrongWebhook,
        MalformedBody,
        WrongShape,
        TooLarge,
        WrongMethod,
        WrongContentType,
    ];
    let statuses: std::collections::HashSet<_> = kinds.iter().map(|kind| kind.status()).collect();
    assert_eq!(statuses.len(), kinds.len());
    assert!(!statuses.contains(&StatusCode::FORBIDDEN));
}

#[test]
fn an_error_says_what_failed_and_where_but_no_secret() {
    let request = request("POST", WRONG, "12345");
    let error = postbox().parse(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "postbox tracking webhook: wrong user or password in the `authorization` header"
    );
    assert!(!format!("{error:?}").contains("wrong:"), "{error:?}");
    assert_eq!(error.kind(), WebhookErrorKind::WrongSecret);
}

/// Signs by writing the body's length into a header.
struct LengthSignature;

impl WebhookSignature for LengthSignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        let length = request.headers().get("length");
        let length = length.ok_or(SignatureError::Missing("length"))?;
        match *length == *request.body().len().to_string() {
            true => Ok(()),
            false => Err(SignatureError::NoMatch),
        }
    }
}

/// A body that breaks off.
struct Broken;

impl Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

#[test]
fn a_body_that_breaks_off_is_not_called_too_large() {
    let request = Request::post("/").header("Authorization", RIGHT);
    let request = request.body(Broken).unwrap();
    let taken = async |_| Ok::<(), Infallible>(());
    let answer = block_on(serve_webhook(&postbox(), request, taken));
    assert_eq!(answer.status(), WebhookErrorKind::MalformedBody.status());
    assert_ne!(answer.status(), WebhookErrorKind::TooLarge.status());
}

#[test]
fn a_signature_is_checked_after_the_size_limit_and_before_parsing() {
    let signed = |authorization, length: Option<&'static str>, body| {
        let mut request = request("POST", authorization, body);
        if let Some(length) = length {
            let length = HeaderValue::from_static(length);
            request.headers_mut().insert("Length", length);
        }
        request
    };
    let basic = || WebhookAuth::basic([("user", "pass")]).unwrap();
    let alone = Postbox(WebhookAuth::signature(LengthSignature));
    let both = Postbox(basic().and_signature(LengthSignature));
    for (webhook, request, status, challenge, text) in [
        (&alone, signed("", Some("2"), "12"), 200, "", ""),
        (&alone, signed("", Some("1"), "12"), 503, "", ""),
        (&alone, signed("", None, "12"), 401, "Signature", ""),
        (&alone, signed("", Some("0"), "!"), 503, "", ""),
        (
            &alone,
            signed("", Some("1"), "!"),
            410,
            "",
            "it is no letter",
        ),
        (
            &alone,
            signed("", Some("4"), "1234"),
            413,
            "",
            "the body is larger than the limit of 3 bytes",
        ),
        (&both, signed(RIGHT, Some("2"), "12"), 200, "", ""),
        (&both, signed(RIGHT, Some("1"), "12"), 503, "", ""),
        (&both, signed(RIGHT, None, "12"), 401, "Basic", ""),
        (&both, signed(WRONG, Some("2"), "12"), 503, "", ""),
        (&both, signed("", Some("2"), "12"), 401, "Basic", ""),
        (&both, signed("", Some("4"), "1234"), 401, "Basic", ""),
    ] {
        let taken = async |_| Ok::<(), Infallible>(());
        let answer = block_on(answer_webhook(webhook, &request, taken));
        assert_eq!(answer.status(), status, "{request:?}");
        assert_eq!(answer.body(), text, "{request:?}");
        let found = answer.headers().get("WWW-Authenticate");
        let found = found.map_or("", |value| value.to_str().unwrap());
        assert_eq!(found.split(' ').next(), Some(challenge), "{request:?}");
    }
}

#[test]
fn the_error_says_why_a_signature_is_invalid_but_the_response_does_not() {
    let webhook = Postbox(WebhookAuth::signature(LengthSignature));
    let error = webhook.parse(&request("POST", "", "12")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "postbox tracking webhook: invalid webhook signature: `length` is missing"
    );
    assert_eq!(error.response_text(), "");
}

#[test]
fn a_handler_that_panics_is_answered_with_500_and_the_next_request_is_handled() {
    let mut seen = Vec::new();
    let mut deliver = |body: &'static str| {
        let handler = |event: Event| {
            seen.push(event.dedup_key().to_owned());
            assert_ne!(seen.len(), 2, "no such customer");
            std::future::ready(Ok::<_, Infallible>(()))
        };
        let request = request("POST", RIGHT, body);
        let answer = block_on(answer_webhook(&postbox(), &request, handler));
        (answer.status().as_u16(), answer.into_body())
    };
    assert_eq!(deliver("123"), (500, Bytes::new()));
    assert_eq!(deliver("1"), (200, Bytes::new()));
    assert_eq!(seen, ["0", "1", "0"]);
}

/// Panics for any body.
#[derive(Debug)]
struct Clumsy(WebhookAuth);

impl Webhook for Clumsy {
    fn esp(&self) -> &str {
        "clumsy"
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Tracking
    }

    fn auth(&self) -> &WebhookAuth {
        &self.0
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        panic!("{:?}", request.body())
    }
}

#[test]
fn a_webhook_that_panics_is_answered_with_500() {
    let webhook = Clumsy(WebhookAuth::none());
    let handler = |_| std::future::ready(Ok::<_, Infallible>(()));
    let request = request("POST", "", "1");
    let answer = block_on(answer_webhook(&webhook, &request, handler));
    assert_eq!((answer.status().as_u16(), answer.body().len()), (500, 0));
}

#[test]
fn a_webhook_whose_events_are_handled_once_keeps_its_own_answers() {
    let guard = Arc::new(crate::receiving::MemoryReplayGuard::default());
    let guarded = crate::receiving::handled_once([postbox()], guard).remove(0);
    assert_eq!(
        guarded.status(WebhookErrorKind::WrongShape),
        StatusCode::GONE
    );
    assert_eq!(guarded.body_limit(), 3);
    assert_eq!(guarded.esp(), "postbox");
}
