//! [`Withheld`]: a recipient that a pre-send hook removes from a message, and why.
//!
//! `hooks.rs` decides what happens to a message that loses all its recipients.

use std::collections::HashSet;

use super::recipients::{Status, StatusDetail};
use super::status::SendStatus;
use crate::message::{Address, AddressKey, Message};

/// A recipient that a pre-send hook removes from a message.
///
/// ```
/// use anymail_core::{Address, PreSendVerdict, Status, Withheld};
///
/// fn without(ann: &Address) -> PreSendVerdict {
///     let withheld = Withheld::new(ann, Status::Rejected, "she asked us to").with_code("asked");
///     PreSendVerdict::SendWithout(vec![withheld])
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    recipient: Address,
    status: Status,
    detail: StatusDetail,
}

impl Withheld {
    /// Withholds this recipient, with this status and reason.
    ///
    /// The status is [`Rejected`](Status::Rejected), [`Invalid`](Status::Invalid) or
    /// [`Failed`](Status::Failed). Any other one counts as `Failed`, because nothing was sent.
    pub fn new(recipient: &Address, status: Status, reason: impl Into<String>) -> Self {
        let nothing_sent = status.is_refused() || status == Status::Failed;
        Self {
            recipient: recipient.clone(),
            status: if nothing_sent { status } else { Status::Failed },
            detail: StatusDetail::new(None, reason),
        }
    }

    /// Sets a machine-readable code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.detail.code = Some(code.into());
        self
    }

    /// The address of the recipient.
    pub fn recipient(&self) -> &Address {
        &self.recipient
    }

    /// The recipient's status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The code, if any, and the reason.
    pub fn detail(&self) -> &StatusDetail {
        &self.detail
    }
}

/// Removes recipients from a message. Returns those that were in it, and whether the message can
/// still be sent.
pub(super) fn take_out(message: &mut Message, withheld: Vec<Withheld>) -> (Vec<Withheld>, bool) {
    let keys: Vec<AddressKey> = withheld.iter().map(|one| one.recipient.key()).collect();
    let out: HashSet<&AddressKey> = keys.iter().collect();
    let mut gone = HashSet::new();
    let had_to = !message.to.items().is_empty();
    if message
        .recipients()
        .any(|address| out.contains(&address.key()))
    {
        let fields = &mut **message;
        for list in [&mut fields.to, &mut fields.cc, &mut fields.bcc] {
            if let Some(list) = list.value_mut() {
                let leaving = list.extract_if(.., |address| out.contains(&address.key()));
                gone.extend(leaving.map(|address| address.key()));
            }
        }
    }
    let withheld = withheld.into_iter().zip(&keys);
    let withheld = withheld.filter(|(_, key)| gone.contains(key));
    let withheld = withheld.map(|(one, _)| one).collect();
    let lost_to = had_to && message.to.items().is_empty();
    (withheld, !lost_to && message.recipients().next().is_some())
}

/// The status of a message that is not sent because hooks withheld these recipients: without them,
/// the others cannot get it.
pub(super) fn status_of_nobody(esp: &str, message: &Message, withheld: &[Withheld]) -> SendStatus {
    let mut status = SendStatus::unknown(esp.to_owned(), message);
    for other in message.recipients() {
        let reason = "not sent, because a pre-send hook withheld every recipient in `to`";
        let detail = Some(StatusDetail::new(None, reason));
        status.set(&other.key(), Status::Failed, None, detail);
    }
    for one in withheld {
        status.withhold(&one.recipient, one.status, &one.detail);
    }
    status
}
