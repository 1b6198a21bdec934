//! [`Mailer`]: a message's way through core, one line for each step.
//!
//! Each step is a module next to this one. `carry.rs` does everything from a prepared message to
//! its result.

use std::any::Any;
use std::fmt;
use std::future::ready;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use super::backend::{EmailBackend, PreparedMessage};
use super::carry::{Carrier, Way};
use super::defaults::SendDefaults;
use super::error::{SendError, SendErrorKind};
use super::guarded::{self, Outcome};
use super::hooks::{self, PostSend, PreSend};
use super::policy::{self, UnsupportedPolicy};
use super::retry::RetryPolicy;
use super::status::SendStatus;
use super::unsupported::Unsupported;
use crate::message::{Fault, Message, write_list};
use crate::panics::caught_in;

/// Sends messages with one backend. This is the type that an app uses.
///
/// A mailer applies the send defaults to a message, runs the pre-send hooks, validates the message,
/// checks it against the backend's capabilities, and sends it; then it runs the post-send hooks
/// with the status. Cloning is cheap and shares the backend.
#[derive(Clone)]
pub struct Mailer(Arc<Parts>);

struct Parts {
    /// None where they say nothing.
    defaults: Option<SendDefaults>,
    policy: UnsupportedPolicy,
    pre_send: Vec<Arc<dyn PreSend>>,
    concurrency: usize,
    carrier: Carrier,
}

impl Mailer {
    /// Creates a mailer without defaults and hooks, which refuses unsupported features.
    pub fn new(backend: impl EmailBackend + 'static) -> Self {
        Self::builder(backend).build()
    }

    /// Starts building a mailer with `backend`.
    pub fn builder(backend: impl EmailBackend + 'static) -> MailerBuilder {
        MailerBuilder(Parts {
            defaults: None,
            policy: UnsupportedPolicy::default(),
            pre_send: Vec::new(),
            concurrency: 8,
            carrier: Carrier {
                backend: Arc::new(backend),
                retry: RetryPolicy::default(),
                time_limit: None,
                ignore_recipient_status: false,
                post_send: Vec::new(),
            },
        })
    }

    /// The mailer's backend.
    pub fn backend(&self) -> &dyn EmailBackend {
        &*self.0.carrier.backend
    }

    /// Checks a message without sending it. Returns everything that prevents it from being sent or
    /// would be dropped. The send defaults are applied; the hooks do not run.
    pub fn check(&self, message: &Message) -> Check {
        let message = self.with_defaults(message.clone());
        Check {
            faults: message.faults(),
            unsupported: policy::unsupported(self.backend(), &message),
        }
    }

    /// Sends one message.
    ///
    /// `Ok` means that the ESP has accepted it for at least one recipient, or may have (see
    /// [`Status::Unknown`](crate::Status::Unknown)). The status contains every recipient.
    ///
    /// If the future is dropped, the message may or may not have been sent. The mailer continues to
    /// work.
    ///
    /// # Errors
    /// [`SendError`] if the message was sent to nobody, or if it is not known. Its
    /// [`accepted`](SendError::accepted) says whether it is safe to send it again.
    pub async fn send(&self, message: &Message) -> Result<SendStatus, SendError> {
        let prepared = match self.prepare(vec![message.clone()]).await.pop() {
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) => return self.not_sent(error),
            None => return Err(self.0.carrier.lost_result()),
        };
        let carrier = &self.0.carrier;
        let prepared = slice::from_ref(&prepared);
        let sent = carrier.carry(prepared, Way::Single).await.pop();
        sent.unwrap_or_else(|| Err(self.0.carrier.lost_result()))
    }

    /// Sends any number of unrelated messages, in as few calls as the ESP allows. Returns one
    /// result for each, in order. A message that cannot be sent does not affect the others.
    #[must_use = "each message has its own result and may have failed"]
    pub async fn send_all(&self, messages: &[Message]) -> Vec<Result<SendStatus, SendError>> {
        self.send_all_with(messages, |_, _| {}).await
    }

    /// Sends messages like [`send_all`](Self::send_all), and reports each result as soon as it is
    /// available: the message's index in `messages`, and its result.
    ///
    /// If `on_result` panics, the panic is logged and recorded in the
    /// [`hook_errors`](SendStatus::hook_errors) of that message's status. The other messages are
    /// still sent and reported.
    pub async fn send_all_with(
        &self,
        messages: &[Message],
        mut on_result: impl FnMut(usize, &Result<SendStatus, SendError>),
    ) -> Vec<Result<SendStatus, SendError>> {
        let size = self.backend().max_batch().max(1);
        let part = |nth| {
            messages
                .get(nth * size..)
                .unwrap_or_default()
                .iter()
                .take(size)
        };
        let calls = messages.len().div_ceil(size);
        let mut results: Vec<Vec<_>> = Vec::new();
        results.resize_with(calls, Vec::new);
        let calls = stream::iter(0..calls)
            .map(async |nth| (nth, self.send_part(part(nth).cloned().collect()).await));
        let mut under_way = pin!(calls.buffer_unordered(self.0.concurrency.max(1)));
        while let Some((nth, mut sent)) = under_way.next().await {
            for (place, result) in (nth * size..).zip(&mut sent) {
                if let Err(panic) = caught_in(|| on_result(place, result)) {
                    let failed = vec![format!("on_result panicked: {panic}")];
                    self.0.carrier.note_failed_hooks(result, failed);
                }
            }
            if let Some(slot) = results.get_mut(nth) {
                *slot = sent;
            }
        }
        results.into_iter().flatten().collect()
    }

    /// Sends messages as they arrive, and yields each one's index, starting at 0, and result as
    /// soon as it is available: in any order, but exactly one for each.
    ///
    /// Messages that are ready at the same time are sent together, up to the number that the ESP
    /// accepts in a call ([`EmailBackend::max_batch`]), with several concurrent calls
    /// ([`MailerBuilder::concurrency`]). Memory never contains more messages than that, however
    /// long the run. Nothing is sent unless the stream is polled. To stop a run without leaving
    /// messages in doubt, end `messages` and take the remaining results.
    ///
    /// # Panics
    /// If `messages` panics. Earlier messages are sent, and their results are yielded first.
    ///
    /// ```
    /// # use anymail_core::{Mailer, Message};
    /// use futures_util::{StreamExt, stream};
    ///
    /// # async fn run(mailer: Mailer, queue: impl Iterator<Item = Message>) {
    /// let mut sent = std::pin::pin!(mailer.send_stream(stream::iter(queue)));
    /// while let Some((place, result)) = sent.next().await {
    ///     match result {
    ///         Ok(status) => println!("{place}: {:?}", status.message_id()),
    ///         Err(error) => println!("{place}: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn send_stream<S: Stream<Item = Message>>(
        &self,
        messages: S,
    ) -> impl Stream<Item = (usize, Result<SendStatus, SendError>)> + use<S> {
        let mailer = self.clone();
        let panic = Arc::new(Mutex::new(None));
        let panicked = Arc::clone(&panic);
        AssertUnwindSafe(messages)
            .catch_unwind()
            .filter_map(move |message| {
                let message = message.map_err(|payload| *lock(&panicked) = Some(payload));
                ready(message.ok())
            })
            .enumerate()
            .ready_chunks(self.backend().max_batch().max(1))
            .map(move |chunk| {
                let mailer = mailer.clone();
                let (places, messages): (Vec<usize>, _) = chunk.into_iter().unzip();
                async move { stream::iter(places.into_iter().zip(mailer.send_part(messages).await)) }
            })
            .buffer_unordered(self.0.concurrency.max(1))
            .flatten()
            .chain(stream::poll_fn(move |_| match lock(&panic).take() {
                Some(payload) => resume_unwind(payload),
                None => Poll::Ready(None),
            }))
    }

    /// Sends messages that are passed to the backend together. Returns one result for each, in order.
    async fn send_part(&self, messages: Vec<Message>) -> Vec<Outcome> {
        let count = messages.len();
        let (mut ready, mut refused) = (Vec::with_capacity(count), Vec::new());
        for (place, prepared) in self.prepare(messages).await.into_iter().enumerate() {
            match prepared {
                Ok(prepared) => ready.push(prepared),
                Err(error) => refused.push((place, self.not_sent(error))),
            }
        }
        let sent = self.0.carrier.carry(&ready, Way::Many).await;
        if refused.is_empty() {
            return sent;
        }
        let (mut sent, mut refused) = (sent.into_iter(), refused.into_iter().peekable());
        let result = |place| match refused.next_if(|(at, _)| *at == place) {
            Some((_, result)) => result,
            None => sent
                .next()
                .unwrap_or_else(|| Err(self.0.carrier.lost_result())),
        };
        (0..count).map(result).collect()
    }

    /// Everything that happens before sending: defaults, hooks, validation, and the policy.
    async fn prepare(&self, messages: Vec<Message>) -> Vec<Result<PreparedMessage, SendError>> {
        let messages = messages.into_iter().map(|it| self.with_defaults(it));
        let mut messages: Vec<_> = messages.collect();
        let hooks = &self.0.pre_send;
        let withheld = hooks::run(hooks, &mut messages, self.backend().name()).await;
        let both = messages.into_iter().zip(withheld);
        let make = |(message, withheld): (_, Result<_, _>)| {
            let withheld = withheld?;
            let make = || PreparedMessage::make(message, self.backend(), self.0.policy, withheld);
            guarded::prepare(self.backend().name(), make)
        };
        both.map(make).collect()
    }

    /// The result for the caller if a message was not passed to the backend.
    fn not_sent(&self, error: SendError) -> Outcome {
        let refused = error.kind() == SendErrorKind::RecipientsRefused;
        match error.status() {
            Some(status) if refused && self.0.carrier.ignore_recipient_status => Ok(status.clone()),
            _ => Err(error),
        }
    }

    fn with_defaults(&self, message: Message) -> Message {
        let mut message = match &self.0.defaults {
            Some(defaults) => defaults.below(message),
            None => message,
        };
        message.normalize();
        message
    }
}

/// The message of a panic.
type Payload = Box<dyn Any + Send>;

fn lock(panic: &Mutex<Option<Payload>>) -> MutexGuard<'_, Option<Payload>> {
    panic.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("backend", &self.0.carrier.backend)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Mailer`].
#[must_use = "a builder does nothing until build() is called"]
pub struct MailerBuilder(Parts);

impl MailerBuilder {
    /// Sets values for fields that messages do not set. None by default.
    pub fn send_defaults(mut self, defaults: SendDefaults) -> Self {
        self.0.defaults = Some(defaults).filter(|defaults| !defaults.is_empty());
        self
    }

    /// Sets what happens to features that the backend does not support. By default, the message is
    /// refused.
    pub fn unsupported(mut self, policy: UnsupportedPolicy) -> Self {
        self.0.policy = policy;
        self
    }

    /// Sets whether to return `Ok`, with the refusals in the status, if the ESP refuses every
    /// recipient. `false` by default.
    pub fn ignore_recipient_status(mut self, ignore: bool) -> Self {
        self.0.carrier.ignore_recipient_status = ignore;
        self
    }

    /// Sets when to retry messages that were certainly not accepted. By default never.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.0.carrier.retry = policy;
        self
    }

    /// Sets the time limit of sending a message, including all attempts and waits; in `send_all`,
    /// that of the messages of each call. By default there is none, and the backend's own timeouts
    /// apply to each attempt. Requires a tokio runtime with time enabled, like waits do.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.0.carrier.time_limit = Some(limit);
        self
    }

    /// Sets the maximum number of concurrent calls in [`send_all`](Mailer::send_all) and similar
    /// methods, each of up to [`EmailBackend::max_batch`] messages. 8 by default, at least 1.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.0.concurrency = calls;
        self
    }

    /// Adds a hook that runs before each message, after hooks that were added earlier.
    pub fn pre_send(mut self, hook: impl PreSend + 'static) -> Self {
        self.0.pre_send.push(Arc::new(hook));
        self
    }

    /// Adds a hook that runs after each message, after hooks that were added earlier.
    pub fn post_send(mut self, hook: impl PostSend + 'static) -> Self {
        self.0.carrier.post_send.push(Arc::new(hook));
        self
    }

    /// Builds the mailer.
    pub fn build(self) -> Mailer {
        Mailer(Arc::new(self.0))
    }
}

impl fmt::Debug for MailerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailerBuilder")
            .field("backend", &self.0.carrier.backend)
            .finish_non_exhaustive()
    }
}

/// The result of [`Mailer::check`]. `Display` writes it on one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[must_use = "a check reports problems as a value, not as an error"]
pub struct Check {
    /// Faults that prevent any ESP from sending the message.
    pub faults: Vec<Fault>,
    /// Features that this mailer's ESP does not support. The policy decides whether they are
    /// refused or dropped.
    pub unsupported: Vec<Unsupported>,
}

impl Check {
    /// Whether the message can be sent completely.
    pub fn is_ok(&self) -> bool {
        self.faults.is_empty() && self.unsupported.is_empty()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            return f.write_str("the message can be sent");
        }
        write_list(f, &self.faults)?;
        if !self.faults.is_empty() && !self.unsupported.is_empty() {
            f.write_str("; ")?;
        }
        write_list(f, &self.unsupported)
    }
}
