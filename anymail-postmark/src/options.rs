//! [`PostmarkOptions`]: typed names for Postmark's `esp_extra`.
//!
//! `sending/payload.rs` adds `esp_extra` to requests.

use anymail_core::{JsonMap, Secret};
use serde_json::Value;

/// The key of `esp_extra` with a token for one message. It is removed from the request.
pub(crate) const SERVER_TOKEN: &str = "server_token";
/// The metadata key of the generated ID, in requests and in webhooks.
pub(crate) const ANYMAIL_ID: &str = "anymail_id";

/// The links of a message that Postmark tracks (`TrackLinks`).
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
    /// Postmark's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::HtmlAndText => "HtmlAndText",
            Self::HtmlOnly => "HtmlOnly",
            Self::TextOnly => "TextOnly",
        }
    }
}

/// Options of a single message that only Postmark has.
///
/// They are stored in the message's `esp_extra`. Other keys in it are sent to Postmark unchanged.
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
    /// Creates an empty set of options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the ID of the message stream. Postmark's default is `outbound`, unless
    /// [`PostmarkConfig`](crate::PostmarkConfig) sets another one.
    #[must_use]
    pub fn message_stream(mut self, id: impl Into<String>) -> Self {
        self.message_stream = Some(id.into());
        self
    }

    /// Sets which links are tracked. Takes precedence over the message's `track_clicks`.
    #[must_use]
    pub fn track_links(mut self, links: LinkTracking) -> Self {
        self.track_links = Some(links);
        self
    }

    /// Sets whether a template's styles are inlined into its elements. Postmark does so by default.
    /// For templates only.
    #[must_use]
    pub fn inline_css(mut self, on: bool) -> Self {
        self.inline_css = Some(on);
        self
    }

    /// Sets the server token for this message, instead of the backend's own. It becomes part of the
    /// message's JSON form, so be careful where you store it.
    #[must_use]
    pub fn server_token(mut self, token: impl Into<Secret>) -> Self {
        self.server_token = Some(token.into());
        self
    }

    /// Converts the options into a message's `esp_extra`.
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
    fn unset_options_are_absent() {
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
