//! 10,000 messages, and a worker that is killed while sending them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anymail_core::Message;
use anymail_test_utils::{FakePostmark, Fault, InactiveReason};
use http::request::Parts;

use crate::rabbitmq::RabbitMq;
use crate::rig::Rig;

const MESSAGES: usize = 10_000;
/// The interval of messages to a mailbox that no longer exists.
const GONE_EVERY: usize = 500;
/// The maximum number of messages in one of Postmark's calls.
const BATCH: usize = 500;

/// The calls, by the worker whose token they contain.
#[derive(Default)]
struct Calls {
    victims: AtomicUsize,
    others: AtomicUsize,
}

impl Calls {
    /// The victim's first call succeeds, the response to the next one never arrives, and all
    /// further ones are not even read completely. The other workers get a mixture of faults.
    fn fault(&self, head: &Parts) -> Option<Fault> {
        if !head.uri.path().starts_with("/email") {
            return None;
        }
        if head.headers["x-postmark-server-token"] == "victim" {
            return match self.victims.fetch_add(1, Ordering::SeqCst) {
                0 => None,
                1 => Some(Fault::AcceptThenHang),
                _ => Some(Fault::Hang),
            };
        }
        match self.others.fetch_add(1, Ordering::SeqCst) {
            2 => Some(Fault::rate_limited(None)),
            5 => Some(FakePostmark::api_error(503, 100, "Under maintenance.")),
            8 => Some(Fault::AcceptThenReset),
            _ => None,
        }
    }
}

pub(crate) async fn in_the_middle(server: &RabbitMq) {
    let settings = [("MAIL_CALLS", "2"), ("MAIL_WAITS", "0.5,1")];
    let rig = Rig::start(server, "killed", &settings).await;
    let calls = Arc::new(Calls::default());
    let rule = Arc::clone(&calls);
    rig.fake
        .server()
        .inject_rule(move |_, head| rule.fault(head));
    rig.fake
        .suppress("outbound", "gone@example.com", InactiveReason::HardBounce);

    let messages = messages();
    rig.publish(messages.iter().map(|(id, message)| (id.as_str(), message)));
    // An app that missed RabbitMQ's confirmations would publish again.
    let first = messages.iter().take(BATCH);
    rig.publish(first.map(|(id, message)| (id.as_str(), message)));

    // When the victim dies, it has two calls in progress, one of which was accepted, and another
    // thousand messages taken from the queue.
    let victim = rig.worker("victim");
    let fake = &rig.fake;
    rig.until("the victim's calls", async || {
        calls.victims.load(Ordering::SeqCst) == 3 && fake.counts().handled == 2
    })
    .await;
    let mut workers = vec![rig.worker("others"), rig.worker("others")];
    rig.until("half of the mail", async || fake.accepted() >= MESSAGES / 2)
        .await;
    victim.kill();
    workers.push(rig.worker("others"));
    settled(&rig, &messages).await;

    let refused = ids(&rig, ".refused").await;
    let maybe = ids(&rig, ".maybe").await;
    let accepted = rig.accepted();
    for (id, message) in &messages {
        let times = accepted.get(id).copied().unwrap_or(0);
        assert!(times <= 1, "{id} was sent {times} times");
        let (maybe, refused) = (maybe.contains(id), refused.contains(id));
        assert!(times == 1 || maybe || refused, "{id} is lost");
        assert!(!(times == 1 && refused), "{id} was sent, and refused");
        assert!(!refused || is_gone(message), "{id} was refused");
    }
    // In doubt are the victim's two calls and one call whose response was lost, but not the
    // messages that the victim had only taken.
    assert!(maybe.len() <= 3 * BATCH, "{} are in doubt", maybe.len());
    let (there, not_there): (Vec<_>, Vec<_>) =
        maybe.iter().partition(|id| accepted.contains_key(*id));
    assert!(
        !there.is_empty() && !not_there.is_empty(),
        "nothing was in doubt"
    );
    let all = calls.others.load(Ordering::SeqCst) + calls.victims.load(Ordering::SeqCst);
    assert!(all <= 4 * MESSAGES / BATCH, "{all} calls");

    // Asking Postmark resolves the doubt.
    let said = rig.review(&["--send-again", "0"]);
    let (there, not_there) = (there.len(), not_there.len());
    assert_eq!(said, format!("sent {there}, again {not_there}, kept 0"));
    let wanted = messages.iter().filter(|(_, message)| !is_gone(message));
    let wanted: BTreeMap<_, _> = wanted.map(|(id, _)| (id.clone(), 1)).collect();
    rig.until("what was sent again", async || {
        fake.accepted() >= wanted.len() && rig.count("").await == 0
    })
    .await;
    for worker in workers {
        worker.stop();
    }
    assert_eq!(rig.accepted(), wanted, "each was sent once in the end");
    for queue in [".maybe", ".wait.500ms", ".wait.1000ms"] {
        assert_eq!(rig.count(queue).await, 0, "left on the queue {queue:?}");
    }
}

/// Waits until every message has a result.
async fn settled(rig: &Rig, messages: &BTreeMap<String, Message>) {
    rig.until("all messages", async || {
        let on_queues = rig.count("").await + rig.count(".wait.500ms").await;
        let set_aside = rig.count(".maybe").await + rig.count(".refused").await;
        on_queues == 0 && rig.fake.accepted() + set_aside >= messages.len() && {
            let mut known: BTreeSet<_> = rig.accepted().into_keys().collect();
            known.append(&mut ids(rig, ".maybe").await);
            known.append(&mut ids(rig, ".refused").await);
            known.len() == messages.len()
        }
    })
    .await;
}

async fn ids(rig: &Rig, queue: &str) -> BTreeSet<String> {
    let found = rig.peek(queue).await;
    found.into_iter().map(|found| found.id).collect()
}

fn messages() -> BTreeMap<String, Message> {
    let message = |number: usize| {
        let to = match number % GONE_EVERY {
            0 => "gone@example.com".to_owned(),
            _ => format!("{number}@example.com"),
        };
        let message = Message::builder()
            .from("shop@example.com")
            .to(to)
            .subject("Your receipt")
            .text_body("Thank you.");
        (format!("receipt-{number}"), message.build().unwrap())
    };
    (0..MESSAGES).map(message).collect()
}

fn is_gone(message: &Message) -> bool {
    message
        .recipients()
        .any(|to| to.email() == "gone@example.com")
}
