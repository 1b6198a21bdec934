//! Backends that write bodies, files and values wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::breaks::Break::Mail;
use crate::breaks::{Mutant, edit, mutant};

pub fn mutants() -> Vec<Mutant> {
    [contents(), values()].concat()
}

/// Changes every file of the mail.
fn each_file(mail: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    let files = mail.get_mut("files").and_then(Value::as_array_mut);
    files
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
        .for_each(change);
}

fn bytes(file: &serde_json::Map<String, Value>) -> Vec<u8> {
    let data = file["data"].as_str().unwrap();
    STANDARD.decode(data).unwrap()
}

fn encoded(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

fn contents() -> Vec<Mutant> {
    vec![
        mutant(
            "drops_the_text",
            Mail(|mail, _| drop(mail.remove("text"))),
            &[
                "mails::a_plain_message_arrives_whole",
                "bodies::text_alone_arrives",
            ],
        ),
        mutant(
            "drops_the_html",
            Mail(|mail, _| drop(mail.remove("html"))),
            &[
                "bodies::html_alone_arrives",
                "bodies::text_and_html_arrive",
                "bodies::an_empty_body_is_no_body",
            ],
        ),
        mutant(
            "makes_up_a_text",
            Mail(|mail, _| {
                mail.entry("text").or_insert("see the HTML".into());
            }),
            &[
                "bodies::no_body_is_made_up",
                "bodies::an_empty_body_is_no_body",
            ],
        ),
        mutant(
            "trims_bodies_and_mends_their_line_ends",
            Mail(|mail, _| edit(mail, "text", |text| text.trim().replace("\r\n", "\n"))),
            &["bodies::every_character_arrives"],
        ),
        mutant(
            "cuts_long_bodies",
            Mail(|mail, _| edit(mail, "text", |text| text.chars().take(65_535).collect())),
            &["bodies::a_megabyte_arrives"],
        ),
        mutant(
            "escapes_subjects_for_html",
            Mail(|mail, _| edit(mail, "subject", |text| text.replace('&', "&amp;"))),
            &["subjects::every_character_arrives"],
        ),
        mutant(
            "cuts_long_subjects",
            Mail(|mail, _| edit(mail, "subject", |text| text.chars().take(255).collect())),
            &["subjects::a_long_one_arrives"],
        ),
        mutant(
            "forgets_an_attachment",
            Mail(|mail, _| drop(mail["files"].as_array_mut().unwrap().pop())),
            &[
                "features::attachments::arrives",
                "attachments::two_of_one_name_both_arrive",
                "attachments::attached_and_inline_are_kept_apart",
            ],
        ),
        mutant(
            "drops_empty_attachments",
            Mail(|mail, _| {
                mail["files"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|file| file["data"] != "");
            }),
            &["attachments::an_empty_one_arrives"],
        ),
        mutant(
            "takes_attachments_for_text",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    let text = String::from_utf8_lossy(&bytes(file)).replace("\r\n", "\n");
                    file.insert("data".into(), encoded(text.as_bytes()));
                });
            }),
            &[
                "attachments::one_byte_arrives",
                "attachments::every_byte_arrives",
                "attachments::line_ends_arrive_as_they_are",
            ],
        ),
        mutant(
            "cuts_large_attachments",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    let content = bytes(file);
                    file.insert(
                        "data".into(),
                        encoded(&content[..content.len().min(5_000_000)]),
                    );
                });
            }),
            &["attachments::five_megabytes_arrive"],
        ),
        mutant(
            "writes_file_names_in_ascii",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    edit(file, "name", |name| {
                        name.chars().filter(char::is_ascii).collect()
                    });
                });
            }),
            &["attachments::odd_names_arrive_equal"],
        ),
        mutant(
            "makes_up_file_names",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    edit(file, "name", |name| match name {
                        "" => "attachment".to_owned(),
                        name => name.to_owned(),
                    });
                });
            }),
            &["attachments::one_without_a_name_arrives"],
        ),
        mutant(
            "drops_the_parameters_of_types",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    edit(file, "type", |it| it.split(';').next().unwrap().to_owned());
                });
            }),
            &["attachments::types_arrive_with_their_parameters"],
        ),
        mutant(
            "writes_content_ids_in_brackets",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    edit(file, "cid", |id| match id {
                        "" => String::new(),
                        id => format!("<{id}>"),
                    });
                });
            }),
            &[
                "attachments::content_ids_arrive_as_the_html_names_them",
                "features::inline_attachments::arrives",
            ],
        ),
        mutant(
            "attaches_what_is_inline",
            Mail(|mail, _| each_file(mail, |file| drop(file.insert("cid".into(), "".into())))),
            &["attachments::attached_and_inline_are_kept_apart"],
        ),
        mutant(
            "tracks_opens_unasked",
            Mail(|mail, _| {
                mail.entry("track_opens").or_insert(true.into());
            }),
            &["mails::nothing_comes_along_that_was_not_asked_for"],
        ),
    ]
}

fn values() -> Vec<Mutant> {
    vec![
        mutant(
            "drops_headers",
            Mail(|mail, _| drop(mail.remove("headers"))),
            &[
                "features::headers::arrives",
                "features::merge_headers::arrives",
            ],
        ),
        mutant(
            "drops_metadata",
            Mail(|mail, _| drop(mail.remove("metadata"))),
            &[
                "features::metadata::arrives",
                "features::merge_metadata::arrives",
            ],
        ),
        mutant(
            "drops_template_values",
            Mail(|mail, _| drop(mail.remove("values"))),
            &[
                "features::merge_data::arrives",
                "features::merge_global_data::arrives",
            ],
        ),
        mutant(
            "drops_all_tags_but_the_first",
            Mail(|mail, _| mail["labels"].as_array_mut().unwrap().truncate(1)),
            &["features::tags::arrives"],
        ),
        mutant(
            "drops_open_tracking",
            Mail(|mail, _| drop(mail.remove("track_opens"))),
            &["features::track_opens::arrives"],
        ),
        mutant(
            "says_only_that_opens_are_tracked",
            Mail(|mail, _| {
                if mail.get("track_opens") == Some(&false.into()) {
                    mail.remove("track_opens");
                }
            }),
            &["features::track_opens::off_is_said_too"],
        ),
        mutant(
            "writes_times_in_milliseconds",
            Mail(|mail, _| {
                mail.entry("send_at")
                    .and_modify(|at| *at = (at.as_i64().unwrap() * 1000).into());
            }),
            &["features::send_at::arrives"],
        ),
        mutant(
            "drops_the_template",
            Mail(|mail, _| drop(mail.remove("template"))),
            &[
                "features::template::arrives",
                "many::messages_of_all_kinds_arrive_whole",
            ],
        ),
        mutant(
            "drops_esp_extra",
            Mail(|mail, _| drop(mail.remove("options"))),
            &["features::esp_extra::arrives"],
        ),
        mutant(
            "gives_everybody_the_first_ones_values",
            Mail(|mail, message| {
                let first = message.to.items().first();
                let own = message
                    .merge_data
                    .value()
                    .zip(first)
                    .and_then(|(map, to)| map.get(to));
                if let (Some(own), true) = (own, message.is_batch()) {
                    mail.insert("values".into(), own.clone().into());
                }
            }),
            &["batch::template_values_of_one_go_to_no_other"],
        ),
        mutant(
            "takes_metadata_by_the_letter_of_the_address",
            Mail(|mail, message| {
                let to = mail["to"][0]["email"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let by_letter = message.merge_metadata.value();
                let by_letter = by_letter.and_then(|map| map.iter().find(|(key, _)| *key == to));
                if message.is_batch() {
                    let mut all = message.metadata.value().cloned().unwrap_or_default();
                    all.extend(by_letter.map(|(_, own)| own.clone()).into_iter().flatten());
                    mail.insert("metadata".into(), json!(all));
                }
            }),
            &["batch::metadata_of_one_go_to_no_other"],
        ),
        mutant(
            "lets_everybodys_headers_win",
            Mail(|mail, message| {
                for (name, value) in message.headers.value().into_iter().flat_map(|it| it.iter()) {
                    let headers = mail["headers"].as_object_mut().unwrap();
                    headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
                    headers.insert(name.into(), value.into());
                }
            }),
            &["batch::headers_of_one_go_to_no_other"],
        ),
    ]
}
