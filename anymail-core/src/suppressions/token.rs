//! The signed token in an unsubscribe URL: address, scope, and time of issue.
//!
//! `one_click.rs` handles requests with it.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

use crate::message::{Address, AddressKey};
use crate::receiving::HmacSha256Keys;

/// A prefix of the signed content, so that a signature made with the same key for another purpose
/// is not a valid token.
const PURPOSE: &[u8] = b"anymail one-click unsubscribe, version 1\n";

/// The content of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) address: AddressKey,
    pub(super) scope: Option<String>,
    pub(super) issued_at: i64,
}

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    /// It is forged, modified, or signed with a key that is no longer configured.
    Invalid,
    /// It is older than the maximum age.
    Expired,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the token is not signed with any of the keys",
            Self::Expired => "the token has expired",
        })
    }
}

impl Token {
    pub(super) fn new(address: &Address, scope: Option<&str>, now: OffsetDateTime) -> Self {
        Self {
            address: address.key(),
            scope: scope.map(str::to_owned),
            issued_at: now.unix_timestamp(),
        }
    }

    /// The content in base64, a dot, and the signature in hexadecimal digits. No character needs
    /// escaping in a URL.
    pub(super) fn sign(&self, keys: &HmacSha256Keys) -> String {
        let content = (self.address.as_str(), &self.scope, self.issued_at);
        // Strings and a number can always be serialized.
        let content = serde_json::to_vec(&content).unwrap_or_default();
        let content = URL_SAFE_NO_PAD.encode(content);
        let signature = keys.sign_hex(&[PURPOSE, content.as_bytes()]);
        format!("{content}.{signature}")
    }

    /// Parses a token. Nothing is decoded before the signature is verified.
    pub(super) fn read(
        text: &str,
        keys: &HmacSha256Keys,
        max_age: Duration,
        now: OffsetDateTime,
    ) -> Result<Self, TokenError> {
        let (content, signature) = text.split_once('.').ok_or(TokenError::Invalid)?;
        // Each token has exactly one spelling.
        if signature.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(TokenError::Invalid);
        }
        keys.verify_hex(&[PURPOSE, content.as_bytes()], signature.as_bytes())
            .map_err(|_| TokenError::Invalid)?;
        let content = URL_SAFE_NO_PAD.decode(content);
        let content = content.map_err(|_| TokenError::Invalid)?;
        let (address, scope, issued_at): (String, Option<String>, i64) =
            serde_json::from_slice(&content).map_err(|_| TokenError::Invalid)?;
        let age = now.unix_timestamp().saturating_sub(issued_at);
        if age > i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX) {
            return Err(TokenError::Expired);
        }
        Ok(Self {
            address: AddressKey::of(&address),
            scope,
            issued_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    fn keys(keys: &[&str]) -> HmacSha256Keys {
        HmacSha256Keys::new(keys.iter().copied()).unwrap()
    }

    fn token() -> Token {
        let address: Address = "Ann+x/y?@Příklad.cz".parse().unwrap();
        Token::new(&address, Some("news & offers"), NOW)
    }

    #[test]
    fn the_log_tells_a_forged_token_from_an_expired_one() {
        assert!(TokenError::Invalid.to_string().contains("not signed"));
        assert!(TokenError::Expired.to_string().contains("expired"));
    }

    #[test]
    fn a_token_round_trips_and_fits_into_a_url() {
        let keys = keys(&["key"]);
        let text = token().sign(&keys);
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(text.chars().all(unreserved), "{text}");
        assert_eq!(Token::read(&text, &keys, YEAR, NOW), Ok(token()));
        let address = "ann@example.com".parse().unwrap();
        let plain = Token::new(&address, None, NOW);
        assert_eq!(Token::read(&plain.sign(&keys), &keys, YEAR, NOW), Ok(plain));
    }

    #[test]
    fn any_changed_character_makes_it_invalid() {
        let keys = keys(&["key"]);
        let text = token().sign(&keys);
        for at in 0..text.len() {
            for other in ["A", "f", ".", "-"] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, other);
                if changed != text {
                    let read = Token::read(&changed, &keys, YEAR, NOW);
                    assert_eq!(read, Err(TokenError::Invalid), "{changed}");
                }
            }
            let cut = Token::read(&text[..at], &keys, YEAR, NOW);
            assert_eq!(cut, Err(TokenError::Invalid));
        }
        let padded = format!("{text}A");
        assert!(Token::read(&padded, &keys, YEAR, NOW).is_err());
        assert!(Token::read(&"x".repeat(1 << 20), &keys, YEAR, NOW).is_err());
    }

    #[test]
    fn keys_can_be_rotated_and_a_signature_for_another_purpose_is_invalid() {
        let old = token().sign(&keys(&["old"]));
        let both = keys(&["new", "old"]);
        assert!(Token::read(&old, &both, YEAR, NOW).is_ok());
        assert!(Token::read(&token().sign(&both), &keys(&["new"]), YEAR, NOW).is_ok());
        let gone = Token::read(&old, &keys(&["new"]), YEAR, NOW);
        assert_eq!(gone, Err(TokenError::Invalid));

        let (content, _) = old.split_once('.').unwrap();
        let signature = keys(&["old"]).sign_hex(&[content.as_bytes()]);
        let other = format!("{content}.{signature}");
        assert!(Token::read(&other, &both, YEAR, NOW).is_err());
    }

    #[test]
    fn a_token_expires_to_the_second_and_tolerates_a_clock_that_goes_back() {
        let keys = keys(&["key"]);
        let text = token().sign(&keys);
        for (after, expected) in [
            (-3600, Ok(token())),
            (365 * 24 * 3600, Ok(token())),
            (365 * 24 * 3600 + 1, Err(TokenError::Expired)),
        ] {
            let now = NOW + time::Duration::seconds(after);
            assert_eq!(Token::read(&text, &keys, YEAR, now), expected);
        }
        let never = Token::read(&text, &keys, Duration::MAX, NOW + 400 * YEAR);
        assert_eq!(never, Ok(token()));
    }
}
