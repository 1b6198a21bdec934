//! One app and one message. The configuration selects the backend; the app's code never changes.
//!
//! ```sh
//! ANYMAIL_URL=console:// cargo run -p anymail-postmark --example switch
//! ANYMAIL_URL=smtp://user:password@mail.example.com cargo run -p anymail-postmark --example switch
//! cargo run -p anymail-postmark --example switch -- failover
//! ```
//!
//! With `ANYMAIL_BACKEND` or `ANYMAIL_URL` set, the environment is the configuration, as
//! [`MailersConfig::from_env`] reads it. Otherwise it is the text of a file with the mailers
//! `postmark` and `smtp` (servers in the same process that deliver nothing), `console`, `file`,
//! `memory`, and `failover` from a Postmark server that is down to `smtp`; the argument selects the
//! default mailer. Before it sends, the app lists the features that each configured mailer does not
//! support.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use anymail_core::{Env, Mailers, MailersConfig, Message, Registry};
use anymail_postmark::PostmarkFactory;
use anymail_test_utils::{FakePostmark, LoopbackSmtp};

#[tokio::main]
async fn main() -> ExitCode {
    let env = Env::process();
    let is_set = |name| env.get(name).is_some();
    let by_env = is_set("ANYMAIL_BACKEND") || is_set("ANYMAIL_URL");
    let output = match (std::env::args().nth(1), by_env) {
        (None, true) => by_variables(&env).await,
        (choice, _) => {
            let choice = choice.as_deref().unwrap_or("postmark");
            let folder = std::env::temp_dir().join("anymail-switch");
            by_file(choice, &folder.to_string_lossy()).await
        }
    };
    match output {
        Ok(output) => {
            print!("{output}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the app with a configuration from the environment.
pub(crate) async fn by_variables(env: &Env) -> Result<String, Box<dyn Error>> {
    let registry = Registry::new().with(PostmarkFactory);
    let mailers = MailersConfig::from_env(env, &registry).build_in(env, &registry)?;
    app(&mailers).await
}

/// Runs the app with a configuration from a file.
pub(crate) async fn by_file(choice: &str, folder: &str) -> Result<String, Box<dyn Error>> {
    let fake = FakePostmark::start()?;
    let smtp = LoopbackSmtp::start()?;
    let registry = Registry::new().with(PostmarkFactory);
    let config: MailersConfig = toml::from_str(&file(choice, &fake.url(), smtp.port(), folder))?;
    let mut out = app(&config.build(&registry)?).await?;
    writeln!(
        out,
        "Messages: Postmark has {}, the SMTP server {}, memory {}.",
        fake.accepted(),
        smtp.messages().len(),
        registry.outbox().len()
    )?;
    Ok(out)
}

/// The contents of the file. `default` is the only value to change.
fn file(default: &str, fake_url: &str, smtp_port: u16, folder: &str) -> String {
    format!(
        r#"
        default = "{default}"

        [mailers.postmark]
        backend = "postmark"
        options = {{ server_token = "server-token", api_url = "{fake_url}" }}

        [mailers.smtp]
        backend = "smtp"
        options = {{ host = "127.0.0.1", port = {smtp_port}, tls = "none" }}

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
        options = {{ members = ["down", "smtp"] }}
        "#
    )
}

/// The app: sends a message with the default mailer, and reports the result.
async fn app(mailers: &Mailers) -> Result<String, Box<dyn Error>> {
    let message = Message::builder()
        .from("Anvil Shop <shop@example.com>")
        .to("\"Doe, Ann\" <ann@example.com>")
        .subject("Your receipt")
        .text_body("4 anvils, thank you.")
        .attach("receipt.txt", "4 anvils\n")
        .build()?;
    let mut newsletter = message.clone();
    newsletter.tags = vec!["news".to_owned(), "may".to_owned()].into();

    let mut out = "Features of a two-tag message that each mailer does not support:\n".to_owned();
    for (name, check) in mailers.check_all(&newsletter) {
        writeln!(out, "  {name}: {check}")?;
    }

    let status = mailers.default_mailer().send(&message).await?;
    writeln!(out, "Sent by {}:", status.esp)?;
    for recipient in status.recipients() {
        writeln!(out, "  {}: {:?}", recipient.email, recipient.status)?;
    }
    for error in &status.member_errors {
        writeln!(out, "  tried before: {error}")?;
    }
    Ok(out)
}
