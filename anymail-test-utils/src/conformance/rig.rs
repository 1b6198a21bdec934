//! [`Rig`]: one backend, the ESP it talks to, and all that was said, for one trial.
//!
//! How the ESP's words look is the harness's business (`harness.rs`); what is asserted, the
//! topics'.

use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    Address, AddressKey, EmailBackend, Mailer, Message, RecipientStatus, SendError, SendStatus,
    Status, UnsupportedPolicy, WebhookAuth, WebhookKind,
};
use bytes::Bytes;
use http::Response;
use uuid::Uuid;

use super::capture::Capture;
use super::desk::{Desk, Plan, lock};
use super::harness::{Answer, Harness, LocalHarness, Mailbox, Posts, Profile, Target, TroubleKind};
use super::signer::Signer;
use super::trial::{Stop, Verdict};
use super::understood::{Part, Understood, differences};
use crate::{Fault, LoopbackServer};

/// What is tested: what makes a backend, and knows the other side of it.
#[derive(Clone)]
pub(super) enum Subject {
    Remote(Arc<dyn Harness>),
    Local(Arc<dyn LocalHarness>),
}

impl Subject {
    pub(super) fn profile(&self) -> Profile {
        match self {
            Self::Remote(harness) => harness.profile(),
            Self::Local(harness) => harness.profile(),
        }
    }

    /// A backend that nothing is sent through.
    pub(super) fn idle_backend(&self) -> Verdict<Arc<dyn EmailBackend>> {
        let made = match self {
            // Port 9 is "discard": should it be called all the same, nobody is there.
            Self::Remote(harness) => harness.backend(&target("http://127.0.0.1:9".to_owned())),
            Self::Local(harness) => harness.backend().map(|(backend, _)| backend),
        };
        made.map_err(|error| Stop::fail(format!("the harness made no backend: {error}")))
    }

    /// Whether the ESP signs what it posts.
    pub(super) fn signs(&self) -> bool {
        match self {
            Self::Remote(harness) => harness.signer().is_some(),
            Self::Local(_) => false,
        }
    }

    /// Which webhooks there are.
    pub(super) fn webhook_kinds(&self) -> Vec<WebhookKind> {
        let mut kinds = Vec::new();
        if let Self::Remote(harness) = self {
            for posts in harness.webhooks(WebhookAuth::none()) {
                if !kinds.contains(&posts.webhook.kind()) {
                    kinds.push(posts.webhook.kind());
                }
            }
        }
        kinds
    }

    /// A fresh rig. The backend gets this time limit for its calls.
    pub(super) fn rig(&self, timeout: Duration) -> Verdict<Rig> {
        let profile = Arc::new(self.profile());
        let no_backend = |error| Stop::fail(format!("the harness made no backend: {error}"));
        let (backend, secret, esp) = match self {
            Self::Local(harness) => {
                let (backend, mailbox) = harness.backend().map_err(no_backend)?;
                (backend, String::new(), Esp::Local(mailbox))
            }
            Self::Remote(harness) => {
                let desk = Arc::new(Desk::new(Arc::clone(harness), Arc::clone(&profile)));
                let handler = Arc::clone(&desk);
                let server = LoopbackServer::start(move |request| handler.serve(request))
                    .map_err(|error| Stop::fail(format!("no loopback server: {error}")))?;
                let target = Target {
                    timeout,
                    ..target(server.url())
                };
                let backend = harness.backend(&target).map_err(no_backend)?;
                (backend, target.secret, Esp::Remote { server, desk })
            }
        };
        Ok(Rig {
            mailer: Mailer::new(Arc::clone(&backend)),
            backend,
            profile,
            secret,
            traced: Capture::default(),
            esp,
            story: Mutex::default(),
        })
    }
}

fn target(url: String) -> Target {
    Target {
        url,
        secret: format!("token{}", Uuid::new_v4().simple()),
        timeout: Duration::from_secs(30),
    }
}

enum Esp {
    Remote {
        server: LoopbackServer,
        desk: Arc<Desk>,
    },
    Local(Mailbox),
}

/// One backend and its ESP.
pub(super) struct Rig {
    /// Refuses what is unsupported.
    pub(super) mailer: Mailer,
    pub(super) backend: Arc<dyn EmailBackend>,
    pub(super) profile: Arc<Profile>,
    pub(super) secret: String,
    /// All that was traced, where the trial asked for it.
    pub(super) traced: Capture,
    esp: Esp,
    story: Mutex<Vec<String>>,
}

impl Rig {
    /// A mailer over the same backend that leaves out what is unsupported.
    pub(super) fn dropping(&self) -> Mailer {
        let builder = Mailer::builder(Arc::clone(&self.backend));
        builder.unsupported(UnsupportedPolicy::Drop).build()
    }

    /// The webhooks, made with these secrets.
    pub(super) fn webhooks(&self, auth: WebhookAuth) -> Vec<Posts> {
        match &self.esp {
            Esp::Remote { desk, .. } => desk.harness.webhooks(auth),
            Esp::Local(_) => Vec::new(),
        }
    }

    /// How the ESP signs, if it does.
    pub(super) fn signer(&self) -> Option<Arc<dyn Signer>> {
        match &self.esp {
            Esp::Remote { desk, .. } => desk.harness.signer(),
            Esp::Local(_) => None,
        }
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.esp, Esp::Local(_))
    }

    /// Changes how the ESP answers.
    pub(super) fn plan(&self, change: impl FnOnce(&mut Plan)) {
        if let Esp::Remote { desk, .. } = &self.esp {
            change(&mut desk.plan());
        }
    }

    /// From now on the ESP says this of every request.
    pub(super) fn trouble(&self, kind: TroubleKind, words: impl Into<String>) {
        self.plan(|plan| plan.trouble = Some((kind, words.into())));
    }

    /// From now on the ESP says this of the recipients that `of` picks, and yes to the others.
    pub(super) fn say(&self, status: Status, of: impl Fn(&Address) -> bool + Send + 'static) {
        let yes = self.profile.accepts_as;
        self.plan(|plan| {
            plan.status_of = Box::new(move |_, address| if of(address) { status } else { yes });
        });
    }

    pub(super) fn server(&self) -> Verdict<&LoopbackServer> {
        match &self.esp {
            Esp::Remote { server, .. } => Ok(server),
            Esp::Local(_) => Err(Stop::skip("the backend makes no calls")),
        }
    }

    pub(super) fn inject(&self, fault: Fault, times: usize) -> Verdict {
        self.server()?.inject(fault, times);
        Ok(())
    }

    /// Waits until the ESP has got another call.
    pub(super) async fn next_call(&self) {
        if let Esp::Remote { desk, .. } = &self.esp {
            desk.arrived.notified().await;
        }
    }

    /// How many requests were made, as far as the server could read them.
    pub(super) fn requests(&self) -> usize {
        match &self.esp {
            Esp::Remote { server, .. } => server.counts().calls.try_into().unwrap_or(usize::MAX),
            Esp::Local(_) => 0,
        }
    }

    /// The answers that the ESP has decided on, call by call.
    pub(super) fn calls(&self) -> Vec<Vec<Answer>> {
        match &self.esp {
            Esp::Remote { desk, .. } => desk.log().calls.clone(),
            Esp::Local(_) => Vec::new(),
        }
    }

    /// The ESP's last answer, as its harness wrote it.
    pub(super) fn last_answer(&self) -> Option<Response<Bytes>> {
        match &self.esp {
            Esp::Remote { desk, .. } => desk.log().last_answer.clone(),
            Esp::Local(_) => None,
        }
    }

    /// All mails that the ESP understood so far.
    pub(super) fn mails(&self) -> Verdict<Vec<Understood>> {
        match &self.esp {
            Esp::Remote { .. } => {
                let answers = self.calls().into_iter().flatten();
                Ok(answers.map(|answer| answer.mail).collect())
            }
            Esp::Local(mailbox) => mailbox()
                .map_err(|error| Stop::fail(format!("the mails could not be read: {error}"))),
        }
    }

    /// The ids that the ESP gave to one recipient's mails: several for a copy of a batch.
    pub(super) fn ids_of(&self, recipient: &AddressKey) -> Vec<String> {
        let mut ids = Vec::new();
        for answer in self.calls().into_iter().flatten() {
            for it in &answer.recipients {
                if it.address.key() == *recipient {
                    ids.push(answer.mail.own_id.clone().unwrap_or_else(|| it.id.clone()));
                }
            }
        }
        ids
    }

    /// Sends a message, whatever comes of it.
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

    /// Sends messages, whatever comes of them.
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

    /// The mailer makes an error of a backend's panic; no backend may panic all the same.
    fn unpanicked(&self, result: &Result<SendStatus, SendError>) -> Verdict {
        let panicked = |error: &SendError| error.message() == "the backend panicked";
        self.ensure(!result.as_ref().is_err_and(panicked), || {
            "the backend panicked".to_owned()
        })
    }

    /// Sends a message that must be sent.
    pub(super) async fn send_ok(&self, message: &Message) -> Verdict<SendStatus> {
        match self.send(message).await? {
            Ok(status) => Ok(status),
            Err(error) => Err(self.fail(format!("it was not sent: {error}"))),
        }
    }

    /// Sends a message that must be sent, and compares these parts of what arrived.
    pub(super) async fn arrives(&self, message: &Message, parts: &[Part]) -> Verdict<SendStatus> {
        let status = self.send_ok(message).await?;
        self.compare(&Understood::expected(message), parts)?;
        Ok(status)
    }

    /// Compares all that arrived.
    pub(super) fn compare(&self, expected: &[Understood], parts: &[Part]) -> Verdict {
        let lines = differences(expected, &self.mails()?, parts);
        match lines.is_empty() {
            true => Ok(()),
            false => Err(self.fail(lines.join("\n"))),
        }
    }

    /// Whether all that the trial saw until now can be relied on.
    pub(super) fn trust(&self) -> Verdict {
        let Esp::Remote { desk, .. } = &self.esp else {
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
                    "Harness::answer gave no answer to the ordinary yes, {what:?}; \
                     is Profile::accepts_as right?"
                )))
            }
            Some(what) => Err(Stop::skip(format!("this ESP never says {what:?}"))),
        }
    }

    pub(super) fn ensure(&self, holds: bool, or_else: impl FnOnce() -> String) -> Verdict {
        if holds {
            return Ok(());
        }
        Err(self.fail(or_else()))
    }

    fn tell(&self, what: &str, words: impl Display) {
        lock(&self.story).push(format!("{what:<10} {}", cut(&words.to_string())));
    }

    /// A failure with all that was said until now.
    pub(super) fn fail(&self, why: impl Display) -> Stop {
        const LINES: usize = 8;
        let mut text = why.to_string();
        let story = lock(&self.story);
        for line in story.iter().skip(story.len().saturating_sub(LINES)) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        if let Esp::Remote { server, .. } = &self.esp {
            let requests = server.requests();
            for request in requests.iter().skip(requests.len().saturating_sub(3)) {
                let body = String::from_utf8_lossy(request.body());
                let body = body.replace(&self.secret, "[the secret]");
                text.push_str(&format!(
                    "\n  request    {} {} ({} bytes) {}",
                    request.method(),
                    request.uri().path(),
                    request.body().len(),
                    cut(&body)
                ));
            }
            if requests.is_empty() {
                text.push_str("\n  request    none was made, or none came to its end");
            }
        }
        Stop::fail(text)
    }
}

/// A result in short: who fared how, and under which id.
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

fn cut(text: &str) -> String {
    const MOST: usize = 900;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
