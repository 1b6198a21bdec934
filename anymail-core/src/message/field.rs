//! [`Field`]: unset, never, or a value: the one home of "not even the default".
//!
//! How defaults are laid under a message lives in `sending/defaults.rs`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One field of a [`Message`](crate::Message) or of its [`SendDefaults`](crate::SendDefaults).
///
/// In JSON an absent key is `Unset`, `null` is `Never`, all else is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Nothing was said: the send default applies, if there is one.
    #[default]
    Unset,
    /// Not even the send default.
    Never,
    /// This value.
    Value(T),
}

impl<T> Field<T> {
    /// Whether nothing was said.
    pub fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Never => None,
        }
    }

    /// The value to change, if there is one.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Never => None,
        }
    }

    /// The value, if there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Never => None,
        }
    }

    /// The value to change; a field without one gets `T`'s default first.
    pub fn value_or_default(&mut self) -> &mut T
    where
        T: Default,
    {
        loop {
            match self {
                Self::Value(value) => return value,
                Self::Unset | Self::Never => *self = Self::Value(T::default()),
            }
        }
    }

    /// The values of a list field; none where it has no value.
    pub fn items<I>(&self) -> &[I]
    where
        T: AsRef<[I]>,
    {
        self.value().map_or(&[], AsRef::as_ref)
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Never, Self::Value))
    }
}
