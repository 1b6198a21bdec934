//! Writes attachments as base64, directly into the request's body.
//!
//! `payload.rs` writes the fields around them; `pieces.rs` sends large ones.

use anymail_core::Attachment;

use super::base64::{encode, encoded_len};
use super::pieces::Draft;

/// The usual size of what follows the attachments: recipients, metadata, template values.
const BEHIND: usize = 16 * 1024;

/// Writes a list of attachments. Large ones are encoded only while they are sent, unless they are
/// sent more than `once`: then the draft contains the base64, to be sent repeatedly.
pub(super) fn write(
    draft: &mut Draft,
    attachments: &[Attachment],
    once: bool,
) -> serde_json::Result<()> {
    let later = |part: &Attachment| once && Draft::is_large(part.content());
    // Reserved exactly once: attachments are most of a message, and growing the buffer would copy
    // them.
    let size = |part: &Attachment| {
        let names = part.filename().map_or(0, str::len) + part.content_type().len();
        let content = if later(part) {
            0
        } else {
            encoded_len(part.content())
        };
        content + 2 * names + 256
    };
    let size = attachments.iter().map(size).sum::<usize>();
    draft.bytes.reserve_exact(size + BEHIND);
    draft.bytes.push(b'[');
    for (i, part) in attachments.iter().enumerate() {
        if i > 0 {
            draft.bytes.push(b',');
        }
        before_content(&mut draft.bytes, part)?;
        if later(part) {
            draft.base64(part.content().clone());
        } else {
            encode(&mut draft.bytes, part.content());
        }
        draft.bytes.extend_from_slice(br#""}"#);
    }
    draft.bytes.push(b']');
    Ok(())
}

fn before_content(out: &mut Vec<u8>, part: &Attachment) -> serde_json::Result<()> {
    out.extend_from_slice(br#"{"Name":"#);
    serde_json::to_writer(&mut *out, part.filename().unwrap_or_default())?;
    out.extend_from_slice(br#","ContentType":"#);
    serde_json::to_writer(&mut *out, part.content_type())?;
    if let (true, Some(id)) = (part.is_inline(), part.content_id()) {
        out.extend_from_slice(br#","ContentID":"#);
        serde_json::to_writer(&mut *out, &format_args!("cid:{id}"))?;
    }
    out.extend_from_slice(br#","Content":""#);
    Ok(())
}

#[cfg(test)]
mod tests {
    use anymail_core::ContentId;

    use super::*;

    fn sent(draft: Draft) -> (usize, Vec<u8>) {
        let mut pieces = draft.finish();
        let len = pieces.len();
        let all: Vec<_> = pieces.by_ref().collect();
        assert!(all.iter().all(|piece| !piece.is_empty()));
        assert_eq!(pieces.len(), 0);
        (len, all.concat())
    }

    #[test]
    fn an_attachment_encoded_while_it_is_sent_is_identical() {
        const PIECE: usize = 48 * 1024;
        let id = ContentId::new("logo@example.com").unwrap();
        for len in [
            0,
            1,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            PIECE + 2,
            2 * PIECE,
            2 * PIECE + 1,
            5 * PIECE - 1,
        ] {
            let content: Vec<_> = (0..len).map(|n| (n * n / 7) as u8).collect();
            let large = Attachment::new("catalogue \"2026\".pdf", content.clone()).unwrap();
            let parts = [
                Attachment::new("a.txt", "first").unwrap(),
                large.clone(),
                Attachment::new("logo.png", content).unwrap().inline(&id),
                large,
                Attachment::new("z.txt", "last").unwrap(),
            ];
            let [mut later, mut at_once] = [Draft::default(), Draft::default()];
            write(&mut later, &parts, true).unwrap();
            write(&mut at_once, &parts, false).unwrap();
            assert_eq!(later.bytes.len() < at_once.bytes.len(), len > PIECE);
            let at_once = at_once.bytes;
            let draft = |content| {
                let mut draft = Draft::default();
                draft.base64(content);
                draft.finish()
            };
            let longest = draft(parts[1].content().clone())
                .map(|piece| piece.len())
                .max();
            assert!(longest <= Some(64 * 1024), "{longest:?}");
            assert_eq!(sent(later), (at_once.len(), at_once), "{len} bytes");
        }
    }
}
