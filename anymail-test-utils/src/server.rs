//! [`LoopbackServer`]: an HTTP server for tests that simulates faults and keeps what arrived.
//!
//! It knows no ESP. A fake ESP is a handler, such as the one of
//! [`FakePostmark`](crate::FakePostmark). `faults.rs` defines the faults.

mod body;
mod call;
mod wire;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;

use self::call::{Planned, Shared, answer};
use self::wire::{Wire, WireStream};
use crate::faults::Fault;
use crate::loopback::{Connections, Loopback};

/// An HTTP/1.1 server on loopback whose responses a function creates.
///
/// It runs on its own thread, so it serves async and blocking clients, inside and outside of a
/// tokio runtime. The handler may block. Dropping the server frees its port; calls in progress end
/// without a response.
///
/// ```
/// use anymail_test_utils::{Fault, LoopbackServer};
/// use bytes::Bytes;
/// use http::Response;
///
/// let server = LoopbackServer::start(|request| {
///     Response::new(Bytes::from(format!("hello, {}", request.uri().path())))
/// })?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
///
/// server.inject(Fault::AcceptThenReset, 2); // the responses to the next two calls are lost
/// // ... point a client at server.url() ...
/// assert_eq!(server.counts().handled, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LoopbackServer {
    loopback: Loopback,
    shared: Arc<Shared>,
}

/// The counters of a [`LoopbackServer`] since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Accepted connections, including those that were reset immediately.
    pub connections: u64,
    /// Requests whose head has arrived.
    pub calls: u64,
    /// Calls whose handler has finished, that is, which the ESP accepted.
    pub handled: u64,
    /// Bytes that clients have read of endless responses
    /// ([`Fault::Endless`](crate::Fault::Endless)).
    pub endless_bytes: u64,
}

impl LoopbackServer {
    /// The default maximum size of a request's body, 64 MiB.
    /// [`set_body_limit`](Self::set_body_limit) changes it.
    pub const DEFAULT_BODY_LIMIT: usize = 64 * 1024 * 1024;

    /// The number of bytes after which the server ends an endless response, 64 MiB.
    pub const ENDLESS: u64 = 64 * 1024 * 1024;

    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// If the handler, a rule or a fault panics, the response is HTTP 500, and the next call is
    /// handled normally.
    ///
    /// # Errors
    /// Returns the operating system's error if no port or thread is available.
    pub fn start(
        handler: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), handler)
    }

    /// Starts a server on this address; port 0 chooses a free port.
    ///
    /// # Errors
    /// Returns the same errors as [`start`](Self::start), [`io::ErrorKind::AddrInUse`] if the port
    /// is in use, and [`io::ErrorKind::InvalidInput`] if the address is not a loopback address,
    /// because the server is made for tests and has no protection.
    pub fn start_on(
        address: SocketAddr,
        handler: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            planned: Planned::default().into(),
            recorded: Vec::new().into(),
            recording: AtomicBool::new(true),
            body_limit: AtomicUsize::new(Self::DEFAULT_BODY_LIMIT),
            connections: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            endless_bytes: Arc::default(),
        });
        let connections = HttpConnections {
            shared: Arc::clone(&shared),
            under_way: GracefulShutdown::new(),
        };
        let loopback = Loopback::start("loopback-server", address, connections)?;
        Ok(Self { loopback, shared })
    }

    /// Returns the base URL without a trailing slash, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.loopback.address()
    }

    /// Returns the counters.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.shared.connections.load(Ordering::SeqCst),
            calls: self.shared.calls.load(Ordering::SeqCst),
            handled: self.shared.handled.load(Ordering::SeqCst),
            endless_bytes: self.shared.endless_bytes.load(Ordering::SeqCst),
        }
    }

    /// Returns all requests that were read completely, in order, whether or not the handler ran.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.shared.recorded().clone()
    }

    /// Forgets all requests. Does not reset the counters.
    pub fn forget_requests(&self) {
        self.shared.recorded().clear();
    }

    /// Sets whether requests are kept. They are kept by default; turn this off for a long run,
    /// because their bodies would exhaust the memory.
    pub fn set_recording(&self, recording: bool) {
        self.shared.recording.store(recording, Ordering::SeqCst);
    }

    /// Sets the maximum size of a request's body. The response to a larger one is HTTP 413 with an
    /// empty body, and its handler does not run.
    pub fn set_body_limit(&self, bytes: usize) {
        self.shared.body_limit.store(bytes, Ordering::SeqCst);
    }

    /// Injects `fault` into the next `times` calls, after all faults that were injected before.
    pub fn inject(&self, fault: Fault, times: usize) {
        self.shared.planned().queue.push(fault, times);
    }

    /// Sets a rule that is called for each call without an [injected](Self::inject) fault, with the
    /// call's number, starting at 1, and its head. Replaces the previous rule.
    pub fn inject_rule(&self, rule: impl Fn(u64, &Parts) -> Option<Fault> + Send + Sync + 'static) {
        self.shared.planned().rule = Some(Arc::new(rule));
    }

    /// Removes all faults. A server that refuses connections continues to do so.
    pub fn clear_faults(&self) {
        *self.shared.planned() = Planned::default();
    }

    /// Closes idle connections and lets the operating system refuse new ones (`ECONNREFUSED`),
    /// until [`accept_again`](Self::accept_again).
    ///
    /// The server keeps its port. Calls in progress continue; this waits only a moment for them.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn refuse(&self) -> io::Result<()> {
        self.loopback.refuse().await
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub async fn accept_again(&self) -> io::Result<()> {
        self.loopback.accept_again().await
    }

    /// Runs a task next to the handlers; it ends when the server is dropped.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.loopback.spawn(task)
    }
}

/// Shows the address and the counters, but no request because requests contain tokens.
impl fmt::Debug for LoopbackServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackServer")
            .field("address", &self.address())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

struct HttpConnections {
    shared: Arc<Shared>,
    under_way: GracefulShutdown,
}

impl Connections for HttpConnections {
    fn take(&mut self, stream: TcpStream) {
        take(stream, &self.shared, &self.under_way);
    }

    fn close(&mut self) -> impl Future<Output = ()> + Send + 'static {
        std::mem::take(&mut self.under_way).shutdown()
    }
}

/// Serves one connection in the background.
fn take(stream: TcpStream, shared: &Arc<Shared>, under_way: &GracefulShutdown) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    if shared.resets_this_connection() {
        let _ = stream.set_zero_linger(); // closed like this, it sends RST
        return;
    }
    let _ = stream.set_nodelay(true);
    let wire = Wire::default();
    let stream = TokioIo::new(WireStream::new(stream, wire.clone()));
    let shared = Arc::clone(shared);
    let service = service_fn(move |request| answer(Arc::clone(&shared), wire.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(stream, service);
    // Ignore errors: the client disconnected, or a fault broke the connection.
    tokio::spawn(under_way.watch(connection));
}
