//! The review: looks up messages at Postmark that may have been sent.
//!
//! Workers only move such messages aside: right after a lost response, Postmark's search, which
//! lags behind, could not tell.

use std::collections::HashSet;
use std::time::Duration;

use anymail_postmark::PostmarkBackend;
use lapin::message::Delivery;

use super::Result;
use super::broker::{self, Broker, Queues};
use super::ledger::{Entry, Ledger};
use super::letter::{self, Letter};
use super::settings::Settings;

/// Processes the `maybe` queue once. Messages that Postmark has accepted are done. Others stay, or
/// are sent again if they were moved there at least `send_again_after` ago: give Postmark's search
/// some time, and be aware that this may still send a message twice.
///
/// # Errors
/// The error of Postmark or RabbitMQ. No message is lost.
pub(crate) async fn review(
    settings: &Settings,
    send_again_after: Option<Duration>,
) -> Result<String> {
    let postmark = settings.postmark()?;
    let broker = Broker::connect(settings).await?;
    let ledger = Ledger::open(&broker).await?;
    let queues = &broker.queues;
    let mut decided = HashSet::new();
    let (mut sent, mut again, mut kept) = (0_usize, 0_usize, 0_usize);
    let mut left = broker.count(&queues.maybe).await?;
    while left > 0
        && let Some(got) = broker.get(&queues.maybe).await?
    {
        left -= 1;
        let delivery = &got.delivery;
        let id = letter::id(delivery);
        // Two workers may have moved the same message: the second copy adds nothing.
        if decided.contains(&id) {
            broker::ack(delivery).await?;
            continue;
        }
        match fate(delivery, &postmark, send_again_after).await? {
            Fate::Sent => {
                ledger
                    .record(&broker, Entry::Done, vec![id.clone()])
                    .await?;
                sent += 1;
                decided.insert(id);
            }
            Fate::SendAgain => {
                // Free first, publish second, or a fast worker would take it for a duplicate.
                ledger
                    .record(&broker, Entry::Free, vec![id.clone()])
                    .await?;
                broker
                    .publish(vec![Letter::copy(delivery, &queues.work, 0)])
                    .await?;
                again += 1;
                decided.insert(id);
            }
            Fate::Keep => {
                broker.publish(vec![kept_copy(delivery, queues)]).await?;
                kept += 1;
            }
        }
        broker::ack(delivery).await?;
    }
    broker.close().await?;
    Ok(format!("sent {sent}, again {again}, kept {kept}"))
}

/// What happens to a message in doubt.
enum Fate {
    /// Postmark has accepted it.
    Sent,
    /// Postmark does not seem to have accepted it.
    SendAgain,
    /// It is not known, or not yet.
    Keep,
}

/// Looks the message up at Postmark.
async fn fate(
    delivery: &Delivery,
    postmark: &PostmarkBackend,
    send_again_after: Option<Duration>,
) -> Result<Fate> {
    let Ok(message) = letter::message(delivery) else {
        return Ok(Fate::Keep);
    };
    // Each email of a batch has its own ID, which is lost with its response.
    if message.is_batch() {
        return Ok(Fate::Keep);
    }
    if postmark.find_sent(&letter::id(delivery)).await?.is_some() {
        return Ok(Fate::Sent);
    }
    // Options may have sent it with another server, which is not searched.
    let looked = message.esp_extra.value().is_none();
    let since = match letter::was_dead_lettered(delivery) {
        true => None, // its time is the time of publishing; the wait starts now
        false => *delivery.properties.timestamp(),
    };
    Ok(match (since, send_again_after) {
        (Some(since), Some(after))
            if looked && broker::now().saturating_sub(since) >= after.as_secs() =>
        {
            Fate::SendAgain
        }
        _ => Fate::Keep,
    })
}

/// The copy that goes to the end of the queue.
fn kept_copy(delivery: &Delivery, queues: &Queues) -> Letter {
    if letter::was_dead_lettered(delivery) {
        let reason = "it waited too long, or came back from too many workers";
        let tries = letter::tries(delivery);
        return Letter::copy(delivery, &queues.maybe, tries).with_header(letter::REASON, reason);
    }
    Letter {
        queue: queues.maybe.clone(),
        body: delivery.data.clone(),
        properties: delivery.properties.clone(), // including the time of its arrival
    }
}
