//! Records sending with `tracing`, and with `metrics` if that feature is enabled.
//!
//! Names are OpenTelemetry's where it has one; times are in seconds. No address, subject, body or
//! token is recorded. `carry.rs` logs the result of each message.

use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use super::backend::PreparedMessage;
use super::error::{Accepted, SendError};
use super::status::SendStatus;

const HTTP_STATUS: &str = "http.response.status_code";

/// The span `send`: messages that are passed to a backend together, including all attempts.
#[derive(Debug)]
pub(super) struct SendTrace {
    span: Span,
    started: Instant,
    #[cfg(feature = "metrics")]
    esp: String,
}

impl SendTrace {
    pub(super) fn start(esp: &str, messages: &[PreparedMessage]) -> Self {
        let recipients: usize = messages
            .iter()
            .map(|message| message.to().len() + message.cc().len() + message.bcc().len())
            .sum();
        let span = tracing::info_span!(
            "send",
            esp,
            messaging.batch.message_count = messages.len(),
            recipients,
            tries = Empty,
            sent = Empty,
            maybe = Empty,
            failed = Empty,
            http.response.status_code = Empty,
            error.type = Empty,
            duration = Empty,
        );
        Self {
            span,
            started: Instant::now(),
            #[cfg(feature = "metrics")]
            esp: esp.to_owned(),
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records the results; of several errors, the first.
    pub(super) fn end(self, tries: u32, results: &[Result<SendStatus, SendError>]) {
        let (mut sent, mut maybe, mut failed) = (0_u64, 0_u64, 0_u64);
        for result in results {
            match result {
                Ok(_) => sent += 1,
                Err(error) if error.accepted() == Accepted::Maybe => maybe += 1,
                Err(_) => failed += 1,
            }
        }
        let duration = self.started.elapsed();
        let span = &self.span;
        span.record("tries", tries);
        span.record("sent", sent);
        span.record("maybe", maybe);
        span.record("failed", failed);
        if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
            record_error(span, error);
        }
        span.record("duration", duration.as_secs_f64());
        #[cfg(feature = "metrics")]
        {
            for (outcome, count) in [("sent", sent), ("maybe", maybe), ("failed", failed)] {
                if count > 0 {
                    metrics::counter!(
                        "anymail.messages", "esp" => self.esp.clone(), "outcome" => outcome
                    )
                    .increment(count);
                }
            }
            let again = u64::from(tries.saturating_sub(1));
            metrics::counter!("anymail.retries", "esp" => self.esp.clone()).increment(again);
            metrics::histogram!("anymail.send.duration", "esp" => self.esp).record(duration);
        }
    }
}

fn record_error(span: &Span, error: &SendError) {
    span.record("error.type", tracing::field::debug(error.kind()));
    if let Some(status) = error.http_status() {
        span.record("http.response.status_code", status);
    }
}

/// Records one call to an ESP's API with `tracing` and `metrics`. For the HTTP client of a backend.
///
/// With it, the calls of all backends have the same names, so that dashboards keep working after a
/// change of ESP: the span `call` (fields `esp`, `http.request.method`, `url.path`,
/// `messaging.batch.message_count`, `http.request.body.size`, `http.response.status_code`,
/// `error.type`, which is the HTTP status from 400 on or else the kind of the error, and `duration`
/// in seconds), and with the feature `metrics` the counter `anymail.calls` (labels `esp` and
/// `http.response.status_code`, which is `none` without a response) and the histogram
/// `anymail.call.duration` (label `esp`).
///
/// A call that is not an HTTP request ([`conversation`](Self::conversation)) has the same names,
/// except for those of HTTP: `network.protocol.name` and `server.address` identify protocol and
/// server, and `messaging.message.body.size` and `smtp.response.code` (a field, and the label of
/// `anymail.calls`) replace size and status.
/// `anymail.calls`) stand for size and status.
///
/// ```
/// use anymail_core::{CallTrace, SendError};
/// use tracing::Instrument;
///
/// # async fn post(_: &[u8]) -> Result<u16, SendError> { Ok(200) }
/// async fn call(body: &[u8], messages: usize) -> Result<u16, SendError> {
///     let trace = CallTrace::start("acme", "POST", "v1/mails", messages, body.len());
///     let status = post(body).instrument(trace.span()).await;
///     trace.end(status.as_ref().copied());
///     status
/// }
/// ```
#[derive(Debug)]
#[must_use = "a call that does not end is not counted"]
pub struct CallTrace {
    span: Span,
    started: Instant,
    status_field: &'static str,
    #[cfg(feature = "metrics")]
    esp: String,
}

impl CallTrace {
    /// Starts recording a call: its path under the API's URL, which must not contain a secret or an
    /// address; the number of messages, 0 for a query; and the size of its body in bytes.
    pub fn start(
        esp: &str,
        method: &'static str,
        path: &str,
        messages: usize,
        body_bytes: usize,
    ) -> Self {
        let span = tracing::info_span!(
            "call",
            otel.kind = "client",
            esp,
            http.request.method = method,
            url.path = path,
            messaging.batch.message_count = messages,
            http.request.body.size = body_bytes,
            http.response.status_code = Empty,
            error.type = Empty,
            duration = Empty,
        );
        Self::new(esp, span, HTTP_STATUS)
    }

    /// Starts recording an SMTP conversation: the server's `host:port`, the number of messages, and
    /// their size in bytes.
    pub fn conversation(esp: &str, server: &str, messages: usize, bytes: usize) -> Self {
        let span = tracing::info_span!(
            "call",
            otel.kind = "client",
            esp,
            network.protocol.name = "smtp",
            server.address = server,
            messaging.batch.message_count = messages,
            messaging.message.body.size = bytes,
            smtp.response.code = Empty,
            error.type = Empty,
            duration = Empty,
        );
        Self::new(esp, span, "smtp.response.code")
    }

    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    fn new(esp: &str, span: Span, status_field: &'static str) -> Self {
        Self {
            span,
            started: Instant::now(),
            status_field,
            #[cfg(feature = "metrics")]
            esp: esp.to_owned(),
        }
    }

    /// The span to make the call in.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Ends the recording: with a complete response and its HTTP status (or SMTP code), or with an
    /// error.
    pub fn end(self, result: Result<u16, &SendError>) {
        let duration = self.started.elapsed();
        match result {
            Ok(status) => {
                self.span.record(self.status_field, status);
                if status >= 400 {
                    self.span
                        .record("error.type", tracing::field::display(status));
                }
            }
            Err(error) => {
                record_error(&self.span, error);
                if let Some(status) = self.status_of(error) {
                    self.span.record(self.status_field, status);
                }
            }
        }
        self.span.record("duration", duration.as_secs_f64());
        #[cfg(feature = "metrics")]
        {
            let status = match result {
                Ok(status) => Some(status),
                Err(error) => self.status_of(error),
            };
            let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            metrics::counter!(
                "anymail.calls",
                "esp" => self.esp.clone(),
                self.status_field => status
            )
            .increment(1);
            metrics::histogram!("anymail.call.duration", "esp" => self.esp).record(duration);
        }
    }

    /// The status of an error response. For SMTP, the start of the error's code.
    fn status_of(&self, error: &SendError) -> Option<u16> {
        match self.status_field {
            HTTP_STATUS => error.http_status(),
            _ => error.esp_code()?.get(..3)?.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sending::SendErrorKind;

    #[test]
    fn the_status_of_a_failed_call_is_that_of_its_protocol() {
        let http = CallTrace::start("acme", "POST", "v1/mails", 1, 100);
        let smtp = CallTrace::conversation("smtp", "mail.example.com:587", 1, 100);
        let error = |code: &str| {
            let error = SendError::new(SendErrorKind::Refused, "acme", "no");
            error.with_http_status(422).with_esp_code(code)
        };
        for (code, of_smtp) in [("550 5.1.1", Some(550)), ("406", Some(406)), ("4", None)] {
            assert_eq!(http.status_of(&error(code)), Some(422), "{code}");
            assert_eq!(smtp.status_of(&error(code)), of_smtp, "{code}");
        }
        let without = SendError::new(SendErrorKind::Connect, "acme", "no");
        assert_eq!(http.status_of(&without), None);
        assert_eq!(smtp.status_of(&without), None);
    }
}
