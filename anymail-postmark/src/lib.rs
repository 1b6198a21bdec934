//! Mail through Postmark's HTTP API.
mod backend;
mod codes;
mod config;
mod options;
mod sending;

pub use backend::PostmarkBackend;
pub use config::{PostmarkConfig, PostmarkConfigError};
pub use options::{LinkTracking, PostmarkOptions};
