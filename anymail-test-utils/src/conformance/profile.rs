//! [`Profile`]: what is special about an ESP, as plain data.

use anymail_core::{JsonMap, Status};

use super::harness::{Answer, Recipient};
use super::understood::Understood;
use crate::fixtures::plain;

/// What a message id of the ESP stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MessageIds {
    /// One mail; its recipients share it.
    #[default]
    PerMail,
    /// One recipient of one mail.
    PerRecipient,
    /// All the mails of one call.
    PerCall,
    /// The ESP's answers have no ids.
    None,
}

/// What is special about an ESP, for the suite: plain data, with defaults that fit most.
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
    /// What the ESP's ordinary yes means: `Sent` (the default) or `Queued`.
    pub accepts_as: Status,
    /// What its message ids stand for. One mail, by default.
    pub message_ids: MessageIds,
    /// What makes the n-th message id, for an ESP whose ids have a form of their own. By
    /// default a UUID.
    pub message_id: fn(u64) -> String,
    /// Whether the answer's body says anything. `false` for an ESP whose HTTP status is the
    /// whole answer. By default `true`.
    pub answers_have_a_body: bool,
    /// How many recipients of a batch the ESP takes in one call, by its documentation; 1 where
    /// each needs a call of their own. By default `None`, no limit. With a limit the suite
    /// sends batches of several calls, and lets one of those calls fail.
    pub recipients_per_call: Option<usize>,
    /// Whether an inline part can have a file name beside its content id. `false` where the one
    /// is the other. By default `true`.
    pub inline_parts_have_names: bool,
    /// A template's name or number that the ESP could have. `welcome` by default.
    pub template_id: String,
    /// How the ESP writes the place of a value in a template, for example
    /// `|name| format!("%recipient.{name}%")`. By default `{{name}}`.
    pub placeholder: fn(&str) -> String,
    /// For a backend with `esp_extra`: options of the ESP, as far as it has them one whose value
    /// is a text, one with a number, a flag, a list and an object. What [`Harness::read`] finds
    /// of them goes to [`Understood::extra`].
    ///
    /// [`Harness::read`]: super::Harness::read
    /// [`Understood::extra`]: super::Understood::extra
    pub esp_extra: JsonMap,
    /// For a backend with `esp_extra`: the keys by which the ESP takes recipients, each with a
    /// value as the ESP takes it: `{"bcc": "spy@example.com"}`. The suite puts each into
    /// `esp_extra`; it must be refused or have no effect.
    pub recipient_keys: JsonMap,
    /// For a backend with `esp_extra`: the key by which the ESP takes a subject, if a key of
    /// `esp_extra` reaches the ESP as one. The suite sets it; it must be refused or replace the
    /// message's own.
    pub subject_key: Option<String>,
    /// Trials that the backend is known to fail, each with the reason. They are run, and one
    /// that passes after all is a failure: take it off the list.
    pub known_gaps: Vec<(&'static str, &'static str)>,
    /// Trials that make no sense for this ESP, each with the reason. They are not run, and the
    /// reason is printed.
    pub skips: Vec<(&'static str, &'static str)>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            accepts_as: Status::Sent,
            message_ids: MessageIds::default(),
            message_id: |n| format!("{n:08x}-c0de-4bad-8bee-{n:012x}"),
            answers_have_a_body: true,
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
    /// What fits most backends that send over SMTP: a mail that the server takes is `Queued`, and
    /// each recipient of a batch has a mail of their own, so a call takes one.
    pub fn smtp() -> Self {
        Self {
            accepts_as: Status::Queued,
            recipients_per_call: Some(1),
            ..Self::default()
        }
    }

    /// A mail that was never sent, for posts whose words do not matter.
    pub(super) fn some_mail(&self) -> Answer {
        let mail = Understood::from(&plain());
        let id = (self.message_id)(1);
        let recipient = |address: &anymail_core::Address| Recipient {
            address: address.clone(),
            status: self.accepts_as,
            id: id.clone(),
        };
        Answer {
            recipients: mail.recipients().map(recipient).collect(),
            id: id.clone(),
            words: String::new(),
            mail,
        }
    }
}
