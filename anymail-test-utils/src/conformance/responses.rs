//! Invalid responses: they never cause a panic, and are neither a success nor a false refusal.

use anymail_core::{Accepted, SendError, SendStatus, Status};
use bytes::Bytes;

use super::harness::FailureKind;
use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use super::wire::{Bare, BareMeaning};
use crate::fixtures::{batch_to, plain, plain_to};

const LOOK_AT: &str = "how your backend reads the response: do not trust any of it; an invalid \
                       response is SendErrorKind::InvalidResponse";

pub(super) fn trials(batch: bool) -> Vec<Trial> {
    vec![
        trial(
            "responses::of_the_wrong_shape_are_not_a_success",
            LOOK_AT,
            wrong_shape,
        ),
        trial(
            "responses::with_only_a_status_are_reported_correctly",
            LOOK_AT,
            any_status,
        ),
        trial(
            "responses::without_an_end_are_read_up_to_a_limit",
            "how your backend reads the response's body: chunk by chunk, up to a fixed limit",
            endless,
        ),
        trial(
            "responses::truncated_or_altered_anywhere_cause_no_panic",
            LOOK_AT,
            move |rig| changed(rig, batch),
        ),
    ]
}

/// Texts that a parser of JSON, XML, forms or text may fail on.
pub(super) fn nonsense() -> Vec<Bytes> {
    let texts: [&[u8]; 17] = [
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b"-1e999",
        b"\"text\"",
        b"[]",
        b"{}",
        b"[[]]",
        b"[null, {}, 7]",
        b"{\"id\": null, \"status\": [], \"message\": {}, \"errors\": 7}",
        b"{\"a\": ",
        b"\xff\xfe\x00",
        b"<html><body>Welcome to the hotel's wireless network</body></html>",
        b"<?xml version=\"1.0\"?><a><b></a>",
        b"a=1&b=%zz",
    ];
    let mut all: Vec<_> = texts.into_iter().map(Bytes::from_static).collect();
    all.push(Bytes::from("[".repeat(100_000)));
    all.push(Bytes::from("{\"a\":".repeat(50_000)));
    all.push(Bytes::from(vec![b'x'; 1_000_000]));
    all
}

/// Whether a result claims neither that the ESP accepted the message nor that it did not.
fn is_open(result: &Result<SendStatus, SendError>) -> bool {
    match result {
        Ok(status) => status.all(Status::Unknown),
        Err(error) => error.accepted() == Accepted::Maybe,
    }
}

async fn wrong_shape(rig: Rig) -> Verdict {
    if !rig.profile.responses_have_a_body {
        return Err(Stop::skip("this ESP's responses have no body"));
    }
    for fault in &rig.faults()?.nonsense {
        rig.inject(fault)?;
        let result = rig.send(&plain()).await?;
        rig.ensure(is_open(&result), || {
            format!(
                "expected an error with Accepted::Maybe for the response {fault}, got \
                 {result:?}"
            )
        })?;
        rig.wire.forget();
    }
    Ok(())
}

async fn any_status(rig: Rig) -> Verdict {
    for Bare { fault, meaning } in &rig.faults()?.bare {
        rig.inject(fault)?;
        let result = rig.send(&plain()).await?;
        let right = match meaning {
            BareMeaning::NotYes => result.is_err(),
            BareMeaning::Open => is_open(&result),
            BareMeaning::PerhapsYes => is_open(&result) || !rig.profile.responses_have_a_body,
        };
        rig.ensure(right, || {
            format!("wrong result for the response {fault}: {result:?}")
        })?;
        rig.all_is_well();
        rig.wire.forget();
    }
    Ok(())
}

/// A success and a refusal, followed by more than any real response contains.
async fn endless(rig: Rig) -> Verdict {
    for failure in [None, Some(FailureKind::Refused)] {
        rig.plan(|plan| plan.failure = failure.map(|kind| (kind, "words".to_owned())));
        rig.inject(&rig.faults()?.endless)?;
        let result = rig.send(&plain()).await?;
        rig.ensure(!rig.wire.endless_was_read(), || {
            "the backend read 64 MiB of an endless response without stopping".to_owned()
        })?;
        // If only the status and the headers report success, the end of the body does not matter.
        let bodiless = !rig.profile.responses_have_a_body;
        let right = match failure {
            None => is_open(&result) || bodiless,
            Some(_) => is_open(&result) || result.is_err(),
        };
        rig.ensure(right, || {
            format!("wrong result for an endless response: {result:?}")
        })?;
        rig.all_is_well();
    }
    Ok(())
}

/// The ESP's own success response, with its body truncated and altered in many places.
async fn changed(rig: Rig, batch: bool) -> Verdict {
    let mut messages = vec![plain_to(["ann@example.com", "bob@example.com"])];
    if batch {
        messages.push(batch_to(["ann@example.com", "bob@example.com"]));
    }
    for message in messages {
        rig.send_ok(&message).await?;
        for fault in rig.wire.altered_responses() {
            rig.inject(&fault)?;
            let result = rig.send(&message).await?;
            if let Ok(status) = &result {
                let told = status.recipients().len();
                rig.ensure(told == 2, || {
                    format!("expected a status for 2 recipients, got {told}: {status:?}")
                })?;
            }
            rig.all_is_well();
            rig.wire.forget();
        }
    }
    Ok(())
}

pub(super) fn mutilations(body: &Bytes) -> Vec<Bytes> {
    const PLACES: usize = 40;
    let step = body.len().div_ceil(PLACES).max(1);
    let mut all = Vec::new();
    for at in (0..body.len()).step_by(step) {
        all.push(body.slice(..at));
        for byte in [b'0', b'"', b'{', b'n', 0xff] {
            let mut changed = body.to_vec();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            all.push(changed.into());
        }
    }
    all.push([&body[..], &body[..]].concat().into());
    all
}
