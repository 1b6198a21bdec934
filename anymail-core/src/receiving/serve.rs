//! Answers requests, with the types of `http`: [`serve_webhook`] and [`answer_webhook`].
//!
//! `webhook.rs` interprets a request; routes for a web framework are in a file with its name.

use std::error::Error;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tracing::Instrument;

use super::event::Event;
use super::replay::{Claimed, EventClaim};
use super::trace::WebhookTrace;
use super::webhook::{Webhook, WebhookError, WebhookErrorKind, admit, parse, too_large};
use crate::panics::caught;

/// Reads a request's body and answers the request. For hyper, tower, and anything else that uses
/// the types of `http`.
///
/// The repository contains examples for hyper, tower and actix-web.
/// [`webhook_at`](crate::webhook_at) finds the webhook for a path.
///
/// If [`Webhook::auth`] requires basic authentication, the body is read only after the request
/// passes it. The body is read up to [`Webhook::body_limit`]. See [`answer_webhook`] for the rest.
pub async fn serve_webhook<W, B, H, F, E>(
    webhook: &W,
    request: Request<B>,
    handler: H,
) -> Response<Bytes>
where
    W: Webhook + ?Sized,
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    H: FnMut(Event) -> F,
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    if let Some(answer) = answer_without_events(request.method()) {
        return answer;
    }
    let trace = WebhookTrace::start(webhook);
    let answer = async {
        match read_body(webhook, request).await {
            Ok(request) => answer_events(webhook, &request, handler, &trace).await,
            Err(error) => answer_error(webhook, &error),
        }
    };
    let answer = or_500(webhook, answer).instrument(trace.span()).await;
    trace.end(&answer);
    answer
}

async fn read_body<W, B>(webhook: &W, request: Request<B>) -> Result<Request<Bytes>, WebhookError>
where
    W: Webhook + ?Sized,
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    admit(webhook, request.method(), request.headers())?;
    let (head, body) = request.into_parts();
    // A body whose announced length is too large is not read.
    if body.size_hint().lower() > webhook.body_limit() as u64 {
        return Err(too_large(webhook));
    }
    match Limited::new(body, webhook.body_limit()).collect().await {
        Ok(body) => Ok(Request::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(webhook)),
        Err(error) => {
            let detail = format!("could not read the body: {error}");
            let kind = WebhookErrorKind::MalformedBody;
            Err(WebhookError::new(webhook, kind, detail))
        }
    }
}

/// Answers a webhook's request, whatever server received it.
///
/// Passes the events to the handler one by one, in order, and waits for it. The response is 200 if
/// the handler accepted all of them, and 500 as soon as it fails or panics, upon which the ESP
/// posts all of them again (see [`Event::dedup_key`] and [`handled_once`](crate::handled_once)).
/// For a request that cannot be read, the response is [`Webhook::status`]. The response to a wrong
/// secret or signature does not say what is wrong; the log does, at WARN. `HEAD` and `OPTIONS` are
/// answered without authentication, because some ESPs probe a URL with them.
///
/// ```
/// use anymail_core::{answer_webhook, Event, Webhook};
/// use bytes::Bytes;
///
/// async fn serve(webhook: &dyn Webhook, request: http::Request<Bytes>) -> http::Response<Bytes> {
///     answer_webhook(webhook, &request, async |event: Event| {
///         println!("{} says {}", event.esp(), event.event_type());
///         Ok::<(), std::io::Error>(())
///     })
///     .await
/// }
/// ```
pub async fn answer_webhook<W, H, F, E>(
    webhook: &W,
    request: &Request<Bytes>,
    handler: H,
) -> Response<Bytes>
where
    W: Webhook + ?Sized,
    H: FnMut(Event) -> F,
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    if let Some(answer) = answer_without_events(request.method()) {
        return answer;
    }
    let trace = WebhookTrace::start(webhook);
    let answer = answer_events(webhook, request, handler, &trace);
    let answer = or_500(webhook, answer).instrument(trace.span()).await;
    trace.end(&answer);
    answer
}

/// A panic of the handler, the webhook or the replay guard is answered with 500, like their errors:
/// the server keeps running, and the ESP posts the events again.
async fn or_500<W: Webhook + ?Sized>(
    webhook: &W,
    answering: impl Future<Output = Response<Bytes>>,
) -> Response<Bytes> {
    caught(answering).await.unwrap_or_else(|_| {
        // The panic's message may quote the request, so it is left to the program's panic hook.
        tracing::error!(
            esp = webhook.esp(),
            "a webhook, its handler or its replay guard panicked"
        );
        answer(StatusCode::INTERNAL_SERVER_ERROR, "")
    })
}

/// Passes the events of a request to the handler.
async fn answer_events<W, H, F, E>(
    webhook: &W,
    request: &Request<Bytes>,
    mut handler: H,
    trace: &WebhookTrace,
) -> Response<Bytes>
where
    W: Webhook + ?Sized,
    H: FnMut(Event) -> F,
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    trace.body(request.body().len());
    let events = match parse(webhook, request) {
        Ok(events) => events,
        Err(error) => return answer_error(webhook, &error),
    };
    trace.events(events.len());
    for event in events {
        let claimed = match claim(webhook, &event).await {
            Ok(claimed) => claimed,
            Err(None) => continue,
            Err(Some(answer)) => return answer,
        };
        let (kind, key) = (event.event_type(), event.dedup_key().to_owned());
        if let Err(error) = handler(event).await {
            tracing::error!(esp = webhook.esp(), event = %kind, key, %error, "a webhook handler failed");
            return answer(StatusCode::INTERNAL_SERVER_ERROR, "");
        }
        if let Some(claimed) = claimed
            && let Err(error) = claimed.confirm().await
        {
            tracing::error!(
                esp = webhook.esp(), event = %kind, key, %error,
                "a handled event could not be recorded; if it is posted again, it is handled again"
            );
        }
    }
    answer(StatusCode::OK, "")
}

/// Claims an event for this delivery if there is a guard. Otherwise the event is to be skipped, or
/// the whole request is answered.
async fn claim<'w, W: Webhook + ?Sized>(
    webhook: &'w W,
    event: &Event,
) -> Result<Option<Claimed<'w>>, Option<Response<Bytes>>> {
    let Some(guard) = webhook.replay_guard() else {
        return Ok(None);
    };
    let (esp, kind, key) = (event.esp(), event.event_type(), event.dedup_key());
    match guard.claim(esp, key).await {
        Ok(EventClaim::Granted) => Ok(Some(Claimed::new(guard, event))),
        Ok(EventClaim::Handled) => {
            tracing::debug!(esp, event = %kind, key, "skipped a duplicate event");
            Err(None)
        }
        Ok(EventClaim::InProgress) => {
            tracing::debug!(esp, event = %kind, key, "skipped a duplicate event that is still being handled");
            let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, "");
            let wait = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(RETRY_AFTER, wait);
            Err(Some(response))
        }
        Err(error) => {
            tracing::error!(
                esp, event = %kind, key, error = %error,
                "could not look up whether an event was already handled"
            );
            Err(Some(answer(StatusCode::INTERNAL_SERVER_ERROR, "")))
        }
    }
}

/// When an event that is being handled may be posted again. Handlers should be quick.
const RETRY_AFTER_SECONDS: &str = "10";

/// Answers `HEAD` and `OPTIONS`.
fn answer_without_events(method: &Method) -> Option<Response<Bytes>> {
    match *method {
        Method::HEAD => Some(answer(StatusCode::OK, "")),
        Method::OPTIONS => Some(with_allow(answer(StatusCode::OK, ""))),
        _ => None,
    }
}

fn answer_error<W: Webhook + ?Sized>(webhook: &W, error: &WebhookError) -> Response<Bytes> {
    let status = webhook.status(error.kind());
    tracing::warn!(%error, status = status.as_u16(), "refused a webhook request");
    let mut response = answer(status, error.response_text());
    if error.kind() == WebhookErrorKind::NoSecret {
        let challenge = webhook.auth().challenge();
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if error.kind() == WebhookErrorKind::WrongMethod {
        return with_allow(response);
    }
    response
}

fn answer(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *response.status_mut() = status;
    response
}

fn with_allow(mut response: Response<Bytes>) -> Response<Bytes> {
    let methods = HeaderValue::from_static("POST, HEAD, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
