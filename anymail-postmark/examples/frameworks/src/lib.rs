//! Webhooks in web frameworks: plain [`hyper`], [`tower`] and [`actix`], a file each. For axum,
//! `anymail-core` has routes behind a feature.
//!
//! Each file is all that an app writes. It gets the webhooks of its configuration, and a queue
//! that its own work is done from: an ESP waits for the answer, so a handler writes an event
//! down and leaves the rest for later.

pub mod actix;
pub mod hyper;
pub mod tower;

use std::sync::Arc;

use anymail_core::{Event, Webhook};
use tokio::sync::mpsc::UnboundedSender;

/// What an app's web server needs.
#[derive(Debug, Clone)]
pub struct App {
    /// The webhooks of all the ESPs that the app uses.
    pub webhooks: Arc<[Arc<dyn Webhook>]>,
    /// Where events go. If nobody receives them any more, the ESP is answered 500 and tries again.
    pub queue: UnboundedSender<Event>,
}
