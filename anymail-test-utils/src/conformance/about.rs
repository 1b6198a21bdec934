//! What a backend reports about itself.

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use crate::fixtures::plain;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("backend::has_a_valid_name", "EmailBackend::name", name),
        trial(
            "backend::never_changes_its_description",
            "EmailBackend::name, capabilities and max_batch",
            constant,
        ),
        trial(
            "backend::accepts_a_plain_message",
            "EmailBackend::check",
            plain_is_fine,
        ),
    ]
}

async fn name(rig: Rig) -> Verdict {
    let name = rig.backend.name();
    let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fit);
    rig.ensure(fits, || {
        format!("invalid backend name {name:?}: expected lower case letters, digits, - and _, starting with a letter")
    })?;
    let status = rig.send_ok(&plain()).await?;
    rig.ensure(status.esp == name, || {
        format!(
            "the backend's name is {name:?}, but its statuses contain {:?}",
            status.esp
        )
    })
}

async fn constant(rig: Rig) -> Verdict {
    let before = (rig.backend.capabilities().clone(), rig.backend.max_batch());
    rig.send_ok(&plain()).await?;
    let after = (rig.backend.capabilities().clone(), rig.backend.max_batch());
    rig.ensure(before == after && before.1 > 0, || {
        format!("capabilities and max_batch were {before:?} before a message was sent, but {after:?} afterwards")
    })
}

async fn plain_is_fine(rig: Rig) -> Verdict {
    let found = rig.mailer.check(&plain());
    rig.ensure(found.is_ok(), || {
        format!("the backend refuses a plain message: {found}")
    })
}
