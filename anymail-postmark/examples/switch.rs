//! One app, one message, five configurations: the app's code never changes.
//!
//! ```sh
//! cargo run -p anymail-postmark --example switch -- console
//! ANYMAIL_MAILER=failover cargo run -p anymail-postmark --example switch
//! ```
//!
//! The choices are `postmark` (a fake one in the same process), `console`, `file`, `memory` and
//! `failover`, whose first member is down. Before it sends, the app asks what each of them
//! would not do.

use std::error::Error;
use std::fmt::Write;

use anymail_core::{MailersConfig, Message, Registry};
use anymail_postmark::PostmarkFactory;
use anymail_test_utils::FakePostmark;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let choice = argument.or_else(|| std::env::var("ANYMAIL_MAILER").ok());
    let folder = std::env::temp_dir().join("anymail-switch");
    let output = run(
        choice.as_deref().unwrap_or("postmark"),
        &folder.to_string_lossy(),
    )
    .await?;
    print!("{output}");
    Ok(())
}

/// What would stand in the app's configuration file. `default` is the one value to change.
fn configuration(default: &str, fake_url: &str, folder: &str) -> String {
    format!(
        r#"
        default = "{default}"
        default_from = "Anvil Shop <shop@example.com>"

        [mailers.postmark]
        backend = "postmark"
        options = {{ server_token = "server-token", api_url = "{fake_url}" }}

        [mailers.console]
        backend = "console"

        [mailers.file]
        backend = "file"
        options = {{ folder = '{folder}' }}

        [mailers.memory]
        backend = "memory"

        [mailers.down]
        backend = "postmark"
        options = {{ server_token = "server-token", api_url = "http://127.0.0.1:9" }}

        [mailers.failover]
        backend = "failover"
        options = {{ members = ["down", "postmark"] }}
        "#
    )
}

/// The app: sends one message by the mailer `choice`, and tells what became of it.
pub(crate) async fn run(choice: &str, folder: &str) -> Result<String, Box<dyn Error>> {
    let fake = FakePostmark::start().await?;
    let registry = Registry::new().with(PostmarkFactory);
    let config: MailersConfig = toml::from_str(&configuration(choice, &fake.url(), folder))?;
    let mailers = config.build(&registry)?;

    let message = Message::builder()
        .to("\"Doe, Ann\" <ann@example.com>")
        .subject("Your receipt")
        .text_body("4 anvils, thank you.")
        .tag("receipt")
        .attach("receipt.txt", "4 anvils\n")
        .build()?;
    let mut newsletter = message.clone();
    newsletter.tags = vec!["news".to_owned(), "may".to_owned()].into();

    let mut out = "What each of them would not do of a message with two tags:\n".to_owned();
    for (name, check) in mailers.check_all(&newsletter) {
        writeln!(out, "  {name}: {check}")?;
    }

    let status = mailers.default_mailer().send(&message).await?;
    writeln!(out, "Sent by {}:", status.esp)?;
    for recipient in status.recipients() {
        writeln!(out, "  {}: {:?}", recipient.email, recipient.status)?;
    }
    for error in &status.member_errors {
        writeln!(out, "  before that, {error}")?;
    }
    writeln!(
        out,
        "Postmark has {} messages, memory has {}.",
        fake.accepted(),
        registry.outbox().len()
    )?;
    Ok(out)
}
