//! A backend that returns the results that a test sets, and records its calls.
// Not every test file uses everything.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use anymail_core::{
    Capabilities, EmailBackend, Message, Objection, PreparedMessage, SendError, SendStatus, Status,
    StatusDetail,
};
use async_trait::async_trait;

/// The result for one message.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Every recipient has this status.
    All(Status),
    Fails(SendError),
}

#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    name: &'static str,
    capabilities: Capabilities,
    forbidden_header: Option<&'static str>,
    /// When it is used up, every message succeeds.
    script: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<Mutex<Vec<Vec<Message>>>>,
}

impl Scripted {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            capabilities: Capabilities::all(),
            forbidden_header: None,
            script: Arc::default(),
            calls: Arc::default(),
        }
    }

    pub(crate) fn can(mut self, capabilities: impl Into<Capabilities>) -> Self {
        self.capabilities = capabilities.into();
        self
    }

    pub(crate) fn forbids_header(mut self, name: &'static str) -> Self {
        self.forbidden_header = Some(name);
        self
    }

    pub(crate) fn answers(self, script: impl IntoIterator<Item = Answer>) -> Self {
        self.script.lock().unwrap().extend(script);
        self
    }

    pub(crate) fn fails(self, error: SendError) -> Self {
        self.answers([Answer::Fails(error)])
    }

    /// The messages of each call, in order.
    pub(crate) fn calls(&self) -> Vec<Vec<Message>> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn call_sizes(&self) -> Vec<usize> {
        self.calls().iter().map(Vec::len).collect()
    }

    fn answer(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let answer = self.script.lock().unwrap().pop_front();
        let status = match answer.unwrap_or(Answer::All(Status::Sent)) {
            Answer::Fails(error) => return Err(error),
            Answer::All(status) => status,
        };
        let mut sent = SendStatus::unknown(self.name, message.message());
        for address in message.message().recipients() {
            let detail = StatusDetail::new(None, format!("said {}", self.name));
            sent.set(&address.key(), status, None, Some(detail));
        }
        Ok(sent)
    }

    fn note(&self, messages: &[PreparedMessage]) {
        let messages = messages.iter().map(|m| m.message().clone()).collect();
        self.calls.lock().unwrap().push(messages);
    }
}

#[async_trait]
impl EmailBackend for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        let Some(name) = self.forbidden_header else {
            return Vec::new();
        };
        let value = message
            .headers
            .value()
            .and_then(|headers| headers.get(name));
        let objection = |value: &str| {
            Objection::new(format!("does not support the header {name}"), value).take_out(
                move |message| {
                    if let Some(headers) = message.headers.value_mut() {
                        headers.remove(name);
                    }
                },
            )
        };
        value.map(objection).into_iter().collect()
    }

    fn max_batch(&self) -> usize {
        500
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.note(std::slice::from_ref(message));
        self.answer(message)
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        self.note(messages);
        messages
            .iter()
            .map(|message| self.answer(message))
            .collect()
    }
}
