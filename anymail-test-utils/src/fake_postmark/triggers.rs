//! What a test makes happen: deliveries, bounces, opens, received mail, and their webhooks.
//!
//! What each does to the state is in `events.rs`.

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
/// Each method lets something happen to a message, tells all webhooks that want to know, and
/// comes back when these have answered, or their tries are used up: with one report for each
/// event and webhook. Without webhooks, the reports are empty and the state changes all the
/// same.
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
    /// Delivers a message, as far as its recipients let it: `hardbounce@...` and
    /// `softbounce@...` bounce, `spamcomplaint@...` gets it and complains, and so do the
    /// addresses of Postmark's own `bounce-testing.postmarkapp.com`. A message whose template
    /// could not be rendered bounces.
    ///
    /// # Errors
    /// No message has this id.
    pub async fn deliver(&self, id: &str) -> Reports {
        self.post(self.fake.deliver(id)?).await
    }

    /// Lets a message bounce from every recipient. A kind that makes an address inactive
    /// suppresses it on the message's stream, and tells of that, too.
    ///
    /// # Errors
    /// No message has this id.
    pub async fn bounce(&self, id: &str, kind: BounceType) -> Reports {
        self.post(self.fake.bounce(id, kind)?).await
    }

    /// Lets every recipient call a message spam, which suppresses them for good.
    ///
    /// # Errors
    /// No message has this id.
    pub async fn complain(&self, id: &str) -> Reports {
        self.bounce(id, BounceType::SpamComplaint).await
    }

    /// Lets every recipient open a message, whether or not opens are tracked.
    ///
    /// # Errors
    /// No message has this id.
    pub async fn open(&self, id: &str) -> Reports {
        self.post(self.fake.open(id)?).await
    }

    /// Lets every recipient follow a link, whether or not links are tracked. Only the first
    /// time is told.
    ///
    /// # Errors
    /// No message has this id.
    pub async fn click(&self, id: &str, link: &str) -> Reports {
        self.post(self.fake.click(id, link)?).await
    }

    /// Lets every recipient unsubscribe from the message's stream.
    ///
    /// # Errors
    /// No message has this id.
    pub async fn unsubscribe(&self, id: &str) -> Reports {
        self.post(self.fake.unsubscribe(id)?).await
    }

    /// Receives a mail (RFC 5322, with its line ends as they come) for whom it names first in
    /// To or Cc, and posts it to the inbound webhook.
    ///
    /// # Errors
    /// [`TriggerError::NotAMail`] when there is nothing in it to read.
    pub async fn receive(&self, raw_mime: &[u8]) -> Reports {
        self.receive_as(raw_mime, None).await
    }

    /// Receives a mail for the recipient of its envelope, who need not be named in it.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_for(&self, raw_mime: &[u8], recipient: &str) -> Reports {
        self.receive_as(raw_mime, Some(recipient)).await
    }

    async fn receive_as(&self, raw_mime: &[u8], recipient: Option<&str>) -> Reports {
        self.post(received(&self.fake, raw_mime, recipient)?).await
    }

    /// Posts every event of every stream to this URL, without verifying it first as
    /// `POST webhooks` does. `http://user:password@...` is for HTTP Basic authentication.
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

    /// Posts received mail to this URL, in place of the one before.
    pub fn set_inbound_webhook(&self, url: &str) {
        self.fake.state().server.set_text("InboundHookUrl", url);
    }

    /// Whether received mail is posted with its source, as `RawEmail`. `false` at first.
    pub fn set_raw_email(&self, enabled: bool) {
        self.fake
            .state()
            .server
            .set_flag("RawEmailEnabled", enabled);
    }

    /// Posts one after the other, on the server's runtime.
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

/// The posting for a received mail; none if nobody wants to know.
pub(super) fn received(
    fake: &Fake,
    raw_mime: &[u8],
    recipient: Option<&str>,
) -> Result<Vec<Posting>, TriggerError> {
    let state = fake.state();
    let with_raw = state.server.flag("RawEmailEnabled");
    let payload = inbound::payload(raw_mime, recipient, with_raw);
    let payload = payload.ok_or(TriggerError::NotAMail)?;
    let url = state.server.text("InboundHookUrl");
    let posting = Posting {
        target: Target::new(url),
        payload,
        rule: RetryRule::Inbound,
    };
    Ok((!url.is_empty()).then_some(posting).into_iter().collect())
}
