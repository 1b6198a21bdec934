//! Writes attachments: base64, straight into its place in a request's body.
//!
//! The fields around them are `payload.rs`'s.

use std::sync::LazyLock;

use anymail_core::Attachment;
use base64::Engine;

/// What is written behind the attachments, as a rule: recipients, metadata, a template's values.
const BEHIND: usize = 16 * 1024;

/// Writes a list of attachments.
pub(super) fn write(out: &mut Vec<u8>, attachments: &[Attachment]) -> serde_json::Result<()> {
    // Once, to the byte: an attachment is most of a message, and growing would copy it.
    let size = |part: &Attachment| {
        let names = part.filename().map_or(0, str::len) + part.content_type().len();
        part.content().len() / 3 * 4 + 2 * names + 256
    };
    out.reserve_exact(attachments.iter().map(size).sum::<usize>() + BEHIND);
    out.push(b'[');
    for (i, part) in attachments.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        one(out, part)?;
    }
    out.push(b']');
    Ok(())
}

fn one(out: &mut Vec<u8>, part: &Attachment) -> serde_json::Result<()> {
    out.extend_from_slice(br#"{"Name":"#);
    serde_json::to_writer(&mut *out, part.filename().unwrap_or_default())?;
    out.extend_from_slice(br#","ContentType":"#);
    serde_json::to_writer(&mut *out, part.content_type())?;
    if let (true, Some(id)) = (part.is_inline(), part.content_id()) {
        out.extend_from_slice(br#","ContentID":"#);
        serde_json::to_writer(&mut *out, &format_args!("cid:{id}"))?;
    }
    out.extend_from_slice(br#","Content":""#);
    encode(out, part.content())?;
    out.extend_from_slice(br#""}"#);
    Ok(())
}

#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
static BASE64: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::standard(base64::engine::general_purpose::PAD));
#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::general_purpose::STANDARD);

/// Appends base64. It goes by blocks so that the zeros that make room for a block are still
/// in the processor's cache when they are written over.
fn encode(out: &mut Vec<u8>, content: &[u8]) -> serde_json::Result<()> {
    const BLOCK: usize = 3 * 4096;
    for block in content.chunks(BLOCK) {
        let start = out.len();
        out.resize(start + block.len().div_ceil(3) * 4, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        BASE64
            .encode_slice(block, room)
            .map_err(serde::ser::Error::custom)?;
    }
    Ok(())
}
