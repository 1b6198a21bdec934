//! The worker: takes messages, claims their IDs, sends them, and acts on the results.
//!
//! `ledger.rs` stores claims; `verdict.rs` interprets results.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anymail_core::{Mailer, Message};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use lapin::message::Delivery;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::Result;
use super::broker::{self, Broker};
use super::ledger::{Claim, Entry, Ledger};
use super::letter::{self, Letter};
use super::settings::Settings;
use super::verdict::Verdict;

/// The maximum number of messages in a call.
const BATCH: usize = 500;
/// How long the first message of a batch waits for others.
const LINGER: Duration = Duration::from_millis(50);
/// How many batches' results are recorded at once.
const SETTLING: usize = 4;

/// Sends messages as they arrive until `stop` completes, then finishes the calls in progress.
/// Returns a summary.
///
/// # Errors
/// The connection to RabbitMQ or the queue is lost: no results can be recorded any more, and
/// everything unacknowledged goes to other workers.
pub(crate) async fn work(
    settings: &Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<String> {
    let mailer = Mailer::builder(settings.postmark()?)
        .concurrency(settings.calls)
        .build();
    let broker = Broker::connect(settings).await?;
    let worker = Worker {
        ledger: Ledger::open(&broker).await?,
        broker,
        counts: Mutex::default(),
    };
    // A batch for each concurrent call, and one in reserve for the first that completes.
    let prefetch = u16::try_from((settings.calls + 1) * BATCH)?;
    let work = &worker.broker.queues.work;
    let taking = worker.broker.consume(work, prefetch, FieldTable::default());
    let (_channel, deliveries) = taking.await?;
    let stop = stop.shared();
    let say = |()| eprintln!("stopping: finishing calls in progress; the rest stays in the queue");
    tokio::spawn(stop.clone().map(say)); // reports the signal even while all calls are busy

    let failed = Mutex::new(None);
    let under_way = Mutex::new(HashMap::new());
    // Nothing runs ahead: a batch is claimed when a call is free for it.
    let messages = batches(deliveries.take_until(stop.clone()))
        .then(|batch| worker.claim(batch))
        .scan((), |(), claimed| {
            let claimed = claimed.map_err(|error| *lock(&failed) = Some(error));
            async { claimed.ok() } // an error ends the intake; calls in progress continue
        })
        .flat_map(stream::iter)
        .enumerate()
        .map(|(place, (taken, message))| {
            lock(&under_way).insert(place, taken);
            message
        });
    mailer
        .send_stream(messages)
        .filter_map(|(place, result)| {
            let taken = lock(&under_way).remove(&place);
            async { Some((taken?, result)) }
        })
        .map(|(taken, result)| {
            let verdict = Verdict::of(&result, taken.tries, settings);
            (taken, verdict)
        })
        .ready_chunks(BATCH)
        .map(Ok)
        .try_for_each_concurrent(SETTLING, |settled| worker.settle(settled))
        .await?;
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    if stop.peek().is_none() {
        return Err("RabbitMQ gives this worker no more messages: is the queue gone?".into());
    }
    worker.broker.close().await?;
    Ok(worker.summary())
}

struct Worker {
    ledger: Ledger,
    broker: Broker,
    counts: Mutex<BTreeMap<&'static str, usize>>,
}

impl Worker {
    /// Claims a batch. Returns the messages that this worker may send, and settles the others.
    async fn claim(&self, batch: Vec<lapin::Result<Delivery>>) -> Result<Vec<(Taken, Message)>> {
        let mut settled = Vec::new();
        let mut readable = Vec::new();
        for delivery in batch {
            let taken = Taken::new(delivery?);
            match letter::message(&taken.delivery) {
                Ok(message) => readable.push((taken, message)),
                Err(reason) => settled.push((taken, Verdict::Refused(reason))),
            }
        }
        let ids = readable.iter().map(|(taken, _)| taken.id.clone()).collect();
        let claims = self.ledger.claim(&self.broker, ids).await?;
        let mut ready = Vec::new();
        for ((mut taken, message), claim) in readable.into_iter().zip(claims) {
            match claim {
                Claim::Ours => {
                    taken.claimed = true;
                    ready.push((taken, message));
                }
                Claim::Done => settled.push((taken, Verdict::Duplicate)),
                // The worker with the claim has a message with this ID, too, and acknowledges it
                // only when it is free or done. If that was this message, it was taken from that
                // worker.
                Claim::Held if taken.delivery.redelivered => {
                    let reason = "the worker that claimed it ended before it recorded the result";
                    settled.push((taken, Verdict::Maybe(reason.to_owned())));
                }
                Claim::Held => settled.push((taken, Verdict::Duplicate)),
            }
        }
        self.settle(settled).await?;
        Ok(ready)
    }

    /// Carries out verdicts. A worker may die between any two steps, so their order matters: after
    /// each, a later worker does the right thing.
    async fn settle(&self, settled: Vec<(Taken, Verdict)>) -> Result<()> {
        use Verdict::{Later, Maybe, Refused, Sent};
        let ids = |wanted: fn(&Taken, &Verdict) -> bool| -> Vec<String> {
            let all = settled.iter();
            let wanted = all.filter(|(taken, verdict)| wanted(taken, verdict));
            wanted.map(|(taken, _)| taken.id.clone()).collect()
        };
        // Messages that were not accepted are freed before their copy can reach a worker that would
        // take it for a duplicate.
        let free = ids(|taken, verdict| taken.claimed && matches!(verdict, Later(..) | Refused(_)));
        self.ledger.record(&self.broker, Entry::Free, free).await?;
        let mut letters = Vec::new();
        for (taken, verdict) in &settled {
            letters.extend(self.letter(taken, verdict)?);
        }
        self.broker.publish(letters).await?;
        // Messages that may have been accepted are reported before they count as done.
        let done = ids(|_, verdict| matches!(verdict, Sent | Maybe(_)));
        self.ledger.record(&self.broker, Entry::Done, done).await?;
        for (taken, verdict) in &settled {
            broker::ack(&taken.delivery).await?;
            *lock(&self.counts).entry(verdict.word()).or_default() += 1;
        }
        Ok(())
    }

    /// The copy for another queue, if any.
    fn letter(&self, taken: &Taken, verdict: &Verdict) -> Result<Option<Letter>> {
        let queues = &self.broker.queues;
        let queue = match verdict {
            Verdict::Sent | Verdict::Duplicate => return Ok(None),
            Verdict::Later(wait, _) => queues.waiting(*wait).ok_or("no queue has this wait")?,
            Verdict::Refused(_) => &queues.refused,
            Verdict::Maybe(_) => &queues.maybe,
        };
        let tries = taken.tries.saturating_add(1);
        let letter = Letter::copy(&taken.delivery, queue, tries)
            .with_header(letter::REASON, verdict.reason().unwrap_or_default())
            .with_header("worker", self.ledger.worker());
        Ok(Some(letter))
    }

    fn summary(&self) -> String {
        let counts = lock(&self.counts);
        let words = counts.iter().map(|(word, count)| format!("{word} {count}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// A delivery, and what is known about its message.
struct Taken {
    delivery: Delivery,
    id: String,
    /// The number of earlier attempts.
    tries: u32,
    /// Whether this worker may send its ID.
    claimed: bool,
}

impl Taken {
    fn new(delivery: Delivery) -> Self {
        Self {
            id: letter::id(&delivery),
            tries: letter::tries(&delivery),
            claimed: false,
            delivery,
        }
    }
}

/// Deliveries in batches: full ones, or what arrived shortly after the first.
fn batches<S: Stream>(deliveries: S) -> impl Stream<Item = Vec<S::Item>> {
    stream::unfold(Box::pin(deliveries.fuse()), |mut deliveries| async move {
        let mut batch = vec![deliveries.next().await?];
        let filling = async {
            while batch.len() < BATCH
                && let Some(delivery) = deliveries.next().await
            {
                batch.push(delivery);
            }
        };
        // The time is up, whether the batch is full or not.
        let _ = timeout(LINGER, filling).await;
        Some((batch, deliveries))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
