//! [`RawBytes`]: the bytes that an ESP sent.
//!
//! `event.rs` and `inbound.rs` contain what was parsed from them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as they were received: a webhook's body, or a raw message.
///
/// Cloning does not copy them. `Debug` shows their number. In JSON they are `{"text": "..."}`, or
/// `{"base64": "..."}` if they are not UTF-8.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RawBytes(Bytes);

impl RawBytes {
    /// Wraps the bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes as a string, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Parses the bytes as JSON, for example to read a field that only one ESP has.
    ///
    /// ```
    /// use anymail_core::RawBytes;
    /// use serde_json::Value;
    ///
    /// let payload = RawBytes::new(r#"{"Geo": {"City": "Novi Sad"}}"#);
    /// let json: Value = payload.json()?;
    /// assert_eq!(json["Geo"]["City"], "Novi Sad");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of `serde_json` if they are not JSON or have another structure. It may quote them.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }
}

impl From<Bytes> for RawBytes {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for RawBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form<T> {
    Text(T),
    Base64(String),
}

impl Serialize for RawBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self.as_str() {
            Some(text) => Form::Text(text),
            None => Form::Base64(STANDARD.encode(&self.0)),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::<String>::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self::new(text)),
            Form::Base64(text) => match STANDARD.decode(text) {
                Ok(bytes) => Ok(Self::new(bytes)),
                Err(error) => Err(serde::de::Error::custom(error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_round_trip_through_json() {
        for bytes in [&b""[..], b"{\"a\": 1}\n", b"\xff\x00caf\xe9"] {
            let raw = RawBytes::new(bytes);
            let json = serde_json::to_string(&raw).unwrap();
            assert_eq!(serde_json::from_str::<RawBytes>(&json).unwrap(), raw);
        }
        assert!(serde_json::from_str::<RawBytes>(r#"{"base64": "?"}"#).is_err());
    }
}
