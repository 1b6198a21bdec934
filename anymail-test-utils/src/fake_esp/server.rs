//! [`FakeEsp`]: the fictional ESP's HTTP API on loopback.
//!
//! A [`LoopbackServer`] provides its faults.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use serde_json::{Value, json};

use super::text;
use crate::server::LoopbackServer;

/// A fictional ESP on loopback that keeps the messages it accepts.
///
/// It accepts one message per call, as JSON, at `POST /v1/messages` with the bearer token
/// `api-key`. It responds with 202, an id, and a state for each recipient: `accepted`, or `blocked`
/// for [blocked](Self::block) addresses. It delivers nothing.
pub struct FakeEsp {
    server: LoopbackServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    messages: Vec<Value>,
    blocked: BTreeSet<String>,
}

impl FakeEsp {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Returns the operating system's error if no port or thread is available.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        let server = LoopbackServer::start(move |request| lock(&kept).answer(request))?;
        Ok(Self { server, state })
    }

    /// Returns the base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the accepted messages as they were posted, in order.
    pub fn messages(&self) -> Vec<Value> {
        lock(&self.state).messages.clone()
    }

    /// Blocks an address.
    pub fn block(&self, email: &str) {
        lock(&self.state).blocked.insert(email.to_lowercase());
    }

    /// Returns the underlying server, to inject faults.
    pub fn server(&self) -> &LoopbackServer {
        &self.server
    }
}

impl fmt::Debug for FakeEsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEsp")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

/// A test that panicked while it held the lock left the list consistent.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let key = request.headers().get(AUTHORIZATION);
        if key.is_none_or(|key| key != "Bearer api-key") {
            return refuse(401, "key", "missing or invalid API key");
        }
        if (request.method().as_str(), request.uri().path()) != ("POST", "/v1/messages") {
            return refuse(404, "path", "not found");
        }
        let Ok(message) = serde_json::from_slice::<Value>(request.body()) else {
            return refuse(400, "json", "not valid JSON");
        };
        if text(&message, "subject").is_empty() {
            return refuse(422, "subject", "a subject is required");
        }
        let recipients = ["to", "cc", "bcc"].into_iter().flat_map(|list| {
            let list = message.get(list).and_then(Value::as_array);
            list.into_iter()
                .flatten()
                .map(|recipient| text(recipient, "email"))
        });
        let rows: Vec<_> = recipients
            .map(|email| match self.blocked.contains(&email.to_lowercase()) {
                true => json!({"email": email, "state": "blocked"}),
                false => json!({"email": email, "state": "accepted"}),
            })
            .collect();
        self.messages.push(message);
        let id = format!("fake-{}", self.messages.len());
        json_response(202, &json!({"id": id, "recipients": rows}))
    }
}

fn refuse(status: u16, code: &str, says: &str) -> Response<Bytes> {
    json_response(status, &json!({"error": {"code": code, "says": says}}))
}

fn json_response(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}
