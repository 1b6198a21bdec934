//! [`webhook_routes`]: webhooks in an axum application.
//!
//! What is answered is decided in `serve.rs`; nothing here knows.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;

use super::event::Event;
use super::paths::{one_for_each_path, webhook_path};
use super::serve::serve_webhook;
use super::webhook::Webhook;

/// Routes for webhooks: `/anymail/{esp}/tracking/` and `/anymail/{esp}/inbound/`, with and
/// without the last slash (see [`webhook_path`]). Several webhooks of one ESP and kind share
/// their URL: a request is for the one whose secret it bears.
///
/// The handler gets the events one by one. The ESP is answered when it is done: 200 when it
/// gives `Ok`, 500 when it gives an error, and the event comes again. It should therefore be
/// quick (write the event down, work on it later), bear a repeat (or have it kept away by
/// [`handled_once`](crate::handled_once)), and bear being dropped at an await when the ESP hangs up. What else is answered is told at
/// [`answer_webhook`](crate::answer_webhook).
///
/// Where basic authentication is asked for, a body is read only of a request that passes it; and
/// it is read up to [`Webhook::body_limit`]: axum's own limit does not apply.
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
    for webhook in one_for_each_path(webhooks) {
        let path = webhook_path(&webhook);
        let handler = handler.clone();
        let route = any(move |request: Request| {
            let (webhook, handler) = (webhook.clone(), handler.clone());
            async move {
                serve_webhook(&webhook, request, handler)
                    .await
                    .map(Body::from)
            }
        });
        router = router
            .route(path.trim_end_matches('/'), route.clone())
            .route(&path, route);
    }
    router
}
