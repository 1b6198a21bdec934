//! A fake Postmark for a person: prints each message, and shows all of them in a browser.
//!
//! What it answers, and the page, are the library's.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anymail_test_utils::{FakePostmark, SentMessage};
use lexopt::prelude::*;

const HELP: &str = "\
A fake Postmark on this machine: it takes messages as Postmark does, delivers none, and shows
them at its URL, to clients and in a browser.

Usage: fake-postmark [OPTIONS]

      --port PORT            port on 127.0.0.1; 0 for a free one [default: 8025]
      --token TOKEN          server token to accept; may be repeated [default: server-token]
      --smtp-port PORT       take mail by SMTP, too, on this port of 127.0.0.1 (0 for a free one),
                             from any program, with the token as user and password
      --templates DIR        read stored templates from the folders in DIR, as postmark-cli
                             pulls and pushes them; files are read again when they change
      --webhook URL          post deliveries, bounces, opens and clicks to URL
      --inbound-webhook URL  post received mail to URL; receive some in the browser, or by
                             curl --data-binary @mail.eml http://127.0.0.1:8025/mailbox/receive
      --deliver              deliver each message at once (and tell the webhook)
  -h, --help                 print this
  -V, --version              print the version

The token POSTMARK_API_TEST is accepted as well: its messages are checked and not kept.
";

struct Options {
    port: u16,
    smtp_port: Option<u16>,
    tokens: Vec<String>,
    templates: Option<PathBuf>,
    webhooks: Vec<String>,
    inbound_webhook: Option<String>,
    deliver: bool,
}

/// What the arguments ask for; `None` if that was only to print something.
fn read_arguments() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        port: 8025,
        smtp_port: None,
        tokens: Vec::new(),
        templates: None,
        webhooks: Vec::new(),
        inbound_webhook: None,
        deliver: false,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("smtp-port") => options.smtp_port = Some(arguments.value()?.parse()?),
            Long("token") => options.tokens.push(arguments.value()?.string()?),
            Long("templates") => options.templates = Some(arguments.value()?.into()),
            Long("webhook") => options.webhooks.push(arguments.value()?.string()?),
            Long("inbound-webhook") => {
                options.inbound_webhook = Some(arguments.value()?.string()?);
            }
            Long("deliver") => options.deliver = true,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            Short('V') | Long("version") => {
                println!("fake-postmark {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

/// One line for a message. Quoted, as what a client sends may hold control characters.
fn print_message(message: &SentMessage) {
    let all = message.to.iter().chain(&message.cc).chain(&message.bcc);
    let recipients: Vec<_> = all.map(|mailbox| mailbox.email.as_str()).collect();
    let line = format!(
        "{}  {} -> {}  {:?}",
        message.id,
        message.from.email,
        recipients.join(", "),
        message.subject,
    );
    say(&line);
    if let Some(refusal) = &message.refusal {
        say(&format!("{}  refused: {refusal:?}", message.id));
    }
}

/// Prints a line at once; nobody may be listening any more.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Tells what is wrong with templates, and tells it again when that changes.
async fn watch_templates(postmark: &FakePostmark) -> io::Result<()> {
    let mut told = Vec::new();
    loop {
        let problems = postmark.template_problems();
        if problems != told {
            for problem in &problems {
                say(&format!("template cannot be used: {problem}"));
            }
            if problems.is_empty() {
                say("all templates can be used");
            }
            told = problems;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn run(options: Options) -> io::Result<()> {
    let mut builder = FakePostmark::builder()
        .port(options.port)
        .deliver_at_once(options.deliver)
        .webhook_minute(Duration::from_secs(1))
        .on_message(print_message);
    if let Some(port) = options.smtp_port {
        builder = builder.smtp_port(port);
    }
    for token in options.tokens {
        builder = builder.token(token);
    }
    let has_templates = options.templates.is_some();
    if let Some(folder) = options.templates {
        builder = builder.templates(folder);
    }
    let postmark = builder.start()?;
    postmark.server().set_recording(false); // the mailbox keeps what matters
    if let Some(smtp) = postmark.smtp() {
        smtp.set_recording(false);
    }
    for url in options.webhooks {
        postmark.add_webhook(&url);
    }
    if let Some(url) = options.inbound_webhook {
        postmark.set_inbound_webhook(&url);
    }
    say(&format!("fake Postmark at {}", postmark.url()));
    if let Some(smtp) = postmark.smtp() {
        say(&format!("SMTP at {}", smtp.address()));
    }
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped,
        never = watch_templates(&postmark), if has_templates => never,
    }
}

fn main() -> ExitCode {
    let options = match read_arguments() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-postmark: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(run(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-postmark: {error}");
            ExitCode::FAILURE
        }
    }
}
