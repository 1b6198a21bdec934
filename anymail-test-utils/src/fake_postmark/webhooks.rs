//! Posts to webhooks: one HTTP call per attempt, Postmark's retry rules, and a report.
//!
//! `payloads.rs` and `inbound.rs` build the payloads; `events.rs` selects the webhooks.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Url, redirect};
use serde_json::Value;

use super::state::{Fake, new_id};

/// A webhook's URL and credentials. `Debug` shows neither credentials nor headers.
#[derive(Clone)]
pub(super) struct Target {
    /// The URL; its user and password, if any, are used for HTTP basic authentication.
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

    /// Returns the URL without its user and password.
    pub(super) fn shown_url(&self) -> String {
        let Ok(mut url) = Url::parse(&self.url) else {
            return String::new();
        };
        // Both calls fail only for URLs that cannot have a user.
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

/// Whether the URL is valid for posting.
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

/// When a webhook is retried. DOC, of 2026; older pages have the second table for both
#[derive(Debug, Clone, Copy)]
pub(super) enum RetryRule {
    /// Tracking events: 2xx is success; 408, 429, 5xx and a missing response are retried.
    Outbound,
    /// Inbound messages: only 200 is success; only 403 is final.
    Inbound,
}

impl RetryRule {
    /// The pauses before the retries, in minutes.
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

/// The result of posting one event to one webhook, with every attempt.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct WebhookReport {
    /// The webhook's URL, without user and password.
    pub url: String,
    /// The JSON that was posted.
    pub payload: Value,
    /// `X-PM-Webhook-Trace-Id`, which is the same for each attempt.
    pub trace_id: String,
    /// The attempts in order; at least one.
    pub attempts: Vec<WebhookAttempt>,
    /// Whether the receiver finally accepted the event.
    pub delivered: bool,
}

/// One attempt to post an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookAttempt {
    /// The HTTP status; `None` if there was no response.
    pub status: Option<u16>,
    /// The body of the response; the error if there was no response.
    pub body: String,
}

impl WebhookReport {
    /// Returns the HTTP status of the last attempt; `None` if it had no response.
    pub fn status(&self) -> Option<u16> {
        self.attempts.last()?.status
    }
}

/// Shows the statuses, but neither the payload nor the responses.
impl fmt::Debug for WebhookReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<_> = self.attempts.iter().map(|one| one.status).collect();
        f.debug_struct("WebhookReport")
            .field("url", &self.url)
            .field("trace_id", &self.trace_id)
            .field("statuses", &statuses)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

/// Posts webhooks on the server's runtime, because connections belong to a runtime.
#[derive(Debug, Clone)]
pub(super) struct Poster {
    /// Created on first use, because creating a client panics if reqwest is built with TLS but
    /// without a TLS provider.
    client: Arc<OnceLock<Client>>,
    tls_client: Arc<OnceLock<Client>>,
    minute: Duration,
}

/// The time limit for a receiver. DOC for inbound messages; not documented otherwise
const TIMEOUT: Duration = Duration::from_secs(120);

impl Poster {
    /// Creates a poster that waits `minute` instead of a minute.
    pub(super) fn new(minute: Duration) -> Self {
        Self {
            client: Arc::default(),
            tls_client: Arc::default(),
            minute,
        }
    }

    /// Posts an event until the receiver accepts or refuses it or the retries are exhausted.
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
            attempts: Vec::new(),
            delivered: false,
        };
        let pauses = rule.pauses();
        for remaining in (0..=pauses.len()).rev() {
            let body = &report.payload;
            let one = self.try_once(&target, body, remaining, &report.trace_id);
            let one = one.await;
            let status = one.status;
            report.attempts.push(one);
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

    /// Returns a client for posts to `url`. Posts contain passwords and messages, so a proxy may
    /// carry them only inside TLS: the client that uses a proxy follows no redirect out of TLS.
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
    ) -> WebhookAttempt {
        let failed = |error: reqwest::Error| WebhookAttempt {
            status: None,
            body: describe(&error.without_url()),
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
            Ok(response) => WebhookAttempt {
                status: Some(response.status().as_u16()),
                body: response.text().await.unwrap_or_default(),
            },
            Err(error) => failed(error),
        }
    }
}

/// Formats an error with its sources, without its URL, which may contain a password.
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
    /// Posts in the background. For handlers, which run on the server's runtime.
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

    /// Posts once and waits for the HTTP status. For handlers, which may block.
    ///
    /// # Errors
    /// Returns a description of the error if there was no response.
    pub(super) fn probe(&self, target: &Target, payload: &Value) -> Result<u16, String> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let trace_id = new_id();
        let one = runtime.block_on(self.poster.try_once(target, payload, 0, &trace_id));
        one.status.ok_or(one.body)
    }
}
