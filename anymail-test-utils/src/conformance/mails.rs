//! What every mail is made of: sender, recipients, subject, bodies; and that nothing else
//! comes along.

use anymail_core::{Capabilities, Feature, Message};

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{BODY, address, addresses, plain, plain_to};

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    const BODIES: &str =
        "how your backend writes PreparedMessage::text_body and html_body; Harness::read";
    const PEOPLE: &str =
        "how your backend writes PreparedMessage::to, cc and bcc into the request; Harness::read";
    let mut trials = vec![
        trial(
            "mails::a_plain_message_arrives_whole",
            "how your backend writes from, to, subject and text; Harness::read",
            |rig| whole(rig, plain()),
        ),
        trial(
            "mails::nothing_comes_along_that_was_not_asked_for",
            "what your backend writes into every request; Harness::read",
            nothing_else,
        ),
        trial(
            "mails::a_message_makes_one_mail",
            "EmailBackend::send: it must make one call for a message that is no batch",
            one_mail,
        ),
        trial("recipients::several_to_share_one_mail", PEOPLE, |rig| {
            whole(
                rig,
                plain_to(["ann@example.com", "bob@example.com", "eve@example.org"]),
            )
        }),
        trial("recipients::cc_arrives_as_cc", PEOPLE, |rig| {
            whole(
                rig,
                with_copies(&["cc1@example.com", "\"C, C\" <cc2@example.com>"], &[]),
            )
        }),
        trial(
            "recipients::bcc_arrives_and_nobody_sees_it",
            PEOPLE,
            bcc_is_hidden,
        ),
        trial("bodies::text_alone_arrives", BODIES, |rig| {
            whole(rig, bodies(Some(BODY), None))
        }),
        trial("bodies::html_alone_arrives", BODIES, |rig| {
            whole(rig, bodies(None, Some("<p>thewordsofthebody</p>")))
        }),
        trial("bodies::text_and_html_arrive", BODIES, |rig| {
            whole(
                rig,
                bodies(Some(BODY), Some("<p>thewordsofthebody &amp; more</p>")),
            )
        }),
        trial("bodies::no_body_is_made_up", BODIES, |rig| {
            whole(rig, bodies(None, None))
        }),
        trial("bodies::an_empty_body_is_no_body", BODIES, |rig| {
            whole(rig, bodies(Some(""), Some("<p></p>")))
        }),
        trial("bodies::every_character_arrives", BODIES, |rig| {
            let text = odd_text();
            let html = format!("<p title='a \"b\"'>{}</p>", text.replace('<', "&lt;"));
            whole(rig, bodies(Some(&text), Some(&html)))
        }),
        trial("bodies::a_megabyte_arrives", BODIES, |rig| {
            let text = "A line of a long letter, čtyřicet.\r\n".repeat(30_000);
            whole(rig, bodies(Some(&text), None))
        }),
        trial(
            "subjects::every_character_arrives",
            "how your backend writes PreparedMessage::subject; Harness::read",
            |rig| {
                whole(
                    rig,
                    subject("Řešení \"č. 7\" \\ <b>&amp;</b> {{x}} %s 日本語 🎉, 50 %"),
                )
            },
        ),
        trial(
            "subjects::a_long_one_arrives",
            "how your backend writes PreparedMessage::subject; Harness::read",
            |rig| whole(rig, subject(&"a word ".repeat(120))),
        ),
    ];
    if can.support(Feature::ReplyTo) != anymail_core::Support::No {
        trials.push(trial(
            "recipients::reply_to_is_nobody_who_gets_the_mail",
            "how your backend writes PreparedMessage::reply_to; Harness::read",
            |rig| {
                let mut message = plain();
                message.reply_to = vec![address("answers@example.com")].into();
                whole(rig, message)
            },
        ));
    }
    trials
}

async fn whole(rig: Rig, message: Message) -> Verdict {
    let parts = [
        Part::From,
        Part::To,
        Part::Cc,
        Part::Bcc,
        Part::ReplyTo,
        Part::Subject,
        Part::Text,
        Part::Html,
    ];
    rig.arrives(&message, &parts).await?;
    Ok(())
}

async fn nothing_else(rig: Rig) -> Verdict {
    rig.arrives(&plain(), &Part::ALL).await?;
    Ok(())
}

async fn one_mail(rig: Rig) -> Verdict {
    rig.send_ok(&plain_to(["ann@example.com", "bob@example.com"]))
        .await?;
    let mails = rig.mails()?.len();
    rig.ensure(mails == 1, || {
        format!("one message to two recipients, no batch, made {mails} mails")
    })
}

async fn bcc_is_hidden(rig: Rig) -> Verdict {
    let message = with_copies(
        &["cc@example.com"],
        &["hidden@example.com", "also@example.org"],
    );
    rig.send_ok(&message).await?;
    rig.compare(
        &super::understood::Understood::expected(&message),
        &[Part::To, Part::Cc, Part::Bcc, Part::Headers],
    )
}

fn with_copies(cc: &[&str], bcc: &[&str]) -> Message {
    let mut message = plain();
    message.cc = addresses(cc.iter().copied()).into();
    message.bcc = addresses(bcc.iter().copied()).into();
    message
}

fn bodies(text: Option<&str>, html: Option<&str>) -> Message {
    let field = |body: Option<&str>| match body {
        Some(body) => anymail_core::Field::Value(body.to_owned()),
        None => anymail_core::Field::Unset,
    };
    let mut message = plain();
    (message.text_body, message.html_body) = (field(text), field(html));
    message
}

fn subject(text: &str) -> Message {
    let mut message = plain();
    message.subject = text.trim().to_owned().into();
    message
}

/// What templates, JSON, forms, SMTP and terminals have taken for something else before.
fn odd_text() -> String {
    let ascii: String = (' '..='~').collect();
    format!(
        "{ascii}\r\n.\r\n..two dots\n\ttab\u{1}\u{7f}\u{85}\u{a0}\u{2028}\r\n\
         -- \r\nFrom here\r\n{{{{name}}}} {{%x%}} %recipient% *|X|* \\u0041 &lt; =3D\r\n\
         ěščřž ß ﬁ ا ש 日本語 e\u{301} \u{1f469}\u{200d}\u{1f4bb} \u{10ffff}\u{feff}\n\n"
    )
}
