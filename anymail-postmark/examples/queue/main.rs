//! Email through a queue: RabbitMQ between the app that creates messages and the workers that send
//! them.
//!
//! ```sh
//! cargo run -p anymail-postmark --example queue -- publish < messages.jsonl
//! cargo run -p anymail-postmark --example queue -- work
//! cargo run -p anymail-postmark --example queue -- review
//! ```
//!
//! The guide "Sending from a queue" (`anymail-postmark/docs/sending_from_a_queue.md`) explains the
//! design and what you can rely on; the settings are in `settings.rs`.

mod broker;
mod ledger;
mod letter;
mod publisher;
mod review;
mod settings;
mod stop;
mod verdict;
mod worker;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use settings::Settings;

/// Why a command fails. None of these contains a token, a password or a body.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

const USAGE: &str = "\
usage: queue publish < messages.jsonl   puts messages on the queue: {\"id\": ..., \"message\": {...}}
       queue work                       sends them, until SIGTERM
       queue review                     asks Postmark about those that it may have
       queue review --send-again SECS   and sends again those it has not found after so long
variables: AMQP_URL, POSTMARK_SERVER_TOKEN, and more in settings.rs";

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(Some(done)) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Ok(None) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("queue: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command in the arguments and returns its output; `None` if the command is unknown.
async fn run(arguments: &[&str]) -> Result<Option<String>> {
    let settings = Settings::from_env()?;
    Ok(match arguments {
        ["publish"] => {
            let published = publisher::publish(&settings, std::io::stdin().lock()).await?;
            Some(format!("published {published}"))
        }
        ["work"] => Some(worker::work(&settings, stop::asked_to()).await?),
        ["review"] => Some(review::review(&settings, None).await?),
        ["review", "--send-again", seconds] => {
            let after = Duration::from_secs(seconds.parse()?);
            Some(review::review(&settings, Some(after)).await?)
        }
        _ => None,
    })
}
