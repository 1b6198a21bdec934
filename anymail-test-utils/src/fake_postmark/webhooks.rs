//! Posting to webhooks: one HTTP call, Postmark's retry rules, and a report of both.
//!
//! What is posted is in `payloads.rs` and `inbound.rs`; to whom is decided in `events.rs`.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Url, redirect};
use serde_json::Value;

use super::state::{Fake, new_id};

/// Where to post, and with what credentials. `Debug` shows neither these nor the headers.
#[derive(Clone)]
pub(super) struct Target {
    /// Its user and password, if it has any, are for HTTP Basic authentication.
    pub(super) url: String,
    pub(super) auth: Option<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
}

impl Target {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            auth: None,
            headers: Vec::new(),
        }
    }

    /// The URL without its user and password.
    pub(super) fn shown_url(&self) -> String {
        let Ok(mut url) = Url::parse(&self.url) else {
            return String::new();
        };
        // Both fail only for URLs that cannot have a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.shown_url())
    }
}

/// Whether this can be posted to.
pub(super) fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// One event for one webhook.
#[derive(Debug, Clone)]
pub(super) struct Posting {
    pub(super) target: Target,
    pub(super) payload: Value,
    pub(super) rule: RetryRule,
}

/// When a webhook is tried again. DOC, of 2026; older pages have the second table for both
#[derive(Debug, Clone, Copy)]
pub(super) enum RetryRule {
    /// Tracking events: 2xx is success; 408, 429, 5xx and no answer are retried.
    Outbound,
    /// Received mail: only 200 is success; only 403 is final.
    Inbound,
}

impl RetryRule {
    /// The pauses before the tries after the first, in minutes.
    fn pauses(self) -> &'static [u32] {
        match self {
            Self::Outbound => &[1, 5, 10, 10, 10, 15],
            Self::Inbound => &[1, 5, 10, 10, 10, 15, 30, 60, 120, 360],
        }
    }

    fn tries_again_after(self, status: Option<u16>) -> bool {
        match (self, status) {
            (_, None) => true,
            (Self::Outbound, Some(status)) => matches!(status, 408 | 429 | 500..=599),
            (Self::Inbound, Some(status)) => status != 200 && status != 403,
        }
    }

    fn is_success(self, status: u16) -> bool {
        match self {
            Self::Outbound => (200..300).contains(&status),
            Self::Inbound => status == 200,
        }
    }
}

/// What became of one event at one webhook: every try, and what the receiver answered.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct WebhookReport {
    /// The webhook's URL, without user and password.
    pub url: String,
    /// The JSON that was posted.
    pub payload: Value,
    /// `X-PM-Webhook-Trace-Id`, the same at each try.
    pub trace_id: String,
    /// The tries, in order; at least one.
    pub tries: Vec<WebhookTry>,
    /// Whether the receiver took it in the end.
    pub delivered: bool,
}

/// One try to post an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookTry {
    /// The HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// The body of the answer; or what went wrong, where there was none.
    pub answer: String,
}

impl WebhookReport {
    /// The HTTP status of the last answer; `None` if the last try had none.
    pub fn status(&self) -> Option<u16> {
        self.tries.last()?.status
    }
}

/// The statuses; neither the payload nor the answers.
impl fmt::Debug for WebhookReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<_> = self.tries.iter().map(|one| one.status).collect();
        f.debug_struct("WebhookReport")
            .field("url", &self.url)
            .field("trace_id", &self.trace_id)
            .field("statuses", &statuses)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

/// What posts, on the server's runtime, since connections live and die with theirs.
#[derive(Debug, Clone)]
pub(super) struct Poster {
    /// Made when there is something to post: where the build has reqwest's TLS without a
    /// provider of it, making a client panics.
    client: Arc<OnceLock<Client>>,
    tls_client: Arc<OnceLock<Client>>,
    minute: Duration,
}

/// How long a receiver may take. DOC for received mail; not documented for the rest
const TIMEOUT: Duration = Duration::from_secs(120);

impl Poster {
    /// Pauses of a minute take `minute` instead.
    pub(super) fn new(minute: Duration) -> Self {
        Self {
            client: Arc::default(),
            tls_client: Arc::default(),
            minute,
        }
    }

    /// Posts one event until the receiver takes it, refuses it, or the tries are used up.
    pub(super) async fn post(&self, posting: Posting) -> WebhookReport {
        let Posting {
            target,
            payload,
            rule,
        } = posting;
        let mut report = WebhookReport {
            url: target.shown_url(),
            payload,
            trace_id: new_id(),
            tries: Vec::new(),
            delivered: false,
        };
        let pauses = rule.pauses();
        for remaining in (0..=pauses.len()).rev() {
            let body = &report.payload;
            let one = self.try_once(&target, body, remaining, &report.trace_id);
            let one = one.await;
            let status = one.status;
            report.tries.push(one);
            report.delivered = status.is_some_and(|status| rule.is_success(status));
            if !rule.tries_again_after(status) {
                break;
            }
            if let Some(minutes) = pauses.get(pauses.len() - remaining) {
                tokio::time::sleep(self.minute * *minutes).await;
            }
        }
        report
    }

    /// A client for posts to `url`. They hold passwords and messages, so a proxy may carry them
    /// inside TLS only: the client that uses one follows no redirect out of TLS.
    fn client(&self, url: &str) -> reqwest::Result<Client> {
        let within_tls = redirect::Policy::custom(|attempt| match attempt.url().scheme() {
            "https" if attempt.previous().len() <= 10 => attempt.follow(),
            _ => attempt.stop(),
        });
        let (place, builder) = match Url::parse(url) {
            Ok(url) if url.scheme() == "https" => {
                (&self.tls_client, Client::builder().redirect(within_tls))
            }
            _ => (&self.client, Client::builder().no_proxy()),
        };
        match place.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let client = builder.build()?;
                Ok(place.get_or_init(|| client).clone())
            }
        }
    }

    async fn try_once(
        &self,
        target: &Target,
        payload: &Value,
        remaining: usize,
        trace_id: &str,
    ) -> WebhookTry {
        let failed = |error: reqwest::Error| WebhookTry {
            status: None,
            answer: describe(&error.without_url()),
        };
        let client = match self.client(&target.url) {
            Ok(client) => client,
            Err(error) => return failed(error),
        };
        let mut request = client
            .post(&target.url)
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "fake-postmark")
            .header("X-PM-Retries-Remaining", remaining)
            .header("X-PM-Webhook-Trace-Id", trace_id)
            .body(payload.to_string());
        if let Some((username, password)) = &target.auth {
            request = request.basic_auth(username, Some(password));
        }
        for (name, value) in &target.headers {
            let name = HeaderName::try_from(name.as_str());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value.as_str())) {
                request = request.header(name, value);
            }
        }
        match request.send().await {
            Ok(response) => WebhookTry {
                status: Some(response.status().as_u16()),
                answer: response.text().await.unwrap_or_default(),
            },
            Err(error) => failed(error),
        }
    }
}

/// An error with what is behind it, without its URL, which may hold a password.
fn describe(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

impl Fake {
    /// Posts without waiting for it. For handlers, which run on the server's runtime.
    pub(super) fn post_in_background(&self, postings: Vec<Posting>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let poster = self.poster.clone();
        runtime.spawn(async move {
            for posting in postings {
                poster.post(posting).await;
            }
        });
    }

    /// Posts once, and waits for the HTTP status. For handlers, which may block.
    ///
    /// # Errors
    /// In words, when there was no answer.
    pub(super) fn probe(&self, target: &Target, payload: &Value) -> Result<u16, String> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let trace_id = new_id();
        let one = runtime.block_on(self.poster.try_once(target, payload, 0, &trace_id));
        one.status.ok_or(one.answer)
    }
}
