//! Records webhook requests with `tracing`, and with `metrics` if that feature is enabled.
//!
//! The rules are those for sending: OpenTelemetry's names, seconds, no address, and nothing of a
//! body.

use std::time::Instant;

use bytes::Bytes;
use http::Response;
use tracing::Span;
use tracing::field::Empty;

use super::webhook::Webhook;

/// The span `webhook`: a request from start to response, including the app's handler.
#[derive(Debug)]
pub(super) struct WebhookTrace {
    span: Span,
    started: Instant,
    #[cfg(feature = "metrics")]
    labels: [metrics::Label; 2],
}

impl WebhookTrace {
    pub(super) fn start<W: Webhook + ?Sized>(webhook: &W) -> Self {
        let (esp, kind) = (webhook.esp(), webhook.kind().as_str());
        let span = tracing::info_span!(
            "webhook",
            otel.kind = "server",
            esp,
            kind,
            http.request.body.size = Empty,
            events = Empty,
            http.response.status_code = Empty,
            duration = Empty,
        );
        Self {
            span,
            started: Instant::now(),
            #[cfg(feature = "metrics")]
            labels: [
                metrics::Label::new("esp", esp.to_owned()),
                metrics::Label::new("kind", kind),
            ],
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records the size of the body.
    pub(super) fn body(&self, bytes: usize) {
        self.span.record("http.request.body.size", bytes);
    }

    /// Records the events of the request.
    pub(super) fn events(&self, count: usize) {
        self.span.record("events", count);
        #[cfg(feature = "metrics")]
        metrics::counter!("anymail.webhook.events", self.labels.iter())
            .increment(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Records the response.
    pub(super) fn end(self, answer: &Response<Bytes>) {
        let status = answer.status().as_u16();
        self.span.record("http.response.status_code", status);
        let duration = self.started.elapsed().as_secs_f64();
        self.span.record("duration", duration);
        #[cfg(feature = "metrics")]
        {
            let mut labels = self.labels.to_vec();
            metrics::histogram!("anymail.webhook.duration", labels.iter()).record(duration);
            labels.push(metrics::Label::new(
                "http.response.status_code",
                status.to_string(),
            ));
            metrics::counter!("anymail.webhook.requests", labels.iter()).increment(1);
        }
    }
}
