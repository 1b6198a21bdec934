//! Moves a message among several backends. Shared by failover and round robin.
//!
//! `failover.rs` and `round_robin.rs` decide the order of members.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::message::{Field, Message};
use crate::sending::{
    Accepted, Capabilities, EmailBackend, Feature, MemberError, Objection, PreparedMessage,
    SendDefaults, SendError, SendErrorKind, SendStatus, Support, UnsupportedPolicy, guarded,
};

/// A backend of a [`Failover`](crate::Failover) or a [`RoundRobin`](crate::RoundRobin).
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    backend: Arc<dyn EmailBackend>,
    defaults: SendDefaults,
}

impl Member {
    /// Creates a member from a backend and a name, which distinguishes two accounts at one ESP.
    pub fn new(name: impl Into<String>, backend: impl EmailBackend + 'static) -> Self {
        Self {
            name: name.into(),
            backend: Arc::new(backend),
            defaults: SendDefaults::default(),
        }
    }

    /// Sets defaults that are applied when this member sends a message, for example an `esp_extra`
    /// of its ESP.
    ///
    /// Sender, recipients and values by recipient are ignored, because pre-send hooks, including
    /// those for staging, have already run.
    #[must_use]
    pub fn send_defaults(mut self, defaults: &SendDefaults) -> Self {
        let mut own = defaults.message().clone();
        own.from = Field::Unset;
        (own.to, own.cc, own.bcc) = (Field::Unset, Field::Unset, Field::Unset);
        (own.merge_data, own.merge_metadata, own.merge_headers) =
            (Field::Unset, Field::Unset, Field::Unset);
        self.defaults = own.into();
        self
    }

    /// The member's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The member's backend.
    pub fn backend(&self) -> &dyn EmailBackend {
        &*self.backend
    }
}

/// The longest rest that an ESP can request: a member that requests a year must not be unused for a
/// year. The error contains the requested time.
const LONGEST_ASKED_REST: Duration = Duration::from_secs(600);

/// The members of a failover or round robin.
pub(super) struct Members {
    name: &'static str,
    slots: Vec<Slot>,
    capabilities: Capabilities,
    /// Whether some members support `esp_extra`, but with different options.
    extra_differs: bool,
    policy: UnsupportedPolicy,
    pub(super) rest: Duration,
}

struct Slot {
    member: Member,
    rests_until: Mutex<Option<Instant>>,
}

/// A message on its way from member to member.
struct Journey {
    /// The members to try, in order.
    ahead: std::vec::IntoIter<usize>,
    /// The errors of the members that did not accept it.
    errors: Vec<(usize, SendError)>,
    end: Option<Result<SendStatus, SendError>>,
}

impl Members {
    pub(super) fn new(name: &'static str, members: impl IntoIterator<Item = Member>) -> Self {
        let slot = |member| Slot {
            member,
            rests_until: Mutex::new(None),
        };
        let mut made = Self {
            name,
            slots: members.into_iter().map(slot).collect(),
            capabilities: Capabilities::default(),
            extra_differs: false,
            policy: UnsupportedPolicy::Refuse,
            rest: Duration::from_secs(60),
        };
        made.set_policy(UnsupportedPolicy::Refuse);
        made
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The best batch size of each member.
    pub(super) fn max_batches(&self) -> impl Iterator<Item = usize> {
        self.slots
            .iter()
            .map(|slot| slot.member.backend.max_batch())
    }

    /// Under `Refuse`, a message must fit every member; under `Drop`, each member drops what it
    /// does not support.
    pub(super) fn set_policy(&mut self, policy: UnsupportedPolicy) {
        let backends = || self.slots.iter().map(|slot| slot.member.backend());
        let all = backends().map(EmailBackend::capabilities);
        let mut capabilities = match policy {
            UnsupportedPolicy::Refuse => Capabilities::common(all),
            UnsupportedPolicy::Drop => any(all),
        };
        let mut names = backends().map(EmailBackend::name);
        let first = names.next();
        let is_mixed = names.any(|name| Some(name) != first);
        if is_mixed {
            // Options of one ESP mean nothing, or the wrong thing, to another.
            let no_extra = [(Feature::EspExtra, Support::No)];
            capabilities = capabilities.iter().chain(no_extra).collect();
        }
        let has_extra = |it: &dyn EmailBackend| it.capabilities().support(Feature::EspExtra);
        let some_have_extra = backends().any(|it| has_extra(it) != Support::No);
        self.extra_differs = is_mixed && some_have_extra;
        self.policy = policy;
        self.capabilities = capabilities;
    }

    /// The members' objections to a message, beyond their capabilities.
    pub(super) fn check(&self, message: &Message) -> Vec<Objection> {
        let own_options = self.extra_differs.then(|| {
            let problem = "does not support `esp_extra`, because its backends have different \
                           options: give each backend its own `send_defaults.esp_extra`";
            Objection::explain(Feature::EspExtra, problem)
        });
        if self.policy == UnsupportedPolicy::Drop {
            return own_options.into_iter().collect();
        }
        let objections = self.slots.iter().flat_map(|slot| {
            let found = slot.member.backend.check(message);
            found.into_iter().map(|o| o.because_of(&slot.member.name))
        });
        objections.chain(own_options).collect()
    }

    /// Sends one message like [`send`](Self::send).
    pub(super) async fn send_one(
        &self,
        message: &PreparedMessage,
        first: usize,
    ) -> Result<SendStatus, SendError> {
        let one = std::slice::from_ref(message);
        let mut results = self.send(one, |_| first).await;
        results
            .pop()
            .unwrap_or_else(|| Err(self.nobody(Vec::new())))
    }

    /// Sends each message with the first member that accepts it. `first` returns the member to
    /// start with, by the message's index.
    pub(super) async fn send(
        &self,
        messages: &[PreparedMessage],
        first: impl Fn(usize) -> usize,
    ) -> Vec<Result<SendStatus, SendError>> {
        let mut journeys: Vec<_> = (0..messages.len())
            .map(|at| Journey {
                ahead: self.order(first(at)).into_iter(),
                errors: Vec::new(),
                end: None,
            })
            .collect();
        loop {
            // Messages that wait for the same member are sent together.
            let mut turns: Vec<Vec<usize>> = vec![Vec::new(); self.slots.len()];
            for (at, journey) in journeys.iter_mut().enumerate() {
                if journey.end.is_some() {
                    continue;
                }
                match journey
                    .ahead
                    .next()
                    .and_then(|member| turns.get_mut(member))
                {
                    Some(turn) => turn.push(at),
                    None => {
                        journey.end = Some(Err(self.nobody(std::mem::take(&mut journey.errors))))
                    }
                }
            }
            if turns.iter().all(Vec::is_empty) {
                break;
            }
            let asked = self.slots.iter().zip(&turns).enumerate();
            let asked = asked.map(|(member, (slot, turn))| async move {
                let wanted = turn.iter().filter_map(|at| messages.get(*at));
                let results = self.ask(&slot.member, wanted).await;
                (member, turn, results)
            });
            for (member, turn, results) in join_all(asked).await {
                for (at, result) in turn.iter().zip(results) {
                    if let Some(journey) = journeys.get_mut(*at) {
                        self.note(journey, member, result);
                    }
                }
            }
        }
        let ends = journeys.into_iter().filter_map(|journey| journey.end);
        ends.collect()
    }

    /// The members in order, starting with `first` and wrapping around. Resting members come last.
    fn order(&self, first: usize) -> Vec<usize> {
        let now = Instant::now();
        let n = self.slots.len();
        let mut order: Vec<usize> = (0..n).map(|i| first.wrapping_add(i) % n).collect();
        order.sort_by_key(|at| self.slots.get(*at).is_some_and(|slot| slot.rests(now)));
        order
    }

    /// Sends messages with one member in one call. Returns one result each, in order.
    async fn ask(
        &self,
        member: &Member,
        messages: impl Iterator<Item = &PreparedMessage>,
    ) -> Vec<Result<SendStatus, SendError>> {
        let backend = &*member.backend;
        let mut ready = Vec::new();
        let fitted: Vec<_> = messages
            .map(|message| {
                let fit = || message.fit(backend, &member.defaults, self.policy);
                guarded::prepare(backend.name(), fit)
            })
            .map(|fit| fit.map(|message| ready.push(message)))
            .collect();
        let results = match ready.as_slice() {
            [] => Vec::new(),
            [one] => vec![guarded::one(backend.name(), backend.send(one)).await],
            many => guarded::many(backend.name(), many.len(), backend.send_many(many)).await,
        };
        let mut results = results.into_iter().zip(&ready).map(|(result, message)| {
            let mut status = result?;
            status.dropped.extend_from_slice(message.dropped());
            status.member.get_or_insert_with(|| member.name.clone());
            Ok(status)
        });
        let lost = || Err(guarded::no_result(backend.name()));
        let weave = |fit: Result<(), _>| fit.and_then(|()| results.next().unwrap_or_else(lost));
        fitted.into_iter().map(weave).collect()
    }

    /// Records the result of a member, and decides whether to try the next one.
    fn note(&self, journey: &mut Journey, member: usize, result: Result<SendStatus, SendError>) {
        let Some(slot) = self.slots.get(member) else {
            return;
        };
        // Nobody received it and no recipient was refused, which is as good as an error.
        let result = match result {
            Ok(status) if nobody_got_it(&status) => Err(SendError::from_refusal(status)),
            result => result,
        };
        let failed = |error: &SendError| {
            let name = &slot.member.name;
            tracing::warn!(
                member = %name,
                kind = ?error.kind(),
                http_status = error.http_status(),
                accepted = ?error.accepted(),
                "a member did not accept the message"
            );
            if is_about_the_member(error.kind()) {
                let asked = error
                    .retry_after()
                    .unwrap_or_default()
                    .min(LONGEST_ASKED_REST);
                let wait = asked.max(self.rest);
                slot.rest(Instant::now(), wait);
            }
        };
        let result = match result {
            Err(error) => {
                failed(&error);
                if error.accepted() == Accepted::No && another_may_do_better(error.kind()) {
                    journey.errors.push((member, error));
                    return;
                }
                Err(error)
            }
            ok => ok,
        };
        let others = self.in_words(&journey.errors);
        journey.end = Some(match result {
            Ok(mut status) => {
                status.member_errors.splice(..0, others);
                Ok(status)
            }
            Err(error) => Err(error.with_member_errors(others)),
        });
    }

    /// The error if no member accepted a message: the last transient one, because it makes a later
    /// retry worthwhile, or else the last one.
    fn nobody(&self, mut errors: Vec<(usize, SendError)>) -> SendError {
        let passing = errors.iter().rposition(|(_, error)| error.is_transient());
        let Some(at) = passing.or(errors.len().checked_sub(1)) else {
            return SendError::new(SendErrorKind::Configuration, self.name, "it has no members");
        };
        let (_, error) = errors.remove(at);
        error.with_member_errors(self.in_words(&errors))
    }

    fn in_words(&self, errors: &[(usize, SendError)]) -> Vec<MemberError> {
        let words = |(member, error): &(usize, SendError)| {
            let slot = self.slots.get(*member)?;
            Some(MemberError::new(&slot.member.name, error))
        };
        errors.iter().filter_map(words).collect()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.slots.iter().map(|slot| &slot.member);
        f.debug_list().entries(members).finish()
    }
}

impl Slot {
    fn rests(&self, now: Instant) -> bool {
        let until = self.rests_until.lock();
        let until = *until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    fn rest(&self, now: Instant, wait: Duration) {
        let mut until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = now.checked_add(wait).max(*until);
    }
}

fn nobody_got_it(status: &SendStatus) -> bool {
    let refuses_recipients = status.recipients().any(|r| r.status.is_refused());
    !status.may_be_accepted() && !refuses_recipients
}

/// Whether the error is about the member itself and not about one message.
fn is_about_the_member(kind: SendErrorKind) -> bool {
    use SendErrorKind as K;
    match kind {
        K::Configuration
        | K::Authentication
        | K::RateLimited
        | K::ServerError
        | K::InvalidResponse
        | K::Connect
        | K::Timeout
        | K::Disconnected => true,
        K::InvalidMessage
        | K::UnsupportedFeature
        | K::Cancelled
        | K::Hook
        | K::RecipientsRefused
        | K::Refused => false,
    }
}

/// Whether another member may accept the message. An invalid message is invalid everywhere, and
/// recipients that one ESP refuses must not be reached through another.
fn another_may_do_better(kind: SendErrorKind) -> bool {
    use SendErrorKind as K;
    !matches!(
        kind,
        K::InvalidMessage | K::Cancelled | K::Hook | K::RecipientsRefused
    )
}

/// The capabilities that any of several backends has. A member without one is found out when it
/// sends.
fn any<'a>(all: impl Iterator<Item = &'a Capabilities>) -> Capabilities {
    let either = |a, b| match (a, b) {
        (Support::No, it) | (it, Support::No) => it,
        (Support::AtMost(a), Support::AtMost(b)) => Support::AtMost(a.max(b)),
        (a, b) if a == b => a,
        _ => Support::Yes,
    };
    all.fold(Capabilities::default(), |sum, next| {
        let features = sum
            .iter()
            .map(|(feature, s)| (feature, either(s, next.support(feature))));
        features.collect()
    })
}
