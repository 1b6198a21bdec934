//! The basic parts of every message (sender, recipients, subject, bodies), and that nothing else is
//! added.

use anymail_core::{Capabilities, Feature, Message, Support};

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{BODY, address, addresses, plain, plain_to};

const WHOLE: &[Part] = &[
    Part::From,
    Part::To,
    Part::Cc,
    Part::Bcc,
    Part::ReplyTo,
    Part::Subject,
    Part::Text,
    Part::Html,
];
// A header could reveal what `bcc` hides.
const RECIPIENTS: &[Part] = &[Part::To, Part::Cc, Part::Bcc, Part::ReplyTo, Part::Headers];
const BODIES: &[Part] = &[Part::Text, Part::Html];

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    let recipients = |name: &str, message: fn() -> Message| {
        let look_at = "how your backend writes PreparedMessage::to, cc, bcc and reply_to into the \
                       request; Harness::read";
        let name = format!("recipients::{name}");
        trial(name, look_at, move |rig| {
            arrives(rig, message(), RECIPIENTS)
        })
    };
    let bodies = |name: &str, message: fn() -> Message| {
        let look_at =
            "how your backend writes PreparedMessage::text_body and html_body; Harness::read";
        let name = format!("bodies::{name}");
        trial(name, look_at, move |rig| arrives(rig, message(), BODIES))
    };
    let subjects = |name: &str, message: fn() -> Message| {
        let look_at = "how your backend writes PreparedMessage::subject; Harness::read";
        let name = format!("subjects::{name}");
        trial(name, look_at, move |rig| {
            arrives(rig, message(), &[Part::Subject])
        })
    };
    let mut trials = vec![
        trial(
            "messages::a_plain_message_arrives_whole",
            "how your backend writes from, to, subject and text; Harness::read",
            |rig| arrives(rig, plain(), WHOLE),
        ),
        trial(
            "messages::nothing_is_added",
            "what your backend writes into every request; Harness::read",
            |rig| arrives(rig, plain(), &Part::ALL),
        ),
        trial(
            "messages::a_message_is_sent_once",
            "EmailBackend::send: it must make one call for a message that is not a batch",
            one_mail,
        ),
        recipients("several_to_share_one_message", || {
            plain_to(["ann@example.com", "bob@example.com", "eve@example.org"])
        }),
        recipients("cc_arrives_as_cc", || {
            with_copies(&["cc1@example.com", "\"C, C\" <cc2@example.com>"], &[])
        }),
        recipients("bcc_arrives_and_nobody_sees_it", || {
            with_copies(
                &["cc@example.com"],
                &["hidden@example.com", "also@example.org"],
            )
        }),
        bodies("text_alone_arrives", || with_bodies(Some(BODY), None)),
        bodies("html_alone_arrives", || {
            with_bodies(None, Some("<p>thewordsofthebody</p>"))
        }),
        bodies("text_and_html_arrive", || {
            with_bodies(Some(BODY), Some("<p>thewordsofthebody &amp; more</p>"))
        }),
        bodies("no_body_is_added", || with_bodies(None, None)),
        bodies("an_empty_body_is_no_body", || {
            with_bodies(Some(""), Some("<p></p>"))
        }),
        bodies("lines_that_start_with_a_dot_arrive", || {
            with_bodies(Some("first\r\n.\r\n..\r\n.third\r\n\r\nlast"), None)
        }),
        bodies("every_character_arrives", || {
            let text = odd_text();
            let html = format!("<p title='a \"b\"'>{}</p>", text.replace('<', "&lt;"));
            with_bodies(Some(&text), Some(&html))
        }),
        bodies("a_megabyte_arrives", || {
            let text = "A line of a long letter, čtyřicet.\r\n".repeat(30_000);
            with_bodies(Some(&text), None)
        }),
        subjects("every_character_arrives", || {
            with_subject("Řešení \"č. 7\" \\ <b>&amp;</b> {{x}} %s 日本語 🎉, 50 %")
        }),
        subjects("a_long_one_arrives", || {
            with_subject(&"a word ".repeat(120))
        }),
    ];
    if can.support(Feature::ReplyTo) != Support::No {
        trials.push(recipients("reply_to_does_not_get_the_message", || {
            let mut message = plain();
            message.reply_to = vec![address("answers@example.com")].into();
            message
        }));
    }
    trials
}

async fn arrives(rig: Rig, message: Message, parts: &[Part]) -> Verdict {
    rig.arrives(&message, parts).await?;
    Ok(())
}

async fn one_mail(rig: Rig) -> Verdict {
    rig.send_ok(&plain_to(["ann@example.com", "bob@example.com"]))
        .await?;
    let mails = rig.mails()?.len();
    rig.ensure(mails == 1, || {
        format!("expected one message for two recipients without a batch, got {mails}")
    })
}

fn with_copies(cc: &[&str], bcc: &[&str]) -> Message {
    let mut message = plain();
    message.cc = addresses(cc.iter().copied()).into();
    message.bcc = addresses(bcc.iter().copied()).into();
    message
}

fn with_bodies(text: Option<&str>, html: Option<&str>) -> Message {
    let field = |body: Option<&str>| match body {
        Some(body) => anymail_core::Field::Value(body.to_owned()),
        None => anymail_core::Field::Unset,
    };
    let mut message = plain();
    (message.text_body, message.html_body) = (field(text), field(html));
    message
}

fn with_subject(text: &str) -> Message {
    let mut message = plain();
    message.subject = text.trim().to_owned().into();
    message
}

/// Characters that templates, JSON, forms, SMTP and terminals have misinterpreted before.
fn odd_text() -> String {
    let ascii: String = (' '..='~').collect();
    format!(
        "{ascii}\r\n.\r\n..two dots\n\ttab\u{1}\u{7f}\u{85}\u{a0}\u{2028}\r\n\
         -- \r\nFrom here\r\n{{{{name}}}} {{%x%}} %recipient% *|X|* \\u0041 &lt; =3D\r\n\
         ěščřž ß ﬁ ا ש 日本語 e\u{301} \u{1f469}\u{200d}\u{1f4bb} \u{10ffff}\u{feff}\n\n"
    )
}
