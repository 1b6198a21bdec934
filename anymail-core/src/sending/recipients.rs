//! [`RecipientStatus`]: the status of one recipient, and the list of them.
//!
//! `status.rs` defines the status of the whole message.

use std::collections::BTreeMap;
use std::fmt;
use std::slice;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::{Address, AddressKey};

/// The result of a message for one recipient. The names are the same as in django-anymail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// The ESP has accepted it and is sending it.
    Sent,
    /// The ESP has accepted it and will send it later.
    Queued,
    /// The address is invalid, according to the ESP. Not sent.
    Invalid,
    /// The ESP refuses to send to this address, because it bounced, complained or unsubscribed.
    Rejected,
    /// Not sent for another reason, which is in the detail.
    Failed,
    /// The ESP did not say. It may have been accepted; the detail says more.
    Unknown,
}

impl Status {
    /// Whether the ESP has, or may have, accepted the message for this recipient.
    pub fn may_be_accepted(self) -> bool {
        matches!(self, Self::Sent | Self::Queued | Self::Unknown)
    }

    /// Whether the ESP has refused this recipient.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Invalid | Self::Rejected)
    }
}

/// The status of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecipientStatus {
    /// The address as the caller gave it.
    pub email: String,
    /// The status.
    pub status: Status,
    /// The ID that the recipient's events will have; `None` if nothing was sent.
    pub message_id: Option<String>,
    /// The ESP's code and message about this recipient, if any.
    pub detail: Option<StatusDetail>,
}

/// An ESP's code and message about a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatusDetail {
    /// The ESP's code, if it has one.
    pub code: Option<String>,
    /// The message.
    pub message: String,
}

impl StatusDetail {
    /// Creates a detail from an optional code and a message.
    pub fn new(code: Option<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Up to this number, recipients are searched linearly. Most messages have one, and an index would
/// cost more than the rest of the status.
const FEW: usize = 8;

/// The recipients of a status, in order and without duplicates, with an index if there are many.
#[derive(Clone)]
pub(super) struct Recipients {
    list: Vec<RecipientStatus>,
    /// The position of each recipient in the list; empty while there are few.
    places: BTreeMap<AddressKey, usize>,
}

impl Recipients {
    /// Creates a list of these recipients, with unknown statuses.
    pub(super) fn unknown<'a>(addresses: impl Iterator<Item = &'a Address> + Clone) -> Self {
        let mut all = Self::with_capacity(addresses.clone().count());
        for address in addresses {
            let unknown = RecipientStatus {
                email: address.email().to_owned(),
                status: Status::Unknown,
                message_id: None,
                detail: None,
            };
            all.insert_by(unknown, || address.key());
        }
        all
    }

    fn with_capacity(count: usize) -> Self {
        Self {
            list: Vec::with_capacity(count),
            places: BTreeMap::new(),
        }
    }

    /// Adds a recipient that is not yet in the list.
    pub(super) fn insert(&mut self, recipient: RecipientStatus) {
        let email = recipient.email.clone();
        self.insert_by(recipient, || AddressKey::of(&email));
    }

    /// The same; the key is asked for only where there is another recipient.
    fn insert_by(&mut self, recipient: RecipientStatus, key: impl FnOnce() -> AddressKey) {
        if self.list.is_empty() {
            self.list.push(recipient);
            return;
        }
        let key = key();
        if self.place(&key).is_some() {
            return;
        }
        let place = self.list.len();
        self.list.push(recipient);
        if !self.places.is_empty() {
            self.places.insert(key, place);
        } else if self.list.len() > FEW {
            let keys = self.list.iter().map(|it| AddressKey::of(&it.email));
            self.places = keys.zip(0..).collect();
        }
    }

    fn place(&self, key: &AddressKey) -> Option<usize> {
        if self.places.is_empty() {
            return self.list.iter().position(|it| key.is_of(&it.email));
        }
        self.places.get(key).copied()
    }

    pub(super) fn get(&self, key: &AddressKey) -> Option<&RecipientStatus> {
        self.list.get(self.place(key)?)
    }

    pub(super) fn get_mut(&mut self, key: &AddressKey) -> Option<&mut RecipientStatus> {
        let place = self.place(key)?;
        self.list.get_mut(place)
    }

    pub(super) fn of_mut(&mut self, address: &Address) -> Option<&mut RecipientStatus> {
        // As a rule there are few, and it is the address that the list was made of.
        let few = self.list.iter().take(FEW);
        let place = few
            .map(|it| it.email.as_str())
            .position(|email| email == address.email())
            .or_else(|| self.place(&address.key()))?;
        self.list.get_mut(place)
    }

    pub(super) fn iter(&self) -> slice::Iter<'_, RecipientStatus> {
        self.list.iter()
    }
}

impl PartialEq for Recipients {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Recipients {}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

impl Serialize for Recipients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recipients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<RecipientStatus>::deserialize(deserializer)?;
        let mut all = Self::with_capacity(list.len());
        for recipient in list {
            all.insert(recipient);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(emails: impl Iterator<Item = String>) -> Recipients {
        let addresses: Vec<Address> = emails.map(|it| it.parse().unwrap()).collect();
        Recipients::unknown(addresses.iter())
    }

    #[test]
    fn each_recipient_is_listed_once_and_found_in_any_spelling() {
        for count in [1, 2, FEW - 1, FEW, FEW + 1, 100] {
            let emails = (0..count).map(|n| format!("To{n}@Příklad.cz"));
            let again = ["TO0@xn--pklad-zsa96e.cz".to_owned()];
            let mut all = named(emails.chain(again));
            assert_eq!(all.iter().len(), count);
            for n in 0..count {
                let key = AddressKey::of(&format!("to{n}@PŘÍKLAD.cz"));
                assert_eq!(all.get(&key).unwrap().email, format!("To{n}@Příklad.cz"));
                all.get_mut(&key).unwrap().status = Status::Sent;
            }
            assert!(all.iter().all(|it| it.status == Status::Sent));
            assert!(all.get(&AddressKey::of("to@example.com")).is_none());
            let json = serde_json::to_string(&all).unwrap();
            assert_eq!(serde_json::from_str::<Recipients>(&json).unwrap(), all);
        }
    }
}
