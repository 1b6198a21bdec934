//! [`Letter`]: a message on a queue, with its ID, its attempts, and its copies on other queues.
//!
//! The body is the message's JSON, the ID is AMQP's `message-id`, and headers contain its history.

use anymail_core::Message;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::broker::{now, text};

/// The longest ID, in bytes: what Postmark keeps of a metadata value
/// (<https://postmarkapp.com/support/article/1125-custom-metadata-faq>).
pub(crate) const MAX_ID: usize = 80;
/// The metadata key that carries the ID to Postmark and back:
/// `PostmarkConfig::generate_message_id`.
const ID: &str = "anymail_id";
/// The header that counts attempts.
const TRIES: &str = "tries";
/// The header that says why a message was moved to another queue.
pub(crate) const REASON: &str = "reason";
/// The maximum length of a reason, in characters: all headers share one frame.
const MAX_REASON: usize = 500;

/// A message for a queue.
pub(crate) struct Letter {
    pub(crate) queue: ShortString,
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BasicProperties,
}

impl Letter {
    /// A message that has not been tried yet.
    pub(crate) fn new(queue: &ShortString, id: ShortString, body: Vec<u8>) -> Self {
        let properties = BasicProperties::default()
            .with_message_id(id)
            .with_content_type("application/json".into())
            .with_timestamp(now());
        Self {
            queue: queue.clone(),
            body,
            properties,
        }
    }

    /// A copy of a delivered message, with its attempts so far.
    ///
    /// It keeps the app's own headers, but not those of RabbitMQ: because of the deaths that they
    /// list, RabbitMQ would mistake a message's second wait for an endless loop and drop it. It
    /// does not keep an `expiration` either, because a message that waits for a person must not
    /// vanish.
    pub(crate) fn copy(delivery: &Delivery, queue: &ShortString, tries: u32) -> Self {
        let mut headers = FieldTable::default();
        for (key, value) in delivery.properties.headers().iter().flatten() {
            if !key.as_str().starts_with("x-") {
                headers.insert(key.clone(), value.clone());
            }
        }
        headers.insert(TRIES.into(), i64::from(tries).into());
        let id = delivery.properties.message_id().clone();
        let mut letter = Self::new(queue, id.unwrap_or_default(), delivery.data.clone());
        letter.properties = letter.properties.with_headers(headers);
        letter
    }

    /// Adds a header that says why it is here, or who moved it.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        let short: String = value.chars().take(MAX_REASON).collect();
        headers.insert(name.into(), text(&short));
        self.properties = self.properties.with_headers(headers);
        self
    }
}

/// The ID from the app; empty if there is none.
pub(crate) fn id(delivery: &Delivery) -> String {
    let id = delivery.properties.message_id().as_ref();
    id.map_or(String::new(), |id| id.as_str().to_owned())
}

/// Whether RabbitMQ itself moved it here. Copies made by a worker have no such header.
pub(crate) fn was_dead_lettered(delivery: &Delivery) -> bool {
    let headers = delivery.properties.headers().as_ref();
    headers.is_some_and(|headers| headers.inner().contains_key("x-death"))
}

/// The number of attempts so far.
pub(crate) fn tries(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref();
    match headers.and_then(|headers| headers.inner().get(TRIES)) {
        Some(AMQPValue::LongLongInt(tries)) => u32::try_from(*tries).unwrap_or(0),
        _ => 0,
    }
}

/// The message, with its ID for Postmark.
///
/// # Errors
/// Why it cannot be sent, for the header.
pub(crate) fn message(delivery: &Delivery) -> Result<Message, String> {
    let id = id(delivery);
    if id.is_empty() || id.len() > MAX_ID {
        return Err(format!(
            "expected a message-id of 1 to {MAX_ID} bytes, got {}",
            id.len()
        ));
    }
    let mut message: Message = serde_json::from_slice(&delivery.data)
        .map_err(|error| format!("the body is not a message's JSON: {error}"))?;
    message
        .metadata
        .value_or_default()
        .insert(ID.to_owned(), id);
    Ok(message)
}
