//! [`Subscribers`]: who signed up, what webhooks said of their mail, and what they answered.
//!
//! In memory, so that there is nothing to set up; each method would be a transaction of a
//! database.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anymail_core::{Address, Event, EventType, InboundMessage, TrackingEvent};
use serde::Serialize;
use uuid::Uuid;

use super::welcome::SUBSCRIBER;

/// How many characters of an answer are kept.
const ANSWER_SHOWN: usize = 500;

/// How far a subscriber has come. Events come in any order, and more than once: one that is
/// behind what is known already changes nothing.
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

    /// What an event says; `None` where it says nothing new.
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
    /// Of this sign-up: what comes back about an earlier one is not about this.
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) state: State,
    /// The ESP's words, where it had any.
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

/// A mail that came in.
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
    /// ESP and key of each event that was taken in. A database would forget them after some
    /// weeks.
    seen: HashSet<(String, String)>,
}

#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<Store>);

impl Subscribers {
    /// A panic elsewhere leaves no half of a change behind.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds somebody, or lets them back in; `None` if they are a subscriber.
    ///
    /// To be called before the mail is sent: of two requests at once, one gets `None`.
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

    /// Notes how the sending ended.
    pub(crate) fn settle(&self, id: Uuid, state: State, detail: Option<String>) {
        self.advance(&id.to_string(), state, detail);
    }

    /// Takes in an event, unless it was taken in before.
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

    /// Events of mails that are not this app's are none of its business.
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

    /// All subscribers and all answers, in order.
    pub(crate) fn all(&self) -> (Vec<Subscriber>, Vec<Answer>) {
        let store = self.store();
        (store.subscribers.clone(), store.answers.clone())
    }
}
