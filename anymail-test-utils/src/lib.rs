//! Test an app that sends mail, or a backend that carries it.
pub mod conformance;
mod fake_postmark;
mod faults;
mod fixtures;
mod server;

pub use fake_postmark::{
    FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage, StreamKind,
    SuppressionOrigin, SuppressionReason,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
