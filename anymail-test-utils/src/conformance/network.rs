//! What goes wrong between backend and ESP, and whether the caller may send again.

use std::time::Duration;

use anymail_core::{Accepted, Mailer, RetryPolicy, SendError, SendErrorKind};

use super::harness::TroubleKind;
use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use crate::Fault;
use crate::fixtures::{plain, plain_to};

const LOOK_AT: &str = "what your backend makes of its HTTP client's errors and of the answer's \
                       status: SendErrorKind, SendError::from_http_status, with_accepted";

/// What goes wrong, and whether the ESP may have the message; `None` where nobody but the
/// server can tell, and either is honest.
fn lost() -> Vec<(&'static str, Fault, Option<Accepted>)> {
    let maybe = Some(Accepted::Maybe);
    vec![
        ("a_connection_reset_at_once", Fault::ResetOnAccept, None),
        (
            "a_reset_before_the_request_is_read",
            Fault::ResetBeforeReading,
            None,
        ),
        (
            "a_reset_while_the_request_is_read",
            Fault::ResetWhileReading,
            None,
        ),
        (
            "a_reset_when_the_request_was_read",
            Fault::ResetAfterReading,
            maybe,
        ),
        (
            "a_reset_in_place_of_the_answer",
            Fault::AcceptThenReset,
            maybe,
        ),
        (
            "an_end_in_place_of_the_answer",
            Fault::AcceptThenClose,
            maybe,
        ),
        ("no_answer_in_time", Fault::Hang, maybe),
        (
            "no_answer_in_time_though_accepted",
            Fault::AcceptThenHang,
            maybe,
        ),
        (
            "an_answer_that_ends_early",
            Fault::CutShort { bytes: 1 },
            maybe,
        ),
        ("an_answer_that_is_no_http", Fault::garbage(), maybe),
    ]
}

/// What the ESP, or something before it, says by an HTTP status.
///
/// A page or an empty body may be anybody's, so it proves no more than its status does: see
/// [`SendError::from_http_status`]. The ESP's own error body proves that it refused.
fn told() -> Vec<(&'static str, Told, SendErrorKind, Accepted, bool)> {
    use Accepted::{Maybe, No};
    use SendErrorKind as K;
    let by = Told::By;
    let page = |status| Told::Page(Fault::html_page(status));
    let bare = |status| Told::Page(Fault::status(status));
    let gateway = |status| Told::Page(gateway_json(status));
    vec![
        (
            "a_bad_token",
            by(TroubleKind::BadToken),
            K::Authentication,
            No,
            false,
        ),
        (
            "a_page_of_a_firewall",
            page(403),
            K::Authentication,
            Maybe,
            false,
        ),
        (
            "a_refused_request",
            by(TroubleKind::Refused),
            K::Refused,
            No,
            false,
        ),
        ("a_refusal_by_a_page", page(422), K::Refused, Maybe, false),
        (
            "a_refusal_without_a_body",
            bare(422),
            K::Refused,
            Maybe,
            false,
        ),
        (
            "a_proxy_that_finds_it_too_large",
            page(413),
            K::Refused,
            No,
            false,
        ),
        (
            "too_many_requests",
            by(TroubleKind::RateLimited),
            K::RateLimited,
            No,
            true,
        ),
        (
            "too_many_requests_by_a_proxys_page",
            page(429),
            K::RateLimited,
            No,
            true,
        ),
        (
            "too_many_requests_without_a_body",
            bare(429),
            K::RateLimited,
            No,
            true,
        ),
        (
            "a_crash_of_the_esp",
            by(TroubleKind::Crashed),
            K::ServerError,
            Maybe,
            true,
        ),
        ("a_crash_by_a_page", page(500), K::ServerError, Maybe, true),
        (
            "a_crash_without_a_body",
            bare(500),
            K::ServerError,
            Maybe,
            true,
        ),
        (
            "maintenance",
            by(TroubleKind::Unavailable),
            K::ServerError,
            No,
            true,
        ),
        (
            "maintenance_by_a_proxys_page",
            page(503),
            K::ServerError,
            Maybe,
            true,
        ),
        (
            "maintenance_by_a_gateways_json",
            gateway(503),
            K::ServerError,
            Maybe,
            true,
        ),
        (
            "maintenance_without_a_body",
            bare(503),
            K::ServerError,
            Maybe,
            true,
        ),
        ("a_bad_gateway", page(502), K::ServerError, Maybe, true),
        (
            "a_gateway_that_waited_too_long",
            page(504),
            K::ServerError,
            Maybe,
            true,
        ),
    ]
}

/// What an API gateway in front of the ESP writes when it got no answer.
fn gateway_json(status: u16) -> Fault {
    let mut response = http_status(status);
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    *response.body_mut() = bytes::Bytes::from_static(br#"{"message": "Service Unavailable"}"#);
    Fault::Replace(response)
}

/// Who says it.
#[derive(Clone)]
enum Told {
    By(TroubleKind),
    Page(Fault),
}

pub(super) fn trials() -> Vec<Trial> {
    const AGAIN: &str = "EmailBackend::send: the backend makes its call once, and turns off its \
                         HTTP client's own retries; sending again is the mailer's";
    let mut trials = vec![
        trial(
            "network::a_refused_connection_is_safe_to_send_again",
            LOOK_AT,
            refused,
        ),
        trial(
            "network::a_connection_that_was_closed_in_between_does_no_harm",
            LOOK_AT,
            reopened,
        ),
        trial(
            "network::an_answer_that_comes_slowly_is_read_to_its_end",
            LOOK_AT,
            slow,
        ),
        trial(
            "network::retry_after_in_seconds_is_passed_on",
            "parse_retry_after, SendError::with_retry_after",
            |rig| retry_after(rig, "7", |wait| wait == Duration::from_secs(7)),
        ),
        trial(
            "network::retry_after_as_a_date_is_passed_on",
            "parse_retry_after, SendError::with_retry_after",
            |rig| {
                let date = "Fri, 01 Jan 2100 00:00:00 GMT";
                retry_after(rig, date, |wait| wait > Duration::from_secs(86_400))
            },
        ),
        trial(
            "network::the_esps_own_words_are_passed_on",
            "SendError::with_message; Harness::trouble, which wrote them",
            words,
        ),
        trial(
            "retries::what_may_have_been_accepted_is_not_sent_again",
            AGAIN,
            sent_once,
        ),
        trial(
            "retries::the_backend_leaves_them_to_the_mailer",
            AGAIN,
            leaves_retries,
        ),
        trial(
            "retries::the_mailer_sends_again_what_was_not_accepted",
            LOOK_AT,
            sent_again,
        ),
    ];
    for (name, fault, accepted) in lost() {
        let trial = trial(
            format!("network::{name}_is_told_as_it_is"),
            LOOK_AT,
            move |rig| lost_answer(rig, fault.clone(), accepted),
        );
        let waits = name.starts_with("no_answer");
        trials.push(if waits { trial.impatient() } else { trial });
    }
    for (name, what, kind, accepted, transient) in told() {
        trials.push(trial(
            format!("network::{name}_is_told_as_it_is"),
            LOOK_AT,
            move |rig| status(rig, what.clone(), kind, accepted, transient),
        ));
    }
    trials
}

/// Sends a message that must not be sent.
pub(super) async fn error(rig: &Rig) -> Verdict<SendError> {
    match rig.send(&plain()).await? {
        Err(error) => Ok(error),
        Ok(status) => Err(rig.fail(format!("expected an error, not {status:?}"))),
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

/// Whether the backend goes on working when all is well again.
async fn recovers(rig: &Rig) -> Verdict {
    rig.server()?.clear_faults();
    rig.plan(|plan| plan.trouble = None);
    match rig.send(&plain()).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(rig.fail(format!(
            "all is well again, but the backend is not: {error}"
        ))),
    }
}

async fn refused(rig: Rig) -> Verdict {
    let broken = |error| Stop::fail(format!("the loopback server has a problem: {error}"));
    rig.server()?.refuse().await.map_err(broken)?;
    let error = error(&rig).await?;
    judged(&rig, &error, Accepted::No, true)?;
    rig.server()?.accept_again().await.map_err(broken)?;
    recovers(&rig).await
}

async fn reopened(rig: Rig) -> Verdict {
    let broken = |error| Stop::fail(format!("the loopback server has a problem: {error}"));
    rig.send_ok(&plain()).await?;
    rig.server()?.refuse().await.map_err(broken)?;
    rig.server()?.accept_again().await.map_err(broken)?;
    recovers(&rig).await
}

async fn slow(rig: Rig) -> Verdict {
    let interval = Duration::from_millis(1);
    rig.inject(Fault::Drip { interval }, 1)?;
    let status = rig.send_ok(&plain()).await?;
    super::statuses::ids(&rig, &status)
}

async fn lost_answer(rig: Rig, fault: Fault, accepted: Option<Accepted>) -> Verdict {
    if matches!(fault, Fault::CutShort { .. }) && !rig.profile.answers_have_a_body {
        return Err(Stop::skip(
            "this ESP's answers have no body that could end early",
        ));
    }
    rig.inject(fault, 1)?;
    let error = error(&rig).await?;
    judged(&rig, &error, accepted.unwrap_or(error.accepted()), true)?;
    recovers(&rig).await
}

async fn status(
    rig: Rig,
    what: Told,
    kind: SendErrorKind,
    accepted: Accepted,
    transient: bool,
) -> Verdict {
    let told_by_esp = matches!(what, Told::By(_));
    match what {
        Told::By(trouble) => rig.trouble(trouble, "words of the ESP"),
        Told::Page(fault) => rig.inject(fault, 1)?,
    }
    let error = error(&rig).await?;
    let says_nothing = || rig.last_answer().is_some_and(|it| it.body().is_empty());
    if told_by_esp && accepted == Accepted::No && says_nothing() {
        return Err(Stop::skip(
            "this ESP's error has no body that tells it from a proxy's",
        ));
    }
    rig.ensure(error.kind() == kind, || {
        format!(
            "expected   kind: {kind:?}\ntold       kind: {:?}: {error}",
            error.kind()
        )
    })?;
    judged(&rig, &error, accepted, transient)?;
    recovers(&rig).await
}

async fn retry_after(rig: Rig, said: &'static str, right: fn(Duration) -> bool) -> Verdict {
    rig.trouble(TroubleKind::RateLimited, "slow down");
    rig.plan(|plan| plan.retry_after = Some(said));
    let found = error(&rig).await?.retry_after();
    rig.ensure(found.is_some_and(right), || {
        format!("expected   the wait of \"Retry-After: {said}\"\ntold       {found:?}")
    })
}

async fn words(rig: Rig) -> Verdict {
    let words = "the plan of this account allows no such thing (ref. 4711)";
    rig.trouble(TroubleKind::Refused, words);
    let error = error(&rig).await?;
    rig.ensure(error.to_string().contains(words), || {
        format!("expected   {words}\ntold       {error}")
    })
}

/// Only the first try of each goes wrong: a second one would succeed, and be a second mail.
async fn sent_once(rig: Rig) -> Verdict {
    let faults = [
        Fault::AcceptThenReset,
        Fault::AcceptThenClose,
        Fault::garbage(),
        Fault::Replace(http_status(500)),
        Fault::Replace(http_status(502)),
        Fault::Replace(http_status(503)),
        Fault::Replace(http_status(504)),
        gateway_json(503),
    ];
    for (i, fault) in faults.into_iter().enumerate() {
        let to = format!("to{i}@example.com");
        let what = fault.to_string();
        rig.inject(fault, 1)?;
        let _ = rig.send(&plain_to([&*to])).await?;
        let mails = rig.mails()?;
        let mine = |mail: &&super::Understood| mail.to.iter().any(|it| it.email() == to);
        let copies = mails.iter().filter(mine).count();
        rig.ensure(copies == 1, || {
            format!("after the fault \"{what}\" the ESP has the mail {copies} times")
        })?;
        rig.server()?.clear_faults();
    }
    Ok(())
}

fn http_status(status: u16) -> http::Response<bytes::Bytes> {
    let mut response = http::Response::default();
    if let Ok(status) = status.try_into() {
        *response.status_mut() = status;
    }
    response
}

/// Even what would be safe to send again: the caller has a say in how long that may take.
async fn leaves_retries(rig: Rig) -> Verdict {
    for kind in [TroubleKind::RateLimited, TroubleKind::Unavailable] {
        let before = rig.requests();
        rig.trouble(kind, "not now");
        error(&rig).await?;
        let made = rig.requests().saturating_sub(before);
        rig.ensure(made == 1, || {
            format!("one message, and {made} requests while the ESP answered {kind}")
        })?;
    }
    Ok(())
}

async fn sent_again(rig: Rig) -> Verdict {
    rig.inject(Fault::status(429), 1)?;
    let policy = RetryPolicy {
        first_wait: Duration::from_millis(1),
        ..RetryPolicy::standard()
    };
    let builder = Mailer::builder(std::sync::Arc::clone(&rig.backend));
    let mailer = builder.retry(policy).build();
    match rig.send_by(&mailer, &plain()).await? {
        Ok(status) => super::statuses::ids(&rig, &status),
        Err(error) => Err(rig.fail(format!(
            "a 429 came and then all was well; the mailer should have sent again: {error}"
        ))),
    }
}
