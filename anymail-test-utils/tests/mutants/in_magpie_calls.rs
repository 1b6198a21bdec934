//! Magpies that lose options, or misinterpret a call and its response.

use std::sync::Arc;

use anymail_core::EmailBackend;
use anymail_test_utils::conformance::{HarnessError, Mutants, Sabotage as S, Target};

use crate::careless::Carelessness as C;
use crate::magpie::{careless, texts};

type Made = Result<Arc<dyn EmailBackend>, HarnessError>;

pub fn plant(all: Mutants) -> Mutants {
    calls(options(all))
}

fn options(all: Mutants) -> Mutants {
    const TYPES: &str = "features::esp_extra::values_keep_their_json_types";
    all.plant(
        "loses_flags_in_esp_extra",
        S::Request(|it| texts(it, |name| name == "o:testmode", |_| None)),
        &[TYPES, "features::esp_extra::arrives"],
    )
    .plant(
        "writes_flags_as_numbers",
        S::Request(|it| texts(it, |name| name == "o:dkim", |_| Some("0".to_owned()))),
        &[TYPES],
    )
    .plant(
        "loses_all_but_the_first_of_a_list_in_esp_extra",
        S::Request(|it| {
            texts(
                it,
                |name| name == "o:archive-to",
                |text| (text == "first").then(|| text.to_owned()),
            );
        }),
        &[TYPES],
    )
    .plant(
        "writes_a_list_in_esp_extra_as_json",
        S::Request(|it| {
            texts(
                it,
                |name| name == "o:archive-to",
                |text| (text == "first").then(|| r#"["first", "second"]"#.to_owned()),
            );
        }),
        &[TYPES],
    )
    .plant(
        "lets_esp_extra_add_a_bcc",
        S::Check(|mut objections| {
            objections.retain(|it| !format!("{it:?}").contains("bcc"));
            objections
        }),
        &["features::esp_extra::adds_no_recipient"],
    )
}

fn calls(all: Mutants) -> Mutants {
    const ECHO: &str = "secrets::a_token_that_the_esp_repeats_is_not_printed";
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
        &[
            "batch::a_refused_second_call_fails_only_its_recipients",
            "batch::a_lost_second_call_leaves_only_its_recipients_unknown",
        ],
    )
    .plant(
        "retries_every_failure",
        careless!(RetriesWhateverFailed),
        &["retries::what_may_have_been_accepted_is_not_sent_again"],
    )
    .plant(
        "treats_any_2xx_as_success",
        careless!(TakesAnySuccess),
        &[
            "responses::of_the_wrong_shape_are_not_a_success",
            "responses::with_only_a_status_are_reported_correctly",
        ],
    )
    .plant(
        "uses_another_user_name",
        careless!(OtherCredentials),
        &["secrets::the_token_reaches_the_esp"],
    )
    .plant(
        "sends_no_key",
        careless!(NoKey),
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
        "traces_the_key",
        careless!(TracesTheKey),
        &["secrets::the_token_is_not_traced"],
    )
    .plant(
        "redacts_the_key_but_not_its_base64",
        careless!(RedactsTheKeyAlone),
        &[ECHO],
    )
    .plant(
        "quotes_responses_in_errors",
        careless!(ErrorsQuoteTheAnswer),
        &[ECHO],
    )
    .plant(
        "reads_responses_without_a_limit",
        careless!(ReadsToTheEnd),
        &["responses::without_an_end_are_read_up_to_a_limit"],
    )
    .plant(
        "follows_redirects",
        careless!(FollowsRedirects),
        &["secrets::a_redirect_does_not_forward_the_token"],
    )
}
