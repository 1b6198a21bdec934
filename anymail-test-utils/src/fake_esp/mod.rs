//! [`FakeEsp`], a made-up ESP on loopback, and its backend [`FakeEspBackend`].
//!
//! It exists so that nothing takes the one real ESP for all ESPs: its limits, its words and its
//! answers are others. It is small enough to read in one go; `backend.rs` is the way in.

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

/// A text in an object; empty where there is none.
fn text<'a>(object: &'a serde_json::Value, key: &str) -> &'a str {
    let value = object.get(key).and_then(|value| value.as_str());
    value.unwrap_or_default()
}
