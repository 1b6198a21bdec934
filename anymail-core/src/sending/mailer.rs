//! [`Mailer`]: the way of a message through core, a line a step.
//!
//! Each step is a module beside this one; carrying the message is the backend's.

use std::fmt;
use std::sync::Arc;

use super::backend::{EmailBackend, PreparedMessage};
use super::defaults::SendDefaults;
use super::error::{Accepted, SendError, SendErrorKind};
use super::hooks::{PostSend, PreSend, PreSendVerdict, Withheld};
use super::policy::{self, Unsupported, UnsupportedPolicy};
use super::status::SendStatus;
use crate::message::{Fault, Message, write_list};

/// Sends messages through one backend: the type that an app holds.
///
/// A message gets the send defaults under it, passes the pre-send hooks, is validated and
/// checked against what the backend can do, and goes out; its status comes back through the
/// post-send hooks. Cloning a mailer is cheap and shares the backend.
#[derive(Clone)]
pub struct Mailer(Arc<Parts>);

struct Parts {
    backend: Arc<dyn EmailBackend>,
    defaults: SendDefaults,
    policy: UnsupportedPolicy,
    ignore_recipient_status: bool,
    pre_send: Vec<Arc<dyn PreSend>>,
    post_send: Vec<Arc<dyn PostSend>>,
}

impl Mailer {
    /// A mailer with no defaults and no hooks that refuses what is unsupported.
    pub fn new(backend: impl EmailBackend + 'static) -> Self {
        Self::builder(backend).build()
    }

    /// Starts a mailer over `backend`.
    pub fn builder(backend: impl EmailBackend + 'static) -> MailerBuilder {
        MailerBuilder(Parts {
            backend: Arc::new(backend),
            defaults: SendDefaults::default(),
            policy: UnsupportedPolicy::default(),
            ignore_recipient_status: false,
            pre_send: Vec::new(),
            post_send: Vec::new(),
        })
    }

    /// The backend behind it.
    pub fn backend(&self) -> &dyn EmailBackend {
        &*self.0.backend
    }

    /// What keeps `message` from being sent, or would be left out of it: all at once, without
    /// sending. The send defaults count, the hooks do not run.
    pub fn check(&self, message: &Message) -> Check {
        let message = self.with_defaults(message);
        Check {
            faults: message.faults(),
            unsupported: policy::unsupported(self.backend(), &message),
        }
    }

    /// Sends one message.
    ///
    /// `Ok` means that the ESP has accepted it for at least one recipient (or may have: see
    /// [`Status::Unknown`](crate::Status::Unknown)); each one's status is in it.
    ///
    /// # Errors
    /// [`SendError`] when nobody was sent the message, or nobody can tell. Its
    /// [`accepted`](SendError::accepted) says whether it can be sent again.
    pub async fn send(&self, message: &Message) -> Result<SendStatus, SendError> {
        let prepared = self.prepare(message).await?;
        let result = self.0.backend.send(&prepared).await;
        self.finish(&prepared, result).await
    }

    /// Sends any number of unrelated messages, in as few calls as the ESP allows; gives one
    /// result for each, in their order. One that cannot be sent does not spoil the others.
    pub async fn send_all(&self, messages: &[Message]) -> Vec<Result<SendStatus, SendError>> {
        let mut ready = Vec::with_capacity(messages.len());
        let mut prepared = Vec::with_capacity(messages.len());
        for message in messages {
            prepared.push(
                self.prepare(message)
                    .await
                    .map(|message| ready.push(message)),
            );
        }
        let sent = if ready.is_empty() {
            Vec::new()
        } else {
            self.0.backend.send_many(&ready).await
        };
        let mut ready = ready.iter();
        let mut sent = sent.into_iter();
        let mut results = Vec::with_capacity(messages.len());
        for outcome in prepared {
            let sendable = outcome.map(|()| (ready.next(), sent.next()));
            results.push(match sendable {
                Err(error) => Err(error),
                Ok((Some(message), Some(result))) => self.finish(message, result).await,
                Ok(_) => Err(self.lost_result()),
            });
        }
        results
    }

    /// The backend broke its promise of one result for each message.
    fn lost_result(&self) -> SendError {
        let esp = self.backend().name();
        SendError::new(
            SendErrorKind::InvalidResponse,
            esp,
            "the backend gave no result for it",
        )
        .with_accepted(Accepted::Maybe)
    }

    /// Defaults, hooks, validation, the backend's own limits: all that happens before sending.
    async fn prepare(&self, message: &Message) -> Result<PreparedMessage, SendError> {
        let mut message = self.with_defaults(message);
        let withheld = self.run_hooks(&mut message).await?;
        PreparedMessage::make(message, self.backend(), self.0.policy, withheld)
    }

    /// Runs the pre-send hooks; gives the recipients whom they left out.
    async fn run_hooks(&self, message: &mut Message) -> Result<Vec<Withheld>, SendError> {
        let esp = self.backend().name();
        let cancelled = |reason| Err(SendError::new(SendErrorKind::Cancelled, esp, reason));
        let mut withheld = Vec::new();
        for hook in &self.0.pre_send {
            match hook.pre_send(message, esp).await {
                Ok(PreSendVerdict::Send) => {}
                Ok(PreSendVerdict::SendWithout { recipients, reason }) => {
                    let (more, can_go) = Withheld::from(message, &recipients, &reason);
                    if !can_go {
                        return cancelled(reason);
                    }
                    withheld.extend(more);
                }
                Ok(PreSendVerdict::Cancel(reason)) => return cancelled(reason),
                Err(error) => {
                    return Err(SendError::new(SendErrorKind::Hook, esp, error.to_string()));
                }
            }
        }
        Ok(withheld)
    }

    fn with_defaults(&self, message: &Message) -> Message {
        let mut message = self.0.defaults.under(message);
        message.normalize();
        message
    }

    /// What the caller learns: the status with what was dropped, or an error where nobody was
    /// sent the message; the post-send hooks have seen it.
    async fn finish(
        &self,
        prepared: &PreparedMessage,
        result: Result<SendStatus, SendError>,
    ) -> Result<SendStatus, SendError> {
        let mut result = self.judge(result);
        if let Some(status) = status_of(&mut result) {
            // In front of what a failover's member had to leave out.
            status
                .dropped
                .splice(..0, prepared.dropped().iter().cloned());
            for withheld in prepared.withheld() {
                status.withhold(&withheld.recipient, &withheld.reason);
            }
        }
        match &result {
            Ok(status) => tracing::debug!(
                esp = status.esp,
                recipients = status.recipients().len(),
                "sent"
            ),
            Err(error) => tracing::warn!(
                esp = error.esp(),
                kind = ?error.kind(),
                http_status = error.http_status(),
                accepted = ?error.accepted(),
                "not sent"
            ),
        }
        let mut failed = Vec::new();
        for hook in &self.0.post_send {
            if let Err(error) = hook.post_send(prepared.message(), result.as_ref()).await {
                tracing::error!(esp = self.backend().name(), %error, "a post-send hook failed");
                failed.push(error.to_string());
            }
        }
        if let Some(status) = status_of(&mut result) {
            status.hook_errors = failed;
        }
        result
    }

    /// A status in which nobody got the message becomes an error.
    fn judge(&self, result: Result<SendStatus, SendError>) -> Result<SendStatus, SendError> {
        let status = result?;
        let refused = status.recipients().any(|r| r.status.is_refused());
        if status.may_be_accepted() || (refused && self.0.ignore_recipient_status) {
            return Ok(status);
        }
        Err(SendError::from_refusal(status))
    }
}

fn status_of(result: &mut Result<SendStatus, SendError>) -> Option<&mut SendStatus> {
    match result {
        Ok(status) => Some(status),
        Err(error) => error.status_mut(),
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("backend", &self.0.backend)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

/// Sets up a [`Mailer`].
#[must_use = "a builder does nothing until build() is called"]
pub struct MailerBuilder(Parts);

impl MailerBuilder {
    /// What messages get that do not say otherwise. None by default.
    pub fn send_defaults(mut self, defaults: SendDefaults) -> Self {
        self.0.defaults = defaults;
        self
    }

    /// What happens to features that the backend does not support. By default they are
    /// refused.
    pub fn unsupported(mut self, policy: UnsupportedPolicy) -> Self {
        self.0.policy = policy;
        self
    }

    /// Whether a message that the ESP refuses for every recipient is `Ok` all the same, with
    /// the refusals in its status. `false` by default.
    pub fn ignore_recipient_status(mut self, ignore: bool) -> Self {
        self.0.ignore_recipient_status = ignore;
        self
    }

    /// Adds a hook to run before each message, behind those added before.
    pub fn pre_send(mut self, hook: impl PreSend + 'static) -> Self {
        self.0.pre_send.push(Arc::new(hook));
        self
    }

    /// Adds a hook to run after each message, behind those added before.
    pub fn post_send(mut self, hook: impl PostSend + 'static) -> Self {
        self.0.post_send.push(Arc::new(hook));
        self
    }

    /// The mailer.
    pub fn build(self) -> Mailer {
        Mailer(Arc::new(self.0))
    }
}

impl fmt::Debug for MailerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailerBuilder")
            .field("backend", &self.0.backend)
            .finish_non_exhaustive()
    }
}

/// What [`Mailer::check`] found. `Display` tells all of it in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Check {
    /// What no ESP could send.
    pub faults: Vec<Fault>,
    /// What this mailer's ESP does not support: refused or left out, as its policy says.
    pub unsupported: Vec<Unsupported>,
}

impl Check {
    /// Whether the message can be sent whole.
    pub fn is_ok(&self) -> bool {
        self.faults.is_empty() && self.unsupported.is_empty()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            return f.write_str("nothing keeps the message from being sent");
        }
        write_list(f, &self.faults)?;
        if !self.faults.is_empty() && !self.unsupported.is_empty() {
            f.write_str("; ")?;
        }
        write_list(f, &self.unsupported)
    }
}
