//! What a caller learns: each recipient's status and message ID, for everything an ESP can report.

use anymail_core::{
    Accepted, Capabilities, Feature, Message, SendErrorKind, SendStatus, Status, Support,
};

use super::profile::MessageIds;
use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use crate::fixtures::{addresses, batch_to, plain, plain_to};

const SAID: [(&str, Status); 4] = [
    ("queued", Status::Queued),
    ("invalid", Status::Invalid),
    ("rejected", Status::Rejected),
    ("failed", Status::Failed),
];
const LOOK_AT: &str = "how your backend reads the response; Harness::response, which wrote it";

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "statuses::every_recipient_is_reported_under_the_address_as_given",
            LOOK_AT,
            as_given,
        ),
        trial("statuses::cc_and_bcc_have_a_status_too", LOOK_AT, copies),
        trial(
            "statuses::a_message_without_accepted_recipients_is_an_error",
            LOOK_AT,
            nobody,
        ),
        trial(
            "statuses::the_raw_response_is_kept",
            "SendStatus::esp_responses: push the response's body as text",
            raw_response,
        ),
        trial(
            "message_ids::are_those_of_the_esp",
            LOOK_AT,
            |rig| async move {
                let status = rig
                    .send_ok(&plain_to(["ann@example.com", "bob@example.com"]))
                    .await?;
                ids(&rig, &status)
            },
        ),
        trial(
            "message_ids::differ_from_call_to_call",
            LOOK_AT,
            |rig| async move {
                for to in ["ann@example.com", "bob@example.com"] {
                    let status = rig.send_ok(&plain_to([to])).await?;
                    ids(&rig, &status)?;
                }
                Ok(())
            },
        ),
    ];
    for (name, status) in SAID {
        trials.push(trial(
            format!("statuses::a_recipient_who_is_{name}"),
            LOOK_AT,
            move |rig| alone(rig, status),
        ));
        trials.push(trial(
            format!("statuses::one_of_three_in_a_message_is_{name}"),
            LOOK_AT,
            move |rig| {
                let to = ["ann@example.com", "bob@example.com", "eve@example.com"];
                one_of(rig, plain_to(to), "bob@example.com", status)
            },
        ));
    }
    if can.support(Feature::Batch) != Support::No {
        for (name, status) in SAID {
            trials.push(trial(
                format!("statuses::one_of_a_batch_is_{name}"),
                LOOK_AT,
                move |rig| {
                    let to = ["ann@example.com", "bob@example.com", "eve@example.com"];
                    one_of(rig, batch_to(to), "ann@example.com", status)
                },
            ));
        }
        trials.push(trial(
            "message_ids::each_of_a_batch_has_its_own",
            LOOK_AT,
            |rig| async move {
                let status = rig
                    .send_ok(&batch_to(["zoe@example.com", "ann@example.com"]))
                    .await?;
                ids(&rig, &status)
            },
        ));
    }
    trials
}

/// Checks that each accepted recipient has an ID of the ESP, and that no other recipient has one.
pub(super) fn ids(rig: &Rig, status: &SendStatus) -> Verdict {
    for recipient in status.recipients() {
        let id = recipient.message_id.as_deref();
        let key = anymail_core::AddressKey::of(&recipient.email);
        let given = rig.ids_of(&key);
        let none = !recipient.status.may_be_accepted()
            || (rig.profile.message_ids == MessageIds::None && given.is_empty());
        let right = match id {
            None => none || rig.profile.message_ids == MessageIds::None,
            Some(id) => !none && given.iter().any(|given| given == id),
        };
        rig.ensure(right, || {
            let wanted = if none { Vec::new() } else { given };
            format!(
                "expected   the message ID of {}, who is {:?}: {wanted:?}\nreported   {id:?}",
                recipient.email, recipient.status
            )
        })?;
    }
    Ok(())
}

/// Checks that exactly these recipients are reported, with these statuses.
fn told(rig: &Rig, status: &SendStatus, expected: &[(&str, Status)]) -> Verdict {
    let found: Vec<_> = status
        .recipients()
        .map(|it| (&*it.email, it.status))
        .collect();
    rig.ensure(found == expected, || {
        format!("expected   {expected:?}\nreported   {found:?}")
    })
}

async fn as_given(rig: Rig) -> Verdict {
    let to = [
        "Ann.Doe@Example.COM",
        "eve@příklad.example",
        "o'neil+x@example.com",
    ];
    let mut message = plain();
    message.to = addresses(to).into();
    let status = rig.send_ok(&message).await?;
    let yes = rig.profile.accepts_as;
    told(&rig, &status, &to.map(|email| (email, yes)))
}

async fn copies(rig: Rig) -> Verdict {
    let mut message = plain();
    message.cc = addresses(["carol@example.com"]).into();
    message.bcc = addresses(["dave@example.com"]).into();
    let status = rig.send_ok(&message).await?;
    let yes = rig.profile.accepts_as;
    let people = ["ann@example.com", "carol@example.com", "dave@example.com"];
    told(&rig, &status, &people.map(|email| (email, yes)))?;
    ids(&rig, &status)
}

async fn raw_response(rig: Rig) -> Verdict {
    let status = rig.send_ok(&plain()).await?;
    if !rig.profile.responses_have_a_body {
        return Err(Stop::skip("this ESP's responses have no body"));
    }
    let kept = status
        .esp_responses
        .iter()
        .any(|response| !response.is_empty());
    rig.ensure(kept, || "SendStatus::esp_responses is empty".to_owned())
}

/// Sends to one recipient, for whom the ESP reports this status.
async fn alone(rig: Rig, said: Status) -> Verdict {
    rig.say(said, |_| true);
    let result = rig.send(&plain()).await?;
    if said.may_be_accepted() {
        return match result {
            Ok(status) => {
                told(&rig, &status, &[("ann@example.com", said)])?;
                ids(&rig, &status)
            }
            Err(error) => Err(rig.fail(format!(
                "the ESP accepted the message, but the result is an error: {error}"
            ))),
        };
    }
    let error = match result {
        Err(error) => error,
        Ok(status) => {
            return Err(rig.fail(format!(
                "the ESP refused the message, but the result is a status: {status:?}"
            )));
        }
    };
    let kind = match said.is_refused() {
        true => SendErrorKind::RecipientsRefused,
        false => SendErrorKind::Refused,
    };
    rig.ensure(error.kind() == kind, || {
        format!(
            "expected   an error of kind {kind:?}\nreported   {:?}: {error}",
            error.kind()
        )
    })?;
    rig.ensure(
        error.accepted() == Accepted::No && !error.is_transient(),
        || format!("expected a permanent error with Accepted::No, got {error:?}"),
    )?;
    match error.status() {
        Some(status) => {
            told(&rig, status, &[("ann@example.com", said)])?;
            ids(&rig, status)
        }
        None => rig.ensure(!said.is_refused(), || {
            format!("the error must contain a status with the refused recipients: {error:?}")
        }),
    }
}

/// Sends to several recipients, for one of whom the ESP reports this status.
async fn one_of(rig: Rig, message: Message, whom: &'static str, said: Status) -> Verdict {
    rig.say(said, move |address| address.email() == whom);
    let status = rig.send_ok(&message).await?;
    let yes = rig.profile.accepts_as;
    let expected: Vec<_> = message
        .to
        .items()
        .iter()
        .map(|to| (to.email(), if to.email() == whom { said } else { yes }))
        .collect();
    told(&rig, &status, &expected)?;
    ids(&rig, &status)
}

/// Rejects all recipients, with one call for each or one for all.
async fn nobody(rig: Rig) -> Verdict {
    rig.say(Status::Rejected, |_| true);
    let to = ["ann@example.com", "bob@example.com"];
    match rig.send(&plain_to(to)).await? {
        Ok(status) => Err(rig.fail(format!(
            "expected an error because every recipient was refused, got {status:?}"
        ))),
        Err(error) => {
            let status = error.status().ok_or_else(|| {
                rig.fail(format!(
                    "the error must contain a status with the refused recipients: {error:?}"
                ))
            })?;
            told(&rig, status, &to.map(|email| (email, Status::Rejected)))
        }
    }
}
