//! A single HTTP call to Postmark: rate limit, timeouts, and what a failure means.
//!
//! `response.rs` interprets responses. Nothing here retries.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "rate-limit")]
use anymail_core::RateLimiter;
use anymail_core::{Accepted, CallTrace, Secret, SendError, SendErrorKind, parse_retry_after};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Body, RequestBuilder, Url, redirect};
use tracing::Instrument;

use super::payload::Endpoint;
use super::pieces::Pieces;
use crate::config::{NAME, PostmarkConfig, PostmarkConfigError, token_header};

const TOKEN: HeaderName = HeaderName::from_static("x-postmark-server-token");
const USER_AGENT: &str = concat!("anymail-postmark/", env!("CARGO_PKG_VERSION"));

/// The most memory that is made ready for a response on its own word: more than Postmark says of
/// 500 messages.
const MAX_RESERVED: usize = 256 * 1024;

/// Calls Postmark with one token and a connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    /// Those of the calls that carry messages, by their paths.
    urls: Arc<[(&'static str, Url)]>,
    token: Secret,
    token_header: HeaderValue,
    max_response_bytes: usize,
    #[cfg(feature = "rate-limit")]
    rate_limiter: Option<RateLimiter>,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http_status: u16,
    /// The body, with the token redacted if the server echoed it.
    pub(crate) text: String,
    pub(super) retry_after: Option<Duration>,
}

impl Client {
    pub(super) fn new(config: &PostmarkConfig) -> Result<Self, PostmarkConfigError> {
        let url = config.checked()?;
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(ACCEPT, json.clone()), (CONTENT_TYPE, json)]);
        let unusable = |error: reqwest::Error| PostmarkConfigError::new("http", innermost(&error));
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(USER_AGENT)
            // A redirect would send the token elsewhere.
            .redirect(redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout);
        let http = config.proxy.apply(http, &url).map_err(unusable)?;
        let http = http.build().map_err(unusable)?;
        let urls = Endpoint::ALL.map(Endpoint::path).into_iter();
        let urls = urls.filter_map(|path| Some((path, url.join(path).ok()?)));
        Ok(Self {
            http,
            urls: urls.collect(),
            url,
            token_header: token_header(&config.server_token)
                .map_err(|problem| PostmarkConfigError::new("server_token", problem.to_owned()))?,
            token: config.server_token.clone(),
            max_response_bytes: config.max_response_bytes,
            #[cfg(feature = "rate-limit")]
            rate_limiter: config.rate_limiter.clone(),
        })
    }

    /// Raises the maximum size of responses to at least this.
    pub(crate) fn reading_at_least(mut self, bytes: usize) -> Self {
        self.max_response_bytes = self.max_response_bytes.max(bytes);
        self
    }

    /// Posts JSON with this number of messages, with another token if given.
    pub(crate) async fn post(
        &self,
        path: &str,
        messages: usize,
        body: Pieces,
        token: Option<&str>,
    ) -> Result<Answer, SendError> {
        let token = token.map(Secret::new);
        let bytes = body.len();
        let trace = || CallTrace::start(NAME, "POST", path, messages, bytes);
        let request = self.http.post(self.url(path)?).body(Body::from(body));
        self.in_turn(trace, request, token.as_ref()).await
    }

    /// Sends a query.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, SendError> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let trace = || CallTrace::start(NAME, "GET", path, 0, 0);
        self.in_turn(trace, self.http.get(url), None).await
    }

    /// Makes a call when its turn comes, with its own token if it has one.
    async fn in_turn(
        &self,
        trace: impl FnOnce() -> CallTrace,
        request: RequestBuilder,
        own_token: Option<&Secret>,
    ) -> Result<Answer, SendError> {
        #[cfg(feature = "rate-limit")]
        if let Some(limiter) = &self.rate_limiter {
            limiter.turn().await;
        }
        let trace = trace();
        let result = self.call(request, own_token).instrument(trace.span()).await;
        trace.end(result.as_ref().map(|answer| answer.http_status));
        #[cfg(feature = "rate-limit")]
        if let (Some(limiter), Some(asked)) = (&self.rate_limiter, asks_for_a_pause(&result)) {
            limiter.pause(asked);
        }
        result
    }

    fn url(&self, path: &str) -> Result<Url, SendError> {
        let mut known = self.urls.iter();
        match known.find(|(known, _)| *known == path) {
            Some((_, url)) => Ok(url.clone()),
            None => {
                let joined = self.url.join(path);
                joined.map_err(|error| configuration(error.to_string()))
            }
        }
    }

    async fn call(
        &self,
        request: RequestBuilder,
        own_token: Option<&Secret>,
    ) -> Result<Answer, SendError> {
        let token = own_token.unwrap_or(&self.token);
        let header = match own_token {
            None => self.token_header.clone(),
            Some(token) => {
                token_header(token).map_err(|why| configuration(format!("server_token: {why}")))?
            }
        };
        let request = request.header(TOKEN, header);
        let mut response = request.send().await.map_err(|error| no_answer(&error))?;
        let http_status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| parse_retry_after(value.to_str().ok()?));
        let broken = |error| broken_answer(http_status, error).with_retry_after(retry_after);
        let announced = response.content_length().unwrap_or_default();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let mut body = Vec::with_capacity(announced.min(MAX_RESERVED));
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) if body.len() + chunk.len() <= self.max_response_bytes => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    let limit = self.max_response_bytes;
                    let why = format!("larger than the limit of {limit} bytes");
                    return Err(broken(SendError::new(
                        SendErrorKind::InvalidResponse,
                        NAME,
                        why,
                    )));
                }
                Err(error) => return Err(broken(no_answer(&error))),
            }
        }
        let text = String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(Answer {
            http_status,
            text: token.redact(text),
            retry_after,
        })
    }
}

/// Whether the response is a 429, and how long it asks to wait.
#[cfg(feature = "rate-limit")]
fn asks_for_a_pause(result: &Result<Answer, SendError>) -> Option<Option<Duration>> {
    let (status, asked) = match result {
        Ok(answer) => (Some(answer.http_status), answer.retry_after),
        Err(error) => (error.http_status(), error.retry_after()),
    };
    (status == Some(429)).then_some(asked)
}

fn configuration(why: String) -> SendError {
    SendError::new(SendErrorKind::Configuration, NAME, why)
}

/// The error for a missing response. Only if no connection was established is it certain that
/// Postmark did not get the request: otherwise the lost response may have been a success.
fn no_answer(error: &reqwest::Error) -> SendError {
    let mut why = innermost(error);
    let kind = if error.is_connect() {
        // How rustls describes a server that answers the handshake with something other than TLS.
        if why.contains("InvalidContentType") {
            why.push_str(
                "; if the server does not use TLS on this port, write http:// in api_url, or \
                 postmark+http:// in ANYMAIL_URL",
            );
        }
        SendErrorKind::Connect
    } else if error.is_timeout() {
        SendErrorKind::Timeout
    } else {
        SendErrorKind::Disconnected
    };
    let failed = SendError::new(kind, NAME, why);
    match error.url() {
        Some(url) => failed.with_server(url.origin().ascii_serialization()),
        None => failed,
    }
}

/// The error for a truncated response, of which the status is known.
fn broken_answer(http_status: u16, error: SendError) -> SendError {
    if http_status < 400 {
        // A success that could not be read completely.
        return error
            .with_http_status(http_status)
            .with_accepted(Accepted::Maybe);
    }
    SendError::from_http_status(NAME, http_status).with_message(error.message())
}

/// The message of the innermost cause. The outer ones contain the URL and little else.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
