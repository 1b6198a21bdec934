//! [`LoopbackServer`]: an HTTP server for tests that can do every fault and keeps what arrived.
//!
//! It knows no ESP: a fake one is a handler, such as that of
//! [`FakePostmark`](crate::FakePostmark). The faults' names are in `faults.rs`.

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

/// An HTTP/1.1 server on loopback, answered by a function.
///
/// It runs on a thread of its own, so it serves async and blocking clients, in and out of a
/// tokio runtime. The handler runs where it may block. When the server is dropped its port is
/// free again; calls under way end without an answer.
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
/// server.inject(Fault::AcceptThenReset, 2); // the next two calls lose their answers
/// // ... point a client at server.url() ...
/// assert_eq!(server.counts().handled, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LoopbackServer {
    loopback: Loopback,
    shared: Arc<Shared>,
}

/// How much a [`LoopbackServer`] has seen since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Connections accepted, those reset at once included.
    pub connections: u64,
    /// Requests whose head has arrived.
    pub calls: u64,
    /// Calls whose handler has run to its end: what the ESP has.
    pub handled: u64,
    /// Bytes that clients have taken of answers without an end
    /// ([`Fault::Endless`](crate::Fault::Endless)).
    pub endless_bytes: u64,
}

impl LoopbackServer {
    /// How large a request's body may be, unless [`set_body_limit`](Self::set_body_limit) says
    /// otherwise: 64 MiB.
    pub const DEFAULT_BODY_LIMIT: usize = 64 * 1024 * 1024;

    /// After how many bytes an answer without an end breaks off: 64 MiB.
    pub const ENDLESS: u64 = 64 * 1024 * 1024;

    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// If the handler panics, the call is answered with HTTP 500, and the next one is handled.
    /// So it is for a rule or fault that panics.
    ///
    /// # Errors
    /// What the operating system says when there is no port or no thread to be had.
    pub fn start(
        handler: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), handler)
    }

    /// Starts a server on an address of its own, port 0 for a free one.
    ///
    /// # Errors
    /// As [`start`](Self::start); [`io::ErrorKind::AddrInUse`] when the port is taken;
    /// [`io::ErrorKind::InvalidInput`] when the address is not on loopback, as the server is
    /// made for tests and guards nothing.
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

    /// The base URL, without a slash at its end: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.loopback.address()
    }

    /// How much it has seen.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.shared.connections.load(Ordering::SeqCst),
            calls: self.shared.calls.load(Ordering::SeqCst),
            handled: self.shared.handled.load(Ordering::SeqCst),
            endless_bytes: self.shared.endless_bytes.load(Ordering::SeqCst),
        }
    }

    /// The requests that were read to their end, in the order in which they were, whether or
    /// not the handler ran for them.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.shared.recorded().clone()
    }

    /// Forgets the requests so far. The counts stay.
    pub fn forget_requests(&self) {
        self.shared.recorded().clear();
    }

    /// Whether requests are kept. They are by default; a long run would fill the memory with
    /// their bodies.
    pub fn set_recording(&self, recording: bool) {
        self.shared.recording.store(recording, Ordering::SeqCst);
    }

    /// How many bytes a request's body may have. A larger one is answered with HTTP 413 and an
    /// empty body, and its handler does not run.
    pub fn set_body_limit(&self, bytes: usize) {
        self.shared.body_limit.store(bytes, Ordering::SeqCst);
    }

    /// Lets the next `times` calls go wrong like this, behind those that have been ordered
    /// before.
    pub fn inject(&self, fault: Fault, times: usize) {
        self.shared.planned().queue.push(fault, times);
    }

    /// Asks `rule` about each call that [`inject`](Self::inject) says nothing about; it gets
    /// the call's number, from 1 on, and its head. Replaces the rule before.
    pub fn inject_rule(&self, rule: impl Fn(u64, &Parts) -> Option<Fault> + Send + Sync + 'static) {
        self.shared.planned().rule = Some(Arc::new(rule));
    }

    /// From now on all goes well again. A server that refuses connections goes on doing so.
    pub fn clear_faults(&self) {
        *self.shared.planned() = Planned::default();
    }

    /// Closes the door: idle connections are closed, and new ones refused by the operating
    /// system (`ECONNREFUSED`), until [`accept_again`](Self::accept_again). The port stays
    /// this server's. Calls under way go on; they are waited for only a moment.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn refuse(&self) -> io::Result<()> {
        self.loopback.refuse().await
    }

    /// Opens the door again, on the same port.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn accept_again(&self) -> io::Result<()> {
        self.loopback.accept_again().await
    }

    /// Runs something beside the handlers; it ends when the server is dropped.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.loopback.spawn(task)
    }
}

/// The address and the counts; no request, as requests hold tokens.
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

/// Serves one connection, in the background.
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
    // An error is the client's to see: it went away, or a fault broke the connection.
    tokio::spawn(under_way.watch(connection));
}
