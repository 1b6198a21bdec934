//! Starlings that lose options, or misinterpret a call and its response.

use std::sync::Arc;

use anymail_core::EmailBackend;
use anymail_test_utils::conformance::{HarnessError, Mutants, Sabotage as S, Target};
use http::StatusCode;
use serde_json::Value;

use crate::careless::Carelessness as C;
use crate::in_responses::retell;
use crate::starling::{careless, change};

type Made = Result<Arc<dyn EmailBackend>, HarnessError>;

pub fn plant(all: Mutants) -> Mutants {
    calls(responses(options(all)))
}

fn options(all: Mutants) -> Mutants {
    const TYPES: &str = "features::esp_extra::values_keep_their_json_types";
    let lose = |all: Mutants, name, sabotage| all.plant(name, sabotage, &[TYPES]);
    let all = lose(
        all,
        "loses_flags_in_esp_extra",
        S::Request(|it| change(it, |json| json.retain(|_, value| !value.is_boolean()))),
    );
    let all = lose(
        all,
        "loses_lists_in_esp_extra",
        S::Request(|it| change(it, |json| drop(json.remove("lanes")))),
    );
    let all = lose(
        all,
        "turns_numbers_in_esp_extra_into_strings",
        S::Request(|it| {
            change(it, |json| {
                json.entry("batch_number")
                    .and_modify(|number| *number = number.to_string().into());
            });
        }),
    );
    lose(
        all,
        "writes_objects_in_esp_extra_flat",
        S::Request(|it| {
            change(it, |json| {
                if let Some(Value::Object(asm)) = json.remove("asm") {
                    json.extend(asm);
                }
            });
        }),
    )
}

fn responses(all: Mutants) -> Mutants {
    all.plant(
        "treats_every_response_as_success",
        S::Response(|response| {
            *response.status_mut() = StatusCode::ACCEPTED;
            let id = "an-id".parse().unwrap();
            response.headers_mut().insert("x-message-id", id);
        }),
        &[
            "network::a_refused_request_is_reported_correctly",
            "network::a_bad_token_is_reported_correctly",
            "network::maintenance_is_reported_correctly",
        ],
    )
    .plant(
        "treats_the_status_of_a_yes_as_200",
        S::Response(|response| {
            if response.status() == StatusCode::ACCEPTED {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
        }),
        &["messages::a_plain_message_arrives_whole"],
    )
    .plant(
        "finds_no_id",
        S::Response(|response| drop(response.headers_mut().remove("x-message-id"))),
        &["message_ids::are_those_of_the_esp"],
    )
    .plant(
        "cuts_ids_at_a_hyphen",
        S::Result(|_, result| {
            retell(result, |_, _, status, id| {
                let start = id.and_then(|id| Some(id.split('-').next()?.to_owned()));
                (status, start)
            })
        }),
        &["message_ids::are_those_of_the_esp"],
    )
    .plant(
        "numbers_the_recipients_of_an_id",
        S::Result(|_, result| {
            retell(result, |i, _, status, id| {
                (status, id.map(|id| format!("{id}.{i}")))
            })
        }),
        &["message_ids::each_of_a_batch_has_its_own"],
    )
}

fn calls(all: Mutants) -> Mutants {
    macro_rules! careless {
        ($which:ident) => {
            S::Backend(|target: &Target| -> Made { careless(C::$which, target) })
        };
    }
    all.plant(
        "sends_a_batch_of_any_size_in_one_call",
        careless!(OneCallForAll),
        &["batch::no_call_has_more_recipients_than_the_esp_allows"],
    )
    .plant(
        "sends_the_first_call_only",
        careless!(SendsTheFirstCallOnly),
        &["batch::more_recipients_than_fit_in_a_call_all_get_theirs"],
    )
    .plant(
        "stops_at_an_error_and_reports_it_for_all",
        careless!(ErrorOfACallIsThatOfTheMessage),
        &["batch::a_rate_limited_second_call_fails_only_its_recipients"],
    )
    .plant(
        "retries_every_failure",
        careless!(RetriesWhateverFailed),
        &[
            "retries::what_may_have_been_accepted_is_not_sent_again",
            "retries::the_backend_leaves_retries_to_the_mailer",
        ],
    )
    .plant(
        "counts_no_copies_among_the_recipients_of_a_call",
        careless!(CountsNoCopies),
        &["batch::no_call_has_more_recipients_than_the_esp_allows"],
    )
    .plant(
        "authenticates_as_for_smtp",
        careless!(OtherCredentials),
        &["secrets::the_token_reaches_the_esp"],
    )
    .plant(
        "sends_the_key_in_the_url",
        careless!(KeyInTheUrl),
        &["secrets::the_token_is_in_no_url"],
    )
    .plant(
        "prints_the_key",
        careless!(PrintsTheKey),
        &["secrets::the_token_is_in_no_debug_text"],
    )
    .plant(
        "quotes_responses_in_errors",
        careless!(ErrorsQuoteTheAnswer),
        &["secrets::a_token_that_the_esp_repeats_is_not_printed"],
    )
    .plant(
        "reads_refusals_without_a_limit",
        careless!(ReadsToTheEnd),
        &["responses::without_an_end_are_read_up_to_a_limit"],
    )
    .plant(
        "follows_redirects",
        careless!(FollowsRedirects),
        &["secrets::a_redirect_does_not_forward_the_token"],
    )
}
