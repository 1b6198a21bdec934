use postmark::Query;
use postmark::api::Body;
use postmark::api::email::SendEmailRequest;
use postmark::reqwest::PostmarkClient;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = PostmarkClient::builder()
        .base_url("https://api.postmarkapp.com/")
        .server_token("POSTMARK_API_TEST")
        .build();
    let request = SendEmailRequest::builder()
        .from("shop@example.com")
        .to("ann@example.com")
        .subject("Your receipt")
        .body(Body::text("Thank you.".to_owned()))
        .build();
    let runtime = tokio::runtime::Runtime::new()?;
    let answer = runtime.block_on(request.execute(&client))?;
    println!("{:?}", answer.message_id);
    Ok(())
}
