//! [`Sender`]: many messages in few calls, with one result each.
//!
//! `payload.rs` writes a call's body; `response.rs` reads the response.

use std::collections::VecDeque;
use std::slice;
use std::sync::Arc;

use anymail_core::{Accepted, Address, PreparedMessage, SendError, SendErrorKind, SendStatus};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::client::{Answer, Client};
use super::payload::{Body, Endpoint, Row, has_template};
use super::pieces::Pieces;
use super::response::{self, Outcome};
use super::{search, settle};
use crate::config::{NAME, PostmarkConfig, PostmarkConfigError};
use crate::options::{ANYMAIL_ID, SERVER_TOKEN};

/// The maximum number of concurrent calls for messages that were passed together. Few need more than
/// one: those with tokens of their own, and a message to more recipients than a call accepts.
const CONCURRENT_CALLS: usize = 8;

/// Sends prepared messages with Postmark.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    config: Arc<PostmarkConfig>,
    client: Client,
}

impl Sender {
    pub(crate) fn new(config: PostmarkConfig) -> Result<Self, PostmarkConfigError> {
        Ok(Self {
            client: Client::new(&config)?,
            config: Arc::new(config),
        })
    }

    pub(crate) fn config(&self) -> &PostmarkConfig {
        &self.config
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Looks up a message by its generated ID. Returns Postmark's own ID for it.
    pub(crate) async fn find_sent(&self, id: &str) -> Result<Option<String>, SendError> {
        search::find_sent(&self.client, id, self.config.message_stream.as_deref()).await
    }

    pub(crate) async fn send_one(
        &self,
        message: &PreparedMessage,
    ) -> Result<SendStatus, SendError> {
        let mut results = self.send_many(slice::from_ref(message)).await;
        results.pop().unwrap_or_else(|| Err(nothing_came_of_it()))
    }

    pub(crate) async fn send_many(
        &self,
        messages: &[PreparedMessage],
    ) -> Vec<Result<SendStatus, SendError>> {
        let mut tallies: Vec<_> = messages.iter().map(Tally::new).collect();
        // Bodies are created when their call's turn comes, so that memory contains only those of
        // calls in progress.
        let mut calls = Calls::new(messages, &self.config);
        let first = calls.next();
        if calls.groups.is_empty() {
            // Usually there is just one, which needs no concurrency.
            if let Some(call) = first {
                let (call, answer) = self.call(call).await;
                record(&mut tallies, &call, answer);
            }
            return tallies.into_iter().map(Tally::finish).collect();
        }
        let mut under_way: FuturesUnordered<_> =
            first.map(|call| self.call(call)).into_iter().collect();
        loop {
            let free = CONCURRENT_CALLS.saturating_sub(under_way.len());
            under_way.extend(calls.by_ref().take(free).map(|call| self.call(call)));
            match under_way.next().await {
                Some((call, answer)) => record(&mut tallies, &call, answer),
                None => break,
            }
        }
        tallies.into_iter().map(Tally::finish).collect()
    }

    async fn call<'a>(&self, mut call: Call<'a>) -> (Call<'a>, Result<Answer, SendError>) {
        let body = match std::mem::replace(&mut call.body, Ok(Pieces::default())) {
            Ok(body) => body,
            Err(error) => {
                let error = SendError::new(SendErrorKind::Configuration, NAME, error.to_string());
                return (call, Err(error));
            }
        };
        let (path, rows) = (call.endpoint.path(), call.rows.len());
        let answer = self.client.post(path, rows, body, call.token).await;
        (call, answer)
    }
}

/// A call, ready to be sent.
struct Call<'a> {
    endpoint: Endpoint,
    token: Option<&'a str>,
    rows: Vec<Row<'a>>,
    body: serde_json::Result<Pieces>,
}

/// Rows that can share a call, in order.
struct Group<'a> {
    endpoint: Endpoint,
    token: Option<&'a str>,
    rows: VecDeque<Row<'a>>,
}

/// Splits messages into calls: as few as tokens, endpoints and Postmark's limits allow.
struct Calls<'a> {
    groups: VecDeque<Group<'a>>,
    config: &'a PostmarkConfig,
}

impl<'a> Calls<'a> {
    fn new(messages: &'a [PreparedMessage], config: &'a PostmarkConfig) -> Self {
        // There are usually few kinds of calls and tokens, so search the last ones first.
        let mut groups = VecDeque::<Group<'a>>::new();
        for (index, message) in messages.iter().enumerate() {
            let own_token = message
                .esp_extra()
                .and_then(|extra| extra.get(SERVER_TOKEN));
            let token = own_token.and_then(|token| token.as_str());
            let template = has_template(message);
            let endpoint = match (template, config.use_bulk_api) {
                (_, true) => Endpoint::Bulk,
                (true, _) if alone(messages) => Endpoint::WithTemplate,
                (false, _) if alone(messages) => Endpoint::Email,
                (true, _) => Endpoint::BatchWithTemplates,
                (false, _) => Endpoint::Batch,
            };
            let rows = rows(message, index, config);
            let same = |group: &&mut Group<'_>| (group.endpoint, group.token) == (endpoint, token);
            let group = match endpoint {
                Endpoint::Bulk => None, // each call is one message
                _ => groups.iter_mut().rev().find(same),
            };
            match group {
                Some(group) => group.rows.extend(rows),
                None => groups.push_back(Group {
                    endpoint,
                    token,
                    rows: rows.collect(),
                }),
            }
        }
        Self { groups, config }
    }
}

/// The bodies of the calls for these messages, in order.
pub(crate) fn bodies<'a>(
    messages: &'a [PreparedMessage],
    config: &'a PostmarkConfig,
) -> impl Iterator<Item = serde_json::Result<Pieces>> + use<'a> {
    Calls::new(messages, config).map(|call| call.body)
}

/// The results of messages if every call gets this response.
pub(crate) fn answered(
    messages: &[PreparedMessage],
    config: &PostmarkConfig,
    answer: &str,
) -> Vec<Result<SendStatus, SendError>> {
    let mut tallies: Vec<_> = messages.iter().map(Tally::new).collect();
    for call in Calls::new(messages, config) {
        let answer = Answer {
            http_status: 200,
            text: answer.to_owned(),
            retry_after: None,
        };
        record(&mut tallies, &call, Ok(answer));
    }
    tallies.into_iter().map(Tally::finish).collect()
}

/// Whether there is a single message that needs no batch call.
fn alone(messages: &[PreparedMessage]) -> bool {
    matches!(messages, [message] if !message.is_batch())
}

/// The rows for a message: the separate messages that Postmark will send.
fn rows<'a>(
    message: &'a PreparedMessage,
    index: usize,
    config: &PostmarkConfig,
) -> impl Iterator<Item = Row<'a>> {
    let apart = message.is_batch() || config.use_bulk_api;
    let to = message.to();
    let at_once = if apart { 1 } else { to.len() };
    // A message without `to` is one row, too.
    let lists = to.chunks(at_once.max(1)).chain(to.is_empty().then_some(to));
    lists.map(move |to| Row {
        message,
        index,
        to,
        id: config
            .generates_ids()
            .then(|| own_id(message, to).unwrap_or_else(|| uuid::Uuid::new_v4().to_string())),
    })
}

/// The ID that the app has set in the metadata, if no other row shares that metadata.
fn own_id(message: &PreparedMessage, to: &[Address]) -> Option<String> {
    match (to, message.to()) {
        ([to], [_, _, ..]) => {
            let own = message.message().merge_metadata.value()?;
            own.get(to)?.get(ANYMAIL_ID).cloned()
        }
        ([to], _) => message.metadata_for(to).get(ANYMAIL_ID).cloned(),
        _ => message.metadata().get(ANYMAIL_ID).cloned(),
    }
}

impl<'a> Iterator for Calls<'a> {
    type Item = Call<'a>;

    fn next(&mut self) -> Option<Call<'a>> {
        let group = self.groups.front_mut()?;
        let mut body = Body::new(group.endpoint, self.config);
        let mut rows = Vec::new();
        let mut failed = None;
        while let Some(row) = group.rows.pop_front() {
            match body.push(&row, group.rows.len()) {
                Ok(true) => rows.push(row),
                Ok(false) => {
                    group.rows.push_front(row);
                    break;
                }
                Err(error) => {
                    // The body cannot be used, so all its rows fail.
                    rows.push(row);
                    failed = Some(error);
                    break;
                }
            }
        }
        let (endpoint, token) = (group.endpoint, group.token);
        if group.rows.is_empty() {
            self.groups.pop_front();
        }
        Some(Call {
            endpoint,
            token,
            rows,
            body: failed.map_or_else(|| Ok(body.finish()), Err),
        })
    }
}

/// The result of a message while its calls complete.
struct Tally<'a> {
    message: &'a PreparedMessage,
    status: SendStatus,
    /// The worst error of a call, or of the message's only row.
    error: Option<SendError>,
    /// Whether anything is known about any of its rows.
    answered: bool,
}

impl<'a> Tally<'a> {
    fn new(message: &'a PreparedMessage) -> Self {
        Self {
            message,
            status: SendStatus::unknown(NAME, message.message()),
            error: None,
            answered: false,
        }
    }

    fn fail(&mut self, error: SendError) {
        let worse = self
            .error
            .as_ref()
            .is_none_or(|before| before.accepted() == Accepted::No);
        if worse {
            self.error = Some(error);
        }
    }

    /// If some calls of a batch got a response, the result is a status that says which rows failed.
    /// An error that leaves open whether Postmark accepted the message also has a status: it says
    /// who may have got it and, with generated IDs, what to search for.
    fn finish(self) -> Result<SendStatus, SendError> {
        match self.error {
            Some(error) if !self.answered => Err(match error.accepted() {
                Accepted::Maybe => error.with_status(self.status),
                Accepted::No => error,
            }),
            None if !self.answered => Err(nothing_came_of_it()),
            _ => Ok(self.status),
        }
    }
}

fn nothing_came_of_it() -> SendError {
    SendError::new(
        SendErrorKind::InvalidResponse,
        NAME,
        "no call was made for the message",
    )
    .with_accepted(Accepted::Maybe)
}

/// Records the result of a call in the messages that it was about.
fn record(tallies: &mut [Tally<'_>], call: &Call<'_>, answer: Result<Answer, SendError>) {
    let answers = match &answer {
        Ok(answer) => response::read(call.endpoint, &call.rows, answer),
        Err(error) => Err(error.clone()),
    };
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => {
            for row in &call.rows {
                if let Some(tally) = tallies.get_mut(row.index) {
                    settle::settle_failed(&mut tally.status, row, &error);
                    tally.fail(error.clone());
                }
            }
            return;
        }
    };
    for (row, answer) in call.rows.iter().zip(answers) {
        let Some(tally) = tallies.get_mut(row.index) else {
            continue;
        };
        settle::settle(&mut tally.status, row, &answer.outcome);
        // A message with a single row fails with it; a batch only if nothing is known about any
        // row.
        let failed = match &answer.outcome {
            Outcome::Accepted { .. } => false,
            Outcome::Refused { .. } => {
                let whole = !response::is_about_recipients(&answer.outcome, slice::from_ref(row));
                whole && !tally.message.is_batch()
            }
            Outcome::Unclear(_) => true,
        };
        if failed {
            let error = response::refusal(&answer.outcome, 200);
            tally.fail(error.with_response(answer.raw.unwrap_or_default()));
        } else {
            tally.answered = true;
        }
        tally
            .status
            .esp_responses
            .extend(answer.raw.map(str::to_owned));
    }
}
