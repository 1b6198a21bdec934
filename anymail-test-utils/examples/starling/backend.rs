//! The backend: what Starling can do, and a call for up to a thousand recipients of one message.
//!
//! What a request looks like is in `wire.rs`.

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

/// The name in statuses, errors and configuration.
pub const NAME: &str = "starling";
/// The longest answer that is read, in bytes: one without an end would fill the memory.
const MAX_ANSWER: usize = 1024 * 1024;
/// The status of Starling's yes.
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

/// Why there is no backend.
#[derive(Debug)]
pub enum StarlingError {
    /// The key cannot stand in an HTTP header.
    Key(InvalidHeaderValue),
    /// There is no HTTP client.
    Http(reqwest::Error),
}

impl std::error::Error for StarlingError {}

impl std::fmt::Display for StarlingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("the key holds a character that no HTTP header can carry"),
            Self::Http(error) => write!(f, "no HTTP client: {error}"),
        }
    }
}

impl Starling {
    /// A backend for the API at `url` (without a slash at its end).
    ///
    /// # Errors
    /// [`StarlingError`].
    pub fn new(url: &str, key: Secret, timeout: Duration) -> Result<Self, StarlingError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
            .map_err(StarlingError::Key)?;
        authorization.set_sensitive(true); // so that it does not print
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

    /// Makes one call: the id of its mails, where Starling gives one.
    async fn call(&self, request: &Value) -> Result<Option<String>, SendError> {
        let request = self.http.post(&self.url).json(request);
        let request = request.header("authorization", self.authorization.clone());
        let answer = request.send().await.map_err(no_answer)?;
        let http_status = answer.status().as_u16();
        let header = |name| answer.headers().get(name)?.to_str().ok();
        if http_status == ACCEPTED {
            let id = header("x-message-id").filter(|id| !id.is_empty());
            return Ok(id.map(str::to_owned));
        }
        let retry_after = header(RETRY_AFTER.as_str()).and_then(parse_retry_after);
        let body = read(answer).await.unwrap_or_default();
        // Without Starling's own words the status alone has to do: a proxy may have written it.
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

/// Reads an answer's body, up to the limit; `None` for one that is lost or longer.
async fn read(mut answer: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        if body.len() + piece.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    Some(body)
}

/// Once the request was on its way, a lost answer may have been a yes.
fn no_answer(error: reqwest::Error) -> SendError {
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
        // Starling posts metadata among the fields of an event, where these would be lost.
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
                    // The copies of the first call are enough to say that somebody has one.
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
                    // Of a lost call nobody knows: its recipients stay unknown.
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
