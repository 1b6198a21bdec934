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
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

use self::call::{Planned, Shared, answer};
use self::wire::{Wire, WireStream};
use crate::faults::Fault;

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
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
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

/// What the server's thread is asked to do, and where it says whether it could.
struct Order {
    refuse: bool,
    done: oneshot::Sender<io::Result<()>>,
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
        if !address.ip().is_loopback() {
            let words = format!("{address} is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
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
        let (orders, receiver) = mpsc::unbounded_channel();
        let (ready, wait) = std::sync::mpsc::channel();
        let served = Arc::clone(&shared);
        // The runtime is made and dropped on its own thread: on a thread of another runtime,
        // dropping one panics.
        let thread = std::thread::Builder::new()
            .name("loopback-server".to_owned())
            .spawn(move || match listen(address) {
                Err(error) => drop(ready.send(Err(error))),
                Ok((runtime, listener, address)) => {
                    let _ = ready.send(Ok((address, runtime.handle().clone())));
                    runtime.block_on(serve(address, listener, served, receiver));
                    runtime.shutdown_background();
                }
            })?;
        let gone = || io::Error::other("the server's thread has ended");
        let (address, runtime) = wait.recv().map_err(|_| gone())??;
        Ok(Self {
            address,
            shared,
            orders,
            runtime,
            thread: Some(thread),
        })
    }

    /// The base URL, without a slash at its end: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
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
        if times > 0 {
            self.shared.planned().queue.push_back((fault, times));
        }
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
        self.order(true).await
    }

    /// Opens the door again, on the same port.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn accept_again(&self) -> io::Result<()> {
        self.order(false).await
    }

    /// Runs something beside the handlers; it ends when the server is dropped.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(task)
    }

    async fn order(&self, refuse: bool) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        let gone = || io::Error::other("the server's thread has ended");
        self.orders
            .send(Order { refuse, done })
            .map_err(|_| gone())?;
        wait.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        // The thread ends when the last sender of orders is gone.
        self.orders = mpsc::unbounded_channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The address and the counts; no request, as requests hold tokens.
impl fmt::Debug for LoopbackServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackServer")
            .field("address", &self.address)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// How many connections the operating system keeps waiting.
const BACKLOG: u32 = 1024;

/// How long [`LoopbackServer::refuse`] waits for calls under way, and for clients to notice
/// that their idle connections are closed.
const PATIENCE: Duration = Duration::from_millis(200);

/// A socket that holds the address. Until it listens, whoever connects is refused.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if cfg!(not(windows)) {
        socket.set_reuseaddr(true)?; // there it would let two servers share a port
    }
    socket.bind(address)?;
    Ok(socket)
}

/// A runtime, and a listener in it, and where that listens.
fn listen(address: SocketAddr) -> io::Result<(Runtime, TcpListener, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        bind(address)?.listen(BACKLOG)?
    };
    let address = listener.local_addr()?;
    Ok((runtime, listener, address))
}

enum Door {
    Open(TcpListener),
    Shut(TcpSocket),
    /// Neither could be had from the operating system.
    Broken,
}

/// Accepts connections and follows orders until the server is dropped.
async fn serve(
    address: SocketAddr,
    listener: TcpListener,
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut door = Door::Open(listener);
    let mut under_way = GracefulShutdown::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return };
                let done = if order.refuse {
                    let done = shut(&mut door, address);
                    let closing = std::mem::take(&mut under_way).shutdown();
                    let closing = tokio::spawn(closing);
                    let _ = tokio::time::timeout(PATIENCE, closing).await;
                    done
                } else {
                    open(&mut door, address)
                };
                let _ = order.done.send(done);
            }
            Some(stream) = accept(&door) => take(stream, &shared, &under_way),
        }
    }
}

/// The next connection; never comes when the door is shut.
async fn accept(door: &Door) -> Option<TcpStream> {
    let Door::Open(listener) = door else {
        return std::future::pending().await;
    };
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // Out of file descriptors, as a rule: give the connections time to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

fn shut(door: &mut Door, address: SocketAddr) -> io::Result<()> {
    if !matches!(door, Door::Shut(_)) {
        *door = Door::Broken; // closes the listener, so that the address can be bound
        *door = Door::Shut(bind(address)?);
    }
    Ok(())
}

fn open(door: &mut Door, address: SocketAddr) -> io::Result<()> {
    let socket = match std::mem::replace(door, Door::Broken) {
        Door::Open(listener) => {
            *door = Door::Open(listener);
            return Ok(());
        }
        Door::Shut(socket) => socket,
        Door::Broken => bind(address)?,
    };
    *door = Door::Open(socket.listen(BACKLOG)?);
    Ok(())
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
