//! Methods with which a test triggers deliveries, bounces, opens and inbound mail.
//!
//! `events.rs` applies them to the state.

use super::FakePostmark;
use super::bounce_type::BounceType;
use super::events::TriggerError;
use super::hooks::Webhook;
use super::inbound;
use super::state::Fake;
use super::streams::StreamKind;
use super::webhooks::{Posting, RetryRule, Target, WebhookReport};

type Reports = Result<Vec<WebhookReport>, TriggerError>;

/// # Events
///
/// Each method triggers an event for a message and notifies all webhooks that are subscribed to it.
/// It returns when they have responded or the retries are exhausted, with one report per event and
/// webhook. Without webhooks, the reports are empty and only the state changes.
///
/// ```
/// use anymail_test_utils::{BounceType, FakePostmark, LoopbackServer};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let app = LoopbackServer::start(|_| http::Response::default())?; // what receives webhooks
/// let postmark = FakePostmark::start()?;
/// postmark.add_webhook(&app.url());
/// # let client = reqwest::Client::builder().no_proxy().build()?;
/// # let call = client.post(format!("{}/email", postmark.url())).header("Accept", "*/*");
/// # let call = call.header("Content-Type", "application/json");
/// # let call = call.header("X-Postmark-Server-Token", "server-token");
/// # let json = r#"{"From": "me@example.com", "To": "you@example.com", "TextBody": "Hi!"}"#;
/// # call.body(json).send().await?;
/// // ... a message is sent ...
/// let id = postmark.messages()[0].id.clone();
/// let reports = postmark.bounce(&id, BounceType::SoftBounce).await?;
/// assert_eq!(reports[0].payload["Type"], "SoftBounce");
/// assert_eq!(reports[0].status(), Some(200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
impl FakePostmark {
    /// Delivers a message.
    ///
    /// The recipients determine the outcome: `hardbounce@...` and `softbounce@...` bounce,
    /// `spamcomplaint@...` accepts the message and complains, and so do the addresses of Postmark's
    /// own `bounce-testing.postmarkapp.com`. A message whose template could not be rendered
    /// bounces.
    ///
    /// # Errors
    /// Returns an error if no message has this ID.
    pub async fn deliver(&self, id: &str) -> Reports {
        self.post(self.fake.deliver(id)?).await
    }

    /// Bounces a message for every recipient. If the type makes an address inactive, it is
    /// suppressed on the message's stream, and webhooks are notified of that, too.
    ///
    /// # Errors
    /// Returns an error if no message has this ID.
    pub async fn bounce(&self, id: &str, kind: BounceType) -> Reports {
        self.post(self.fake.bounce(id, kind)?).await
    }

    /// Marks a message as spam for every recipient, which suppresses them permanently.
    ///
    /// # Errors
    /// Returns an error if no message has this ID.
    pub async fn complain(&self, id: &str) -> Reports {
        self.bounce(id, BounceType::SpamComplaint).await
    }

    /// Opens a message as every recipient, whether or not opens are tracked.
    ///
    /// # Errors
    /// Returns an error if no message has this ID.
    pub async fn open(&self, id: &str) -> Reports {
        self.post(self.fake.open(id)?).await
    }

    /// Clicks a link as every recipient, whether or not links are tracked. Only the first click of
    /// a recipient on a link is reported.
    ///
    /// # Errors
    /// Returns an error if no message has this ID.
    pub async fn click(&self, id: &str, link: &str) -> Reports {
        self.post(self.fake.click(id, link)?).await
    }

    /// Unsubscribes every recipient from the message's stream.
    ///
    /// # Errors
    /// Returns an error if no message has this ID.
    pub async fn unsubscribe(&self, id: &str) -> Reports {
        self.post(self.fake.unsubscribe(id)?).await
    }

    /// Receives an inbound message for the first recipient in To or Cc, and posts it to the inbound
    /// webhook.
    ///
    /// The message is in RFC 5322 format with any kind of line ends.
    ///
    /// # Errors
    /// Returns [`TriggerError::NotAMessage`] if the message cannot be parsed.
    pub async fn receive(&self, raw_mime: &[u8]) -> Reports {
        self.receive_as(raw_mime, None).await
    }

    /// Receives an inbound message for this envelope recipient, who does not have to appear in its
    /// header.
    ///
    /// # Errors
    /// Returns the same errors as [`receive`](Self::receive).
    pub async fn receive_for(&self, raw_mime: &[u8], recipient: &str) -> Reports {
        self.receive_as(raw_mime, Some(recipient)).await
    }

    async fn receive_as(&self, raw_mime: &[u8], recipient: Option<&str>) -> Reports {
        self.post(received(&self.fake, raw_mime, recipient)?).await
    }

    /// Posts all events of all streams to this URL. Unlike `POST webhooks`, this does not verify
    /// the webhook first. Use `http://user:password@...` for HTTP basic authentication.
    pub fn add_webhook(&self, url: &str) {
        let mut state = self.fake.state();
        let streams = state
            .streams
            .iter()
            .filter(|s| s.kind != StreamKind::Inbound);
        let streams: Vec<_> = streams.map(|stream| stream.id.clone()).collect();
        for stream in streams {
            let webhook = Webhook::for_all(&mut state, &stream, url);
            state.webhooks.push(webhook);
        }
    }

    /// Posts inbound messages to this URL. Replaces the previous URL.
    pub fn set_inbound_webhook(&self, url: &str) {
        self.fake.state().server.set_text("InboundHookUrl", url);
    }

    /// Sets whether inbound messages are posted with their source as `RawEmail`. The default is
    /// `false`.
    pub fn set_raw_email(&self, enabled: bool) {
        self.fake
            .state()
            .server
            .set_flag("RawEmailEnabled", enabled);
    }

    /// Posts sequentially, on the server's runtime.
    async fn post(&self, postings: Vec<Posting>) -> Reports {
        let poster = self.fake.poster.clone();
        let posting = self.server.spawn(async move {
            let mut reports = Vec::with_capacity(postings.len());
            for posting in postings {
                reports.push(poster.post(posting).await);
            }
            reports
        });
        posting.await.map_err(|_| TriggerError::Stopped)
    }
}

/// Creates the posting for an inbound message; empty if no inbound webhook is configured.
pub(super) fn received(
    fake: &Fake,
    raw_mime: &[u8],
    recipient: Option<&str>,
) -> Result<Vec<Posting>, TriggerError> {
    let state = fake.state();
    let with_raw = state.server.flag("RawEmailEnabled");
    let payload = inbound::payload(raw_mime, recipient, with_raw);
    let payload = payload.ok_or(TriggerError::NotAMessage)?;
    let url = state.server.text("InboundHookUrl");
    let posting = Posting {
        target: Target::new(url),
        payload,
        rule: RetryRule::Inbound,
    };
    Ok((!url.is_empty()).then_some(posting).into_iter().collect())
}
