//! [`Sabotage`]: one way to break a backend from outside, for [`Mutants`](super::Mutants).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anymail_core::{
    Capabilities, EmailBackend, Event, Mailer, Message, Objection, PreparedMessage, ReplayGuard,
    SendError, SendStatus, Webhook, WebhookAuth, WebhookError, WebhookErrorKind, WebhookKind,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::harness::{
    Credentials, Failure, Harness, HarnessError, Report, SmtpHarness, SmtpTarget, Target,
};
use super::posts::Posts;
use super::profile::Profile;
use super::signer::Signer;
use super::understood::Understood;

/// The result of a send.
pub type SendResult = Result<SendStatus, SendError>;

/// The result of reading a webhook's request.
pub type ReadResult = Result<Vec<Event>, WebhookError>;

/// One way to break a backend without changing its code.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Sabotage {
    /// Changes each request on its way to the ESP, as if the backend had written it that way.
    Request(fn(&mut Request<Bytes>)),
    /// Changes each response on its way back, as if the backend had read it that way.
    Response(fn(&mut Response<Bytes>)),
    /// Changes each message before the backend gets it, as if the backend had read it that way.
    Message(fn(&mut Message)),
    /// Changes each result of [`EmailBackend::send`], and the result for each message of
    /// [`send_many`](EmailBackend::send_many).
    Result(fn(&PreparedMessage, SendResult) -> SendResult),
    /// Changes the results of a `send_many` together.
    Results(fn(Vec<SendResult>) -> Vec<SendResult>),
    /// Changes the capabilities, after the suite has listed the trials.
    Capabilities(fn(&Capabilities) -> Capabilities),
    /// Changes the result of [`EmailBackend::check`].
    Check(fn(Vec<Objection>) -> Vec<Objection>),
    /// Changes the result of the webhooks' `read`.
    Events(fn(&Request<Bytes>, ReadResult) -> ReadResult),
    /// Creates the webhooks with this authentication instead of the given one.
    WebhookAuth(fn(WebhookAuth) -> WebhookAuth),
    /// Replaces the backend.
    Backend(fn(&Target) -> Result<Arc<dyn EmailBackend>, HarnessError>),
    /// Replaces a backend that sends over SMTP. Requests, responses and webhooks cannot be changed
    /// there.
    SmtpBackend(fn(&SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError>),
}

impl fmt::Debug for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sabotage")
    }
}

/// A harness for the same ESP, with a broken backend.
pub(super) struct Broken<H> {
    harness: H,
    sabotage: Sabotage,
    /// Whether the suite has already created the backend with which it lists the trials.
    listed: AtomicBool,
}

impl<H> Broken<H> {
    pub(super) fn new(harness: H, sabotage: Sabotage) -> Self {
        Self {
            harness,
            sabotage,
            listed: AtomicBool::new(false),
        }
    }

    /// Creates the backend, which is broken once the suite has listed the trials.
    fn broken(&self, backend: Arc<dyn EmailBackend>) -> Arc<dyn EmailBackend> {
        match self.listed.swap(true, Ordering::SeqCst) {
            true => Arc::new(BrokenBackend::new(backend, self.sabotage)),
            false => backend,
        }
    }

    fn sent(&self, request: &Request<Bytes>) -> Request<Bytes> {
        let mut request = request.clone();
        if let Sabotage::Request(change) = self.sabotage {
            change(&mut request);
        }
        request
    }

    fn received(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        if let Sabotage::Response(change) = self.sabotage {
            change(&mut response);
        }
        response
    }
}

impl<H: Harness> Harness for Broken<H> {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        match self.sabotage {
            Sabotage::Backend(make) => make(target),
            _ => Ok(self.broken(self.harness.backend(target)?)),
        }
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        self.harness.read(&self.sent(request))
    }

    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        let response = self.harness.response(&self.sent(request), reports);
        response.map(|response| self.received(response))
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        self.received(self.harness.error_response(failure))
    }

    fn credentials(&self, secret: &str) -> Credentials {
        self.harness.credentials(secret)
    }

    fn profile(&self) -> Profile {
        self.harness.profile()
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        let auth = match self.sabotage {
            Sabotage::WebhookAuth(change) => change(auth),
            _ => auth,
        };
        let mut all = self.harness.webhooks(auth, sent);
        if let Sabotage::Events(change) = self.sabotage {
            for posts in &mut all {
                posts.webhook = Arc::new(BrokenWebhook {
                    webhook: Arc::clone(&posts.webhook),
                    change,
                });
            }
        }
        all
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        self.harness.signer()
    }
}

impl<H: SmtpHarness> SmtpHarness for Broken<H> {
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        match self.sabotage {
            Sabotage::SmtpBackend(make) => make(target),
            _ => Ok(self.broken(self.harness.backend(target)?)),
        }
    }

    fn understand(&self, mail: &mut Understood) {
        self.harness.understand(mail);
    }

    fn profile(&self) -> Profile {
        self.harness.profile()
    }
}

/// A backend whose messages and results are changed.
#[derive(Debug)]
pub(super) struct BrokenBackend {
    backend: Arc<dyn EmailBackend>,
    mailer: Mailer,
    capabilities: Capabilities,
    sabotage: Sabotage,
}

impl BrokenBackend {
    pub(super) fn new(backend: Arc<dyn EmailBackend>, sabotage: Sabotage) -> Self {
        let honest = backend.capabilities();
        Self {
            capabilities: match sabotage {
                Sabotage::Capabilities(change) => change(honest),
                _ => honest.clone(),
            },
            mailer: Mailer::new(Arc::clone(&backend)),
            backend,
            sabotage,
        }
    }

    fn told(&self, message: &PreparedMessage, result: SendResult) -> SendResult {
        match self.sabotage {
            Sabotage::Result(change) => change(message, result),
            _ => result,
        }
    }
}

#[async_trait]
impl EmailBackend for BrokenBackend {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let objections = self.backend.check(message);
        match self.sabotage {
            Sabotage::Check(change) => change(objections),
            _ => objections,
        }
    }

    fn max_batch(&self) -> usize {
        self.backend.max_batch()
    }

    async fn send(&self, message: &PreparedMessage) -> SendResult {
        let result = match self.sabotage {
            // Only core creates prepared messages, so the changed message goes through a mailer.
            Sabotage::Message(change) => {
                let mut changed = message.message().clone();
                change(&mut changed);
                self.mailer.send(&changed).await
            }
            _ => self.backend.send(message).await,
        };
        self.told(message, result)
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<SendResult> {
        let results = match self.sabotage {
            Sabotage::Message(change) => {
                let changed = messages.iter().map(|message| {
                    let mut changed = message.message().clone();
                    change(&mut changed);
                    changed
                });
                self.mailer.send_all(&changed.collect::<Vec<_>>()).await
            }
            _ => self.backend.send_many(messages).await,
        };
        let results = results.into_iter().zip(messages);
        let results = results
            .map(|(result, message)| self.told(message, result))
            .collect();
        match self.sabotage {
            Sabotage::Results(change) => change(results),
            _ => results,
        }
    }
}

#[derive(Debug)]
struct BrokenWebhook {
    webhook: Arc<dyn Webhook>,
    change: fn(&Request<Bytes>, ReadResult) -> ReadResult,
}

impl Webhook for BrokenWebhook {
    fn esp(&self) -> &str {
        self.webhook.esp()
    }

    fn kind(&self) -> WebhookKind {
        self.webhook.kind()
    }

    fn url_name(&self) -> &str {
        self.webhook.url_name()
    }

    fn auth(&self) -> &WebhookAuth {
        self.webhook.auth()
    }

    fn status(&self, error: WebhookErrorKind) -> StatusCode {
        self.webhook.status(error)
    }

    fn replay_guard(&self) -> Option<&dyn ReplayGuard> {
        self.webhook.replay_guard()
    }

    fn body_limit(&self) -> usize {
        self.webhook.body_limit()
    }

    fn read(&self, request: &Request<Bytes>) -> ReadResult {
        (self.change)(request, self.webhook.read(request))
    }
}
