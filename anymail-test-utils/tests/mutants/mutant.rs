//! The guide's backend, broken in one way.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    Accepted, Capabilities, EmailBackend, Message, Objection, PreparedMessage, Secret, SendError,
    SendErrorKind, SendStatus, WebhookAuth,
};
use anymail_test_utils::conformance::{
    Credentials, Failure, Harness, HarnessError, Posts, Profile, Report, Signer, Target, Understood,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::backend::{NAME, Pigeon, Tally};
use crate::breaks::{Break, Mutant, Own, SendResult};
use crate::harness::PigeonHarness;
use crate::in_signatures::{Keys, MutantSigner};
use crate::in_webhooks::MutantWebhook;
use crate::wire;

/// Knows Pigeon's side; its backend is the broken one.
pub struct MutantHarness {
    broken: Break,
    made: AtomicUsize,
    signing_keys: Keys,
}

impl MutantHarness {
    pub fn new(mutant: Mutant) -> Self {
        Self {
            broken: mutant.broken,
            made: AtomicUsize::new(0),
            signing_keys: Keys::default(),
        }
    }
}

impl Harness for MutantHarness {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let first = self.made.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(Arc::new(Broken::new(self.broken, target, first)?))
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        PigeonHarness.read(request)
    }

    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        PigeonHarness.response(request, reports)
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        PigeonHarness.error_response(failure)
    }

    fn profile(&self) -> Profile {
        PigeonHarness.profile()
    }

    fn credentials(&self, secret: &str) -> Credentials {
        PigeonHarness.credentials(secret)
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        let open = matches!(self.broken, Break::Own(Own::IgnoresWebhookSecrets));
        let auth = if open { WebhookAuth::none() } else { auth };
        let broken = |posts: Posts| Posts {
            webhook: Arc::new(MutantWebhook::new(
                self.broken,
                posts.webhook,
                Arc::clone(&self.signing_keys),
            )),
            ..posts
        };
        PigeonHarness
            .webhooks(auth, sent)
            .into_iter()
            .map(broken)
            .collect()
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::new(MutantSigner::new(
            self.broken,
            Arc::clone(&self.signing_keys),
        )))
    }
}

struct Broken {
    pigeon: Pigeon,
    broken: Break,
    capabilities: Capabilities,
    secret: String,
    url: String,
    calls: AtomicUsize,
    busy: AtomicBool,
    request: Mutex<Value>,
    last_request: Mutex<String>,
}

impl Broken {
    fn new(broken: Break, target: &Target, first: bool) -> Result<Self, HarnessError> {
        let own = match broken {
            Break::Own(own) => Some(own),
            _ => None,
        };
        let timeout = match own {
            Some(Own::GivesUpQuickly) => Duration::from_millis(20),
            _ => target.timeout,
        };
        let key = match own {
            Some(Own::SendsNoKey) => "none",
            _ => &target.secret,
        };
        let pigeon = Pigeon::new(&target.url, Secret::new(key), timeout)?;
        let honest = pigeon.capabilities().clone();
        Ok(Self {
            capabilities: match broken {
                Break::Capabilities(change) if !first => change(&honest),
                _ => honest,
            },
            pigeon,
            broken,
            secret: target.secret.clone(),
            url: target.url.clone(),
            calls: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            request: Mutex::default(),
            last_request: Mutex::default(),
        })
    }

    fn is(&self, own: Own) -> bool {
        matches!(self.broken, Break::Own(it) if it == own)
    }

    async fn call(&self, request: &Value) -> Result<Value, SendError> {
        *self.last_request.lock().unwrap() = request.to_string();
        let mut answer = self.one_call(request).await;
        for _ in 0..3 {
            let Err(error) = &answer else { break };
            let again = self.is(Own::RetriesWhateverFailed)
                || (self.is(Own::RetriesWhatWasNotAccepted) && error.accepted() == Accepted::No);
            if !again {
                break;
            }
            answer = self.one_call(request).await;
        }
        let answer = answer.map_err(|error| match self.broken {
            Break::Error(change) => change(error),
            Break::Own(Own::QuotesTheRequestInErrors) => {
                error.with_message(format!("{} {request}", self.secret))
            }
            _ => error,
        })?;
        Ok(match self.broken {
            Break::Response(change) => change(answer),
            _ => answer,
        })
    }

    async fn one_call(&self, request: &Value) -> Result<Value, SendError> {
        let Break::Own(own) = self.broken else {
            return self.pigeon.call(request).await;
        };
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        match own {
            Own::TracesTheKey => tracing::trace!(key = self.secret, "calling"),
            Own::TracesTheRequest => tracing::trace!(%request, "calling"),
            Own::DiesOfASecondCall if number > 0 => {
                return Err(SendError::new(SendErrorKind::Disconnected, NAME, ""));
            }
            Own::DiesOfADroppedFuture | Own::DiesOfAnError
                if self.busy.swap(true, Ordering::SeqCst) =>
            {
                return Err(SendError::new(SendErrorKind::Disconnected, NAME, "busy"));
            }
            Own::FollowsRedirects
            | Own::PassesOnTheAnswer
            | Own::SendsTheKeyByAnotherScheme
            | Own::SendsTheKeyInTheUrl
            | Own::ReadsAnswersWithoutAnEnd => {
                return self.careless_call(own, request).await;
            }
            Own::SharesARequestBetweenTasks => {
                *self.request.lock().unwrap() = request.clone();
                tokio::time::sleep(Duration::from_millis(5)).await;
                let shared = self.request.lock().unwrap().clone();
                return self.pigeon.call(&shared).await;
            }
            _ => {}
        }
        let answer = self.pigeon.call(request).await;
        if own != Own::DiesOfAnError || answer.is_ok() {
            self.busy.store(false, Ordering::SeqCst);
        }
        answer
    }

    /// With a client that follows redirects, or with errors that contain the whole response.
    async fn careless_call(&self, own: Own, request: &Value) -> Result<Value, SendError> {
        let call = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(match own {
                Own::SendsTheKeyInTheUrl => format!("{}/v1/mails?key={}", self.url, self.secret),
                _ => format!("{}/v1/mails", self.url),
            })
            .json(request);
        let call = match own {
            Own::SendsTheKeyByAnotherScheme => call.basic_auth("pigeon", Some(&self.secret)),
            _ => call.header("x-key", &self.secret).bearer_auth(&self.secret),
        };
        let lost = |error: reqwest::Error| {
            SendError::new(SendErrorKind::Disconnected, NAME, "").with_source(error)
        };
        let answer = call.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(lost)?;
        let words = if own == Own::PassesOnTheAnswer {
            &*text
        } else {
            ""
        };
        let error = SendError::from_http_status(NAME, status).with_message(words);
        match serde_json::from_str(&text) {
            Ok(json) if status == 200 => Ok(json),
            _ => Err(error),
        }
    }

    fn requests(&self, mails: &[wire::Mail<'_>], messages: &[PreparedMessage]) -> Vec<Value> {
        let mut written = Vec::new();
        for mail in mails {
            let mut json = mail.write();
            if let (Break::Mail(change), Some(map)) = (self.broken, json.as_object_mut()) {
                change(map, messages[mail.message].message());
            }
            written.push(json);
        }
        match self.broken {
            Break::Call(change) => change(written),
            _ => written,
        }
    }
}

#[async_trait]
impl EmailBackend for Broken {
    fn name(&self) -> &str {
        if self.is(Own::HasANameInCapitals) {
            "Pigeon Post"
        } else {
            NAME
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let mut objections = self.pigeon.check(message);
        match self.broken {
            Break::Own(Own::ObjectsToEverything) => {
                objections.push(Objection::new("supports nothing at all", "something"));
            }
            Break::Own(Own::ObjectsToNothing) => objections.clear(),
            Break::Own(Own::ObjectsToNothingButTo) => {
                objections.retain(|it| format!("{it:?}").contains("no to "));
            }
            _ => {}
        }
        objections
    }

    fn max_batch(&self) -> usize {
        match self.broken {
            Break::Own(Own::AnswersForMaxBatchAsItLikes) => self.calls.load(Ordering::SeqCst) + 1,
            Break::Own(Own::SaysThatACallTakesMore) => 2 * self.pigeon.max_batch(),
            _ => self.pigeon.max_batch(),
        }
    }

    async fn send(&self, message: &PreparedMessage) -> SendResult {
        self.send_many(std::slice::from_ref(message))
            .await
            .pop()
            .unwrap()
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<SendResult> {
        let mut tally = Tally::new(messages);
        let mails: Vec<_> = wire::mails(messages).collect();
        let size = match self.broken {
            Break::Own(Own::MakesACallForEachRecipient) => 1,
            Break::Own(Own::SendsMoreInACallThanTheEspTakes) => usize::MAX,
            _ => self.pigeon.max_batch(),
        };
        let calls = match self.broken {
            Break::Own(Own::SendsTheFirstCallOnly | Own::SaysThatACallTakesMore) => 1,
            _ => usize::MAX,
        };
        for mails in mails.chunks(size).take(calls) {
            let mut written = self.requests(mails, messages);
            if self.is(Own::MakesACallForEachRecipient) {
                written = apart(&written[0]);
                for json in written.iter().skip(1) {
                    let _ = self.call(&json!({ "mails": [json] })).await;
                }
                written.truncate(1);
            }
            let answer = self.call(&json!({ "mails": written })).await;
            tally.enter(mails, answer.map(|answer| wire::results(&answer)));
        }
        let results = tally.results().into_iter().zip(messages);
        let results = results.map(|(result, message)| match self.broken {
            Break::Result(change) => change(message, result),
            _ => result,
        });
        match self.broken {
            Break::Results(change) => change(results.collect()),
            _ => results.collect(),
        }
    }
}

/// Returns one message per recipient.
fn apart(mail: &Value) -> Vec<Value> {
    let to = mail["to"].as_array().unwrap().iter();
    to.map(|person| {
        let mut own = mail.clone();
        own["to"] = json!([person]);
        own
    })
    .collect()
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Broken");
        out.field("pigeon", &self.pigeon);
        if self.is(Own::PrintsTheKey) {
            out.field("key", &self.secret);
        }
        if self.is(Own::PrintsTheRequest) {
            out.field("last_request", &self.last_request);
        }
        out.finish()
    }
}

/// Returns a status that is the same for every recipient.
pub fn status_of(message: &Message, status: anymail_core::Status) -> SendStatus {
    let mut told = SendStatus::unknown(NAME, message);
    for recipient in message.recipients() {
        told.set(&recipient.key(), status, None, None);
    }
    told
}
