//! Attachments arrive byte for byte, with their filenames and media types.

use anymail_core::{Attachment, Capabilities, Feature, Support};

use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{file, inline, plain};

/// Filenames that are known to cause problems.
const NAMES: [&str; 14] = [
    "plain.txt",
    "no ending",
    ".hidden",
    "two  spaces .tar.gz",
    "quote\"d 'name'.txt",
    "semi;colon, comma=equals.pdf",
    "back\\slash/and%2Fslash.txt",
    "<angle>&amp;{brace}.html",
    "žluťoučký kůň.pdf",
    "日本語のファイル名.docx",
    "emoji 🎉.png",
    "e\u{301} composed.txt",
    "UPPER.CASE.JPG",
    "a-very-long-name-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on\
     -and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on.bin",
];

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    const LOOK_AT: &str =
        "how your backend writes PreparedMessage::attachments; in Harness::read, the decoding";
    let mut trials = Vec::new();
    if has_room(can, Feature::Attachments) {
        let one = |name: &str, content: fn() -> Vec<u8>| {
            let name = format!("attachments::{name}");
            trial(name, LOOK_AT, move |rig| {
                arrive(rig, vec![file(Attachment::new("content.bin", content()))])
            })
        };
        trials.extend([
            one("an_empty_one_arrives", Vec::new),
            one("one_byte_arrives", || vec![0xff]),
            one("every_byte_arrives", || {
                (0..=255).cycle().take(1021).collect()
            }),
            one("line_ends_arrive_as_they_are", || {
                b"a\nb\r\nc\rd\n\n\r\n.\r\n".to_vec()
            }),
            one("five_megabytes_arrive", five_megabytes),
            trial("attachments::odd_names_arrive_equal", LOOK_AT, odd_names),
            trial(
                "attachments::one_without_a_filename_arrives",
                LOOK_AT,
                |rig| {
                    let nameless = file(Attachment::new("x.pdf", "%PDF")).without_filename();
                    arrive(rig, vec![nameless])
                },
            ),
            trial(
                "attachments::types_arrive_with_their_parameters",
                LOOK_AT,
                |rig| {
                    let typed = file(
                        Attachment::new("latin.txt", &b"caf\xe9"[..]).and_then(|it| {
                            it.with_content_type("text/plain; charset=\"iso-8859-1\"")
                        }),
                    );
                    arrive(rig, vec![typed])
                },
            ),
        ]);
    }
    let many = |feature| has_room(can, feature) && can.support(feature) != Support::AtMost(1);
    if many(Feature::Attachments) {
        trials.push(trial(
            "attachments::two_of_one_name_both_arrive",
            LOOK_AT,
            |rig| {
                let twin = |content: &'static str| file(Attachment::new("twin.txt", content));
                arrive(rig, vec![twin("the first"), twin("the second")])
            },
        ));
    }
    if has_room(can, Feature::InlineAttachments) {
        let inline = |name: &str, look_at: &str, parts: &'static [Part]| {
            let name = format!("attachments::{name}");
            trial(name, look_at, move |rig| inline_arrives(rig, parts))
        };
        trials.extend([
            inline(
                "content_ids_match_the_html",
                "Attachment::content_id has neither angle brackets nor cid:; add what the ESP \
                 requires, and remove it again in Harness::read",
                &[Part::ContentIds],
            ),
            inline(
                "inline_parts_arrive_inline",
                "how your backend marks a part as inline; File::inline",
                &[Part::Inline, Part::Attachments],
            ),
            trial(
                "attachments::inline_parts_keep_their_filenames",
                "how your backend writes the filename next to the content ID",
                |rig| async move {
                    if !rig.profile.inline_parts_have_names {
                        return Err(Stop::skip(
                            "this ESP's inline parts have no filenames of their own",
                        ));
                    }
                    inline_arrives(rig, &[Part::InlineNames]).await
                },
            ),
        ]);
    }
    if many(Feature::Attachments) && has_room(can, Feature::InlineAttachments) {
        trials.push(trial(
            "attachments::attached_and_inline_are_kept_apart",
            LOOK_AT,
            |rig| arrive(rig, mixed()),
        ));
    }
    trials
}

fn has_room(can: &Capabilities, feature: Feature) -> bool {
    // A feature that needs another one is tested in `features`.
    !matches!(
        can.support(feature),
        Support::No | Support::AtMost(0) | Support::With(_)
    )
}

async fn arrive(rig: Rig, files: Vec<Attachment>) -> Verdict {
    let mut message = plain();
    message.html_body = "<img src=\"cid:logo+1@example.com\">".to_owned().into();
    message.attachments = files.into();
    rig.arrives(&message, &[Part::Attachments, Part::Inline])
        .await?;
    Ok(())
}

/// Uses two parts, to notice if one replaces the other.
async fn inline_arrives(rig: Rig, parts: &'static [Part]) -> Verdict {
    let can = rig
        .backend
        .capabilities()
        .support(Feature::InlineAttachments);
    let mut message = plain();
    let (one, two) = ("logo+1@example.com", "photo.2");
    message.html_body = format!("<img src=\"cid:{one}\"><img src=\"cid:{two}\">").into();
    let mut files = vec![inline("the logo.png", &b"\x89PNG"[..], one)];
    if can != Support::AtMost(1) {
        files.push(inline("a photo.jpg", &b"\xff\xd8"[..], two));
    }
    message.attachments = files.into();
    rig.arrives(&message, parts).await?;
    Ok(())
}

/// Uses a separate message for each, because a backend may support only one attachment.
async fn odd_names(rig: Rig) -> Verdict {
    let mut expected = Vec::new();
    for name in NAMES {
        let mut message = plain();
        message.attachments = vec![file(Attachment::new(name, "content"))].into();
        expected.extend(super::understood::Understood::expected(&message));
        rig.send_ok(&message).await?;
    }
    rig.compare(&expected, &[Part::Attachments])
}

fn mixed() -> Vec<Attachment> {
    vec![
        file(Attachment::new("terms.pdf", "%PDF-1.7")),
        inline("logo.png", &b"\x89PNG"[..], "logo+1@example.com"),
        file(Attachment::new("logo.png", &b"\x89PNG, attached"[..])),
    ]
}

/// Bytes without a pattern, which could hide a mistake in base64 or in the size of a buffer.
fn five_megabytes() -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..5_000_001).map(|_| next()).collect()
}
