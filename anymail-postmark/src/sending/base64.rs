//! Encodes attachments in base64 with the processor's SIMD instructions.

use std::sync::LazyLock;

use base64::Engine;

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

/// The length of the base64 of this content.
pub(super) fn encoded_len(content: &[u8]) -> usize {
    content.len().div_ceil(3) * 4
}

/// Appends base64. It works in blocks, so that the zeros that make room for a block are still in
/// the processor's cache when they are overwritten.
pub(super) fn encode(out: &mut Vec<u8>, content: &[u8]) {
    const BLOCK: usize = 3 * 4096;
    for block in content.chunks(BLOCK) {
        let start = out.len();
        out.resize(start + encoded_len(block), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        // It fails only if there is less room than the text needs.
        let written = BASE64.encode_slice(block, room);
        debug_assert_eq!(written, Ok(encoded_len(block)));
    }
}
