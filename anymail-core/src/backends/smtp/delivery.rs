//! The result of one message ([`Delivery`]), and of all copies of a message ([`Report`]).
//!
//! `reply.rs` interprets single replies.

use super::NAME;
use super::conversation::Ended;
use super::envelope::{Path, Recipient};
use super::reply::{self, Meaning, Reply, Stage};
use crate::message::{AddressKey, Message};
use crate::sending::{Accepted, SendError, SendStatus, Status, StatusDetail};

const NEEDS_UTF8: &str = "the server does not offer SMTPUTF8 (RFC 6531), which a non-ASCII local \
                          part requires";

/// The result of one copy.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The value of its `Message-ID`.
    pub(super) message_id: String,
    open: Vec<(AddressKey, Path)>,
    settled: Vec<(AddressKey, Status, StatusDetail)>,
    responses: Vec<String>,
    /// Why some or all recipients did not get it.
    error: Option<SendError>,
}

impl Delivery {
    /// A copy that no server has been asked about yet.
    pub(super) fn new(recipients: Vec<Recipient>) -> Self {
        let mut delivery = Self {
            message_id: String::new(),
            open: Vec::new(),
            settled: Vec::new(),
            responses: Vec::new(),
            error: None,
        };
        for Recipient { key, path } in recipients {
            match path {
                Ok(path) => delivery.open.push((key, path)),
                Err(why) => {
                    let detail = StatusDetail::new(None, why);
                    delivery.settled.push((key, Status::Invalid, detail));
                }
            }
        }
        delivery
    }

    /// Whether there are recipients left to ask the server about.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn open_paths(&self) -> Vec<&str> {
        self.open.iter().map(|(_, path)| path.as_str()).collect()
    }

    pub(super) fn has_international(&self) -> bool {
        self.open.iter().any(|(_, path)| path.is_international())
    }

    /// Refuses recipients that only a server with SMTPUTF8 accepts.
    pub(super) fn refuse_international(&mut self) {
        for (key, _) in self
            .open
            .extract_if(.., |(_, path)| path.is_international())
        {
            let detail = StatusDetail::new(None, NEEDS_UTF8);
            self.settled.push((key, Status::Invalid, detail));
        }
    }

    /// Settles all open recipients as failed or unknown.
    pub(super) fn fail(mut self, error: SendError) -> Self {
        self.settle_open(&error);
        self.error = Some(error);
        self
    }

    fn settle_open(&mut self, error: &SendError) {
        let status = match error.accepted() {
            Accepted::No => Status::Failed,
            Accepted::Maybe => Status::Unknown,
        };
        let code = error.esp_code().map(str::to_owned);
        let detail = StatusDetail::new(code, error.message());
        let open = self.open.drain(..);
        let settled = open.map(|(key, _)| (key, status, detail.clone()));
        self.settled.extend(settled);
    }

    /// Settles the open recipients by the server's replies, except those that it will accept in
    /// another transaction. Returns the code of the last reply.
    ///
    /// # Errors
    /// No further recipients will be accepted: the open ones fail with this error.
    pub(super) fn take(&mut self, replies: Vec<Reply>, ended: Ended) -> Result<u16, SendError> {
        let taken = matches!(ended, Ended::Taken(_));
        let last = replies.last().map_or(0, |reply| reply.code);
        let mut later = None;
        let mut replies = replies.into_iter();
        let mut open = Vec::new();
        for (key, path) in self.open.drain(..) {
            let Some(reply) = replies.next() else {
                open.push((key, path));
                continue;
            };
            let status = match reply::meaning(Stage::Recipient, &reply) {
                Meaning::Yes if taken => Status::Queued,
                Meaning::TooMany if taken => {
                    open.push((key, path));
                    continue;
                }
                Meaning::Yes => {
                    open.push((key, path));
                    continue;
                }
                Meaning::NotFor(status) => status,
                _ => Status::Failed,
            };
            if status == Status::Failed && reply.code < 500 && later.is_none() {
                later = Some(reply::refused(Stage::Recipient, &reply, "the server"));
            }
            if !taken {
                self.responses.push(reply.to_string());
            }
            self.settled.push((key, status, reply.detail()));
        }
        self.open = open;
        match ended {
            Ended::Taken(reply) => {
                self.responses.push(reply.to_string());
                Ok(reply.code)
            }
            Ended::NobodyTaken => {
                self.error = later;
                Ok(last)
            }
            Ended::Failed(error) | Ended::Unanswered(error) => Err(error),
        }
    }
}

/// The result of a message, copy by copy.
#[derive(Debug)]
pub(super) struct Report {
    status: SendStatus,
    errors: Vec<SendError>,
}

impl Report {
    pub(super) fn new(message: &Message) -> Self {
        Self {
            status: SendStatus::unknown(NAME, message),
            errors: Vec::new(),
        }
    }

    /// Adds a copy. In a batch, cc and bcc get every copy and report the best result.
    pub(super) fn add(&mut self, delivery: Delivery) {
        let id = delivery.message_id;
        for (key, status, detail) in delivery.settled {
            let known = self.status.by_key(&key);
            let known = known.and_then(|it| it.detail.as_ref().map(|_| rank(it.status)));
            if known.is_none_or(|known| rank(status) > known) {
                let id = status.may_be_accepted().then(|| id.clone());
                self.status.set(&key, status, id, Some(detail));
            }
        }
        self.status.esp_responses.extend(delivery.responses);
        self.errors.extend(delivery.error);
    }

    /// Returns a status if any recipient was accepted or all were permanently refused. Otherwise
    /// returns the most significant error: first one that leaves open whether the server accepted
    /// the message, then a transient one.
    pub(super) fn finish(mut self) -> Result<SendStatus, SendError> {
        if self
            .status
            .recipients()
            .any(|it| it.status == Status::Queued)
        {
            return Ok(self.status);
        }
        self.errors.sort_by_key(|error| {
            let maybe = error.accepted() == Accepted::Maybe;
            (!maybe, !error.is_transient())
        });
        match self.errors.into_iter().next() {
            Some(error) => Err(error.with_status(self.status)),
            None => Ok(self.status),
        }
    }
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Queued | Status::Sent => 2,
        Status::Unknown => 1,
        _ => 0,
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
