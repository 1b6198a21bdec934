//! [`MergeMap`]: values by recipient, found by the comparison form of the address.
//!
//! [`Message::is_batch`](crate::Message::is_batch) says which fields make a message a batch.

use std::fmt;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

use super::address::{Address, AddressKey};

/// Values for individual recipients of a batch.
///
/// A recipient is found by [`Address::key`], so neither upper and lower case nor the form of an
/// international domain matters. A key that matches no recipient is ignored.
///
/// ```
/// use anymail_core::{Address, MergeMap};
///
/// let mut names = MergeMap::new();
/// names.insert("Ann@Example.com", "Ann");
/// let ann: Address = "Ann <ann@example.com>".parse()?;
/// assert_eq!(names.get(&ann), Some(&"Ann"));
/// # Ok::<(), anymail_core::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MergeMap<T>(IndexMap<AddressKey, (String, T)>);

impl<T> MergeMap<T> {
    /// Creates an empty map, which is enough to make a message a batch.
    pub fn new() -> Self {
        Self(IndexMap::new())
    }

    /// Sets a recipient's value and returns the previous one.
    pub fn insert(&mut self, recipient: impl Into<String>, value: T) -> Option<T> {
        let given = recipient.into();
        self.0
            .insert(AddressKey::of(&given), (given, value))
            .map(|(_, before)| before)
    }

    /// Mutable access to a recipient's value. Sets `T`'s default first if there is none.
    pub fn value_or_default(&mut self, recipient: impl Into<String>) -> &mut T
    where
        T: Default,
    {
        let given = recipient.into();
        let entry = self.0.entry(AddressKey::of(&given));
        &mut entry.or_insert_with(|| (given, T::default())).1
    }

    /// A recipient's value.
    pub fn get(&self, recipient: &Address) -> Option<&T> {
        self.0.get(&recipient.key()).map(|(_, value)| value)
    }

    /// Whether there is a value for this recipient.
    pub fn contains(&self, recipient: &str) -> bool {
        self.0.contains_key(&AddressKey::of(recipient))
    }

    /// The recipients as given, with their values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.0
            .values()
            .map(|(given, value)| (given.as_str(), value))
    }

    /// The number of recipients with a value.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no recipient has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes all values. An empty map still makes a batch.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds `others`. For a recipient in both, `merge` gets both values.
    pub(crate) fn extend_with(&mut self, others: Self, merge: impl Fn(&mut T, T)) {
        for (key, (given, value)) in others.0 {
            match self.0.get_mut(&key) {
                Some((_, mine)) => merge(mine, value),
                None => {
                    self.0.insert(key, (given, value));
                }
            }
        }
    }
}

impl<T> Default for MergeMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Into<String>, T> FromIterator<(K, T)> for MergeMap<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(iter: I) -> Self {
        let mut map = Self::new();
        for (recipient, value) in iter {
            map.insert(recipient, value);
        }
        map
    }
}

/// Shows the number of recipients, not the values, which are part of the body.
impl<T> fmt::Debug for MergeMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MergeMap({} recipients)", self.len())
    }
}

impl<T: Serialize> Serialize for MergeMap<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
