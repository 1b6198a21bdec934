//! The webhooks over real HTTP, through the axum routes, as Postmark calls them.
//!
//! `vectors.rs` tests the meaning of each payload.

#![cfg(feature = "webhooks")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failing test panics"
)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anymail_core::{
    Event, EventType, Mailer, MemoryReplayGuard, Message, Webhook, WebhookAuth, WebhookErrorKind,
    handled_once, webhook_routes,
};
use anymail_postmark::{
    PostmarkBackend, PostmarkConfig, PostmarkInboundWebhook, PostmarkTrackingWebhook,
};
use anymail_test_utils::{BounceType, FakePostmark};
use reqwest::{Client, Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const TRACKING: &str = "/anymail/postmark/tracking/";
const INBOUND: &str = "/anymail/postmark/inbound/";
const DELIVERY: &str = r#"{"RecordType": "Delivery", "MessageID": "m", "Recipient": "a@b.c"}"#;
const MAIL: &str = r#"{"FromFull": {"Email": "a@b.c"}, "MessageID": "m", "TextBody": "hi"}"#;

/// An app with both webhooks whose handler fails for the tag `fail`.
struct App {
    address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    client: Client,
}

impl App {
    async fn start() -> Self {
        Self::with_limits(1 << 20, 50 << 20).await
    }

    async fn with_limits(tracking: usize, inbound: usize) -> Self {
        let auth = WebhookAuth::basic([("hook", "new"), ("hook", "old")]).unwrap();
        let webhooks: [Arc<dyn Webhook>; 2] = [
            Arc::new(PostmarkTrackingWebhook::new(auth.clone()).with_body_limit(tracking)),
            Arc::new(PostmarkInboundWebhook::new(auth).with_body_limit(inbound)),
        ];
        Self::serving(webhooks).await
    }

    async fn serving(webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let routes = webhook_routes(webhooks, move |event| {
            let sender = sender.clone();
            async move {
                if matches!(&event, Event::Tracking(event) if event.tags == ["fail"]) {
                    return Err("the database is away, password s3cret");
                }
                sender.send(event).map_err(|_| "nobody listens")
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            address,
            events,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn send(&self, method: Method, path: &str, password: &str, body: Vec<u8>) -> Response {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url);
        request = request
            .header("Content-Type", "application/json")
            .body(body);
        if !password.is_empty() {
            request = request.basic_auth("hook", Some(password));
        }
        request.send().await.unwrap()
    }

    /// Returns the status and the text of the response to a `POST`.
    async fn post(&self, path: &str, password: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
        let answer = self.send(Method::POST, path, password, body.into()).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn an_event_reaches_the_handler_and_postmark_gets_its_200() {
    let mut app = App::start().await;
    for password in ["new", "old"] {
        for path in [TRACKING, TRACKING.trim_end_matches('/')] {
            assert_eq!(
                app.post(path, password, DELIVERY).await,
                (200, String::new())
            );
            let Some(Event::Tracking(event)) = app.events.recv().await else {
                panic!("{path}")
            };
            assert_eq!(event.event_type, EventType::Delivered);
            assert_eq!(event.payload.as_bytes(), DELIVERY);
        }
        for path in [INBOUND, INBOUND.trim_end_matches('/')] {
            assert_eq!(app.post(path, password, MAIL).await, (200, String::new()));
            let Some(Event::Inbound(event)) = app.events.recv().await else {
                panic!("{path}")
            };
            assert_eq!(event.message.text().as_deref(), Some("hi"));
        }
    }
}

#[tokio::test]
async fn two_accounts_post_to_one_url_each_with_its_own_secret() {
    let account = |password| {
        let auth = WebhookAuth::basic([("hook", password)]).unwrap();
        anymail_postmark::webhooks(auth)
    };
    let mut app = App::serving(account("one").into_iter().chain(account("two"))).await;
    for (password, status) in [("one", 200), ("two", 200), ("three", 503)] {
        assert_eq!(app.post(TRACKING, password, DELIVERY).await.0, status);
        assert_eq!(app.post(INBOUND, password, MAIL).await.0, status);
    }
    for _ in 0..4 {
        app.events.recv().await.unwrap();
    }
    assert!(app.events.try_recv().is_err());
}

#[tokio::test]
async fn a_repeated_event_is_handled_once_if_the_app_wants_that() {
    // Two accounts post to the same URL.
    let webhooks = ["new", "old"].into_iter().flat_map(|password| {
        anymail_postmark::webhooks(WebhookAuth::basic([("hook", password)]).unwrap())
    });
    let guard = Arc::new(MemoryReplayGuard::default());
    let mut app = App::serving(handled_once(webhooks, guard)).await;
    for password in ["new", "old", "new"] {
        assert_eq!(app.post(TRACKING, password, DELIVERY).await.0, 200);
        assert_eq!(app.post(INBOUND, password, MAIL).await.0, 200);
    }
    for _ in 0..2 {
        app.events.recv().await.unwrap();
    }
    assert!(app.events.try_recv().is_err());
    let fails = DELIVERY
        .replace('}', r#", "Tag": "fail"}"#)
        .replace("\"m\"", "\"n\"");
    for _ in 0..2 {
        assert_eq!(app.post(TRACKING, "new", &*fails).await.0, 500);
    }
}

#[tokio::test]
async fn an_event_says_who_caused_it_and_whether_the_address_is_dead() {
    use anymail_core::EventActor::{Operator, Recipient};

    let mut app = App::start().await;
    for (payload, hard, actor) in [
        (
            r#""Bounce", "Type": "New", "Inactive": true"#,
            Some(true),
            None,
        ),
        (
            r#""Bounce", "Type": "New", "Inactive": false"#,
            Some(false),
            None,
        ),
        (
            r#""SubscriptionChange", "SuppressionReason": "HardBounce", "Origin": "Recipient""#,
            Some(true),
            Some(Recipient),
        ),
        (
            r#""SubscriptionChange", "SuppressionReason": "ManualSuppression", "Origin": "Admin""#,
            None,
            Some(Operator),
        ),
        (
            r#""SubscriptionChange", "SuppressSending": false, "Origin": "Customer""#,
            None,
            Some(Operator),
        ),
    ] {
        let body = format!(r#"{{"RecordType": {payload}, "Recipient": "a@b.c"}}"#);
        assert_eq!(app.post(TRACKING, "new", body).await.0, 200);
        let Some(Event::Tracking(event)) = app.events.recv().await else {
            panic!("{payload}")
        };
        assert_eq!((event.hard, event.actor), (hard, actor), "{payload}");
    }
}

#[tokio::test]
async fn an_event_with_an_id_or_a_time_is_the_same_whatever_else_it_says() {
    let mut app = App::start().await;
    for known in [r#""ID": 7"#, r#""DeliveredAt": "2026-11-01T12:00:00Z""#] {
        let mut keys = HashSet::new();
        for details in ["one", "two"] {
            let body = format!(
                r#"{{"RecordType": "Delivery", "MessageID": "m", {known}, "Details": "{details}"}}"#
            );
            assert_eq!(app.post(TRACKING, "new", body).await.0, 200);
            let Some(Event::Tracking(event)) = app.events.recv().await else {
                panic!("{known}")
            };
            keys.insert(event.dedup_key);
        }
        assert_eq!(keys.len(), 1, "{known}");
    }
}

#[tokio::test]
async fn a_request_without_the_secret_learns_nothing_and_reaches_no_handler() {
    let mut app = App::start().await;
    for path in [TRACKING, INBOUND] {
        for body in [DELIVERY, MAIL, "{", "[]"] {
            assert_eq!(app.post(path, "", body).await, (401, String::new()));
            assert_eq!(app.post(path, "wrong", body).await, (503, String::new()));
        }
    }
    assert!(app.events.try_recv().is_err());
}

#[tokio::test]
async fn mixed_up_webhook_urls_are_explained_in_the_response() {
    let app = App::start().await;
    for (path, body, right) in [
        (TRACKING, MAIL, "/inbound/"),
        (INBOUND, DELIVERY, "/tracking/"),
    ] {
        let (status, text) = app.post(path, "new", body).await;
        assert_eq!(status, 501);
        assert!(text.contains(right), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_an_event_has_a_distinct_error_that_quotes_nothing() {
    let app = App::start().await;
    for path in [TRACKING, INBOUND] {
        for (body, status, words) in [
            (r#"{"a": "s3cret"#, 400, "line 1, column"),
            ("s3cret", 400, "line 1, column 1"),
            ("", 400, "not valid JSON"),
            (r#"["s3cret"]"#, 422, "not an object"),
            ("null", 422, "not an object"),
        ] {
            let (found, text) = app.post(path, "new", body).await;
            assert_eq!(found, status, "{body}");
            assert!(text.contains(words) && !text.contains("s3cret"), "{text}");
        }
        let url = format!("http://{}{path}", app.address);
        let form = app.client.post(url).basic_auth("hook", Some("new"));
        let form = form.header("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(form.body("a=b").send().await.unwrap().status(), 415);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let app = App::with_limits(DELIVERY.len(), MAIL.len()).await;
    for (path, body) in [(TRACKING, DELIVERY), (INBOUND, MAIL)] {
        assert_eq!(app.post(path, "new", body).await.0, 200);
        let (status, text) = app.post(path, "new", format!("{body} ")).await;
        assert_eq!(status, 413);
        assert!(text.contains(&body.len().to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_read_up_to_the_limit() {
    let app = App::with_limits(16, 16).await;
    let mut socket = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST {TRACKING} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic aG9vazpuZXc=\r\n\
         Transfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n1\r\n0\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The body continues, but the response does not wait for its end.
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn the_default_limits_allow_what_postmark_sends() {
    let mut app = App::start().await;
    let pad = |body: &str, length: usize| body.replace('}', &" ".repeat(length)) + "}";
    assert_eq!(
        app.post(TRACKING, "new", pad(DELIVERY, 1_000_000)).await.0,
        200
    );
    // Without the secret, not even the body is read.
    assert_eq!(app.post(INBOUND, "", vec![b' '; 51 << 20]).await.0, 401);
    let attachment = "A".repeat(47_000_000);
    let mail = format!(r#"{{"Attachments": [{{"Name": "a", "Content": "{attachment}"}}]}}"#);
    assert_eq!(app.post(INBOUND, "new", mail).await.0, 200);
    let _delivery = app.events.recv().await;
    let Some(Event::Inbound(event)) = app.events.recv().await else {
        panic!("no mail")
    };
    let sizes: Vec<_> = event
        .message
        .attachments()
        .map(|part| part.content().len())
        .collect();
    assert_eq!(sizes, [35_250_000]);
}

#[tokio::test]
async fn a_failing_handler_makes_postmark_retry_and_reveals_no_error() {
    let mut app = App::start().await;
    let body = r#"{"RecordType": "Delivery", "Tag": "fail"}"#;
    assert_eq!(app.post(TRACKING, "new", body).await, (500, String::new()));
    assert!(app.events.try_recv().is_err());
}

#[tokio::test]
async fn head_and_options_are_answered_and_other_methods_refused() {
    let app = App::start().await;
    for path in [TRACKING, INBOUND] {
        for (method, password, status) in [
            (Method::HEAD, "", 200),
            (Method::OPTIONS, "", 200),
            (Method::GET, "", 401),
            (Method::GET, "new", 405),
            (Method::PUT, "new", 405),
            (Method::DELETE, "new", 405),
        ] {
            let answer = app.send(method.clone(), path, password, Vec::new()).await;
            assert_eq!(answer.status(), status, "{method}");
            let allow = answer.headers().get("Allow").is_some();
            assert_eq!(
                allow,
                status == 405 || method == Method::OPTIONS,
                "{method}"
            );
        }
    }
}

#[tokio::test]
async fn events_reach_the_app_with_the_message_id_that_sending_returned() {
    let mut app = App::start().await;
    let url = format!("http://hook:new@{}", app.address);
    let postmark = FakePostmark::start().unwrap();
    postmark.add_webhook(&format!("{url}{TRACKING}"));
    postmark.set_inbound_webhook(&format!("{url}{INBOUND}"));
    for own_ids in [false, true] {
        let config = PostmarkConfig::new("server-token").api_url(postmark.url());
        let config = config.generate_message_id(own_ids);
        let mailer = Mailer::new(PostmarkBackend::new(config).unwrap());
        let mut ids = Vec::new();
        for to in ["ann", "bob", "carol"] {
            let to = format!("{to}-{own_ids}@example.com");
            let message = Message::builder()
                .from("me@example.com")
                .to(to)
                .text_body("hi");
            let status = mailer
                .send(&message.tag("t").build().unwrap())
                .await
                .unwrap();
            ids.push(status.message_id().unwrap().to_owned());
        }
        let at_postmark: Vec<_> = postmark.messages().iter().map(|m| m.id.clone()).collect();
        let [.., ann, bob, carol] = &at_postmark[..] else {
            panic!("{at_postmark:?}")
        };
        postmark.deliver(ann).await.unwrap();
        postmark.open(ann).await.unwrap();
        postmark.click(ann, "https://example.com/").await.unwrap();
        postmark.unsubscribe(ann).await.unwrap();
        postmark.bounce(bob, BounceType::HardBounce).await.unwrap();
        postmark.complain(carol).await.unwrap();
        let mut keys = HashSet::new();
        for (event_type, id) in [
            (EventType::Delivered, &ids[0]),
            (EventType::Opened, &ids[0]),
            (EventType::Clicked, &ids[0]),
            (EventType::Unsubscribed, &ids[0]),
            (EventType::Bounced, &ids[1]),
            (EventType::Bounced, &ids[1]),
            (EventType::Complained, &ids[2]),
            (EventType::Complained, &ids[2]),
        ] {
            let Some(Event::Tracking(event)) = app.events.recv().await else {
                panic!()
            };
            assert_eq!(event.event_type, event_type);
            assert_eq!(event.message_id.as_ref(), Some(id), "{event_type}");
            assert_eq!(event.tags, ["t"]);
            assert!(keys.insert(event.dedup_key));
        }
    }
    for raw_email in [false, true] {
        postmark.set_raw_email(raw_email);
        let mail = b"From: Dan <dan@example.com>\nTo: me+1@example.com\nSubject: Re\n\nyes\n";
        postmark.receive(mail).await.unwrap();
        let Some(Event::Inbound(event)) = app.events.recv().await else {
            panic!()
        };
        let mail = &event.message;
        assert_eq!(mail.from[0].to_string(), "Dan <dan@example.com>");
        assert_eq!(mail.mailbox_hash.as_deref(), Some("1"));
        assert_eq!(mail.text().as_deref().map(str::trim), Some("yes"));
        assert_eq!(mail.raw.is_some(), raw_email);
    }
}

#[test]
fn postmark_retries_after_configuration_errors_and_loses_no_message() {
    use WebhookErrorKind::*;
    let tracking = PostmarkTrackingWebhook::new(WebhookAuth::none());
    let inbound = PostmarkInboundWebhook::new(WebhookAuth::none());
    for (kind, mendable) in [
        (NoSecret, false),
        (WrongSecret, true),
        (WrongWebhook, true),
        (MalformedBody, false),
        (WrongShape, false),
        (TooLarge, false),
        (WrongMethod, false),
        (WrongContentType, false),
    ] {
        // Postmark's own rules; see the docs of the two webhooks.
        let status = tracking.status(kind).as_u16();
        assert_eq!(
            matches!(status, 408 | 429 | 500..=599),
            mendable,
            "{kind:?}"
        );
        let status = inbound.status(kind).as_u16();
        assert!(status != 200 && status != 403, "{kind:?}");
    }
}
