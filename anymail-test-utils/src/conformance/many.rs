//! Many unrelated messages: one result each, in order, whatever happens to the others.

use anymail_core::{
    Accepted, Attachment, Capabilities, Feature, Message, SendStatus, Status, Support,
};

use super::rig::Rig;
use super::statuses::ids;
use super::trial::{Stop, Trial, Verdict, trial};
use super::understood::{Part, Understood};
use crate::fixtures::{batch_to, file, plain, plain_to};

const LOOK_AT: &str = "EmailBackend::send_many: which messages share a call, and which row of the \
                       response belongs to which of them; Harness::read and Harness::response";

pub(super) fn trials(can: &Capabilities, local: bool) -> Vec<Trial> {
    let can = can.clone();
    let mut trials = vec![
        trial(
            "many::each_message_has_one_result_in_order",
            LOOK_AT,
            in_order,
        ),
        trial(
            "many::messages_of_all_kinds_arrive_whole",
            LOOK_AT,
            move |rig| all_kinds(rig, can.clone()),
        ),
        trial(
            "many::more_than_fit_in_a_call_all_arrive_once",
            "EmailBackend::max_batch, and how send_many splits messages into calls",
            more_than_a_call,
        ),
    ];
    if local {
        return trials;
    }
    for (name, status) in [("rejected", Status::Rejected), ("failed", Status::Failed)] {
        trials.push(trial(
            format!("many::one_{name}_in_the_middle_affects_no_other"),
            LOOK_AT,
            move |rig| bad_middle(rig, status),
        ));
    }
    trials.extend([
        trial(
            "many::a_lost_response_affects_only_its_own_messages",
            LOOK_AT,
            lost_response,
        ),
        trial(
            "many::a_message_missing_from_the_response_is_unknown",
            LOOK_AT,
            silence,
        ),
    ]);
    trials
}

fn messages(n: usize) -> Vec<Message> {
    let one = |i| {
        let mut message = plain_to([&*format!("to{i}@example.com")]);
        message.subject = format!("Message {i}").into();
        message
    };
    (0..n).map(one).collect()
}

/// Whether a result is the success of its own message.
fn yes_to(rig: &Rig, message: &Message, status: &SendStatus) -> Verdict {
    let expected: Vec<_> = message.recipients().map(|to| to.email()).collect();
    let found: Vec<_> = status.recipients().map(|it| &*it.email).collect();
    rig.ensure(expected == found && status.may_be_accepted(), || {
        format!("the result for {expected:?} reports {found:?}: {status:?}")
    })?;
    match rig.is_local() {
        true => Ok(()),
        false => ids(rig, status),
    }
}

async fn in_order(rig: Rig) -> Verdict {
    let messages = messages(7);
    let results = rig.send_all(&messages).await?;
    for (message, result) in messages.iter().zip(results) {
        match result {
            Ok(status) => yes_to(&rig, message, &status)?,
            Err(error) => return Err(rig.fail(format!("the message was not sent: {error}"))),
        }
    }
    let expected: Vec<_> = messages.iter().flat_map(Understood::expected).collect();
    rig.compare(&expected, &[Part::To, Part::Subject])
}

/// Kinds of messages that an ESP may need separate calls for, next to each other.
async fn all_kinds(rig: Rig, can: Capabilities) -> Verdict {
    let has = |feature| can.support(feature) != Support::No;
    let mut messages = vec![plain_to(["one@example.com"])];
    if has(Feature::Batch) {
        messages.push(batch_to(["two@example.com", "three@example.com"]));
    }
    if has(Feature::Template) {
        let at = super::features::at_esp(&rig);
        let mut message = at.using(Feature::Template, 1, &can);
        message.to = crate::fixtures::addresses(["four@example.com"]).into();
        messages.push(message);
    }
    if matches!(can.support(Feature::Attachments), Support::Yes) {
        let mut message = plain_to(["five@example.com"]);
        message.attachments = vec![file(Attachment::new("a.txt", "content"))].into();
        messages.push(message);
    }
    if matches!(
        can.support(Feature::Tags),
        Support::Yes | Support::AtMost(1..)
    ) {
        let mut message = plain_to(["six@example.com", "seven@example.com"]);
        message.tags = vec!["tag".to_owned()].into();
        messages.push(message);
    }
    messages.push(plain_to(["eight@example.com"]));
    for result in rig.send_all(&messages).await? {
        if let Err(error) = result {
            return Err(rig.fail(format!("the message was not sent: {error}")));
        }
    }
    let expected: Vec<_> = messages.iter().flat_map(Understood::expected).collect();
    rig.compare(&expected, &Part::ALL)
}

async fn more_than_a_call(rig: Rig) -> Verdict {
    let most = rig.backend.max_batch();
    rig.ensure(most > 0, || "EmailBackend::max_batch is 0".to_owned())?;
    let messages = messages(most.min(1000).saturating_add(1));
    let results = rig.send_all(&messages).await?;
    let sent = results.iter().filter(|result| result.is_ok()).count();
    rig.ensure(sent == messages.len(), || {
        format!(
            "{} messages, but only {sent} of them were sent",
            messages.len()
        )
    })?;
    let expected: Vec<_> = messages.iter().flat_map(Understood::expected).collect();
    rig.compare(&expected, &[Part::To])?;
    for call in rig.calls() {
        rig.ensure(call.len() <= most, || {
            format!(
                "a call has {} messages, but max_batch is {most}",
                call.len()
            )
        })?;
    }
    Ok(())
}

async fn bad_middle(rig: Rig, said: Status) -> Verdict {
    rig.say(said, |address| address.email() == "to1@example.com");
    let messages = messages(3);
    let mut results = rig.send_all(&messages).await?.into_iter();
    for (place, message) in messages.iter().enumerate() {
        match (place, results.next()) {
            (1, Some(Err(error))) => rig.ensure(error.accepted() == Accepted::No, || {
                format!("expected Accepted::No, got {error:?}")
            })?,
            (0 | 2, Some(Ok(status))) => yes_to(&rig, message, &status)?,
            (_, result) => {
                let what = if place == 1 { "not taken" } else { "taken" };
                let why = format!("message {place} was {what}, but its result is {result:?}");
                return Err(rig.fail(why));
            }
        }
    }
    Ok(())
}

async fn lost_response(rig: Rig) -> Verdict {
    rig.inject(&rig.faults()?.taken_then_reset)?;
    let messages = messages(3);
    let results = rig.send_all(&messages).await?;
    let mails = rig.mails()?.len();
    rig.ensure(mails == messages.len(), || {
        format!("{} messages were sent as {mails} messages", messages.len())
    })?;
    let (mut marked, mut others) = (Vec::new(), Vec::new());
    for (message, result) in messages.iter().zip(results) {
        match result {
            Err(error) if error.accepted() == Accepted::Maybe => marked.push(message.to.items()),
            Ok(status) => others.push((message, status)),
            Err(error) => {
                let why = "expected an error with Accepted::Maybe or a status";
                return Err(rig.fail(format!("{why}, got {error:?}")));
            }
        }
    }
    // Calls may be concurrent, so the fault may hit any of them.
    let is_marked = |call: &Vec<super::Report>| {
        let whole = call
            .iter()
            .all(|report| marked.contains(&&*report.message.to));
        whole && call.len() == marked.len()
    };
    rig.ensure(rig.calls().iter().any(is_marked), || {
        format!(
            "one call's response was lost: expected only its messages to be Accepted::Maybe, got \
             those to {marked:?}"
        )
    })?;
    for (message, status) in others {
        yes_to(&rig, message, &status)?;
    }
    Ok(())
}

async fn silence(rig: Rig) -> Verdict {
    rig.plan(|plan| plan.silent_about = 1);
    let mut messages = messages(3);
    let results = rig.send_all(&messages).await?;
    if rig.calls().iter().any(|call| call.len() < 3) {
        return Err(Stop::skip("the backend makes one call per message"));
    }
    let last = messages.pop().unwrap_or_else(plain);
    for (place, result) in results.iter().enumerate() {
        let open = match result {
            // If nobody can tell which row is missing, all results may be unknown.
            Ok(status) => place != messages.len() || status.all(Status::Unknown),
            Err(error) => error.accepted() == Accepted::Maybe,
        };
        rig.ensure(open, || {
            format!(
                "the response omitted the message to {}; an error with Accepted::Maybe was \
                 expected, not {result:?}",
                last.to.items().first().map_or("", |to| to.email())
            )
        })?;
    }
    Ok(())
}
