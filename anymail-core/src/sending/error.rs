//! [`SendError`]: why a message was not sent, and what a caller can do about it.
//!
//! `retry.rs` decides when to retry.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::status::{MemberError, SendStatus};
use super::unsupported::Unsupported;
use crate::message::Fault;

mod words;

/// The kinds of [`SendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// No ESP can send the message; see [`SendError::faults`]. Nothing was sent.
    InvalidMessage,
    /// The ESP does not support a feature that the message uses; see [`SendError::unsupported`].
    /// Nothing was sent.
    UnsupportedFeature,
    /// A pre-send hook cancelled the message. Nothing was sent.
    Cancelled,
    /// A pre-send hook failed. Nothing was sent.
    Hook,
    /// The backend is not configured correctly, for example because of an invalid token or URL.
    Configuration,
    /// The ESP refused every recipient, or pre-send hooks withheld all of them; see
    /// [`SendError::status`].
    RecipientsRefused,
    /// The ESP does not accept the token, or the token has no permission.
    Authentication,
    /// Too many requests. Wait for [`SendError::retry_after`], or for a while.
    RateLimited,
    /// The ESP refused the message. [`SendError::message`] contains the ESP's own message.
    Refused,
    /// The ESP had an internal error.
    ServerError,
    /// The ESP's response is invalid.
    InvalidResponse,
    /// The connection could not be established.
    Connect,
    /// The ESP did not respond in time.
    Timeout,
    /// The connection was lost after the request was sent.
    Disconnected,
}

/// Whether the ESP may have accepted the message although sending failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accepted {
    /// It has certainly not accepted the message, which can be sent again.
    No,
    /// It may have accepted the message: the response was lost or unclear. Sending it again may
    /// send it twice.
    Maybe,
}

/// The error of sending a message: it was not sent, or possibly not.
///
/// ```
/// use anymail_core::{Accepted, SendError};
///
/// fn resend_later(error: &SendError) -> bool {
///     error.is_transient() && error.accepted() == Accepted::No
/// }
/// assert!(resend_later(&SendError::from_http_status("acme", 429)));
/// assert!(!resend_later(&SendError::from_http_status("acme", 500)));
/// ```
///
/// Neither `Display` nor `Debug` shows a token or a body.
#[derive(Clone)]
pub struct SendError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: SendErrorKind,
    esp: String,
    message: String,
    server: Option<String>,
    http_status: Option<u16>,
    esp_code: Option<String>,
    accepted: Accepted,
    transient: bool,
    retry_after: Option<Duration>,
    tries: u32,
    faults: Vec<Fault>,
    unsupported: Vec<Unsupported>,
    /// Whether the backend was not called because no recipient was left.
    without_a_call: bool,
    status: Option<SendStatus>,
    member_errors: Vec<MemberError>,
    response: Option<Arc<str>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl SendError {
    /// Creates an error of `kind` at the backend `esp`, with a message.
    ///
    /// The kind determines what the error means for a caller, unless a setter changes it.
    /// `InvalidResponse`, `Timeout`, `Disconnected` and `ServerError` are [`Accepted::Maybe`], all
    /// others `No`. `Timeout`, `Disconnected`, `ServerError`, `Connect` and `RateLimited` are
    /// transient.
    pub fn new(kind: SendErrorKind, esp: impl Into<String>, message: impl Into<String>) -> Self {
        use SendErrorKind as K;
        let lost = matches!(kind, K::Timeout | K::Disconnected | K::ServerError);
        let maybe = lost || kind == K::InvalidResponse;
        Self(Box::new(Inner {
            kind,
            esp: esp.into(),
            message: message.into(),
            server: None,
            http_status: None,
            esp_code: None,
            accepted: if maybe { Accepted::Maybe } else { Accepted::No },
            transient: lost || matches!(kind, K::Connect | K::RateLimited),
            retry_after: None,
            tries: 1,
            faults: Vec::new(),
            unsupported: Vec::new(),
            without_a_call: false,
            status: None,
            member_errors: Vec::new(),
            response: None,
            source: None,
        }))
    }

    /// Creates the error for an HTTP status, whoever sent the response.
    ///
    /// There are proxies, load balancers and firewalls between an app and its ESP. They send
    /// responses of their own, some of them after they have passed the request on. So a status
    /// alone is [`Accepted::No`] only if nobody sends it after passing the request on. If the body
    /// of the response is the ESP's own, call [`said_by_esp`](Self::said_by_esp): then the last
    /// column applies.
    ///
    /// | status | kind | who returns it, and when | status alone | said by the ESP |
    /// | --- | --- | --- | --- | --- |
    /// | 401, 407 | `Authentication` | the ESP or a proxy, before it looks at the request: "has not been applied" (RFC 9110, 15.5.2 and 15.5.8) | `No` | `No` |
    /// | 411, 413, 414, 415, 431 | `Refused` | whoever reads the request first and finds it too long or of the wrong form; what was passed on is incomplete at most (RFC 9110, 15.5; RFC 6585, 5) | `No` | `No` |
    /// | 421 | `Refused`, transient | a server that the connection should not have reached; it handles nothing (RFC 9110, 15.5.20) | `No` | `No` |
    /// | 425 | `Refused`, transient | a server that "is unwilling to risk processing" early data (RFC 8470, 5.2) | `No` | `No` |
    /// | 429 | `RateLimited`, transient | the ESP or a gateway that counts requests as they come in, before it passes them on (RFC 6585, 4) | `No` | `No` |
    /// | 511 | `ServerError`, transient | a network that wants a login first; never the ESP (RFC 6585, 6) | `No` | `No` |
    /// | 408 | `Timeout`, transient | the ESP or a proxy; some proxies use it if an ESP took too long | `Maybe` | `Maybe` |
    /// | 409 | `Refused` | an ESP that has, or is processing, the same request: it may be the earlier one | `Maybe` | `Maybe` |
    /// | 499 | `Timeout`, transient | a proxy whose own client, another proxy, disconnected while the ESP was working (nginx) | `Maybe` | `Maybe` |
    /// | 403 | `Authentication` | the ESP, or a firewall that replaces a response (response rules of a web application firewall) | `Maybe` | `No` |
    /// | any other 4xx | `Refused` | likewise | `Maybe` | `No` |
    /// | 503 | `ServerError`, transient | the ESP, or a proxy whose ESP closed the connection or took too long | `Maybe` | `No` |
    /// | 500 | `ServerError`, transient | an internal error; it is not known how far the ESP got | `Maybe` | `Maybe` |
    /// | 502, 504, 520 to 527, any other 5xx | `ServerError`, transient | a gateway that waited for the ESP. Some vendors' codes mean "never connected" (Cloudflare's 521), but no standard reserves them | `Maybe` | `Maybe` |
    /// | anything below 400 | `InvalidResponse` | a success whose body cannot be read, or a redirect | `Maybe` | `Maybe` |
    ///
    /// Sources: the RFCs named above; for 499, 52x and responses that firewalls replace, the
    /// vendors' documentation (nginx, Cloudflare, OWASP Core Rule Set), as of 2026. How proxies
    /// behave beyond that is not standardized, so every doubt is a `Maybe`.
    ///
    /// ```
    /// use anymail_core::{Accepted, SendError};
    ///
    /// let page = SendError::from_http_status("acme", 503); // HTML, by whoever wrote it
    /// assert_eq!(page.accepted(), Accepted::Maybe);
    ///
    /// // {"error": "maintenance", "request_id": "..."}, as Acme documents it.
    /// let own = SendError::from_http_status("acme", 503).said_by_esp();
    /// assert_eq!(own.accepted(), Accepted::No);
    /// ```
    pub fn from_http_status(esp: impl Into<String>, status: u16) -> Self {
        use SendErrorKind as K;
        let kind = match status {
            401 | 403 | 407 => K::Authentication,
            408 | 499 => K::Timeout,
            429 => K::RateLimited,
            400..=499 => K::Refused,
            500..=599 => K::ServerError,
            _ => K::InvalidResponse,
        };
        let accepted = match status {
            401 | 407 | 411 | 413 | 414 | 415 | 421 | 425 | 429 | 431 | 511 => Accepted::No,
            _ => Accepted::Maybe,
        };
        let mut error = Self::new(kind, esp, "")
            .with_http_status(status)
            .with_accepted(accepted);
        error.0.transient |= matches!(status, 421 | 425);
        error
    }

    /// Declares that the ESP itself sent the response: its body has the form that the ESP documents
    /// for errors and contains what only the ESP knows, such as its error code.
    ///
    /// Then a refusal (4xx) and a 503 are [`Accepted::No`], except for the statuses whose last
    /// column at [`from_http_status`](Self::from_http_status) says otherwise. An HTML page, an
    /// empty body, or JSON of another form proves nothing.
    #[must_use]
    pub fn said_by_esp(mut self) -> Self {
        if matches!(self.0.http_status, Some(400..=407 | 410..=498 | 503)) {
            self.0.accepted = Accepted::No;
        }
        self
    }

    /// Sets the backend's name. For a backend that sends with another one.
    #[must_use]
    pub fn with_esp(mut self, esp: impl Into<String>) -> Self {
        self.0.esp = esp.into();
        self
    }

    /// Sets the message that says what happened, the ESP's own if there is one.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Sets the server that was called, for example `mail.example.com:587`. It must not contain a
    /// password.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.0.server = Some(server.into());
        self
    }

    /// Sets the HTTP status of the response.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    /// Sets the ESP's own error code.
    #[must_use]
    pub fn with_esp_code(mut self, code: impl Into<String>) -> Self {
        self.0.esp_code = Some(code.into());
        self
    }

    /// Sets whether the ESP may have accepted the message.
    #[must_use]
    pub fn with_accepted(mut self, accepted: Accepted) -> Self {
        self.0.accepted = accepted;
        self
    }

    /// Sets whether a retry may work.
    #[must_use]
    pub fn with_transient(mut self, transient: bool) -> Self {
        self.0.transient = transient;
        self
    }

    /// Sets how long the ESP asks to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Sets the number of attempts.
    #[must_use]
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.0.tries = tries;
        self
    }

    /// Sets the status of each recipient.
    #[must_use]
    pub fn with_status(mut self, status: SendStatus) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the ESP's raw response.
    #[must_use]
    pub fn with_response(mut self, response: impl Into<Arc<str>>) -> Self {
        self.0.response = Some(response.into());
        self
    }

    /// Sets the error that was the cause. It must not print a token.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.0.faults = faults;
        self
    }

    pub(crate) fn with_unsupported(mut self, unsupported: Vec<Unsupported>) -> Self {
        self.0.unsupported = unsupported;
        self
    }

    pub(crate) fn with_member_errors(mut self, errors: Vec<MemberError>) -> Self {
        self.0.member_errors = errors;
        self
    }

    /// Creates the error for a status in which nobody was, or may have been, sent the message. Kind
    /// and message are those of the first recipient of that kind.
    pub(crate) fn from_refusal(status: SendStatus) -> Self {
        let refused = status.recipients().any(|r| r.status.is_refused());
        let kind = match refused {
            true => SendErrorKind::RecipientsRefused,
            false => SendErrorKind::Refused,
        };
        let first = status
            .recipients()
            .find(|r| r.status.is_refused() == refused)
            .and_then(|r| r.detail.clone());
        let (code, words) = match first {
            Some(detail) => (detail.code, detail.message),
            None => (None, String::new()),
        };
        let mut error = Self::new(kind, status.esp.clone(), words).with_status(status);
        error.0.esp_code = code;
        error
    }

    pub(super) fn without_a_call(mut self) -> Self {
        self.0.without_a_call = true;
        self
    }

    pub(crate) fn status_mut(&mut self) -> Option<&mut SendStatus> {
        self.0.status.as_mut()
    }

    /// The kind of error.
    pub fn kind(&self) -> SendErrorKind {
        self.0.kind
    }

    /// The name of the backend.
    pub fn esp(&self) -> &str {
        &self.0.esp
    }

    /// What happened, in words; the ESP's own message if there was one.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server that was called, if the backend named it.
    pub fn server(&self) -> Option<&str> {
        self.0.server.as_deref()
    }

    /// The HTTP status of the response, if there was one.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The ESP's own error code.
    pub fn esp_code(&self) -> Option<&str> {
        self.0.esp_code.as_deref()
    }

    /// Whether the ESP may have accepted the message anyway.
    pub fn accepted(&self) -> Accepted {
        self.0.accepted
    }

    /// Whether a retry may work. Check [`accepted`](Self::accepted) before you send the message
    /// again.
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// How long the ESP asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The number of attempts.
    pub fn tries(&self) -> u32 {
        self.0.tries
    }

    /// The faults of the message, for `InvalidMessage`.
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }

    /// The features that the ESP does not support, for `UnsupportedFeature`, and also for
    /// `InvalidMessage` if the message has both.
    pub fn unsupported(&self) -> &[Unsupported] {
        &self.0.unsupported
    }

    /// The status of each recipient, if known.
    pub fn status(&self) -> Option<&SendStatus> {
        self.0.status.as_ref()
    }

    /// The errors of the other members of a failover or round robin, in order.
    pub fn member_errors(&self) -> &[MemberError] {
        &self.0.member_errors
    }

    /// The ESP's raw response, if there was one. It is never printed.
    pub fn response(&self) -> Option<&str> {
        self.0.response.as_deref()
    }
}

/// Parses the value of an HTTP `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date.
///
/// Returns the wait from now on. A date in the past is a zero wait, and a number too large for a
/// [`Duration`] is the longest one. Returns `None` if the value is neither a number nor a date.
///
/// The value comes from the server and has no upper limit. Whoever waits for it needs a limit, such
/// as [`RetryPolicy::max_wait`](crate::RetryPolicy::max_wait).
pub fn parse_retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(value, &Rfc2822).ok()?;
    let wait = date - OffsetDateTime::now_utc();
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.0.source.as_ref()?;
        Some(&**source)
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
