//! [`PostmarkOptions`]: typed names for what `esp_extra` carries to Postmark.
//!
//! How `esp_extra` gets into a request is `sending/payload.rs`'s.

use anymail_core::{JsonMap, Secret};
use serde_json::Value;

/// The key of `esp_extra` that holds a token for one message; it is taken out of the request.
pub(crate) const SERVER_TOKEN: &str = "server_token";
/// The key of a mail's metadata that holds the id that we made up for it, in requests and in
/// webhooks.
pub(crate) const ANYMAIL_ID: &str = "anymail_id";

/// Which links of a message Postmark tracks (`TrackLinks`).
///
/// `Message::track_clicks` chooses between [`HtmlAndText`](Self::HtmlAndText) and
/// [`None`](Self::None).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkTracking {
    /// No links.
    None,
    /// The links of both bodies.
    HtmlAndText,
    /// The links of the HTML body.
    HtmlOnly,
    /// The links of the plain text.
    TextOnly,
}

impl LinkTracking {
    /// Postmark's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::HtmlAndText => "HtmlAndText",
            Self::HtmlOnly => "HtmlOnly",
            Self::TextOnly => "TextOnly",
        }
    }
}

/// Options of one message that only Postmark has.
///
/// They travel in the message's `esp_extra`; what stands there beside them goes to Postmark
/// as it is.
///
/// ```
/// use anymail_core::Message;
/// use anymail_postmark::{LinkTracking, PostmarkOptions};
///
/// let options = PostmarkOptions::new()
///     .message_stream("broadcast")
///     .track_links(LinkTracking::HtmlOnly);
/// let message = Message::builder()
///     .from("news@example.com")
///     .to("ann@example.com")
///     .subject("News")
///     .text_body("None.")
///     .esp_extra(options.to_esp_extra())
///     .build()?;
/// # Ok::<(), anymail_core::MessageError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PostmarkOptions {
    message_stream: Option<String>,
    track_links: Option<LinkTracking>,
    inline_css: Option<bool>,
    server_token: Option<Secret>,
}

impl PostmarkOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The message stream to send through, by its id; `outbound` where nothing else is said,
    /// here or in [`PostmarkConfig`](crate::PostmarkConfig).
    #[must_use]
    pub fn message_stream(mut self, id: impl Into<String>) -> Self {
        self.message_stream = Some(id.into());
        self
    }

    /// Which links are tracked; wins over the message's `track_clicks`.
    #[must_use]
    pub fn track_links(mut self, links: LinkTracking) -> Self {
        self.track_links = Some(links);
        self
    }

    /// Whether a template's styles are written into its elements; Postmark does it where
    /// nothing is said. For templates only.
    #[must_use]
    pub fn inline_css(mut self, on: bool) -> Self {
        self.inline_css = Some(on);
        self
    }

    /// The server token to send this message with, in the place of the backend's own. It is
    /// part of the message's JSON form: mind where that goes.
    #[must_use]
    pub fn server_token(mut self, token: impl Into<Secret>) -> Self {
        self.server_token = Some(token.into());
        self
    }

    /// The options as they stand in a message's `esp_extra`.
    pub fn to_esp_extra(&self) -> JsonMap {
        let text = |text: &str| Value::from(text);
        [
            ("MessageStream", self.message_stream.as_deref().map(text)),
            ("TrackLinks", self.track_links.map(|it| text(it.as_str()))),
            ("InlineCss", self.inline_css.map(Value::from)),
            (
                SERVER_TOKEN,
                self.server_token.as_ref().map(|it| text(it.expose())),
            ),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_not_said_is_not_there() {
        assert!(PostmarkOptions::new().to_esp_extra().is_empty());
        let options = PostmarkOptions::new()
            .message_stream("broadcast")
            .track_links(LinkTracking::TextOnly)
            .inline_css(false)
            .server_token("s3cret");
        assert_eq!(
            Value::from(options.to_esp_extra()),
            json!({"MessageStream": "broadcast", "TrackLinks": "TextOnly", "InlineCss": false,
                "server_token": "s3cret"})
        );
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
