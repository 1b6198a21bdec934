use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::sync::Notify;

use super::*;
use crate::receiving::{
    EventType, RawBytes, TrackingEvent, Webhook, WebhookAuth, WebhookError, WebhookKind,
    answer_webhook, handled_once,
};

/// Reads each byte of the body as one event of that name.
#[derive(Debug)]
struct Letters(WebhookAuth);

impl Webhook for Letters {
    fn esp(&self) -> &str {
        "letters"
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Tracking
    }

    fn auth(&self) -> &WebhookAuth {
        &self.0
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let event = |letter: &u8| {
            let (key, raw) = (char::from(*letter).to_string(), RawBytes::new(""));
            Event::Tracking(TrackingEvent::new("letters", EventType::Sent, key, raw))
        };
        Ok(request.body().iter().map(event).collect())
    }
}

fn letters(guard: impl ReplayGuard + 'static) -> Arc<dyn Webhook> {
    let webhook: Arc<dyn Webhook> = Arc::new(Letters(WebhookAuth::none()));
    handled_once([webhook], Arc::new(guard)).remove(0)
}

fn keeping(events: usize) -> MemoryReplayGuard {
    MemoryReplayGuard::new(NonZeroUsize::new(events).unwrap())
}

fn post(body: &'static str) -> Request<Bytes> {
    Request::post("/").body(Bytes::from(body)).unwrap()
}

/// Returns the status of the response, and the events that were handled, in order. The handler
/// fails for the event `fails`.
async fn deliver(webhook: &Arc<dyn Webhook>, body: &'static str, fails: &str) -> (u16, String) {
    let mut handled = String::new();
    let handler = |event: Event| {
        handled.push_str(event.dedup_key());
        std::future::ready(match event.dedup_key() == fails {
            true => Err("no"),
            false => Ok(()),
        })
    };
    let answer = answer_webhook(webhook, &post(body), handler).await;
    (answer.status().as_u16(), handled)
}

#[tokio::test]
async fn a_handled_event_is_acknowledged_and_not_handled_again() {
    let webhook = letters(MemoryReplayGuard::default());
    assert_eq!(deliver(&webhook, "ab", "").await, (200, "ab".into()));
    assert_eq!(deliver(&webhook, "ab", "").await, (200, String::new()));
    assert_eq!(deliver(&webhook, "abac", "").await, (200, "c".into()));
    assert_eq!(deliver(&webhook, "dd", "").await, (200, "d".into()));
}

#[tokio::test]
async fn without_a_guard_an_event_is_handled_each_time() {
    let webhook: Arc<dyn Webhook> = Arc::new(Letters(WebhookAuth::none()));
    for _ in 0..2 {
        assert_eq!(deliver(&webhook, "aa", "").await, (200, "aa".into()));
    }
}

#[tokio::test]
async fn only_events_from_the_failed_one_on_are_handled_again() {
    let webhook = letters(MemoryReplayGuard::default());
    assert_eq!(deliver(&webhook, "abc", "b").await, (500, "ab".into()));
    assert_eq!(deliver(&webhook, "abc", "b").await, (500, "b".into()));
    assert_eq!(deliver(&webhook, "abc", "").await, (200, "bc".into()));
    assert_eq!(deliver(&webhook, "abc", "").await, (200, String::new()));
}

#[tokio::test]
async fn an_event_whose_handler_panicked_is_handled_again() {
    let webhook = letters(MemoryReplayGuard::default());
    let handler = async |_| -> Result<(), Infallible> { panic!("as planned") };
    let answer = answer_webhook(&webhook, &post("a"), handler).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(deliver(&webhook, "a", "").await, (200, "a".into()));
}

/// A delivery whose handler has started, and continues on request.
async fn begun(
    webhook: &Arc<dyn Webhook>,
    body: &'static str,
) -> (tokio::task::JoinHandle<Response<Bytes>>, Arc<Notify>) {
    let (webhook, begun, go_on) = (
        Arc::clone(webhook),
        Arc::<Notify>::default(),
        Arc::default(),
    );
    let (has_begun, may_go_on) = (Arc::clone(&begun), Arc::<Notify>::clone(&go_on));
    let delivery = tokio::spawn(async move {
        let handler = async |_| {
            has_begun.notify_one();
            may_go_on.notified().await;
            Ok::<(), Infallible>(())
        };
        answer_webhook(&webhook, &post(body), handler).await
    });
    begun.notified().await;
    (delivery, go_on)
}

#[tokio::test]
async fn an_event_whose_delivery_was_dropped_is_handled_again() {
    let webhook = letters(MemoryReplayGuard::default());
    let (delivery, _) = begun(&webhook, "a").await;
    delivery.abort();
    assert!(delivery.await.unwrap_err().is_cancelled());
    assert_eq!(deliver(&webhook, "a", "").await, (200, "a".into()));
}

#[tokio::test]
async fn a_concurrent_delivery_is_rejected_until_the_first_has_succeeded() {
    let webhook = letters(MemoryReplayGuard::default());
    let (first, go_on) = begun(&webhook, "a").await;
    assert_eq!(deliver(&webhook, "a", "").await, (503, String::new()));
    let taken = async |_| Ok::<(), Infallible>(());
    let second = answer_webhook(&webhook, &post("a"), taken).await;
    assert_eq!(second.headers().get("Retry-After").unwrap(), "10");
    assert_eq!(deliver(&webhook, "b", "").await, (200, "b".into()));
    go_on.notify_one();
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(deliver(&webhook, "a", "").await, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_deliveries_is_handled() {
    let webhook = letters(MemoryReplayGuard::default());
    let handled = Arc::new(AtomicUsize::new(0));
    let mut deliveries = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (webhook, handled) = (Arc::clone(&webhook), Arc::clone(&handled));
        deliveries.spawn(async move {
            let handler = async |_| {
                handled.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<(), Infallible>(())
            };
            answer_webhook(&webhook, &post("a"), handler).await.status()
        });
    }
    let statuses = deliveries.join_all().await;
    assert_eq!(handled.load(Ordering::SeqCst), 1);
    assert!(
        statuses
            .iter()
            .all(|status| matches!(status.as_u16(), 200 | 503))
    );
    assert!(statuses.contains(&StatusCode::OK));
}

#[tokio::test]
async fn the_oldest_events_are_forgotten_but_claims_are_not() {
    let guard = keeping(2);
    assert_eq!(
        guard.claim("esp", "held").await.unwrap(),
        EventClaim::Granted
    );
    for key in ["a", "b", "b", "c"] {
        guard.confirm("esp", key).await.unwrap();
    }
    for (esp, key, expected) in [
        ("esp", "b", EventClaim::Handled),
        ("esp", "c", EventClaim::Handled),
        ("esp", "a", EventClaim::Granted),
        ("esp", "held", EventClaim::InProgress),
        ("another", "c", EventClaim::Granted),
        ("es", "pc", EventClaim::Granted),
    ] {
        assert_eq!(
            guard.claim(esp, key).await.unwrap(),
            expected,
            "{esp} {key}"
        );
    }
    assert_eq!(guard.seen().order.len(), 2);
    assert_eq!(guard.seen().handled.len(), 2);
}

/// A guard that succeeds or fails to claim and to confirm.
struct Database {
    claims: bool,
    confirms: bool,
    released: Arc<AtomicUsize>,
}

#[async_trait]
impl ReplayGuard for Database {
    async fn claim(&self, _: &str, _: &str) -> Result<EventClaim, ReplayGuardError> {
        match self.claims {
            true => Ok(EventClaim::Granted),
            false => Err("the database is away".into()),
        }
    }

    async fn confirm(&self, _: &str, _: &str) -> Result<(), ReplayGuardError> {
        match self.confirms {
            true => Ok(()),
            false => Err("the database is away".into()),
        }
    }

    fn release(&self, _: &str, _: &str) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn unclaimed_events_are_posted_again_and_handled_ones_are_not() {
    for (claims, confirms, expected) in [
        (true, true, (200, "a")),
        (true, false, (200, "a")),
        (false, true, (500, "")),
    ] {
        let released = Arc::<AtomicUsize>::default();
        let webhook = letters(Database {
            claims,
            confirms,
            released: Arc::clone(&released),
        });
        let (status, handled) = deliver(&webhook, "a", "").await;
        assert_eq!((status, &*handled), expected);
        assert_eq!(released.load(Ordering::SeqCst), 0);
    }
}
