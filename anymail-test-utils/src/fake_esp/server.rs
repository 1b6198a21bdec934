//! [`FakeEsp`]: the made-up ESP itself, an HTTP API on loopback.
//!
//! Its faults are those of any [`LoopbackServer`].

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

/// A made-up ESP on loopback that keeps what it is sent.
///
/// It takes one message a call, as JSON, at `POST /v1/messages` with the key `api-key` as a
/// bearer token, and answers 202 with an id and a state for each recipient: `accepted`, or
/// `blocked` for those who were [blocked](Self::block). Nothing is delivered.
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
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// What the operating system says when there is no port or no thread to be had.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        let server = LoopbackServer::start(move |request| lock(&kept).answer(request))?;
        Ok(Self { server, state })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The messages it has accepted, as they were posted, in order.
    pub fn messages(&self) -> Vec<Value> {
        lock(&self.state).messages.clone()
    }

    /// From now on sends nothing to this address.
    pub fn block(&self, email: &str) {
        lock(&self.state).blocked.insert(email.to_lowercase());
    }

    /// The server under it, to let calls go wrong.
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

/// A test that panicked while it held the lock left whole messages behind.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let key = request.headers().get(AUTHORIZATION);
        if key.is_none_or(|key| key != "Bearer api-key") {
            return refuse(401, "key", "who are you?");
        }
        if (request.method().as_str(), request.uri().path()) != ("POST", "/v1/messages") {
            return refuse(404, "path", "there is nothing here");
        }
        let Ok(message) = serde_json::from_slice::<Value>(request.body()) else {
            return refuse(400, "json", "this is no JSON");
        };
        if text(&message, "subject").is_empty() {
            return refuse(422, "subject", "a message needs a subject");
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
