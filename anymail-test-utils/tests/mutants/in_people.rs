//! Backends that write senders and recipients incorrectly.

use serde_json::{Map, Value, json};

use crate::breaks::Break::Mail;
use crate::breaks::{Mutant, edit, mutant};

/// Changes every address of the message.
fn each_person(mail: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    for list in ["from", "to", "cc", "bcc", "reply_to"] {
        let Some(people) = mail.get_mut(list) else {
            continue;
        };
        match people {
            Value::Array(people) => {
                people
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(&change);
            }
            Value::Object(person) => change(person),
            _ => {}
        }
    }
}

pub fn mutants() -> Vec<Mutant> {
    vec![
        mutant(
            "drops_cc",
            Mail(|mail, _| drop(mail.remove("cc"))),
            &[
                "recipients::cc_arrives_as_cc",
                "features::without_to::arrives",
            ],
        ),
        mutant(
            "drops_bcc",
            Mail(|mail, _| drop(mail.remove("bcc"))),
            &["recipients::bcc_arrives_and_nobody_sees_it"],
        ),
        mutant(
            "shows_bcc",
            Mail(|mail, _| {
                let hidden = mail.insert("bcc".into(), json!([])).unwrap_or_default();
                for person in hidden.as_array().into_iter().flatten() {
                    mail["cc"].as_array_mut().unwrap().push(person.clone());
                }
            }),
            &["recipients::bcc_arrives_and_nobody_sees_it"],
        ),
        mutant(
            "sends_to_the_first_recipient_only",
            Mail(|mail, _| mail["to"].as_array_mut().unwrap().truncate(1)),
            &["recipients::several_to_share_one_message"],
        ),
        mutant(
            "sets_the_sender_as_reply_to",
            Mail(|mail, _| {
                let from = mail["from"].clone();
                mail.entry("reply_to").and_modify(|it| *it = from);
            }),
            &[
                "features::reply_to::arrives",
                "recipients::reply_to_does_not_get_the_message",
            ],
        ),
        mutant(
            "changes_the_sender",
            Mail(|mail, _| drop(mail.insert("from".into(), json!({"email": "me@example.com"})))),
            &[
                "messages::a_plain_message_arrives_whole",
                "addresses::a_bare_one_arrives_equal",
            ],
        ),
        mutant(
            "drops_names",
            Mail(|mail, _| each_person(mail, |person| drop(person.remove("name")))),
            &[
                "addresses::a_name_arrives_equal",
                "addresses::a_name_that_looks_like_an_address_arrives_equal",
            ],
        ),
        mutant(
            "cuts_names_at_a_comma",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "name", |name| {
                        name.split(',').next().unwrap().to_owned()
                    });
                });
            }),
            &["addresses::a_name_with_a_comma_arrives_equal"],
        ),
        mutant(
            "escapes_names_twice",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "name", |name| {
                        name.replace('\\', "\\\\").replace('"', "\\\"")
                    });
                });
            }),
            &[
                "addresses::a_name_with_quotes_and_backslashes_arrives_equal",
                "addresses::every_kind_arrives_equal_as_bcc",
            ],
        ),
        mutant(
            "removes_specials_from_names",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "name", |name| name.replace(['(', '<'], ""))
                });
            }),
            &["addresses::a_name_with_specials_arrives_equal"],
        ),
        mutant(
            "writes_names_in_ascii",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "name", |name| {
                        name.chars().filter(char::is_ascii).collect()
                    });
                });
            }),
            &[
                "addresses::a_name_outside_ascii_arrives_equal",
                "addresses::a_name_in_other_scripts_arrives_equal",
            ],
        ),
        mutant(
            "cuts_long_names",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "name", |name| name.chars().take(78).collect());
                });
            }),
            &["addresses::a_long_name_arrives_equal"],
        ),
        mutant(
            "writes_addresses_in_lower_case",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "email", |email| email.to_lowercase())
                });
            }),
            &["addresses::upper_case_and_a_tag_arrives_equal"],
        ),
        mutant(
            "removes_tags_from_addresses",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "email", |email| {
                        match (email.find('+'), email.find('@')) {
                            (Some(plus), Some(at)) => format!("{}{}", &email[..plus], &email[at..]),
                            _ => email.to_owned(),
                        }
                    });
                });
            }),
            &["addresses::upper_case_and_a_tag_arrives_equal"],
        ),
        mutant(
            "writes_addresses_as_in_a_url",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "email", |email| {
                        email.replace('%', "%25").replace('&', "%26")
                    });
                });
            }),
            &["addresses::odd_but_valid_characters_arrives_equal"],
        ),
        mutant(
            "removes_the_quotes_of_local_parts",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "email", |email| {
                        email.replace(['"', '\\', ' ', ','], "")
                    });
                });
            }),
            &["addresses::a_quoted_local_part_arrives_equal"],
        ),
        mutant(
            "drops_the_first_label_of_an_international_domain",
            Mail(|mail, _| {
                each_person(mail, |person| {
                    edit(person, "email", |email| match email.split_once("@xn--") {
                        Some((local, domain)) => {
                            format!("{local}@{}", domain.split_once('.').unwrap().1)
                        }
                        None => email.to_owned(),
                    });
                });
            }),
            &["addresses::an_international_domain_arrives_equal"],
        ),
        mutant(
            "writes_international_domains_as_they_were_given",
            Mail(|mail, message| {
                let given: Vec<_> = message.recipients().chain(message.from.value()).collect();
                each_person(mail, |person| {
                    edit(person, "email", |email| {
                        let same = given.iter().find(|it| it.ascii_email() == email);
                        same.map_or(email, |it| it.email()).to_owned()
                    });
                });
            }),
            &["addresses::an_international_domain_goes_out_in_ascii"],
        ),
        mutant(
            "writes_an_international_domain_of_reply_to_as_it_was_given",
            Mail(|mail, message| {
                if let (Some(person), Some(first)) =
                    (mail.get_mut("reply_to"), message.reply_to.items().first())
                {
                    person["email"] = first.email().into();
                }
            }),
            &["addresses::an_international_domain_goes_out_in_ascii"],
        ),
    ]
}
