//! A backend for tests of the mailer.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses some of it, and a failing test panics"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    Capabilities, EmailBackend, Feature, Mailer, MailerBuilder, Message, PreparedMessage,
    SendError, SendErrorKind as K, SendStatus, Status, Support,
};
use async_trait::async_trait;

/// A backend that returns the given results, one for each attempt, and then succeeds.
#[derive(Debug, Clone)]
pub struct Told {
    pub can: Capabilities,
    pub answers: Arc<Mutex<VecDeque<SendError>>>,
    batches: Arc<Mutex<Vec<Vec<String>>>>,
    pub max_batch: usize,
    pub takes: Duration,
}

pub fn told(answers: impl IntoIterator<Item = SendError>) -> Told {
    Told {
        can: Capabilities::from([
            (Feature::Tags, Support::AtMost(1)),
            (Feature::Metadata, Support::Yes),
            (Feature::Template, Support::Yes),
            (Feature::MergeData, Support::With(Feature::Template)),
            (Feature::Batch, Support::Yes),
        ]),
        answers: Arc::new(Mutex::new(answers.into_iter().collect())),
        batches: Arc::default(),
        max_batch: 3,
        takes: Duration::ZERO,
    }
}

impl Told {
    /// The subjects of the messages in each call.
    pub fn batches(&self) -> Vec<Vec<String>> {
        self.batches.lock().unwrap().clone()
    }

    fn answer(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        // A message can request its own result.
        match message.subject() {
            Some("refused") => return Err(error(K::Refused)),
            Some("steady") => return Ok(sent(message)),
            _ => {}
        }
        match self.answers.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(sent(message)),
        }
    }
}

pub fn sent(message: &PreparedMessage) -> SendStatus {
    let mut status = SendStatus::unknown("acme", message.message());
    for to in message.to() {
        status.set(&to.key(), Status::Sent, Some("id".into()), None);
    }
    status
}

pub fn error(kind: K) -> SendError {
    SendError::new(kind, "acme", "no")
}

pub fn subjects(messages: &[PreparedMessage]) -> Vec<String> {
    let subject = |m: &PreparedMessage| m.subject().unwrap_or_default().to_owned();
    messages.iter().map(subject).collect()
}

#[async_trait]
impl EmailBackend for Told {
    fn name(&self) -> &str {
        "acme"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.can
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let batch = std::slice::from_ref(message);
        self.batches.lock().unwrap().push(subjects(batch));
        tokio::time::sleep(self.takes).await;
        self.answer(message)
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        self.batches.lock().unwrap().push(subjects(messages));
        tokio::time::sleep(self.takes).await;
        messages
            .iter()
            .map(|message| self.answer(message))
            .collect()
    }
}

pub fn message(subject: &str) -> Message {
    let builder = Message::builder()
        .from("from@example.com")
        .to("to@example.com");
    builder.subject(subject).text_body("T").build().unwrap()
}

pub fn mailer(backend: &Told) -> MailerBuilder {
    Mailer::builder(backend.clone())
}
