//! Parses the JSON of a response, as far as it is needed.
//!
//! `response.rs` interprets it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The shape of a response.
pub(super) enum Json<'a> {
    Object(Members<'a>),
    List(Vec<&'a RawValue>),
    Other,
}

impl<'a> Json<'a> {
    pub(super) fn read(text: &'a str) -> serde_json::Result<Self> {
        match text.trim_start().as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(Self::Object),
            Some(b'[') => serde_json::from_str(text).map(Self::List),
            _ => serde_json::from_str::<IgnoredAny>(text).map(|_| Self::Other),
        }
    }

    /// The members of an object; none for anything else.
    pub(super) fn members(self) -> Members<'a> {
        match self {
            Self::Object(members) => members,
            Self::List(_) | Self::Other => Members::default(),
        }
    }
}

/// The members that are read, of a response or one of its rows.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Members<'a> {
    #[serde(borrow)]
    pub(super) error_code: Member<'a>,
    #[serde(borrow)]
    pub(super) message: Member<'a>,
    #[serde(borrow, rename = "MessageID")]
    pub(super) message_id: Member<'a>,
    #[serde(borrow)]
    pub(super) to: Member<'a>,
    /// In a bulk response: `Id` according to the documentation, `ID` according to two clients.
    #[serde(borrow)]
    pub(super) id: Member<'a>,
    #[serde(borrow, rename = "ID")]
    pub(super) id_of_clients: Member<'a>,
}

/// A string or a whole number. A member of another type counts as absent.
#[derive(Default)]
pub(super) enum Member<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Number(i64),
}

impl<'a> Member<'a> {
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Number(_) => None,
        }
    }

    /// A number, or a string of digits.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(digits) => digits.trim().parse().ok(),
            Self::Absent => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Member::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Member::Absent, Member::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Member::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Member::Absent)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Absent)
    }
}
