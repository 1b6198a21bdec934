//! An app's side of the webhooks: a server that responds with given statuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anymail_test_utils::{LoopbackServer, WebhookReport};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;

pub(crate) struct Receiver {
    server: LoopbackServer,
}

impl Receiver {
    /// Responds with these statuses in order, and then always with the last one.
    pub(crate) fn answering(statuses: &'static [u16]) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let server = LoopbackServer::start(move |_| {
            let call = calls.fetch_add(1, Ordering::SeqCst).min(statuses.len() - 1);
            let body = Bytes::from_static(b"seen");
            let response = Response::builder().status(statuses[call]).body(body);
            response.unwrap()
        });
        Self {
            server: server.unwrap(),
        }
    }

    pub(crate) fn new() -> Self {
        Self::answering(&[200])
    }

    pub(crate) fn url(&self) -> String {
        self.server.url() + "/hook"
    }

    pub(crate) fn server(&self) -> &LoopbackServer {
        &self.server
    }

    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.server.requests()
    }

    pub(crate) fn payloads(&self) -> Vec<Value> {
        let json = |request: &Request<Bytes>| serde_json::from_slice(request.body()).unwrap();
        self.requests().iter().map(json).collect()
    }
}

/// Returns the record types of reports, in order.
pub(crate) fn kinds(reports: &[WebhookReport]) -> Vec<&str> {
    let kind = |report| -> &str {
        let report: &WebhookReport = report;
        report.payload["RecordType"].as_str().unwrap()
    };
    reports.iter().map(kind).collect()
}

/// Returns the keys of an object, sorted.
pub(crate) fn keys(json: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}
