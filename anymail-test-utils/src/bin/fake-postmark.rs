//! The program `fake-postmark` prints each message and shows all messages in a browser.
//!
//! The library implements the API and the page.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anymail_test_utils::{FakePostmark, SentMessage};
use lexopt::prelude::*;

const HELP: &str = "\
Run a fake Postmark server on this machine. It accepts messages as Postmark does, delivers none,
and makes them available at its URL, to API clients and in a browser.

Usage: fake-postmark [OPTIONS]

      --port PORT            listen on this port of 127.0.0.1, 0 for any free port
                             [default: 8025]
      --token TOKEN          accept this server token; can be repeated [default: server-token]
      --smtp-port PORT       accept messages over SMTP, too, on this port of 127.0.0.1 (0 for any
                             free port), with the token as user name and password
      --templates DIR        read stored templates from DIR, in the layout that postmark-cli pulls
                             and pushes; files are read again when they change
      --webhook URL          post delivery, bounce, open and click events to URL
      --inbound-webhook URL  post inbound messages to URL; create one in the browser, or with
                             curl --data-binary @mail.eml http://127.0.0.1:8025/mailbox/receive
      --deliver              mark each message as delivered at once, and notify the webhook
  -h, --help                 print help
  -V, --version              print version

The token POSTMARK_API_TEST is always accepted. Its messages are validated but not kept.
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

/// Parses the arguments; `None` after `--help` and `--version`.
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

/// Prints a line for a message. Texts are quoted because clients can send control characters.
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

/// Prints and flushes a line. Ignores errors, because the reader may have closed the pipe.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints the problems of template files whenever they change.
async fn watch_templates(postmark: &FakePostmark) -> io::Result<()> {
    let mut told = Vec::new();
    loop {
        let problems = postmark.template_problems();
        if problems != told {
            for problem in &problems {
                say(&format!("invalid template: {problem}"));
            }
            if problems.is_empty() {
                say("all templates are valid");
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
    postmark.server().set_recording(false); // the mailbox keeps the messages
    if let Some(smtp) = postmark.smtp() {
        smtp.set_recording(false);
    }
    for url in options.webhooks {
        postmark.add_webhook(&url);
    }
    if let Some(url) = options.inbound_webhook {
        postmark.set_inbound_webhook(&url);
    }
    say(&format!("fake Postmark listening on {}", postmark.url()));
    if let Some(smtp) = postmark.smtp() {
        say(&format!("SMTP listening on {}", smtp.address()));
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
            eprintln!("fake-postmark: {error}; try --help");
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
