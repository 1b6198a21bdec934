//! Backends that put the wrong mails into a call, or use what they did not declare.

use anymail_core::{Capabilities, Feature, Message, Support};
use serde_json::{Map, Value, json};

use crate::breaks::Break::{Call, Capabilities as Declares, Mail, Own};
use crate::breaks::{Mutant, Own as O, mutant};

pub fn mutants() -> Vec<Mutant> {
    let everybody_to_all = |mail: &mut Map<String, Value>, message: &Message| {
        let all = message
            .to
            .items()
            .iter()
            .map(|to| json!({"email": to.ascii_email()}));
        mail.insert("to".into(), all.collect());
    };
    vec![
        mutant(
            "leaks_the_others_of_a_batch",
            Mail(everybody_to_all),
            &[
                "batch::each_to_gets_a_mail_and_sees_no_other",
                "features::batch::arrives",
            ],
        ),
        mutant(
            "names_the_others_of_a_batch_in_a_header",
            Mail(|mail, message| {
                let all: Vec<_> = message
                    .to
                    .items()
                    .iter()
                    .map(|to| to.ascii_email())
                    .collect();
                mail["headers"]
                    .as_object_mut()
                    .unwrap()
                    .insert("X-All".into(), json!(all.join(",")));
            }),
            &["batch::each_to_gets_a_mail_and_sees_no_other"],
        ),
        mutant(
            "forgets_the_files_of_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail["files"] = json!([]);
                }
            }),
            &["batch::all_that_is_declared_arrives_at_once"],
        ),
        mutant(
            "forgets_the_html_of_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail.remove("html");
                }
            }),
            &["batch::all_that_is_declared_arrives_at_once"],
        ),
        mutant(
            "forgets_the_answers_of_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail.remove("reply_to");
                }
            }),
            &["batch::all_that_is_declared_arrives_at_once"],
        ),
        mutant(
            "forgets_the_labels_beside_files",
            Mail(|mail, _| {
                if mail["files"] != json!([]) {
                    mail["labels"] = json!([]);
                }
            }),
            &["mails::all_that_is_declared_arrives_at_once"],
        ),
        mutant(
            "forgets_metadata_beside_a_template",
            Mail(|mail, _| {
                if mail.contains_key("template") {
                    mail["metadata"] = json!({});
                }
            }),
            &[
                "templates::all_that_is_declared_arrives_at_once",
                "templates::all_that_is_declared_arrives_at_once_in_a_batch",
            ],
        ),
        mutant(
            "sends_copies_with_the_first_mail_only",
            Call(|mut mails| {
                for mail in mails.iter_mut().skip(1) {
                    (mail["cc"], mail["bcc"]) = (json!([]), json!([]));
                }
                mails
            }),
            &["batch::copies_go_with_every_mail"],
        ),
        mutant(
            "sends_a_batch_of_one_to_nobody",
            Call(|mut mails| {
                if let [only] = &mut mails[..]
                    && only["to"].as_array().unwrap().len() == 1
                {
                    only["to"] = json!([]);
                }
                mails
            }),
            &["batch::of_one_is_a_mail_to_one"],
        ),
        mutant(
            "sends_the_last_mail_of_a_call_twice",
            Call(|mut mails| {
                mails.extend(mails.last().cloned());
                mails
            }),
            &["mails::a_message_makes_one_mail"],
        ),
        mutant(
            "makes_a_call_for_each_recipient",
            Own(O::MakesACallForEachRecipient),
            &["mails::a_message_makes_one_mail"],
        ),
        mutant(
            "sends_the_first_call_only",
            Own(O::SendsTheFirstCallOnly),
            &["batch::more_recipients_than_a_call_takes_all_get_theirs"],
        ),
        mutant(
            "sends_more_in_a_call_than_the_esp_takes",
            Own(O::SendsMoreInACallThanTheEspTakes),
            &["batch::more_recipients_than_a_call_takes_all_get_theirs"],
        ),
        mutant(
            "says_that_a_call_takes_more",
            Own(O::SaysThatACallTakesMore),
            &["many::more_than_a_call_takes_all_arrive_once"],
        ),
        mutant(
            "declares_what_nobody_can_use",
            Declares(|can| {
                with(
                    can,
                    &[(Feature::TemplateSubject, Support::With(Feature::AmpHtml))],
                )
            }),
            &["features::what_is_declared_can_be_used"],
        ),
        // Core refuses what is not declared. These let it through, as if core forgot to.
        mutant(
            "is_asked_for_everything",
            Declares(|_| Capabilities::all()),
            &[
                "features::alternatives::is_left_out_and_reported",
                "features::alternatives::is_refused",
                "features::amp_html::is_left_out_and_reported",
                "features::amp_html::is_refused",
                "features::envelope_sender::is_left_out_and_reported",
                "features::envelope_sender::is_refused",
                "features::inline_attachments::is_left_out_and_reported_against_its_condition",
                "features::inline_attachments::is_refused_against_its_condition",
                "features::international_from::is_left_out_and_reported",
                "features::international_from::is_refused",
                "features::international_recipients::is_left_out_and_reported",
                "features::international_recipients::is_refused",
                "features::merge_data::is_left_out_and_reported_against_its_condition",
                "features::merge_data::is_refused_against_its_condition",
                "features::merge_global_data::is_left_out_and_reported_against_its_condition",
                "features::merge_global_data::is_refused_against_its_condition",
                "features::reply_to::is_left_out_and_reported_over_the_limit",
                "features::reply_to::is_refused_over_the_limit",
                "features::tags::is_left_out_and_reported_over_the_limit",
                "features::tags::is_refused_over_the_limit",
                "features::template_body::is_left_out_and_reported",
                "features::template_body::is_refused",
                "features::template_subject::is_left_out_and_reported",
                "features::template_subject::is_refused",
                "features::track_clicks::is_left_out_and_reported",
                "features::track_clicks::is_refused",
            ],
        ),
    ]
}

fn with(can: &Capabilities, more: &[(Feature, Support)]) -> Capabilities {
    can.iter().chain(more.iter().copied()).collect()
}
