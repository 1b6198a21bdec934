//! Each feature on both sides: declared features reach the ESP; others are refused, or left out and
//! reported.

use anymail_core::{Accepted, Capabilities, Feature, Message, SendErrorKind, Support};

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{AtEsp, addresses, headers, is_counted, metadata, object};

/// Features that cannot be left out without changing who gets a message or who sees whom.
const NEVER_LEFT_OUT: [Feature; 4] = [
    Feature::Batch,
    Feature::InternationalFrom,
    Feature::InternationalRecipients,
    Feature::WithoutTo,
];

/// The maximum amount of a feature that is tested if its limit is larger.
const MOST: usize = 500;

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    let mut trials = vec![trial(
        "features::declared_features_can_be_used",
        "the table behind EmailBackend::capabilities; EmailBackend::check",
        declared_features_can_be_used,
    )];
    for (feature, support) in can.iter() {
        let topic = format!("features::{}", slug(feature));
        let look_at = format!(
            "how your backend writes {feature} into the request; if the request above is right, \
             Harness::read"
        );
        let table = format!("{feature} in the table behind EmailBackend::capabilities");
        if is_declared(support) {
            trials.push(trial(format!("{topic}::arrives"), &*look_at, move |rig| {
                arrives(rig, feature)
            }));
        }
        if let Support::WithAny(others) = support {
            for other in others.iter().skip(1) {
                let name = format!("{topic}::arrives_with_{}", slug(other));
                trials.push(trial(name, &*look_at, move |rig| {
                    arrives_with(rig, feature, other)
                }));
            }
        }
        if feature == Feature::AmpHtml
            && is_declared(support)
            && !is_declared(can.support(Feature::Alternatives))
        {
            let name = format!("{topic}::a_second_one_is_refused");
            trials.push(trial(name, &*table, second_amp));
        }
        if feature == Feature::Metadata && is_declared(support) {
            let name = format!("{topic}::keys_keep_their_case");
            trials.push(trial(name, &*look_at, cased_keys));
        }
        if feature == Feature::Tags && is_declared(support) {
            let name = format!("{topic}::arrive_unchanged");
            trials.push(trial(name, &*look_at, odd_tags));
        }
        if feature == Feature::Headers && is_declared(support) {
            let name = format!("{topic}::values_arrive_unchanged");
            trials.push(trial(name, &*look_at, odd_headers));
        }
        if matches!(feature, Feature::TrackOpens | Feature::TrackClicks) && is_declared(support) {
            let name = format!("{topic}::off_is_sent_too");
            trials.push(trial(name, look_at, move |rig| off_is_said(rig, feature)));
        }
        if support == Support::Yes || (!is_counted(feature) && at_most(support)) {
            continue;
        }
        let beyond = match support {
            Support::AtMost(n) if n > MOST => continue,
            Support::AtMost(n) if n > 0 => "_over_the_limit",
            Support::With(_) | Support::WithAny(_) | Support::Without(_) => {
                "_against_its_condition"
            }
            _ => "",
        };
        let name = format!("{topic}::is_refused{beyond}");
        trials.push(trial(name, &*table, move |rig| is_refused(rig, feature)));
        let name = format!("{topic}::is_left_out_and_reported{beyond}");
        trials.push(trial(name, table, move |rig| is_left_out(rig, feature)));
    }
    trials
}

fn at_most(support: Support) -> bool {
    matches!(support, Support::AtMost(n) if n > 0)
}

fn is_declared(support: Support) -> bool {
    !matches!(support, Support::No | Support::AtMost(0))
}

/// The feature's name as in JSON, such as `reply_to`.
fn slug(feature: Feature) -> String {
    let name = serde_json::to_value(feature).ok();
    let name = name.as_ref().and_then(|name| name.as_str());
    name.map_or_else(|| format!("{feature:?}"), str::to_owned)
}

pub(super) fn at_esp(rig: &Rig) -> AtEsp {
    let options = &rig.profile.esp_extra;
    AtEsp {
        template_id: rig.profile.template_id.clone(),
        esp_extra: match options.is_empty() {
            true => object([("an_option", "a value")]),
            false => options.clone(),
        },
    }
}

/// Returns a message that uses a feature as much as the backend declares.
fn within(rig: &Rig, feature: Feature) -> Message {
    let can = rig.backend.capabilities();
    let n = match can.support(feature) {
        Support::AtMost(n) => n.min(MOST),
        _ => 2,
    };
    at_esp(rig).using(feature, n, can)
}

/// Returns a message that exceeds what the backend declares by as little as possible.
fn beyond(rig: &Rig, feature: Feature) -> Message {
    let at = at_esp(rig);
    match rig.backend.capabilities().support(feature) {
        Support::AtMost(n) => at.using_alone(feature, n.saturating_add(1)),
        Support::Without(other) => at.with(&[(feature, 1), (other, 1)]),
        _ => at.using_alone(feature, 1),
    }
}

async fn declared_features_can_be_used(rig: Rig) -> Verdict {
    for (feature, support) in rig.backend.capabilities().iter() {
        if is_declared(support) {
            let found = rig.mailer.check(&within(&rig, feature));
            rig.ensure(found.is_ok(), || {
                format!(
                    "{feature} is declared ({support:?}), but the backend refuses even a message \
                     that uses nothing else: {found}"
                )
            })?;
        }
    }
    Ok(())
}

async fn arrives(rig: Rig, feature: Feature) -> Verdict {
    rig.ensure(
        feature != Feature::EspExtra || !rig.profile.esp_extra.is_empty() || rig.is_local(),
        || {
            "the backend declares esp_extra, but Profile::esp_extra is empty: add an option of the ESP \
             and read it into Understood::extra"
                .to_owned()
        },
    )?;
    rig.arrives(&within(&rig, feature), &seen_by(&rig, feature))
        .await?;
    Ok(())
}

/// Returns the parts in which a feature is visible.
fn seen_by(rig: &Rig, feature: Feature) -> Vec<Part> {
    let mut parts: Vec<_> = Part::of(feature).into_iter().chain([Part::To]).collect();
    if feature == Feature::InlineAttachments {
        parts.push(Part::ContentIds);
        if rig.profile.inline_parts_have_names {
            parts.push(Part::InlineNames);
        }
    }
    parts
}

/// Tests a feature under the second of two conditions.
async fn arrives_with(rig: Rig, feature: Feature, other: Feature) -> Verdict {
    let mut message = at_esp(&rig).with(&[(other, 1), (feature, 2)]);
    if other == Feature::Batch {
        message.to = addresses(["to1@example.com", "to2@example.com"]).into();
    }
    rig.arrives(&message, &seen_by(&rig, feature)).await?;
    Ok(())
}

/// A second AMP body is an ordinary alternative.
async fn second_amp(rig: Rig) -> Verdict {
    let mut message = within(&rig, Feature::AmpHtml);
    if message.alternatives.items().len() < 2 {
        at_esp(&rig).add(Feature::AmpHtml, 1, &mut message);
    }
    let result = rig.send(&message).await?;
    refused(&rig, Feature::Alternatives, result.err())
}

async fn cased_keys(rig: Rig) -> Verdict {
    let pairs = [
        ("orderId", "0042"),
        ("Shop_Name", "Řehoř's <anvils>, 100 % & \"more\""),
        ("UPPER", "true"),
    ];
    let most = match rig.backend.capabilities().support(Feature::Metadata) {
        Support::AtMost(n) => n,
        _ => pairs.len(),
    };
    let mut message = within(&rig, Feature::Metadata);
    message.metadata = metadata(pairs.into_iter().take(most)).into();
    rig.arrives(&message, &[Part::Metadata]).await?;
    Ok(())
}

async fn odd_tags(rig: Rig) -> Verdict {
    let tags = ["Order Placed", "a/b, c & \"d\" č", "0042"];
    let most = match rig.backend.capabilities().support(Feature::Tags) {
        Support::AtMost(n) => n,
        _ => tags.len(),
    };
    // If only one tag is supported, each is tested in a separate message.
    for start in 0..tags.len() {
        let mut message = within(&rig, Feature::Tags);
        message.to = addresses([&*format!("to{start}@example.com")]).into();
        let own = tags.iter().skip(start).take(most);
        message.tags = own.map(|&tag| tag.to_owned()).collect::<Vec<_>>().into();
        rig.send_ok(&message).await?;
        let found = rig.mails()?.pop().map(|mail| Part::Tags.show(&mail));
        let wanted = Part::Tags.show(&super::understood::Understood::from(&message));
        rig.ensure(found.as_ref() == Some(&wanted), || {
            format!("expected   tags: {wanted}\nunderstood tags: {found:?}")
        })?;
    }
    Ok(())
}

async fn odd_headers(rig: Rig) -> Verdict {
    let long = "a word ".repeat(40);
    let pairs = [
        ("X-Quoted", "a \"quoted\" & <odd>; value=1, 100 %"),
        ("X-Letters", "Žluťoučký kůň"),
        (
            "List-Unsubscribe",
            "<https://example.com/u?a=b&c=%20d>, <mailto:u@example.com>",
        ),
        ("X-Long", long.trim()),
    ];
    let most = match rig.backend.capabilities().support(Feature::Headers) {
        Support::AtMost(n) => n,
        _ => pairs.len(),
    };
    let mut message = within(&rig, Feature::Headers);
    message.headers = headers(pairs.into_iter().take(most)).into();
    rig.arrives(&message, &[Part::Headers]).await?;
    Ok(())
}

async fn off_is_said(rig: Rig, feature: Feature) -> Verdict {
    let mut message = within(&rig, feature);
    let part = match feature {
        Feature::TrackOpens => {
            message.track_opens = false.into();
            Part::TrackOpens
        }
        _ => {
            message.track_clicks = false.into();
            Part::TrackClicks
        }
    };
    rig.arrives(&message, &[part]).await?;
    Ok(())
}

async fn is_refused(rig: Rig, feature: Feature) -> Verdict {
    let result = rig.send(&beyond(&rig, feature)).await?;
    refused(&rig, feature, result.err())?;
    Ok(())
}

/// Whether a message was refused for a feature before anything was sent.
fn refused(rig: &Rig, feature: Feature, error: Option<anymail_core::SendError>) -> Verdict {
    let Some(error) = error else {
        return Err(rig.fail(format!("{feature} is not declared, but was sent anyway")));
    };
    let named = error.unsupported().iter();
    let named = named.filter(|it| it.feature == Some(feature)).count() == 1;
    rig.ensure(
        error.kind() == SendErrorKind::UnsupportedFeature && named,
        || format!("expected an UnsupportedFeature error that names {feature} once, got: {error}"),
    )?;
    rig.ensure(error.accepted() == Accepted::No, || {
        format!("expected Accepted::No because nothing was sent: {error}")
    })?;
    let calls = rig.wire.tries();
    rig.ensure(calls == 0 && rig.mails()?.is_empty(), || {
        format!("the message was refused, but {calls} call(s) were made")
    })
}

async fn is_left_out(rig: Rig, feature: Feature) -> Verdict {
    let message = beyond(&rig, feature);
    let never = rig.mailer.check(&message).unsupported;
    let never = never
        .iter()
        .filter_map(|it| it.feature)
        .find(|it| NEVER_LEFT_OUT.contains(it));
    let result = rig.send_by(&rig.dropping(), &message).await?;
    if let Some(never) = never {
        return refused(&rig, never, result.err());
    }
    let status = match result {
        Ok(status) => status,
        Err(error) => {
            let why = format!("the message was not sent under UnsupportedPolicy::Drop: {error}");
            return Err(rig.fail(why));
        }
    };
    let reported = status.dropped.iter();
    let reported = reported.filter(|it| it.feature == Some(feature)).count();
    rig.ensure(reported == 1, || {
        format!("expected the status to report {feature} as left out once, got {reported} times")
    })?;
    let Some(part) = Part::of(feature) else {
        return Ok(());
    };
    let left = match rig.backend.capabilities().support(feature) {
        Support::AtMost(n) if n > 0 => at_esp(&rig).using_alone(feature, n),
        _ => without(&message, feature),
    };
    let expected = super::understood::Understood::expected(&left);
    for (wanted, found) in expected.iter().zip(rig.mails()?) {
        let (wanted, found) = (part.show(wanted), part.show(&found));
        rig.ensure(wanted == found, || {
            format!(
                "expected   {}: {wanted}, with undeclared features left out\n\
                 understood {}: {found}",
                part.name(),
                part.name()
            )
        })?;
    }
    Ok(())
}

/// Returns the message without a feature.
fn without(message: &Message, feature: Feature) -> Message {
    let mut left = message.clone();
    match feature {
        Feature::EnvelopeSender => left.envelope_sender = Default::default(),
        Feature::ReplyTo => left.reply_to = Default::default(),
        Feature::Headers | Feature::MergeHeaders => {
            (left.headers, left.merge_headers) = Default::default();
        }
        Feature::Attachments | Feature::InlineAttachments => left.attachments = Default::default(),
        Feature::AmpHtml | Feature::Alternatives => left.alternatives = Default::default(),
        Feature::Metadata | Feature::MergeMetadata => {
            (left.metadata, left.merge_metadata) = Default::default();
        }
        Feature::Tags => left.tags = Default::default(),
        Feature::TrackOpens => left.track_opens = Default::default(),
        Feature::TrackClicks => left.track_clicks = Default::default(),
        Feature::SendAt => left.send_at = Default::default(),
        Feature::Template => left.template_id = Default::default(),
        Feature::TemplateSubject => left.subject = Default::default(),
        Feature::TemplateBody => left.text_body = Default::default(),
        Feature::MergeData | Feature::MergeGlobalData => {
            (left.merge_data, left.merge_global_data) = Default::default();
        }
        Feature::EspExtra => left.esp_extra = Default::default(),
        _ => {}
    }
    left
}
