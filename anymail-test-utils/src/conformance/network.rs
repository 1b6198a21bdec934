//! What can go wrong between backend and ESP, and whether the caller may send again.

use std::time::Duration;

use anymail_core::{Accepted, Mailer, Message, RetryPolicy, SendError};

use super::harness::FailureKind;
use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use super::wire::{Faults, Lost, Teller, Told};
use crate::fixtures::{plain, plain_to};

const LOOK_AT: &str = "how your backend maps its client's errors and the response's status: \
                       SendErrorKind, SendError::from_http_status, with_accepted";

pub(super) fn trials(faults: &Faults) -> Vec<Trial> {
    const AGAIN: &str = "EmailBackend::send: the backend makes its call once, and turns off its \
                         HTTP client's own retries; the mailer retries";
    let mut trials = vec![
        trial(
            "network::a_refused_connection_is_safe_to_send_again",
            LOOK_AT,
            refused,
        ),
        trial(
            "network::a_connection_closed_while_idle_does_no_harm",
            LOOK_AT,
            reopened,
        ),
        trial("network::a_slow_response_is_read_completely", LOOK_AT, slow),
        trial(
            "network::the_esps_error_message_is_passed_on",
            "SendError::with_message; Harness::error_response, which wrote them",
            words,
        ),
        trial(
            "retries::what_may_have_been_accepted_is_not_sent_again",
            AGAIN,
            sent_once,
        ),
        trial(
            "retries::the_backend_leaves_retries_to_the_mailer",
            AGAIN,
            leaves_retries,
        ),
        trial(
            "retries::the_mailer_retries_what_was_not_accepted",
            LOOK_AT,
            sent_again,
        ),
    ];
    if faults.says_how_long {
        let look_at = "parse_retry_after, SendError::with_retry_after";
        trials.push(trial(
            "network::retry_after_in_seconds_is_passed_on",
            look_at,
            |rig| retry_after(rig, "7", |wait| wait == Duration::from_secs(7)),
        ));
        trials.push(trial(
            "network::retry_after_as_a_date_is_passed_on",
            look_at,
            |rig| {
                let date = "Fri, 01 Jan 2100 00:00:00 GMT";
                retry_after(rig, date, |wait| wait > Duration::from_secs(86_400))
            },
        ));
    }
    for lost in &faults.lost {
        let (name, own) = (&lost.name, lost.clone());
        let name = format!("network::{name}_is_reported_correctly");
        let trial = trial(name, LOOK_AT, move |rig| lost_response(rig, own.clone()));
        trials.push(if lost.waits { trial.impatient() } else { trial });
    }
    for told in &faults.told {
        let (name, own) = (&told.name, told.clone());
        let name = format!("network::{name}_is_reported_correctly");
        trials.push(trial(name, LOOK_AT, move |rig| status(rig, own.clone())));
    }
    trials
}

/// Sends a message that must fail.
pub(super) async fn error(rig: &Rig) -> Verdict<SendError> {
    error_of(rig, &plain()).await
}

async fn error_of(rig: &Rig, message: &Message) -> Verdict<SendError> {
    match rig.send(message).await? {
        Err(error) => Ok(error),
        Ok(status) => Err(rig.fail(format!("expected an error, got {status:?}"))),
    }
}

fn judged(rig: &Rig, error: &SendError, accepted: Accepted, transient: bool) -> Verdict {
    let found = (error.accepted(), error.is_transient());
    rig.ensure(found == (accepted, transient), || {
        format!(
            "expected   accepted: {accepted:?}, transient: {transient}\n\
             told       accepted: {:?}, transient: {}, kind {:?}: {error}",
            found.0,
            found.1,
            error.kind()
        )
    })
}

/// Checks that the backend works again once the fault is over.
async fn recovers(rig: &Rig) -> Verdict {
    rig.all_is_well();
    match rig.send(&plain()).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(rig.fail(format!(
            "the backend does not recover after the fault: {error}"
        ))),
    }
}

async fn refused(rig: Rig) -> Verdict {
    rig.wire.refuse().await?;
    let error = error(&rig).await?;
    judged(&rig, &error, Accepted::No, true)?;
    rig.wire.accept_again().await?;
    recovers(&rig).await
}

async fn reopened(rig: Rig) -> Verdict {
    rig.send_ok(&plain()).await?;
    rig.wire.refuse().await?;
    rig.wire.accept_again().await?;
    recovers(&rig).await
}

async fn slow(rig: Rig) -> Verdict {
    rig.inject(&rig.faults()?.slow)?;
    let status = rig.send_ok(&plain()).await?;
    super::statuses::ids(&rig, &status)
}

async fn lost_response(rig: Rig, lost: Lost) -> Verdict {
    if lost.in_body && !rig.profile.responses_have_a_body {
        return Err(Stop::skip(
            "this ESP's responses have no body that could end early",
        ));
    }
    rig.inject(&lost.fault)?;
    let message = if lost.long { long() } else { plain() };
    let error = error_of(&rig, &message).await?;
    judged(
        &rig,
        &error,
        lost.accepted.unwrap_or(error.accepted()),
        true,
    )?;
    recovers(&rig).await
}

/// More than socket buffers hold.
fn long() -> Message {
    let mut message = plain();
    message.text_body = "A line of a long letter, as there are many.\r\n"
        .repeat(600_000)
        .into();
    message
}

async fn status(rig: Rig, told: Told) -> Verdict {
    let told_by_esp = matches!(told.by, Teller::Esp(_));
    match &told.by {
        Teller::Esp(failure) => rig.refuse_all(*failure, "error message of the ESP"),
        Teller::Anybody(fault) => rig.inject(fault)?,
    }
    let error = error(&rig).await?;
    if told_by_esp && told.accepted == Accepted::No && rig.wire.said_nothing() {
        return Err(Stop::skip(
            "this ESP's error has no body that distinguishes it from a proxy's",
        ));
    }
    rig.ensure(error.kind() == told.kind, || {
        format!(
            "expected   kind: {:?}\nreported   kind: {:?}: {error}",
            told.kind,
            error.kind()
        )
    })?;
    judged(&rig, &error, told.accepted, told.transient)?;
    recovers(&rig).await
}

async fn retry_after(rig: Rig, said: &'static str, right: fn(Duration) -> bool) -> Verdict {
    rig.refuse_all(FailureKind::RateLimited, "slow down");
    rig.plan(|plan| plan.retry_after = Some(said));
    let found = error(&rig).await?.retry_after();
    rig.ensure(found.is_some_and(right), || {
        format!("expected   the wait of \"Retry-After: {said}\"\nreported   {found:?}")
    })
}

async fn words(rig: Rig) -> Verdict {
    let words = "the plan of this account allows no such thing (ref. 4711)";
    rig.refuse_all(FailureKind::Refused, words);
    let error = error(&rig).await?;
    rig.ensure(error.to_string().contains(words), || {
        format!("expected   {words}\nreported   {error}")
    })
}

/// Only the first attempt fails each time: a second one would succeed and send a duplicate.
async fn sent_once(rig: Rig) -> Verdict {
    for (i, fault) in rig.faults()?.taken.iter().enumerate() {
        let to = format!("to{i}@example.com");
        rig.inject(fault)?;
        let _ = rig.send(&plain_to([&*to])).await?;
        let mails = rig.mails()?;
        let mine = |mail: &&super::Understood| mail.to.iter().any(|it| it.email() == to);
        let copies = mails.iter().filter(mine).count();
        rig.ensure(copies == 1, || {
            format!("after the fault \"{fault}\", the ESP has {copies} copies of the message")
        })?;
        rig.all_is_well();
    }
    Ok(())
}

/// Applies even to what would be safe to retry, because the caller limits the time for that.
async fn leaves_retries(rig: Rig) -> Verdict {
    for kind in [FailureKind::RateLimited, FailureKind::Unavailable] {
        let before = rig.wire.tries();
        rig.refuse_all(kind, "not now");
        error(&rig).await?;
        let made = rig.wire.tries().saturating_sub(before);
        rig.ensure(made == 1, || {
            format!("expected one request per message while the ESP answered {kind}, got {made}")
        })?;
    }
    Ok(())
}

async fn sent_again(rig: Rig) -> Verdict {
    rig.inject(&rig.faults()?.not_now)?;
    let policy = RetryPolicy {
        first_wait: Duration::from_millis(1),
        ..RetryPolicy::standard()
    };
    let builder = Mailer::builder(std::sync::Arc::clone(&rig.backend));
    let mailer = builder.retry(policy).build();
    match rig.send_by(&mailer, &plain()).await? {
        Ok(status) => super::statuses::ids(&rig, &status),
        Err(error) => Err(rig.fail(format!(
            "expected the mailer to retry after a single temporary refusal: {error}"
        ))),
    }
}
