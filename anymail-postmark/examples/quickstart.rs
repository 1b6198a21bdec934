//! Builds, checks and sends a message over HTTP, and prints its status. Then sends two messages that
//! fail, and prints their errors.
//!
//! ```sh
//! cargo run -p anymail-postmark --example quickstart
//! ```
//!
//! It sends to a fake Postmark server in the same process. With `POSTMARK_SERVER_TOKEN` set, it
//! sends to Postmark itself. With the token `POSTMARK_API_TEST`, Postmark validates messages but
//! does not deliver them. Any other token sends real email, so set `POSTMARK_FROM` (a confirmed
//! sender) and `POSTMARK_TO`.

use std::env;
use std::error::Error;

use anymail_core::{ContentId, Mailer, Message, MessageBuilder, SendError, SendStatus};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, InactiveReason};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let fake = match env::var("POSTMARK_SERVER_TOKEN") {
        Ok(_) => None,
        Err(_) => Some(FakePostmark::start()?),
    };
    let config = match (&fake, env::var("POSTMARK_SERVER_TOKEN")) {
        (Some(fake), _) => PostmarkConfig::new("server-token").api_url(fake.url()),
        (None, token) => PostmarkConfig::new(token?),
    };
    let mailer = Mailer::new(PostmarkBackend::new(config)?);

    println!("1. A message that uses many features");
    let result = mailer.send(&welcome()?.build()?).await;
    if let Some(fake) = &fake {
        print_what_arrived(fake);
    }
    print_result(&result);

    println!("\n2. A message with features that Postmark does not support");
    let unsupported = welcome()?
        .tag("second-tag")
        .envelope_sender("bounces@example.com");
    print_result(&mailer.send(&unsupported.build()?).await);

    println!("\n3. A message to a mailbox that no longer exists");
    if let Some(fake) = &fake {
        fake.suppress("outbound", "gone@example.com", InactiveReason::HardBounce);
    }
    let gone = Message::builder()
        .from(from())
        .to("Gone <Gone@example.com>")
        .subject("Are you there?")
        .text_body("Hello?");
    print_result(&mailer.send(&gone.build()?).await);
    Ok(())
}

fn from() -> String {
    env::var("POSTMARK_FROM").unwrap_or_else(|_| "Anvil Shop <shop@example.com>".to_owned())
}

/// A name with a comma, an international domain, both bodies, a file and an inline image.
fn welcome() -> Result<MessageBuilder, Box<dyn Error>> {
    let to = env::var("POSTMARK_TO").unwrap_or_else(|_| "\"Doe, Ann\" <ann@příklad.cz>".to_owned());
    let logo = ContentId::new("logo@shop")?;
    Ok(Message::builder()
        .from(from())
        .to(to)
        .subject("Welcome, Ann")
        .text_body("Thank you for joining.")
        .html_body(format!(
            "<p>Thank you for joining.</p><img src=\"{}\" alt=\"\">",
            logo.url()
        ))
        .attach("terms.txt", "Be kind.\n")
        .attach_inline("logo.png", &include_bytes!("logo.png")[..], &logo)
        .metadata("customer", 4711)
        .tag("welcome"))
}

fn print_what_arrived(fake: &FakePostmark) {
    for mail in fake.messages() {
        println!("   Postmark received:");
        println!("     from        {}", mail.from);
        for to in &mail.to {
            println!("     to          {to}");
        }
        println!("     subject     {}", mail.subject);
        println!(
            "     text        {}",
            mail.text_body.as_deref().unwrap_or("none")
        );
        println!(
            "     html        {}",
            mail.html_body.as_deref().unwrap_or("none")
        );
        for file in &mail.attachments {
            let size = file.content.len();
            let cid = file.content_id.as_deref().unwrap_or("none");
            println!(
                "     attachment  {} ({}, {size} bytes, content ID {cid})",
                file.name, file.content_type
            );
        }
        println!("     metadata    {:?}", mail.metadata);
        println!("     tag         {}", mail.tag.as_deref().unwrap_or("none"));
    }
}

fn print_result(result: &Result<SendStatus, SendError>) {
    match result {
        Ok(status) => print_status(status),
        Err(error) => {
            println!("   not sent: {error}");
            println!("     kind        {:?}", error.kind());
            println!(
                "     accepted    {:?}: {}",
                error.accepted(),
                match error.is_transient() {
                    true => "a retry may work",
                    false => "a retry will fail again",
                }
            );
            for unsupported in error.unsupported() {
                println!("     unsupported {unsupported}");
            }
            error.status().into_iter().for_each(print_status);
        }
    }
}

fn print_status(status: &SendStatus) {
    for recipient in status.recipients() {
        let id = recipient.message_id.as_deref().unwrap_or("none");
        println!(
            "     {}: {:?}, message ID {id}",
            recipient.email, recipient.status
        );
    }
}
