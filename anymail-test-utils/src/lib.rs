//! Test an app that sends mail, or a backend that carries it.
mod assertions;
mod fake_postmark;
mod faults;
mod server;

pub use assertions::{Mail, assert_not_sent, assert_nothing_else_sent, assert_sent, mail};
pub use fake_postmark::{
    BounceType, FakePostmark, FakePostmarkBuilder, Mailbox, SentAttachment, SentMessage,
    StreamKind, SuppressionReason, TriggerError, WebhookReport, WebhookTry,
};
pub use faults::Fault;
pub use server::{Counts, LoopbackServer};
