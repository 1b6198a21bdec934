//! Test an app that sends mail, or a backend that carries it.
mod fake_postmark;
mod faults;
mod server;

pub use fake_postmark::{
    FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage, StreamKind,
    SuppressionOrigin, SuppressionReason,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
