//! Reads Postmark's JSON leniently: values that are missing, null or of an unexpected type are
//! absent, and never an error.
//!
//! `tracking.rs` and `inbound.rs` define the fields. Values are borrowed from the body if possible,
//! and only requested fields are kept.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use anymail_core::{Webhook, WebhookError, WebhookErrorKind};
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Parses a request's body as a JSON object.
pub(super) fn read<'a, W: Webhook, T: Fields<'a>>(
    webhook: &W,
    request: &'a Request<Bytes>,
) -> Result<T, WebhookError> {
    let fail = |kind, detail: String| Err(WebhookError::new(webhook, kind, detail));
    if let Some(given) = request.headers().get(CONTENT_TYPE) {
        let given = given.to_str().unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default();
        if !essence.to_ascii_lowercase().contains("json") {
            let detail = "expected Content-Type application/json".to_owned();
            return fail(WebhookErrorKind::WrongContentType, detail);
        }
    }
    match serde_json::from_slice::<Object<T>>(request.body()) {
        Ok(Object(Some(fields))) => Ok(fields),
        Ok(Object(None)) => {
            let detail = "the body is JSON, but not an object".to_owned();
            fail(WebhookErrorKind::WrongShape, detail)
        }
        // The error's own message may quote the body; its position does not.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let detail = format!("the body is not valid JSON (line {line}, column {column})");
            fail(WebhookErrorKind::MalformedBody, detail)
        }
    }
}

/// The requested fields of a JSON object.
pub(super) trait Fields<'a>: Default {
    /// Reads the value of `key`, possibly with `IgnoredAny`. Called in the order of the JSON; the
    /// last of several values with the same key wins.
    fn field<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Returns the default for all types of JSON values that a visitor does not handle.
macro_rules! ignore {
    () => {};
    (scalars $($rest:tt)*) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok(Default::default()) }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok(Default::default()) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok(Default::default()) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok(Default::default()) }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok(Default::default()) }
        ignore!($($rest)*);
    };
    (null $($rest:tt)*) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok(Default::default()) }
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("JSON") }
        ignore!($($rest)*);
    };
    (array $($rest:tt)*) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Default::default())
        }
        ignore!($($rest)*);
    };
    (object $($rest:tt)*) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Default::default())
        }
        ignore!($($rest)*);
    };
}

/// A string, or the text of a number or boolean; anything else is absent.
#[derive(Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    /// The text; an empty one is absent.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_deref() == Some(text)
    }

    /// The owned text; an empty one is absent.
    pub(super) fn into_string(self) -> Option<String> {
        self.0.map(Cow::into_owned).filter(|text| !text.is_empty())
    }

    /// The owned text, which may be empty.
    pub(super) fn into_kept(self) -> Option<String> {
        self.0.map(Cow::into_owned)
    }

    /// The text as bytes, as a slice of the body if it is unescaped there; an empty one is absent.
    pub(super) fn into_bytes(self, body: &Bytes) -> Option<Bytes> {
        let text = self.0.filter(|text| !text.is_empty())?;
        Some(match place_in(body, text.as_bytes()) {
            Some(place) => body.slice(place),
            None => text.into_owned().into(),
        })
    }
}

/// The range of these bytes in `body`, if they are part of it. (`Bytes::slice_ref` would panic if
/// they are not, and a boolean's text is not.)
fn place_in(body: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= body.len()).then_some(start..end)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(if value {
                    "true"
                } else {
                    "false"
                }))))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(value.to_string()))))
            }

            ignore!(null array object);
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// The fields of an object; empty for anything else.
pub(super) struct Object<T>(pub(super) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Fields<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Fields<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = T::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    fields.field(key.get().unwrap_or_default(), &mut map)?;
                }
                Ok(Object(Some(fields)))
            }

            ignore!(scalars null array);
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// The maximum number of objects kept of an array. An empty one takes two bytes to post, and a
/// hundred times that in memory.
const MAX_ITEMS: usize = 10_000;

/// The first objects in an array; anything else is skipped.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Fields<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Fields<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while list.len() < MAX_ITEMS {
                    match items.next_element()? {
                        Some(Object(item)) => list.extend(item),
                        None => return Ok(List(list)),
                    }
                }
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List(list))
            }

            ignore!(scalars null object);
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Anything;

    impl<'a> Fields<'a> for Anything {
        fn field<A: MapAccess<'a>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
            map.next_value::<IgnoredAny>().map(drop)
        }
    }

    #[test]
    fn numbers_are_read_as_text() {
        let texts: Vec<Text<'_>> = serde_json::from_str("[7, -1, 1.5]").unwrap();
        let texts: Vec<_> = texts.into_iter().map(Text::into_string).collect();
        assert_eq!(texts, ["7", "-1", "1.5"].map(|it| Some(it.to_owned())));
    }

    #[test]
    fn a_text_without_escapes_is_not_copied() {
        let body = Bytes::from_static(br#"["plain", "es\"caped", true]"#);
        let texts: [Text<'_>; 3] = serde_json::from_slice(&body).unwrap();
        let texts = texts.map(|text| text.into_bytes(&body).unwrap());
        assert_eq!(texts, ["plain", "es\"caped", "true"]);
        let in_body = texts.map(|text| body.as_ptr_range().contains(&text.as_ptr()));
        assert_eq!(in_body, [true, false, false]);
    }

    #[test]
    fn the_first_10_000_objects_of_a_list_are_kept() {
        for (more, kept) in [(9_999, 10_000), (10_000, 10_000), (10_500, 10_000)] {
            let text = format!("[{}{{}}]", "{},".repeat(more));
            let list: List<Anything> = serde_json::from_str(&text).unwrap();
            assert_eq!(list.0.len(), kept);
        }
    }
}
