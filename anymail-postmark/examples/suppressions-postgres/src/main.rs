//! An app with several processes that share their suppressions in PostgreSQL.
//!
//! ```sh
//! export DATABASE_URL=postgres://user:password@localhost/app
//! export ANYMAIL_SUPPRESSIONS='{"store": "postgres", "options": {"url": "env:DATABASE_URL"}}'
//! export ANYMAIL_BACKEND=postmark POSTMARK_SERVER_TOKEN=... ANYMAIL_DEFAULT_FROM=me@example.com
//! export ANYMAIL_WEBHOOK_SECRET=user:password
//! cargo run -- serve 127.0.0.1:8027        # receives the ESP's webhooks
//! cargo run -- send ann@example.com bob@example.com
//! ```
//!
//! `send` prints a line for each address: `sent`, or why not. You can run any number of both.

use std::env;
use std::error::Error;

use anymail_core::Env;
use anymail_core::{Event, Mailers, MailersConfig, Message, Registry, webhook_routes};
use anymail_postmark::PostmarkFactory;
use suppressions_postgres::PostgresStoreFactory;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let registry = Registry::new()
        .with(PostmarkFactory)
        .with_suppression_store(PostgresStoreFactory);
    let env = Env::process();
    let mailers = MailersConfig::from_env(&env, &registry).build_in(&env, &registry)?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(&mailers, address).await,
        ["send", ref recipients @ ..] => send(&mailers, recipients).await,
        _ => Err("usage: suppressions-postgres serve ADDRESS | send RECIPIENT...".into()),
    }
}

async fn serve(mailers: &Mailers, address: &str) -> Result<(), Box<dyn Error>> {
    let feed = mailers
        .suppression_feed(mailers.default_name())
        .ok_or("set ANYMAIL_SUPPRESSIONS")?;
    let routes = webhook_routes(mailers.webhooks()?, move |event: Event| {
        let feed = feed.clone();
        async move { feed.handle(&event).await }
    });
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn send(mailers: &Mailers, recipients: &[&str]) -> Result<(), Box<dyn Error>> {
    for recipient in recipients {
        let message = Message::builder()
            .to(*recipient)
            .subject("News")
            .text_body("There is news.")
            .build()?;
        match mailers.default_mailer().send(&message).await {
            Ok(status) => println!("sent {recipient} by {}", status.esp),
            Err(error) => println!("not sent {recipient}: {error}"),
        }
    }
    Ok(())
}
