//! [`Broker`]: the connection to RabbitMQ, its queues, and publishing that is sure.
//!
//! What goes to which queue is decided in `verdict.rs`; the ledger's queue is read in
//! `ledger.rs`.

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

/// How long the ledger remembers an id.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);
/// How long a message may wait for a worker. Less than the ledger remembers, so that none comes
/// back whose claim is forgotten.
const MAX_AGE: Duration = Duration::from_secs(6 * 86_400);
/// How often a message may come back from workers that died before it goes to `maybe`.
const MAX_RETURNS: i64 = 20;
/// Of what is set aside nothing is given up. RabbitMQ 4 would, after 20 returns, if nothing else
/// is said.
const ANY_RETURNS: i64 = 1_000_000;

/// The queues' names.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    /// What is to be sent.
    pub(crate) work: ShortString,
    /// What is to be sent again after a wait: one queue for each wait.
    pub(crate) waits: Vec<(Duration, ShortString)>,
    /// What surely was not sent and never will be.
    pub(crate) refused: ShortString,
    /// What may have been sent.
    pub(crate) maybe: ShortString,
    /// Who has taken which id.
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

/// One connection, with all queues declared.
///
/// There is one connection and no recovery of it, on purpose: a worker that has lost its
/// connection cannot say any more what became of a message, so RabbitMQ gives its messages to
/// others; it ends, and whoever supervises it starts a new one.
pub(crate) struct Broker {
    pub(crate) queues: Queues,
    connection: Connection,
    publishing: Channel,
}

impl Broker {
    /// Connects and declares the queues.
    ///
    /// # Errors
    /// What RabbitMQ says: it is not there, or has a queue of this name that is declared
    /// otherwise.
    pub(crate) async fn connect(settings: &Settings) -> Result<Self> {
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("{} {}", settings.queue, std::process::id()).into());
        let connection = Connection::connect(settings.amqp_url.expose(), properties)
            .await
            .map_err(|error| format!("no connection to RabbitMQ at AMQP_URL: {error}"))?;
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
            // The age is looked at by the segment.
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

    /// Publishes to the queues by name, and waits until RabbitMQ has confirmed each letter: a
    /// majority of the queue's replicas then has it.
    ///
    /// # Errors
    /// When any of them is not confirmed. Some may be on their queues all the same.
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
                _ => return Err("RabbitMQ did not take a message; see its log".into()),
            }
        }
        Ok(())
    }

    /// Takes messages from a queue, up to `prefetch` of them unacknowledged. They can be
    /// acknowledged for as long as the channel is kept, also when no more are taken.
    ///
    /// # Errors
    /// What RabbitMQ says.
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
    /// What RabbitMQ says.
    pub(crate) async fn get(&self, queue: &ShortString) -> Result<Option<BasicGetMessage>> {
        let options = BasicGetOptions::default();
        Ok(self.publishing.basic_get(queue.clone(), options).await?)
    }

    /// How many messages are on a queue that nobody has taken.
    ///
    /// # Errors
    /// What RabbitMQ says.
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

    /// Ends the connection when all that was written has arrived.
    ///
    /// # Errors
    /// When that cannot be known: the last acknowledgements may be lost.
    pub(crate) async fn close(&self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

/// Acknowledges one delivery, and none before it: results do not land in order.
///
/// # Errors
/// When the connection is lost. The message will come to somebody again.
pub(crate) async fn ack(delivery: &Delivery) -> Result<()> {
    match delivery.ack(BasicAckOptions::default()).await? {
        true => Ok(()),
        false => Err("the connection to RabbitMQ is lost".into()),
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

/// Where messages go that expire or come back too often, confirmed like a publisher's
/// (RabbitMQ 3.10): they leave the one queue when they are on the other.
fn dead_letters_to(queue: &ShortString) -> [(&'static str, AMQPValue); 4] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue.as_str())),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}
