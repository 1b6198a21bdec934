//! [`Profile`]: what is special about an ESP, as plain data.

use anymail_core::{JsonMap, Status};

use super::harness::{Recipient, Report};
use super::understood::Understood;
use crate::fixtures::plain;

/// What a message ID of the ESP identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MessageIds {
    /// One message; its recipients share the ID.
    #[default]
    PerMessage,
    /// One recipient of one message.
    PerRecipient,
    /// All messages of one call.
    PerCall,
    /// The ESP's responses contain no IDs.
    None,
}

/// Describes for the suite what is special about an ESP, as plain data with defaults that fit most
/// ESPs.
///
/// ```
/// use anymail_core::Status;
/// use anymail_test_utils::conformance::Profile;
///
/// let profile = Profile {
///     accepts_as: Status::Queued,
///     recipients_per_call: Some(1000),
///     known_gaps: vec![("attachments::odd_names_arrive_equal", "it sends ASCII names only")],
///     ..Profile::default()
/// };
/// ```
#[derive(Debug, Clone)]
pub struct Profile {
    /// The status that ordinary success means: `Sent` (the default) or `Queued`.
    pub accepts_as: Status,
    /// What its message IDs identify. The default is one message.
    pub message_ids: MessageIds,
    /// Creates the n-th message ID, for an ESP whose IDs have a certain format. The default is a UUID.
    pub message_id: fn(u64) -> String,
    /// Whether the response's body contains any result. Use `false` if the HTTP status is the complete
    /// result. The default is `true`.
    pub responses_have_a_body: bool,
    /// How many recipients of a batch the ESP accepts in one call according to its documentation; 1 if
    /// each recipient needs a separate call. The default is `None`, no limit. With a limit, the suite
    /// sends batches in several calls and makes one of those calls fail.
    pub recipients_per_call: Option<usize>,
    /// Whether an inline part can have a filename in addition to its content ID. Use `false` if the
    /// content ID is the filename. The default is `true`.
    pub inline_parts_have_names: bool,
    /// A valid name or number of a template at the ESP. The default is `welcome`.
    pub template_id: String,
    /// Formats the ESP's placeholder for a value in a template, for example
    /// `|name| format!("%recipient.{name}%")`. The default is `{{name}}`.
    pub placeholder: fn(&str) -> String,
    /// For a backend with `esp_extra`: options of the ESP whose values are a string, a number, a boolean,
    /// a list and an object, as far as the ESP has such options. [`Harness::read`] must copy those that
    /// it finds to [`Understood::extra`].
    ///
    /// [`Harness::read`]: super::Harness::read
    /// [`Understood::extra`]: super::Understood::extra
    pub esp_extra: JsonMap,
    /// For a backend with `esp_extra`: the ESP's keys for recipients, each with a valid value, such as
    /// `{"bcc": "spy@example.com"}`. The suite puts each of them into `esp_extra`; it must be refused or
    /// have no effect.
    pub recipient_keys: JsonMap,
    /// For a backend with `esp_extra`: the ESP's key for the subject, if `esp_extra` can set it. The
    /// suite sets it; it must be refused or replace the message's subject.
    pub subject_key: Option<String>,
    /// Trials that the backend is known to fail, each with the reason. The suite runs them, and reports
    /// one that passes as a failure, so that you remove it from the list.
    pub known_gaps: Vec<(&'static str, &'static str)>,
    /// Trials that do not apply to this ESP, each with the reason. The suite does not run them and prints
    /// the reason.
    pub skips: Vec<(&'static str, &'static str)>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            accepts_as: Status::Sent,
            message_ids: MessageIds::default(),
            message_id: |n| format!("{n:08x}-c0de-4bad-8bee-{n:012x}"),
            responses_have_a_body: true,
            recipients_per_call: None,
            inline_parts_have_names: true,
            template_id: "welcome".to_owned(),
            placeholder: |name| format!("{{{{{name}}}}}"),
            esp_extra: JsonMap::new(),
            recipient_keys: JsonMap::new(),
            subject_key: None,
            known_gaps: Vec::new(),
            skips: Vec::new(),
        }
    }
}

impl Profile {
    /// Returns the defaults for most backends that send over SMTP: an accepted message is `Queued`, and a
    /// call contains one recipient of a batch, because each recipient gets a separate message.
    pub fn smtp() -> Self {
        Self {
            accepts_as: Status::Queued,
            recipients_per_call: Some(1),
            ..Self::default()
        }
    }

    /// A message that was never sent, for posts whose contents do not matter.
    pub(super) fn some_mail(&self) -> Report {
        let mail = Understood::from(&plain());
        let id = (self.message_id)(1);
        let recipient = |address: &anymail_core::Address| Recipient {
            address: address.clone(),
            status: self.accepts_as,
            id: id.clone(),
        };
        Report {
            recipients: mail.recipients().map(recipient).collect(),
            id: id.clone(),
            error_message: String::new(),
            message: mail,
        }
    }
}
