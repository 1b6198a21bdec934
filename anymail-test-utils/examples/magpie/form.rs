//! Reads the body of a webhook's request as a form, of either kind.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::once;
use http::{Request, header};
use multer::Multipart;

/// More fields than this are no form of an ESP's.
const MAX_FIELDS: usize = 1000;

/// One field.
pub struct Field {
    pub name: String,
    /// The name of a file.
    pub filename: Option<String>,
    /// A file's media type, with its parameters.
    pub content_type: Option<String>,
    pub content: Bytes,
}

impl Field {
    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// The fields of a form, in order; `None` where the body is no form.
pub fn fields(request: &Request<Bytes>) -> Option<Vec<Field>> {
    let kind = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    if let Ok(boundary) = multer::parse_boundary(kind) {
        let body = once(ready(Ok::<_, Infallible>(request.body().clone())));
        // The whole body is there, so there is nothing to wait for.
        return parts(Multipart::new(body, boundary)).now_or_never()?;
    }
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let field = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| Field {
        name: name.into_owned(),
        filename: None,
        content_type: None,
        content: value.into_owned().into(),
    };
    let pairs = form_urlencoded::parse(request.body()).map(field);
    Some(pairs.take(MAX_FIELDS).collect())
}

async fn parts(mut form: Multipart<'static>) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while let Some(part) = form.next_field().await.ok()? {
        let (Some(name), true) = (part.name(), fields.len() < MAX_FIELDS) else {
            continue;
        };
        fields.push(Field {
            name: name.to_owned(),
            filename: part.file_name().map(str::to_owned),
            content_type: part.content_type().map(ToString::to_string),
            content: part.bytes().await.ok()?,
        });
    }
    Some(fields)
}
