//! [`Broker`]: the connection to RabbitMQ, its queues, and confirmed publishing.
//!
//! `verdict.rs` decides what goes to which queue; `ledger.rs` reads the ledger's queue.

use std::time::{Duration, SystemTime};

use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, Consumer};

use super::Result;
use super::letter::Letter;
use super::settings::Settings;

/// How long the ledger remembers an ID.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);
/// How long a message may wait for a worker. Less than the ledger remembers, so that no message
/// comes back after its claim is forgotten.
const MAX_AGE: Duration = Duration::from_secs(6 * 86_400);
/// How often a message may come back from workers that died before it goes to `maybe`.
const MAX_RETURNS: i64 = 20;
/// Nothing on these queues is ever dropped. By default, RabbitMQ 4 would drop a message after 20
/// returns.
const ANY_RETURNS: i64 = 1_000_000;

/// The queues' names.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    /// Messages to send.
    pub(crate) work: ShortString,
    /// Messages to retry after a wait, with a queue for each wait.
    pub(crate) waits: Vec<(Duration, ShortString)>,
    /// Messages that were certainly not sent and never will be.
    pub(crate) refused: ShortString,
    /// Messages that may have been sent.
    pub(crate) maybe: ShortString,
    /// Which worker has claimed which ID.
    pub(crate) ledger: ShortString,
}

impl Queues {
    fn new(settings: &Settings) -> Self {
        let name = |end: &str| ShortString::from(format!("{}{end}", settings.queue));
        let wait = |wait: &Duration| (*wait, name(&format!(".wait.{}ms", wait.as_millis())));
        Self {
            work: name(""),
            waits: settings.waits.iter().map(wait).collect(),
            refused: name(".refused"),
            maybe: name(".maybe"),
            ledger: name(".ledger"),
        }
    }

    /// The queue for this wait.
    pub(crate) fn waiting(&self, wait: Duration) -> Option<&ShortString> {
        let mut waits = self.waits.iter();
        waits.find(|(own, _)| *own == wait).map(|(_, queue)| queue)
    }
}

/// A connection, with all queues declared.
///
/// There is one connection without recovery, on purpose: a worker that has lost its connection can
/// no longer record what happened to a message, so RabbitMQ gives its messages to other workers;
/// the worker exits, and its supervisor starts a new one.
pub(crate) struct Broker {
    pub(crate) queues: Queues,
    connection: Connection,
    publishing: Channel,
}

impl Broker {
    /// Connects and declares the queues.
    ///
    /// # Errors
    /// RabbitMQ is not reachable, or has a queue with the same name and other settings.
    pub(crate) async fn connect(settings: &Settings) -> Result<Self> {
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("{} {}", settings.queue, std::process::id()).into());
        let connection = Connection::connect(settings.amqp_url.expose(), properties)
            .await
            .map_err(|error| format!("could not connect to RabbitMQ at AMQP_URL: {error}"))?;
        let publishing = connection.create_channel().await?;
        publishing
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let broker = Self {
            queues: Queues::new(settings),
            connection,
            publishing,
        };
        broker.declare().await?;
        Ok(broker)
    }

    async fn declare(&self) -> Result<()> {
        let queues = &self.queues;
        let mut work = quorum(MAX_RETURNS);
        work.push(("x-message-ttl", milliseconds(MAX_AGE)));
        work.extend(dead_letters_to(&queues.maybe));
        self.declare_one(&queues.work, work).await?;
        for (wait, queue) in &queues.waits {
            let mut waiting = quorum(ANY_RETURNS);
            waiting.push(("x-message-ttl", milliseconds(*wait)));
            waiting.extend(dead_letters_to(&queues.work));
            self.declare_one(queue, waiting).await?;
        }
        self.declare_one(&queues.refused, quorum(ANY_RETURNS))
            .await?;
        self.declare_one(&queues.maybe, quorum(ANY_RETURNS)).await?;
        let days = REMEMBERED.as_secs() / 86_400;
        let ledger = vec![
            ("x-queue-type", text("stream")),
            ("x-max-age", text(&format!("{days}D"))),
            // The age is checked by the segment.
            ("x-stream-max-segment-size-bytes", 50_000_000_i64.into()),
        ];
        self.declare_one(&queues.ledger, ledger).await
    }

    async fn declare_one(
        &self,
        name: &ShortString,
        arguments: Vec<(&'static str, AMQPValue)>,
    ) -> Result<()> {
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert(key.into(), value);
        }
        let durable = QueueDeclareOptions::durable();
        self.publishing
            .queue_declare(name.clone(), durable, table)
            .await?;
        Ok(())
    }

    /// Publishes to queues by name, and waits until RabbitMQ has confirmed each letter, so that a
    /// majority of the queue's replicas has it.
    ///
    /// # Errors
    /// Any of them was not confirmed. Some may be on their queues anyway.
    pub(crate) async fn publish(&self, letters: Vec<Letter>) -> Result<()> {
        let options = BasicPublishOptions {
            mandatory: true, // a letter without a queue comes back instead of vanishing
            ..BasicPublishOptions::default()
        };
        let mut confirms = Vec::with_capacity(letters.len());
        for letter in letters {
            let Letter {
                queue,
                body,
                properties,
            } = letter;
            let properties = properties.with_delivery_mode(2); // persistent
            confirms.push(
                self.publishing
                    .basic_publish("".into(), queue, options, &body, properties)
                    .await?,
            );
        }
        for confirm in confirms {
            match confirm.await? {
                Confirmation::Ack(None) => {}
                _ => return Err("RabbitMQ did not accept a message; see its log".into()),
            }
        }
        Ok(())
    }

    /// Consumes messages from a queue, with at most `prefetch` unacknowledged. They can be
    /// acknowledged as long as the channel exists, even after consuming has stopped.
    ///
    /// # Errors
    /// The error of RabbitMQ.
    pub(crate) async fn consume(
        &self,
        queue: &ShortString,
        prefetch: u16,
        arguments: FieldTable,
    ) -> Result<(Channel, Consumer)> {
        let channel = self.connection.create_channel().await?;
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions::default();
        let consumer = channel
            .basic_consume(queue.clone(), "".into(), options, arguments)
            .await?;
        Ok((channel, consumer))
    }

    /// Takes one message from a queue, if there is one.
    ///
    /// # Errors
    /// The error of RabbitMQ.
    pub(crate) async fn get(&self, queue: &ShortString) -> Result<Option<BasicGetMessage>> {
        let options = BasicGetOptions::default();
        Ok(self.publishing.basic_get(queue.clone(), options).await?)
    }

    /// The number of messages on a queue that nobody has taken.
    ///
    /// # Errors
    /// The error of RabbitMQ.
    pub(crate) async fn count(&self, queue: &ShortString) -> Result<u32> {
        let look = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self
            .publishing
            .queue_declare(queue.clone(), look, FieldTable::default())
            .await?;
        Ok(queue.message_count())
    }

    /// Closes the connection after everything that was written has arrived.
    ///
    /// # Errors
    /// That is not known: the last acknowledgements may be lost.
    pub(crate) async fn close(&self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

/// Acknowledges one delivery, and none before it: results come in any order.
///
/// # Errors
/// The connection is lost. The message will be delivered again.
pub(crate) async fn ack(delivery: &Delivery) -> Result<()> {
    match delivery.ack(BasicAckOptions::default()).await? {
        true => Ok(()),
        false => Err("lost the connection to RabbitMQ".into()),
    }
}

/// Seconds since 1970, as AMQP's timestamps are.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn milliseconds(time: Duration) -> AMQPValue {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).into()
}

fn quorum(returns: i64) -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", returns.into()),
    ]
}

/// The queue for messages that expire or come back too often. Such moves are confirmed like a
/// publisher's (RabbitMQ 3.10): they leave one queue only when they are on the other.
fn dead_letters_to(queue: &ShortString) -> [(&'static str, AMQPValue); 4] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue.as_str())),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}
