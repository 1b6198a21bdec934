//! A batch in several calls, one of which fails: every recipient is reported correctly.
//!
//! An error that says "not accepted" leads to duplicates for recipients who have the message, and a
//! wrong status loses it for those who do not.

use anymail_core::{
    Accepted, AddressKey, Capabilities, Feature, SendError, SendStatus, Status, Support,
};

use super::harness::FailureKind;
use super::profile::Profile;
use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::wire::Faults;
use crate::fixtures::{addresses, batch_to};

/// How a call fails.
#[derive(Clone, Copy, PartialEq)]
enum CallFailure {
    Told(FailureKind),
    Lost,
    Garbled,
}

pub(super) fn trials(can: &Capabilities, profile: &Profile, faults: &Faults) -> Vec<Trial> {
    const LOOK_AT: &str = "EmailBackend::send for a batch in several calls: the result is a \
                           status as soon as one of them was accepted";
    /// More recipients than this take too long to test.
    const MOST: usize = 10_000;
    if can.support(Feature::Batch) == Support::No
        || profile.recipients_per_call.is_none_or(|most| most > MOST)
    {
        return Vec::new();
    }
    let crash = match faults.a_crash_is_a_no {
        true => "a_server_error_in_the_{}_call_fails_only_its_recipients",
        false => "a_server_error_in_the_{}_call_leaves_only_its_recipients_unknown",
    };
    let failures = [
        (
            "a_refused_{}_call_fails_only_its_recipients",
            CallFailure::Told(FailureKind::Refused),
        ),
        (
            "a_rate_limited_{}_call_fails_only_its_recipients",
            CallFailure::Told(FailureKind::RateLimited),
        ),
        (crash, CallFailure::Told(FailureKind::Crashed)),
        (
            "a_lost_{}_call_leaves_only_its_recipients_unknown",
            CallFailure::Lost,
        ),
        (
            "a_garbled_response_to_the_{}_call_leaves_only_its_recipients_unknown",
            CallFailure::Garbled,
        ),
    ];
    let mut trials = vec![trial(
        "batch::no_call_has_more_recipients_than_the_esp_allows",
        "how your backend splits a batch into calls; Profile::recipients_per_call",
        no_more,
    )];
    for (name, failure) in failures {
        for (place, call) in [("first", 0), ("second", 1)] {
            trials.push(trial(
                format!("batch::{}", name.replace("{}", place)),
                LOOK_AT,
                move |rig| one_fails(rig, failure, call),
            ));
        }
    }
    trials
}

/// Returns enough recipients for two calls and part of a third.
fn recipients(rig: &Rig) -> Vec<String> {
    let most = rig.profile.recipients_per_call.unwrap_or(1);
    let all = most.saturating_add(most.min(3)).max(3);
    (0..all).map(|i| format!("to{i}@example.com")).collect()
}

async fn no_more(rig: Rig) -> Verdict {
    let to = recipients(&rig);
    let mut message = batch_to(to.iter().map(String::as_str));
    // Some ESPs count copies, too. Harness::read then refuses a call with too many.
    message.cc = addresses(["copy@example.com"]).into();
    message.bcc = addresses(["hidden@example.com"]).into();
    let status = rig.send_ok(&message).await?;
    rig.ensure(status.all(rig.profile.accepts_as), || {
        format!("expected every recipient to be accepted, got {status:?}")
    })?;
    let most = rig.profile.recipients_per_call.unwrap_or(usize::MAX);
    for call in rig.calls() {
        let people: usize = call.iter().map(|report| report.message.to.len()).sum();
        rig.ensure(people <= most, || {
            format!("a call has {people} recipients, but the ESP allows {most}")
        })?;
    }
    Ok(())
}

async fn one_fails(rig: Rig, failure: CallFailure, call: usize) -> Verdict {
    match failure {
        CallFailure::Told(kind) => {
            rig.refuse_all(kind, "the reason as the ESP words it");
            rig.plan(|plan| plan.failure_at = Some(call));
        }
        CallFailure::Lost => {
            let fault = rig.faults()?.taken_then_reset;
            rig.wire.inject_at(&fault, call.saturating_add(1))?;
        }
        CallFailure::Garbled => {
            let fault = rig.faults()?.taken_then_garbage;
            rig.wire.inject_at(&fault, call.saturating_add(1))?;
        }
    }
    let to = recipients(&rig);
    let result = rig.send(&batch_to(to.iter().map(String::as_str))).await?;
    let people: Vec<Vec<AddressKey>> = rig.calls().iter().map(|call| keys(call)).collect();
    rig.ensure(people.len() > call, || {
        format!(
            "expected several calls for {} recipients, but the ESP got {}",
            to.len(),
            people.len()
        )
    })?;
    // Concurrent calls may overtake each other, so a fault may hit another call than intended.
    let hit: Vec<usize> = match failure {
        CallFailure::Told(_) => vec![call],
        CallFailure::Lost | CallFailure::Garbled => (0..people.len()).collect(),
    };
    let crash_is_open = !rig.faults()?.a_crash_is_a_no;
    let of_failed = match failure {
        CallFailure::Told(FailureKind::Crashed) if crash_is_open => Status::Unknown,
        CallFailure::Told(_) => Status::Failed,
        CallFailure::Lost | CallFailure::Garbled => Status::Unknown,
    };
    let wrong = |hit: usize| judge(&rig, &result, &people, hit, of_failed, &to);
    let verdicts: Vec<_> = hit.into_iter().map(wrong).collect();
    match verdicts.iter().any(Option::is_none) {
        true => Ok(()),
        false => {
            let why = verdicts.into_iter().flatten().next().unwrap_or_default();
            Err(rig.fail(why))
        }
    }
}

fn keys(call: &[super::Report]) -> Vec<AddressKey> {
    let people = call.iter().flat_map(|report| &report.message.to);
    people.map(|address| address.key()).collect()
}

/// Returns what is wrong with a result after the call `hit` has failed.
fn judge(
    rig: &Rig,
    result: &Result<SendStatus, SendError>,
    people: &[Vec<AddressKey>],
    hit: usize,
    of_failed: Status,
    to: &[String],
) -> Option<String> {
    let status = match result {
        Ok(status) => status,
        // If no call was accepted, an error is sufficient.
        Err(error) if people.len() == 1 => {
            let honest = match of_failed {
                Status::Failed => Accepted::No,
                _ => Accepted::Maybe,
            };
            return (error.accepted() != honest)
                .then(|| format!("expected {honest:?} after the only call failed, got {error:?}"));
        }
        Err(error) => {
            return Some(format!(
                "one of {} calls failed: expected a status that reports which recipients were \
                 accepted, got an error with Accepted::{:?}: {error}",
                people.len(),
                error.accepted()
            ));
        }
    };
    for email in to {
        let key = AddressKey::of(email);
        let call = people.iter().position(|call| call.contains(&key));
        let expected = match call {
            Some(call) if call == hit => of_failed,
            Some(_) => rig.profile.accepts_as,
            None => Status::Failed, // never attempted
        };
        let told = status.by_key(&key).map(|it| it.status);
        if told != Some(expected) {
            return Some(format!(
                "call {} of {} failed, and {email} was in call {}: expected {expected:?}, reported {told:?}",
                hit + 1,
                people.len(),
                call.map_or("none".to_owned(), |call| format!("call {}", call + 1)),
            ));
        }
    }
    None
}
