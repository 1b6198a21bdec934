//! Webhooks in actix-web, whose types are not those of `http`.

use std::future::ready;

use actix_web::web::{Payload, ServiceConfig, to};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use anymail_core::{serve_webhook, webhook_at};
use futures_util::TryStreamExt;
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::App;

/// Adds the webhooks: `actix_web::App::new().configure(|config| routes(config, app.clone()))`.
pub fn routes(config: &mut ServiceConfig, app: App) {
    let answer = move |head: HttpRequest, body: Payload| answer(app.clone(), head, body);
    config.route("/anymail/{esp}/{webhook}{slash:/?}", to(answer));
}

async fn answer(app: App, head: HttpRequest, body: Payload) -> HttpResponse {
    let Some(webhook) = webhook_at(&app.webhooks, head.path()) else {
        return HttpResponse::NotFound().finish();
    };
    let mut request = http::Request::builder().method(head.method().as_str());
    for (name, value) in head.headers() {
        request = request.header(name.as_str(), value.as_bytes());
    }
    let Ok(request) = request.body(StreamBody::new(body.map_ok(Frame::data))) else {
        return HttpResponse::BadRequest().finish();
    };
    let answer = serve_webhook(webhook, request, |event| ready(app.queue.send(event))).await;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    for (name, value) in answer.headers() {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    response.body(answer.into_body())
}
