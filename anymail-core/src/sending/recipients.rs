//! [`Recipients`]: the recipients of a status, in order, each once.
//!
//! What is said of each is in `status.rs`.

use std::collections::HashMap;
use std::fmt;
use std::slice;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::status::{RecipientStatus, Status};
use crate::message::{Address, AddressKey};

/// Up to this many recipients are compared one by one. Most messages have one, and an index
/// would cost more than the rest of the status.
const FEW: usize = 8;

/// A list, with an index once it is long.
#[derive(Clone)]
pub(super) struct Recipients {
    list: Vec<RecipientStatus>,
    /// Each recipient's place in the list; empty while there are few.
    places: HashMap<AddressKey, usize>,
}

impl Recipients {
    /// Everybody, with nothing known of them.
    pub(super) fn unknown<'a>(addresses: impl Iterator<Item = &'a Address> + Clone) -> Self {
        let mut all = Self::with_capacity(addresses.clone().count());
        for address in addresses {
            all.insert(RecipientStatus {
                email: address.email().to_owned(),
                status: Status::Unknown,
                message_id: None,
                detail: None,
            });
        }
        all
    }

    fn with_capacity(count: usize) -> Self {
        Self {
            list: Vec::with_capacity(count),
            places: HashMap::new(),
        }
    }

    /// Adds a recipient, unless they are there.
    pub(super) fn insert(&mut self, recipient: RecipientStatus) {
        if self.list.is_empty() {
            self.list.push(recipient);
            return;
        }
        let key = AddressKey::of(&recipient.email);
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
    fn each_is_there_once_and_found_however_it_is_written_among_few_and_among_many() {
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
