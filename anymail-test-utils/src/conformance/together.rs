//! Everything at once: what arrives in a message of its own also arrives together with everything
//! else, in a single message, in a batch and with a template.
//!
//! In many backends, each of these is a separate code path that omits something.

use anymail_core::{Capabilities, Feature, Message, Support};

use super::features::at_esp;
use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{addresses, plain};

/// The features that a message can use together.
const FEATURES: [Feature; 18] = [
    Feature::EnvelopeSender,
    Feature::ReplyTo,
    Feature::Headers,
    Feature::Attachments,
    Feature::InlineAttachments,
    Feature::AmpHtml,
    Feature::Alternatives,
    Feature::Metadata,
    Feature::Tags,
    Feature::TrackOpens,
    Feature::TrackClicks,
    Feature::SendAt,
    Feature::TemplateSubject,
    Feature::TemplateBody,
    Feature::MergeData,
    Feature::MergeGlobalData,
    Feature::MergeMetadata,
    Feature::MergeHeaders,
];

/// The kinds of messages that use them.
#[derive(Clone, Copy, PartialEq)]
enum Path {
    Single,
    Batch,
    Template,
    TemplateBatch,
}

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    let has = |feature| can.support(feature) != Support::No;
    let (batch, template) = (has(Feature::Batch), has(Feature::Template));
    let paths = [
        (true, "messages", Path::Single),
        (batch, "batch", Path::Batch),
        (template, "templates", Path::Template),
        (template && batch, "templates", Path::TemplateBatch),
    ];
    let paths = paths.into_iter().filter(|(there, _, _)| *there);
    let trials = paths.map(|(_, topic, path)| {
        let name = match path {
            Path::TemplateBatch => "all_declared_features_arrive_together_in_a_batch",
            _ => "all_declared_features_arrive_together",
        };
        trial(
            format!("{topic}::{name}"),
            "what your backend writes for a batch or a template and omits from other messages, or \
             vice versa",
            move |rig| arrives(rig, path),
        )
    });
    trials.collect()
}

async fn arrives(rig: Rig, path: Path) -> Verdict {
    let at = at_esp(&rig);
    let in_batch = matches!(path, Path::Batch | Path::TemplateBatch);
    let mut message = match path {
        Path::Template | Path::TemplateBatch => at.with(&[(Feature::Template, 1)]),
        _ => plain(),
    };
    message.cc = addresses(["\"C, C\" <copy@example.com>"]).into();
    message.bcc = addresses(["hidden@example.com"]).into();
    if in_batch {
        message.to = addresses(["to1@example.com", "to2@example.com"]).into();
        message.merge_data.value_or_default();
    }
    for feature in FEATURES {
        let by_recipient = matches!(
            feature,
            Feature::MergeData | Feature::MergeMetadata | Feature::MergeHeaders
        );
        if by_recipient && !in_batch {
            continue;
        }
        let mut more: Message = message.clone();
        at.add(feature, if by_recipient { 2 } else { 1 }, &mut more);
        // Adds each feature that the backend supports together with those already used.
        if rig.mailer.check(&more).is_ok() {
            message = more;
        }
    }
    let mut parts = Part::ALL.to_vec();
    parts.retain(|part| *part != Part::InlineNames || rig.profile.inline_parts_have_names);
    rig.arrives(&message, &parts).await?;
    Ok(())
}
