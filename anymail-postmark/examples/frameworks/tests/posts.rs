//! Each framework's webhooks, with a fake Postmark that posts to them over HTTP.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::net::SocketAddr;

use anymail_core::{Env, Event, EventType, Mailer, MailerConfig, MailersConfig, Message, Registry};
use anymail_frameworks::{App, actix, hyper, tower};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, PostmarkFactory};
use anymail_test_utils::FakePostmark;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn app() -> (App, UnboundedReceiver<Event>) {
    let registry = Registry::new().with(PostmarkFactory);
    let config = MailerConfig::from_url("postmark+http://server-token@127.0.0.1:9");
    let config = MailersConfig::from(config).webhook_secret("postmark:s3cret");
    let mailers = config.build_in(&Env::default(), &registry).unwrap();
    let webhooks = mailers.webhooks().unwrap().into();
    let (queue, events) = unbounded_channel();
    (App { webhooks, queue }, events)
}

#[tokio::test]
async fn hyper_serves_webhooks() {
    let (app, events) = app();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(hyper::serve(listener, app));
    webhooks_work(address, events).await;
    serving.abort();
}

#[tokio::test]
async fn a_tower_service_serves_webhooks() {
    let (app, events) = app();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TowerToHyperService::new(tower::service(app));
    let serving = tokio::spawn(async move {
        loop {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            let http = ::hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(stream, service.clone()));
        }
    });
    webhooks_work(address, events).await;
    serving.abort();
}

#[tokio::test]
async fn actix_serves_webhooks() {
    let (app, events) = app();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = actix_web::HttpServer::new(move || {
        let app = app.clone();
        actix_web::App::new().configure(move |config| actix::routes(config, app))
    });
    let server = server
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    let serving = tokio::spawn(server);
    webhooks_work(address, events).await;
    handle.stop(false).await;
    serving.await.unwrap().unwrap();
}

/// What an app relies on in any framework.
async fn webhooks_work(address: SocketAddr, mut events: UnboundedReceiver<Event>) {
    let fake = FakePostmark::start().unwrap();
    let webhooks = format!("http://postmark:s3cret@{address}/anymail/postmark");
    fake.add_webhook(&format!("{webhooks}/tracking"));
    fake.set_inbound_webhook(&format!("{webhooks}/inbound/"));
    let config = PostmarkConfig::new("server-token").api_url(fake.url());
    let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
    let message = Message::builder()
        .from("shop@example.com")
        .to("ann@example.com")
        .text_body("Thank you.");
    let status = mailer.send(&message.build().unwrap()).await.unwrap();
    let id = status.message_id().unwrap();
    fake.deliver(id).await.unwrap();
    let delivered = events.recv().await.unwrap();
    assert_eq!(delivered.event_type(), EventType::Delivered);
    // Longer than what some frameworks take by themselves.
    let answer = format!(
        "From: ann@example.com\r\nTo: shop@example.com\r\n\r\n{}",
        "A long letter.\r\n".repeat(200_000)
    );
    fake.receive(answer.as_bytes()).await.unwrap();
    let received = events.recv().await.unwrap();
    assert_eq!(received.event_type(), EventType::Inbound);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{address}/anymail/postmark{path}");
    for (path, password, body, status, words) in [
        ("/tracking/", "wrong", "{}", 503, ""),
        ("/tracking/", "s3cret", "{", 400, "JSON"),
        ("/nowhere/", "s3cret", "{}", 404, ""),
    ] {
        let request = client
            .post(url(path))
            .basic_auth("postmark", Some(password));
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {password}");
        let found = answer.text().await.unwrap();
        assert!(found.contains(words), "{path} {password}: {found}");
    }
    let stranger = client.post(url("/tracking/")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert!(stranger.headers().contains_key("www-authenticate"));
    let head = client.head(url("/inbound/")).send().await.unwrap();
    assert_eq!(head.status(), 200);

    // An event that the app could not take comes again.
    drop(events);
    assert!(
        fake.deliver(id)
            .await
            .unwrap()
            .iter()
            .all(|report| report.status() == Some(500))
    );
}
