//! [`unsubscribe_routes`]: one-click unsubscribe as axum routes.
//!
//! `one_click.rs` decides how requests are answered.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;

use super::one_click::OneClickUnsubscribe;

/// Returns the route of unsubscribe URLs, for example `/anymail/unsubscribe/{token}`: the path of
/// the URL that [`OneClickUnsubscribe`] was created with, and a token (features `axum` and
/// `signatures`).
///
/// ```
/// use anymail_core::{OneClickUnsubscribe, unsubscribe_routes};
///
/// fn app(one_click: OneClickUnsubscribe) -> axum::Router {
///     axum::Router::new().merge(unsubscribe_routes(one_click))
/// }
/// ```
pub fn unsubscribe_routes(one_click: OneClickUnsubscribe) -> Router {
    let path = format!("{}/{{token}}", one_click.path());
    let route = any(move |request: Request| {
        let one_click = one_click.clone();
        async move { one_click.serve(request).await.map(Body::from) }
    });
    Router::new().route(&path, route)
}
