//! Backends that misjudge what went wrong, or do the wrong thing about it.

use anymail_core::{Accepted, SendError, SendErrorKind as K};

use crate::backend::NAME;
use crate::breaks::Break::{Error, Own};
use crate::breaks::{Mutant, Own as O, mutant};

pub fn mutants() -> Vec<Mutant> {
    [judgements(), deeds()].concat()
}

/// All that is known of an error, under another kind.
fn as_kind(error: &SendError, kind: K) -> SendError {
    SendError::new(kind, NAME, error.message()).with_retry_after(error.retry_after())
}

fn judgements() -> Vec<Mutant> {
    vec![
        mutant(
            "takes_a_lost_answer_for_a_no",
            Error(|error| error.with_accepted(Accepted::No)),
            &[
                "network::a_reset_when_the_request_was_read_is_told_as_it_is",
                "network::a_reset_in_place_of_the_answer_is_told_as_it_is",
                "network::an_end_in_place_of_the_answer_is_told_as_it_is",
                "network::no_answer_in_time_is_told_as_it_is",
                "network::no_answer_in_time_though_accepted_is_told_as_it_is",
                "network::an_answer_that_ends_early_is_told_as_it_is",
                "network::an_answer_that_is_no_http_is_told_as_it_is",
                "network::a_crash_of_the_esp_is_told_as_it_is",
                "network::a_bad_gateway_is_told_as_it_is",
                "network::a_gateway_that_waited_too_long_is_told_as_it_is",
                "many::a_lost_answer_marks_just_its_own_messages",
            ],
        ),
        mutant(
            "takes_every_failure_for_a_maybe",
            Error(|error| error.with_accepted(Accepted::Maybe)),
            &[
                "network::a_refused_connection_is_safe_to_send_again",
                "network::a_bad_token_is_told_as_it_is",
                "network::a_refused_request_is_told_as_it_is",
                "network::too_many_requests_is_told_as_it_is",
                "network::maintenance_is_told_as_it_is",
                "network::a_proxy_that_finds_it_too_large_is_told_as_it_is",
                "retries::the_mailer_sends_again_what_was_not_accepted",
            ],
        ),
        mutant(
            "takes_every_refusal_for_the_esps_own",
            Error(SendError::said_by_esp),
            &[
                "network::a_page_of_a_firewall_is_told_as_it_is",
                "network::a_refusal_by_a_page_is_told_as_it_is",
                "network::a_refusal_without_a_body_is_told_as_it_is",
                "network::maintenance_by_a_proxys_page_is_told_as_it_is",
                "network::maintenance_by_a_gateways_json_is_told_as_it_is",
                "network::maintenance_without_a_body_is_told_as_it_is",
            ],
        ),
        mutant(
            "takes_no_refusal_for_the_esps_own",
            Error(|error| match error.http_status() {
                Some(status) => SendError::from_http_status(NAME, status),
                None => error,
            }),
            &[
                "network::a_refused_request_is_told_as_it_is",
                "network::maintenance_is_told_as_it_is",
            ],
        ),
        mutant(
            "takes_every_5xx_for_a_no",
            Error(|error| match error.kind() {
                K::ServerError => error.with_accepted(Accepted::No),
                _ => error,
            }),
            &[
                "network::a_crash_by_a_page_is_told_as_it_is",
                "network::a_crash_without_a_body_is_told_as_it_is",
            ],
        ),
        mutant(
            "takes_a_status_without_words_for_a_maybe",
            Error(|error| match error.message() {
                "" => error.with_accepted(Accepted::Maybe),
                _ => error,
            }),
            &[
                "network::too_many_requests_by_a_proxys_page_is_told_as_it_is",
                "network::too_many_requests_without_a_body_is_told_as_it_is",
                "network::a_proxy_that_finds_it_too_large_is_told_as_it_is",
            ],
        ),
        mutant(
            "takes_every_failure_for_final",
            Error(|error| error.with_transient(false)),
            &[
                "network::a_connection_reset_at_once_is_told_as_it_is",
                "network::a_reset_before_the_request_is_read_is_told_as_it_is",
                "network::a_reset_while_the_request_is_read_is_told_as_it_is",
                "network::too_many_requests_without_a_body_is_told_as_it_is",
            ],
        ),
        mutant(
            "takes_too_many_requests_for_a_refusal",
            Error(|error| match error.kind() {
                K::RateLimited => as_kind(&error, K::Refused),
                _ => error,
            }),
            &["network::too_many_requests_is_told_as_it_is"],
        ),
        mutant(
            "hears_no_retry_after",
            Error(|error| error.with_retry_after(None)),
            &[
                "network::retry_after_in_seconds_is_passed_on",
                "network::retry_after_as_a_date_is_passed_on",
            ],
        ),
        mutant(
            "keeps_the_esps_words_to_itself",
            Error(|error| error.with_message("an error")),
            &["network::the_esps_own_words_are_passed_on"],
        ),
    ]
}

fn deeds() -> Vec<Mutant> {
    vec![
        mutant(
            "retries_whatever_failed",
            Own(O::RetriesWhateverFailed),
            &[
                "retries::what_may_have_been_accepted_is_not_sent_again",
                "many::a_lost_answer_marks_just_its_own_messages",
            ],
        ),
        mutant(
            "retries_what_was_not_accepted",
            Own(O::RetriesWhatWasNotAccepted),
            &["retries::the_backend_leaves_them_to_the_mailer"],
        ),
        mutant(
            "gives_up_quickly",
            Own(O::GivesUpQuickly),
            &["network::an_answer_that_comes_slowly_is_read_to_its_end"],
        ),
        mutant(
            "dies_of_an_error",
            Own(O::DiesOfAnError),
            &["network::a_refused_connection_is_safe_to_send_again"],
        ),
        mutant(
            "dies_of_a_second_call",
            Own(O::DiesOfASecondCall),
            &["network::a_connection_that_was_closed_in_between_does_no_harm"],
        ),
        mutant(
            "dies_of_a_dropped_future",
            Own(O::DiesOfADroppedFuture),
            &[
                "tasks::a_dropped_future_leaves_the_backend_usable",
                "tasks::a_future_dropped_early_leaves_the_backend_usable",
            ],
        ),
        mutant(
            "shares_a_request_between_tasks",
            Own(O::SharesARequestBetweenTasks),
            &["tasks::many_at_once_each_get_their_own_result"],
        ),
    ]
}
