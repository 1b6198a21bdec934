//! Whether the backend follows the protocol, if the suite's own server checks that.

use anymail_core::{Attachment, Capabilities, Feature, Message, Support};

use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::wire::{Faults, Teller, Told};
use crate::fixtures::{address, addresses, batch_to, file, plain};

pub(super) fn trials(can: &Capabilities, faults: &Faults) -> Vec<Trial> {
    const LOOK_AT: &str = "how your backend writes commands and content: line ends, dots at the start of a line, \
                           lengths, parameters of extensions, the order of commands";
    if !faults.judges {
        return Vec::new();
    }
    let can = can.clone();
    vec![
        trial(
            "protocol::is_kept_by_every_kind_of_message",
            LOOK_AT,
            move |rig| kinds(rig, can.clone()),
        ),
        trial("protocol::is_kept_after_an_error", LOOK_AT, errors),
    ]
}

fn judged(rig: &Rig, what: &str) -> Verdict {
    let violations = rig.wire.violations();
    rig.ensure(violations.is_empty(), || {
        format!("{what} violated the protocol:\n{}", violations.join("\n"))
    })
}

async fn kinds(rig: Rig, can: Capabilities) -> Verdict {
    let has = |feature| can.support(feature) == Support::Yes;
    let text = |text: &str| {
        let mut message = plain();
        message.text_body = text.to_owned().into();
        message
    };
    let mut kinds: Vec<(&str, Message)> = vec![
        ("a plain mail", plain()),
        ("lines that begin with a dot", text(".\r\n..\r\n.a\r\n")),
        ("bare line ends", text("a\nb\rc\r\nd\n\n")),
        ("a text outside ASCII", text("žluťoučký kůň")),
        ("a long line", text(&"word ".repeat(1000))),
        ("a long word", text(&"x".repeat(5000))),
        ("a text with a NUL", text("a\0b")),
    ];
    let mut headers = plain();
    headers.subject = "č ".repeat(300).trim().to_owned().into();
    headers.to = vec![address("\"Červ, Ann\" <ann@příklad.example>")].into();
    headers.bcc = addresses(["hidden@example.com", "\"a b\"@example.com"]).into();
    kinds.push(("headers outside ASCII", headers));
    if has(Feature::Batch) {
        kinds.push(("a batch", batch_to(["ann@example.com", "bob@example.com"])));
    }
    if has(Feature::Attachments) {
        let mut message = plain();
        message.attachments = vec![file(Attachment::new("č.bin", vec![0xff; 5000]))].into();
        kinds.push(("an attachment", message));
    }
    if has(Feature::InternationalRecipients) {
        let mut message = plain();
        message.to = vec![address("jörg@example.com")].into();
        kinds.push(("a local part outside ASCII", message));
    }
    for (what, message) in kinds {
        rig.send_ok(&message).await?;
        judged(&rig, what)?;
    }
    Ok(())
}

/// The backend decides how to end the conversation that failed, but the next message must start
/// correctly.
async fn errors(rig: Rig) -> Verdict {
    for Told { name, by, .. } in &rig.faults()?.told {
        match by {
            Teller::Esp(kind) => rig.refuse_all(*kind, "words"),
            Teller::Anybody(fault) => rig.inject(fault)?,
        }
        let _ = rig.send(&plain()).await?;
        rig.all_is_well();
        rig.send_ok(&plain()).await?;
        judged(
            &rig,
            &format!("a message with {name}, or the one after it,"),
        )?;
    }
    Ok(())
}
