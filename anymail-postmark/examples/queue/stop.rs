//! When a worker should stop: SIGTERM, as service managers send it, or Ctrl-C.

/// Completes when the process is asked to stop. From the first call on, neither signal kills it.
pub(crate) async fn asked_to() {
    tokio::select! {
        () = terminated() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await, // then Ctrl-C alone stops it
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
