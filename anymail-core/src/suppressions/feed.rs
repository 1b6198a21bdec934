//! [`SuppressionFeed`]: records in a store what ESPs report.
//!
//! Each backend interprets its ESP's payloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::store::{SuppressionStore, SuppressionStoreError};
use super::suppression::{Reactivation, Suppression, SuppressionOrigin, SuppressionReason};
use crate::message::{Address, AddressKey};
use crate::receiving::{Event, EventActor, EventType, RejectReason, TrackingEvent};

/// Records bounces, complaints, unsubscribes and reactivations of any ESP in a store.
///
/// | event | what is recorded | scope |
/// | --- | --- | --- |
/// | [`Bounced`](EventType::Bounced), hard or unspecified, unless the reject reason is about something other than the address | hard bounce | none |
/// | [`Rejected`](EventType::Rejected) with the reason `bounced` or `invalid`, unless soft | hard bounce | none |
/// | [`Complained`](EventType::Complained) | spam complaint | none |
/// | [`Unsubscribed`](EventType::Unsubscribed), and [`Rejected`](EventType::Rejected) with that reason | unsubscribe, or manual if caused by an operator | the stream's |
/// | [`Subscribed`](EventType::Subscribed) | ends all suppressions in the scope, and hard bounces and complaints without a scope | the stream's |
///
/// All other events change nothing. The scope of a [stream](TrackingEvent::stream) is its name,
/// unless [`scope_of_stream`](Self::scope_of_stream) is set. Events of an ESP's default stream, and
/// of ESPs without streams, have no scope.
///
/// The time of the event decides (see [`SuppressionStore`]): a late event does not undo a newer
/// one, and a duplicate event changes nothing. An event without a time, or with one in the future,
/// gets the current time.
///
/// ```
/// use std::sync::Arc;
/// use anymail_core::{Event, SuppressionFeed, Webhook, webhook_routes};
///
/// fn app(webhooks: Vec<Arc<dyn Webhook>>, feed: SuppressionFeed) -> axum::Router {
///     webhook_routes(webhooks, move |event: Event| {
///         let feed = feed.clone();
///         // If the store fails, the ESP posts the event again.
///         async move { feed.handle(&event).await }
///     })
/// }
/// ```
#[derive(Debug, Clone)]
pub struct SuppressionFeed {
    store: Arc<dyn SuppressionStore>,
    scopes: BTreeMap<String, Option<String>>,
}

/// What an event changes.
enum Change {
    Suppress(SuppressionReason),
    Reactivate,
}

impl SuppressionFeed {
    /// Creates a feed that records events in this store.
    pub fn new(store: impl SuppressionStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            scopes: BTreeMap::new(),
        }
    }

    /// Sets the scope of an ESP's stream, or `None` if its unsubscribes apply to all messages.
    #[must_use]
    pub fn scope_of_stream(mut self, stream: impl Into<String>, scope: Option<&str>) -> Self {
        self.scopes.insert(stream.into(), scope.map(str::to_owned));
        self
    }

    /// Records an event if it changes a suppression. It is safe to call this again.
    ///
    /// # Errors
    /// The error of the store. Let the ESP post the event again.
    pub async fn handle(&self, event: &Event) -> Result<(), SuppressionStoreError> {
        let Event::Tracking(event) = event else {
            return Ok(());
        };
        let Some(change) = change_by(event) else {
            return Ok(());
        };
        let address = event.recipient.as_deref().map(str::parse::<Address>);
        let Some(Ok(address)) = address else {
            tracing::warn!(
                esp = event.esp, event = %event.event_type, key = event.dedup_key,
                "ignored an event that suppresses or reactivates, because it has no valid recipient"
            );
            return Ok(());
        };
        let now = OffsetDateTime::now_utc();
        let at = event.timestamp.map_or(now, |at| at.min(now));
        match change {
            Change::Suppress(reason) => {
                let origin = SuppressionOrigin::new(&*event.esp).with_event(&*event.dedup_key);
                let mut suppression = Suppression::new(&address, reason, at).with_origin(origin);
                suppression.scope = match reason {
                    SuppressionReason::HardBounce | SuppressionReason::SpamComplaint => None,
                    SuppressionReason::Unsubscribe | SuppressionReason::Manual => self.scope(event),
                };
                self.store.add(&[suppression]).await
            }
            Change::Reactivate => {
                let ended = self.reactivations(address.key(), self.scope(event), at);
                self.store.remove(&ended).await
            }
        }
    }

    fn scope(&self, event: &TrackingEvent) -> Option<String> {
        let stream = event.stream.as_ref()?;
        match self.scopes.get(stream) {
            Some(scope) => scope.clone(),
            None => Some(stream.clone()),
        }
    }

    fn reactivations(
        &self,
        address: AddressKey,
        scope: Option<String>,
        at: OffsetDateTime,
    ) -> Vec<Reactivation> {
        let everywhere = Reactivation::of_key(address, at);
        let Some(scope) = scope else {
            return vec![everywhere];
        };
        let in_scope = everywhere.clone().in_scope(scope);
        // These are about the address, so they have no scope. Whoever unsubscribed from everything
        // does not come back by subscribing to one list.
        let about_the_address = [
            SuppressionReason::HardBounce,
            SuppressionReason::SpamComplaint,
        ];
        vec![in_scope, everywhere.only(about_the_address)]
    }
}

fn change_by(event: &TrackingEvent) -> Option<Change> {
    use RejectReason as R;
    let (hard, reason) = (event.hard, event.reject_reason);
    let suppress = match event.event_type {
        EventType::Bounced | EventType::Rejected if hard == Some(false) => return None,
        EventType::Bounced | EventType::Rejected if hard == Some(true) => {
            SuppressionReason::HardBounce
        }
        EventType::Bounced if matches!(reason, None | Some(R::Bounced | R::Invalid)) => {
            SuppressionReason::HardBounce
        }
        EventType::Rejected => match reason {
            Some(R::Bounced | R::Invalid) => SuppressionReason::HardBounce,
            Some(R::Unsubscribed) => unsubscribe(event),
            _ => return None,
        },
        EventType::Complained => SuppressionReason::SpamComplaint,
        EventType::Unsubscribed => unsubscribe(event),
        EventType::Subscribed => return Some(Change::Reactivate),
        _ => return None,
    };
    Some(Change::Suppress(suppress))
}

fn unsubscribe(event: &TrackingEvent) -> SuppressionReason {
    match event.actor {
        Some(EventActor::Operator) => SuppressionReason::Manual,
        Some(EventActor::Recipient) | None => SuppressionReason::Unsubscribe,
    }
}
