//! [`Form`]: a webhook's body that is an HTML form of either kind.
//!
//! Each backend interprets the fields. `multer` and `form_urlencoded` parse the body.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::ready;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::once;
use http::{Request, header};
use multer::Multipart;

use super::content::decode_charset;
use super::inbound::InboundAttachment;
use super::parameters::Parameters;
use super::webhook::{Webhook, WebhookError, WebhookErrorKind};

/// A form that an ESP posted (feature `forms`): `multipart/form-data` (RFC 7578) or
/// `application/x-www-form-urlencoded`.
///
/// Some ESPs post inbound messages like this, with files, and some put a signature into a field.
/// Parse it in [`Webhook::read`], and also in
/// [`WebhookSignature::verify`](crate::WebhookSignature::verify) if it contains the signature. The
/// webhook's body limit applies, and there may be at most [`MAX_FIELDS`](Self::MAX_FIELDS) fields.
///
/// ```
/// use anymail_core::Form;
/// use bytes::Bytes;
/// use http::Request;
///
/// let body = "--b\r\n\
///     Content-Disposition: form-data; name=\"subject\"\r\n\
///     \r\n\
///     Hello\r\n\
///     --b\r\n\
///     Content-Disposition: form-data; name=\"attachment-1\"; filename=\"a.txt\"\r\n\
///     Content-Type: text/plain\r\n\
///     \r\n\
///     abc\r\n\
///     --b--\r\n";
/// let request = Request::post("/")
///     .header("Content-Type", "multipart/form-data; boundary=b")
///     .body(Bytes::from(body))?;
///
/// let form = Form::read(&request)?;
/// assert_eq!(form.text("subject").as_deref(), Some("Hello"));
/// let file = form.files().next().ok_or("no file")?;
/// assert_eq!((file.filename.as_deref(), &*file.content), (Some("a.txt"), &b"abc"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form(Vec<FormField>);

/// A field of a [`Form`].
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FormField {
    /// The field's name.
    pub name: String,
    /// The filename, if the field is a file.
    pub filename: Option<String>,
    /// The media type with its parameters, if the field has one. Files do.
    pub content_type: Option<String>,
    /// The content. All fields of a `multipart/form-data` body share one buffer.
    pub content: Bytes,
}

impl FormField {
    /// The content as text, in the charset that the media type names or else UTF-8. Invalid bytes
    /// become U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        let kind = self.content_type.as_deref().and_then(Parameters::read);
        let charset = kind.as_ref().and_then(|kind| kind.value("charset"));
        decode_charset(&self.content, charset)
    }

    /// The content as text in this charset, for ESPs that name the charsets in another field.
    pub fn text_in(&self, charset: &str) -> Cow<'_, str> {
        decode_charset(&self.content, Some(charset))
    }

    /// Converts the content into an attachment of an inbound message, with its filename.
    pub fn to_attachment(&self) -> InboundAttachment {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let file = InboundAttachment::new(self.content.clone(), kind);
        match &self.filename {
            Some(name) => file.with_filename(name),
            None => file,
        }
    }
}

/// Shows name and size: the content may be an email.
impl fmt::Debug for FormField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormField")
            .field("name", &self.name)
            .field("is_file", &self.filename.is_some())
            .field("bytes", &self.content.len())
            .finish()
    }
}

impl Form {
    /// The maximum number of fields. ESPs post a few dozen, and one for each file.
    pub const MAX_FIELDS: usize = 1000;

    /// Parses the form in a request's body, in time and memory proportional to the body.
    ///
    /// Unnamed parts of a `multipart/form-data` body are skipped.
    ///
    /// # Errors
    /// [`FormError`] if the `Content-Type` is not one of a form, or if the body is malformed or has
    /// more than [`MAX_FIELDS`](Self::MAX_FIELDS) fields.
    pub fn read(request: &Request<Bytes>) -> Result<Self, FormError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        let kind = kind.ok_or(FormError::NotAForm)?;
        let media_type = kind.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("multipart/form-data") {
            let boundary = multer::parse_boundary(kind).map_err(|_| FormError::Malformed)?;
            let body = once(ready(Ok::<_, Infallible>(request.body().clone())));
            // The whole body is available, so this never waits.
            let read = parts(Multipart::new(body, boundary)).now_or_never();
            return read.unwrap_or(Err(FormError::Malformed)).map(Self);
        }
        if !is("application/x-www-form-urlencoded") {
            return Err(FormError::NotAForm);
        }
        let pairs = form_urlencoded::parse(request.body());
        let fields: Vec<_> = pairs
            .take(Self::MAX_FIELDS + 1)
            .map(|(name, value)| FormField {
                name: name.into_owned(),
                content: Bytes::from(value.into_owned()),
                ..FormField::default()
            })
            .collect();
        match fields.len() > Self::MAX_FIELDS {
            true => Err(FormError::TooManyFields),
            false => Ok(Self(fields)),
        }
    }

    /// All fields, in order.
    pub fn fields(&self) -> &[FormField] {
        &self.0
    }

    /// The first field with this name.
    pub fn field(&self, name: &str) -> Option<&FormField> {
        self.0.iter().find(|field| field.name == name)
    }

    /// The text of the first field with this name.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.field(name).map(FormField::text)
    }

    /// The fields that are files, in order.
    pub fn files(&self) -> impl Iterator<Item = &FormField> {
        self.0.iter().filter(|field| field.filename.is_some())
    }
}

impl IntoIterator for Form {
    type Item = FormField;
    type IntoIter = std::vec::IntoIter<FormField>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

async fn parts(mut form: Multipart<'static>) -> Result<Vec<FormField>, FormError> {
    let mut fields = Vec::new();
    let mut seen = 0;
    while let Some(part) = form.next_field().await.map_err(|_| FormError::Malformed)? {
        seen += 1;
        if seen > Form::MAX_FIELDS {
            return Err(FormError::TooManyFields);
        }
        let Some(name) = part.name().map(str::to_owned) else {
            continue;
        };
        let filename = part.file_name().map(str::to_owned);
        let content_type = part.content_type().map(ToString::to_string);
        let content = part.bytes().await.map_err(|_| FormError::Malformed)?;
        fields.push(FormField {
            name,
            filename,
            content_type,
            content,
        });
    }
    Ok(fields)
}

/// The error of parsing a [`Form`]. It quotes nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The `Content-Type` is not one of a form.
    #[error("the Content-Type is not one of a form")]
    NotAForm,
    /// The body is truncated or does not match its `Content-Type`.
    #[error("the body is truncated or does not match its Content-Type")]
    Malformed,
    /// There are more than [`Form::MAX_FIELDS`] fields.
    #[error("the form has more than {} fields", Form::MAX_FIELDS)]
    TooManyFields,
}

impl FormError {
    /// Converts it into an error of the webhook that received the body.
    pub fn at<W: Webhook + ?Sized>(self, webhook: &W) -> WebhookError {
        let kind = match self {
            Self::NotAForm => WebhookErrorKind::WrongContentType,
            Self::Malformed => WebhookErrorKind::MalformedBody,
            Self::TooManyFields => WebhookErrorKind::TooLarge,
        };
        WebhookError::new(webhook, kind, self.to_string())
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
