//! Mail through Postmark's HTTP API.
mod backend;
mod codes;
mod config;
mod options;
#[cfg(feature = "webhooks")]
mod receiving;
mod sending;

pub use backend::PostmarkBackend;
pub use config::{PostmarkConfig, PostmarkConfigError, PostmarkConfigFault, PostmarkFactory};
pub use options::{LinkTracking, PostmarkOptions};
#[cfg(feature = "webhooks")]
pub use receiving::{PostmarkInboundWebhook, PostmarkTrackingWebhook, webhooks};

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
