//! An app that switches from Postmark to SMTP keeps its suppressions.

use std::io;
use std::path::Path;

use anymail_core::{
    Event, Mailers, MailersConfig, Message, Registry, SendErrorKind, Status, webhook_routes,
};
use anymail_postmark::PostmarkFactory;
use anymail_test_utils::{BounceType, FakePostmark, LoopbackSmtp};
use tokio::task::JoinHandle;

const NEWS: &str = "broadcast";

/// The app's file. `default` is the only value that changes.
fn mailers(registry: &Registry, default: &str, esp: &Servers, store: &Path) -> Mailers {
    let (postmark, smtp) = (esp.fake.url(), esp.smtp.port());
    let text = format!(
        r#"
        default = "{default}"
        default_from = "shop@example.com"
        suppressions = {{ file = '{}' }}

        [mailers.postmark]
        backend = "postmark"
        webhook_secret = "hook:secret"
        options = {{ server_token = "server-token", api_url = "{postmark}", message_stream = "broadcast" }}

        [mailers.smtp]
        backend = "smtp"
        options = {{ host = "127.0.0.1", port = {smtp}, tls = "none" }}

        [mailers.down]
        backend = "postmark"
        webhook_secret = "hook:secret"
        options = {{ server_token = "server-token", api_url = "http://127.0.0.1:9" }}

        [mailers.failover]
        backend = "failover"
        options = {{ members = ["down", "smtp"] }}
        "#,
        store.display()
    );
    let config: MailersConfig = toml::from_str(&text).unwrap();
    config.build(registry).unwrap()
}

struct Servers {
    fake: FakePostmark,
    smtp: LoopbackSmtp,
}

/// Serves the ESP's webhooks in the app, which names no ESP.
async fn serve(fake: &FakePostmark, mailers: &Mailers) -> JoinHandle<io::Result<()>> {
    let feed = mailers.suppression_feed(mailers.default_name()).unwrap();
    let routes = webhook_routes(mailers.webhooks().unwrap(), move |event: Event| {
        let feed = feed.clone();
        async move { feed.handle(&event).await }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let path = "/anymail/postmark/tracking/";
    fake.add_webhook(&format!("http://hook:secret@{address}{path}"));
    tokio::spawn(async move { axum::serve(listener, routes).await })
}

/// A newsletter to one person.
fn news(to: &str) -> Message {
    let mut message = Message::builder()
        .to(to)
        .subject("News")
        .text_body("There is news.")
        .build()
        .unwrap();
    message.suppression_scope = NEWS.to_owned().into();
    message
}

/// Sends the newsletter to everybody; returns who got it.
async fn campaign(mailers: &Mailers) -> Vec<&'static str> {
    let everybody = [
        "ann@example.com",
        "bounced@example.com",
        "bob@example.com",
        "left@example.com",
    ];
    let messages = everybody.map(news);
    let results = mailers.default_mailer().send_all(&messages).await;
    let mut reached = Vec::new();
    for (to, result) in everybody.into_iter().zip(results) {
        match result {
            Ok(_) => reached.push(to),
            Err(error) => {
                assert_eq!(error.kind(), SendErrorKind::RecipientsRefused, "{error}");
                let status = error.status().unwrap();
                assert_eq!(status.recipient(to).unwrap().status, Status::Rejected);
            }
        }
    }
    reached
}

fn arrived(smtp: &LoopbackSmtp) -> Vec<String> {
    let mails = smtp.messages();
    smtp.forget_messages();
    let to = mails.iter().flat_map(|mail| mail.addresses());
    let mut to: Vec<_> = to.map(str::to_owned).collect();
    to.sort();
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_bounced_or_unsubscribed_at_postmark_get_nothing_by_smtp_or_after_a_restart()
{
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("suppressions.jsonl");
    let esp = Servers {
        fake: FakePostmark::start().unwrap(),
        smtp: LoopbackSmtp::start().unwrap(),
    };
    let registry = Registry::new().with(PostmarkFactory);
    let first = mailers(&registry, "postmark", &esp, &store);
    let serving = serve(&esp.fake, &first).await;
    assert_eq!(campaign(&first).await.len(), 4);
    let id = |to: &str| {
        let messages = esp.fake.messages();
        let sent_to = |it: &_| format!("{it:?}").contains(to);
        messages.iter().find(|it| sent_to(it)).unwrap().id.clone()
    };
    let (bounced, left) = (id("bounced@example.com"), id("left@example.com"));
    let hard = BounceType::HardBounce;
    let reports = esp.fake.bounce(&bounced, hard).await.unwrap();
    assert!(reports.iter().all(|report| report.status() == Some(200)));
    esp.fake.unsubscribe(&left).await.unwrap();

    // The running app switches with one value.
    let reached = ["ann@example.com", "bob@example.com"];
    for default in ["smtp", "failover"] {
        let second = mailers(&registry, default, &esp, &store);
        assert_eq!(campaign(&second).await, reached, "{default}");
        assert_eq!(arrived(&esp.smtp), reached, "{default}");
    }

    // It restarts and reads its file.
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    drop((first, registry));
    let registry = Registry::new().with(PostmarkFactory);
    let third = mailers(&registry, "smtp", &esp, &store);
    assert_eq!(campaign(&third).await, reached);
    assert_eq!(arrived(&esp.smtp), reached);

    // Unsubscribed addresses still get receipts; bounced ones get nothing.
    for (to, gets_it) in [("left@example.com", true), ("bounced@example.com", false)] {
        let mut receipt = news(to);
        receipt.suppression_scope = "receipts".to_owned().into();
        let result = third.default_mailer().send(&receipt).await;
        assert_eq!(result.is_ok(), gets_it, "{to}: {result:?}");
    }
    assert_eq!(arrived(&esp.smtp), ["left@example.com"]);
}
