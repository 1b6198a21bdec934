//! What Postmark's error codes mean for a caller: one table, each row with its source.
//!
//! What an HTTP status alone means is core's `SendError::from_http_status`. Which recipients
//! an error is about is read in `sending/response.rs`.

use anymail_core::{Accepted, SendError, SendErrorKind};

use crate::config::NAME;

/// Addresses (and much else) that a request may not have.
pub(crate) const INVALID_EMAIL_REQUEST: i64 = 300;
/// Every recipient is on the stream's suppression list.
pub(crate) const INACTIVE_RECIPIENT: i64 = 406;

/// Postmark broke while it worked on the request.
const UNEXPECTED: i64 = 101;

/// A known code, the kind of error it is, and whether the same may work later.
///
/// None of these was accepted, except where the HTTP status leaves it open, and
/// [`UNEXPECTED`], which always does. The codes are
/// unrelated to the HTTP statuses of the same number: 413 is an account that may not send.
/// Sources: "overview" is <https://postmarkapp.com/developer/api/overview#error-codes>, read
/// in 2026-09; "older table" is the same page in 2022.
const CODES: &[(i64, SendErrorKind, bool)] = &[
    // No valid token, or one of the wrong kind: overview.
    (10, SendErrorKind::Authentication, false),
    // The account may not use the bulk API: overview.
    (14, SendErrorKind::Authentication, false),
    // Planned maintenance, with HTTP 503: overview.
    (100, SendErrorKind::ServerError, true),
    // Unexpected trouble, with HTTP 500: overview.
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

/// The error that a code and the HTTP status it came with stand for.
///
/// The code stands in Postmark's own error body, so Postmark itself says that it refuses. Where
/// even that leaves it open whether the message was accepted (a 500, say), no code makes it a no;
/// a 503 is one only with a code that is known. Code 101 proves nothing under any status:
/// Postmark does not know itself how far it came.
pub(crate) fn error(code: i64, http_status: u16, words: &str) -> SendError {
    let alone = SendError::from_http_status(NAME, http_status);
    let known = CODES.iter().find(|(known, ..)| *known == code);
    let by_status = match http_status {
        503 if known.is_none() => alone,
        _ => alone.said_by_esp(),
    };
    let (kind, transient) = match known {
        Some((_, kind, transient)) => (*kind, *transient || by_status.is_transient()),
        // Postmark says in a 200 that it did not take the message.
        None if http_status < 400 => (SendErrorKind::Refused, false),
        None => (by_status.kind(), by_status.is_transient()),
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
    fn no_code_stands_in_the_table_twice() {
        let mut codes: Vec<_> = CODES.iter().map(|(code, ..)| code).collect();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert!(codes.is_sorted());
    }
}
