//! Webhooks with plain hyper.

use std::convert::Infallible;
use std::future::ready;

use anymail_core::{serve_webhook, webhook_at};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::App;

/// Serves only webhooks, until accepting a connection fails.
pub async fn serve(listener: TcpListener, app: App) -> std::io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        let app = app.clone();
        let service = service_fn(move |request| answer(app.clone(), request));
        // If a connection breaks, the ESP posts again.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(app: App, request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let Some(webhook) = webhook_at(&app.webhooks, request.uri().path()) else {
        return Response::builder().status(404).body(Full::default());
    };
    let response = serve_webhook(webhook, request, |event| ready(app.queue.send(event))).await;
    Ok(response.map(Full::new))
}
