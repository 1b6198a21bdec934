//! Magpie's side of the wire, for the conformance suite.
//!
//! `posts.rs` contains what it posts to webhooks.

use std::sync::Arc;

use anymail_core::{Address, EmailBackend, JsonMap, Metadata, Secret, Status, WebhookAuth};
use anymail_test_utils::conformance::{
    Credentials, Failure, File, Harness, HarnessError, MessageIds, Posts, Profile, Report, Signer,
    Target, Understood,
};
use bytes::Bytes;
use http::{Request, Response, header};
use mail_parser::{MessageParser, MimeHeaders};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::backend::Magpie;
use super::posts::{self, MagpieSigner};

/// The domain to send from.
const DOMAIN: &str = "mg.example.com";

/// Knows Magpie's API.
pub struct MagpieHarness;

impl Harness for MagpieHarness {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let key = Secret::new(&*target.secret);
        let magpie = Magpie::new(&target.url, DOMAIN, key, target.timeout)?;
        Ok(Arc::new(magpie))
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        if request.uri().path() != format!("/v3/{DOMAIN}/messages") {
            return Err("unknown path".into());
        }
        let mut form = Form(read_form(request)?);
        let to = form.people("to")?;
        form.0.retain(|part| part.name != "to"); // up to a thousand fields, which no message reads again
        match to.len() {
            0 => return Err("`to` is missing".into()),
            1001.. => return Err("Magpie accepts at most 1,000 recipients per call".into()),
            _ => {}
        }
        // With variables by recipient, each recipient gets a separate message.
        let Some(variables) = form.text("recipient-variables") else {
            return Ok(vec![form.mail(to, &JsonMap::new())?]);
        };
        let variables: JsonMap = serde_json::from_str(&variables)?;
        let mut mails = Vec::new();
        for address in to {
            let own = variables.get(&address.ascii_email());
            let own = own.and_then(Value::as_object).cloned().unwrap_or_default();
            mails.push(form.mail(vec![address], &own)?);
        }
        Ok(mails)
    }

    fn response(&self, _: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        let all = |status| reports.iter().all(|report| report.status() == Some(status));
        let first = reports.first()?;
        match () {
            () if all(Status::Queued) => {
                let json = json!({"id": first.id, "message": "Queued. Thank you."});
                Some(response(200, &json))
            }
            () if all(Status::Failed) => {
                Some(response(400, &json!({"message": first.error_message})))
            }
            // Only webhooks report the status of each recipient.
            () => None,
        }
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        let status = match failure.http_status {
            422 => 400,
            other => other,
        };
        response(status, &json!({"message": failure.error_message}))
    }

    fn credentials(&self, secret: &str) -> Credentials {
        Credentials::basic("api", secret)
    }

    fn profile(&self) -> Profile {
        let map = |json: Value| json.as_object().cloned().unwrap_or_default();
        let spy = "spy@example.com";
        Profile {
            accepts_as: Status::Queued,
            message_ids: MessageIds::PerCall,
            message_id: |n| format!("<20261126.{n:08}.MAGPIE@{DOMAIN}>"),
            recipients_per_call: Some(1000),
            inline_parts_have_names: false,
            placeholder: |name| format!("%recipient.{name}%"),
            esp_extra: map(options()),
            recipient_keys: map(json!({"to": spy, "cc": spy, "bcc": spy})),
            subject_key: Some("subject".to_owned()),
            ..Profile::default()
        }
    }

    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        posts::all(auth, sent)
    }

    fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::new(MagpieSigner))
    }
}

/// Options that only Magpie has.
fn options() -> Value {
    json!({
        "o:testmode": true, "o:dkim": false, "o:deliverytime-optimize-period": "24h",
        "o:archive-to": ["first", "second"], "o:weight": 7, "o:meta": {"a": [1, 2]}
    })
}

fn response(status: u16, json: &Value) -> Response<Bytes> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json");
    response.body(json.to_string().into()).unwrap_or_default()
}

/// A field of a form, as it arrived.
pub struct Part {
    pub name: String,
    pub filename: Option<String>,
    pub content_type: Option<String>,
    pub content: Bytes,
}

/// Parses `multipart/form-data` with a mail parser, to be independent of the backend's code.
pub fn read_form(request: &Request<Bytes>) -> Result<Vec<Part>, HarnessError> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.ok_or("there is no Content-Type")?.as_bytes();
    if !kind.starts_with(b"multipart/form-data") {
        return Err("the body is not multipart/form-data".into());
    }
    let mime = Bytes::from([b"Content-Type: ", kind, b"\r\n\r\n", request.body()].concat());
    let parsed = MessageParser::new().parse(&mime[..]);
    let parsed = parsed.ok_or("the body is no form")?;
    let mut parts = Vec::new();
    for part in parsed.parts.iter().skip(1) {
        let disposition = part.content_disposition();
        let Some(name) = disposition.and_then(|it| it.attribute("name")) else {
            continue; // part of an attached message
        };
        let content_type = part.headers.iter().find(|it| it.name() == "Content-Type");
        let content_type = content_type
            .and_then(|it| mime.get(it.offset_start() as usize..it.offset_end() as usize))
            .map(|value| String::from_utf8_lossy(value).trim().to_owned());
        let body = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
        parts.push(Part {
            name: name.to_owned(),
            filename: disposition
                .and_then(|it| it.attribute("filename"))
                .map(str::to_owned),
            content_type,
            content: mime.slice(body),
        });
    }
    Ok(parts)
}

struct Form(Vec<Part>);

impl Form {
    fn texts<'f>(&'f self, name: &'f str) -> impl Iterator<Item = String> + 'f {
        let same = self.0.iter().filter(move |part| part.name == name);
        same.map(|part| String::from_utf8_lossy(&part.content).into_owned())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.texts(name).next()
    }

    fn people(&self, name: &str) -> Result<Vec<Address>, HarnessError> {
        let mut people = Vec::new();
        for list in self.texts(name) {
            people.extend(Address::parse_list(&list)?);
        }
        Ok(people)
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, HarnessError> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("yes" | "true") => Ok(Some(true)),
            Some("no" | "false") => Ok(Some(false)),
            Some(other) => Err(format!("unexpected value of {name}: {other:?}").into()),
        }
    }

    /// Returns the fields whose names start with this prefix, without the prefix, with this
    /// recipient's variables substituted. A field that is then empty is omitted.
    fn named<'f>(
        &'f self,
        prefix: &'f str,
        own: &'f JsonMap,
    ) -> impl Iterator<Item = (String, String)> + 'f {
        let pairs = self.0.iter().filter_map(move |part| {
            let name = part.name.strip_prefix(prefix)?;
            let value = fill_in(&String::from_utf8_lossy(&part.content), own);
            Some((name.to_owned(), value))
        });
        pairs.filter(|(_, value)| !value.is_empty())
    }

    fn files(&self, field: &str) -> impl Iterator<Item = File> {
        let inline = field == "inline";
        let files = self.0.iter().filter(move |part| part.name == field);
        files.map(move |part| File {
            name: part.filename.clone().filter(|_| !inline),
            content_type: part.content_type.clone().unwrap_or_default(),
            content: part.content.clone(),
            inline,
            content_id: part.filename.clone().filter(|_| inline),
        })
    }

    fn mail(&self, to: Vec<Address>, own: &JsonMap) -> Result<Understood, HarnessError> {
        let at = self.text("o:deliverytime");
        let at = at
            .map(|at| OffsetDateTime::parse(&at, &Rfc2822))
            .transpose()?;
        let template_id = self.text("template");
        let of_template = self.text("t:variables").unwrap_or("{}".to_owned());
        let amp = self.texts("amp-html");
        let is_value = |name: &str| !name.starts_with("h:") && !name.starts_with("v:");
        let merge_data = match template_id {
            Some(_) => serde_json::from_str(&of_template)?,
            None => own
                .clone()
                .into_iter()
                .filter(|(name, _)| is_value(name))
                .collect(),
        };
        let headers = self.named("h:", own);
        let headers = headers.filter(|(name, _)| !name.eq_ignore_ascii_case("reply-to"));
        Ok(Understood {
            from: self.people("from")?.into_iter().next(),
            to,
            cc: self.people("cc")?,
            bcc: self.people("bcc")?,
            reply_to: self.people("h:Reply-To")?,
            subject: self.text("subject"),
            text: self.text("text"),
            html: self.text("html"),
            alternatives: amp.map(|amp| ("text/x-amp-html".to_owned(), amp)).collect(),
            headers: headers.collect(),
            attachments: self
                .files("attachment")
                .chain(self.files("inline"))
                .collect(),
            metadata: self.named("v:", own).collect::<Metadata>(),
            tags: self.texts("o:tag").collect(),
            track_opens: self.flag("o:tracking-opens")?,
            track_clicks: self.flag("o:tracking-clicks")?,
            send_at: at.map(OffsetDateTime::unix_timestamp),
            template_id,
            merge_data,
            extra: self.extra()?,
            ..Understood::default()
        })
    }

    /// Returns the options, each with the type that Magpie documents.
    fn extra(&self) -> Result<JsonMap, HarnessError> {
        let mut extra = JsonMap::new();
        for (name, example) in options().as_object().into_iter().flatten() {
            let texts: Vec<_> = self.texts(name).collect();
            let Some(first) = texts.first() else { continue };
            let value = match example {
                Value::Bool(_) => json!(self.flag(name)?),
                Value::Array(_) => json!(texts),
                Value::String(_) => json!(first),
                _ => serde_json::from_str(first)?,
            };
            extra.insert(name.clone(), value);
        }
        Ok(extra)
    }
}

/// Returns the text with `%recipient.name%` substituted; unknown variables stay. Values are not
/// substituted again.
fn fill_in(text: &str, own: &JsonMap) -> String {
    const MARK: &str = "%recipient.";
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(MARK) {
        filled.push_str(before);
        let known = after
            .split_once('%')
            .and_then(|(name, behind)| Some((own.get(name)?, behind)));
        match known {
            Some((value, behind)) => {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                filled.push_str(&value);
                rest = behind;
            }
            None => {
                filled.push_str(MARK);
                rest = after;
            }
        }
    }
    filled + rest
}
