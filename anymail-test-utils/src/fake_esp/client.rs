//! Makes one HTTP call to the fictional ESP and classifies its failures.
//!
//! `response.rs` reads the response.

use std::error::Error;
use std::time::Duration;

use anymail_core::{Secret, SendError, SendErrorKind, parse_retry_after};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Url, redirect};
use serde_json::Value;

use super::NAME;
use super::config::{FakeEspConfig, FakeEspConfigError};

/// The maximum length of a response, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    api_key: Secret,
}

/// A complete response, with the key redacted if the server echoed it.
pub(super) struct Answer {
    pub(super) http_status: u16,
    pub(super) text: String,
    pub(super) retry_after: Option<Duration>,
}

impl Client {
    pub(super) fn new(config: FakeEspConfig) -> Result<Self, FakeEspConfigError> {
        let fault = |option, problem: String| FakeEspConfigError { option, problem };
        let url = Url::parse(&config.api_url).and_then(|url| url.join("v1/messages"));
        let url = url.map_err(|error| fault("api_url", error.to_string()))?;
        let bearer = format!("Bearer {}", config.api_key.expose());
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| fault("api_key", "not a valid HTTP header value".to_owned()))?;
        bearer.set_sensitive(true);
        let http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .redirect(redirect::Policy::none())
            // The fake is on loopback, so no proxy is used.
            .no_proxy()
            .timeout(config.timeout)
            .build()
            .map_err(|error| fault("api_url", error.to_string()))?;
        Ok(Self {
            http,
            url,
            api_key: config.api_key,
        })
    }

    pub(super) async fn post(&self, body: Value) -> Result<Answer, SendError> {
        let request = self.http.post(self.url.clone()).body(body.to_string());
        let response = request.send().await.map_err(|error| no_answer(&error))?;
        let http_status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| parse_retry_after(value.to_str().ok()?));
        let body = read(response).await.map_err(|error| match http_status {
            ..400 => error,
            // Without a body, only the status is known.
            _ => SendError::from_http_status(NAME, http_status).with_retry_after(retry_after),
        })?;
        Ok(Answer {
            http_status,
            text: self.api_key.redact(&String::from_utf8_lossy(&body)),
            retry_after,
        })
    }
}

/// Reads the body of a response, up to the limit.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + piece.len() > MAX_ANSWER {
            let words = format!("the response is longer than {MAX_ANSWER} bytes");
            return Err(SendError::new(SendErrorKind::InvalidResponse, NAME, words));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The ESP certainly did not get the message only if no connection was established.
fn no_answer(error: &reqwest::Error) -> SendError {
    let kind = if error.is_connect() {
        SendErrorKind::Connect
    } else if error.is_timeout() {
        SendErrorKind::Timeout
    } else {
        SendErrorKind::Disconnected
    };
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    SendError::new(kind, NAME, cause.to_string())
}
