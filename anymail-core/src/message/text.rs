//! Helpers for text: control characters, excerpts for errors, and descriptions of JSON errors.
//!
//! `headers.rs` validates header names.

/// The maximum number of characters that an error quotes.
const EXCERPT: usize = 80;

/// The first control character other than a tab. It could break a header's line.
pub(crate) fn first_control(text: &str) -> Option<char> {
    // Hardly any text holds one. All bytes are compared, because the processor does that for many
    // of them at once, and stopping at the first would keep it from doing so.
    let suspect = |byte: u8| !(b' '..=b'~').contains(&byte);
    if !text.bytes().fold(false, |any, byte| any | suspect(byte)) {
        return None;
    }
    text.chars().find(|c| c.is_control() && *c != '\t')
}

/// Truncates `text` to [`EXCERPT`] characters, with an ellipsis.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Describes a JSON error for people: without the names of Rust types, and without the value, which
/// may be a body or a secret.
pub(crate) fn json_problem(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let quotes = ["invalid type: ", "invalid value: ", "invalid length "];
    match words.rsplit_once(", expected ") {
        Some((before, wanted)) if quotes.iter().any(|quote| before.starts_with(quote)) => {
            format!("expected {}", in_words(wanted))
        }
        _ => words,
    }
}

/// Translates serde's expectation into terms of JSON.
fn in_words(wanted: &str) -> String {
    // "u32 at line 1 column 9"
    let (name, place) = match wanted.find(" at line ") {
        Some(at) => wanted.split_at(at),
        None => (wanted, ""),
    };
    let words = match name {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "an integer",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "an integer, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "null",
        name if name.starts_with("a tuple") || name.starts_with("tuple struct") => "a list",
        name if name.starts_with("struct ") => "an object",
        name => name,
    };
    format!("{words}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[allow(dead_code, reason = "it is only read")]
        size: u32,
    }

    fn problem<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json_problem(&serde_json::from_value::<T>(json).unwrap_err())
    }

    #[test]
    fn json_errors_contain_neither_rust_types_nor_the_value() {
        for (found, expected) in [
            (problem::<i64>("1.5"), "expected an integer"),
            (problem::<u16>("-1"), "expected an integer, 0 or more"),
            (problem::<f64>("\"s3cret\""), "expected a number"),
            (problem::<bool>("\"s3cret\""), "expected true or false"),
            (problem::<String>("7"), "expected a string"),
            (problem::<Vec<String>>("\"s3cret\""), "expected a list"),
            (
                problem::<(String, String)>("[\"s3cret\"]"),
                "expected a list",
            ),
            (problem::<Part>("\"s3cret\""), "expected an object"),
            (problem::<Part>("{}"), "missing field `size`"),
            (
                problem::<Part>(r#"{"site": 1}"#),
                "unknown field `site`, expected `size`",
            ),
        ] {
            assert_eq!(found, expected);
        }
        let error = serde_json::from_str::<u32>("\"s3cret\"").unwrap_err();
        assert_eq!(
            json_problem(&error),
            "expected an integer, 0 or more at line 1 column 8"
        );
    }
}
