//! [`Subscribers`]: who signed up, what webhooks reported about their messages, and their replies.
//!
//! Kept in memory, so that there is nothing to set up. With a database, each method would be a
//! transaction.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anymail_core::{Address, Event, EventType, InboundMessage, TrackingEvent};
use serde::Serialize;
use uuid::Uuid;

use super::welcome::SUBSCRIBER;

/// How many characters of a reply are kept.
const ANSWER_SHOWN: usize = 500;

/// The state of a subscriber. Events come in any order and more than once; an event that is behind
/// the known state changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Sending,
    NotSent,
    Unsure,
    Sent,
    Delivered,
    Opened,
    Bounced,
    Complained,
    Unsubscribed,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::NotSent => "not sent",
            Self::Unsure => "maybe sent",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Opened => "opened",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Unsubscribed => "unsubscribed",
        }
    }

    /// The state after an event; `None` if the event changes nothing.
    fn of(event: EventType) -> Option<Self> {
        Some(match event {
            EventType::Delivered => Self::Delivered,
            EventType::Opened | EventType::Clicked => Self::Opened,
            EventType::Bounced | EventType::Rejected | EventType::Failed => Self::Bounced,
            EventType::Complained => Self::Complained,
            EventType::Unsubscribed => Self::Unsubscribed,
            _ => return None,
        })
    }

    /// Whether somebody in this state may sign up (again).
    fn may_sign_up(self) -> bool {
        match self {
            Self::NotSent | Self::Unsure => true,
            Self::Sending | Self::Sent | Self::Delivered | Self::Opened => false,
            Self::Bounced | Self::Complained | Self::Unsubscribed => true,
        }
    }
}

/// Somebody who signed up.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    /// The ID of this sign-up: events about an earlier one are ignored.
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) state: State,
    /// The ESP's description, if any.
    pub(crate) detail: Option<String>,
}

impl Subscriber {
    pub(crate) fn new(name: &str, address: Address) -> Self {
        Self {
            id: Uuid::new_v4(),
            name: name.to_owned(),
            address,
            state: State::Sending,
            detail: None,
        }
    }
}

/// An inbound message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    from: String,
    subject: String,
    text: String,
}

impl Answer {
    fn new(mail: &InboundMessage) -> Self {
        let from: Vec<_> = mail.from.iter().map(ToString::to_string).collect();
        let text = mail.stripped_text.clone();
        let text = text.or_else(|| mail.text().map(Into::into));
        let text = text.unwrap_or_default();
        Self {
            from: from.join(", "),
            subject: mail.subject.clone().unwrap_or_default(),
            text: text.trim().chars().take(ANSWER_SHOWN).collect(),
        }
    }
}

#[derive(Debug, Default)]
struct Store {
    subscribers: Vec<Subscriber>,
    answers: Vec<Answer>,
    /// The ESP and key of each handled event. A database would delete them after some weeks.
    seen: HashSet<(String, String)>,
}

#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<Store>);

impl Subscribers {
    /// A panic elsewhere leaves no partial change behind.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds somebody, or lets them back in; `None` if they are a subscriber already.
    ///
    /// Call it before sending the message: of two concurrent requests, one gets `None`.
    pub(crate) fn sign_up(
        &self,
        name: &str,
        address: Address,
        has_left: bool,
    ) -> Option<Subscriber> {
        let subscriber = Subscriber::new(name, address);
        let subscribers = &mut self.store().subscribers;
        let key = subscriber.address.key();
        match subscribers.iter_mut().find(|old| old.address.key() == key) {
            Some(old) if !old.state.may_sign_up() && !has_left => return None,
            Some(old) => *old = subscriber.clone(),
            None => subscribers.push(subscriber.clone()),
        }
        Some(subscriber)
    }

    /// Records the result of sending.
    pub(crate) fn settle(&self, id: Uuid, state: State, detail: Option<String>) {
        self.advance(&id.to_string(), state, detail);
    }

    /// Handles an event, unless it was handled before.
    pub(crate) fn take(&self, event: &Event) {
        let key = (event.esp().to_owned(), event.dedup_key().to_owned());
        if !self.store().seen.insert(key) {
            return;
        }
        match event {
            Event::Tracking(event) => self.take_tracking(event),
            Event::Inbound(event) => self.store().answers.push(Answer::new(&event.message)),
            _ => {}
        }
    }

    /// Ignores events of messages that are not this app's.
    fn take_tracking(&self, event: &TrackingEvent) {
        if let (Some(id), Some(state)) =
            (event.metadata.get(SUBSCRIBER), State::of(event.event_type))
        {
            self.advance(id, state, event.description.clone());
        }
    }

    fn advance(&self, id: &str, state: State, detail: Option<String>) {
        let mut store = self.store();
        let mut same = store.subscribers.iter_mut();
        if let Some(one) = same.find(|one| one.id.to_string() == id)
            && one.state < state
        {
            one.state = state;
            one.detail = detail;
        }
    }

    /// All subscribers and all replies, in order.
    pub(crate) fn all(&self) -> (Vec<Subscriber>, Vec<Answer>) {
        let store = self.store();
        (store.subscribers.clone(), store.answers.clone())
    }
}
