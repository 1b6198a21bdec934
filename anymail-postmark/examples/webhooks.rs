//! An app that receives events and inbound email: webhooks in axum.
//!
//! ```sh
//! cargo run -p anymail-postmark --example webhooks --features axum
//! ```
//!
//! A fake Postmark server in the same process accepts the app's messages, simulates events, and
//! posts them to the app over HTTP, with the secret in the URL, like Postmark. The app uses the
//! webhooks of its configuration, so no code names an ESP. It prints each event and stores the
//! attachments of inbound messages in a folder, `INBOUND_DIR` or a new one.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use anymail_core::{
    Event, InboundMessage, Mailer, MailersConfig, MemoryReplayGuard, Message, Registry,
    TrackingEvent, handled_once, webhook_routes,
};
use anymail_postmark::PostmarkFactory;
use anymail_test_utils::{BounceType, FakePostmark};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = match std::env::var_os("INBOUND_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir().join(format!("anymail-inbound-{}", std::process::id())),
    };
    let app = Arc::new(App { folder });

    let fake = FakePostmark::start()?;
    let registry = Registry::new().with(PostmarkFactory);
    let config: MailersConfig = toml::from_str(&format!(
        r#"
        backend = "postmark"
        webhook_secret = "postmark:a long random password"
        options = {{ server_token = "server-token", api_url = "{}" }}
        "#,
        fake.url()
    ))?;
    let mailers = config.build(&registry)?;
    let mailer = mailers.default_mailer();

    let guard = Arc::new(MemoryReplayGuard::default());
    let routes = webhook_routes(handled_once(mailers.webhooks()?, guard), move |event| {
        let app = app.clone();
        async move { app.take(event).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let url = format!("http://postmark:a%20long%20random%20password@{address}/anymail/postmark");
    fake.add_webhook(&format!("{url}/tracking/"));
    fake.set_inbound_webhook(&format!("{url}/inbound/"));

    println!("Ann reads her message and unsubscribes:");
    let ann = send(mailer, "Ann <ann@example.com>").await?;
    fake.deliver(&ann).await?;
    fake.open(&ann).await?;
    fake.click(&ann, "https://example.com/receipt").await?;
    fake.unsubscribe(&ann).await?;

    println!("\nBob's message bounces (two events: the bounce and the subscription change):");
    let bob = send(mailer, "bob@example.com").await?;
    fake.bounce(&bob, BounceType::HardBounce).await?;

    println!("\nCarol reports it as spam (also two events):");
    let carol = send(mailer, "carol@example.com").await?;
    fake.complain(&carol).await?;

    println!("\nDan replies, posted as fields and as a raw message:");
    for raw_email in [false, true] {
        fake.set_raw_email(raw_email);
        fake.receive_for(ANSWER.as_bytes(), "shop+4711@example.com")
            .await?;
    }
    Ok(())
}

/// Sends a receipt and returns its message ID, which its events will contain.
async fn send(mailer: &Mailer, to: &str) -> Result<String, Box<dyn Error>> {
    let message = Message::builder()
        .from("Anvil Shop <shop@example.com>")
        .to(to)
        .subject("Your receipt")
        .html_body("<a href=\"https://example.com/receipt\">Your receipt</a>")
        .tag("receipt")
        .metadata("order", 4711);
    let status = mailer.send(&message.build()?).await?;
    Ok(status.message_id().ok_or("no message id")?.to_owned())
}

struct App {
    folder: PathBuf,
}

impl App {
    /// The handler. Its result is the response to Postmark: after an error, the event is posted
    /// again.
    async fn take(&self, event: Event) -> std::io::Result<()> {
        let key = event.dedup_key().to_owned();
        match event {
            Event::Tracking(event) => print_tracking(&event),
            Event::Inbound(event) => {
                print_mail(&event.message);
                self.store_attachments(&key, &event.message).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn store_attachments(&self, key: &str, mail: &InboundMessage) -> std::io::Result<()> {
        let folder = self.folder.join(safe_name(key));
        tokio::fs::create_dir_all(&folder).await?;
        for (n, part) in mail.attachments().chain(mail.inlines()).enumerate() {
            let name = safe_name(part.filename().unwrap_or_default());
            let path = folder.join(format!("{n}-{name}"));
            let content = part.content();
            tokio::fs::write(&path, &content).await?;
            println!("    stored {} ({} bytes)", path.display(), content.len());
        }
        Ok(())
    }
}

fn print_tracking(event: &TrackingEvent) {
    let recipient = event.recipient.as_deref().unwrap_or("somebody");
    print!("  {} {recipient}", event.event_type);
    if let Some(reason) = event.reject_reason {
        print!(", reason {reason}");
    }
    if let Some(url) = &event.click_url {
        print!(", {url}");
    }
    if let Some(id) = &event.message_id {
        print!(", message {id}");
    }
    println!(", tags {:?}, metadata {:?}", event.tags, event.metadata);
}

fn print_mail(mail: &InboundMessage) {
    println!(
        "  inbound {:?}",
        mail.subject.as_deref().unwrap_or_default()
    );
    println!("    from {:?}, to {:?}", mail.from, mail.envelope_recipient);
    println!("    order {:?}", mail.mailbox_hash);
    println!("    text {:?}", mail.text().unwrap_or_default());
}

/// A filename that the sender chose, made safe so that it cannot leave the folder.
fn safe_name(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().filter(|c| safe(*c)).take(100).collect();
    name.trim_start_matches('.').to_owned()
}

const ANSWER: &str = "\
From: Dan <dan@example.com>
To: Anvil Shop <shop+4711@example.com>
Subject: =?utf-8?q?Re=3A_Your_receipt_=E2=9C=93?=
Message-ID: <1@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=part

--part
Content-Type: text/plain; charset=utf-8

The number is wrong, see the photo.
--part
Content-Type: image/png
Content-Disposition: attachment; filename=\"../photo.png\"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--part--
";
