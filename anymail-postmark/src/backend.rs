//! [`PostmarkBackend`]: what Postmark can do, and the way in.
//!
//! How a message becomes a request, and an answer a status, lives in `sending`.

use anymail_core::{
    Capabilities, EmailBackend, Feature, Message, Objection, PreparedMessage, SendError,
    SendStatus, Support,
};
use async_trait::async_trait;

use crate::config::{NAME, PostmarkConfig, PostmarkConfigError};
use crate::sending::{MAX_ROWS, Sender, objections};
use crate::suppressions::PostmarkSuppressions;

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

    /// Whether Postmark has accepted the mail that bears this id of ours; if it has, Postmark's
    /// own message id for it.
    ///
    /// For after an error whose [`accepted`](SendError::accepted) is `Maybe`, with
    /// [`generate_message_id`](PostmarkConfig::generate_message_id) on. What the answer proves:
    ///
    /// - **Found: Postmark has accepted it.** It must not be sent again.
    /// - **Not found: nothing is proved.** Postmark's search looks at an index that lags behind
    ///   what was accepted (by how much is not documented), and a request that was cut off may
    ///   still be on its way in. Ask again after some minutes before you take it for a no; what
    ///   is left is a choice between a mail lost and a mail doubled, and only you can make it.
    ///
    /// It looks at the server of this backend's own token, as far back as that server keeps
    /// messages (45 days unless set otherwise), and in the message stream of its configuration,
    /// where it has one: a mail that named another stream may not be found. Mail sent with the
    /// token `POSTMARK_API_TEST` is never found.
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
    /// [`SendError`] when Postmark gave no answer to the question. Nothing is sent here, so its
    /// `accepted` is `No`, and where [`is_transient`](SendError::is_transient) it can be asked
    /// again.
    pub async fn find_sent(&self, id: &str) -> Result<Option<String>, SendError> {
        self.sender.find_sent(id).await
    }

    /// The suppression list of a message stream (`outbound` is Postmark's default stream), at
    /// the server of this backend's own token.
    pub fn suppressions(&self, stream: &str) -> PostmarkSuppressions {
        PostmarkSuppressions::new(self.sender.client().clone(), stream)
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
