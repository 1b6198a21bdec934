//! How the events of any ESP change a store, in whatever order they arrive.

use anymail_core::{
    Event, EventActor, EventType, MemorySuppressionStore, RawBytes, RejectReason, Suppression,
    SuppressionFeed, SuppressionReason, SuppressionStore, TrackingEvent,
};
use futures_util::TryStreamExt;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use EventType::{Bounced, Complained, Rejected, Subscribed, Unsubscribed};
use SuppressionReason::{HardBounce, Manual, SpamComplaint, Unsubscribe};

const START: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn event(event_type: EventType, minute: i64) -> TrackingEvent {
    let key = format!("{event_type} at {minute}");
    let mut event = TrackingEvent::new("postbox", event_type, key, RawBytes::new("{}"));
    event.recipient = Some("Ann@Example.com".into());
    event.timestamp = Some(START + Duration::minutes(minute));
    event
}

fn of_stream(stream: &str, mut event: TrackingEvent) -> TrackingEvent {
    event.stream = Some(stream.into());
    event
}

async fn fed(events: &[TrackingEvent]) -> Vec<Suppression> {
    let store = MemorySuppressionStore::new();
    let feed = SuppressionFeed::new(store.clone());
    for event in events {
        feed.handle(&Event::Tracking(event.clone())).await.unwrap();
    }
    all(&store).await
}

async fn all(store: &dyn SuppressionStore) -> Vec<Suppression> {
    let mut all: Vec<_> = store.list().try_collect().await.unwrap();
    all.sort_by_key(|one: &Suppression| (one.reason, one.scope.clone()));
    all
}

fn kinds(found: &[Suppression]) -> Vec<(Option<&str>, SuppressionReason)> {
    found
        .iter()
        .map(|one| (one.scope.as_deref(), one.reason))
        .collect()
}

#[tokio::test]
async fn only_events_about_an_address_suppress_it_with_their_reason() {
    use RejectReason as R;
    let of = |event_type, reason, hard| {
        let mut event = of_stream("news", event(event_type, 0));
        (event.reject_reason, event.hard) = (reason, hard);
        event
    };
    let by = |actor| {
        let mut event = of(Unsubscribed, Some(R::Unsubscribed), None);
        event.actor = Some(actor);
        event
    };
    for (event, expected) in [
        (of(Bounced, Some(R::Bounced), Some(true)), Some(HardBounce)),
        (of(Bounced, Some(R::Bounced), None), Some(HardBounce)),
        (of(Bounced, None, None), Some(HardBounce)),
        (of(Bounced, Some(R::Bounced), Some(false)), None),
        (of(Bounced, Some(R::Blocked), None), None),
        (of(Bounced, Some(R::Spam), None), None),
        (of(Bounced, Some(R::TimedOut), None), None),
        (of(Bounced, Some(R::Other), None), None),
        (of(Rejected, Some(R::Bounced), None), Some(HardBounce)),
        (of(Rejected, Some(R::Invalid), None), Some(HardBounce)),
        (of(Rejected, Some(R::Unsubscribed), None), Some(Unsubscribe)),
        (of(Rejected, Some(R::Spam), None), None),
        (of(Rejected, None, None), None),
        (of(Complained, Some(R::Spam), None), Some(SpamComplaint)),
        (of(Unsubscribed, None, None), Some(Unsubscribe)),
        (by(EventActor::Recipient), Some(Unsubscribe)),
        (by(EventActor::Operator), Some(Manual)),
        (of(EventType::Deferred, None, None), None),
        (of(EventType::Delivered, None, None), None),
        (of(EventType::Autoresponded, None, None), None),
        (of(EventType::Failed, None, None), None),
        (of(EventType::Unknown, None, None), None),
    ] {
        let found = fed(std::slice::from_ref(&event)).await;
        let scope = |reason| (reason >= Unsubscribe).then_some("news");
        let expected: Vec<_> = expected.map(|it| (scope(it), it)).into_iter().collect();
        assert_eq!(kinds(&found), expected, "{event:?}");
        if let [one] = found.as_slice() {
            assert_eq!(one.address.as_str(), "ann@example.com");
            assert_eq!(one.since, START);
            assert_eq!(one.origin.source, "postbox");
            assert_eq!(one.origin.event.as_deref(), Some(&*event.dedup_key));
        }
    }
}

#[tokio::test]
async fn only_the_times_of_events_count_whatever_their_order_and_repetition() {
    let bounced = event(Bounced, 0);
    let reactivated = event(Subscribed, 10);
    let again = event(Bounced, 20);
    for (events, expected) in [
        (vec![&bounced, &reactivated], vec![]),
        (vec![&reactivated, &bounced], vec![]),
        (vec![&reactivated, &bounced, &bounced], vec![]),
        (vec![&bounced, &reactivated, &bounced], vec![]),
        (vec![&again, &reactivated, &bounced], vec![20]),
        (vec![&reactivated, &again, &bounced, &reactivated], vec![20]),
    ] {
        let events: Vec<_> = events.into_iter().cloned().collect();
        let found = fed(&events).await;
        let minutes: Vec<_> = found
            .iter()
            .map(|one| (one.since - START).whole_minutes())
            .collect();
        assert_eq!(minutes, expected, "{events:?}");
    }
}

#[tokio::test]
async fn resubscribing_to_one_list_does_not_resubscribe_to_others() {
    let events = [
        event(Bounced, 0),
        event(Complained, 0),
        event(Unsubscribed, 0),
        of_stream("news", event(Unsubscribed, 0)),
        of_stream("offers", event(Unsubscribed, 0)),
        of_stream("news", event(Subscribed, 5)),
    ];
    let found = fed(&events).await;
    let expected = [(None, Unsubscribe), (Some("offers"), Unsubscribe)];
    assert_eq!(kinds(&found), expected);
    let found = fed(&[&events[..], &[event(Subscribed, 5)]].concat()).await;
    assert_eq!(kinds(&found), [(Some("offers"), Unsubscribe)]);
}

#[tokio::test]
async fn a_stream_can_have_another_scope_or_none() {
    let store = MemorySuppressionStore::new();
    let feed = SuppressionFeed::new(store.clone())
        .scope_of_stream("broadcast", Some("news"))
        .scope_of_stream("main", None);
    for stream in ["broadcast", "main", "other"] {
        let event = of_stream(stream, event(Unsubscribed, 0));
        feed.handle(&Event::Tracking(event)).await.unwrap();
    }
    let found = all(&store).await;
    let expected = [
        (None, Unsubscribe),
        (Some("news"), Unsubscribe),
        (Some("other"), Unsubscribe),
    ];
    assert_eq!(kinds(&found), expected);
}

#[tokio::test]
async fn an_event_from_the_future_or_without_a_time_counts_as_now() {
    let mut late = event(Bounced, 0);
    late.timestamp = Some(OffsetDateTime::now_utc() + Duration::days(1000));
    let mut timeless = event(Complained, 0);
    timeless.timestamp = None;
    let found = fed(&[late, timeless]).await;
    assert_eq!(found.len(), 2);
    for one in found {
        let age = OffsetDateTime::now_utc() - one.since;
        assert!(!age.is_negative() && age < Duration::minutes(5), "{age}");
    }
}

#[tokio::test]
async fn an_event_without_a_valid_recipient_changes_nothing_and_is_not_an_error() {
    let mut nobody = event(Bounced, 0);
    nobody.recipient = None;
    let mut odd = event(Bounced, 0);
    odd.recipient = Some("undisclosed".into());
    assert_eq!(fed(&[nobody, odd]).await, []);
}
