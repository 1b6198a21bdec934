//! The faults that can occur over SMTP, stage by stage.

use std::time::Duration;

use anymail_core::{Accepted, SendErrorKind};
use bytes::Bytes;

use super::super::harness::FailureKind;
use super::super::responses::nonsense;
use super::{Bare, BareMeaning, Faults, Lost, Teller, Told, WireFault};
use crate::{SmtpAction, SmtpFault, SmtpReply, SmtpStage};

pub(in super::super) fn faults() -> Faults {
    use SmtpStage::Kept;
    Faults {
        lost: lost(),
        told: told(),
        nonsense: garbage(),
        bare: bare(),
        taken: taken(),
        telling: telling(),
        echoes,
        taken_then_reset: fault(Kept, SmtpAction::Reset),
        taken_then_silent: fault(Kept, SmtpAction::Hang),
        slow: fault(
            Kept,
            SmtpAction::Drip {
                interval: Duration::from_millis(1),
            },
        ),
        endless: fault(Kept, SmtpAction::EndlessReply),
        taken_then_garbage: fault(Kept, SmtpAction::http()),
        not_now: reply(SmtpStage::Mail, 451, "4.7.28 Too many messages"),
        says_how_long: false,
        redirects: false,
        judges: true,
        has_urls: false,
        a_crash_is_a_no: true,
    }
}

fn fault(stage: SmtpStage, action: SmtpAction) -> WireFault {
    WireFault::Smtp(SmtpFault::new(stage, action))
}

fn reply(stage: SmtpStage, code: u16, text: &str) -> WireFault {
    fault(stage, SmtpAction::Reply(SmtpReply::new(code, text)))
}

/// A stage as it appears in a trial's name, and whether a message whose conversation breaks there
/// may have been accepted.
///
/// A server must not deliver an incomplete message (RFC 5321, sections 4.1.1.4 and 4.1.1.10), so it
/// was certainly not accepted before the last byte of the content, and may have been accepted from
/// then until the reply.
const STAGES: [(&str, SmtpStage, Accepted); 11] = [
    ("when_connected", SmtpStage::Connect, Accepted::No),
    ("at_the_greeting", SmtpStage::Greeting, Accepted::No),
    ("at_ehlo", SmtpStage::Ehlo, Accepted::No),
    ("at_the_login", SmtpStage::Credentials, Accepted::No),
    ("at_mail", SmtpStage::Mail, Accepted::No),
    ("at_rcpt", SmtpStage::Rcpt, Accepted::No),
    ("at_data", SmtpStage::Data, Accepted::No),
    ("in_the_content", SmtpStage::Content, Accepted::No),
    ("at_the_end", SmtpStage::EndOfData, Accepted::Maybe),
    ("once_kept", SmtpStage::Kept, Accepted::Maybe),
    ("once_kept_and_cut", SmtpStage::Kept, Accepted::Maybe),
];

fn lost() -> Vec<Lost> {
    let mut all = Vec::new();
    for (place, stage, accepted) in STAGES {
        let mut add = |what: &str, action| {
            all.push(Lost {
                name: format!("{what}_{place}"),
                fault: fault(stage, action),
                accepted: Some(accepted),
                waits: what == "silence",
                in_body: false,
                // The end of a short message may be sent together with its beginning.
                long: stage == SmtpStage::Content,
            });
        };
        if place == "once_kept_and_cut" {
            add("a_reply", SmtpAction::CutShort { bytes: 2 });
            continue;
        }
        add("a_reset", SmtpAction::Reset);
        add("a_close", SmtpAction::Close);
        // Each takes as long as the backend's time limit, so not every stage has one.
        if matches!(
            stage,
            SmtpStage::Greeting
                | SmtpStage::Mail
                | SmtpStage::Content
                | SmtpStage::EndOfData
                | SmtpStage::Kept
        ) {
            add("silence", SmtpAction::Hang);
        }
    }
    all
}

/// What a server replies instead of success.
///
/// A 4xx or 5xx reply proves that the message was not accepted, even at the end of the content (RFC
/// 5321, section 4.2.1). Anything that is not a reply leaves this unknown from the end of the
/// content on.
fn told() -> Vec<Told> {
    use Accepted::{Maybe, No};
    use SendErrorKind as K;
    let by = Teller::Esp;
    let said = |stage, code, text| Teller::Anybody(reply(stage, code, text));
    let done = |stage, action| Teller::Anybody(fault(stage, action));
    let told = |name: &str, by, kind, accepted, transient| Told {
        name: name.to_owned(),
        by,
        kind,
        accepted,
        transient,
    };
    let closing = "4.3.2 Shutting down";
    let mut all = vec![
        told(
            "a_bad_token",
            by(FailureKind::BadToken),
            K::Authentication,
            No,
            false,
        ),
        told(
            "a_refused_message",
            by(FailureKind::Refused),
            K::Refused,
            No,
            false,
        ),
        told(
            "too_many_messages",
            by(FailureKind::RateLimited),
            K::RateLimited,
            No,
            true,
        ),
        told(
            "a_server_error_of_the_esp",
            by(FailureKind::Crashed),
            K::ServerError,
            No,
            true,
        ),
        told(
            "maintenance",
            by(FailureKind::Unavailable),
            K::ServerError,
            No,
            true,
        ),
        told(
            "a_temporarily_failing_login",
            said(SmtpStage::Credentials, 454, "4.7.0 Temporary failure"),
            K::ServerError,
            No,
            true,
        ),
        told(
            "a_refused_sender",
            said(SmtpStage::Mail, 550, "5.7.1 Not you"),
            K::Refused,
            No,
            false,
        ),
        told(
            "a_temporarily_refused_sender",
            said(SmtpStage::Mail, 451, "4.3.0 Not now"),
            K::ServerError,
            No,
            true,
        ),
        told(
            "content_that_is_refused_before_it_is_sent",
            said(SmtpStage::Data, 554, "5.7.1 No"),
            K::Refused,
            No,
            false,
        ),
        told(
            "content_that_is_too_large",
            said(SmtpStage::EndOfData, 552, "5.3.4 Too large"),
            K::Refused,
            No,
            false,
        ),
        told(
            "a_web_server_on_the_port",
            done(SmtpStage::Greeting, SmtpAction::http()),
            K::InvalidResponse,
            No,
            false,
        ),
        told(
            "an_invalid_reply_at_mail",
            done(SmtpStage::Mail, SmtpAction::http()),
            K::InvalidResponse,
            No,
            false,
        ),
        told(
            "an_invalid_reply_at_the_end",
            done(SmtpStage::Kept, SmtpAction::http()),
            K::InvalidResponse,
            Maybe,
            false,
        ),
    ];
    for (name, stage) in [
        ("a_server_that_closes_at_the_greeting", SmtpStage::Greeting),
        ("a_server_that_closes_at_mail", SmtpStage::Mail),
        ("a_server_that_closes_at_rcpt", SmtpStage::Rcpt),
        ("a_server_that_closes_at_data", SmtpStage::Data),
        ("a_server_that_closes_at_the_end", SmtpStage::EndOfData),
    ] {
        all.push(told(
            name,
            said(stage, 421, closing),
            K::ServerError,
            No,
            true,
        ));
    }
    all
}

/// Sends something that is not a reply, instead of the last reply.
fn garbage() -> Vec<WireFault> {
    let texts = nonsense().into_iter().map(SmtpAction::Garbage);
    let more: [&'static [u8]; 8] = [
        b"\r\n",
        b"25\r\n",
        b"2500 Ok\r\n",
        b"250",
        b"250 Ok, and no end of the line",
        b"250-Ok\r\n550 No\r\n",
        b"250-Ok\r\n",
        b"999 Ok\r\n",
    ];
    let more = more.map(|text| SmtpAction::Garbage(Bytes::from_static(text)));
    let all = texts.chain(more).chain([SmtpAction::binary()]);
    all.map(|action| fault(SmtpStage::Kept, action)).collect()
}

fn bare() -> Vec<Bare> {
    let refusals = [
        421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 530, 550, 551, 552, 553, 554,
        555, 571,
    ];
    let no = refusals.map(|code| (code, BareMeaning::NotYes));
    // Replies other than those at the end of a message.
    let open = [300, 334, 354].map(|code| (code, BareMeaning::Open));
    let bare = |(code, meaning)| Bare {
        fault: reply(SmtpStage::EndOfData, code, ""),
        meaning,
    };
    no.into_iter().chain(open).map(bare).collect()
}

fn taken() -> Vec<WireFault> {
    let actions = [
        SmtpAction::Reset,
        SmtpAction::Close,
        SmtpAction::http(),
        SmtpAction::CutShort { bytes: 2 },
    ];
    actions.map(|action| fault(SmtpStage::Kept, action)).into()
}

fn telling() -> Vec<WireFault> {
    vec![
        fault(SmtpStage::Credentials, SmtpAction::Reset),
        fault(SmtpStage::Credentials, SmtpAction::http()),
        reply(SmtpStage::Credentials, 535, "5.7.8 Bad credentials"),
        fault(SmtpStage::Mail, SmtpAction::http()),
        fault(SmtpStage::Kept, SmtpAction::Reset),
        reply(SmtpStage::EndOfData, 554, "5.7.1 No"),
    ]
}

fn echoes(words: &str) -> Vec<WireFault> {
    let text = |code: &str| format!("{code} not understood: {words}");
    vec![
        reply(SmtpStage::Mail, 530, &text("5.7.0")),
        reply(SmtpStage::Rcpt, 550, &text("5.1.1")),
        reply(SmtpStage::EndOfData, 554, &text("5.7.1")),
        fault(
            SmtpStage::Kept,
            SmtpAction::Garbage(Bytes::from(format!("250 2.0.0 Ok {words}\r\n"))),
        ),
        fault(
            SmtpStage::Kept,
            SmtpAction::Garbage(Bytes::from(format!("nonsense {words}\r\n"))),
        ),
    ]
}
