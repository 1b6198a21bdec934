//! [`Rig`]: one backend, the ESP it talks to, and everything that was said, for one trial.
//!
//! `subject.rs` creates it, `wire` connects it to the ESP, and the topics make assertions.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use anymail_core::{
    Address, AddressKey, EmailBackend, Mailer, Message, RecipientStatus, SendError, SendStatus,
    Status, UnsupportedPolicy, WebhookAuth,
};

use super::capture::Capture;
use super::desk::{Plan, lock};
use super::excerpt::cut;
use super::harness::{FailureKind, Report};
use super::posts::Posts;
use super::profile::Profile;
use super::signer::Signer;
use super::subject::Subject;
use super::trial::{Stop, Verdict};
use super::understood::{Part, Understood, differences};
use super::wire::{Faults, Wire, WireFault};

/// One backend and its ESP.
pub(super) struct Rig {
    /// Refuses unsupported features.
    pub(super) mailer: Mailer,
    pub(super) backend: Arc<dyn EmailBackend>,
    pub(super) profile: Arc<Profile>,
    pub(super) secret: String,
    /// Everything that was traced, if the trial requested it.
    pub(super) traced: Capture,
    /// The connection to the ESP.
    pub(super) wire: Box<dyn Wire>,
    subject: Subject,
    story: Mutex<Vec<String>>,
}

impl Rig {
    pub(super) fn new(
        subject: Subject,
        backend: Arc<dyn EmailBackend>,
        wire: Box<dyn Wire>,
        secret: String,
    ) -> Self {
        Self {
            mailer: Mailer::new(Arc::clone(&backend)),
            backend,
            profile: Arc::new(subject.profile()),
            secret,
            traced: Capture::default(),
            wire,
            subject,
            story: Mutex::default(),
        }
    }

    /// Creates a mailer for the same backend that drops unsupported features.
    pub(super) fn dropping(&self) -> Mailer {
        let builder = Mailer::builder(Arc::clone(&self.backend));
        builder.unsupported(UnsupportedPolicy::Drop).build()
    }

    /// Returns the webhooks, created with these secrets.
    pub(super) fn webhooks(&self, auth: WebhookAuth) -> Vec<Posts> {
        self.subject.webhooks(auth, &self.profile.some_mail())
    }

    /// Returns the webhooks, with events about this message.
    pub(super) fn webhooks_about(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        self.subject.webhooks(auth, sent)
    }

    /// Returns how the ESP signs, if it does.
    pub(super) fn signer(&self) -> Option<Arc<dyn Signer>> {
        self.subject.signer()
    }

    /// Whether the backend makes no calls.
    pub(super) fn is_local(&self) -> bool {
        self.wire.desk().is_none()
    }

    /// Returns the faults that can occur on the way to the ESP.
    pub(super) fn faults(&self) -> Verdict<Faults> {
        let none = || Stop::skip("the backend makes no calls");
        self.subject.faults().ok_or_else(none)
    }

    /// Changes how the ESP responds.
    pub(super) fn plan(&self, change: impl FnOnce(&mut Plan)) {
        if let Some(desk) = self.wire.desk() {
            change(&mut desk.plan());
        }
    }

    /// Makes the ESP fail every request in this way.
    pub(super) fn refuse_all(&self, kind: FailureKind, words: impl Into<String>) {
        self.plan(|plan| plan.failure = Some((kind, words.into())));
    }

    /// Makes the ESP report this status for the recipients that `of` selects, and success for the
    /// others.
    pub(super) fn say(&self, status: Status, of: impl Fn(&Address) -> bool + Send + 'static) {
        let yes = self.profile.accepts_as;
        self.plan(|plan| {
            plan.status_of = Box::new(move |address| if of(address) { status } else { yes });
        });
    }

    /// Injects this fault once.
    pub(super) fn inject(&self, fault: &WireFault) -> Verdict {
        self.wire.inject(fault, 1)
    }

    /// Removes all faults and restores the ESP's default behavior.
    pub(super) fn all_is_well(&self) {
        self.wire.clear_faults();
        self.plan(|plan| (plan.failure, plan.failure_at) = (None, None));
    }

    /// Returns the responses of the ESP, call by call.
    pub(super) fn calls(&self) -> Vec<Vec<Report>> {
        let desk = self.wire.desk();
        desk.map_or_else(Vec::new, |desk| desk.log().calls.clone())
    }

    /// Returns the IDs that the ESP assigned to one recipient's messages: several for a copy of a
    /// batch.
    pub(super) fn ids_of(&self, recipient: &AddressKey) -> Vec<String> {
        let desk = self.wire.desk();
        desk.map_or_else(Vec::new, |desk| desk.ids_of(recipient))
    }

    /// Returns all messages that the ESP has understood so far.
    pub(super) fn mails(&self) -> Verdict<Vec<Understood>> {
        self.wire.mails()
    }

    /// Sends a message and returns its result.
    pub(super) async fn send(&self, message: &Message) -> Verdict<Result<SendStatus, SendError>> {
        self.send_by(&self.mailer, message).await
    }

    pub(super) async fn send_by(
        &self,
        mailer: &Mailer,
        message: &Message,
    ) -> Verdict<Result<SendStatus, SendError>> {
        self.tell("message", format!("{message:?}"));
        let result = mailer.send(message).await;
        self.tell("result", show_result(&result));
        self.unpanicked(&result)?;
        self.trust()?;
        Ok(result)
    }

    /// Sends messages and returns their results.
    pub(super) async fn send_all(
        &self,
        messages: &[Message],
    ) -> Verdict<Vec<Result<SendStatus, SendError>>> {
        self.tell("messages", format!("{} of them", messages.len()));
        let results = self.mailer.send_all(messages).await;
        for (place, result) in results.iter().enumerate() {
            if place < 5 {
                self.tell("result", format!("{place}: {}", show_result(result)));
            }
            self.unpanicked(result)?;
        }
        self.trust()?;
        if results.len() != messages.len() {
            let counts = (messages.len(), results.len());
            return Err(self.fail(format!("{} messages gave {} results", counts.0, counts.1)));
        }
        Ok(results)
    }

    /// The mailer turns a backend's panic into an error, but a backend must not panic.
    ///
    /// Core reports a panic only in words, also one that `send_many` or a failover has caught. The
    /// mutants that panic are not detected if these words change.
    fn unpanicked(&self, result: &Result<SendStatus, SendError>) -> Verdict {
        let panicked = |error: &SendError| error.message().starts_with("the backend panicked");
        self.ensure(!result.as_ref().is_err_and(panicked), || {
            "the backend panicked".to_owned()
        })
    }

    /// Sends a message that must succeed.
    pub(super) async fn send_ok(&self, message: &Message) -> Verdict<SendStatus> {
        match self.send(message).await? {
            Ok(status) => Ok(status),
            Err(error) => Err(self.fail(format!("the message was not sent: {error}"))),
        }
    }

    /// Sends a message that must succeed, and compares these parts of what arrived.
    pub(super) async fn arrives(&self, message: &Message, parts: &[Part]) -> Verdict<SendStatus> {
        let status = self.send_ok(message).await?;
        self.compare(&Understood::expected(message), parts)?;
        Ok(status)
    }

    /// Compares everything that arrived.
    pub(super) fn compare(&self, expected: &[Understood], parts: &[Part]) -> Verdict {
        let carried = |mails: Vec<Understood>| -> Vec<_> {
            let mails = mails.into_iter();
            mails.map(|mail| self.wire.carried(mail)).collect()
        };
        let (expected, understood) = (carried(expected.to_vec()), carried(self.mails()?));
        let differences = differences(&expected, &understood, parts);
        match differences.lines.is_empty() {
            true => Ok(()),
            false => Err(self.fail_in(
                differences.first.and_then(|mail| self.call_of(mail)),
                differences.lines.join("\n"),
            )),
        }
    }

    /// Returns the call that contained a message.
    fn call_of(&self, mail: usize) -> Option<usize> {
        let desk = self.wire.desk()?;
        let log = desk.log();
        let mut seen = 0_usize;
        log.calls.iter().position(|call| {
            seen = seen.saturating_add(call.len());
            mail < seen
        })
    }

    /// Fails or skips if what the trial saw so far cannot be trusted.
    pub(super) fn trust(&self) -> Verdict {
        let Some(desk) = self.wire.desk() else {
            return Ok(());
        };
        let (problem, cannot_say) = {
            let log = desk.log();
            (log.problems.first().cloned(), log.cannot_say.clone())
        };
        if let Some(problem) = problem {
            return Err(self.fail(problem));
        }
        match cannot_say {
            None => Ok(()),
            Some(what) if what.iter().all(|it| *it == self.profile.accepts_as) => {
                Err(self.fail(format!(
                    "Harness::response returned None for ordinary success, {what:?}; \
                     is Profile::accepts_as right?"
                )))
            }
            Some(what) => Err(Stop::skip(format!("this ESP never reports {what:?}"))),
        }
    }

    pub(super) fn ensure(&self, holds: bool, or_else: impl FnOnce() -> String) -> Verdict {
        if holds {
            return Ok(());
        }
        Err(self.fail(or_else()))
    }

    fn tell(&self, what: &str, words: impl Display) {
        const MOST: usize = 900;
        lock(&self.story).push(format!("{what:<10} {}", cut(&words.to_string(), MOST)));
    }

    /// Creates a failure with everything that was said so far, and the last call.
    pub(super) fn fail(&self, why: impl Display) -> Stop {
        self.fail_in(None, why)
    }

    /// Creates a failure that shows this call.
    fn fail_in(&self, call: Option<usize>, why: impl Display) -> Stop {
        const LINES: usize = 8;
        let mut text = why.to_string();
        let story = lock(&self.story);
        for line in story.iter().skip(story.len().saturating_sub(LINES)) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        for (place, line) in self.wire.show_call(call).iter().enumerate() {
            let what = if place == 0 { "request" } else { "" };
            text.push_str(&format!("\n  {what:<10} {line}"));
        }
        Stop::fail(text)
    }
}

/// Summarizes a result: each recipient's status and ID.
fn show_result(result: &Result<SendStatus, SendError>) -> String {
    let status = match result {
        Ok(status) => status,
        Err(error) => return format!("{error:?}"),
    };
    let show = |it: &RecipientStatus| match &it.message_id {
        Some(id) => format!("{} {:?} {id}", it.email, it.status),
        None => format!("{} {:?}", it.email, it.status),
    };
    let all: Vec<_> = status.recipients().map(show).collect();
    format!("Ok: {}", all.join(", "))
}
