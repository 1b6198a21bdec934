//! [`PostmarkBackend`]: what Postmark can do, and the way in.
//!
//! How a message becomes a request, and an answer a status, lives in `sending`.

use anymail_core::{
    Capabilities, EmailBackend, Feature, Message, Objection, PreparedMessage, SendError,
    SendStatus, Support,
};
use async_trait::async_trait;

use crate::config::{PostmarkConfig, PostmarkConfigError};
use crate::sending::{MAX_ROWS, Sender, objections};

/// The backend's name in statuses, errors and configuration.
pub(crate) const NAME: &str = "postmark";

/// Sends through [Postmark](https://postmarkapp.com/developer).
///
/// It holds a pool of connections, so make one and share it: cloning is cheap.
///
/// ```no_run
/// # async fn send() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{Mailer, Message};
/// use anymail_postmark::{PostmarkBackend, PostmarkConfig};
///
/// let mailer = Mailer::new(PostmarkBackend::new(PostmarkConfig::new("POSTMARK_API_TEST"))?);
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.com")
///     .subject("Your receipt")
///     .text_body("Thank you.")
///     .build()?;
/// let status = mailer.send(&message).await?;
/// println!("{:?}", status.message_id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostmarkBackend {
    capabilities: Capabilities,
    sender: Sender,
}

impl PostmarkBackend {
    /// A backend with these settings. Sends nothing yet.
    ///
    /// # Errors
    /// [`PostmarkConfigError`] with all that is wrong with the settings.
    pub fn new(config: PostmarkConfig) -> Result<Self, PostmarkConfigError> {
        Ok(Self {
            capabilities: capabilities(),
            sender: Sender::new(config)?,
        })
    }
}

/// What Postmark can do. What is not named here it cannot.
///
/// A subject or body beside a template, and a local part outside ASCII, go to Postmark: it
/// refuses them in its own words.
fn capabilities() -> Capabilities {
    use Support::{AtMost, With, Yes};
    Capabilities::from([
        (Feature::ReplyTo, Yes),
        (Feature::Headers, Yes),
        (Feature::Attachments, Yes),
        (Feature::InlineAttachments, Yes),
        (Feature::Metadata, Yes),
        (Feature::Tags, AtMost(1)),
        (Feature::TrackOpens, Yes),
        (Feature::TrackClicks, Yes),
        (Feature::Template, Yes),
        (Feature::TemplateSubject, Yes),
        (Feature::TemplateBody, Yes),
        (Feature::Batch, Yes),
        (Feature::MergeData, With(Feature::Template)),
        (Feature::MergeGlobalData, With(Feature::Template)),
        (Feature::MergeMetadata, Yes),
        (Feature::MergeHeaders, Yes),
        (Feature::InternationalFrom, Yes),
        (Feature::InternationalRecipients, Yes),
        (Feature::WithoutTo, Yes),
        (Feature::EspExtra, Yes),
    ])
}

#[async_trait]
impl EmailBackend for PostmarkBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        objections(message, self.sender.config())
    }

    fn max_batch(&self) -> usize {
        MAX_ROWS
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.sender.send_one(message).await
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        self.sender.send_many(messages).await
    }
}
