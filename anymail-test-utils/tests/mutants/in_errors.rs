//! Backends that misclassify a failure, or handle it incorrectly.

use anymail_core::{Accepted, SendError, SendErrorKind as K};

use crate::backend::NAME;
use crate::breaks::Break::{Error, Own};
use crate::breaks::{Mutant, Own as O, mutant};

pub fn mutants() -> Vec<Mutant> {
    [judgements(), deeds()].concat()
}

/// Copies an error with another kind.
fn as_kind(error: &SendError, kind: K) -> SendError {
    SendError::new(kind, NAME, error.message()).with_retry_after(error.retry_after())
}

fn judgements() -> Vec<Mutant> {
    vec![
        mutant(
            "treats_a_lost_response_as_a_refusal",
            Error(|error| error.with_accepted(Accepted::No)),
            &[
                "network::a_reset_after_the_request_was_read_is_reported_correctly",
                "network::a_reset_instead_of_the_response_is_reported_correctly",
                "network::a_close_instead_of_the_response_is_reported_correctly",
                "network::no_response_in_time_is_reported_correctly",
                "network::no_response_in_time_though_accepted_is_reported_correctly",
                "network::a_response_that_ends_early_is_reported_correctly",
                "network::a_response_that_is_not_http_is_reported_correctly",
                "network::a_server_error_of_the_esp_is_reported_correctly",
                "network::a_bad_gateway_is_reported_correctly",
                "network::a_gateway_that_waited_too_long_is_reported_correctly",
                "many::a_lost_response_affects_only_its_own_messages",
            ],
        ),
        mutant(
            "treats_every_failure_as_possibly_accepted",
            Error(|error| error.with_accepted(Accepted::Maybe)),
            &[
                "network::a_refused_connection_is_safe_to_send_again",
                "network::a_bad_token_is_reported_correctly",
                "network::a_refused_request_is_reported_correctly",
                "network::too_many_requests_is_reported_correctly",
                "network::maintenance_is_reported_correctly",
                "network::a_proxy_that_refuses_a_large_request_is_reported_correctly",
                "retries::the_mailer_retries_what_was_not_accepted",
            ],
        ),
        mutant(
            "treats_every_refusal_as_the_esps_own",
            Error(SendError::said_by_esp),
            &[
                "network::a_page_of_a_firewall_is_reported_correctly",
                "network::a_refusal_by_a_page_is_reported_correctly",
                "network::a_refusal_without_a_body_is_reported_correctly",
                "network::maintenance_by_a_proxys_page_is_reported_correctly",
                "network::maintenance_by_a_gateways_json_is_reported_correctly",
                "network::maintenance_without_a_body_is_reported_correctly",
            ],
        ),
        mutant(
            "treats_no_refusal_as_the_esps_own",
            Error(|error| match error.http_status() {
                Some(status) => SendError::from_http_status(NAME, status),
                None => error,
            }),
            &[
                "network::a_refused_request_is_reported_correctly",
                "network::maintenance_is_reported_correctly",
            ],
        ),
        mutant(
            "treats_every_5xx_as_a_no",
            Error(|error| match error.kind() {
                K::ServerError => error.with_accepted(Accepted::No),
                _ => error,
            }),
            &[
                "network::a_server_error_page_is_reported_correctly",
                "network::a_server_error_without_a_body_is_reported_correctly",
            ],
        ),
        mutant(
            "treats_a_status_without_a_body_as_unknown",
            Error(|error| match error.message() {
                "" => error.with_accepted(Accepted::Maybe),
                _ => error,
            }),
            &[
                "network::too_many_requests_by_a_proxys_page_is_reported_correctly",
                "network::too_many_requests_without_a_body_is_reported_correctly",
                "network::a_proxy_that_refuses_a_large_request_is_reported_correctly",
            ],
        ),
        mutant(
            "treats_every_failure_as_final",
            Error(|error| error.with_transient(false)),
            &[
                "network::a_connection_reset_at_once_is_reported_correctly",
                "network::a_reset_before_the_request_is_read_is_reported_correctly",
                "network::a_reset_while_the_request_is_read_is_reported_correctly",
                "network::too_many_requests_without_a_body_is_reported_correctly",
            ],
        ),
        mutant(
            "treats_too_many_requests_as_a_refusal",
            Error(|error| match error.kind() {
                K::RateLimited => as_kind(&error, K::Refused),
                _ => error,
            }),
            &["network::too_many_requests_is_reported_correctly"],
        ),
        mutant(
            "ignores_retry_after",
            Error(|error| error.with_retry_after(None)),
            &[
                "network::retry_after_in_seconds_is_passed_on",
                "network::retry_after_as_a_date_is_passed_on",
            ],
        ),
        mutant(
            "hides_the_esps_error_message",
            Error(|error| error.with_message("an error")),
            &["network::the_esps_error_message_is_passed_on"],
        ),
    ]
}

fn deeds() -> Vec<Mutant> {
    vec![
        mutant(
            "retries_every_failure",
            Own(O::RetriesWhateverFailed),
            &[
                "retries::what_may_have_been_accepted_is_not_sent_again",
                "many::a_lost_response_affects_only_its_own_messages",
            ],
        ),
        mutant(
            "retries_what_was_not_accepted",
            Own(O::RetriesWhatWasNotAccepted),
            &["retries::the_backend_leaves_retries_to_the_mailer"],
        ),
        mutant(
            "gives_up_too_early",
            Own(O::GivesUpQuickly),
            &["network::a_slow_response_is_read_completely"],
        ),
        mutant(
            "breaks_after_an_error",
            Own(O::DiesOfAnError),
            &["network::a_refused_connection_is_safe_to_send_again"],
        ),
        mutant(
            "breaks_on_a_second_call",
            Own(O::DiesOfASecondCall),
            &["network::a_connection_closed_while_idle_does_no_harm"],
        ),
        mutant(
            "breaks_after_a_dropped_future",
            Own(O::DiesOfADroppedFuture),
            &[
                "tasks::a_dropped_future_leaves_the_backend_usable",
                "tasks::a_future_dropped_early_leaves_the_backend_usable",
            ],
        ),
        mutant(
            "shares_a_request_between_tasks",
            Own(O::SharesARequestBetweenTasks),
            &["tasks::concurrent_tasks_each_get_their_own_result"],
        ),
    ]
}
