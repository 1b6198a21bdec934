//! The mailer without `async`, for programs without an async runtime.
//!
//! It only waits for the mailer in `mailer.rs`.

use tokio::runtime::{Builder, Handle, Runtime};

use super::backend::EmailBackend;
use super::error::{SendError, SendErrorKind};
use super::mailer::Check;
use super::status::SendStatus;
use crate::message::Message;

/// A [`Mailer`](crate::Mailer) whose methods block until the result is available. It has its own
/// runtime on a background thread.
///
/// Share one among threads: its connections stay open between sends. Everything that the async
/// mailer documents (retries, time limits, hooks) applies. In async code, use the async mailer:
/// there, these methods would block other tasks, so they return an error.
///
/// It has the methods of the async mailer except two: `builder`, because it is created from a
/// mailer, and `send_stream`, because a stream needs `async`. To send very many messages, pass
/// chunks of some thousand to [`send_all_with`](Self::send_all_with).
///
/// ```no_run
/// use anymail_core::{Mailer, Message, blocking};
/// # fn app(mailer: Mailer, message: Message) -> Result<(), Box<dyn std::error::Error>> {
/// let mailer = blocking::Mailer::new(mailer)?;
/// let status = mailer.send(&message)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mailer {
    mailer: super::mailer::Mailer,
    runtime: Option<Runtime>,
}

impl Mailer {
    /// Creates a blocking mailer from `mailer`.
    ///
    /// # Errors
    /// An I/O error if no thread can be started.
    pub fn new(mailer: super::mailer::Mailer) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("anymail-blocking")
            .enable_all()
            .build()?;
        Ok(Self {
            mailer,
            runtime: Some(runtime),
        })
    }

    /// The mailer's backend.
    pub fn backend(&self) -> &dyn EmailBackend {
        self.mailer.backend()
    }

    /// Checks a message like [`Mailer::check`](crate::Mailer::check).
    pub fn check(&self, message: &Message) -> Check {
        self.mailer.check(message)
    }

    /// Sends one message and waits for the result.
    ///
    /// # Errors
    /// The errors of [`Mailer::send`](crate::Mailer::send), and [`SendErrorKind::Configuration`] if
    /// it is called in async code.
    pub fn send(&self, message: &Message) -> Result<SendStatus, SendError> {
        match self.outside_of_async() {
            Ok(runtime) => runtime.block_on(self.mailer.send(message)),
            Err(error) => Err(error),
        }
    }

    /// Sends many unrelated messages and waits for all of them. Returns one result for each, in
    /// order, like [`Mailer::send_all`](crate::Mailer::send_all).
    #[must_use = "each message has its own result and may have failed"]
    pub fn send_all(&self, messages: &[Message]) -> Vec<Result<SendStatus, SendError>> {
        self.send_all_with(messages, |_, _| {})
    }

    /// Sends many unrelated messages, waits for all of them, and reports each result as soon as it
    /// is available, like [`Mailer::send_all_with`](crate::Mailer::send_all_with).
    pub fn send_all_with(
        &self,
        messages: &[Message],
        mut on_result: impl FnMut(usize, &Result<SendStatus, SendError>),
    ) -> Vec<Result<SendStatus, SendError>> {
        match self.outside_of_async() {
            Ok(runtime) => runtime.block_on(self.mailer.send_all_with(messages, on_result)),
            Err(error) => {
                let results: Vec<_> = messages.iter().map(|_| Err(error.clone())).collect();
                for (place, result) in results.iter().enumerate() {
                    on_result(place, result);
                }
                results
            }
        }
    }

    /// Blocking inside a runtime would panic, or at least block other tasks.
    fn outside_of_async(&self) -> Result<&Runtime, SendError> {
        match (&self.runtime, Handle::try_current()) {
            (Some(runtime), Err(_)) => Ok(runtime),
            _ => Err(SendError::new(
                SendErrorKind::Configuration,
                self.mailer.backend().name(),
                "blocking::Mailer was called from async code: use Mailer instead",
            )),
        }
    }
}

impl Drop for Mailer {
    /// In async code, waiting for the runtime to end is not allowed, so it shuts down in the
    /// background.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
