//! The backend: Magpie's capabilities, and one call for up to a thousand recipients of a message.
//!
//! `wire.rs` writes requests and reads responses.

use std::time::Duration;

use anymail_core::{
    Accepted, Address, Capabilities, EmailBackend, Feature, Message, Objection, PreparedMessage,
    Secret, SendError, SendErrorKind, SendStatus, Status, StatusDetail, Support, parse_retry_after,
};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::multipart::Form;
use serde_json::Value;

use super::wire;

/// The name in statuses, errors and configurations.
pub const NAME: &str = "magpie";
/// The user name of HTTP basic authentication; the key is the password.
const USER: &str = "api";
/// The maximum length of a response in bytes. An endless response would exhaust the memory.
const MAX_ANSWER: usize = 1024 * 1024;
/// Keys of `esp_extra` that add recipients or make the recipients of a batch visible to each other.
const NO_OPTIONS: [&str; 4] = ["to", "cc", "bcc", "recipient-variables"];

/// Sends through Magpie.
#[derive(Debug)]
pub struct Magpie {
    http: reqwest::Client,
    url: String,
    /// The key, and the value of the header that contains it: Magpie may repeat either.
    secrets: [Secret; 2],
    authorization: HeaderValue,
    capabilities: Capabilities,
}

/// Why the backend could not be created.
#[derive(Debug)]
pub enum MagpieError {
    /// The domain is invalid, so it cannot be part of the URL.
    Domain,
    /// The HTTP client could not be created.
    Http(reqwest::Error),
}

impl std::error::Error for MagpieError {}

impl std::fmt::Display for MagpieError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain => {
                f.write_str("invalid domain: expected letters, digits, dots and hyphens")
            }
            Self::Http(error) => write!(f, "could not create the HTTP client: {error}"),
        }
    }
}

impl Magpie {
    /// Creates a backend for the API at `url` (without a trailing slash) that sends from `domain`.
    ///
    /// # Errors
    /// Returns [`MagpieError`] if a setting is invalid.
    pub fn new(
        url: &str,
        domain: &str,
        key: Secret,
        timeout: Duration,
    ) -> Result<Self, MagpieError> {
        let fit = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if domain.is_empty() || !domain.chars().all(fit) {
            return Err(MagpieError::Domain);
        }
        let code = STANDARD.encode(format!("{USER}:{}", key.expose()));
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {code}")).map_err(|_| MagpieError::Domain)?;
        authorization.set_sensitive(true); // so that `Debug` does not show it
        let mut http = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none()); // it would take the key elsewhere
        if !url.starts_with("https:") {
            http = http.no_proxy(); // a proxy would see the key
        }
        Ok(Self {
            http: http.build().map_err(MagpieError::Http)?,
            url: format!("{url}/v3/{domain}/messages"),
            secrets: [key, Secret::new(code)],
            authorization,
            capabilities: Capabilities::from([
                (Feature::ReplyTo, Support::Yes),
                (Feature::Headers, Support::Yes),
                (Feature::Attachments, Support::Yes),
                (Feature::InlineAttachments, Support::Yes),
                (Feature::AmpHtml, Support::Yes),
                (Feature::Metadata, Support::Yes),
                (Feature::Tags, Support::AtMost(10)),
                (Feature::TrackOpens, Support::Yes),
                (Feature::TrackClicks, Support::Yes),
                (Feature::SendAt, Support::Yes),
                (Feature::Template, Support::Yes),
                (Feature::TemplateSubject, Support::Yes),
                (Feature::Batch, Support::Yes),
                // Values by recipient are strings only, unlike a template's values.
                (Feature::MergeData, Support::Without(Feature::Template)),
                (
                    Feature::MergeGlobalData,
                    Support::with_any([Feature::Template, Feature::Batch]),
                ),
                (Feature::MergeMetadata, Support::Yes),
                (Feature::MergeHeaders, Support::Yes),
                (Feature::EspExtra, Support::Yes),
            ]),
        })
    }

    /// Makes one call and returns the ID of its messages and the complete response.
    async fn call(&self, form: Form) -> Result<(String, String), SendError> {
        let request = self.http.post(&self.url).multipart(form);
        let request = request.header("authorization", self.authorization.clone());
        let response = request.send().await.map_err(no_response)?;
        let http_status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| parse_retry_after(value.to_str().ok()?));
        let body = read(response).await;
        if http_status != 200 {
            let json = body
                .ok()
                .and_then(|body| serde_json::from_slice::<Value>(&body).ok());
            let words = json.as_ref().and_then(|json| json.get("message")?.as_str());
            let error = SendError::from_http_status(NAME, http_status)
                .with_message(self.redact(words.unwrap_or_default()))
                .with_retry_after(retry_after);
            // Gateways write JSON of the same form if they got no response, but never refuse a
            // request with it.
            return Err(match words {
                Some(_) if http_status < 500 => error.said_by_esp(),
                _ => error,
            });
        }
        let body = body?;
        let json: Value = serde_json::from_slice(&body).map_err(|_| no_sense())?;
        let id = wire::message_id(&json).ok_or_else(no_sense)?;
        Ok((id, String::from_utf8_lossy(&body).into_owned()))
    }

    fn redact(&self, words: &str) -> String {
        let redact = |text: String, secret: &Secret| secret.redact(&text);
        self.secrets.iter().fold(words.to_owned(), redact)
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

/// Once the request was sent, a lost response may have been a success.
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
        .with_message("the response does not have the format of Magpie")
}

#[async_trait]
impl EmailBackend for Magpie {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let extra = message.esp_extra.value().into_iter().flatten();
        let refused = extra.filter(|(key, _)| NO_OPTIONS.contains(&&***key));
        refused
            .map(|(key, _)| {
                Objection::new(
                    format!("does not support {key} in `esp_extra`"),
                    key.as_str(),
                )
            })
            .collect()
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let mut status = SendStatus::unknown(NAME, message.message());
        let (mut taken, mut failed) = (false, None::<SendError>);
        for to in wire::calls(message) {
            match self.call(wire::form(message, to)).await {
                Ok((id, response)) => {
                    // If the first call sent a copy, the status of that recipient is settled.
                    let copies: &[_] = if taken {
                        &[]
                    } else {
                        &[message.cc(), message.bcc()]
                    };
                    for people in copies.iter().copied().chain([to]) {
                        queued(&mut status, people, &id);
                    }
                    status.esp_responses.push(self.redact(&response));
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

/// Magpie reports the same for all recipients: it accepted the message and will try to deliver it.
fn queued(status: &mut SendStatus, people: &[Address], id: &str) {
    for address in people {
        status.set(&address.key(), Status::Queued, Some(id.to_owned()), None);
    }
}
