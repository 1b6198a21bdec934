//! [`PostmarkBackend`]: the Postmark backend and its capabilities.
//!
//! `sending` converts messages to requests, and responses to statuses.

use anymail_core::{
    Capabilities, EmailBackend, Feature, Message, Objection, PreparedMessage, SendError,
    SendStatus, Support,
};
use async_trait::async_trait;

use crate::config::{NAME, PostmarkConfig, PostmarkConfigError};
use crate::sending::{MAX_ROWS, Sender, objections};
use crate::suppressions::PostmarkSuppressions;

/// Sends messages with [Postmark](https://postmarkapp.com/developer).
///
/// It contains a connection pool, so create one and share it. Cloning is cheap.
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
    /// Creates a backend with these settings. It does not send anything yet.
    ///
    /// # Errors
    /// [`PostmarkConfigError`] with all faults in the settings.
    pub fn new(config: PostmarkConfig) -> Result<Self, PostmarkConfigError> {
        Ok(Self {
            capabilities: capabilities(),
            sender: Sender::new(config)?,
        })
    }

    /// Looks up a message whose response was lost, by the ID that
    /// [`generate_message_id`](PostmarkConfig::generate_message_id) put into it. Returns Postmark's
    /// own message ID if Postmark has accepted it.
    ///
    /// Use it after an error whose [`accepted`](SendError::accepted) is `Maybe`. The result means:
    ///
    /// - **Found: Postmark has accepted the message.** Do not send it again.
    /// - **Not found: this proves nothing.** Postmark's search index lags behind (by how much is
    ///   not documented), and an interrupted request may still be in progress. Search again after
    ///   some minutes before you conclude that the message was not accepted. Even then you choose
    ///   between losing a message and sending it twice, and only you can decide that.
    ///
    /// It searches the server of this backend's own token, as far back as that server keeps
    /// messages (45 days by default), and the configured message stream, if any: a message in
    /// another stream may not be found. Messages sent with the token `POSTMARK_API_TEST` are never
    /// found.
    ///
    /// ```no_run
    /// # use anymail_core::{Accepted, Mailer, Message};
    /// # use anymail_postmark::{PostmarkBackend, PostmarkConfig};
    /// # async fn send(message: Message) -> Result<(), Box<dyn std::error::Error>> {
    /// let config = PostmarkConfig::new("server-token").generate_message_id(true);
    /// let postmark = PostmarkBackend::new(config)?;
    /// let mailer = Mailer::new(postmark.clone());
    /// if let Err(error) = mailer.send(&message).await
    ///     && error.accepted() == Accepted::Maybe
    /// {
    ///     for recipient in error.status().iter().flat_map(|status| status.recipients()) {
    ///         if let Some(id) = &recipient.message_id {
    ///             let found = postmark.find_sent(id).await?.is_some();
    ///             println!("{}: {}", recipient.email, if found { "sent" } else { "ask again" });
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendError`] if the search failed. Nothing is sent, so its `accepted` is `No`. You can search
    /// again if it [`is_transient`](SendError::is_transient).
    pub async fn find_sent(&self, id: &str) -> Result<Option<String>, SendError> {
        self.sender.find_sent(id).await
    }

    /// Returns the suppression list of a message stream (Postmark's default stream is `outbound`)
    /// at the server of this backend's own token.
    pub fn suppressions(&self, stream: &str) -> PostmarkSuppressions {
        PostmarkSuppressions::new(self.sender.client().clone(), stream)
    }
}

/// Postmark's capabilities. Anything not listed is unsupported.
///
/// Subjects and bodies with a template, and non-ASCII local parts, are passed to Postmark, which
/// refuses them with its own error message.
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
