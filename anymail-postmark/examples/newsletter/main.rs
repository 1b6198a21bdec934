//! A newsletter: people sign up and get a welcome message, and a page shows what happened to it.
//!
//! ```sh
//! cargo run -p anymail-postmark --example newsletter --features axum
//! ```
//!
//! This starts a fake Postmark server in the same process and prints the URLs of both. Sign up,
//! look at the message in the fake server's mailbox, simulate an open or a bounce there, and see
//! the result on `/status`. To reply, press "Simulate inbound mail" in the mailbox.
//!
//! Environment variables select another backend, without a change of code:
//!
//! - `ANYMAIL_BACKEND=console ANYMAIL_DEFAULT_FROM=me@example.com`, or another backend, with
//!   anything else that [`MailersConfig::from_env`] reads.
//! - `POSTMARK_SERVER_TOKEN=...`: Postmark itself. `ANYMAIL_DEFAULT_FROM` must be a confirmed
//!   sender, and there must be a template with the alias `newsletter-welcome` (its text is in
//!   `fake.rs`). The webhooks need `ANYMAIL_WEBHOOK_SECRET=user:password`; at Postmark, set their
//!   URLs to `/anymail/postmark/tracking/` and `/anymail/postmark/inbound/`, with that user and
//!   password.
//! - `ANYMAIL_SUPPRESSIONS='{"file": "suppressions.jsonl"}'`: keeps suppressions across restarts
//!   and a change of ESP. By default they are in memory.
//! - `NEWSLETTER_KEY`: signs unsubscribe links. By default there is a new key at each start, and
//!   links in older messages stop working.
//! - `NEWSLETTER_ADDRESS`: the address to listen on, by default `127.0.0.1:8026`. `NEWSLETTER_URL`:
//!   its public URL.
//!
//! This file contains configuration and startup; `welcome.rs` the message, `subscribers.rs` the
//! subscribers, and `web.rs` the web pages. A real newsletter also needs a database, a first
//! message that asks for confirmation, and a login for `/status`.

mod fake;
mod subscribers;
mod web;
mod welcome;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use anymail_core::{
    Address, Env, HmacSha256Keys, Mailer, MailersConfig, OneClickUnsubscribe, Reactivation,
    Registry, SuppressionReason, SuppressionStore, SuppressionStoreError,
};
use anymail_postmark::PostmarkFactory;
use anymail_test_utils::FakePostmark;
use axum::Router;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use uuid::Uuid;

use self::subscribers::{Subscriber, Subscribers};

pub(crate) use self::fake::connect;

/// The state that requests need.
#[derive(Debug)]
struct App {
    mailer: Mailer,
    subscribers: Subscribers,
    /// The suppressed addresses, for any ESP.
    suppressions: Arc<dyn SuppressionStore>,
    /// The unsubscribe links in messages.
    unsubscribe: OneClickUnsubscribe,
}

impl App {
    async fn has_left(&self, address: &Address) -> Result<bool, SuppressionStoreError> {
        let found = self.suppressions.look_up(&[address.key()]).await?;
        let left = |reason| reason == SuppressionReason::Unsubscribe;
        Ok(found.iter().any(|found| left(found.reason)))
    }

    /// Ends the suppressions of somebody who unsubscribed earlier.
    async fn let_back_in(&self, address: &Address) -> Result<(), SuppressionStoreError> {
        let now = OffsetDateTime::now_utc();
        let back = Reactivation::new(address, now).only([SuppressionReason::Unsubscribe]);
        let back = [back.clone(), back.in_scope(welcome::SCOPE)];
        self.suppressions.remove(&back).await
    }
}

/// Builds the whole app from `env`.
pub(crate) fn app(env: &Env, url: &str) -> Result<Router, Box<dyn Error>> {
    let registry = Registry::new().with(PostmarkFactory);
    let mailers = MailersConfig::from_env(env, &registry).build_in(env, &registry)?;
    let name = mailers.default_name();
    let (suppressions, feed) = mailers
        .suppression_store(name)
        .zip(mailers.suppression_feed(name))
        .ok_or("set ANYMAIL_SUPPRESSIONS: people who unsubscribed must not be sent to again")?;
    let key = env.get("NEWSLETTER_KEY").map(str::to_owned);
    let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
    let url = url.trim_end_matches('/').replacen("http://", "https://", 1);
    let unsubscribe = OneClickUnsubscribe::new(
        Arc::clone(&suppressions),
        &format!("{url}/unsubscribe"),
        HmacSha256Keys::new([key])?,
    )?;
    let app = App {
        mailer: mailers.default_mailer().clone(),
        subscribers: Subscribers::default(),
        suppressions,
        unsubscribe: unsubscribe.clone(),
    };

    // Find out at startup, and not at the first sign-up, what the backend does not support.
    let somebody = Subscriber::new("Somebody", Address::parse("somebody@example.com")?);
    let check = app
        .mailer
        .check(&welcome::mail(&somebody, &app.unsubscribe)?);
    if !check.is_ok() {
        return Err(format!("the welcome mail cannot be sent: {check}").into());
    }

    let webhooks = mailers.webhooks()?;
    Ok(web::routes(Arc::new(app), webhooks, feed, unsubscribe))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variables = env::vars_os();
    let mut variables: BTreeMap<String, String> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let variable = |name: &str| variables.get(name).cloned();

    let address = variable("NEWSLETTER_ADDRESS").unwrap_or_else(|| "127.0.0.1:8026".to_owned());
    let address: SocketAddr = address.parse().map_err(|_| {
        format!("NEWSLETTER_ADDRESS: {address:?} is not a valid address such as 127.0.0.1:80")
    })?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address} (NEWSLETTER_ADDRESS): {error}"))?;
    let address = listener.local_addr()?;
    let url = variable("NEWSLETTER_URL").unwrap_or_else(|| format!("http://{address}"));

    let chosen = ["ANYMAIL_BACKEND", "ANYMAIL_URL", "POSTMARK_SERVER_TOKEN"];
    let fake = match chosen.iter().any(|name| variables.contains_key(*name)) {
        true => None,
        false => Some(FakePostmark::builder().deliver_at_once(true).start()?),
    };
    if let Some(fake) = &fake {
        for (name, value) in connect(fake, address) {
            variables.entry(name.to_owned()).or_insert(value);
        }
        println!(
            "The mail goes to a fake Postmark; its mailbox is at {}",
            fake.url()
        );
    }
    if !variables.contains_key("ANYMAIL_URL") {
        let backend = variables.entry("ANYMAIL_BACKEND".to_owned());
        backend.or_insert_with(|| "postmark".to_owned());
    }

    let suppressions = variables.entry("ANYMAIL_SUPPRESSIONS".to_owned());
    suppressions.or_insert_with(|| r#"{"store": "memory"}"#.to_owned());

    let routes = app(&variables.into_iter().collect(), &url)?;
    println!("Sign up at {url}/ and see the status of your message at {url}/status");
    axum::serve(listener, routes).await?;
    Ok(())
}
