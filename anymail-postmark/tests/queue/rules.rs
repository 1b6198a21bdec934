//! What the queue's rules do with a few messages.

use std::sync::Mutex;
use std::sync::mpsc;

use anymail_core::Message;
use anymail_postmark::PostmarkOptions;
use anymail_test_utils::{FakePostmark, Fault, InactiveReason};
use lapin::BasicProperties;

use crate::rabbitmq::RabbitMq;
use crate::rig::{Cable, Rig};

fn message(to: &str) -> Message {
    let message = Message::builder().from("shop@example.com").to(to);
    message
        .subject("S")
        .text_body("Thank you.")
        .build()
        .unwrap()
}

fn once(id: &str) -> (String, usize) {
    (id.to_owned(), 1)
}

pub(crate) async fn published_twice(server: &RabbitMq) {
    let rig = Rig::start(server, "twice", &[]).await;
    let ann = message("ann@example.com");
    let bob = message("bob@example.com");
    // Sent immediately, and again to another worker. A queue is ordered, so a later message shows
    // that the duplicate was processed.
    rig.publish([("a", &ann), ("a", &ann), ("b", &bob)]);
    let first = rig.worker("others");
    rig.until("b", async || rig.fake.accepted() == 2).await;
    assert_eq!(first.stop(), "duplicate 1, sent 2");
    rig.publish([("a", &ann), ("c", &bob)]);
    let second = rig.worker("others");
    rig.until("c", async || rig.fake.accepted() == 3).await;
    assert_eq!(second.stop(), "duplicate 1, sent 1");

    let accepted: Vec<_> = rig.accepted().into_iter().collect();
    assert_eq!(accepted, ["a", "b", "c"].map(once));
    for queue in ["", ".maybe", ".refused"] {
        assert_eq!(rig.count(queue).await, 0, "{queue:?}");
    }
}

pub(crate) async fn waits(server: &RabbitMq) {
    let settings = [("MAIL_WAITS", "0.1,0.3"), ("MAIL_MAX_TRIES", "4")];
    let rig = Rig::start(server, "waits", &settings).await;
    let worker = rig.worker("others");
    // 503, a second wait, and then success: RabbitMQ does not treat it as a cycle.
    let maintenance = FakePostmark::api_error(503, 100, "Under maintenance.");
    rig.fake.server().inject(maintenance, 3);
    rig.publish([("a", &message("ann@example.com"))]);
    rig.until("the fourth try", async || rig.fake.accepted() == 1)
        .await;

    rig.fake.server().inject(Fault::rate_limited(None), 4);
    rig.publish([("b", &message("bob@example.com"))]);
    rig.until("the last try", async || rig.count(".refused").await == 1)
        .await;
    assert_eq!(worker.stop(), "later 6, refused 1, sent 1");
    assert_eq!(rig.fake.calls(), 8);
    let refused = rig.peek(".refused").await;
    assert_eq!(refused[0].id, "b");
    assert_eq!(refused[0].headers["tries"], "4");
    assert_eq!(
        refused[0].headers["reason"],
        "rate limited by postmark (HTTP 429): the body is empty"
    );

    // A refused message was certainly not sent, so it can be put back unchanged.
    rig.publish([("b", &message("bob@example.com"))]);
    let worker = rig.worker("others");
    rig.until("the message put back", async || rig.fake.accepted() == 2)
        .await;
    worker.stop();
}

pub(crate) async fn refused(server: &RabbitMq) {
    let rig = Rig::start(server, "refused", &[]).await;
    rig.fake
        .suppress("outbound", "gone@example.com", InactiveReason::HardBounce);
    rig.publish([
        ("gone", &message("gone@example.com")),
        ("good", &message("ann@example.com")),
    ]);
    let poison = BasicProperties::default().with_message_id("poison".into());
    rig.publish_raw(poison, b"{\"subjekt\": 1}").await;
    rig.publish_raw(BasicProperties::default(), b"{}").await;
    let worker = rig.worker("others");
    rig.until("the refusals", async || {
        rig.count(".refused").await == 3 && rig.fake.accepted() == 1
    })
    .await;
    assert_eq!(worker.stop(), "refused 3, sent 1");

    let mut refused = rig.peek(".refused").await;
    refused.sort_by(|a, b| a.id.cmp(&b.id));
    let reasons = refused
        .iter()
        .map(|it| (it.id.as_str(), it.headers["reason"].as_str()));
    let [(_, no_id), ("gone", gone), ("poison", poison)] = reasons.collect::<Vec<_>>()[..] else {
        panic!("{refused:?}");
    };
    assert_eq!(no_id, "expected a message-id of 1 to 80 bytes, got 0");
    assert!(
        gone.starts_with("postmark refused every recipient (code 406"),
        "{gone}"
    );
    assert!(
        poison.starts_with("the body is not a message's JSON: "),
        "{poison}"
    );
    assert_eq!(rig.accepted().into_keys().collect::<Vec<_>>(), ["good"]);
}

pub(crate) async fn in_doubt(server: &RabbitMq) {
    let rig = Rig::start(server, "doubt", &[]).await;
    let ann = message("ann@example.com");
    let mut elsewhere = message("bob@example.com");
    elsewhere.esp_extra = PostmarkOptions::new()
        .message_stream("broadcast")
        .to_esp_extra()
        .into();
    // One call loses its response, the other two lose their requests.
    let server = rig.fake.server();
    server.inject(Fault::AcceptThenReset, 1);
    server.inject(Fault::ResetAfterReading, 2);
    let worker = rig.worker("others");
    for (at, (id, message)) in [("there", &ann), ("lost", &ann), ("elsewhere", &elsewhere)]
        .into_iter()
        .enumerate()
    {
        rig.publish([(id, message)]);
        rig.until(id, async || rig.count(".maybe").await == at + 1)
            .await;
    }
    let reason = &rig.peek(".maybe").await[0].headers["reason"];
    assert!(
        reason.ends_with("the message may have been accepted"),
        "{reason}"
    );
    // Nobody sends them again, not even an app that publishes them once more.
    rig.publish([("there", &ann), ("lost", &ann), ("after", &ann)]);
    rig.until("what came after", async || rig.fake.accepted() == 2)
        .await;

    // Postmark's search finds accepted messages. A message that it does not find yet is left for a
    // while, and one that cannot be looked up is left forever.
    assert_eq!(rig.review(&[]), "sent 1, again 0, kept 2");
    assert_eq!(
        rig.review(&["--send-again", "3600"]),
        "sent 0, again 0, kept 2"
    );
    assert_eq!(
        rig.review(&["--send-again", "0"]),
        "sent 0, again 1, kept 1"
    );
    rig.until("the lost one", async || rig.fake.accepted() == 3)
        .await;
    assert_eq!(worker.stop(), "duplicate 2, maybe 3, sent 2");

    // For messages that RabbitMQ itself dead-letters because they waited too long, the time starts
    // at the first review.
    let expired = BasicProperties::default()
        .with_message_id("expired".into())
        .with_expiration("1".into());
    let carl = serde_json::to_vec(&message("carl@example.com")).unwrap();
    rig.publish_raw(expired, &carl).await;
    rig.until("the expired one", async || rig.count(".maybe").await == 2)
        .await;
    let again = ["--send-again", "0"];
    assert_eq!(rig.review(&again), "sent 0, again 0, kept 2");
    assert_eq!(rig.review(&again), "sent 0, again 1, kept 1");
    let worker = rig.worker("others");
    rig.until("the expired one again", async || rig.fake.accepted() == 4)
        .await;
    worker.stop();
    let accepted: Vec<_> = rig.accepted().into_iter().collect();
    assert_eq!(accepted, ["after", "expired", "lost", "there"].map(once));
    assert_eq!(rig.peek(".maybe").await[0].id, "elsewhere");
}

/// Holds all calls to Postmark before it looks at them, until the returned sender is dropped. The
/// receiver is notified of each call.
fn hold_calls(rig: &Rig) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (came, calls) = mpsc::channel();
    let (go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    rig.fake.server().inject_rule(move |_, _| {
        let _ = came.send(());
        let _ = held.lock().unwrap().recv();
        None
    });
    (calls, go)
}

pub(crate) async fn cut_off(server: &RabbitMq) {
    let mut rig = Rig::start(server, "cut", &[]).await;
    rig.publish([("a", &message("ann@example.com"))]);
    let direct = rig.amqp_url.clone();
    let cable = Cable::to(&direct).await;
    rig.amqp_url = cable.url.clone();
    let (first_call, go) = hold_calls(&rig);
    let worker = rig.worker("others");
    first_call.recv().unwrap();
    cable.cut();
    drop(go);
    let why = worker.fail();
    assert!(why.starts_with("queue: "), "{why}");
    assert_eq!(rig.fake.accepted(), 1);

    // The worker could not report it any more: the next worker cannot know the result, but Postmark
    // does.
    rig.amqp_url = direct;
    let worker = rig.worker("others");
    rig.until("the doubt", async || rig.count(".maybe").await == 1)
        .await;
    assert_eq!(worker.stop(), "maybe 1");
    assert_eq!(rig.review(&[]), "sent 1, again 0, kept 0");
    assert_eq!(rig.fake.accepted(), 1);
}

pub(crate) async fn stopped(server: &RabbitMq) {
    let rig = Rig::start(server, "stopped", &[("MAIL_CALLS", "1")]).await;
    let ids: Vec<_> = (0..900).map(|number| number.to_string()).collect();
    let ann = message("ann@example.com");
    rig.publish(ids.iter().map(|id| (id.as_str(), &ann)));

    let (first_call, go) = hold_calls(&rig);
    let mut worker = rig.worker("others");
    first_call.recv().unwrap();
    worker.terminate();
    drop(go);
    let said = worker.finish();
    let sent = rig.fake.accepted();
    assert!((1..=500).contains(&sent), "one call's, not {sent}");
    assert_eq!(said, format!("sent {sent}"));

    // Messages that it had only taken come back without doubt. Some sent messages come back with
    // them, because acknowledgements are not confirmed, and the last ones are lost when a
    // connection ends.
    let rest = 900 - sent;
    rig.until("the rest on the queue", async || {
        rig.count("").await >= rest
    })
    .await;
    let worker = rig.worker("others");
    rig.until("the rest", async || rig.fake.accepted() == 900)
        .await;
    let said = worker.stop();
    assert!(said.ends_with(&format!("sent {rest}")), "{said}");
    assert!(!said.contains("maybe"), "{said}");
    assert!(rig.accepted().into_values().all(|times| times == 1));
}
