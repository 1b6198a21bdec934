//! Handles one call from its head to its response, with the fault that was injected.
//!
//! The parent module accepts connections; `wire.rs` applies faults to bytes.

use std::fmt;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::body::AnswerBody;
use super::wire::Wire;
use crate::faults::{Fault, status_response};
use crate::loopback::FaultQueue;

pub(super) type Handler = dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync;
pub(super) type Rule = dyn Fn(u64, &Parts) -> Option<Fault> + Send + Sync;

/// The faults to come. The queue takes precedence over the rule.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) queue: FaultQueue<Fault>,
    pub(super) rule: Option<Arc<Rule>>,
}

/// The state that the server's user and its connections share.
pub(super) struct Shared {
    pub(super) handler: Box<Handler>,
    pub(super) planned: Mutex<Planned>,
    pub(super) recorded: Mutex<Vec<Request<Bytes>>>,
    pub(super) recording: AtomicBool,
    pub(super) body_limit: AtomicUsize,
    pub(super) connections: AtomicU64,
    pub(super) calls: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) endless_bytes: Arc<AtomicU64>,
}

impl Shared {
    pub(super) fn planned(&self) -> MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recorded(&self) -> MutexGuard<'_, Vec<Request<Bytes>>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to reset a new connection.
    pub(super) fn resets_this_connection(&self) -> bool {
        let mut planned = self.planned();
        let reset = matches!(planned.queue.front(), Some(Fault::ResetOnAccept));
        if reset {
            planned.queue.pop();
        }
        reset
    }

    fn next_fault(&self, number: u64, head: &Parts) -> Option<Fault> {
        let rule = {
            let mut planned = self.planned();
            if let Some(fault) = planned.queue.pop() {
                return Some(fault);
            }
            planned.rule.clone()
        };
        rule.and_then(|rule| rule(number, head))
    }
}

/// Why a connection ends without a response. hyper closes it on any error.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was broken on purpose, or by the client")
    }
}

impl std::error::Error for Broken {}

/// Responds to one call, or breaks its connection.
pub(super) async fn answer(
    shared: Arc<Shared>,
    wire: Wire,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Broken> {
    wire.plain();
    let number = shared.calls.fetch_add(1, Ordering::SeqCst) + 1;
    let (head, mut body) = request.into_parts();
    let fault = catch_unwind(AssertUnwindSafe(|| shared.next_fault(number, &head)));
    let Ok(fault) = fault else {
        return Ok(panicked("the rule").map(AnswerBody::whole));
    };
    match fault {
        Some(Fault::ResetOnAccept | Fault::ResetBeforeReading) => return Err(reset(&wire)),
        Some(Fault::ResetWhileReading) => {
            let _ = body.frame().await;
            return Err(reset(&wire));
        }
        _ => {}
    }
    let limit = shared.body_limit.load(Ordering::SeqCst);
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(too_large()),
        Err(_) => return Err(Broken), // the client has disconnected
    };
    let request = Request::from_parts(head, body);
    if shared.recording.load(Ordering::SeqCst) {
        shared.recorded().push(request.clone());
    }
    match fault {
        Some(Fault::ResetAfterReading) => return Err(reset(&wire)),
        Some(Fault::Hang) => pending::<()>().await,
        Some(Fault::Status {
            status,
            retry_after,
            content_type,
            body,
        }) => {
            let response = status_response(status, retry_after, &content_type, body);
            return Ok(response.map(AnswerBody::whole));
        }
        _ => {}
    }
    let response = handle(Arc::clone(&shared), request).await;
    if let Some(Fault::Endless) = fault {
        let taken = Arc::clone(&shared.endless_bytes);
        return Ok(response.map(|body| AnswerBody::endless(body, taken)));
    }
    answer_after(fault, response, &wire).await
}

/// Creates the response after the handler has run.
async fn answer_after(
    fault: Option<Fault>,
    response: Response<Bytes>,
    wire: &Wire,
) -> Result<Response<AnswerBody>, Broken> {
    let response = match fault {
        Some(Fault::AcceptThenReset) => return Err(reset(wire)),
        Some(Fault::AcceptThenClose) => return Err(Broken),
        Some(Fault::AcceptThenHang) => pending().await,
        Some(Fault::Drip { interval }) => {
            wire.drip(interval);
            response
        }
        Some(Fault::CutShort { bytes }) => {
            wire.cut_after(bytes);
            response
        }
        Some(Fault::Garbage(bytes)) => {
            wire.write_instead(bytes);
            response
        }
        Some(Fault::Replace(instead)) => instead,
        Some(Fault::Rewrite(change)) => {
            let changed = catch_unwind(AssertUnwindSafe(|| change(response)));
            changed.unwrap_or_else(|_| panicked("the fault"))
        }
        _ => response,
    };
    Ok(response.map(AnswerBody::whole))
}

fn reset(wire: &Wire) -> Broken {
    wire.reset_on_drop();
    Broken
}

/// Runs the handler where it may block. The handler finishes even if the client disconnects.
async fn handle(shared: Arc<Shared>, request: Request<Bytes>) -> Response<Bytes> {
    let run = move || {
        let response = (shared.handler)(&request);
        shared.handled.fetch_add(1, Ordering::SeqCst);
        response
    };
    let ended = tokio::task::spawn_blocking(run).await;
    ended.unwrap_or_else(|_| panicked("the handler"))
}

/// The response to a call in which the test's own code panicked.
fn panicked(code: &str) -> Response<Bytes> {
    let words = format!("{code} of this loopback server panicked");
    status_response(500, None, "text/plain", words.into())
}

fn too_large() -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}
