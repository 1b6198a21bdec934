//! [`Careless`]: a backend that writes correct requests but handles the rest of the call
//! carelessly: the key, the response, the next call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    Accepted, Address, Capabilities, EmailBackend, Message, Objection, PreparedMessage, SendError,
    SendErrorKind, SendStatus, Status,
};
use anymail_test_utils::conformance::{HarnessError, Target};
use async_trait::async_trait;
use reqwest::RequestBuilder;

use crate::breaks::SendResult;

/// What it handles carelessly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carelessness {
    CountsNoCopies,
    ErrorOfACallIsThatOfTheMessage,
    ErrorsQuoteTheAnswer,
    FollowsRedirects,
    KeyInTheUrl,
    NoKey,
    OneCallForAll,
    OtherCredentials,
    PrintsTheKey,
    ReadsToTheEnd,
    /// Not its base64 form, as in basic authentication.
    RedactsTheKeyAlone,
    RetriesWhateverFailed,
    SendsTheFirstCallOnly,
    TakesAnySuccess,
    TracesTheKey,
}

use Carelessness as C;

/// How an ESP's calls work.
#[derive(Clone, Copy)]
pub struct Calls {
    pub path: &'static str,
    /// The user name of basic authentication; without one, the key is a bearer token.
    pub user: Option<&'static str>,
    pub most: usize,
    pub body: fn(RequestBuilder, &PreparedMessage, &[Address]) -> RequestBuilder,
    /// The ID in a response: a header's value, or part of the body.
    pub id: fn(Option<&str>, &str) -> Option<String>,
    pub yes: u16,
    /// The ESP's error message in the body of a refusal.
    pub words: fn(&str) -> Option<String>,
}

pub struct Careless {
    honest: Arc<dyn EmailBackend>,
    calls: Calls,
    carelessness: Carelessness,
    target: Target,
}

impl Careless {
    pub fn make(
        honest: Arc<dyn EmailBackend>,
        calls: Calls,
        carelessness: Carelessness,
        target: &Target,
    ) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        Ok(Arc::new(Self {
            honest,
            calls,
            carelessness,
            target: target.clone(),
        }))
    }

    fn is(&self, carelessness: Carelessness) -> bool {
        self.carelessness == carelessness
    }

    fn error(&self, kind: SendErrorKind) -> SendError {
        SendError::new(kind, self.name(), "")
    }

    fn lost(&self, error: reqwest::Error) -> SendError {
        let kind = match () {
            () if error.is_connect() => SendErrorKind::Connect,
            () if error.is_timeout() => SendErrorKind::Timeout,
            () => SendErrorKind::Disconnected,
        };
        self.error(kind).with_source(error.without_url())
    }

    async fn call(&self, message: &PreparedMessage, to: &[Address]) -> Result<String, SendError> {
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .timeout(self.target.timeout);
        if !self.is(C::FollowsRedirects) {
            http = http.redirect(reqwest::redirect::Policy::none());
        }
        let http = http.build().map_err(|error| self.lost(error))?;
        let (secret, calls) = (&self.target.secret, &self.calls);
        let mut url = format!("{}{}", self.target.url, calls.path);
        if self.is(C::KeyInTheUrl) {
            url.push_str(&format!("?key={secret}"));
        }
        if self.is(C::TracesTheKey) {
            tracing::trace!(secret, "calling");
        }
        let request = (calls.body)(http.post(url), message, to);
        let request = match (calls.user, self.carelessness) {
            (_, C::NoKey) => request,
            (Some(user), C::OtherCredentials) => request.basic_auth(secret, Some(user)),
            (None, C::OtherCredentials) => request.basic_auth("apikey", Some(secret)),
            (Some(user), _) => request.basic_auth(user, Some(secret)),
            (None, C::FollowsRedirects) => request.header("x-key", secret).bearer_auth(secret),
            (None, _) => request.bearer_auth(secret),
        };
        let request = match self.is(C::FollowsRedirects) {
            true => request.header("x-api-key", secret),
            false => request,
        };
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status().as_u16();
        let header = response.headers().get("x-message-id");
        let header = header.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let yes = status == calls.yes || (self.is(C::TakesAnySuccess) && status < 400);
        if yes && header.is_some() && !self.is(C::ReadsToTheEnd) {
            return Ok(header.unwrap_or_default());
        }
        let text = response.text().await.map_err(|error| self.lost(error))?;
        if yes {
            let id = (calls.id)(header.as_deref(), &text);
            let id = id.or(self.is(C::TakesAnySuccess).then(String::new));
            return id.ok_or_else(|| self.error(SendErrorKind::InvalidResponse));
        }
        let words = (calls.words)(&text);
        let error = SendError::from_http_status(self.name(), status);
        let error = match (words, self.is(C::ErrorsQuoteTheAnswer)) {
            (_, true) => error.with_message(text),
            (Some(words), _) => error.with_message(words.replace(secret, "")).said_by_esp(),
            (None, _) => error,
        };
        Err(error)
    }
}

#[async_trait]
impl EmailBackend for Careless {
    fn name(&self) -> &str {
        self.honest.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.honest.capabilities()
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        self.honest.check(message)
    }

    async fn send(&self, message: &PreparedMessage) -> SendResult {
        let mut status = SendStatus::unknown(self.honest.name().to_owned(), message.message());
        let size = match self.is(C::OneCallForAll) || !message.is_batch() {
            true => message.to().len().max(1),
            false => self.calls.most,
        };
        let (mut taken, mut failed) = (false, None);
        for (number, to) in message.to().chunks(size).enumerate() {
            if self.is(C::SendsTheFirstCallOnly) && number > 0 {
                break;
            }
            let mut result = self.call(message, to).await;
            if self.is(C::RetriesWhateverFailed) && result.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                result = self.call(message, to).await;
            }
            match result {
                Ok(id) => {
                    taken = true;
                    for address in to.iter().chain(message.cc()).chain(message.bcc()) {
                        let id = Some(id.clone()).filter(|id| !id.is_empty());
                        status.set(&address.key(), Status::Queued, id, None);
                    }
                    status.esp_responses.push("an response".to_owned());
                }
                Err(error) if self.is(C::ErrorOfACallIsThatOfTheMessage) => return Err(error),
                Err(error) => {
                    if error.accepted() == Accepted::No {
                        for address in to {
                            status.set(&address.key(), Status::Failed, None, None);
                        }
                    }
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if !taken => Err(error),
            _ => Ok(status),
        }
    }
}

impl fmt::Debug for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Careless");
        out.field("honest", &self.honest);
        if self.is(C::PrintsTheKey) {
            out.field("target", &self.target);
        }
        out.finish()
    }
}
