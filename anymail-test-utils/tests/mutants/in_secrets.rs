//! Backends that reveal secrets.

use crate::breaks::Break::Own;
use crate::breaks::{Mutant, Own as O, mutant};

pub fn mutants() -> Vec<Mutant> {
    vec![
        mutant(
            "prints_the_key",
            Own(O::PrintsTheKey),
            &["secrets::the_token_is_in_no_debug_text"],
        ),
        mutant(
            "traces_the_key",
            Own(O::TracesTheKey),
            &["secrets::the_token_is_not_traced"],
        ),
        mutant(
            "prints_the_request",
            Own(O::PrintsTheRequest),
            &["secrets::a_body_is_in_no_debug_text_or_error"],
        ),
        mutant(
            "traces_the_request",
            Own(O::TracesTheRequest),
            &["secrets::a_body_is_not_traced"],
        ),
        mutant(
            "quotes_the_request_in_errors",
            Own(O::QuotesTheRequestInErrors),
            &[
                "secrets::the_token_is_in_no_error",
                "secrets::a_body_is_in_no_debug_text_or_error",
            ],
        ),
        mutant(
            "prints_secrets_that_the_esp_repeats",
            Own(O::PassesOnTheAnswer),
            &["secrets::a_token_that_the_esp_repeats_is_not_printed"],
        ),
        mutant(
            "follows_redirects",
            Own(O::FollowsRedirects),
            &["secrets::a_redirect_does_not_forward_the_token"],
        ),
        mutant(
            "sends_no_key",
            Own(O::SendsNoKey),
            &["secrets::the_token_reaches_the_esp"],
        ),
        mutant(
            "sends_the_key_by_another_scheme",
            Own(O::SendsTheKeyByAnotherScheme),
            &["secrets::the_token_reaches_the_esp"],
        ),
        mutant(
            "sends_the_key_in_the_url",
            Own(O::SendsTheKeyInTheUrl),
            &["secrets::the_token_is_in_no_url"],
        ),
    ]
}
