//! What a line of text may hold, and how to quote some of it in an error.
//!
//! What a header may be called lives in `headers.rs`.

/// The most characters that an error quotes of what it was given.
const EXCERPT: usize = 80;

/// The first control character other than a tab: what could break a header's line.
pub(crate) fn first_control(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() && *c != '\t')
}

/// At most [`EXCERPT`] characters of `text`, with an ellipsis where it was cut.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
