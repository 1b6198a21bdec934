//! [`HttpWire`]: a loopback HTTP server that uses the harness to read and write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use anymail_core::JsonMap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::super::desk::{Desk, lock};
use super::super::excerpt::excerpt;
use super::super::harness::{Credentials, Failure, Harness};
use super::super::responses::mutilations;
use super::super::secrets::holds;
use super::super::trial::{Stop, Verdict};
use super::super::understood::Understood;
use super::{Wire, WireFault};
use crate::{Fault, LoopbackServer};

/// An HTTP API.
pub(in super::super) struct HttpWire {
    server: LoopbackServer,
    esp: Arc<Esp>,
    secret: String,
}

/// The ESP behind the server: the harness reads requests and writes responses, and the desk
/// decides.
struct Esp {
    harness: Arc<dyn Harness>,
    desk: Desk,
    /// As the harness wrote it.
    last_response: Mutex<Option<Response<Bytes>>>,
    /// The requests that were answered, by number; `None` once forgotten.
    calls: Mutex<Vec<Option<Request<Bytes>>>>,
}

impl HttpWire {
    /// Starts the ESP; [`url`](Self::url) then returns its URL.
    pub(in super::super) fn start(
        harness: Arc<dyn Harness>,
        desk: Desk,
        secret: &str,
    ) -> Verdict<Self> {
        let esp = Arc::new(Esp {
            harness,
            desk,
            last_response: Mutex::default(),
            calls: Mutex::default(),
        });
        let handler = Arc::clone(&esp);
        let server = LoopbackServer::start(move |request| handler.serve(request))
            .map_err(|error| Stop::fail(format!("could not start a loopback server: {error}")))?;
        Ok(Self {
            server,
            esp,
            secret: secret.to_owned(),
        })
    }

    pub(in super::super) fn url(&self) -> String {
        self.server.url()
    }
}

#[async_trait]
impl Wire for HttpWire {
    fn mails(&self) -> Verdict<Vec<Understood>> {
        Ok(self.esp.desk.mails())
    }

    fn desk(&self) -> Option<&Desk> {
        Some(&self.esp.desk)
    }

    fn tries(&self) -> usize {
        let calls = self.server.counts().calls;
        calls.try_into().unwrap_or(usize::MAX)
    }

    fn inject(&self, fault: &WireFault, times: usize) -> Verdict {
        let WireFault::Http(fault) = fault else {
            return Err(Stop::fail(format!(
                "this wire does not support the fault {fault}"
            )));
        };
        self.server.inject(fault.clone(), times);
        Ok(())
    }

    fn inject_at(&self, fault: &WireFault, call: usize) -> Verdict {
        let WireFault::Http(fault) = fault else {
            return Err(Stop::fail(format!(
                "this wire does not support the fault {fault}"
            )));
        };
        let fault = fault.clone();
        let is_it = move |number: u64| u64::try_from(call) == Ok(number);
        self.server
            .inject_rule(move |number, _| is_it(number).then(|| fault.clone()));
        Ok(())
    }

    fn clear_faults(&self) {
        self.server.clear_faults();
    }

    async fn refuse(&self) -> Verdict {
        self.server.refuse().await.map_err(broken)
    }

    async fn accept_again(&self) -> Verdict {
        self.server.accept_again().await.map_err(broken)
    }

    fn altered_responses(&self) -> Vec<WireFault> {
        let Some(genuine) = lock(&self.esp.last_response).clone() else {
            return Vec::new();
        };
        let altered = |body| {
            let mut changed = genuine.clone();
            *changed.body_mut() = body;
            WireFault::Http(Fault::Replace(changed))
        };
        mutilations(genuine.body())
            .into_iter()
            .map(altered)
            .collect()
    }

    fn said_nothing(&self) -> bool {
        let last = lock(&self.esp.last_response);
        last.as_ref().is_some_and(|response| {
            let by_a_gateway = response.status() == StatusCode::SERVICE_UNAVAILABLE
                && has_a_message_only(response.body());
            response.body().is_empty() || by_a_gateway
        })
    }

    fn unauthorized(&self) -> Option<String> {
        let requests = self.server.requests();
        let credentials = self.esp.harness.credentials(&self.secret);
        let wrong = match &credentials {
            Credentials::Header { name, value } => requests.iter().find_map(|request| {
                let found: Vec<_> = request.headers().get_all(*name).iter().collect();
                let right = matches!(&*found, [one] if one.as_bytes() == value.as_bytes());
                (!right).then(|| {
                    // `Debug` of a header does not show sensitive values.
                    let found: Vec<_> = found.iter().map(|it| text(it.as_bytes())).collect();
                    format!("the header {name}: {value:?} (got {found:?})")
                })
            }),
            Credentials::Body => requests
                .iter()
                .any(|request| !holds(&text(request.body()), &self.secret))
                .then(|| "the secret in the body".to_owned()),
            Credentials::Signature => None,
        };
        wrong.or_else(|| requests.is_empty().then(|| "a request".to_owned()))
    }

    fn logged(&self) -> String {
        let requests = self.server.requests();
        let urls = requests
            .iter()
            .map(|request| format!("{}\n", request.uri()));
        urls.collect()
    }

    fn bearers(&self) -> Vec<String> {
        let requests = self.server.requests();
        let headers = requests
            .iter()
            .flat_map(|request| request.headers().values());
        let mut all: Vec<_> = headers
            .map(|value| text(value.as_bytes()))
            .filter(|value| holds(value, &self.secret))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    fn endless_was_read(&self) -> bool {
        self.server.counts().endless_bytes >= LoopbackServer::ENDLESS
    }

    fn forget(&self) {
        self.server.forget_requests();
        lock(&self.esp.calls).fill(None);
    }

    fn show_call(&self, call: Option<usize>) -> Vec<String> {
        let answered = call.and_then(|call| lock(&self.esp.calls).get(call)?.clone());
        let Some(request) = answered.or_else(|| self.server.requests().pop()) else {
            return vec!["no complete request".to_owned()];
        };
        let lines = excerpt(&request).into_iter();
        lines
            .map(|line| line.replace(&self.secret, "[the secret]"))
            .collect()
    }
}

/// Whether gateways write such a body, too, when they get no response.
fn has_a_message_only(body: &[u8]) -> bool {
    let json: Option<JsonMap> = serde_json::from_slice(body).ok();
    json.is_some_and(|json| json.len() == 1 && json.contains_key("message"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn broken(error: std::io::Error) -> Stop {
    Stop::fail(format!("loopback server error: {error}"))
}

impl Esp {
    fn serve(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let written = catch_unwind(AssertUnwindSafe(|| self.respond(request)));
        let written = written.unwrap_or_else(|_| Err("the harness panicked".to_owned()));
        let response = written.unwrap_or_else(|problem| {
            self.desk.log().problems.push(problem);
            refused("the harness failed")
        });
        *lock(&self.last_response) = Some(response.clone());
        self.desk.arrived.notify_one();
        response
    }

    fn respond(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, String> {
        let mails = self.harness.read(request).map_err(|error| {
            let (method, path) = (request.method(), request.uri().path());
            format!("Harness::read could not read {method} {path}: {error}")
        })?;
        let decided = {
            // Under one lock, so that calls have the same numbers at the desk.
            let mut calls = lock(&self.calls);
            calls.push(Some(request.clone()));
            self.desk.decide(mails)
        };
        if let Some((kind, words)) = decided.failure {
            let mut response = self.harness.error_response(&Failure {
                kind,
                http_status: kind.http_status(),
                error_message: words,
            });
            if let Some(wait) = decided.retry_after {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(wait));
            }
            return Ok(response);
        }
        let told = decided.told();
        Ok(self.harness.response(request, told).unwrap_or_else(|| {
            self.desk.cannot_say(told);
            refused("this ESP cannot report this")
        }))
    }
}

fn refused(words: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(words.as_bytes()));
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}
