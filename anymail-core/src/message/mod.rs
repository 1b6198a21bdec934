//! What an email to send consists of: [`Message`] and the types of its fields.
//!
//! Nothing here depends on backends; `sending` sends messages.

mod address;
mod address_error;
mod address_input;
mod address_parser;
mod attachment;
mod builder;
mod fault;
mod field;
mod headers;
mod json;
mod merge;
// The type that the folder is about.
#[expect(clippy::module_inception)]
mod message;
#[cfg(feature = "mime")]
mod mime;
mod text;

pub use address::{Address, AddressKey};
pub use address_error::{AddressError, AddressErrorReason};
pub use address_input::AddressInput;
pub use attachment::{Attachment, AttachmentError, ContentId};
pub use builder::MessageBuilder;
pub(crate) use fault::write_list;
pub use fault::{Fault, FaultKind, MessageError};
pub use field::Field;
#[cfg(feature = "signatures")]
pub(crate) use headers::unsubscribe_headers;
pub use headers::{HeaderError, HeaderErrorReason, Headers};
pub use merge::MergeMap;
pub use message::{Alternative, JsonMap, Message, MessageFields, Metadata};
#[cfg(feature = "mime")]
pub use mime::Mime;
pub(crate) use text::{excerpt, json_problem};
