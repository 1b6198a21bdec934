//! Runs foreign code (an app's hooks and handlers, a backend) and turns a panic into a value.
//!
//! The callers decide what a panic means for a message or a webhook.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

/// Runs a future to completion. If it panics, returns the panic's message.
///
/// The caller must not use anything that the future was changing when it panicked.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let ended = AssertUnwindSafe(future).catch_unwind().await;
    ended.map_err(|payload| message(&*payload))
}

/// Calls a function, with the same result as [`caught`].
pub(crate) fn caught_in<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
