//! Reads a request as Postmark understands it.

use anymail_core::Address;
use anymail_test_utils::conformance::{File, HarnessError, Understood};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;

/// The fields of a message: <https://postmarkapp.com/developer/api/email-api>.
const FIELDS: [&str; 19] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "ReplyTo",
    "Subject",
    "TextBody",
    "HtmlBody",
    "Tag",
    "Headers",
    "Metadata",
    "TrackOpens",
    "TrackLinks",
    "Attachments",
    "MessageStream",
    // Those of https://postmarkapp.com/developer/api/templates-api:
    "TemplateId",
    "TemplateAlias",
    "TemplateModel",
    "InlineCss",
];

/// The endpoint of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Email,
    WithTemplate,
    Batch,
    BatchWithTemplates,
}

impl Endpoint {
    pub(crate) fn is_batch(self) -> bool {
        matches!(self, Self::Batch | Self::BatchWithTemplates)
    }

    fn has_templates(self) -> bool {
        matches!(self, Self::WithTemplate | Self::BatchWithTemplates)
    }
}

pub(crate) fn endpoint(request: &Request<Bytes>) -> Option<Endpoint> {
    match request.uri().path().trim_end_matches('/') {
        "/email" => Some(Endpoint::Email),
        "/email/withTemplate" => Some(Endpoint::WithTemplate),
        "/email/batch" => Some(Endpoint::Batch),
        "/email/batchWithTemplates" => Some(Endpoint::BatchWithTemplates),
        _ => None,
    }
}

/// Returns the messages of a request, or Postmark's refusal.
pub(crate) fn mails(request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
    let endpoint = endpoint(request).ok_or("Postmark has no such path")?;
    if request.method() != Method::POST {
        return Err("mail is sent by POST".into());
    }
    for name in ["accept", "content-type"] {
        let value = request.headers().get(name).map(|value| value.as_bytes());
        if value != Some(b"application/json") {
            return Err(format!("without {name}: application/json Postmark answers 415").into());
        }
    }
    if !request.headers().contains_key("x-postmark-server-token") {
        return Err("there is no X-Postmark-Server-Token".into());
    }
    let json: Value = serde_json::from_slice(request.body())?;
    let rows = match endpoint {
        Endpoint::Email | Endpoint::WithTemplate => std::slice::from_ref(&json),
        Endpoint::Batch => json.as_array().ok_or("a batch is a list")?,
        Endpoint::BatchWithTemplates => json["Messages"].as_array().ok_or("no Messages")?,
    };
    if rows.len() > 500 {
        return Err("Postmark takes 500 messages in a batch".into());
    }
    rows.iter().map(|row| mail(endpoint, row)).collect()
}

fn mail(endpoint: Endpoint, json: &Value) -> Result<Understood, HarnessError> {
    let object = json.as_object().ok_or("a message is an object")?;
    for (name, value) in object {
        if !FIELDS.contains(&&**name) {
            return Err(format!("Postmark knows no field {name}").into());
        }
        if value.is_null() {
            return Err(format!("{name} is null").into());
        }
    }
    if endpoint.has_templates() && json["TemplateModel"].as_object().is_none() {
        return Err("a template needs a TemplateModel".into());
    }
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let addresses = |name: &str| match json.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(list)) => Address::parse_list(list).map_err(HarnessError::from),
        Some(_) => Err(format!("{name} is a text with commas").into()),
    };
    let template = match &json["TemplateId"] {
        Value::Number(id) => Some(id.to_string()),
        Value::Null => text("TemplateAlias"),
        _ => return Err("a TemplateId is a number".into()),
    };
    Ok(Understood {
        from: Some(text("From").ok_or("there is no From")?.parse()?),
        to: addresses("To")?,
        cc: addresses("Cc")?,
        bcc: addresses("Bcc")?,
        reply_to: addresses("ReplyTo")?,
        subject: text("Subject"),
        text: text("TextBody"),
        html: text("HtmlBody"),
        headers: headers(&json["Headers"])?,
        attachments: items(&json["Attachments"])
            .map(file)
            .collect::<Result<_, _>>()?,
        metadata: object
            .get("Metadata")
            .map(|map| serde_json::from_value(map.clone())) // strings only: all else is a 403
            .transpose()?
            .unwrap_or_default(),
        tags: text("Tag").into_iter().collect(),
        track_opens: json["TrackOpens"].as_bool(),
        track_clicks: match json["TrackLinks"].as_str() {
            None => None,
            Some("None") => Some(false),
            Some("HtmlAndText" | "HtmlOnly" | "TextOnly") => Some(true),
            Some(other) => return Err(format!("TrackLinks cannot be {other:?}").into()),
        },
        template_id: template,
        merge_data: json["TemplateModel"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
        extra: object
            .iter()
            .filter(|(name, _)| ["MessageStream", "InlineCss"].contains(&&***name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..Understood::default()
    })
}

fn items(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn headers(json: &Value) -> Result<Vec<(String, String)>, HarnessError> {
    let one = |header: &Value| {
        let text = |name: &str| header[name].as_str().map(str::to_owned);
        Ok((
            text("Name").ok_or("a header has a Name")?,
            text("Value").ok_or("a header has a Value")?,
        ))
    };
    items(json).map(one).collect()
}

fn file(json: &Value) -> Result<File, HarnessError> {
    let text = |name: &str| {
        json[name]
            .as_str()
            .ok_or(format!("an attachment has a {name}"))
    };
    let id = match &json["ContentID"] {
        Value::Null => None,
        Value::String(id) => Some(
            id.strip_prefix("cid:")
                .ok_or("a ContentID begins with cid:")?,
        ),
        _ => return Err("a ContentID is a text".into()),
    };
    Ok(File {
        name: Some(text("Name")?.to_owned()),
        content_type: text("ContentType")?.to_owned(),
        content: STANDARD.decode(text("Content")?)?.into(),
        inline: id.is_some(),
        content_id: id.map(str::to_owned),
    })
}
