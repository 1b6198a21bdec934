//! [`FakeEsp`], a fictional ESP on loopback, and its backend [`FakeEspBackend`].
//!
//! It ensures that nothing in core assumes Postmark's behavior, because its limits, error messages
//! and responses are different. It is small enough to read completely; start with `backend.rs`.

mod backend;
mod client;
mod config;
mod payload;
mod response;
mod server;

pub use backend::FakeEspBackend;
pub use config::{FakeEspConfig, FakeEspConfigError, FakeEspFactory};
pub use server::FakeEsp;

/// The backend's name in statuses, errors and configuration.
const NAME: &str = "fake_esp";

/// Returns a text field of an object; empty if it is missing.
fn text<'a>(object: &'a serde_json::Value, key: &str) -> &'a str {
    let value = object.get(key).and_then(|value| value.as_str());
    value.unwrap_or_default()
}
