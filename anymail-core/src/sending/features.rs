//! The capabilities of an ESP, as plain data: [`Feature`], [`Support`], [`Capabilities`].
//!
//! `check.rs` finds out how much of a feature a message uses; `policy.rs` decides what follows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a message can use and that some ESPs do not support.
///
/// A feature is added when two ESPs have it. A backend does not support a feature that it does not
/// list, so old backends refuse new features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// The address that bounces go to.
    EnvelopeSender,
    /// Reply-to addresses, counted by address.
    ReplyTo,
    /// Custom headers.
    Headers,
    /// Attachments other than inline ones.
    Attachments,
    /// Attachments that the HTML body shows.
    InlineAttachments,
    /// An AMP body (`text/x-amp-html`). A second one counts as an
    /// [`Alternatives`](Self::Alternatives).
    AmpHtml,
    /// Bodies in media types other than plain text, HTML and AMP, or a second one of these.
    Alternatives,
    /// Values that are reported back with events.
    Metadata,
    /// Labels to find messages by, counted.
    Tags,
    /// The choice whether opens are tracked.
    TrackOpens,
    /// The choice whether clicks are tracked.
    TrackClicks,
    /// Scheduled sending.
    SendAt,
    /// Templates stored at the ESP.
    Template,
    /// A subject in a message with a template.
    TemplateSubject,
    /// A body in a message with a template.
    TemplateBody,
    /// Separate messages to each address in `to`. Never dropped, because the recipients would see
    /// each other.
    Batch,
    /// Template or body values by recipient.
    MergeData,
    /// Template or body values for all recipients.
    MergeGlobalData,
    /// Metadata by recipient.
    MergeMetadata,
    /// Headers by recipient.
    MergeHeaders,
    /// A non-ASCII local part in the sender's address. Never dropped.
    InternationalFrom,
    /// A non-ASCII local part in a recipient's address. Never dropped.
    InternationalRecipients,
    /// A message with recipients only in `cc` and `bcc`. Never dropped.
    WithoutTo,
    /// Options with the ESP's own names.
    EspExtra,
}

impl Feature {
    /// All features.
    pub const ALL: &'static [Self] = &[
        Self::EnvelopeSender,
        Self::ReplyTo,
        Self::Headers,
        Self::Attachments,
        Self::InlineAttachments,
        Self::AmpHtml,
        Self::Alternatives,
        Self::Metadata,
        Self::Tags,
        Self::TrackOpens,
        Self::TrackClicks,
        Self::SendAt,
        Self::Template,
        Self::TemplateSubject,
        Self::TemplateBody,
        Self::Batch,
        Self::MergeData,
        Self::MergeGlobalData,
        Self::MergeMetadata,
        Self::MergeHeaders,
        Self::InternationalFrom,
        Self::InternationalRecipients,
        Self::WithoutTo,
        Self::EspExtra,
    ];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnvelopeSender => "`envelope_sender`",
            Self::ReplyTo => "`reply_to`",
            Self::Headers => "custom headers",
            Self::Attachments => "attachments",
            Self::InlineAttachments => "inline attachments",
            Self::AmpHtml => "AMP bodies",
            Self::Alternatives => "alternative bodies",
            Self::Metadata => "metadata",
            Self::Tags => "tags",
            Self::TrackOpens => "open tracking",
            Self::TrackClicks => "click tracking",
            Self::SendAt => "`send_at`",
            Self::Template => "templates",
            Self::TemplateSubject => "a subject with a template",
            Self::TemplateBody => "a body with a template",
            Self::Batch => "batches",
            Self::MergeData => "`merge_data`",
            Self::MergeGlobalData => "`merge_global_data`",
            Self::MergeMetadata => "`merge_metadata`",
            Self::MergeHeaders => "`merge_headers`",
            Self::InternationalFrom => "non-ASCII local parts in `from`",
            Self::InternationalRecipients => "non-ASCII local parts in recipients",
            Self::WithoutTo => "messages without `to`",
            Self::EspExtra => "`esp_extra`",
        })
    }
}

impl Feature {
    /// What [`Support::AtMost`] counts, as it reads after `n`: `tag` or `tags`.
    pub(super) fn items(self, n: usize) -> String {
        let (one, more) = match self {
            Self::ReplyTo => ("reply-to address", "reply-to addresses"),
            Self::Headers => ("custom header", "custom headers"),
            Self::Attachments => ("attachment", "attachments"),
            Self::InlineAttachments => ("inline attachment", "inline attachments"),
            Self::Alternatives => ("alternative body", "alternative bodies"),
            Self::Metadata => ("metadata value", "metadata values"),
            Self::Tags => ("tag", "tags"),
            Self::EspExtra => ("`esp_extra` option", "`esp_extra` options"),
            other => return format!("of {other}"),
        };
        if n == 1 { one } else { more }.to_owned()
    }
}

/// How far an ESP supports a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Support {
    /// Not supported.
    #[default]
    No,
    /// Supported without a known limit.
    Yes,
    /// Supported up to this number.
    AtMost(usize),
    /// Supported only in a message that also uses the other feature.
    With(Feature),
    /// Supported only in a message that also uses at least one of these features:
    /// `Support::with_any([Feature::Template, Feature::Batch])`.
    WithAny(FeatureSet),
    /// Supported only in a message that does not use the other feature.
    Without(Feature),
}

impl Support {
    /// Supported only in a message that also uses at least one of these features.
    pub const fn with_any<const N: usize>(features: [Feature; N]) -> Self {
        Self::WithAny(FeatureSet::of(&features))
    }

    /// What two backends both support.
    fn common(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, it) | (it, Self::Yes) => it,
            (Self::AtMost(a), Self::AtMost(b)) => Self::AtMost(a.min(b)),
            (a, b) if a == b => a,
            (Self::With(one), Self::WithAny(any)) | (Self::WithAny(any), Self::With(one))
                if any.contains(one) =>
            {
                Self::With(one)
            }
            (Self::WithAny(a), Self::WithAny(b)) => match a.common(b) {
                none if none.is_empty() => Self::No,
                both => Self::WithAny(both),
            },
            // Two different conditions cannot be expressed as one, so refuse rather than promise
            // too much.
            _ => Self::No,
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Yes => f.write_str("yes"),
            Self::AtMost(n) => write!(f, "at most {n}"),
            Self::With(other) => write!(f, "only with {other}"),
            Self::WithAny(others) => write!(f, "only with {others}"),
            Self::Without(other) => write!(f, "only without {other}"),
        }
    }
}

/// A set of features.
///
/// `Display` writes their names separated by "or".
///
/// ```
/// use anymail_core::{Feature, FeatureSet};
///
/// let set = FeatureSet::of(&[Feature::Template, Feature::Batch]);
/// assert!(set.contains(Feature::Batch));
/// assert_eq!(set.to_string(), "templates or batches");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Feature>", into = "Vec<Feature>")]
pub struct FeatureSet(u32);

impl FeatureSet {
    /// Creates a set of these features.
    pub const fn of(features: &[Feature]) -> Self {
        let (mut bits, mut rest) = (0, features);
        while let [first, others @ ..] = rest {
            bits |= 1 << *first as u32;
            rest = others;
        }
        Self(bits)
    }

    /// Whether the set contains this feature.
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u32) != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The features, in the order of [`Feature::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let next = Feature::ALL.get(bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(*next)
        })
    }

    fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl From<Vec<Feature>> for FeatureSet {
    fn from(features: Vec<Feature>) -> Self {
        Self::of(&features)
    }
}

impl From<FeatureSet> for Vec<Feature> {
    fn from(set: FeatureSet) -> Self {
        set.iter().collect()
    }
}

impl fmt::Debug for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(|feature| feature.to_string()).collect();
        f.write_str(&names.join(" or "))
    }
}

/// The features that a backend's ESP supports. Features that are not listed are not supported.
///
/// The policy, the feature matrix and the conformance suite all use this value.
///
/// ```
/// use anymail_core::{Capabilities, Feature, Support};
///
/// let can = Capabilities::from([
///     (Feature::Tags, Support::AtMost(1)),
///     (Feature::Template, Support::Yes),
///     (Feature::MergeData, Support::With(Feature::Template)),
/// ]);
/// assert_eq!(can.support(Feature::Tags), Support::AtMost(1));
/// assert_eq!(can.support(Feature::SendAt), Support::No);
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    support: [Support; Feature::ALL.len()],
    /// Those with [`Support::Yes`].
    unlimited: FeatureSet,
}

impl Capabilities {
    /// How far `feature` is supported.
    pub fn support(&self, feature: Feature) -> Support {
        let support = self.support.get(feature as usize);
        support.copied().unwrap_or_default()
    }

    /// Supports everything. For backends that only store messages.
    pub fn all() -> Self {
        let all = Feature::ALL.iter();
        all.map(|feature| (*feature, Support::Yes)).collect()
    }

    /// What all of several backends support; nothing if there are none.
    pub fn common<'a>(members: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut members = members.into_iter();
        let Some(first) = members.next() else {
            return Self::default();
        };
        members.fold(first.clone(), |both, next| {
            let all = Feature::ALL.iter().copied();
            all.map(|f| (f, both.support(f).common(next.support(f))))
                .collect()
        })
    }

    /// Every feature with its support, including those that are not listed.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, Support)> {
        let all = Feature::ALL.iter().copied();
        all.map(|f| (f, self.support(f)))
    }

    /// The features that a message may not use as it likes, with their support.
    pub(super) fn limits(&self) -> impl Iterator<Item = (Feature, Support)> {
        let limited = FeatureSet::of(Feature::ALL).without(self.unlimited);
        limited.iter().map(|f| (f, self.support(f)))
    }
}

impl<const N: usize> From<[(Feature, Support); N]> for Capabilities {
    fn from(pairs: [(Feature, Support); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl FromIterator<(Feature, Support)> for Capabilities {
    fn from_iter<I: IntoIterator<Item = (Feature, Support)>>(pairs: I) -> Self {
        let mut all = Self::default();
        for (feature, support) in pairs {
            if let Some(slot) = all.support.get_mut(feature as usize) {
                *slot = support;
            }
        }
        let unlimited = all.iter().filter(|(_, support)| *support == Support::Yes);
        let unlimited: Vec<_> = unlimited.map(|(feature, _)| feature).collect();
        all.unlimited = FeatureSet::of(&unlimited);
        all
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_feature_once() {
        let names: std::collections::BTreeSet<_> = Feature::ALL.iter().copied().collect();
        assert_eq!(names.len(), Feature::ALL.len());
        // The index of the last variant: a new variant after it must also be added to ALL.
        assert_eq!(Feature::EspExtra as usize + 1, Feature::ALL.len());
    }

    #[test]
    fn conditional_support_round_trips_through_json() {
        let support = Support::with_any([Feature::Batch, Feature::Template]);
        let json = serde_json::to_string(&support).unwrap_or_default();
        assert_eq!(json, r#"{"with_any":["template","batch"]}"#);
        assert_eq!(serde_json::from_str::<Support>(&json).ok(), Some(support));
    }

    #[test]
    fn the_intersection_of_two_backends_never_exceeds_either() {
        let a = Capabilities::from([
            (Feature::Tags, Support::AtMost(5)),
            (Feature::Metadata, Support::Yes),
            (Feature::MergeData, Support::With(Feature::Template)),
            (Feature::SendAt, Support::Yes),
            (Feature::Attachments, Support::AtMost(3)),
        ]);
        let b = Capabilities::from([
            (Feature::Tags, Support::AtMost(1)),
            (Feature::Metadata, Support::Yes),
            (Feature::MergeData, Support::Yes),
            (Feature::Attachments, Support::Without(Feature::Template)),
        ]);
        let both = Capabilities::common([&a, &b]);
        assert_eq!(both.support(Feature::Tags), Support::AtMost(1));
        assert_eq!(both.support(Feature::Metadata), Support::Yes);
        assert_eq!(
            both.support(Feature::MergeData),
            Support::With(Feature::Template)
        );
        assert_eq!(both.support(Feature::SendAt), Support::No);
        assert_eq!(both.support(Feature::Attachments), Support::No);
        let (template, any) = (
            Support::With(Feature::Template),
            Support::with_any([Feature::Template, Feature::Batch]),
        );
        let other = Support::with_any([Feature::Batch, Feature::Metadata]);
        assert_eq!(template.common(template), template);
        assert_eq!(template.common(any), template);
        assert_eq!(any.common(template), template);
        assert_eq!(any.common(other), Support::with_any([Feature::Batch]));
        assert_eq!(template.common(other), Support::No);
        assert_eq!(any.common(Support::with_any([Feature::Tags])), Support::No);
        assert_eq!(Capabilities::common([]), Capabilities::default());
    }
}
