//! [`UnsupportedPolicy`]: what happens to features that the ESP does not support.
//!
//! `check.rs` finds out what a message uses, `features.rs` defines what an ESP supports, and
//! `unsupported.rs` what is reported.

use serde::{Deserialize, Serialize};

use super::backend::EmailBackend;
use super::check;
use super::features::{Feature, Support};
use super::unsupported::{TakeOut, Unsupported};
use crate::message::Message;

/// What a [`Mailer`](crate::Mailer) does with a message that uses unsupported features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnsupportedPolicy {
    /// Refuse the message and report everything unsupported. The default.
    #[default]
    Refuse,
    /// Drop unsupported features, send the rest, and report in the status what was dropped. If
    /// dropping a feature would change who gets the message or who sees whom, the message is
    /// refused.
    Drop,
}

/// Everything in `message` that `backend` does not support, with the way to take it out.
fn objections(
    backend: &dyn EmailBackend,
    message: &Message,
) -> Vec<(Unsupported, Option<TakeOut>)> {
    let mut found = Vec::new();
    for (feature, support) in backend.capabilities().limits() {
        let count = check::count(feature, message);
        let other = |feature| check::count(feature, message) > 0;
        let keep = match support {
            _ if count == 0 => continue,
            Support::AtMost(n) if count <= n => continue,
            Support::With(feature) if other(feature) => continue,
            Support::WithAny(features) if features.iter().any(other) => continue,
            Support::Without(feature) if !other(feature) => continue,
            Support::AtMost(n) => n,
            Support::No
            | Support::Yes
            | Support::With(_)
            | Support::WithAny(_)
            | Support::Without(_) => 0,
        };
        let used = check::look(feature);
        let unsupported = Unsupported {
            feature: Some(feature),
            esp: backend.name().to_owned(),
            problem: match support {
                Support::AtMost(n) => {
                    let items = feature.items(n);
                    format!("supports at most {n} {items} per message (got {count})")
                }
                Support::With(_) | Support::WithAny(_) | Support::Without(_) => {
                    format!("supports {feature} {support}")
                }
                Support::No | Support::Yes => format!("does not support {feature}"),
            },
            requested: (used.requested)(message),
        };
        let take_out = used
            .take_out
            .map(|take_out| -> TakeOut { Box::new(move |message| take_out(message, keep)) });
        found.push((unsupported, take_out));
    }
    for objection in backend.check(message) {
        objection.add_to(&mut found, backend.name());
    }
    found
}

/// Everything unsupported in `message`, in the order of [`Feature::ALL`].
pub(super) fn unsupported(backend: &dyn EmailBackend, message: &Message) -> Vec<Unsupported> {
    objections(backend, message)
        .into_iter()
        .map(|(unsupported, _)| unsupported)
        .collect()
}

/// The result of applying a policy.
pub(super) struct Outcome {
    /// What was dropped.
    pub(super) dropped: Vec<Unsupported>,
    /// What cannot be dropped. If there is any, the message must not be sent.
    pub(super) refused: Vec<Unsupported>,
}

/// Applies a policy. Changes `message` only under `Drop`.
pub(super) fn apply(
    policy: UnsupportedPolicy,
    backend: &dyn EmailBackend,
    message: &mut Message,
) -> Outcome {
    let mut outcome = Outcome {
        dropped: Vec::new(),
        refused: Vec::new(),
    };
    if policy == UnsupportedPolicy::Refuse {
        outcome.refused = unsupported(backend, message);
        return outcome;
    }
    // Something else may have depended on what was taken out (merge data on its template), so check
    // again until nothing is found. Each round takes something out.
    for _ in 0..=Feature::ALL.len() {
        let found = objections(backend, message);
        if found.is_empty() {
            return outcome;
        }
        let mut stuck = Vec::new();
        for (unsupported, take_out) in found {
            match take_out {
                Some(take_out) => {
                    take_out(message);
                    outcome.dropped.push(unsupported);
                }
                None => stuck.push(unsupported),
            }
        }
        if !stuck.is_empty() {
            outcome.refused = stuck;
            return outcome;
        }
    }
    outcome.refused = unsupported(backend, message);
    outcome
}
