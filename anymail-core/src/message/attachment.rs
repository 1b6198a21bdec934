//! [`Attachment`]: bytes with a media type, attached or inline.
//!
//! How one is written into a request is each backend's own business.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::text::{excerpt, first_control};

/// The most bytes of a content id. With its header's name, it cannot be longer than a line, since it
/// can neither be folded nor encoded (RFC 5322, 2.1.1).
const MAX_CONTENT_ID: usize = 900;

/// A file that goes with a message.
///
/// Cloning one does not copy its content. The media type is guessed from the file name's
/// ending unless it is given; where nothing can be guessed it is `application/octet-stream`.
///
/// ```
/// use anymail_core::Attachment;
///
/// let report = Attachment::new("report.pdf", "%PDF-1.7 ...")?;
/// assert_eq!(report.content_type(), "application/pdf");
///
/// let logo = Attachment::inline("logo@example.com", "logo.png", vec![0x89, b'P'])?;
/// let html = format!("<img src=\"cid:{}\">", logo.content_id().unwrap_or_default());
/// assert_eq!(html, "<img src=\"cid:logo@example.com\">");
/// # Ok::<(), anymail_core::AttachmentError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    filename: Option<String>,
    content: Bytes,
    content_type: String,
    inline: bool,
    content_id: Option<String>,
}

impl Attachment {
    /// A file to attach; its media type is guessed from its name.
    ///
    /// # Errors
    /// [`AttachmentError`] for a control character in the name.
    pub fn new(filename: &str, content: impl Into<Bytes>) -> Result<Self, AttachmentError> {
        Self::from_parts(Some(filename), content.into(), None, false, None)
    }

    /// A part that the HTML body shows by `cid:` and this content id (without angle brackets).
    ///
    /// # Errors
    /// [`AttachmentError`] for a content id that is empty, holds an angle bracket or has more than
    /// 900 bytes, and for control characters.
    pub fn inline(
        content_id: &str,
        filename: &str,
        content: impl Into<Bytes>,
    ) -> Result<Self, AttachmentError> {
        Self::from_parts(Some(filename), content.into(), None, true, Some(content_id))
    }

    /// The same attachment with a media type of its own, for example
    /// `text/plain; charset="iso-8859-1"`.
    ///
    /// # Errors
    /// [`AttachmentError`] for what is no media type.
    pub fn with_content_type(mut self, content_type: &str) -> Result<Self, AttachmentError> {
        self.content_type = checked_media_type(content_type)?;
        Ok(self)
    }

    /// The same attachment without a file name.
    pub fn without_filename(mut self) -> Self {
        self.filename = None;
        self
    }

    /// All at once, as they stand in JSON.
    pub(crate) fn from_parts(
        filename: Option<&str>,
        content: Bytes,
        content_type: Option<&str>,
        inline: bool,
        content_id: Option<&str>,
    ) -> Result<Self, AttachmentError> {
        let content_type = match content_type {
            Some(given) => checked_media_type(given)?,
            None => guess(filename.unwrap_or_default()),
        };
        let content_id = content_id
            .map(str::trim)
            .map(|id| {
                let inside = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
                inside.unwrap_or(id)
            })
            .filter(|id| !id.is_empty());
        if inline && content_id.is_none() {
            return Err(AttachmentError::new(
                "content_id",
                "",
                "an inline part needs one",
            ));
        }
        for (part, text) in [("filename", filename), ("content_id", content_id)] {
            if let Some(text) = text
                && first_control(text).is_some()
            {
                return Err(AttachmentError::new(
                    part,
                    text,
                    "it holds a control character",
                ));
            }
        }
        if let Some(id) = content_id.filter(|id| id.contains(['<', '>'])) {
            let problem = "it holds an angle bracket, which ends an id";
            return Err(AttachmentError::new("content_id", id, problem));
        }
        if let Some(id) = content_id.filter(|id| id.len() > MAX_CONTENT_ID) {
            let problem = "it is longer than a line of a mail";
            return Err(AttachmentError::new("content_id", id, problem));
        }
        Ok(Self {
            filename: filename.map(str::to_owned),
            content,
            content_type,
            inline,
            content_id: content_id.map(str::to_owned),
        })
    }

    /// The file name, if it has one.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The content, as it is before any transfer encoding.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// The media type with its parameters.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Whether it is shown in the HTML body rather than listed beside it.
    pub fn is_inline(&self) -> bool {
        self.inline
    }

    /// The content id without angle brackets; every inline part has one.
    pub fn content_id(&self) -> Option<&str> {
        self.content_id.as_deref()
    }
}

fn guess(filename: &str) -> String {
    mime_guess::from_path(filename)
        .first_raw()
        .unwrap_or("application/octet-stream")
        .to_owned()
}

/// Takes `type/subtype`, with or without parameters, as long as it stays on its line.
pub(crate) fn checked_media_type(text: &str) -> Result<String, AttachmentError> {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*%'`{|}~".contains(&b))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let well_formed = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if !well_formed || first_control(text).is_some() {
        return Err(AttachmentError::new(
            "content_type",
            text,
            "it is no media type",
        ));
    }
    Ok(text.trim().to_owned())
}

/// Prints what it is, not what is in it.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("filename", &self.filename)
            .field("content_type", &self.content_type)
            .field("bytes", &self.content.len())
            .field("inline", &self.inline)
            .field("content_id", &self.content_id)
            .finish()
    }
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let mut out = serializer.serialize_struct("Attachment", 5)?;
        out.serialize_field("filename", &self.filename)?;
        out.serialize_field("content_base64", &STANDARD.encode(&self.content))?;
        out.serialize_field("content_type", &self.content_type)?;
        out.serialize_field("inline", &self.inline)?;
        out.serialize_field("content_id", &self.content_id)?;
        out.end()
    }
}

/// An attachment that cannot be: which part of it, what was given, and why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {input:?}: {reason}")]
pub struct AttachmentError {
    part: &'static str,
    input: String,
    reason: &'static str,
}

impl AttachmentError {
    pub(super) fn new(part: &'static str, input: &str, reason: &'static str) -> Self {
        Self {
            part,
            input: excerpt(input),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_guessed_or_given() {
        for (name, expected) in [
            ("a.pdf", "application/pdf"),
            ("a.PNG", "image/png"),
            ("x.unknownext", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(Attachment::new(name, "").unwrap().content_type(), expected);
        }
        let given = Attachment::new("a.pdf", "")
            .unwrap()
            .with_content_type("text/plain; charset=\"iso-8859-1\"")
            .unwrap();
        assert_eq!(given.content_type(), "text/plain; charset=\"iso-8859-1\"");
    }

    #[test]
    fn what_could_break_a_line_is_refused() {
        assert!(Attachment::new("a\r\nb.txt", "").is_err());
        assert!(Attachment::inline("a\nb", "a.png", "").is_err());
        assert!(Attachment::inline("<>", "a.png", "").is_err());
        for bad in ["", "text", "text/", "/x", "te xt/x", "text/plain\r\nX: y"] {
            let plain = Attachment::new("a.txt", "").unwrap();
            assert!(plain.with_content_type(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_content_id_loses_its_angle_brackets() {
        let logo = Attachment::inline("<logo@x>", "a.png", "").unwrap();
        assert_eq!(logo.content_id(), Some("logo@x"));
        for two in ["a> <b", "<<a>>", "a>", "<a"] {
            assert!(Attachment::inline(two, "a.png", "").is_err(), "{two}");
        }
    }

    #[test]
    fn the_content_does_not_print() {
        let file = Attachment::new("a.txt", "s3cret").unwrap();
        assert!(!format!("{file:?}").contains("s3cret"));
    }
}
