//! Test an app that sends mail, or a backend that carries it.
mod fake_postmark;
mod faults;
mod server;

pub use fake_postmark::{
    BounceType, FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage,
    StreamKind, SuppressionReason, TriggerError, WebhookReport, WebhookTry,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
