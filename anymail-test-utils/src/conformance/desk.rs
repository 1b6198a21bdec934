//! [`Desk`]: the ESP behind the loopback server: it reads by the harness, decides by the plan,
//! and answers by the harness.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anymail_core::{Address, Status};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tokio::sync::Notify;

use super::harness::{Answer, Harness, MessageIds, Profile, Recipient, Trouble, TroubleKind};
use super::understood::Understood;

/// What the ESP says of a recipient of a mail.
pub(super) type StatusOf = Box<dyn Fn(&Understood, &Address) -> Status + Send>;

/// How the ESP answers from now on.
pub(super) struct Plan {
    /// What it says of each recipient of each mail.
    pub(super) status_of: StatusOf,
    /// What it says of every request instead.
    pub(super) trouble: Option<(TroubleKind, String)>,
    pub(super) retry_after: Option<&'static str>,
    /// The words of its refusals.
    pub(super) words: String,
    /// How many of a call's mails, at the end, its answer passes over in silence.
    pub(super) silent_about: usize,
}

/// The ESP behind the loopback server.
pub(super) struct Desk {
    pub(super) harness: Arc<dyn Harness>,
    profile: Arc<Profile>,
    plan: Mutex<Plan>,
    log: Mutex<Log>,
    /// Whenever a call has been answered.
    pub(super) arrived: Notify,
}

#[derive(Default)]
pub(super) struct Log {
    /// The answers, call by call.
    pub(super) calls: Vec<Vec<Answer>>,
    /// What is wrong with the harness, or with a request by its lights.
    pub(super) problems: Vec<String>,
    /// What the ESP cannot say, though it was asked to.
    pub(super) cannot_say: Option<Vec<Status>>,
    /// As the harness wrote it.
    pub(super) last_answer: Option<Response<Bytes>>,
    ids: u64,
}

impl Desk {
    pub(super) fn new(harness: Arc<dyn Harness>, profile: Arc<Profile>) -> Self {
        let yes = profile.accepts_as;
        Self {
            harness,
            profile,
            plan: Mutex::new(Plan {
                status_of: Box::new(move |_, _| yes),
                trouble: None,
                retry_after: None,
                words: "the reason in the ESP's own words".to_owned(),
                silent_about: 0,
            }),
            log: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    pub(super) fn serve(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer(request)));
        let answer = answer.unwrap_or_else(|_| Err("the harness panicked".to_owned()));
        let response = answer.unwrap_or_else(|problem| {
            self.log().problems.push(problem);
            refused("the harness has a problem")
        });
        self.log().last_answer = Some(response.clone());
        self.arrived.notify_one();
        response
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, String> {
        let mails = self.harness.read(request).map_err(|error| {
            let (method, path) = (request.method(), request.uri().path());
            format!("Harness::read does not understand {method} {path}: {error}")
        })?;
        let plan = self.plan();
        let answers = self.decide(&plan, mails);
        self.log().calls.push(answers.clone());
        if let Some((kind, words)) = &plan.trouble {
            let mut response = self.harness.trouble(&Trouble {
                kind: *kind,
                http_status: kind.http_status(),
                words: words.clone(),
            });
            if let Some(wait) = plan.retry_after {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(wait));
            }
            return Ok(response);
        }
        let told = match answers.len().checked_sub(plan.silent_about) {
            // An answer about nothing at all is another matter.
            Some(told @ 1..) => answers.get(..told).unwrap_or_default(),
            _ => &answers[..],
        };
        Ok(self.harness.answer(request, told).unwrap_or_else(|| {
            let statuses = told.iter().flat_map(|answer| &answer.recipients);
            let statuses = statuses.map(|recipient| recipient.status).collect();
            self.log().cannot_say = Some(statuses);
            refused("this ESP never says so")
        }))
    }

    /// Makes up ids, and looks up what to say.
    fn decide(&self, plan: &Plan, mails: Vec<Understood>) -> Vec<Answer> {
        let mut log = self.log();
        let mut next_id = || {
            log.ids += 1;
            (self.profile.message_id)(log.ids)
        };
        let per_recipient = self.profile.message_ids == MessageIds::PerRecipient;
        let call = (self.profile.message_ids == MessageIds::PerCall).then(&mut next_id);
        let mut answers = Vec::with_capacity(mails.len());
        for mail in mails {
            let id = call.clone().unwrap_or_else(&mut next_id);
            let mut recipients = Vec::new();
            for address in mail.recipients() {
                recipients.push(Recipient {
                    status: (plan.status_of)(&mail, address),
                    address: address.clone(),
                    id: match per_recipient {
                        true => next_id(),
                        false => id.clone(),
                    },
                });
            }
            answers.push(Answer {
                id,
                recipients,
                words: plan.words.clone(),
                mail,
            });
        }
        answers
    }
}

fn refused(words: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(words.as_bytes()));
    *response.status_mut() = http::StatusCode::UNPROCESSABLE_ENTITY;
    response
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
