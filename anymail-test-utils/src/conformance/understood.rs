//! [`Understood`]: what an ESP understood of a request, and what it should have understood.
//!
//! The latter is computed from the message alone, to detect mistakes of core as well as of the
//! backend.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use anymail_core::{Address, Feature, JsonMap, Message, Metadata};
use bytes::Bytes;

/// One message that the ESP would send, as it understood the request.
///
/// A batch is one message for each recipient, each with that recipient's headers, metadata and
/// template values, whatever the format of the ESP's request. Keep the default for everything that
/// the ESP does not support.
///
/// Fields may be added: write `..Understood::default()`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Understood {
    /// The sender.
    pub from: Option<Address>,
    /// The `to` recipients.
    pub to: Vec<Address>,
    /// The `cc` recipients.
    pub cc: Vec<Address>,
    /// The `bcc` recipients, whom nobody sees.
    pub bcc: Vec<Address>,
    /// The Reply-To addresses.
    pub reply_to: Vec<Address>,
    /// The address that bounces go to, or only its domain.
    pub envelope_sender: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The plain text body.
    pub text: Option<String>,
    /// The HTML body.
    pub html: Option<String>,
    /// Other bodies: media type and content.
    pub alternatives: Vec<(String, String)>,
    /// Custom headers: name and value.
    pub headers: Vec<(String, String)>,
    /// Attachments, including inline ones.
    pub attachments: Vec<File>,
    /// Metadata, which events repeat.
    pub metadata: Metadata,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether opens are tracked; `None` if the request does not say.
    pub track_opens: Option<bool>,
    /// Whether clicks are tracked; `None` if the request does not say.
    pub track_clicks: Option<bool>,
    /// When to send the message, as a Unix timestamp in seconds.
    pub send_at: Option<i64>,
    /// The template's name or number.
    pub template_id: Option<String>,
    /// The template's values for this message. The recipient's own take precedence over those for
    /// all.
    pub merge_data: JsonMap,
    /// The keys of [`Profile::esp_extra`](super::Profile::esp_extra) in the request, with their
    /// values.
    pub extra: JsonMap,
    /// The ID that the backend itself assigned to the message, if it does so. Events then contain
    /// this ID, and the status must report it.
    pub own_id: Option<String>,
}

/// An attachment, decoded.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct File {
    /// The filename; `None` or empty if it has none.
    pub name: Option<String>,
    /// The media type with its parameters.
    pub content_type: String,
    /// The bytes.
    pub content: Bytes,
    /// Whether it is an inline part, which the HTML shows, rather than a regular attachment.
    pub inline: bool,
    /// The content ID without angle brackets or `cid:`.
    pub content_id: Option<String>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_file(self))
    }
}

/// A part of messages to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    From,
    To,
    Cc,
    Bcc,
    ReplyTo,
    EnvelopeSender,
    Subject,
    Text,
    Html,
    Amp,
    Alternatives,
    Headers,
    Attachments,
    /// Media type and content of inline parts.
    Inline,
    /// The filenames of inline parts.
    InlineNames,
    /// The content IDs of inline parts.
    ContentIds,
    Metadata,
    Tags,
    TrackOpens,
    TrackClicks,
    SendAt,
    TemplateId,
    MergeData,
    Extra,
}

impl Part {
    pub(super) const ALL: [Self; 24] = [
        Self::From,
        Self::To,
        Self::Cc,
        Self::Bcc,
        Self::ReplyTo,
        Self::EnvelopeSender,
        Self::Subject,
        Self::Text,
        Self::Html,
        Self::Amp,
        Self::Alternatives,
        Self::Headers,
        Self::Attachments,
        Self::Inline,
        Self::InlineNames,
        Self::ContentIds,
        Self::Metadata,
        Self::Tags,
        Self::TrackOpens,
        Self::TrackClicks,
        Self::SendAt,
        Self::TemplateId,
        Self::MergeData,
        Self::Extra,
    ];

    /// Returns the part in which a feature is visible.
    pub(super) fn of(feature: Feature) -> Option<Self> {
        Some(match feature {
            Feature::EnvelopeSender => Self::EnvelopeSender,
            Feature::ReplyTo => Self::ReplyTo,
            Feature::Headers | Feature::MergeHeaders => Self::Headers,
            Feature::Attachments => Self::Attachments,
            Feature::InlineAttachments => Self::Inline,
            Feature::AmpHtml => Self::Amp,
            Feature::Alternatives => Self::Alternatives,
            Feature::Metadata | Feature::MergeMetadata => Self::Metadata,
            Feature::Tags => Self::Tags,
            Feature::TrackOpens => Self::TrackOpens,
            Feature::TrackClicks => Self::TrackClicks,
            Feature::SendAt => Self::SendAt,
            Feature::Template => Self::TemplateId,
            Feature::TemplateSubject => Self::Subject,
            Feature::TemplateBody => Self::Text,
            Feature::MergeData | Feature::MergeGlobalData => Self::MergeData,
            Feature::InternationalFrom => Self::From,
            Feature::Batch | Feature::InternationalRecipients => Self::To,
            Feature::WithoutTo => Self::Cc,
            Feature::EspExtra => Self::Extra,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Cc => "cc",
            Self::Bcc => "bcc",
            Self::ReplyTo => "reply_to",
            Self::EnvelopeSender => "envelope_sender",
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
            Self::Amp => "alternatives (AMP)",
            Self::Alternatives => "alternatives",
            Self::Headers => "headers",
            Self::Attachments => "attachments",
            Self::Inline => "inline parts",
            Self::InlineNames => "names of inline parts",
            Self::ContentIds => "content IDs",
            Self::Metadata => "metadata",
            Self::Tags => "tags",
            Self::TrackOpens => "track_opens",
            Self::TrackClicks => "track_clicks",
            Self::SendAt => "send_at",
            Self::TemplateId => "template_id",
            Self::MergeData => "merge_data",
            Self::Extra => "extra",
        }
    }

    /// Formats the part as text that is equal if the messages agree, and readable. Normalizes
    /// orders that have no meaning.
    pub(super) fn show(self, mail: &Understood) -> String {
        let amp = |kind: &str| kind.to_ascii_lowercase().starts_with("text/x-amp-html");
        let bodies = |wanted: bool| {
            let bodies = mail.alternatives.iter();
            let bodies: Vec<_> = bodies.filter(|(kind, _)| amp(kind) == wanted).collect();
            format!("{bodies:?}")
        };
        let files = |inline: bool| {
            let files = mail.attachments.iter();
            files.filter(move |file| file.inline == inline)
        };
        let inline = |what: fn(&File) -> String| {
            let shown: Vec<_> = files(true).map(what).collect();
            format!("[{}]", shown.join(", "))
        };
        match self {
            Self::From => show_addresses(mail.from.as_slice()),
            Self::To => show_addresses(&mail.to),
            Self::Cc => show_addresses(&mail.cc),
            Self::Bcc => show_addresses(&mail.bcc),
            Self::ReplyTo => show_addresses(&mail.reply_to),
            Self::EnvelopeSender => format!("{:?}", mail.envelope_sender),
            Self::Subject => format!("{:?}", mail.subject),
            Self::Text => show_body(mail.text.as_deref()),
            Self::Html => show_body(mail.html.as_deref()),
            Self::Amp => bodies(true),
            Self::Alternatives => bodies(false),
            Self::Headers => {
                let names = mail.headers.iter();
                let mut headers: Vec<_> = names
                    .map(|(name, value)| (name.to_ascii_lowercase(), value))
                    .collect();
                headers.sort();
                format!("{headers:?}")
            }
            Self::Attachments => format!("{:?}", files(false).collect::<Vec<_>>()),
            Self::Inline => inline(|file| {
                let content = show_content(&file.content);
                format!("{} {content}", file.content_type)
            }),
            Self::InlineNames => inline(|file| format!("{:?}", file_name(file))),
            Self::ContentIds => inline(|file| format!("{:?}", file.content_id)),
            Self::Metadata => format!("{:?}", mail.metadata.iter().collect::<BTreeMap<_, _>>()),
            Self::Tags => {
                let mut tags = mail.tags.clone();
                tags.sort();
                format!("{tags:?}")
            }
            Self::TrackOpens => format!("{:?}", mail.track_opens),
            Self::TrackClicks => format!("{:?}", mail.track_clicks),
            Self::SendAt => format!("{:?}", mail.send_at),
            Self::TemplateId => format!("{:?}", mail.template_id),
            Self::MergeData => show_map(&mail.merge_data),
            Self::Extra => show_map(&mail.extra),
        }
    }
}

fn show_map(map: &JsonMap) -> String {
    let sorted: BTreeMap<_, _> = map.iter().map(|(k, v)| (k, v.to_string())).collect();
    format!("{sorted:?}")
}

fn show_body(body: Option<&str>) -> String {
    match body.filter(|body| !body.is_empty()) {
        Some(body) if body.len() > 300 => {
            let start: String = body.chars().take(60).collect();
            format!("{start:?}... ({} bytes, hash {:x})", body.len(), hash(body))
        }
        body => format!("{body:?}"),
    }
}

fn file_name(file: &File) -> &str {
    file.name.as_deref().unwrap_or_default()
}

fn show_content(content: &Bytes) -> String {
    format!("({} bytes, hash {:x})", content.len(), hash(content))
}

/// A regular attachment may have a content ID that nobody sees.
fn show_file(file: &File) -> String {
    let inline = if file.inline { " inline" } else { "" };
    format!(
        "{:?} {}{inline} {}",
        file_name(file),
        file.content_type,
        show_content(&file.content)
    )
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Formats addresses with their domains in ASCII and lower case, and everything else unchanged.
fn show_addresses(addresses: &[Address]) -> String {
    let shown: Vec<_> = addresses.iter().map(show_address).collect();
    format!("[{}]", shown.join(", "))
}

pub(super) fn show_address(address: &Address) -> String {
    let domain = address.ascii_domain().to_ascii_lowercase();
    let email = format!("{}@{domain}", address.local_part());
    match address.name() {
        Some(name) => format!("{name:?} <{email}>"),
        None => email,
    }
}

impl Understood {
    /// Returns the recipients in the order to, cc, bcc.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Address> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// Returns what an ESP must understand of a message: one message, or one for each `to` of a
    /// batch.
    pub(super) fn expected(message: &Message) -> Vec<Self> {
        if message.is_batch() {
            let to = message.to.items().iter();
            return to.map(|to| Self::own_copy(message, to)).collect();
        }
        vec![Self::from(message)]
    }

    /// Returns everything except `to`, as it is for all recipients.
    fn shared(message: &Message) -> Self {
        let text = |body: Option<&String>| body.filter(|body| !body.is_empty()).cloned();
        let files = message.attachments.items().iter().map(|part| File {
            name: Some(part.filename().unwrap_or_default().to_owned()),
            content_type: part.content_type().to_owned(),
            content: part.content().clone(),
            inline: part.is_inline(),
            content_id: part
                .content_id()
                .filter(|_| part.is_inline())
                .map(str::to_owned),
        });
        let bodies = message.alternatives.items().iter();
        Self {
            from: message.from.value().cloned(),
            to: Vec::new(),
            cc: message.cc.items().to_vec(),
            bcc: message.bcc.items().to_vec(),
            reply_to: message.reply_to.items().to_vec(),
            envelope_sender: message.envelope_sender.value().map(Address::ascii_email),
            subject: message.subject.value().cloned(),
            text: text(message.text_body.value()),
            html: text(message.html_body.value()),
            alternatives: bodies
                .map(|part| (part.content_type().to_owned(), part.content().to_owned()))
                .collect(),
            headers: owned(message.headers.value()),
            attachments: files.collect(),
            metadata: message.metadata.value().cloned().unwrap_or_default(),
            tags: message.tags.items().to_vec(),
            track_opens: message.track_opens.value().copied(),
            track_clicks: message.track_clicks.value().copied(),
            send_at: message.send_at.value().map(|at| at.unix_timestamp()),
            template_id: message.template_id.value().cloned(),
            merge_data: message
                .merge_global_data
                .value()
                .cloned()
                .unwrap_or_default(),
            extra: message.esp_extra.value().cloned().unwrap_or_default(),
            own_id: None,
        }
    }

    /// Returns one recipient's message of a batch.
    fn own_copy(message: &Message, to: &Address) -> Self {
        let mut mail = Self {
            to: vec![to.clone()],
            ..Self::shared(message)
        };
        let own = |map: Option<&anymail_core::MergeMap<_>>| map.and_then(|it| it.get(to)).cloned();
        for (name, value) in owned(own(message.merge_headers.value()).as_ref()) {
            mail.headers
                .retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            mail.headers.push((name, value));
        }
        let metadata = message.merge_metadata.value().and_then(|it| it.get(to));
        mail.metadata
            .extend(metadata.cloned().into_iter().flatten());
        let data = message.merge_data.value().and_then(|it| it.get(to));
        mail.merge_data.extend(data.cloned().into_iter().flatten());
        mail
    }
}

/// Returns a message that is not a batch as one message, for a backend that stores messages
/// unchanged.
impl From<&Message> for Understood {
    fn from(message: &Message) -> Self {
        Self {
            to: message.to.items().to_vec(),
            ..Self::shared(message)
        }
    }
}

fn owned(headers: Option<&anymail_core::Headers>) -> Vec<(String, String)> {
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// How messages differ from what was expected.
pub(super) struct Differences {
    /// The recipient, the expected and the understood parts; empty if nothing differs.
    pub(super) lines: Vec<String>,
    /// The position of the first different message among those understood.
    pub(super) first: Option<usize>,
}

/// Compares messages.
///
/// The order of messages has no meaning, because the calls of a batch may overtake each other.
pub(super) fn differences(
    expected: &[Understood],
    understood: &[Understood],
    parts: &[Part],
) -> Differences {
    let (mut lines, mut first) = (Vec::new(), None);
    if expected.len() != understood.len() {
        lines.push(format!(
            "expected {} message(s), the ESP understood {}",
            expected.len(),
            understood.len()
        ));
    }
    let mut left: Vec<_> = understood.iter().enumerate().collect();
    for mail in expected {
        let whose = Part::To.show(mail);
        let same = |(_, other): &(usize, &Understood)| Part::To.show(other) == whose;
        // If an expected message has no recipients, compare it with the one that exists instead.
        let place = left.iter().position(same);
        let Some(place) = place.or((!left.is_empty()).then_some(0)) else {
            lines.push(format!("no message to {whose}"));
            continue;
        };
        let (number, found) = left.remove(place);
        let before = lines.len();
        for part in parts {
            let (wanted, got) = (part.show(mail), part.show(found));
            if wanted != got && !(*part == Part::EnvelopeSender && same_domain(mail, found)) {
                lines.push(format!("expected   {}: {wanted}", part.name()));
                lines.push(format!("understood {}: {got}", part.name()));
            }
        }
        if lines.len() > before {
            first = first.or(Some(number));
            if expected.len() > 1 {
                lines.insert(before, format!("in the message to {whose}:"));
            }
        }
    }
    Differences { lines, first }
}

/// Most ESPs use only the domain of an envelope sender.
fn same_domain(expected: &Understood, understood: &Understood) -> bool {
    let wanted = expected.envelope_sender.as_deref();
    let domain = wanted
        .and_then(|email| email.rsplit_once('@'))
        .map(|(_, it)| it);
    understood.envelope_sender.as_deref() == domain && domain.is_some()
}
