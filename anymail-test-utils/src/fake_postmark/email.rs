//! [`EmailRequest`]: one message of a request, with only its types checked.
//!
//! `check.rs` checks the values.

use serde_json::Value;

use super::fields::Fields;
use super::rules::ApiError;

/// The fields of `POST /email` and of its variants with templates.
#[derive(Debug, Clone, Default)]
pub(super) struct EmailRequest {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) cc: Option<String>,
    pub(super) bcc: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) html_body: Option<String>,
    pub(super) text_body: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) track_opens: Option<bool>,
    pub(super) track_links: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) attachments: Vec<AttachmentRequest>,
    pub(super) stream: Option<String>,
    pub(super) template_id: Option<i64>,
    pub(super) template_alias: Option<String>,
    pub(super) template_model: Option<Value>,
    /// Whether Subject, TextBody or HtmlBody has any value, even an empty one.
    pub(super) has_content: bool,
    /// The JSON of the request.
    pub(super) raw: Value,
}

/// An attachment as in the request.
#[derive(Debug, Clone)]
pub(super) struct AttachmentRequest {
    pub(super) name: Option<String>,
    pub(super) content: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) content_id: Option<String>,
}

impl EmailRequest {
    /// # Errors
    /// Returns an error if a value has the wrong type.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ApiError> {
        fields.flag("InlineCss")?; // accepted, but without effect: the fake does not inline CSS
        let model = fields.object("TemplateModel")?;
        Ok(Self {
            from: fields.text("From")?,
            to: fields.text("To")?,
            cc: fields.text("Cc")?,
            bcc: fields.text("Bcc")?,
            reply_to: fields.text("ReplyTo")?,
            subject: fields.text("Subject")?,
            html_body: fields.text("HtmlBody")?,
            text_body: fields.text("TextBody")?,
            tag: fields.text("Tag")?,
            headers: fields.names_and_values("Headers")?,
            track_opens: fields.flag("TrackOpens")?,
            track_links: fields.text("TrackLinks")?,
            metadata: fields.strings("Metadata")?,
            attachments: read_attachments(fields)?,
            stream: fields.text("MessageStream")?,
            template_id: fields.integer("TemplateId")?,
            template_alias: fields.text("TemplateAlias")?,
            template_model: model.map(|model| model.raw()),
            has_content: ["Subject", "TextBody", "HtmlBody"]
                .iter()
                .any(|key| fields.has(key)),
            raw: fields.raw(),
        })
    }
}

fn read_attachments(fields: &Fields<'_>) -> Result<Vec<AttachmentRequest>, ApiError> {
    let read = |item: &Fields<'_>| {
        Ok(AttachmentRequest {
            name: item.text("Name")?,
            content: item.text("Content")?,
            content_type: item.text("ContentType")?,
            content_id: item.text("ContentID")?,
        })
    };
    fields.list("Attachments")?.iter().map(read).collect()
}
