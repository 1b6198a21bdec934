//! Backends that write bodies and attachments incorrectly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::breaks::Break::Mail;
use crate::breaks::{Mutant, edit, mutant};

pub fn mutants() -> Vec<Mutant> {
    [contents(), inline_parts()].concat()
}

/// Changes every attachment of the message.
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
                "messages::a_plain_message_arrives_whole",
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
            "adds_a_text",
            Mail(|mail, _| {
                mail.entry("text").or_insert("see the HTML".into());
            }),
            &[
                "bodies::no_body_is_added",
                "bodies::an_empty_body_is_no_body",
            ],
        ),
        mutant(
            "trims_bodies_and_changes_their_line_ends",
            Mail(|mail, _| edit(mail, "text", |text| text.trim().replace("\r\n", "\n"))),
            &["bodies::every_character_arrives"],
        ),
        mutant(
            "treats_a_dot_as_the_end",
            Mail(|mail, _| {
                edit(mail, "text", |text| {
                    let end = text.find("\r\n.\r\n").unwrap_or(text.len());
                    text[..end].to_owned()
                });
            }),
            &["bodies::lines_that_start_with_a_dot_arrive"],
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
            "treats_attachments_as_text",
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
            "writes_filenames_in_ascii",
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
            "invents_filenames",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    edit(file, "name", |name| match name {
                        "" => "attachment".to_owned(),
                        name => name.to_owned(),
                    });
                });
            }),
            &["attachments::one_without_a_filename_arrives"],
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
                "attachments::content_ids_match_the_html",
                "features::inline_attachments::arrives",
            ],
        ),
        mutant(
            "sends_inline_parts_as_attachments",
            Mail(|mail, _| each_file(mail, |file| drop(file.insert("cid".into(), "".into())))),
            &["attachments::attached_and_inline_are_kept_apart"],
        ),
        mutant(
            "tracks_opens_unasked",
            Mail(|mail, _| {
                mail.entry("track_opens").or_insert(true.into());
            }),
            &["messages::nothing_is_added"],
        ),
    ]
}

fn inline_parts() -> Vec<Mutant> {
    const IDS: &str = "attachments::content_ids_match_the_html";
    vec![
        mutant(
            "sends_inline_parts_as_files",
            Mail(|mail, _| {
                each_file(mail, |file| drop(file.insert("cid".into(), "".into())));
            }),
            &[
                "attachments::inline_parts_arrive_inline",
                "attachments::attached_and_inline_are_kept_apart",
            ],
        ),
        mutant(
            "writes_content_ids_in_angle_brackets",
            Mail(|mail, _| each_file(mail, |file| edit(file, "cid", |id| format!("<{id}>")))),
            &[IDS],
        ),
        mutant(
            "treats_the_filename_as_the_content_id",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    if file["cid"] != "" {
                        file["cid"] = file["name"].clone();
                    }
                });
            }),
            &[IDS, "features::inline_attachments::arrives"],
        ),
        mutant(
            "treats_the_content_id_as_the_filename",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    if file["cid"] != "" {
                        file["name"] = file["cid"].clone();
                    }
                });
            }),
            &["attachments::inline_parts_keep_their_filenames"],
        ),
        mutant(
            "sends_inline_parts_as_pngs",
            Mail(|mail, _| {
                each_file(mail, |file| {
                    if file["cid"] != "" {
                        file["type"] = "image/png".into();
                    }
                });
            }),
            &["attachments::inline_parts_arrive_inline"],
        ),
    ]
}
