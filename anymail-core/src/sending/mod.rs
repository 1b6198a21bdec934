//! From a message to a status: the backend trait, the policy, and the mailer.
//!
//! `message` defines messages; `receiving` receives events about them.

mod backend;
#[cfg(feature = "blocking")]
pub mod blocking;
mod carry;
mod check;
mod copies;
mod defaults;
mod error;
mod features;
mod fit;
pub(crate) mod guarded;
mod hooks;
mod mailer;
mod policy;
#[cfg(feature = "rate-limit")]
mod rate_limit;
mod recipients;
mod retry;
mod staging;
mod status;
mod trace;
mod unsupported;
mod withheld;

pub use backend::{EmailBackend, PreparedMessage};
pub use defaults::SendDefaults;
pub use error::{Accepted, SendError, SendErrorKind, parse_retry_after};
pub use features::{Capabilities, Feature, FeatureSet, Support};
pub use hooks::{HookError, PostSend, PreSend, PreSendVerdict};
pub use mailer::{Check, Mailer, MailerBuilder};
pub use policy::UnsupportedPolicy;
#[cfg(feature = "rate-limit")]
pub use rate_limit::RateLimiter;
pub use recipients::{RecipientStatus, Status, StatusDetail};
pub use retry::RetryPolicy;
pub use staging::{AllowDomains, RedirectTo};
pub use status::{MemberError, SendStatus};
pub use trace::CallTrace;
pub use unsupported::{Objection, Unsupported};
pub use withheld::Withheld;
