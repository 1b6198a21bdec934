//! The accounting run: many messages over a network that keeps failing. In the end, every message is
//! accounted for. The fake Postmark's own count is the reference.
//!
//! `ANYMAIL_ACCOUNTING_MESSAGES` sets the number of messages instead of 100,000.
//! `ANYMAIL_ACCOUNTING_SEED` repeats the faults of an earlier run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anymail_core::{Accepted, Mailer, Message, RetryPolicy, SendError, SendStatus};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, Fault, InactiveReason};
use futures_util::{Stream, StreamExt, stream};

/// A suppressed address: Postmark reports that it bounced before.
const SUPPRESSED: &str = "gone@example.com";

/// Reproducible random numbers (SplitMix64).
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What an app's ledger records about a message.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    /// Not sent yet, or certainly not accepted: to be sent (again).
    Open,
    Sent,
    /// May have been accepted, with this ID of ours.
    Maybe(String),
    Failed,
}

/// Responses that a proxy between app and Postmark sends: before it forwards a request, and
/// afterwards, instead of Postmark's response.
fn lying_proxy() -> Vec<Fault> {
    let mut faults = vec![Fault::CutShort { bytes: 0 }, Fault::CutShort { bytes: 60 }];
    for status in [403, 502, 503, 504] {
        faults.push(Fault::html_page(status));
        faults.push(Fault::status(status));
        for body in ["<html><h1>Service unavailable</h1></html>", ""] {
            let page = http::Response::builder().status(status);
            let page = page.header("content-type", "text/html");
            faults.push(Fault::Replace(page.body(body.into()).unwrap()));
        }
    }
    faults
}

/// A fake Postmark of whose calls every third fails, and what is needed to wait for its calls.
struct BrokenPostmark {
    postmark: FakePostmark,
    /// The number of calls that must reach the handler.
    due: Arc<AtomicU64>,
}

impl BrokenPostmark {
    async fn start(seed: u64) -> Self {
        let postmark = FakePostmark::start().unwrap();
        postmark.suppress("outbound", SUPPRESSED, InactiveReason::HardBounce);
        postmark.server().set_recording(false);
        let due = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&due);
        let mut faults = Fault::one_of_each();
        // Retryable faults are more frequent, so that the app has something to do.
        faults.extend(vec![Fault::rate_limited(None); 4]);
        let maintenance = FakePostmark::api_error(503, 100, "Under maintenance.");
        faults.extend(vec![maintenance; 4]);
        faults.extend(lying_proxy());
        let rule = move |call, _: &_| {
            let mut dice = Dice(seed ^ call);
            let fault = match dice.roll(3) {
                0 => Some(faults[dice.roll(faults.len() as u64) as usize].clone()),
                _ => None,
            };
            // Faults that make the client wait for its timeout are rarer.
            let fault = fault.filter(|fault| {
                let slow = matches!(
                    fault,
                    Fault::Hang | Fault::AcceptThenHang | Fault::Drip { .. }
                );
                !slow || dice.roll(8) == 0
            });
            if fault.as_ref().is_none_or(Fault::handled) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            fault
        };
        postmark.server().inject_rule(rule);
        Self { postmark, due }
    }

    fn backend(&self) -> PostmarkBackend {
        let config = PostmarkConfig::new("server-token")
            .api_url(self.postmark.url())
            .timeout(Duration::from_secs(3))
            .generate_message_id(true);
        PostmarkBackend::new(config).unwrap()
    }

    /// Waits for the calls that their client has given up, because one could still be accepted.
    async fn settle(&self) {
        let patience = Instant::now() + Duration::from_secs(10);
        while self.postmark.counts().handled < self.due.load(Ordering::SeqCst)
            && Instant::now() < patience
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns how often each message was accepted.
    fn accepted(&self) -> HashMap<usize, u32> {
        let mut counts = HashMap::new();
        for message in self.postmark.messages() {
            let number = message.metadata["number"].parse().unwrap();
            *counts.entry(number).or_default() += 1;
        }
        counts
    }
}

/// Every thousandth message goes to an address that Postmark refuses.
fn is_refused(number: usize) -> bool {
    number % 1000 == 999
}

fn message(number: usize) -> Message {
    let to = match is_refused(number) {
        true => SUPPRESSED.to_owned(),
        false => format!("user{number}@example.com"),
    };
    let builder = Message::builder().from("shop@example.com").to(to);
    let builder = builder.metadata("number", number.to_string());
    builder
        .subject("Your receipt")
        .text_body("Thank you.")
        .build()
        .unwrap()
}

/// Produces messages sometimes quickly and sometimes one by one, so that calls have all sizes.
fn trickle(numbers: Vec<usize>, mut dice: Dice) -> impl Stream<Item = Message> {
    stream::iter(numbers).then(move |number| {
        let pause = dice.roll(40) == 0;
        async move {
            if pause {
                tokio::task::yield_now().await;
            }
            message(number)
        }
    })
}

fn entry(result: Result<SendStatus, SendError>) -> Entry {
    match result {
        Ok(_) => Entry::Sent,
        Err(error) if error.accepted() == Accepted::Maybe => {
            let id = error.status().and_then(SendStatus::message_id);
            Entry::Maybe(id.unwrap().to_owned())
        }
        Err(error) if error.is_transient() => Entry::Open,
        Err(_) => Entry::Failed,
    }
}

/// The app: sends pending messages, round after round, but never those that may have been accepted.
async fn send_open(mailer: &Mailer, ledger: &mut [Entry], dice: &mut Dice) {
    let numbers = (0..ledger.len()).filter(|number| ledger[*number] == Entry::Open);
    let (single, many): (Vec<_>, Vec<_>) = numbers.partition(|_| dice.roll(50) == 0);
    let mut sent = std::pin::pin!(mailer.send_stream(trickle(many.clone(), dice.clone())));
    while let Some((place, result)) = sent.next().await {
        let slot = &mut ledger[many[place]];
        assert_eq!(*slot, Entry::Open, "two results for one message");
        *slot = entry(result);
    }
    let results = stream::iter(single).map(|number| async move {
        let result = mailer.send(&message(number)).await;
        (number, entry(result))
    });
    let mut results = std::pin::pin!(results.buffer_unordered(16));
    while let Some((number, entry)) = results.next().await {
        ledger[number] = entry;
    }
}

/// Checks that the ledger matches the fake's messages.
fn audit(ledger: &[Entry], accepted: &HashMap<usize, u32>) {
    let mut wrong = Vec::new();
    for (number, entry) in ledger.iter().enumerate() {
        let times = accepted.get(&number).copied().unwrap_or(0);
        let right = match entry {
            Entry::Sent => times == 1,
            Entry::Maybe(_) => times <= 1,
            Entry::Failed => times == 0 && is_refused(number),
            Entry::Open => false,
        };
        if !right {
            wrong.push(format!("{number}: {entry:?}, accepted {times} times"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(20)]
    );
}

fn count(ledger: &[Entry], is: impl Fn(&Entry) -> bool) -> usize {
    ledger.iter().filter(|entry| is(entry)).count()
}

fn from_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

fn seed() -> u64 {
    let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let seed = from_env("ANYMAIL_ACCOUNTING_SEED", u64::from(clock.subsec_nanos()));
    println!("ANYMAIL_ACCOUNTING_SEED={seed}");
    seed
}

fn mailer(backend: PostmarkBackend) -> Mailer {
    let retry = RetryPolicy {
        max_tries: 2,
        first_wait: Duration::from_millis(10),
        ..RetryPolicy::standard()
    };
    Mailer::builder(backend)
        .retry(retry)
        .concurrency(16)
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_duplicated_or_silently_lost() {
    let messages = from_env("ANYMAIL_ACCOUNTING_MESSAGES", 100_000) as usize;
    let seed = seed();
    let started = Instant::now();
    let broken = BrokenPostmark::start(seed).await;
    let mailer = mailer(broken.backend());
    let mut ledger = vec![Entry::Open; messages];
    let mut dice = Dice(seed);
    let mut rounds = 0;
    while ledger.contains(&Entry::Open) {
        rounds += 1;
        assert!(rounds <= 100, "no end to it");
        send_open(&mailer, &mut ledger, &mut dice).await;
    }
    broken.settle().await;
    let accepted = broken.accepted();
    let maybe = count(&ledger, |entry| matches!(entry, Entry::Maybe(_)));
    println!(
        "{messages} messages in {rounds} rounds and {:?}: {} sent, {maybe} maybe, {} failed; \
         {} calls, {} accepted",
        started.elapsed(),
        count(&ledger, |entry| *entry == Entry::Sent),
        count(&ledger, |entry| *entry == Entry::Failed),
        broken.postmark.calls(),
        broken.postmark.accepted(),
    );
    audit(&ledger, &accepted);
    assert_eq!(
        accepted.values().sum::<u32>() as usize,
        broken.postmark.accepted()
    );
    assert!(
        maybe > 0 && rounds > 1,
        "no fault occurred, so nothing was tested"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn find_sent_resolves_every_maybe() {
    let messages = from_env("ANYMAIL_ACCOUNTING_MESSAGES", 100_000) as usize / 2;
    let seed = seed();
    let started = Instant::now();
    let broken = BrokenPostmark::start(seed).await;
    let backend = broken.backend();
    let mailer = mailer(backend.clone());
    let mut ledger = vec![Entry::Open; messages];
    let mut dice = Dice(seed);
    let (mut rounds, mut asked, mut found) = (0, 0, 0);
    while ledger.contains(&Entry::Open) {
        rounds += 1;
        assert!(rounds <= 100, "no end to it");
        send_open(&mailer, &mut ledger, &mut dice).await;
        // The fake's index does not lag; with the real Postmark, an app waits for some minutes
        // here.
        broken.settle().await;
        let unsure = ledger.iter_mut().filter_map(|entry| match entry {
            Entry::Maybe(id) => {
                let id = id.clone();
                Some((entry, id))
            }
            _ => None,
        });
        let answers = stream::iter(unsure).map(|(entry, id)| {
            let backend = &backend;
            async move {
                loop {
                    if let Ok(found) = backend.find_sent(&id).await {
                        return (entry, found.is_some());
                    }
                }
            }
        });
        let mut answers = std::pin::pin!(answers.buffer_unordered(16));
        while let Some((entry, is_found)) = answers.next().await {
            asked += 1;
            found += u32::from(is_found);
            *entry = if is_found { Entry::Sent } else { Entry::Open };
        }
    }
    println!(
        "{messages} messages in {rounds} rounds and {:?}: asked for {asked}, found {found}",
        started.elapsed()
    );
    assert_eq!(count(&ledger, |entry| matches!(entry, Entry::Maybe(_))), 0);
    audit(&ledger, &broken.accepted());
    assert!(found > 0 && found < asked, "both answers should have come");
}
