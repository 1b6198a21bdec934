//! Webhooks as a tower service, for any server.

use std::error::Error;
use std::future::ready;

use anymail_core::{serve_webhook, webhook_at};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Service, service_fn};

use crate::App;

/// The webhooks as a service, to be wrapped in layers or put into a router.
pub fn service<B>(
    app: App,
) -> impl Service<Request<B>, Response = Response<Full<Bytes>>, Error = http::Error, Future: Send> + Clone
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    service_fn(move |request: Request<B>| {
        let app = app.clone();
        async move {
            let Some(webhook) = webhook_at(&app.webhooks, request.uri().path()) else {
                return Response::builder().status(404).body(Full::default());
            };
            let handler = |event| ready(app.queue.send(event));
            Ok(serve_webhook(webhook, request, handler)
                .await
                .map(Full::new))
        }
    })
}
