//! What a backend says of itself.

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use crate::fixtures::plain;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "backend::has_a_name_to_configure_it_by",
            "EmailBackend::name",
            name,
        ),
        trial(
            "backend::says_the_same_of_itself_each_time",
            "EmailBackend::name, capabilities and max_batch",
            constant,
        ),
        trial(
            "backend::has_nothing_against_a_plain_message",
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
        format!("{name:?}: a name has lower case letters, digits, - and _ in it, a letter first")
    })?;
    let status = rig.send_ok(&plain()).await?;
    rig.ensure(status.esp == name, || {
        format!(
            "the backend is called {name:?}, its statuses say {:?}",
            status.esp
        )
    })
}

async fn constant(rig: Rig) -> Verdict {
    let before = (rig.backend.capabilities().clone(), rig.backend.max_batch());
    rig.send_ok(&plain()).await?;
    let after = (rig.backend.capabilities().clone(), rig.backend.max_batch());
    rig.ensure(before == after && before.1 > 0, || {
        format!("it said {before:?} before it sent a message, {after:?} afterwards")
    })
}

async fn plain_is_fine(rig: Rig) -> Verdict {
    let found = rig.mailer.check(&plain());
    rig.ensure(found.is_ok(), || {
        format!("a plain message must be sendable: {found}")
    })
}
