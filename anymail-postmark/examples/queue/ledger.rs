//! [`Ledger`]: who has taken which id, in a log that all workers read.
//!
//! It is a RabbitMQ stream: every record has its place there, the same for all readers, so of
//! two claims to an id the earlier one holds, and nobody else has to be asked. What a claim
//! means for a message is decided in `worker.rs`.

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

/// What a record says of its ids.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// Somebody is about to send them.
    Claim,
    /// Postmark surely does not have them: they can be claimed anew.
    Free,
    /// They were sent, or are on the `maybe` queue: nobody sends them any more.
    Done,
}

/// What came of a claim to one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is ours: nobody else sends it until we say what came of it.
    Ours,
    /// Another claim came first, and nobody has said yet what came of it.
    Held,
    /// It was sent, or may have been.
    Done,
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// Who wrote it, and which of theirs it is: so they know it again.
    by: String,
    number: u64,
    entry: Entry,
    ids: Vec<String>,
}

/// Reads the ledger and writes in it.
pub(crate) struct Ledger {
    worker: String,
    readers: Arc<Mutex<Readers>>,
}

/// Who waits to read a claim of theirs.
#[derive(Default)]
struct Readers {
    /// The number of the last claim.
    last: u64,
    /// By the claim's number.
    waiting: HashMap<u64, oneshot::Sender<Vec<Claim>>>,
    /// Why nothing is read any more.
    closed: Option<String>,
}

impl Ledger {
    /// Begins to read, from the oldest record on.
    ///
    /// # Errors
    /// What RabbitMQ says.
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
                Ok(()) => "RabbitMQ ended it".to_owned(),
                Err(error) => error.to_string(),
            };
            let mut readers = lock(&readers);
            readers.closed = Some(why);
            readers.waiting.clear(); // who waits learns of it
        });
        Ok(ledger)
    }

    /// This worker's name in it.
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    /// Claims ids; gives what came of it, in their order.
    ///
    /// The answer is what the log says at the claim's own place: a local copy of it may be
    /// behind, and would take what was just freed for taken.
    ///
    /// # Errors
    /// When the claim cannot be written or read back. It may stand all the same.
    pub(crate) async fn claim(&self, broker: &Broker, ids: Vec<String>) -> Result<Vec<Claim>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (sender, read_back) = oneshot::channel();
        let number = {
            let mut readers = lock(&self.readers);
            if let Some(why) = &readers.closed {
                return Err(format!("the ledger cannot be read: {why}").into());
            }
            readers.last += 1;
            let number = readers.last;
            readers.waiting.insert(number, sender);
            number
        };
        self.write(broker, number, Entry::Claim, ids).await?;
        Ok(read_back
            .await
            .map_err(|_| "the ledger cannot be read back")?)
    }

    /// Writes what became of ids, and waits until it stands.
    ///
    /// # Errors
    /// When that cannot be known.
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

/// Reads records until the connection ends, and answers the claims of `worker` among them.
async fn read(mut records: Consumer, worker: &str, readers: &Mutex<Readers>) -> Result<()> {
    let mut pages = Pages::default();
    while let Some(delivery) = records.next().await {
        let delivery = delivery?;
        // A record that cannot be read may hold a claim: to pass over it could send a mail twice.
        let record: Record = serde_json::from_slice(&delivery.data)?;
        let time = delivery.properties.timestamp().unwrap_or_default();
        let claims = pages.enter(record.entry, &record.ids, time);
        let ours = record.by == worker;
        let reader = ours.then(|| lock(readers).waiting.remove(&record.number));
        if let Some(reader) = reader.flatten() {
            let _ = reader.send(claims); // who no longer waits has ended with an error
        }
        broker::ack(&delivery).await?; // of a stream, this only asks for more
    }
    Ok(())
}

fn lock(readers: &Mutex<Readers>) -> MutexGuard<'_, Readers> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the records so far come to: some 150 bytes for each id of the last days.
#[derive(Default)]
struct Pages {
    /// Whether an id is done with or held, and since when.
    ids: HashMap<Arc<str>, (Claim, u64)>,
    /// The same, oldest first, to forget them in time.
    by_time: VecDeque<(u64, Arc<str>)>,
}

impl Pages {
    /// Enters a record; says what was there before, for each id.
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
