//! [`Attachment`]: bytes with a media type, attached or inline.
//!
//! Each backend writes attachments into its requests.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use uuid::Uuid;

use super::text::{excerpt, first_control};

/// The maximum length of a content ID. Its header can be neither folded nor encoded, so it must fit
/// on one line (RFC 5322, 2.1.1).
const MAX_CONTENT_ID: usize = 900;

/// The largest file that is read: twice the largest request of any known ESP.
const MAX_FILE_BYTES: u64 = 100 * 1024 * 1024;

/// Characters that are escaped in a `cid:` URL. Some clients compare IDs without unescaping.
const IN_CID_URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'@')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'+')
    .remove(b'=')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'*')
    .remove(b'/');

/// A file that is sent with a message, attached or inline.
///
/// Cloning it does not copy the content. The media type is guessed from the extension of the file
/// name unless it is set; it is `application/octet-stream` if the extension is unknown.
///
/// ```
/// use anymail_core::{Attachment, ContentId};
///
/// let report = Attachment::new("report.pdf", "%PDF-1.7 ...")?;
/// assert_eq!(report.content_type(), "application/pdf");
///
/// let logo = ContentId::new("logo@example.com")?;
/// let picture = Attachment::new("logo.png", vec![0x89, b'P'])?.inline(&logo);
/// assert!(picture.is_inline());
/// assert_eq!(format!("<img src=\"{}\">", logo.url()), "<img src=\"cid:logo@example.com\">");
/// # Ok::<(), anymail_core::AttachmentError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    filename: Option<String>,
    content: Bytes,
    content_type: String,
    inline: bool,
    content_id: Option<ContentId>,
}

impl Attachment {
    /// Creates an attachment; its media type is guessed from the filename.
    ///
    /// # Errors
    /// [`AttachmentError`] if the name contains a control character.
    pub fn new(filename: &str, content: impl Into<Bytes>) -> Result<Self, AttachmentError> {
        Self::from_parts(Some(filename), content.into(), None, false, None)
    }

    /// Reads a file and attaches it under the last part of its path. Its media type is guessed from
    /// that name.
    ///
    /// The call blocks until the whole file is read. In async code, read large files and files on
    /// network drives with `tokio::fs::read`, and pass the content to [`new`](Self::new).
    ///
    /// # Errors
    /// [`AttachmentError`] with the path if it is not a regular file, cannot be read, or is larger
    /// than 100 MiB.
    ///
    /// ```
    /// use anymail_core::Attachment;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("terms.txt");
    /// # std::fs::write(&path, "Be kind.\n")?;
    /// let terms = Attachment::from_file(&path)?; // for example "files/terms.txt"
    /// assert_eq!(terms.filename(), Some("terms.txt"));
    /// assert_eq!(terms.content_type(), "text/plain");
    ///
    /// let error = Attachment::from_file("files/missing.pdf").unwrap_err();
    /// assert!(error.to_string().starts_with("could not read \"files/missing.pdf\": "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, AttachmentError> {
        let path = path.as_ref();
        let content = read_file(path).map_err(|error| AttachmentError::unreadable(path, &error))?;
        let filename = path.file_name().unwrap_or_default().to_string_lossy();
        Self::new(&filename, content)
    }

    /// Makes the attachment inline: the HTML body shows it with the [URL](ContentId::url) of this
    /// content ID.
    #[must_use]
    pub fn inline(mut self, content_id: &ContentId) -> Self {
        self.inline = true;
        self.content_id = Some(content_id.clone());
        self
    }

    /// Sets the media type, for example `text/plain; charset="iso-8859-1"`.
    ///
    /// # Errors
    /// [`AttachmentError`] if the text is not a media type.
    pub fn with_content_type(mut self, content_type: &str) -> Result<Self, AttachmentError> {
        self.content_type = checked_media_type(content_type)?;
        Ok(self)
    }

    /// Removes the filename.
    #[must_use]
    pub fn without_filename(mut self) -> Self {
        self.filename = None;
        self
    }

    /// Creates an attachment from its JSON fields.
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
        if filename.is_some_and(|name| first_control(name).is_some()) {
            let name = filename.unwrap_or_default();
            return Err(AttachmentError::new("filename", name, CONTROL));
        }
        let content_id = content_id.filter(|id| !without_brackets(id).is_empty());
        if inline && content_id.is_none() {
            return Err(AttachmentError::new(
                "content_id",
                "",
                "required for an inline attachment",
            ));
        }
        Ok(Self {
            filename: filename.map(str::to_owned),
            content,
            content_type,
            inline,
            content_id: content_id.map(ContentId::new).transpose()?,
        })
    }

    /// The filename, if any.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The content, before any transfer encoding.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// The media type with its parameters.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Whether the HTML body shows it, instead of being listed next to the body.
    pub fn is_inline(&self) -> bool {
        self.inline
    }

    /// The content ID without angle brackets. Every inline attachment has one.
    pub fn content_id(&self) -> Option<&str> {
        self.content_id.as_ref().map(ContentId::as_str)
    }
}

/// The ID with which the HTML body shows an inline attachment: the value of the `Content-ID`
/// header, without angle brackets.
///
/// ```
/// use anymail_core::{ContentId, Message};
///
/// let logo = ContentId::random();
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.com")
///     .html_body(format!("<img src=\"{}\" alt=\"Shop\">", logo.url()))
///     .attach_inline("logo.png", vec![0x89, b'P'], &logo)
///     .build()?;
/// # Ok::<(), anymail_core::MessageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentId(String);

impl ContentId {
    /// Creates a content ID from a text of your choice, with or without angle brackets. According
    /// to the standard it has the form of an address (`logo@example.com`), but mail clients accept
    /// others.
    ///
    /// # Errors
    /// [`AttachmentError`] if the ID is empty, contains an angle bracket or a control character, or
    /// is longer than 900 bytes.
    pub fn new(id: &str) -> Result<Self, AttachmentError> {
        let id = without_brackets(id);
        let problem = if id.is_empty() {
            "must not be empty"
        } else if first_control(id).is_some() {
            CONTROL
        } else if id.contains(['<', '>']) {
            "must not contain angle brackets"
        } else if id.len() > MAX_CONTENT_ID {
            "longer than 900 bytes"
        } else {
            return Ok(Self(id.to_owned()));
        };
        Err(AttachmentError::new("content_id", id, problem))
    }

    /// Creates a unique content ID.
    pub fn random() -> Self {
        Self(format!("{}@inline", Uuid::new_v4().simple()))
    }

    /// The ID without angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL for the HTML body, for example `cid:logo@example.com`.
    pub fn url(&self) -> String {
        format!("cid:{}", utf8_percent_encode(&self.0, IN_CID_URL))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn without_brackets(id: &str) -> &str {
    let id = id.trim();
    let inside = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inside.unwrap_or(id)
}

/// Opening a pipe or a device could block forever, and reading one may never end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut content = Vec::new();
    let file = File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MAX_FILE_BYTES {
        true => Err(io::Error::other("larger than 100 MiB")),
        false => Ok(content),
    }
}

fn guess(filename: &str) -> String {
    mime_guess::from_path(filename)
        .first_raw()
        .unwrap_or("application/octet-stream")
        .to_owned()
}

/// Accepts `type/subtype`, with or without parameters, on a single line.
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
            "not a valid media type, such as image/png",
        ));
    }
    Ok(text.trim().to_owned())
}

/// Shows the metadata, not the content.
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
        out.serialize_field("content_id", &self.content_id())?;
        out.end()
    }
}

const CONTROL: &str = "must not contain control characters";

/// The error of creating an attachment: the invalid part, what was given, and why it is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {reason}")]
pub struct AttachmentError {
    subject: String,
    reason: Cow<'static, str>,
}

impl AttachmentError {
    pub(super) fn new(part: &str, input: &str, reason: &'static str) -> Self {
        Self {
            subject: format!("{part} {:?}", excerpt(input)),
            reason: reason.into(),
        }
    }

    /// Includes the whole path: its end, which distinguishes files, must not be truncated.
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            subject: format!("could not read {path:?}"),
            reason: error.to_string().into(),
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
    fn line_breaks_are_refused() {
        assert!(Attachment::new("a\r\nb.txt", "").is_err());
        assert!(ContentId::new("a\nb").is_err());
        assert!(ContentId::new("<>").is_err());
        for bad in ["", "text", "text/", "/x", "te xt/x", "text/plain\r\nX: y"] {
            let plain = Attachment::new("a.txt", "").unwrap();
            assert!(plain.with_content_type(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_content_id_loses_its_angle_brackets() {
        let id = ContentId::new("<logo@x>").unwrap();
        let logo = Attachment::new("a.png", "").unwrap().inline(&id);
        assert_eq!(logo.content_id(), Some("logo@x"));
        for two in ["a> <b", "<<a>>", "a>", "<a"] {
            assert!(ContentId::new(two).is_err(), "{two}");
        }
    }

    #[test]
    fn the_url_of_a_content_id_cannot_end_an_html_attribute() {
        let url = |id| ContentId::new(id).unwrap().url();
        assert_eq!(
            url("logo+1_a-b.c@example.com"),
            "cid:logo+1_a-b.c@example.com"
        );
        assert_eq!(url("a\" onload='x' b%"), "cid:a%22%20onload=%27x%27%20b%25");
        assert_ne!(ContentId::random(), ContentId::random());
    }

    #[test]
    fn a_file_is_read_completely_or_reported_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{}.pdf", "n".repeat(100)));
        let error = Attachment::from_file(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("{path:?}")), "{error}");
        fs::write(&path, "%PDF").unwrap();
        let file = Attachment::from_file(&path).unwrap();
        assert_eq!(file.content_type(), "application/pdf");
        assert_eq!(
            file.filename(),
            path.file_name().and_then(|name| name.to_str())
        );
        assert_eq!(&file.content()[..], b"%PDF");
        let error = Attachment::from_file(folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("not a regular file"), "{error}");
        let resize = |bytes| {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(bytes).unwrap();
        };
        resize(104_857_601);
        let error = Attachment::from_file(&path).unwrap_err().to_string();
        assert!(error.ends_with("larger than 100 MiB"), "{error}");
        resize(104_857_600);
        assert!(Attachment::from_file(&path).is_ok());
    }

    #[test]
    fn debug_does_not_show_the_content() {
        let file = Attachment::new("a.txt", "s3cret").unwrap();
        assert!(!format!("{file:?}").contains("s3cret"));
    }
}
