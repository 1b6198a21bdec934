//! The publisher: puts messages on the queue, each with an ID from the app.
//!
//! In an app, this is a function next to the code that creates the message.

use std::io::BufRead;

use anymail_core::Message;
use serde::Deserialize;

use super::Result;
use super::broker::Broker;
use super::letter::{Letter, MAX_ID};
use super::settings::Settings;

/// How many messages are sent to RabbitMQ before their confirmations are awaited.
const WINDOW: usize = 1000;

#[derive(Deserialize)]
struct Line {
    id: String,
    message: Message,
}

/// Publishes one message for each line, and returns their number. Each is confirmed.
///
/// If it fails, publish the same lines again: a message that was published twice is sent once.
///
/// # Errors
/// The first invalid line, or the error of RabbitMQ. The lines before it are published.
pub(crate) async fn publish(settings: &Settings, lines: impl BufRead) -> Result<usize> {
    let broker = Broker::connect(settings).await?;
    let mut letters = Vec::new();
    let mut published: usize = 0;
    for line in lines.lines() {
        let at = published + letters.len() + 1;
        match letter(&line?, &broker) {
            Ok(letter) => letters.push(letter),
            Err(error) => {
                broker.publish(letters).await?;
                return Err(format!("line {at}: {error}").into());
            }
        }
        if letters.len() == WINDOW {
            published += letters.len();
            broker.publish(std::mem::take(&mut letters)).await?;
        }
    }
    published += letters.len();
    broker.publish(letters).await?;
    broker.close().await?;
    Ok(published)
}

fn letter(line: &str, broker: &Broker) -> Result<Letter> {
    let Line { id, message } = serde_json::from_str(line)?;
    if id.is_empty() || id.len() > MAX_ID {
        return Err(format!("expected an ID of 1 to {MAX_ID} bytes, got {}", id.len()).into());
    }
    let body = serde_json::to_vec(&message)?;
    Ok(Letter::new(&broker.queues.work, id.into(), body))
}
