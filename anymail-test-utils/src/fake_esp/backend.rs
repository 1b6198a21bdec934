//! [`FakeEspBackend`]: the capabilities of the fictional ESP, and the entry point.
//!
//! `payload.rs` turns a message into a request, and `response.rs` turns a response into a status.

use anymail_core::{
    Capabilities, EmailBackend, Feature, Message, Objection, PreparedMessage, SendError,
    SendStatus, Support,
};
use async_trait::async_trait;

use super::client::Client;
use super::config::{FakeEspConfig, FakeEspConfigError};
use super::{NAME, payload, response};

/// Sends through a [`FakeEsp`](crate::FakeEsp).
///
/// ```
/// use anymail_core::{Mailer, Message};
/// use anymail_test_utils::{FakeEsp, FakeEspBackend, FakeEspConfig};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let esp = FakeEsp::start()?;
/// let mailer = Mailer::new(FakeEspBackend::new(FakeEspConfig::new("api-key", esp.url()))?);
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.com")
///     .subject("Your receipt")
///     .tag("shop")
///     .tag("receipt")
///     .build()?;
/// mailer.send(&message).await?;
/// assert_eq!(esp.messages()[0]["tags"][1], "receipt");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct FakeEspBackend {
    client: Client,
    capabilities: Capabilities,
}

impl FakeEspBackend {
    /// Creates a backend with these settings. Makes no call.
    ///
    /// # Errors
    /// Returns an error if the key or the URL is invalid.
    pub fn new(config: FakeEspConfig) -> Result<Self, FakeEspConfigError> {
        Ok(Self {
            client: Client::new(config)?,
            capabilities: capabilities(),
        })
    }
}

/// Supports several tags, `send_at` and an envelope sender, but no batch, templates or inline
/// parts.
fn capabilities() -> Capabilities {
    use Support::{AtMost, Yes};
    Capabilities::from([
        (Feature::EnvelopeSender, Yes),
        (Feature::ReplyTo, AtMost(1)),
        (Feature::Headers, Yes),
        (Feature::Attachments, AtMost(3)),
        (Feature::Metadata, Yes),
        (Feature::Tags, AtMost(5)),
        (Feature::TrackOpens, Yes),
        (Feature::SendAt, Yes),
        (Feature::EspExtra, Yes),
    ])
}

/// The header that carries commands to the fictional ESP; apps must not set it.
const COMMANDS: &str = "X-Fake-Esp";
/// Keys that would change the recipients.
const RECIPIENTS: [&str; 3] = ["to", "cc", "bcc"];

#[async_trait]
impl EmailBackend for FakeEspBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let headers = message.headers.value();
        let value = headers.and_then(|headers| headers.get(COMMANDS));
        let objection = |value| {
            Objection::new(format!("does not support the header {COMMANDS}"), value).take_out(
                |message| {
                    if let Some(headers) = message.headers.value_mut() {
                        headers.remove(COMMANDS);
                    }
                },
            )
        };
        let extra = message.esp_extra.value().into_iter().flatten();
        let recipients = extra.filter(|(key, _)| RECIPIENTS.contains(&&***key));
        let of_recipients = recipients.map(|(key, _)| {
            let limit = format!(
                "does not allow {key:?} in `esp_extra`: use the message's own fields for recipients"
            );
            Objection::new(limit, "")
        });
        value
            .map(objection)
            .into_iter()
            .chain(of_recipients)
            .collect()
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let answer = self.client.post(payload::write(message)).await?;
        response::read(&answer, message)
    }
}
