use missive::providers::PostmarkMailer;
use missive::{Email, EmailClient};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = EmailClient::new(PostmarkMailer::new("POSTMARK_API_TEST"));
    let email = Email::new()
        .from("shop@example.com")
        .to("ann@example.com")
        .subject("Your receipt")
        .text_body("Thank you.");
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(client.deliver(email))?;
    println!("{:?}", result.message_id);
    Ok(())
}
