//! Reads Postmark's JSON with forbearance: what is missing, null or of another type than
//! expected is absent, never an error.
//!
//! Which fields there are is said in `tracking.rs` and `inbound.rs`. Nothing is copied that
//! can be borrowed from the body, and nothing is kept that nobody asked for.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use anymail_core::{Webhook, WebhookError, WebhookErrorKind};
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Reads a request's body as one JSON object.
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
        // The error's own words may quote the body; its place does not.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let detail = format!("the body is not valid JSON (line {line}, column {column})");
            fail(WebhookErrorKind::MalformedBody, detail)
        }
    }
}

/// The fields of a JSON object that somebody wants.
pub(super) trait Fields<'a>: Default {
    /// Reads the value of `key`, be it with `IgnoredAny`. Called in the order of the JSON; of
    /// a key that stands twice, the last value counts.
    fn field<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Gives the default for every type of JSON value that a visitor has no use for.
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

/// A string, or the text of a number or boolean; anything else is none.
#[derive(Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    /// The text; an empty one is none.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_deref() == Some(text)
    }

    /// The text for keeps; an empty one is none.
    pub(super) fn into_string(self) -> Option<String> {
        self.0.map(Cow::into_owned).filter(|text| !text.is_empty())
    }

    /// The text for keeps, be it empty.
    pub(super) fn into_kept(self) -> Option<String> {
        self.0.map(Cow::into_owned)
    }

    /// The text's bytes for keeps, as a part of the body where they stand there as they are; an
    /// empty one is none.
    pub(super) fn into_bytes(self, body: &Bytes) -> Option<Bytes> {
        let text = self.0.filter(|text| !text.is_empty())?;
        Some(match place_in(body, text.as_bytes()) {
            Some(place) => body.slice(place),
            None => text.into_owned().into(),
        })
    }
}

/// Where in `body` these bytes lie, if it is there that they lie. (`Bytes::slice_ref` would
/// panic where they do not, and a boolean's text does not.)
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

/// An object's fields, or none for what is no object.
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

/// The most objects that are kept of an array. An empty one takes two bytes to post, and a
/// hundred times that to keep.
const MAX_ITEMS: usize = 10_000;

/// The first objects in an array; what is no object or no array is none.
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
