//! SMTP clients that send the wrong thing, or misinterpret a reply.

use anymail_core::{Message, Status};
use anymail_test_utils::conformance::{Mutants, Sabotage, Suite};

use crate::lark::LarkHarness;

/// What is wrong with a Lark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    AsksForNoUtf8,
    DiesOfAnError,
    DoesNotLogIn,
    EndsLinesWithLf,
    ForgetsTheBcc,
    GivesUpAtTheFirstRefusal,
    IgnoresRefusals,
    IgnoresTheEnvelopeSender,
    MakesAnErrorOfABatch,
    PanicsOnAShortReply,
    PrintsThePassword,
    QuotesTheServer,
    ReadsRepliesWithoutAnEnd,
    RetriesALostReply,
    RetriesWhatIsRefusedForNow,
    SaysMaybeInTheContent,
    SaysMaybeOfAnyBreak,
    SaysNoOfALostReply,
    SendsABatchAsOneMail,
    SendsDataToNobody,
    SendsToTheFirstOnly,
    StuffsNoDots,
    TakesAnyCodeForAYes,
    TakesAnyTextForAYes,
    TakesClosingForARefusal,
    TakesForGoodForForNow,
    TakesForNowForForGood,
    TakesTheFirstLine,
    TellsAllRefusedAsRejected,
    TellsAnIdOfItsOwn,
    TellsLostMailsAsFailed,
    TellsTheQueueIdAsTheMessages,
    TracesTheConversation,
    WritesABccHeader,
}

use Fault as F;

/// A fault and the trials that must detect it.
const PLANTED: &[(Fault, &[&str])] = &[
    (
        F::AsksForNoUtf8,
        &[
            "features::international_recipients::arrives",
            "protocol::is_kept_by_every_kind_of_message",
        ],
    ),
    (
        F::DiesOfAnError,
        &[
            "network::a_reset_at_mail_is_reported_correctly",
            "protocol::is_kept_after_an_error",
        ],
    ),
    (F::DoesNotLogIn, &["secrets::the_token_reaches_the_esp"]),
    (
        F::EndsLinesWithLf,
        &["protocol::is_kept_by_every_kind_of_message"],
    ),
    (
        F::ForgetsTheBcc,
        &["recipients::bcc_arrives_and_nobody_sees_it"],
    ),
    (
        F::GivesUpAtTheFirstRefusal,
        &[
            "statuses::one_of_three_in_a_message_is_invalid",
            "statuses::one_of_three_in_a_message_is_rejected",
            "statuses::one_of_three_in_a_message_is_failed",
        ],
    ),
    (
        F::IgnoresRefusals,
        &[
            "statuses::one_of_three_in_a_message_is_invalid",
            "statuses::one_of_three_in_a_message_is_rejected",
            "statuses::one_of_three_in_a_message_is_failed",
            "statuses::one_of_a_batch_is_invalid",
        ],
    ),
    (
        F::IgnoresTheEnvelopeSender,
        &["features::envelope_sender::arrives"],
    ),
    (
        F::MakesAnErrorOfABatch,
        &[
            "batch::a_refused_second_call_fails_only_its_recipients",
            "batch::a_rate_limited_second_call_fails_only_its_recipients",
            "batch::a_server_error_in_the_second_call_fails_only_its_recipients",
            "batch::a_lost_second_call_leaves_only_its_recipients_unknown",
        ],
    ),
    (
        F::PanicsOnAShortReply,
        &[
            "responses::of_the_wrong_shape_are_not_a_success",
            "responses::truncated_or_altered_anywhere_cause_no_panic",
        ],
    ),
    (
        F::PrintsThePassword,
        &["secrets::the_token_is_in_no_debug_text"],
    ),
    (
        F::QuotesTheServer,
        &["secrets::a_token_that_the_esp_repeats_is_not_printed"],
    ),
    (
        F::ReadsRepliesWithoutAnEnd,
        &["responses::without_an_end_are_read_up_to_a_limit"],
    ),
    (
        F::RetriesALostReply,
        &["retries::what_may_have_been_accepted_is_not_sent_again"],
    ),
    (
        F::RetriesWhatIsRefusedForNow,
        &["retries::the_backend_leaves_retries_to_the_mailer"],
    ),
    (
        F::SaysMaybeInTheContent,
        &[
            "network::a_reset_in_the_content_is_reported_correctly",
            "network::a_close_in_the_content_is_reported_correctly",
            "network::silence_in_the_content_is_reported_correctly",
        ],
    ),
    (
        F::SaysMaybeOfAnyBreak,
        &[
            "network::a_reset_at_mail_is_reported_correctly",
            "network::a_close_at_rcpt_is_reported_correctly",
            "network::a_reset_at_data_is_reported_correctly",
            "network::silence_at_mail_is_reported_correctly",
        ],
    ),
    (
        F::SaysNoOfALostReply,
        &[
            "network::a_reset_at_the_end_is_reported_correctly",
            "network::a_close_once_kept_is_reported_correctly",
            "network::silence_once_kept_is_reported_correctly",
            "network::a_reply_once_kept_and_cut_is_reported_correctly",
            "network::an_invalid_reply_at_the_end_is_reported_correctly",
            "many::a_lost_response_affects_only_its_own_messages",
        ],
    ),
    (
        F::SendsABatchAsOneMail,
        &[
            "batch::each_recipient_gets_a_message_and_sees_no_other",
            "batch::no_call_has_more_recipients_than_the_esp_allows",
        ],
    ),
    (
        F::SendsDataToNobody,
        &["statuses::a_message_without_accepted_recipients_is_an_error"],
    ),
    (
        F::SendsToTheFirstOnly,
        &["statuses::cc_and_bcc_have_a_status_too"],
    ),
    (
        F::StuffsNoDots,
        &[
            "bodies::lines_that_start_with_a_dot_arrive",
            "protocol::is_kept_by_every_kind_of_message",
        ],
    ),
    (
        F::TakesAnyCodeForAYes,
        &["responses::with_only_a_status_are_reported_correctly"],
    ),
    (
        F::TakesAnyTextForAYes,
        &["responses::of_the_wrong_shape_are_not_a_success"],
    ),
    (
        F::TakesClosingForARefusal,
        &[
            "network::a_server_that_closes_at_mail_is_reported_correctly",
            "network::a_server_that_closes_at_the_end_is_reported_correctly",
            "network::maintenance_is_reported_correctly",
        ],
    ),
    (
        F::TakesForGoodForForNow,
        &[
            "network::a_refused_message_is_reported_correctly",
            "network::a_refused_sender_is_reported_correctly",
            "network::content_that_is_too_large_is_reported_correctly",
        ],
    ),
    (
        F::TakesForNowForForGood,
        &[
            "network::a_server_error_of_the_esp_is_reported_correctly",
            "network::a_temporarily_refused_sender_is_reported_correctly",
        ],
    ),
    (
        F::TakesTheFirstLine,
        &["responses::of_the_wrong_shape_are_not_a_success"],
    ),
    (
        F::TellsAllRefusedAsRejected,
        &[
            "statuses::a_recipient_who_is_invalid",
            "statuses::one_of_a_batch_is_invalid",
        ],
    ),
    (F::TellsAnIdOfItsOwn, &["message_ids::are_those_of_the_esp"]),
    (
        F::TellsLostMailsAsFailed,
        &[
            "batch::a_lost_first_call_leaves_only_its_recipients_unknown",
            "batch::a_garbled_response_to_the_second_call_leaves_only_its_recipients_unknown",
        ],
    ),
    (
        F::TellsTheQueueIdAsTheMessages,
        &[
            "message_ids::are_those_of_the_esp",
            "message_ids::each_of_a_batch_has_its_own",
        ],
    ),
    (
        F::TracesTheConversation,
        &["secrets::the_token_is_not_traced"],
    ),
    (
        F::WritesABccHeader,
        &["recipients::bcc_arrives_and_nobody_sees_it"],
    ),
];

pub fn mutants() -> Mutants {
    let mut all = Mutants::smtp("lark", || LarkHarness(None));
    for (fault, caught_by) in PLANTED {
        let name = snake(&format!("{fault:?}"));
        let suite = move || Suite::smtp(LarkHarness(Some(*fault)));
        all = all.plant_suite(&name, suite, caught_by);
    }
    all.plant(
        "forgets_the_cc",
        Sabotage::Message(|message| message.cc = Default::default()),
        &["recipients::cc_arrives_as_cc"],
    )
    .plant(
        "drops_the_html_of_two_bodies",
        Sabotage::Message(|message| {
            if message.text_body.value().is_some() {
                message.html_body = Default::default();
            }
        }),
        &["bodies::text_and_html_arrive"],
    )
    .plant(
        "drops_names_of_recipients",
        Sabotage::Message(|message: &mut Message| {
            let bare = message
                .to
                .items()
                .iter()
                .map(|to| to.email().parse().unwrap());
            message.to = bare.collect::<Vec<_>>().into();
        }),
        &["addresses::a_name_arrives_equal"],
    )
    .plant(
        "reports_queued_messages_as_sent",
        Sabotage::Result(|message, result| {
            let mut status = result?;
            let id = status.message_id().map(str::to_owned);
            for recipient in message.message().recipients() {
                status.set(&recipient.key(), Status::Sent, id.clone(), None);
            }
            Ok(status)
        }),
        &["statuses::every_recipient_is_reported_under_the_address_as_given"],
    )
    .plant(
        "does_not_keep_the_response",
        Sabotage::Result(|_, result| {
            let mut status = result?;
            status.esp_responses.clear();
            Ok(status)
        }),
        &["statuses::the_raw_response_is_kept"],
    )
}

/// Turns `SaysNoOfALostReply` into `says_no_of_a_lost_reply`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
