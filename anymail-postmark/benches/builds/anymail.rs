use anymail_core::{Mailer, Message};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let postmark = PostmarkBackend::new(PostmarkConfig::new("POSTMARK_API_TEST"))?;
    let mailer = Mailer::new(postmark);
    let message = Message::builder()
        .from("shop@example.com")
        .to("ann@example.com")
        .subject("Your receipt")
        .text_body("Thank you.")
        .build()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let status = runtime.block_on(mailer.send(&message))?;
    println!("{:?}", status.message_id());
    Ok(())
}
