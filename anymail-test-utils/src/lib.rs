//! Test an app that sends mail, or a backend that carries it.
mod assertions;
pub mod conformance;
mod fake_esp;
mod fake_postmark;
mod faults;
mod fixtures;
mod server;

pub use assertions::{Mail, assert_not_sent, assert_nothing_else_sent, assert_sent, mail};
pub use fake_esp::{FakeEsp, FakeEspBackend, FakeEspConfig, FakeEspConfigError, FakeEspFactory};
pub use fake_postmark::{
    BounceType, FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage,
    StreamKind, SuppressionReason, TriggerError, WebhookReport, WebhookTry,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
