//! Webhooks in web frameworks: plain [`hyper`], [`tower`] and [`actix`], with a file for each. For
//! axum, `anymail-core` has routes (feature `axum`).
//!
//! Each file contains everything that an app writes. It gets the webhooks of its configuration, and
//! a queue from which the app does its own work: an ESP waits for the response, so a handler only
//! stores the event.

pub mod actix;
pub mod hyper;
pub mod tower;

use std::sync::Arc;

use anymail_core::{Event, Webhook};
use tokio::sync::mpsc::UnboundedSender;

/// What an app's web server needs.
#[derive(Debug, Clone)]
pub struct App {
    /// The webhooks of all ESPs that the app uses.
    pub webhooks: Arc<[Arc<dyn Webhook>]>,
    /// Where events go. If nobody receives them any more, the response is 500, and the ESP posts
    /// again.
    pub queue: UnboundedSender<Event>,
}
