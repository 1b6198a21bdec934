//! Reads JSON as Postmark does: keys are case-insensitive, `null` means absent, unknown keys are
//! ignored.
//!
//! A value of the wrong type is refused with its JSON path. This module does not interpret values.
//! [`set`] supplements `json!` when writing responses.

use serde_json::{Map, Value};

use super::rules::{self, ApiError};

/// An object of a request, with its JSON path.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// Returns the request itself, which must be an object.
    pub(super) fn root(value: &'a Value) -> Result<Self, ApiError> {
        Self::at(value, "$")
    }

    /// Returns the rows of a request that is an array.
    pub(super) fn rows(value: &'a Value) -> Result<Vec<Self>, ApiError> {
        Self::elements(value, "$")
    }

    fn at(value: &'a Value, path: &str) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self {
                map,
                path: path.to_owned(),
            }),
            _ => Err(rules::wrong_type(path)),
        }
    }

    fn elements(value: &'a Value, path: &str) -> Result<Vec<Self>, ApiError> {
        let Value::Array(elements) = value else {
            return Err(rules::wrong_type(path));
        };
        let element = |(i, value)| Self::at(value, &format!("{path}[{i}]"));
        elements.iter().enumerate().map(element).collect()
    }

    /// Returns the unchanged object.
    pub(super) fn raw(&self) -> Value {
        Value::Object(self.map.clone())
    }

    /// Whether the object is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns the value of a key. If several keys differ only by case, the last one counts.
    fn value(&self, key: &str) -> Option<&'a Value> {
        let same = |(name, value): (&'a String, &'a Value)| {
            name.eq_ignore_ascii_case(key).then_some(value)
        };
        let value = self.map.iter().filter_map(same).next_back();
        value.filter(|value| !value.is_null())
    }

    /// Whether the key has a value other than `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    fn wrong<T>(&self, key: &str) -> Result<T, ApiError> {
        Err(rules::wrong_type(&format!("{}.{key}", self.path)))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ApiError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => self.wrong(key),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => self.wrong(key),
        }
    }

    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, ApiError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => self.wrong(key),
            },
        }
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, ApiError> {
        let path = format!("{}.{key}", self.path);
        self.value(key)
            .map(|value| Self::at(value, &path))
            .transpose()
    }

    pub(super) fn list(&self, key: &str) -> Result<Vec<Fields<'a>>, ApiError> {
        let path = format!("{}.{key}", self.path);
        self.value(key)
            .map_or(Ok(Vec::new()), |value| Self::elements(value, &path))
    }

    /// Reads pairs of strings. Any value other than a string is a wrong type of the whole object.
    pub(super) fn strings(&self, key: &str) -> Result<Vec<(String, String)>, ApiError> {
        let map = match self.value(key) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(_) => return self.wrong(key),
        };
        let pair = |(name, value): (&String, &Value)| match value {
            Value::String(value) => Ok((name.clone(), value.clone())),
            _ => self.wrong(key),
        };
        map.iter().map(pair).collect()
    }

    /// Reads a list of `{"Name": ..., "Value": ...}`.
    pub(super) fn names_and_values(&self, key: &str) -> Result<Vec<(String, String)>, ApiError> {
        let pair = |item: &Fields<'_>| {
            let part = |key| item.text(key).map(Option::unwrap_or_default);
            Ok((part("Name")?, part("Value")?))
        };
        self.list(key)?.iter().map(pair).collect()
    }
}

/// Adds a key to an object of a response.
pub(super) fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_match_in_any_case_and_null_is_absent() {
        let value = json!({"htmlbody": "x", "TEXTBODY": null, "Unknown": [1]});
        let fields = Fields::root(&value).unwrap();
        assert_eq!(fields.text("HtmlBody").unwrap().as_deref(), Some("x"));
        assert_eq!(fields.text("TextBody").unwrap(), None);
        assert!(!fields.has("TextBody") && fields.has("HTMLBODY"));
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_path() {
        let value = json!([{"To": "a"}, {"Headers": [{"Name": "A", "Value": 1}]}]);
        let rows = Fields::rows(&value).unwrap();
        let error = rows[1].names_and_values("Headers").unwrap_err();
        assert_eq!(
            error.message,
            "Invalid request field(s): $[1].Headers[0].Value"
        );
        let error = Fields::root(&value).unwrap_err();
        assert_eq!((error.code, error.http), (403, 422));
    }

    #[test]
    fn metadata_must_be_an_object_of_strings() {
        for wrong in [json!([]), json!({"a": 1}), json!({"a": null}), json!("a")] {
            let value = json!({"Metadata": wrong});
            let error = Fields::root(&value)
                .unwrap()
                .strings("Metadata")
                .unwrap_err();
            assert_eq!(error.message, "Invalid request field(s): $.Metadata");
        }
    }
}
