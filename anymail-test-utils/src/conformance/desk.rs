//! [`Desk`]: where the ESP decides what to say, by the plan of a trial, and keeps what it said.
//!
//! How it is said is the wire's (`wire`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use anymail_core::{Address, AddressKey, Status};
use tokio::sync::Notify;

use super::harness::{Answer, Recipient, TroubleKind};
use super::profile::{MessageIds, Profile};
use super::understood::Understood;

/// What the ESP says of a recipient.
pub(super) type StatusOf = Box<dyn Fn(&Address) -> Status + Send>;

/// How the ESP answers from now on.
pub(super) struct Plan {
    /// What it says of each recipient of each mail.
    pub(super) status_of: StatusOf,
    /// What it says of every request instead.
    pub(super) trouble: Option<(TroubleKind, String)>,
    /// The only call, by its number from 0 on, that is told of trouble.
    pub(super) trouble_at: Option<usize>,
    pub(super) retry_after: Option<&'static str>,
    /// The words of its refusals.
    pub(super) words: String,
    /// How many of a call's mails, at the end, its answer passes over in silence.
    pub(super) silent_about: usize,
}

/// The ESP, but for its language.
pub(super) struct Desk {
    profile: Profile,
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
    ids: u64,
}

/// What the ESP says of one call.
pub(super) struct Decided {
    answers: Vec<Answer>,
    silent_about: usize,
    pub(super) trouble: Option<(TroubleKind, String)>,
    pub(super) retry_after: Option<&'static str>,
}

impl Decided {
    /// The answers that are given.
    pub(super) fn told(&self) -> &[Answer] {
        match self.answers.len().checked_sub(self.silent_about) {
            // An answer about nothing at all is another matter.
            Some(told @ 1..) => self.answers.get(..told).unwrap_or_default(),
            _ => &self.answers,
        }
    }
}

impl Desk {
    pub(super) fn new(profile: Profile) -> Self {
        let yes = profile.accepts_as;
        Self {
            profile,
            plan: Mutex::new(Plan {
                status_of: Box::new(move |_| yes),
                trouble: None,
                trouble_at: None,
                retry_after: None,
                words: "the reason in the ESP's own words".to_owned(),
                silent_about: 0,
            }),
            log: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    /// All mails of all calls.
    pub(super) fn mails(&self) -> Vec<Understood> {
        let log = self.log();
        let answers = log.calls.iter().flatten();
        answers.map(|answer| answer.mail.clone()).collect()
    }

    /// The ids that the ESP gave to one recipient's mails: several for a copy of a batch.
    pub(super) fn ids_of(&self, recipient: &AddressKey) -> Vec<String> {
        let mut ids = Vec::new();
        for answer in self.log().calls.iter().flatten() {
            for it in &answer.recipients {
                if it.address.key() == *recipient {
                    ids.push(answer.mail.own_id.clone().unwrap_or_else(|| it.id.clone()));
                }
            }
        }
        ids
    }

    /// Takes the mails of a call: makes up ids, and looks up what to say.
    pub(super) fn decide(&self, mails: Vec<Understood>) -> Decided {
        let plan = self.plan();
        let answers = self.answers(&plan, mails);
        let number = {
            let mut log = self.log();
            log.calls.push(answers.clone());
            log.calls.len() - 1
        };
        let in_trouble = plan.trouble_at.is_none_or(|only| only == number);
        Decided {
            answers,
            silent_about: plan.silent_about,
            trouble: plan.trouble.clone().filter(|_| in_trouble),
            retry_after: plan.retry_after,
        }
    }

    /// Notes that the ESP has no way to say this.
    pub(super) fn cannot_say(&self, told: &[Answer]) {
        let statuses = told.iter().flat_map(|answer| &answer.recipients);
        let statuses = statuses.map(|recipient| recipient.status).collect();
        self.log().cannot_say = Some(statuses);
    }

    fn answers(&self, plan: &Plan, mails: Vec<Understood>) -> Vec<Answer> {
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
                    status: (plan.status_of)(address),
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
