//! The mailer without `async`, for programs that have no runtime.
//!
//! All it does is wait for `mailer.rs`.

use tokio::runtime::{Builder, Handle, Runtime};

use super::backend::EmailBackend;
use super::error::{SendError, SendErrorKind};
use super::mailer::Check;
use super::status::SendStatus;
use crate::message::Message;

/// A [`Mailer`](crate::Mailer) whose methods wait for the result, with a runtime of its own on
/// one thread in the background.
///
/// Share one among threads: its connections stay open between sends, and what is said of the
/// async mailer (retries, time limits, hooks) holds for it. In async code use the async mailer:
/// there these methods would hold up other tasks, and give an error instead.
///
/// It has the methods of the async mailer but two: `builder`, since it is made from a mailer that is
/// already built, and `send_stream`, since a stream needs `async`. Send a long run in chunks of
/// some thousand messages by [`send_all_with`](Self::send_all_with).
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
    /// A blocking face of `mailer`.
    ///
    /// # Errors
    /// What the operating system says when there is no thread to be had.
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

    /// The backend behind it.
    pub fn backend(&self) -> &dyn EmailBackend {
        self.mailer.backend()
    }

    /// As [`Mailer::check`](crate::Mailer::check): what keeps `message` from being sent.
    pub fn check(&self, message: &Message) -> Check {
        self.mailer.check(message)
    }

    /// Sends one message and waits for what comes of it.
    ///
    /// # Errors
    /// As [`Mailer::send`](crate::Mailer::send), and
    /// [`SendErrorKind::Configuration`] when called in async code.
    pub fn send(&self, message: &Message) -> Result<SendStatus, SendError> {
        match self.outside_of_async() {
            Ok(runtime) => runtime.block_on(self.mailer.send(message)),
            Err(error) => Err(error),
        }
    }

    /// Sends many unrelated messages and waits for all: one result each, in their order, as
    /// [`Mailer::send_all`](crate::Mailer::send_all).
    #[must_use = "each message has its own result and may have failed"]
    pub fn send_all(&self, messages: &[Message]) -> Vec<Result<SendStatus, SendError>> {
        self.send_all_with(messages, |_, _| {})
    }

    /// Sends many unrelated messages, waits for all, and tells each result as soon as it is there, as
    /// [`Mailer::send_all_with`](crate::Mailer::send_all_with).
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

    /// To wait inside a runtime would panic there, and hold up other tasks if it did not.
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
    /// A runtime may not be waited for in async code, so it is left to end by itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
