//! [`Desk`]: decides what the ESP responds, by the plan of a trial, and records it.
//!
//! The wire (`wire`) writes the responses.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anymail_core::{Address, AddressKey, Status};
use tokio::sync::Notify;

use super::harness::{FailureKind, Recipient, Report};
use super::profile::{MessageIds, Profile};
use super::understood::Understood;

/// What the ESP reports for a recipient.
pub(super) type StatusOf = Box<dyn Fn(&Address) -> Status + Send>;

/// How the ESP responds from now on.
pub(super) struct Plan {
    /// What it reports for each recipient of each message.
    pub(super) status_of: StatusOf,
    /// The failure that it reports for every request instead.
    pub(super) failure: Option<(FailureKind, String)>,
    /// The only call that fails, by its number starting at 0.
    pub(super) failure_at: Option<usize>,
    pub(super) retry_after: Option<&'static str>,
    /// The text of its refusals.
    pub(super) words: String,
    /// How many of the last messages of a call its response omits.
    pub(super) silent_about: usize,
}

/// The ESP, independent of its wire format.
pub(super) struct Desk {
    profile: Profile,
    plan: Mutex<Plan>,
    log: Mutex<Log>,
    /// Notifies when a call has been answered.
    pub(super) arrived: Notify,
}

#[derive(Default)]
pub(super) struct Log {
    /// The responses, call by call.
    pub(super) calls: Vec<Vec<Report>>,
    /// What is wrong with the harness, or with a request according to it.
    pub(super) problems: Vec<String>,
    /// What the trial requested that the ESP cannot report.
    pub(super) cannot_say: Option<Vec<Status>>,
    ids: u64,
}

/// What the ESP reports for one call.
pub(super) struct Decided {
    reports: Vec<Report>,
    silent_about: usize,
    pub(super) failure: Option<(FailureKind, String)>,
    pub(super) retry_after: Option<&'static str>,
}

impl Decided {
    /// Returns the responses that are given.
    pub(super) fn told(&self) -> &[Report] {
        match self.reports.len().checked_sub(self.silent_about) {
            // A response about no message at all would be a different case.
            Some(told @ 1..) => self.reports.get(..told).unwrap_or_default(),
            _ => &self.reports,
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
                failure: None,
                failure_at: None,
                retry_after: None,
                words: "the reason as the ESP words it".to_owned(),
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

    /// Returns all messages of all calls.
    pub(super) fn mails(&self) -> Vec<Understood> {
        let log = self.log();
        let reports = log.calls.iter().flatten();
        reports.map(|report| report.message.clone()).collect()
    }

    /// Returns the IDs that the ESP assigned to one recipient's messages: several for a copy of a
    /// batch.
    pub(super) fn ids_of(&self, recipient: &AddressKey) -> Vec<String> {
        let mut ids = Vec::new();
        for report in self.log().calls.iter().flatten() {
            for it in &report.recipients {
                if it.address.key() == *recipient {
                    ids.push(
                        report
                            .message
                            .own_id
                            .clone()
                            .unwrap_or_else(|| it.id.clone()),
                    );
                }
            }
        }
        ids
    }

    /// Accepts the messages of a call: assigns IDs and decides what to report.
    pub(super) fn decide(&self, mails: Vec<Understood>) -> Decided {
        let plan = self.plan();
        let reports = self.reports(&plan, mails);
        let number = {
            let mut log = self.log();
            log.calls.push(reports.clone());
            log.calls.len() - 1
        };
        let fails = plan.failure_at.is_none_or(|only| only == number);
        Decided {
            reports,
            silent_about: plan.silent_about,
            failure: plan.failure.clone().filter(|_| fails),
            retry_after: plan.retry_after,
        }
    }

    /// Records that the ESP cannot report this.
    pub(super) fn cannot_say(&self, told: &[Report]) {
        let statuses = told.iter().flat_map(|report| &report.recipients);
        let statuses = statuses.map(|recipient| recipient.status).collect();
        self.log().cannot_say = Some(statuses);
    }

    fn reports(&self, plan: &Plan, mails: Vec<Understood>) -> Vec<Report> {
        let mut log = self.log();
        let mut next_id = || {
            log.ids += 1;
            (self.profile.message_id)(log.ids)
        };
        let per_recipient = self.profile.message_ids == MessageIds::PerRecipient;
        let call = (self.profile.message_ids == MessageIds::PerCall).then(&mut next_id);
        let mut reports = Vec::with_capacity(mails.len());
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
            reports.push(Report {
                id,
                recipients,
                error_message: plan.words.clone(),
                message: mail,
            });
        }
        reports
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
