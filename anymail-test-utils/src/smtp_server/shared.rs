//! The state that a [`LoopbackSmtp`](crate::LoopbackSmtp) and its connections share: settings,
//! faults, messages and violations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::builder::Settings;
use super::fault::{SmtpAction, SmtpFault, SmtpStage};
use super::judge::{SmtpCounts, SmtpRule, SmtpViolation};
use super::mail::SmtpMessage;
use super::reply::SmtpReply;
use super::tls::Certificates;
use crate::loopback::FaultQueue;

/// The state of a conversation for [`inject_rule`](crate::LoopbackSmtp::inject_rule).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpMoment {
    /// The stage that was reached.
    pub stage: SmtpStage,
    /// How often the server has reached this stage on all connections, starting at 1.
    pub count: u64,
    /// The number of the connection, starting at 1.
    pub connection: u64,
    /// The number of messages that have ended on this connection, kept or refused.
    pub messages_before: u64,
    /// The address as it was sent, at `MAIL` and `RCPT`; empty at other stages.
    pub address: String,
}

pub(super) type FaultRule = dyn Fn(&SmtpMoment) -> Option<SmtpAction> + Send + Sync;
pub(super) type RecipientRule = dyn Fn(&str) -> Option<SmtpReply> + Send + Sync;
pub(super) type LoginRule = dyn Fn(&str, &str) -> Option<SmtpReply> + Send + Sync;
pub(super) type MailRule = dyn Fn(&SmtpMessage) -> Option<SmtpReply> + Send + Sync;

/// What determines faults and replies.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) queue: FaultQueue<SmtpFault>,
    pub(super) fault_rule: Option<Arc<FaultRule>>,
    pub(super) recipient_rule: Option<Arc<RecipientRule>>,
    pub(super) mail_rule: Option<Arc<MailRule>>,
    pub(super) reached: HashMap<SmtpStage, u64>,
}

/// What the server has recorded.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) counts: SmtpCounts,
    pub(super) messages: Vec<Arc<SmtpMessage>>,
    pub(super) violations: Vec<SmtpViolation>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) certificates: Option<Certificates>,
    pub(super) recording: AtomicBool,
    /// The number of queue IDs so far.
    pub(super) ids: AtomicU64,
    plan: Mutex<Plan>,
    seen: Mutex<Seen>,
    /// Changes when a fault is injected, to wake up idle connections.
    pub(super) injected: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(settings: Settings, certificates: Option<Certificates>, plan: Plan) -> Self {
        Self {
            settings,
            certificates,
            recording: AtomicBool::new(true),
            ids: AtomicU64::new(0),
            plan: plan.into(),
            seen: Mutex::default(),
            injected: watch::Sender::new(0),
        }
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the fault for a stage that was just reached.
    pub(super) fn fault(&self, mut moment: SmtpMoment) -> Option<SmtpAction> {
        let rule = {
            let mut plan = self.plan();
            let reached = plan.reached.entry(moment.stage).or_default();
            *reached += 1;
            moment.count = *reached;
            if let Some(fault) = plan.queue.pop_first(|fault| fault.stage == moment.stage) {
                return Some(fault.action);
            }
            plan.fault_rule.clone()
        };
        rule.and_then(|rule| rule(&moment))
    }

    /// Takes a fault that was injected for idle connections.
    pub(super) fn idle_fault(&self) -> Option<SmtpAction> {
        let idle = |fault: &SmtpFault| fault.stage == SmtpStage::Idle;
        Some(self.plan().queue.pop_first(idle)?.action)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut SmtpCounts)) {
        change(&mut self.seen().counts);
    }

    pub(super) fn violation(&self, connection: u64, rule: SmtpRule, detail: String) {
        let mut seen = self.seen();
        seen.counts.violations += 1;
        // Limits the memory that a client can use by breaking a rule with every line.
        if seen.violations.len() < 10_000 {
            seen.violations.push(SmtpViolation {
                connection,
                rule,
                detail,
            });
        }
    }

    pub(super) fn keep(&self, mail: SmtpMessage) {
        let mut seen = self.seen();
        seen.counts.messages += 1;
        if self.recording.load(Ordering::SeqCst) {
            seen.messages.push(Arc::new(mail));
        }
    }
}
