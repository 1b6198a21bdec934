//! [`webhook_routes`]: webhooks as axum routes.
//!
//! `serve.rs` decides how requests are answered.

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

/// Returns routes for webhooks: `/anymail/{esp}/tracking/` and `/anymail/{esp}/inbound/`, with and
/// without the trailing slash (see [`webhook_path`]). If several webhooks of one ESP and kind share
/// a URL, the secret in a request selects the webhook.
///
/// The handler gets the events one by one. The ESP gets a response when the handler is done: 200
/// after `Ok`, and 500 after an error, upon which the ESP posts the event again. Therefore the
/// handler should be quick (store the event and process it later), tolerate duplicates (or let
/// [`handled_once`](crate::handled_once) skip them), and tolerate being dropped at an await when
/// the ESP disconnects. See [`answer_webhook`](crate::answer_webhook) for the other responses.
///
/// If basic authentication is required, the body is read only after the request passes it. The body
/// is read up to [`Webhook::body_limit`]; axum's own limit does not apply.
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
