//! What Postmark's error codes mean for a caller: one table, with the source of each row.
//!
//! Core's `SendError::from_http_status` interprets HTTP statuses without a code.
//! `sending/response.rs` finds out which recipients an error is about.

use anymail_core::{Accepted, SendError, SendErrorKind};

use crate::config::NAME;

/// Invalid addresses, and many other faults of a request.
pub(crate) const INVALID_EMAIL_REQUEST: i64 = 300;
/// Every recipient is on the stream's suppression list.
pub(crate) const INACTIVE_RECIPIENT: i64 = 406;

/// Postmark failed while it processed the request.
const UNEXPECTED: i64 = 101;

/// A known code, the kind of error, and whether a retry may work.
///
/// None of these was accepted, except if the HTTP status leaves it open, and [`UNEXPECTED`], which
/// always leaves it open. The codes are unrelated to the HTTP statuses with the same number: 413
/// means that the account is not allowed to send.
/// Sources: "overview" is <https://postmarkapp.com/developer/api/overview#error-codes>, read
/// in 2026-09; "older table" is the same page in 2022.
const CODES: &[(i64, SendErrorKind, bool)] = &[
    // No valid token, or the wrong kind of token: overview.
    (10, SendErrorKind::Authentication, false),
    // The account may not use the bulk API: overview.
    (14, SendErrorKind::Authentication, false),
    // Planned maintenance, with HTTP 503: overview.
    (100, SendErrorKind::ServerError, true),
    // An unexpected error, with HTTP 500: overview.
    (UNEXPECTED, SendErrorKind::ServerError, true),
    // Sender signature unknown (seen live in 2026-09, not in the table) or unconfirmed
    // (older table).
    (400, SendErrorKind::Refused, false),
    (401, SendErrorKind::Refused, false),
    // Not allowed to send, out of credits: older table.
    (405, SendErrorKind::Authentication, false),
    // Account pending, or not approved: overview.
    (412, SendErrorKind::Authentication, false),
    (413, SendErrorKind::Authentication, false),
    // Invalid server or account: overview.
    (422, SendErrorKind::Authentication, false),
    // Rate limit exceeded: older table; today the HTTP status alone.
    (429, SendErrorKind::RateLimited, true),
    // The caller's IP address is not on the allowlist: overview.
    (1480, SendErrorKind::Authentication, false),
];

/// The error for a code and the HTTP status it came with.
///
/// The code is in Postmark's own error body, so the refusal is Postmark's own. If the status still
/// leaves open whether the message was accepted (such as a 500), no code changes that; a 503 is a
/// refusal only with a known code. Code 101 proves nothing under any status, because Postmark does
/// not know how far it got.
pub(crate) fn error(code: i64, http_status: u16, words: &str) -> SendError {
    let alone = SendError::from_http_status(NAME, http_status);
    let known = CODES.iter().find(|(known, ..)| *known == code);
    let by_status = match http_status {
        503 if known.is_none() => alone,
        _ => alone.said_by_esp(),
    };
    let (kind, transient) = match (known, http_status) {
        (Some((_, kind, transient)), _) => (*kind, *transient || by_status.is_transient()),
        // In a 200, Postmark says that it did not accept the message.
        (None, ..400) => (SendErrorKind::Refused, false),
        (None, _) => (by_status.kind(), by_status.is_transient()),
    };
    let accepted = match http_status {
        _ if code == UNEXPECTED => Accepted::Maybe,
        ..400 => Accepted::No,
        _ => by_status.accepted(),
    };
    SendError::new(kind, NAME, words)
        .with_http_status(http_status)
        .with_esp_code(code.to_string())
        .with_accepted(accepted)
        .with_transient(transient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SendErrorKind as K;

    #[test]
    fn a_code_says_what_the_caller_may_do() {
        use Accepted::{Maybe, No};
        for (code, status, kind, accepted, transient) in [
            (10, 401, K::Authentication, No, false),
            (100, 503, K::ServerError, No, true),
            (100, 500, K::ServerError, Maybe, true),
            (101, 500, K::ServerError, Maybe, true),
            (101, 503, K::ServerError, Maybe, true),
            (101, 422, K::ServerError, Maybe, true),
            (101, 200, K::ServerError, Maybe, true),
            (300, 422, K::Refused, No, false),
            (405, 422, K::Authentication, No, false),
            (413, 422, K::Authentication, No, false),
            (429, 422, K::RateLimited, No, true),
            (451, 200, K::Refused, No, false),
            (100, 200, K::ServerError, No, true),
            (99_999, 200, K::Refused, No, false),
            (99_999, 422, K::Refused, No, false),
            (99_999, 503, K::ServerError, Maybe, true),
            (10, 409, K::Authentication, Maybe, false),
            (99_999, 429, K::RateLimited, No, true),
            (99_999, 502, K::ServerError, Maybe, true),
        ] {
            let error = error(code, status, "words");
            assert_eq!(error.kind(), kind, "{code} {status}");
            assert_eq!(error.accepted(), accepted, "{code} {status}");
            assert_eq!(error.is_transient(), transient, "{code} {status}");
            assert_eq!(error.http_status(), Some(status));
            assert_eq!(error.esp_code(), Some(&*code.to_string()));
        }
    }

    #[test]
    fn no_code_is_in_the_table_twice() {
        let mut codes: Vec<_> = CODES.iter().map(|(code, ..)| code).collect();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert!(codes.is_sorted());
    }
}
