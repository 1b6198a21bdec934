//! [`Field`]: unset, never, or a value. The only place that implements "not even the default".
//!
//! `sending/defaults.rs` applies defaults to a message.

use serde::{Serialize, Serializer};

/// A field of a [`Message`](crate::Message) or of [`SendDefaults`](crate::SendDefaults).
///
/// In JSON, an absent key is `Unset`, `null` is `Never`, and anything else is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Not set: the send default applies, if any.
    #[default]
    Unset,
    /// Explicitly empty: the send default does not apply either.
    Never,
    /// This value.
    Value(T),
}

impl<T> Field<T> {
    /// Whether the field is not set.
    pub fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }

    /// The value, if any.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Never => None,
        }
    }

    /// Mutable access to the value, if any.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Never => None,
        }
    }

    /// Mutable access to the value. Sets `T`'s default first if there is none.
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

    /// The items of a list field; empty if there is no value.
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
