//! The common base of all loopback servers: a thread with a runtime, a port, and a queue of faults.
//!
//! It knows no protocol; [`Connections`] handles connections.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

/// What a server does with its connections. It runs on the server's thread, in its runtime.
pub(crate) trait Connections: Send + 'static {
    /// Serves a newly accepted connection in the background.
    fn take(&mut self, stream: TcpStream);

    /// Closes idle connections, and completes when all current connections have ended.
    fn close(&mut self) -> impl Future<Output = ()> + Send + 'static;
}

/// A listening socket on loopback, and the thread that serves its connections until it is dropped.
pub(crate) struct Loopback {
    address: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
}

/// A command for the server's thread, with a channel for its result.
struct Order {
    refuse: bool,
    done: oneshot::Sender<io::Result<()>>,
}

impl Loopback {
    /// Starts a thread that listens on an address; port 0 chooses a free port.
    ///
    /// Returns [`io::ErrorKind::InvalidInput`] if the address is not a loopback address.
    pub(crate) fn start(
        thread_name: &str,
        address: SocketAddr,
        connections: impl Connections,
    ) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let words = format!("{address} is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let (orders, receiver) = mpsc::unbounded_channel();
        let (ready, wait) = std::sync::mpsc::channel();
        // The thread creates and drops its own runtime, because dropping a runtime on a thread of
        // another runtime panics.
        let thread = std::thread::Builder::new()
            .name(thread_name.to_owned())
            .spawn(move || match listen(address) {
                Err(error) => drop(ready.send(Err(error))),
                Ok((runtime, listener, address)) => {
                    let _ = ready.send(Ok((address, runtime.handle().clone())));
                    runtime.block_on(serve(address, listener, connections, receiver));
                    runtime.shutdown_background();
                }
            })?;
        let (address, runtime) = wait.recv().map_err(|_| gone())??;
        Ok(Self {
            address,
            orders,
            runtime,
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs a task next to the connections; it ends when the server is dropped.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// Closes idle connections and lets the operating system refuse new ones.
    pub(crate) async fn refuse(&self) -> io::Result<()> {
        self.order(true).await
    }

    /// Listens again, on the same port.
    pub(crate) async fn accept_again(&self) -> io::Result<()> {
        self.order(false).await
    }

    async fn order(&self, refuse: bool) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.orders
            .send(Order { refuse, done })
            .map_err(|_| gone())?;
        wait.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        // The thread ends when the last sender of orders is dropped.
        self.orders = mpsc::unbounded_channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the server's thread has ended")
}

/// The maximum number of connections that the operating system queues.
const BACKLOG: u32 = 1024;

/// How long [`Loopback::refuse`] waits for calls in progress, and for clients to notice that their
/// idle connections are closed.
const PATIENCE: Duration = Duration::from_millis(200);

/// Binds a socket to the address. Until it listens, connections are refused.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if cfg!(not(windows)) {
        socket.set_reuseaddr(true)?; // on Windows, it would let two servers share a port
    }
    socket.bind(address)?;
    Ok(socket)
}

/// Creates a runtime and a listener in it, and returns them with the listener's address.
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
    /// The operating system provided neither.
    Broken,
}

/// Accepts connections and follows orders until the server is dropped.
async fn serve(
    address: SocketAddr,
    listener: TcpListener,
    mut connections: impl Connections,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut door = Door::Open(listener);
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return };
                let done = if order.refuse {
                    let done = shut(&mut door, address);
                    let closing = tokio::spawn(connections.close());
                    let _ = tokio::time::timeout(PATIENCE, closing).await;
                    done
                } else {
                    open(&mut door, address)
                };
                let _ = order.done.send(done);
            }
            Some(stream) = accept(&door) => connections.take(stream),
        }
    }
}

/// Returns the next connection; never completes while the door is shut.
async fn accept(door: &Door) -> Option<TcpStream> {
    let Door::Open(listener) = door else {
        return std::future::pending().await;
    };
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // The process is usually out of file descriptors: give connections time to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

fn shut(door: &mut Door, address: SocketAddr) -> io::Result<()> {
    if !matches!(door, Door::Shut(_)) {
        *door = Door::Broken; // close the listener, so that the address can be bound
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

/// The faults to come, each with its count, in the order in which they were injected.
pub(crate) struct FaultQueue<F>(VecDeque<(F, usize)>);

impl<F> Default for FaultQueue<F> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<F: Clone> FaultQueue<F> {
    pub(crate) fn push(&mut self, fault: F, times: usize) {
        if times > 0 {
            self.0.push_back((fault, times));
        }
    }

    /// Returns the next fault.
    pub(crate) fn front(&self) -> Option<&F> {
        self.0.front().map(|(fault, _)| fault)
    }

    /// Takes the next fault.
    pub(crate) fn pop(&mut self) -> Option<F> {
        self.pop_first(|_| true)
    }

    /// Takes the first fault that fits; the others keep their places.
    pub(crate) fn pop_first(&mut self, fits: impl Fn(&F) -> bool) -> Option<F> {
        let at = self.0.iter().position(|(fault, _)| fits(fault))?;
        let (fault, times) = self.0.get_mut(at)?;
        let fault = fault.clone();
        *times = times.saturating_sub(1);
        if *times == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }
}
