//! [`Ledger`]: which worker has claimed which ID, in a log that all workers read.
//!
//! It is a RabbitMQ stream, in which every record has the same position for all readers. So the
//! earlier of two claims to an ID wins, without asking anybody. `worker.rs` decides what a claim
//! means for a message.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Consumer};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Result;
use super::broker::{self, Broker, REMEMBERED};
use super::letter::Letter;

/// What a record says about its IDs.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A worker is about to send them.
    Claim,
    /// Postmark has certainly not accepted them: they can be claimed again.
    Free,
    /// They were sent, or are on the `maybe` queue: nobody sends them again.
    Done,
}

/// The result of a claim to one ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This worker has it: nobody else sends it until this worker records the result.
    Ours,
    /// Another claim came first, and its result has not been recorded yet.
    Held,
    /// It was sent, or may have been.
    Done,
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// Who wrote it, and which of their records it is.
    by: String,
    number: u64,
    entry: Entry,
    ids: Vec<String>,
}

/// Reads and writes the ledger.
pub(crate) struct Ledger {
    worker: String,
    readers: Arc<Mutex<Readers>>,
}

/// The tasks that wait to read their own claims.
#[derive(Default)]
struct Readers {
    /// The number of the last claim.
    last: u64,
    /// By the number of the claim.
    waiting: HashMap<u64, oneshot::Sender<Vec<Claim>>>,
    /// Why reading has stopped.
    closed: Option<String>,
}

impl Ledger {
    /// Starts reading at the oldest record.
    ///
    /// # Errors
    /// The error of RabbitMQ.
    pub(crate) async fn open(broker: &Broker) -> Result<Self> {
        let mut from_the_first = FieldTable::default();
        from_the_first.insert("x-stream-offset".into(), broker::text("first"));
        let (channel, records) = broker
            .consume(&broker.queues.ledger, 100, from_the_first)
            .await?;
        let ledger = Self {
            worker: uuid::Uuid::new_v4().to_string(),
            readers: Arc::default(),
        };
        let (worker, readers) = (ledger.worker.clone(), Arc::clone(&ledger.readers));
        tokio::spawn(async move {
            let _open = channel;
            let why = match read(records, &worker, &readers).await {
                Ok(()) => "RabbitMQ closed the stream".to_owned(),
                Err(error) => error.to_string(),
            };
            let mut readers = lock(&readers);
            readers.closed = Some(why);
            readers.waiting.clear(); // wakes all waiting tasks with an error
        });
        Ok(ledger)
    }

    /// This worker's name in the ledger.
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    /// Claims IDs, and returns the results in order.
    ///
    /// The result is the state of the log at the position of the claim itself: a local copy may be
    /// behind, and would report an ID as claimed that was just freed.
    ///
    /// # Errors
    /// The claim could not be written or read back. It may exist anyway.
    pub(crate) async fn claim(&self, broker: &Broker, ids: Vec<String>) -> Result<Vec<Claim>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (sender, read_back) = oneshot::channel();
        let number = {
            let mut readers = lock(&self.readers);
            if let Some(why) = &readers.closed {
                return Err(format!("could not read the ledger: {why}").into());
            }
            readers.last += 1;
            let number = readers.last;
            readers.waiting.insert(number, sender);
            number
        };
        self.write(broker, number, Entry::Claim, ids).await?;
        Ok(read_back
            .await
            .map_err(|_| "could not read back the ledger")?)
    }

    /// Records the results of IDs, and waits until they are stored.
    ///
    /// # Errors
    /// That is not known.
    pub(crate) async fn record(
        &self,
        broker: &Broker,
        entry: Entry,
        ids: Vec<String>,
    ) -> Result<()> {
        match ids.is_empty() {
            true => Ok(()),
            false => self.write(broker, 0, entry, ids).await,
        }
    }

    async fn write(
        &self,
        broker: &Broker,
        number: u64,
        entry: Entry,
        ids: Vec<String>,
    ) -> Result<()> {
        let record = Record {
            by: self.worker.clone(),
            number,
            entry,
            ids,
        };
        let letter = Letter {
            queue: broker.queues.ledger.clone(),
            body: serde_json::to_vec(&record)?,
            properties: BasicProperties::default().with_timestamp(broker::now()),
        };
        broker.publish(vec![letter]).await
    }
}

/// Reads records until the connection ends, and resolves the claims of `worker` among them.
async fn read(mut records: Consumer, worker: &str, readers: &Mutex<Readers>) -> Result<()> {
    let mut pages = Pages::default();
    while let Some(delivery) = records.next().await {
        let delivery = delivery?;
        // An unreadable record may contain a claim: skipping it could send a message twice.
        let record: Record = serde_json::from_slice(&delivery.data)?;
        let time = delivery.properties.timestamp().unwrap_or_default();
        let claims = pages.enter(record.entry, &record.ids, time);
        let ours = record.by == worker;
        let reader = ours.then(|| lock(readers).waiting.remove(&record.number));
        if let Some(reader) = reader.flatten() {
            let _ = reader.send(claims); // a task that no longer waits has failed
        }
        broker::ack(&delivery).await?; // on a stream, this only requests more
    }
    Ok(())
}

fn lock(readers: &Mutex<Readers>) -> MutexGuard<'_, Readers> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state after the records so far: about 150 bytes for each ID of the last days.
#[derive(Default)]
struct Pages {
    /// Whether an ID is done or claimed, and since when.
    ids: HashMap<Arc<str>, (Claim, u64)>,
    /// The same, oldest first, to forget them in time.
    by_time: VecDeque<(u64, Arc<str>)>,
}

impl Pages {
    /// Applies a record, and returns the previous state of each ID.
    fn enter(&mut self, entry: Entry, ids: &[String], time: u64) -> Vec<Claim> {
        self.forget_before(time.saturating_sub(REMEMBERED.as_secs()));
        let enter = |id: &String| {
            let before = self.ids.get(id.as_str()).map(|(claim, _)| *claim);
            let after = match (entry, before) {
                (Entry::Claim, None) => Some(Claim::Held),
                (Entry::Claim, before) => before,
                (Entry::Free, _) => None,
                (Entry::Done, _) => Some(Claim::Done),
            };
            match after {
                Some(after) if Some(after) != before => {
                    let id = Arc::<str>::from(id.as_str());
                    self.ids.insert(Arc::clone(&id), (after, time));
                    self.by_time.push_back((time, id));
                }
                Some(_) => {}
                None => {
                    self.ids.remove(id.as_str());
                }
            }
            before.unwrap_or(Claim::Ours)
        };
        ids.iter().map(enter).collect()
    }

    fn forget_before(&mut self, oldest: u64) {
        while self.by_time.front().is_some_and(|(time, _)| *time < oldest)
            && let Some((time, id)) = self.by_time.pop_front()
        {
            if self.ids.get(&id).is_some_and(|(_, since)| *since == time) {
                self.ids.remove(&id);
            }
        }
    }
}
