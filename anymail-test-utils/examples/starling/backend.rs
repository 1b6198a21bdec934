//! The backend: Starling's capabilities, and one call for up to a thousand recipients of a message.
//!
//! `wire.rs` writes requests.

use std::time::Duration;

use anymail_core::{
    Accepted, Capabilities, EmailBackend, Feature, Message, Metadata, Objection, PreparedMessage,
    Secret, SendError, SendErrorKind, SendStatus, Status, StatusDetail, Support, parse_retry_after,
};
use async_trait::async_trait;
use reqwest::header::{HeaderValue, InvalidHeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::webhook::OWN_FIELDS;
use super::wire;

/// The name in statuses, errors and configurations.
pub const NAME: &str = "starling";
/// The maximum length of a response in bytes. An endless response would exhaust the memory.
const MAX_ANSWER: usize = 1024 * 1024;
/// The status that means success.
const ACCEPTED: u16 = 202;

/// Sends through Starling.
#[derive(Debug)]
pub struct Starling {
    http: reqwest::Client,
    url: String,
    key: Secret,
    authorization: HeaderValue,
    capabilities: Capabilities,
}

/// Why the backend could not be created.
#[derive(Debug)]
pub enum StarlingError {
    /// The key is not a valid header value.
    Key(InvalidHeaderValue),
    /// The HTTP client could not be created.
    Http(reqwest::Error),
}

impl std::error::Error for StarlingError {}

impl std::fmt::Display for StarlingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("invalid API key: not a valid HTTP header value"),
            Self::Http(error) => write!(f, "could not create the HTTP client: {error}"),
        }
    }
}

impl Starling {
    /// Creates a backend for the API at `url` (without a trailing slash).
    ///
    /// # Errors
    /// Returns [`StarlingError`] if a setting is invalid.
    pub fn new(url: &str, key: Secret, timeout: Duration) -> Result<Self, StarlingError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
            .map_err(StarlingError::Key)?;
        authorization.set_sensitive(true); // so that `Debug` does not show it
        let mut http = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none()); // it would take the key elsewhere
        if !url.starts_with("https:") {
            http = http.no_proxy(); // a proxy would see the key
        }
        Ok(Self {
            http: http.build().map_err(StarlingError::Http)?,
            url: format!("{url}/v3/mail/send"),
            key,
            authorization,
            capabilities: Capabilities::from([
                (Feature::ReplyTo, Support::AtMost(1000)),
                (Feature::Headers, Support::Yes),
                (Feature::Attachments, Support::Yes),
                (Feature::InlineAttachments, Support::Yes),
                (Feature::AmpHtml, Support::Yes),
                (Feature::Alternatives, Support::Yes),
                (Feature::Metadata, Support::Yes),
                (Feature::Tags, Support::AtMost(10)),
                (Feature::TrackOpens, Support::Yes),
                (Feature::TrackClicks, Support::Yes),
                (Feature::SendAt, Support::Yes),
                (Feature::Template, Support::Yes),
                (Feature::Batch, Support::Yes),
                (Feature::MergeData, Support::With(Feature::Template)),
                (Feature::MergeGlobalData, Support::With(Feature::Template)),
                (Feature::MergeMetadata, Support::Yes),
                (Feature::MergeHeaders, Support::Yes),
                (Feature::EspExtra, Support::Yes),
            ]),
        })
    }

    /// Makes one call and returns the ID of its messages, if Starling sends one.
    async fn call(&self, request: &Value) -> Result<Option<String>, SendError> {
        let request = self.http.post(&self.url).json(request);
        let request = request.header("authorization", self.authorization.clone());
        let response = request.send().await.map_err(no_response)?;
        let http_status = response.status().as_u16();
        let header = |name| response.headers().get(name)?.to_str().ok();
        if http_status == ACCEPTED {
            let id = header("x-message-id").filter(|id| !id.is_empty());
            return Ok(id.map(str::to_owned));
        }
        let retry_after = header(RETRY_AFTER.as_str()).and_then(parse_retry_after);
        let body = read(response).await.unwrap_or_default();
        // Without Starling's own error message, only the status is known, because a proxy may have
        // sent it.
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let words = json.as_ref().and_then(wire::error);
        let error = SendError::from_http_status(NAME, http_status)
            .with_message(self.key.redact(words.unwrap_or_default()))
            .with_retry_after(retry_after);
        Err(match words {
            Some(_) => error.said_by_esp(),
            None => error,
        })
    }
}

/// Reads the body of a response, up to the limit; `None` if it was lost or is longer.
async fn read(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        if body.len() + piece.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    Some(body)
}

/// Once the request was sent, a lost response may have been a success.
fn no_response(error: reqwest::Error) -> SendError {
    let kind = match () {
        () if error.is_connect() => SendErrorKind::Connect,
        () if error.is_timeout() => SendErrorKind::Timeout,
        () => SendErrorKind::Disconnected,
    };
    SendError::new(kind, NAME, "").with_source(error.without_url())
}

#[async_trait]
impl EmailBackend for Starling {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let mut objections = Vec::new();
        let extra = message.esp_extra.value();
        if extra.is_some_and(|extra| extra.contains_key("personalizations")) {
            let words = "does not allow personalizations in `esp_extra`";
            objections.push(Objection::new(words, "personalizations"));
        }
        // Starling merges metadata into the fields of an event, which would hide these keys.
        let all = message.metadata.value().into_iter();
        let own = message.merge_metadata.value().into_iter();
        let own = own.flat_map(|map| map.iter().map(|(_, metadata)| metadata));
        let mut lost: Vec<&String> = all.chain(own).flat_map(Metadata::keys).collect();
        lost.retain(|key| OWN_FIELDS.contains(&key.as_str()));
        lost.sort();
        lost.dedup();
        for key in lost {
            objections.push(Objection::new(
                "does not support metadata with this name",
                key.as_str(),
            ));
        }
        objections
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let mut status = SendStatus::unknown(NAME, message.message());
        let (mut taken, mut failed) = (false, None::<SendError>);
        for to in wire::calls(message) {
            match self.call(&wire::request(message, to)).await {
                Ok(id) => {
                    // If the first call sent a copy, the status of that recipient is settled.
                    let copies: &[_] = if taken {
                        &[]
                    } else {
                        &[message.cc(), message.bcc()]
                    };
                    for address in copies.iter().copied().flatten().chain(to) {
                        status.set(&address.key(), Status::Queued, id.clone(), None);
                    }
                    taken = true;
                }
                Err(error) => {
                    // The result of a lost call is not known: its recipients stay unknown.
                    if error.accepted() == Accepted::No {
                        for to in to {
                            let why = StatusDetail::new(None, error.to_string());
                            status.set(&to.key(), Status::Failed, None, Some(why));
                        }
                    }
                    let no = |it: &SendError| it.accepted() == Accepted::No;
                    if failed.as_ref().is_none_or(no) {
                        failed = Some(error);
                    }
                }
            }
        }
        match failed {
            Some(error) if !taken => Err(error),
            _ => Ok(status),
        }
    }
}
