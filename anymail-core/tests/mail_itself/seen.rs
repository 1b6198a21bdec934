//! What a parser sees of a message, and what it should see.

use std::fmt::Debug;

use anymail_core::{Address, Attachment, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer};

/// The parts of a message that are compared.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Seen {
    pub(crate) subject: Option<String>,
    pub(crate) from: Vec<(String, String)>,
    pub(crate) to: Vec<(String, String)>,
    pub(crate) cc: Vec<(String, String)>,
    pub(crate) reply_to: Vec<(String, String)>,
    /// Custom headers, their names in lower case.
    #[serde(deserialize_with = "header")]
    pub(crate) headers: Vec<(String, String)>,
    /// The leaves of the tree, in order.
    pub(crate) parts: Vec<Part>,
    /// What the parser objects to.
    pub(crate) defects: Vec<String>,
}

impl Seen {
    /// Describes the first difference.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<String> {
        fn differ<T: PartialEq + Debug>(what: &str, a: &T, b: &T) -> Option<String> {
            (a != b).then(|| format!("{what} {a:?}\nin the place of {b:?}"))
        }
        let whole = differ("subject", &self.subject, &other.subject)
            .or_else(|| differ("from", &self.from, &other.from))
            .or_else(|| differ("to", &self.to, &other.to))
            .or_else(|| differ("cc", &self.cc, &other.cc))
            .or_else(|| differ("reply-to", &self.reply_to, &other.reply_to))
            .or_else(|| differ("headers", &self.headers, &other.headers))
            .or_else(|| differ("defects", &self.defects, &other.defects))
            .or_else(|| differ("parts", &self.kinds(), &other.kinds()));
        let parts = || {
            self.parts.iter().zip(&other.parts).find_map(|(a, b)| {
                let content = |it: &Part| String::from_utf8_lossy(&it.content).into_owned();
                differ("disposition", &a.disposition, &b.disposition)
                    .or_else(|| differ("filename", &a.filename, &b.filename))
                    .or_else(|| differ("content ID", &a.content_id, &b.content_id))
                    .or_else(|| differ("content", &content(a), &content(b)))
                    .or_else(|| differ("bytes", &a.content, &b.content))
                    .or_else(|| differ("text", &a.text, &b.text))
                    .or_else(|| match (&a.mail, &b.mail) {
                        (Some(a), Some(b)) => a.first_difference(b),
                        (a, b) => differ("mail", &a.is_some(), &b.is_some()),
                    })
            })
        };
        whole.or_else(parts)
    }

    /// The names of all people, including those in attached messages.
    pub(crate) fn names(&mut self) -> Box<dyn Iterator<Item = &mut String> + '_> {
        let lists = [
            &mut self.from,
            &mut self.to,
            &mut self.cc,
            &mut self.reply_to,
        ];
        let names = lists.into_iter().flatten().map(|(name, _)| name);
        let mails = self.parts.iter_mut().filter_map(|it| it.mail.as_mut());
        Box::new(names.chain(mails.flat_map(|it| it.names())))
    }

    fn kinds(&self) -> Vec<&str> {
        self.parts.iter().map(|it| &*it.kind).collect()
    }
}

/// One leaf of the MIME tree.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Part {
    /// The media type without its parameters, in lower case.
    pub(crate) kind: String,
    pub(crate) disposition: Option<String>,
    pub(crate) filename: Option<String>,
    /// With its angle brackets.
    pub(crate) content_id: Option<String>,
    /// The decoded bytes. Empty for an attached message.
    #[serde(deserialize_with = "bytes")]
    pub(crate) content: Vec<u8>,
    /// The text of a text part.
    pub(crate) text: Option<String>,
    /// The message in a `message/rfc822`.
    pub(crate) mail: Option<Box<Seen>>,
}

fn bytes<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(json)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

impl Part {
    fn body(kind: &str, text: &str) -> Self {
        let kind = essence(kind);
        let is_text = kind.starts_with("text/");
        let text = if is_text {
            with_crlf(text)
        } else {
            text.to_owned()
        };
        Self {
            disposition: None,
            filename: None,
            content_id: None,
            content: text.clone().into_bytes(),
            text: is_text.then_some(text),
            mail: None,
            kind,
        }
    }

    fn file(file: &Attachment) -> Self {
        let disposition = if file.is_inline() {
            "inline"
        } else {
            "attachment"
        };
        Self {
            kind: essence(file.content_type()),
            disposition: Some(disposition.to_owned()),
            filename: file
                .filename()
                .filter(|it| !it.is_empty())
                .map(str::to_owned),
            content_id: file.content_id().map(|id| format!("<{id}>")),
            content: file.content().to_vec(),
            text: None,
            mail: None,
        }
    }
}

fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap().trim().to_ascii_lowercase()
}

/// Converts each line end to CRLF, as on the wire.
fn with_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// What parsers should see of a message. `mails` are its attached messages, in order.
pub(crate) fn expected(message: &Message, forwarded: &[Message]) -> Seen {
    let pairs = |list: &[Address]| list.iter().map(pair).collect::<Vec<_>>();
    let mut parts = Vec::new();
    let text = message.text_body.value().filter(|it| !it.is_empty());
    let html = message.html_body.value().filter(|it| !it.is_empty());
    let alternatives = message.alternatives.items();
    let amp = |it: &&anymail_core::Alternative| it.is("text/x-amp-html");
    let other = |it: &anymail_core::Alternative| Part::body(it.content_type(), it.content());
    parts.extend(text.map(|it| Part::body("text/plain", it)));
    parts.extend(alternatives.iter().filter(amp).map(other));
    parts.extend(html.map(|it| Part::body("text/html", it)));
    parts.extend(alternatives.iter().filter(|it| !amp(it)).map(other));
    let files = message.attachments.items();
    let related = |it: &&Attachment| it.is_inline() && html.is_some();
    parts.extend(files.iter().filter(related).map(Part::file));
    let mut mails = forwarded.iter();
    for file in files.iter().filter(|it| !related(it)) {
        let mut part = Part::file(file);
        if part.kind == "message/rfc822" {
            part.content.clear();
            let mail = expected(mails.next().unwrap(), &[]);
            part.mail = Some(Box::new(mail));
        }
        parts.push(part);
    }
    if parts.is_empty() {
        parts.push(Part::body("text/plain", ""));
    }
    let headers = message.headers.value().into_iter().flat_map(|it| it.iter());
    Seen {
        subject: message.subject.value().cloned(),
        from: message.from.value().map(pair).into_iter().collect(),
        to: pairs(message.to.items()),
        cc: pairs(message.cc.items()),
        reply_to: pairs(message.reply_to.items()),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), with_single_spaces(value)))
            .filter(|(name, _)| name != "message-id")
            .collect(),
        parts,
        defects: Vec::new(),
    }
}

/// The value of a custom header: where it is folded, parsers may read any white space as one
/// space.
fn with_single_spaces(value: &str) -> String {
    let words = value.split([' ', '\t']).filter(|it| !it.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn header<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<(String, String)>, D::Error> {
    let headers: Vec<(String, String)> = Vec::deserialize(json)?;
    let headers = headers.into_iter();
    Ok(headers
        .map(|(name, value)| (name, with_single_spaces(&value)))
        .collect())
}

fn pair(address: &Address) -> (String, String) {
    let name = address.name().unwrap_or_default().to_owned();
    (name, address.ascii_email())
}

/// The message as `mail-parser` sees it.
pub(crate) fn by_mail_parser(bytes: &[u8]) -> Seen {
    let parser = mail_parser::MessageParser::new()
        .with_mime_headers()
        .with_address_headers()
        .header_text(mail_parser::HeaderName::Subject)
        .default_header_text();
    seen(bytes, &parser.parse(bytes).unwrap())
}

fn custom(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let known = [
        "from",
        "to",
        "cc",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "mime-version",
    ];
    !known.contains(&&*name) && !name.starts_with("content-")
}

fn seen(whole: &[u8], mail: &mail_parser::Message<'_>) -> Seen {
    let pairs = |list: Option<&mail_parser::Address<'_>>| {
        let list = list.into_iter().flat_map(|it| it.iter());
        list.map(|it| {
            let text = |it: Option<&str>| it.unwrap_or_default().to_owned();
            (text(it.name()), text(it.address()))
        })
        .collect::<Vec<_>>()
    };
    let headers = mail.headers().iter().filter(|it| custom(it.name()));
    let mut parts = Vec::new();
    leaves(whole, mail, 0, &mut parts);
    Seen {
        subject: mail
            .header("Subject")
            .map(|it| it.as_text().unwrap_or_default().to_owned()),
        from: pairs(mail.from()),
        to: pairs(mail.to()),
        cc: pairs(mail.cc()),
        reply_to: pairs(mail.reply_to()),
        headers: headers
            .map(|it| {
                let value = it.value().as_text().unwrap_or_default();
                (it.name().to_ascii_lowercase(), with_single_spaces(value))
            })
            .collect(),
        parts,
        defects: Vec::new(),
    }
}

fn leaves(whole: &[u8], mail: &mail_parser::Message<'_>, at: u32, parts: &mut Vec<Part>) {
    use mail_parser::{MimeHeaders as _, PartType};

    let part = mail.part(at).unwrap();
    if let PartType::Multipart(children) = &part.body {
        children
            .iter()
            .for_each(|child| leaves(whole, mail, *child, parts));
        return;
    }
    let kind = part.content_type().map_or_else(String::new, |it| {
        format!("{}/{}", it.ctype(), it.subtype().unwrap_or_default()).to_ascii_lowercase()
    });
    let is_text = kind.starts_with("text/");
    parts.push(Part {
        disposition: part
            .content_disposition()
            .map(|it| it.ctype().to_ascii_lowercase()),
        filename: part.attachment_name().map(str::to_owned),
        content_id: part.content_id().map(|id| format!("<{id}>")),
        content: match &part.body {
            PartType::Message(_) => Vec::new(),
            // It returns text only in Unicode.
            _ if is_text && part.content_disposition().is_some() => {
                let end = part.raw_end_offset() as usize;
                let raw = &whole[part.raw_body_offset() as usize..end];
                let kept = raw.iter().filter(|it| !it.is_ascii_whitespace());
                BASE64.decode(kept.copied().collect::<Vec<_>>()).unwrap()
            }
            _ => part.contents().to_vec(),
        },
        text: match &part.body {
            PartType::Text(text) | PartType::Html(text) if is_text => Some(text.to_string()),
            _ => None,
        },
        mail: match &part.body {
            PartType::Message(mail) => Some(Box::new(seen(whole, mail))),
            _ => None,
        },
        kind,
    });
}
