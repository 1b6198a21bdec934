//! Parses the JSON of a response, as far as it is needed.
//!
//! `response.rs` interprets it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The shape of a response.
pub(super) enum Json<'a> {
    Object(Members<'a>),
    List(Vec<Item<'a>>),
    Other,
}

/// An item of a list: what is read of it, and the text of it.
pub(super) struct Item<'a> {
    pub(super) members: Members<'a>,
    pub(super) text: &'a str,
}

impl<'a> Json<'a> {
    /// Reads a whole text; none if it is not JSON.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        match text.trim_start().as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).ok().map(Self::Object),
            Some(b'[') => read_list(text).map(Self::List),
            _ => serde_json::from_str::<IgnoredAny>(text)
                .ok()
                .map(|_| Self::Other),
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

/// Reads a list item by item, so that where each begins and ends is known without reading it
/// twice.
fn read_list(text: &str) -> Option<Vec<Item<'_>>> {
    let at_end = |rest: &str| rest.trim_ascii().is_empty();
    let may_be_plain = is_one_line(text);
    let mut items = Vec::new();
    let mut rest = text
        .trim_ascii_start()
        .strip_prefix('[')?
        .trim_ascii_start();
    if let Some(end) = rest.strip_prefix(']') {
        return at_end(end).then_some(items);
    }
    loop {
        let (item, behind) = read_item(rest, may_be_plain)?;
        items.push(item);
        let behind = behind.trim_ascii_start();
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_ascii_start(),
            None => return at_end(behind.strip_prefix(']')?).then_some(items),
        }
    }
}

/// The item that a text begins with, and what stands behind it.
fn read_item(text: &str, may_be_plain: bool) -> Option<(Item<'_>, &str)> {
    let plain = may_be_plain.then(|| read_plain(text));
    let (members, behind) = plain
        .flatten()
        .or_else(|| text.starts_with('{').then(|| read_by_serde(text))?)
        // Any other JSON, of which nothing is read.
        .or_else(|| {
            let (IgnoredAny, behind) = read_by_serde(text)?;
            Some((Members::default(), behind))
        })?;
    let text = text.get(..text.len() - behind.len())?;
    Some((Item { members, text }, behind))
}

/// The value that a text begins with, and what stands behind it.
fn read_by_serde<'a, T: Deserialize<'a>>(text: &'a str) -> Option<(T, &'a str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

/// Whether a text holds no control character: none may stand in a text of JSON.
fn is_one_line(text: &str) -> bool {
    // All bytes are compared, because the processor does that for many of them at once, and
    // stopping at the first would keep it from doing so.
    text.bytes().fold(u8::MAX, u8::min) >= b' '
}

/// The same for an object in the form that Postmark gives to nearly all: without white space, and
/// with nothing but texts without escapes, and digits. A batch has hundreds of them, and this
/// takes a quarter of the time. None for any other.
///
/// The text is one without control characters.
fn read_plain(text: &str) -> Option<(Members<'_>, &str)> {
    let mut members = Members::default();
    let mut rest = text.strip_prefix('{')?;
    loop {
        let (name, behind) = plain_text(rest)?;
        let behind = behind.strip_prefix(':')?;
        let (value, behind) = match plain_text(behind) {
            Some((text, behind)) => (Member::Text(Cow::Borrowed(text)), behind),
            None => plain_number(behind)?,
        };
        let member = match name {
            "ErrorCode" => &mut members.error_code,
            "Message" => &mut members.message,
            "MessageID" => &mut members.message_id,
            "To" => &mut members.to,
            _ => &mut Member::Absent,
        };
        match member {
            Member::Absent => *member = value,
            Member::Text(_) | Member::Number(_) => return None,
        }
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Some((members, behind.strip_prefix('}')?)),
        }
    }
}

/// A text with nothing in it that JSON writes in another way.
fn plain_text(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let end = memchr::memchr2(b'"', b'\\', text.as_bytes())?;
    let (text, behind) = text.split_at_checked(end)?;
    Some((text, behind.strip_prefix('"')?))
}

/// A whole number that is none too large.
fn plain_number(text: &str) -> Option<(Member<'_>, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, behind) = text.split_at_checked(end)?;
    let is_json = digits == "0" || !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| is_json)?;
    let ends = behind.starts_with([',', '}']);
    ends.then_some((Member::Number(number), behind))
}

/// The members that are read, of a response or one of its rows.
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
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
#[derive(Debug, Default, PartialEq)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_object_is_read_like_serde_json_and_any_other_by_serde_json() {
        let plain = [
            r#"{"ErrorCode":0,"Message":"OK","MessageID":"id","SubmittedAt":"now","To":"a@b.c"}"#,
            r#"{"ErrorCode":406,"Message":"Ünzustellbar: ' / {}"}"#,
            r#"{"To":"","New":7,"Newer":"x","ErrorCode":999999}"#,
        ];
        for text in plain {
            let (members, behind) = read_plain(text).unwrap();
            assert_eq!(behind, "", "{text}");
            assert_eq!(Some(members), serde_json::from_str(text).ok(), "{text}");
        }
        let others = [
            "{}",
            r#"{ "ErrorCode":0}"#,
            r#"{"ErrorCode":0 }"#,
            r#"{"ErrorCode":00}"#,
            r#"{"ErrorCode":-1}"#,
            r#"{"ErrorCode":1.5}"#,
            r#"{"ErrorCode":1e3}"#,
            r#"{"ErrorCode":99999999999999999999}"#,
            r#"{"ErrorCode":0,"ErrorCode":0}"#,
            r#"{"ErrorCode":null}"#,
            r#"{"Message":"a\"b"}"#,
            r#"{"Message":"OK","To":["a"]}"#,
            r#"{"Message":"OK","#,
            r#"{"Message":"OK""#,
            r#"{"Message":"OK"#,
            r#"{"Message":1"#,
            r#"{"Message"}"#,
            r#"["Message"]"#,
        ];
        for text in others {
            assert_eq!(read_plain(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_is_split_into_its_items_in_any_formatting() {
        let items = [
            r#"{"Message":"OK"}"#,
            "{ \"Message\" :\n\"O\\u004b\" }",
            r#"{"To":{"a":["}"]}}"#,
            r#"{"To":1,"To":2}"#,
            "[{},[]]",
            "null",
            "-1.5e3",
            r#""]""#,
        ];
        let read = |text: &str| match Json::read(text) {
            Some(Json::List(items)) => Some(items.iter().map(|it| it.text.to_owned()).collect()),
            _ => None,
        };
        for separator in [",", " ,\n "] {
            let text = format!(" [ {} ]\n", items.join(separator));
            assert_eq!(
                read(&text),
                Some(items.map(str::to_owned).to_vec()),
                "{text}"
            );
        }
        assert_eq!(read("[ ]"), Some(Vec::new()));
        for broken in [
            "[{\"Message\":\"a\nb\"}]",
            "[",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1]x",
            "[{}}]",
            "[{\"a\":tru}]",
        ] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
