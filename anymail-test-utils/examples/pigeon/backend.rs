//! The backend: Pigeon's capabilities, and one call for up to a hundred messages.
//!
//! `wire.rs` writes requests and reads responses.

use std::time::Duration;

use anymail_core::{
    Accepted, Capabilities, EmailBackend, Feature, Message, Objection, PreparedMessage, Secret,
    SendError, SendErrorKind, SendStatus, Status, StatusDetail, Support, parse_retry_after,
};
use async_trait::async_trait;
use reqwest::header::{HeaderValue, InvalidHeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use crate::wire::{Mail, Row, mails, results};

/// The name in statuses, errors and configurations.
pub const NAME: &str = "pigeon";
/// The maximum number of messages in one call.
const MAX_MAILS: usize = 100;
/// The maximum length of a response in bytes. An endless response would exhaust the memory.
const MAX_ANSWER: usize = 1024 * 1024;

/// Sends through Pigeon.
#[derive(Debug)]
pub struct Pigeon {
    http: reqwest::Client,
    url: String,
    key: Secret,
    authorization: HeaderValue,
    capabilities: Capabilities,
}

/// Why the backend could not be created.
#[derive(Debug)]
pub enum PigeonError {
    /// The key is not a valid header value.
    Key(InvalidHeaderValue),
    /// The HTTP client could not be created.
    Http(reqwest::Error),
}

impl std::error::Error for PigeonError {}

impl std::fmt::Display for PigeonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("invalid API key: not a valid HTTP header value"),
            Self::Http(error) => write!(f, "could not create the HTTP client: {error}"),
        }
    }
}

impl Pigeon {
    /// Creates a backend for the API at `url` (without a trailing slash).
    ///
    /// # Errors
    /// Returns [`PigeonError`] if a setting is invalid.
    pub fn new(url: &str, key: Secret, timeout: Duration) -> Result<Self, PigeonError> {
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(PigeonError::Key)?;
        authorization.set_sensitive(true); // so that `Debug` does not show it
        let mut http = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none()); // it would take the key elsewhere
        if !url.starts_with("https:") {
            http = http.no_proxy(); // a proxy would see the key
        }
        let http = http.build().map_err(PigeonError::Http)?;
        Ok(Self {
            http,
            url: url.to_owned(),
            key,
            authorization,
            capabilities: Capabilities::from([
                (Feature::ReplyTo, Support::AtMost(1)),
                (Feature::Headers, Support::Yes),
                (Feature::Attachments, Support::Yes),
                (
                    Feature::InlineAttachments,
                    Support::Without(Feature::Template),
                ),
                (Feature::Metadata, Support::Yes),
                (Feature::Tags, Support::AtMost(3)),
                (Feature::TrackOpens, Support::Yes),
                (Feature::SendAt, Support::Yes),
                (Feature::Template, Support::Yes),
                (Feature::Batch, Support::Yes),
                (Feature::MergeData, Support::With(Feature::Template)),
                (Feature::MergeGlobalData, Support::With(Feature::Template)),
                (Feature::MergeMetadata, Support::Yes),
                (Feature::MergeHeaders, Support::Yes),
                (Feature::WithoutTo, Support::Yes),
                (Feature::EspExtra, Support::Yes),
            ]),
        })
    }

    /// Makes one call.
    pub async fn call(&self, request: &Value) -> Result<Value, SendError> {
        let request = self
            .http
            .post(format!("{}/v1/mails", self.url))
            .json(request);
        let request = request.header("authorization", self.authorization.clone());
        let response = request.send().await.map_err(no_response)?;
        let http_status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| parse_retry_after(value.to_str().ok()?));
        let body = read(response).await;
        if http_status != 200 {
            // Without Pigeon's own error message, only the status is known, because a proxy may
            // have sent it.
            let json = body
                .ok()
                .and_then(|body| serde_json::from_slice::<Value>(&body).ok());
            let words = json.as_ref().and_then(|json| json.get("error")?.as_str());
            let error = SendError::from_http_status(NAME, http_status)
                .with_message(self.key.redact(words.unwrap_or_default()))
                .with_retry_after(retry_after);
            return Err(match words {
                Some(_) => error.said_by_esp(),
                None => error,
            });
        }
        serde_json::from_slice(&body?).map_err(|_| no_sense())
    }
}

/// Reads the body of a response, up to the limit.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(no_response)? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(no_sense());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Once the request was sent, a lost response may have been a success. All these kinds of error
/// report that, except `Connect`.
fn no_response(error: reqwest::Error) -> SendError {
    let kind = match () {
        () if error.is_connect() => SendErrorKind::Connect,
        () if error.is_timeout() => SendErrorKind::Timeout,
        () => SendErrorKind::Disconnected,
    };
    SendError::new(kind, NAME, "").with_source(error.without_url())
}

fn no_sense() -> SendError {
    SendError::from_http_status(NAME, 200)
        .with_message("the response does not have the format of Pigeon")
}

#[async_trait]
impl EmailBackend for Pigeon {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let extra = message.esp_extra.value().into_iter().flatten();
        let recipients = extra.filter(|(key, _)| ["to", "cc", "bcc"].contains(&&***key));
        recipients
            .map(|(key, _)| {
                Objection::new(
                    format!("does not support {key} in `esp_extra`"),
                    key.as_str(),
                )
            })
            .collect()
    }

    fn max_batch(&self) -> usize {
        MAX_MAILS
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let mut results = self.send_many(std::slice::from_ref(message)).await;
        results.pop().unwrap_or_else(|| Err(no_sense()))
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        let mut tally = Tally::new(messages);
        let all: Vec<_> = mails(messages).collect();
        for mails in all.chunks(MAX_MAILS) {
            let request = json!({ "mails": mails.iter().map(Mail::write).collect::<Vec<_>>() });
            let response = self.call(&request).await;
            tally.enter(mails, response.map(|response| results(&response)));
        }
        tally.results()
    }
}

/// The result of each message while responses arrive.
pub struct Tally(Vec<Entry>);

struct Entry {
    status: SendStatus,
    /// Whether a response mentioned one of its messages.
    answered: bool,
    error: Option<SendError>,
}

impl Tally {
    /// Nothing is known about any recipient yet.
    pub fn new(messages: &[PreparedMessage]) -> Self {
        let unknown = |message: &PreparedMessage| Entry {
            status: SendStatus::unknown(NAME, message.message()),
            answered: false,
            error: None,
        };
        Self(messages.iter().map(unknown).collect())
    }

    /// Records the response to a call: a result for each message in order, or an error for all.
    pub fn enter(&mut self, mails: &[Mail<'_>], response: Result<Vec<Row>, SendError>) {
        let (rows, error) = match response {
            Ok(rows) => (rows, no_sense()), // for messages without a row
            Err(error) => (Vec::new(), error),
        };
        let mut rows = rows.into_iter();
        for mail in mails {
            let Some(entry) = self.0.get_mut(mail.message) else {
                continue;
            };
            if let Some(row) = rows.next() {
                row.enter_into(&mut entry.status);
                entry.answered = true;
                continue;
            }
            // Another call may have sent the message to other recipients of the batch. These did
            // not get it, or their result stays unknown.
            if error.accepted() == Accepted::No {
                for to in mail.to {
                    let why = StatusDetail::new(None, error.to_string());
                    entry.status.set(&to.key(), Status::Failed, None, Some(why));
                }
            }
            // A single lost call is enough: a message that may have been accepted must not be sent
            // again.
            if entry
                .error
                .as_ref()
                .is_none_or(|it| it.accepted() == Accepted::No)
            {
                entry.error = Some(error.clone());
            }
        }
    }

    /// Returns one result per message: a status as soon as one of its calls succeeded.
    pub fn results(self) -> Vec<Result<SendStatus, SendError>> {
        let result = |entry: Entry| match entry.error {
            Some(error) if !entry.answered => Err(error),
            _ => Ok(entry.status),
        };
        self.0.into_iter().map(result).collect()
    }
}
