//! Finds out how much of each [`Feature`] a message uses, and takes features out. Only this file
//! does.
//!
//! `policy.rs` decides whether to take them out. A new feature does not compile until it is added
//! here.

use super::features::Feature;
use crate::message::{Address, Alternative, Field, MergeMap, Message, excerpt};

type Requested = fn(&Message) -> String;
type TakeOut = fn(&mut Message, usize);

/// How a message uses one feature.
pub(super) struct Use {
    /// What the message requests, in words. Never a body or a secret.
    pub(super) requested: Requested,
    /// Takes out all but the first n. `None` if that would change who gets the message or who sees
    /// whom.
    pub(super) take_out: Option<TakeOut>,
}

const AMP: &str = "text/x-amp-html";

/// How much of a feature a normalized message uses; 0 if it does not use it.
pub(super) fn count(feature: Feature, m: &Message) -> usize {
    match feature {
        Feature::EnvelopeSender => set(&m.envelope_sender),
        Feature::ReplyTo => m.reply_to.items().len(),
        Feature::Headers => m.headers.value().map_or(0, |headers| headers.len()),
        Feature::Attachments => attachments(m, false),
        Feature::InlineAttachments => attachments(m, true),
        Feature::AmpHtml => usize::from(first_amp(m).is_some()),
        Feature::Alternatives => m.alternatives.items().len() - usize::from(first_amp(m).is_some()),
        Feature::Metadata => m.metadata.value().map_or(0, |map| map.len()),
        Feature::Tags => m.tags.items().len(),
        Feature::TrackOpens => set(&m.track_opens),
        Feature::TrackClicks => set(&m.track_clicks),
        Feature::SendAt => set(&m.send_at),
        Feature::Template => set(&m.template_id),
        Feature::TemplateSubject => usize::from(set(&m.template_id) > 0 && has_text(&m.subject)),
        Feature::TemplateBody => usize::from(
            set(&m.template_id) > 0 && (has_text(&m.text_body) || has_text(&m.html_body)),
        ),
        Feature::Batch => usize::from(m.is_batch()),
        Feature::MergeData => entries(&m.merge_data),
        Feature::MergeGlobalData => m.merge_global_data.value().map_or(0, |map| map.len()),
        Feature::MergeMetadata => entries(&m.merge_metadata),
        Feature::MergeHeaders => entries(&m.merge_headers),
        Feature::InternationalFrom => m
            .from
            .value()
            .map_or(0, |a| usize::from(a.has_international_local_part())),
        Feature::InternationalRecipients => m
            .recipients()
            .filter(|a| a.has_international_local_part())
            .count(),
        Feature::WithoutTo => usize::from(m.to.items().is_empty()),
        Feature::EspExtra => m.esp_extra.value().map_or(0, |map| map.len()),
    }
}

/// How to describe, and how to take out, a feature that a message uses.
pub(super) fn look(feature: Feature) -> Use {
    let (requested, take_out): (Requested, Option<TakeOut>) = match feature {
        Feature::EnvelopeSender => (
            |m| show(m.envelope_sender.value()),
            Some(|m, _| m.envelope_sender = Field::Never),
        ),
        Feature::ReplyTo => (
            |m| list(m.reply_to.items()),
            Some(|m, n| cut(&mut m.reply_to, n)),
        ),
        Feature::Headers => (
            |m| {
                names(
                    m.headers
                        .value()
                        .into_iter()
                        .flat_map(|h| h.iter())
                        .map(|(name, _)| name),
                )
            },
            Some(|m, n| {
                if let Some(headers) = m.headers.value_mut() {
                    let over: Vec<_> = headers.iter().skip(n).map(|(k, _)| k.to_owned()).collect();
                    for name in over {
                        headers.remove(&name);
                    }
                }
            }),
        ),
        Feature::Attachments => (
            |m| attachment_names(m, false),
            Some(|m, n| cut_attachments(m, false, n)),
        ),
        Feature::InlineAttachments => (
            |m| attachment_names(m, true),
            Some(|m, n| cut_attachments(m, true, n)),
        ),
        Feature::AmpHtml => (
            |m| types(m, true),
            Some(|m, n| cut_where(&mut m.alternatives, n, is_amp)),
        ),
        Feature::Alternatives => (
            |m| types(m, false),
            Some(|m, n| {
                let mut amp = false;
                cut_where(&mut m.alternatives, n, |part| {
                    let first = is_amp(part) && !amp;
                    amp |= first;
                    !first
                });
            }),
        ),
        Feature::Metadata => (
            |m| names(m.metadata.value().into_iter().flat_map(|map| map.keys())),
            Some(|m, n| {
                if let Some(map) = m.metadata.value_mut() {
                    map.truncate(n);
                }
            }),
        ),
        Feature::Tags => (|m| names(m.tags.items()), Some(|m, n| cut(&mut m.tags, n))),
        Feature::TrackOpens => (
            |m| show(m.track_opens.value()),
            Some(|m, _| m.track_opens = Field::Never),
        ),
        Feature::TrackClicks => (
            |m| show(m.track_clicks.value()),
            Some(|m, _| m.track_clicks = Field::Never),
        ),
        Feature::SendAt => (
            |m| show(m.send_at.value()),
            Some(|m, _| m.send_at = Field::Never),
        ),
        Feature::Template => (
            |m| show(m.template_id.value()),
            Some(|m, _| m.template_id = Field::Never),
        ),
        Feature::TemplateSubject => (
            |m| show(m.subject.value().map(|subject| excerpt(subject))),
            Some(|m, _| m.subject = Field::Never),
        ),
        Feature::TemplateBody => (
            |_| "text_body or html_body together with template_id".to_owned(),
            Some(|m, _| (m.text_body, m.html_body) = (Field::Never, Field::Never)),
        ),
        Feature::Batch => (
            |m| format!("{} separate messages", m.to.items().len()),
            None,
        ),
        Feature::MergeData => (
            |m| recipients(&m.merge_data),
            // An empty map is kept: the message stays a batch, and recipients do not see each
            // other.
            Some(|m, _| clear(&mut m.merge_data)),
        ),
        Feature::MergeGlobalData => (
            |m| {
                names(
                    m.merge_global_data
                        .value()
                        .into_iter()
                        .flat_map(|map| map.keys()),
                )
            },
            Some(|m, _| m.merge_global_data = Field::Never),
        ),
        Feature::MergeMetadata => (
            |m| recipients(&m.merge_metadata),
            Some(|m, _| clear(&mut m.merge_metadata)),
        ),
        Feature::MergeHeaders => (
            |m| recipients(&m.merge_headers),
            Some(|m, _| clear(&mut m.merge_headers)),
        ),
        Feature::InternationalFrom => (|m| show(m.from.value()), None),
        Feature::InternationalRecipients => (
            |m| {
                let found = m.recipients().filter(|a| a.has_international_local_part());
                list(&found.cloned().collect::<Vec<_>>())
            },
            None,
        ),
        Feature::WithoutTo => (|_| "recipients only in cc or bcc".to_owned(), None),
        Feature::EspExtra => (
            |m| names(m.esp_extra.value().into_iter().flat_map(|map| map.keys())),
            Some(|m, _| m.esp_extra = Field::Never),
        ),
    };
    Use {
        requested,
        take_out,
    }
}

fn set<T>(field: &Field<T>) -> usize {
    usize::from(field.value().is_some())
}

fn has_text(field: &Field<String>) -> bool {
    field.value().is_some_and(|text| !text.is_empty())
}

fn is_amp(part: &Alternative) -> bool {
    part.is(AMP)
}

/// The index of the AMP body. A second one counts as an alternative body.
fn first_amp(m: &Message) -> Option<usize> {
    m.alternatives.items().iter().position(is_amp)
}

fn show(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn names<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted = items
        .into_iter()
        .map(|item| format!("{:?}", excerpt(item.as_ref())));
    quoted.collect::<Vec<_>>().join(", ")
}

fn list(addresses: &[Address]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// The media types of the AMP body, or of all other alternatives.
fn types(m: &Message, amp: bool) -> String {
    let first = first_amp(m);
    let parts = m.alternatives.items().iter().enumerate();
    let parts = parts.filter(|(place, _)| (Some(*place) == first) == amp);
    names(parts.map(|(_, part)| part.content_type()))
}

fn attachments(m: &Message, inline: bool) -> usize {
    let parts = m.attachments.items().iter();
    parts.filter(|part| part.is_inline() == inline).count()
}

fn attachment_names(m: &Message, inline: bool) -> String {
    let parts = m.attachments.items().iter();
    names(
        parts
            .filter(|part| part.is_inline() == inline)
            .map(|part| part.filename().unwrap_or_default()),
    )
}

fn cut_attachments(m: &mut Message, inline: bool, n: usize) {
    cut_where(&mut m.attachments, n, |part| part.is_inline() == inline);
}

fn cut<T>(field: &mut Field<Vec<T>>, n: usize) {
    cut_where(field, n, |_| true);
}

/// Keeps the first `n` of the items for which `wanted` returns `true`, and all others.
fn cut_where<T>(field: &mut Field<Vec<T>>, n: usize, mut wanted: impl FnMut(&T) -> bool) {
    let mut left = n;
    if let Some(items) = field.value_mut() {
        items.retain(|item| {
            if !wanted(item) {
                return true;
            }
            let keep = left > 0;
            left = left.saturating_sub(1);
            keep
        });
    }
}

fn entries<T>(field: &Field<MergeMap<T>>) -> usize {
    field.value().map_or(0, MergeMap::len)
}

fn recipients<T>(field: &Field<MergeMap<T>>) -> String {
    format!("values for {} recipients", entries(field))
}

fn clear<T>(field: &mut Field<MergeMap<T>>) {
    if let Some(map) = field.value_mut() {
        map.clear();
    }
}
