//! Backends that misread responses, or report something else to the caller.

use anymail_core::{
    Accepted, AddressKey, PreparedMessage, SendError, SendErrorKind, SendStatus, Status,
};
use serde_json::{Value, json};

use crate::backend::NAME;
use crate::breaks::Break::{Own, Response, Result, Results};
use crate::breaks::{Mutant, Own as O, SendResult, mutant};
use crate::mutant::status_of;

pub fn mutants() -> Vec<Mutant> {
    [
        statuses(),
        ids(),
        many(),
        calls(),
        nonsense(),
        about_itself(),
    ]
    .concat()
}

/// Changes what is reported for each recipient.
pub fn retell(
    result: SendResult,
    change: impl Fn(usize, &AddressKey, Status, Option<String>) -> (Status, Option<String>),
) -> SendResult {
    let mut status = result?;
    let before = status.clone();
    for (i, it) in before.recipients().enumerate() {
        let key = AddressKey::of(&it.email);
        let (told, id) = change(i, &key, it.status, it.message_id.clone());
        status.set(&key, told, id, it.detail.clone());
    }
    Ok(status)
}

pub fn takes_for(result: SendResult, from: Status, to: Status) -> SendResult {
    retell(result, |_, _, status, id| match status == from {
        true => (
            to,
            id.or(Some("made up".to_owned()))
                .filter(|_| to.may_be_accepted()),
        ),
        false => (status, id),
    })
}

fn statuses() -> Vec<Mutant> {
    vec![
        mutant(
            "swaps_two_statuses",
            Response(|mut response| {
                for row in response["results"].as_array_mut().into_iter().flatten() {
                    if let Some([first, second, ..]) =
                        row["people"].as_array_mut().map(|it| &mut it[..])
                    {
                        std::mem::swap(&mut first["state"], &mut second["state"]);
                    }
                }
                response
            }),
            &[
                "statuses::one_of_three_in_a_message_is_queued",
                "statuses::one_of_three_in_a_message_is_invalid",
                "statuses::one_of_three_in_a_message_is_rejected",
                "statuses::one_of_three_in_a_message_is_failed",
            ],
        ),
        mutant(
            "swaps_the_rows_of_a_batch",
            Response(|mut response| {
                if let Some(rows) = response["results"].as_array_mut() {
                    let states: Vec<_> = rows
                        .iter()
                        .map(|row| row["people"][0]["state"].clone())
                        .rev()
                        .collect();
                    for (row, state) in rows.iter_mut().zip(states) {
                        row["people"][0]["state"] = state;
                    }
                }
                response
            }),
            &[
                "statuses::one_of_a_batch_is_queued",
                "statuses::one_of_a_batch_is_invalid",
                "statuses::one_of_a_batch_is_rejected",
                "statuses::one_of_a_batch_is_failed",
            ],
        ),
        mutant(
            "treats_queued_as_sent",
            Result(|_, result| takes_for(result, Status::Queued, Status::Sent)),
            &["statuses::a_recipient_who_is_queued"],
        ),
        mutant(
            "treats_invalid_as_rejected",
            Result(|_, result| takes_for(result, Status::Invalid, Status::Rejected)),
            &["statuses::a_recipient_who_is_invalid"],
        ),
        mutant(
            "treats_rejected_as_sent",
            Result(|_, result| takes_for(result, Status::Rejected, Status::Sent)),
            &[
                "statuses::a_recipient_who_is_rejected",
                "statuses::a_message_without_accepted_recipients_is_an_error",
                "many::one_rejected_in_the_middle_affects_no_other",
            ],
        ),
        mutant(
            "treats_failed_as_sent",
            Result(|_, result| takes_for(result, Status::Failed, Status::Sent)),
            &["statuses::a_recipient_who_is_failed"],
        ),
        mutant(
            "treats_one_refusal_as_the_whole_messages",
            Result(|_, result| {
                let status = result?;
                let mut people = status.recipients();
                if people.all(|it| it.status.may_be_accepted()) {
                    drop(people);
                    return Ok(status);
                }
                Err(SendError::new(SendErrorKind::Refused, NAME, "refused"))
            }),
            &[
                "statuses::a_message_without_accepted_recipients_is_an_error",
                "statuses::one_of_three_in_a_message_is_rejected",
            ],
        ),
        mutant(
            "forgets_the_copies",
            Result(|message, result| {
                let to: Vec<_> = message.to().iter().map(|to| to.key()).collect();
                retell(result, |_, key, status, id| match to.contains(key) {
                    true => (status, id),
                    false => (Status::Unknown, None),
                })
            }),
            &["statuses::cc_and_bcc_have_a_status_too"],
        ),
        mutant(
            "reports_addresses_as_the_esp_spells_them",
            Result(|message, result| {
                let told = result?;
                let mut lower = message.message().clone();
                for to in lower.to.value_mut().into_iter().flatten() {
                    *to = to.key().as_str().parse().unwrap();
                }
                let mut status = status_of(&lower, Status::Sent);
                status.esp_responses = told.esp_responses.clone();
                for it in told.recipients() {
                    let key = AddressKey::of(&it.email);
                    status.set(&key, it.status, it.message_id.clone(), it.detail.clone());
                }
                Ok(status)
            }),
            &["statuses::every_recipient_is_reported_under_the_address_as_given"],
        ),
        mutant(
            "does_not_keep_the_response",
            Result(|_, result| {
                result.map(|mut status| {
                    status.esp_responses.clear();
                    status
                })
            }),
            &["statuses::the_raw_response_is_kept"],
        ),
    ]
}

fn ids() -> Vec<Mutant> {
    vec![
        mutant(
            "invents_message_ids",
            Result(|_, result| {
                retell(result, |i, _, status, id| {
                    (status, id.map(|_| format!("made-up-{i}")))
                })
            }),
            &[
                "message_ids::are_those_of_the_esp",
                "message_ids::differ_from_call_to_call",
            ],
        ),
        mutant(
            "gives_every_recipient_of_a_batch_the_first_id",
            Response(|mut response| {
                let first = response["results"][0]["id"].clone();
                for row in response["results"].as_array_mut().into_iter().flatten() {
                    row["id"] = first.clone();
                }
                response
            }),
            &["message_ids::each_of_a_batch_has_its_own"],
        ),
        mutant(
            "gives_refused_recipients_an_id",
            Result(|_, result| {
                retell(result, |_, _, status, id| {
                    (status, id.or(Some("an id".to_owned())))
                })
            }),
            &["statuses::one_of_a_batch_is_rejected"],
        ),
    ]
}

fn lost(_: &PreparedMessage) -> SendError {
    SendError::new(SendErrorKind::InvalidResponse, NAME, "lost")
}

fn many() -> Vec<Mutant> {
    vec![
        mutant(
            "returns_results_in_another_order",
            Results(|mut results| {
                results.reverse();
                results
            }),
            &["many::each_message_has_one_result_in_order"],
        ),
        mutant(
            "lets_one_bad_message_fail_all",
            Results(|results| {
                let sent = |result: &SendResult| {
                    let status = result.as_ref().ok();
                    status.is_some_and(|it| it.recipients().all(|it| it.status == Status::Sent))
                };
                if results.iter().all(sent) {
                    return results;
                }
                let error = SendError::new(SendErrorKind::Refused, NAME, "the call failed");
                results.iter().map(|_| Err(error.clone())).collect()
            }),
            &[
                "many::one_failed_in_the_middle_affects_no_other",
                "many::one_rejected_in_the_middle_affects_no_other",
            ],
        ),
        mutant(
            "treats_a_missing_row_as_success",
            Result(|message, result| match result {
                Err(error) if error.kind() == SendErrorKind::InvalidResponse => {
                    Ok(status_of(message.message(), Status::Sent))
                }
                other => other,
            }),
            &[
                "many::a_message_missing_from_the_response_is_unknown",
                "responses::of_the_wrong_shape_are_not_a_success",
            ],
        ),
        mutant(
            "treats_a_missing_row_as_a_refusal",
            Result(|message, result| match result {
                Err(error) if error.kind() == SendErrorKind::InvalidResponse => {
                    Err(lost(message).with_accepted(Accepted::No))
                }
                other => other,
            }),
            &[
                "many::a_message_missing_from_the_response_is_unknown",
                "responses::of_the_wrong_shape_are_not_a_success",
                "responses::with_only_a_status_are_reported_correctly",
            ],
        ),
    ]
}

/// For batches in several calls.
fn calls() -> Vec<Mutant> {
    const REFUSED: [&str; 2] = [
        "batch::a_refused_first_call_fails_only_its_recipients",
        "batch::a_refused_second_call_fails_only_its_recipients",
    ];
    const LIMITED: [&str; 2] = [
        "batch::a_rate_limited_first_call_fails_only_its_recipients",
        "batch::a_rate_limited_second_call_fails_only_its_recipients",
    ];
    const OPEN: [&str; 6] = [
        "batch::a_server_error_in_the_first_call_leaves_only_its_recipients_unknown",
        "batch::a_server_error_in_the_second_call_leaves_only_its_recipients_unknown",
        "batch::a_lost_first_call_leaves_only_its_recipients_unknown",
        "batch::a_lost_second_call_leaves_only_its_recipients_unknown",
        "batch::a_garbled_response_to_the_first_call_leaves_only_its_recipients_unknown",
        "batch::a_garbled_response_to_the_second_call_leaves_only_its_recipients_unknown",
    ];
    vec![
        mutant(
            "returns_an_error_for_a_batch_when_one_call_fails",
            Result(|_, result| match result {
                Ok(status) if status.recipients().any(|it| it.status == Status::Failed) => Err(
                    SendError::new(SendErrorKind::Refused, NAME, "a call failed"),
                ),
                result => result,
            }),
            const { &[REFUSED[0], REFUSED[1], LIMITED[0], LIMITED[1]] },
        ),
        mutant(
            "reports_a_batch_as_not_accepted_when_one_call_is_lost",
            Result(|message, result| match result {
                Ok(status)
                    if message.is_batch()
                        && status.recipients().any(|it| it.status == Status::Unknown) =>
                {
                    Err(SendError::new(
                        SendErrorKind::Connect,
                        NAME,
                        "a call was lost",
                    ))
                }
                result => result,
            }),
            &OPEN,
        ),
        mutant(
            "reports_a_batch_as_possibly_accepted_when_one_call_is_lost",
            Result(|message, result| match result {
                Ok(status)
                    if message.is_batch()
                        && status.recipients().any(|it| it.status == Status::Unknown) =>
                {
                    Err(SendError::new(
                        SendErrorKind::Timeout,
                        NAME,
                        "a call was lost",
                    ))
                }
                result => result,
            }),
            &OPEN,
        ),
        mutant(
            "reports_recipients_of_a_failed_call_as_queued",
            Result(|_, result| takes_for(result, Status::Failed, Status::Queued)),
            const { &[REFUSED[0], REFUSED[1], LIMITED[0], LIMITED[1]] },
        ),
        mutant(
            "reports_recipients_of_a_failed_call_as_unknown",
            Result(|_, result| takes_for(result, Status::Failed, Status::Unknown)),
            const { &[REFUSED[0], REFUSED[1], LIMITED[0], LIMITED[1]] },
        ),
        mutant(
            "reports_recipients_of_a_lost_call_as_failed",
            Result(|_, result| takes_for(result, Status::Unknown, Status::Failed)),
            &OPEN,
        ),
        mutant(
            "reports_recipients_of_a_lost_call_as_sent",
            Result(|_, result| takes_for(result, Status::Unknown, Status::Sent)),
            &OPEN,
        ),
        mutant(
            "reports_the_last_calls_result_for_a_whole_batch",
            Result(|message, result| {
                let Ok(status) = &result else { return result };
                let last = status.recipients().last().unwrap().status;
                let failed = status.recipients().any(|it| it.status != last);
                match message.is_batch() && failed && last == Status::Sent {
                    true => retell(result, |_, _, _, id| {
                        (last, id.or(Some("made up".to_owned())))
                    }),
                    false => result,
                }
            }),
            const { &[REFUSED[0], LIMITED[0], OPEN[0], OPEN[2], OPEN[4]] },
        ),
        mutant(
            "sends_a_batch_of_any_size_in_one_call",
            Own(O::SendsMoreInACallThanTheEspTakes),
            &["batch::no_call_has_more_recipients_than_the_esp_allows"],
        ),
    ]
}

fn nonsense() -> Vec<Mutant> {
    vec![
        mutant(
            "reads_responses_without_a_limit",
            Own(O::ReadsAnswersWithoutAnEnd),
            &["responses::without_an_end_are_read_up_to_a_limit"],
        ),
        mutant(
            "trusts_the_shape_of_responses",
            Response(|response| {
                let rows = response["results"].as_array().unwrap();
                let rows = rows.iter().map(|row| {
                    assert!(row["people"][0]["email"].is_string());
                    row.clone()
                });
                json!({ "results": rows.collect::<Vec<_>>() })
            }),
            &[
                "responses::truncated_or_altered_anywhere_cause_no_panic",
                "responses::of_the_wrong_shape_are_not_a_success",
            ],
        ),
        mutant(
            "reports_only_recipients_that_the_response_names",
            Result(|message, result| {
                let told = result?;
                let mut named = message.message().clone();
                let is_known = |to: &anymail_core::Address| {
                    let told = told.by_key(&to.key());
                    told.is_some_and(|it| it.status != Status::Unknown)
                };
                let fields = &mut *named;
                for list in [&mut fields.to, &mut fields.cc, &mut fields.bcc] {
                    list.value_mut()
                        .into_iter()
                        .for_each(|list| list.retain(is_known));
                }
                let mut status = SendStatus::unknown(NAME, &named);
                for it in told.recipients() {
                    let key = AddressKey::of(&it.email);
                    status.set(&key, it.status, it.message_id.clone(), it.detail.clone());
                }
                Ok(status)
            }),
            &["responses::truncated_or_altered_anywhere_cause_no_panic"],
        ),
        mutant(
            "panics_on_an_id_that_is_no_uuid",
            Response(|response: Value| {
                for row in response["results"].as_array().into_iter().flatten() {
                    let id = row["id"].as_str().unwrap();
                    assert_eq!(id.len(), 36);
                }
                response
            }),
            &["responses::truncated_or_altered_anywhere_cause_no_panic"],
        ),
    ]
}

fn about_itself() -> Vec<Mutant> {
    vec![
        mutant(
            "has_a_name_in_capitals",
            Own(O::HasANameInCapitals),
            &["backend::has_a_valid_name"],
        ),
        mutant(
            "changes_max_batch",
            Own(O::AnswersForMaxBatchAsItLikes),
            &["backend::never_changes_its_description"],
        ),
        mutant(
            "objects_to_everything",
            Own(O::ObjectsToEverything),
            &["backend::accepts_a_plain_message"],
        ),
    ]
}
