//! [`webhook_routes`]: webhooks in an axum application.
//!
//! What a request means and what to answer is decided in `webhook.rs`; nothing here knows.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tracing::Instrument;

use super::event::Event;
use super::trace::WebhookTrace;
use super::webhook::{
    Webhook, WebhookError, WebhookErrorKind, admit, answer_error, answer_events,
    answer_without_events, too_large,
};

/// Routes for webhooks: `/anymail/{esp}/tracking/` and `/anymail/{esp}/inbound/`, with and
/// without the last slash.
///
/// The handler gets the events one by one. The ESP is answered when it is done: 200 when it
/// gives `Ok`, 500 when it gives an error, and the event comes again. It should therefore be
/// quick (write the event down, work on it later), bear a repeat (see [`Event::dedup_key`]),
/// and bear being dropped at an await when the ESP hangs up. What else is answered is told at
/// [`answer_webhook`](crate::answer_webhook).
///
/// A body is read only of a request that bears the secret, and up to
/// [`Webhook::body_limit`]; axum's own limit does not apply.
///
/// ```
/// use std::sync::Arc;
/// use anymail_core::{Event, Webhook, webhook_routes};
///
/// fn app(webhooks: Vec<Arc<dyn Webhook>>) -> axum::Router {
///     webhook_routes(webhooks, async |event: Event| {
///         match event {
///             Event::Tracking(event) => println!("{:?}: {}", event.recipient, event.event_type),
///             Event::Inbound(event) => println!("from {:?}", event.message.from),
///             _ => {}
///         }
///         Ok::<(), std::io::Error>(())
///     })
/// }
/// ```
pub fn webhook_routes<H, F, E>(
    webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>,
    handler: H,
) -> Router
where
    H: Fn(Event) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: fmt::Display + Send,
{
    let mut router = Router::new();
    for webhook in webhooks {
        let path = format!("/anymail/{}/{}", webhook.esp(), webhook.kind());
        let handler = handler.clone();
        let route = any(move |request: Request| serve(webhook.clone(), request, handler.clone()));
        router = router
            .route(&path, route.clone())
            .route(&format!("{path}/"), route);
    }
    router
}

async fn serve<H, F, E>(webhook: Arc<dyn Webhook>, request: Request, handler: H) -> Response
where
    H: Fn(Event) -> F + Send + Sync,
    F: Future<Output = Result<(), E>> + Send,
    E: fmt::Display + Send,
{
    if let Some(answer) = answer_without_events(request.method()) {
        return answer.map(Body::from);
    }
    let trace = WebhookTrace::start(&webhook);
    let answer = async {
        match read_body(&*webhook, request).await {
            Ok(request) => answer_events(&webhook, &request, handler, &trace).await,
            Err(error) => answer_error(&webhook, &error),
        }
    };
    let answer = answer.instrument(trace.span()).await;
    trace.end(&answer);
    answer.map(Body::from)
}

/// Reads the body of a request that deserves it, up to the limit.
async fn read_body(
    webhook: &dyn Webhook,
    request: Request,
) -> Result<http::Request<Bytes>, WebhookError> {
    admit(webhook, request.method(), request.headers())?;
    let (head, body) = request.into_parts();
    match Limited::new(body, webhook.body_limit()).collect().await {
        Ok(body) => Ok(http::Request::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(webhook)),
        Err(error) => {
            let detail = format!("the body ended early: {error}");
            Err(WebhookError::new(
                webhook,
                WebhookErrorKind::MalformedBody,
                detail,
            ))
        }
    }
}
