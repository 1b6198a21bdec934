//! Postmark's webhooks without a web framework: plain hyper.
//!
//! Run it with `ANYMAIL_WEBHOOK_SECRET=user:password`, and give Postmark
//! `http://user:password@HOST:8027/anymail/postmark/tracking/` (and `.../inbound/`). Whatever
//! else has the types of the `http` crate (tower, warp, a serverless runtime) does the same.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use anymail_core::{Event, Webhook, serve_webhook};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = std::env::var("ANYMAIL_WEBHOOK_SECRET")
        .map_err(|_| "ANYMAIL_WEBHOOK_SECRET is to be set, to user:password")?;
    let webhooks = Arc::new(anymail_postmark::webhooks(secret.parse()?));
    let listener = TcpListener::bind("127.0.0.1:8027").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let webhooks = webhooks.clone();
        let service = service_fn(move |request| route(webhooks.clone(), request));
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("a connection broke: {error}");
            }
        });
    }
}

async fn route(
    webhooks: Arc<[Arc<dyn Webhook>; 2]>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().trim_end_matches('/');
    let here = |webhook: &&Arc<dyn Webhook>| {
        path == format!("/anymail/{}/{}", webhook.esp(), webhook.kind())
    };
    let answer = match webhooks.iter().find(here) {
        Some(webhook) => serve_webhook(webhook, request, take).await.map(Full::new),
        None => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
    };
    Ok(answer)
}

/// An app would write the event down here. An error makes Postmark post it again.
async fn take(event: Event) -> Result<(), Infallible> {
    println!("{event:?}");
    Ok(())
}
