//! Writes texts as JSON strings.
//!
//! Everything else of a request's JSON is serde_json's or `payload.rs`'s.

/// Appends a text as a JSON string.
///
/// serde_json does the same byte by byte. This looks at eight bytes at once, because texts are
/// most of what a request is made of, and hardly any of their bytes need an escape.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((plain, byte, behind)) = up_to_escape(rest) {
        out.extend_from_slice(plain);
        write_escape(out, byte);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first byte that JSON writes in another way, and what stands before and behind it.
fn up_to_escape(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (chunks, _) = bytes.as_chunks();
    let plain = chunks.iter().take_while(|chunk| !needs_escape(**chunk));
    let at = 8 * plain.count();
    let rest_is_plain = bytes.last_chunk().is_some_and(|last| !needs_escape(*last));
    if at + 8 > bytes.len() && rest_is_plain {
        return None;
    }
    let is_escaped = |byte: &u8| matches!(byte, 0..b' ' | b'"' | b'\\');
    let at = at + bytes.get(at..)?.iter().position(is_escaped)?;
    let (before, behind) = bytes.split_at_checked(at)?;
    let (byte, behind) = behind.split_first()?;
    Some((before, *byte, behind))
}

/// Whether one of eight bytes is a control character, a quote or a backslash.
fn needs_escape(bytes: [u8; 8]) -> bool {
    let eight_times = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let word = u64::from_ne_bytes(bytes);
    // Sets the highest bit of a byte below `limit`, and of none where no byte is below it.
    let below = |word: u64, limit| word.wrapping_sub(eight_times(limit)) & !word;
    let is = |byte| below(word ^ eight_times(byte), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & eight_times(0x80) != 0
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..b' ' => {
            let hex = |digit: u8| char::from_digit(digit.into(), 16).map_or(b'0', |c| c as u8);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            return;
        }
        _ => byte,
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_as_briefly_as_possible() {
        let mut out = Vec::new();
        write_text(&mut out, "a\nb\rc\td\"e\\f\u{1}\u{1f}g");
        assert_eq!(out, br#""a\nb\rc\td\"e\\f\u0001\u001fg""#);
    }

    #[test]
    fn every_character_at_every_position_round_trips() {
        let chars = (0..=0x2ff).chain([0x2028, 0xfeff, 0x1f600]);
        for c in chars.filter_map(char::from_u32) {
            let ends = ["", "1", "1234567", "12345678"];
            for (before, end) in (0..9).flat_map(|before| ends.map(|end| (before, end))) {
                let text = format!("{}{c}{c}{end}", "a".repeat(before));
                let mut out = Vec::new();
                write_text(&mut out, &text);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
    }
}
