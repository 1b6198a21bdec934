//! Every kind of address arrives unchanged, in every field with addresses.

use anymail_core::{Capabilities, Feature, Support};

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{address, addresses, plain};

/// The name of a kind of address, and an example.
const KINDS: [(&str, &str); 13] = [
    ("a_bare_one", "bare@example.com"),
    ("a_name", "Ann Doe <name@example.com>"),
    ("a_name_with_a_comma", "\"Doe, Ann\" <comma@example.com>"),
    (
        "a_name_with_quotes_and_backslashes",
        r#""Ann \"the \\ cat\" Doe" <quotes@example.com>"#,
    ),
    (
        "a_name_with_specials",
        "\"Ann (sales) <x@y.z>; a:b [c]\" <specials@example.com>",
    ),
    ("a_name_outside_ascii", "Ďábelský Červ <latin@example.com>"),
    (
        "a_name_in_other_scripts",
        "\"山田, 太郎 🎌\" <scripts@example.com>",
    ),
    (
        "a_long_name",
        concat!(
            "\"A name, longer than a line of a header: ",
            "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft\" ",
            "<long@example.com>"
        ),
    ),
    (
        "a_name_that_looks_like_an_address",
        "\"ann@example.com\" <other@example.com>",
    ),
    ("upper_case_and_a_tag", "Ann.Doe+Shop@Example.Com"),
    (
        "odd_but_valid_characters",
        "o'neil_{a}|b=c?d*e!f#g$h%i&j/k^l`m~n@example.com",
    ),
    ("a_quoted_local_part", "\"ann \\\"x, y\"@example.com"),
    (
        "an_international_domain",
        "Ann <ann@bücher.příklad.example>",
    ),
];

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    const LOOK_AT: &str = "how your backend writes addresses: Address::to_ascii returns the whole \
                           mailbox, Address::name and ascii_email its parts; Harness::read";
    let reply_to = can.support(Feature::ReplyTo) != Support::No;
    let mut trials: Vec<_> = KINDS
        .into_iter()
        .map(|(kind, text)| {
            let name = format!("addresses::{kind}_arrives_equal");
            trial(name, LOOK_AT, move |rig| equal(rig, text, reply_to))
        })
        .collect();
    trials.push(trial(
        "addresses::every_kind_arrives_equal_as_bcc",
        LOOK_AT,
        equal_as_bcc,
    ));
    trials.push(trial(
        "addresses::an_international_domain_goes_out_in_ascii",
        "use Address::to_ascii or ascii_email instead of email() or to_string()",
        in_ascii,
    ));
    trials
}

async fn equal(rig: Rig, text: &str, reply_to: bool) -> Verdict {
    let mut message = plain();
    let odd = address(text);
    message.from = odd.clone().into();
    // Several addresses, so that an unclosed one would swallow its neighbor.
    message.to = vec![odd.clone(), address("bob@example.com")].into();
    message.cc = vec![address("carol@example.com"), odd.clone()].into();
    if reply_to {
        message.reply_to = vec![odd].into();
    }
    let parts = [Part::From, Part::To, Part::Cc, Part::ReplyTo];
    rig.arrives(&message, &parts).await?;
    Ok(())
}

/// Tested separately, because some backends keep only what every recipient sees, and no bcc.
async fn equal_as_bcc(rig: Rig) -> Verdict {
    let mut message = plain();
    message.bcc = addresses(KINDS.map(|(_, text)| text)).into();
    rig.arrives(&message, &[Part::Bcc]).await?;
    Ok(())
}

async fn in_ascii(rig: Rig) -> Verdict {
    if rig.is_local() {
        return Ok(()); // stored messages do not have to be ready for sending
    }
    let mut message = plain();
    message.from = address("sender@příklad.example").into();
    message.to = vec![address("ann@bücher.example")].into();
    message.cc = vec![address("bob@münchen.example")].into();
    message.bcc = vec![address("eve@zürich.example")].into();
    if !matches!(
        rig.backend.capabilities().support(Feature::ReplyTo),
        Support::No | Support::AtMost(0) | Support::With(_) | Support::WithAny(_)
    ) {
        message.reply_to = vec![address("answers@köln.example")].into();
    }
    rig.send_ok(&message).await?;
    for mail in rig.mails()? {
        let all = mail.from.iter().chain(mail.recipients());
        for found in all.chain(&mail.reply_to) {
            rig.ensure(found.domain().is_ascii(), || {
                format!(
                    "expected the domain of {found} in ASCII: {}",
                    found.ascii_domain()
                )
            })?;
        }
    }
    Ok(())
}
