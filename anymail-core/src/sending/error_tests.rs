use super::*;

#[test]
fn a_bare_status_means_not_accepted_only_if_no_proxy_returns_it_after_forwarding() {
    use Accepted::{Maybe, No};
    use SendErrorKind as K;
    for (status, kind, alone, by_esp, transient) in [
        (200, K::InvalidResponse, Maybe, Maybe, false),
        (302, K::InvalidResponse, Maybe, Maybe, false),
        (400, K::Refused, Maybe, No, false),
        (401, K::Authentication, No, No, false),
        (403, K::Authentication, Maybe, No, false),
        (404, K::Refused, Maybe, No, false),
        (407, K::Authentication, No, No, false),
        (408, K::Timeout, Maybe, Maybe, true),
        (409, K::Refused, Maybe, Maybe, false),
        (411, K::Refused, No, No, false),
        (413, K::Refused, No, No, false),
        (414, K::Refused, No, No, false),
        (415, K::Refused, No, No, false),
        (421, K::Refused, No, No, true),
        (422, K::Refused, Maybe, No, false),
        (425, K::Refused, No, No, true),
        (429, K::RateLimited, No, No, true),
        (431, K::Refused, No, No, false),
        (451, K::Refused, Maybe, No, false),
        (499, K::Timeout, Maybe, Maybe, true),
        (500, K::ServerError, Maybe, Maybe, true),
        (502, K::ServerError, Maybe, Maybe, true),
        (503, K::ServerError, Maybe, No, true),
        (504, K::ServerError, Maybe, Maybe, true),
        (511, K::ServerError, No, No, true),
        (521, K::ServerError, Maybe, Maybe, true),
        (524, K::ServerError, Maybe, Maybe, true),
        (599, K::ServerError, Maybe, Maybe, true),
    ] {
        let error = SendError::from_http_status("esp", status);
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.accepted(), alone, "{status}");
        assert_eq!(error.is_transient(), transient, "{status}");
        let own = error.clone().said_by_esp();
        assert_eq!(own.accepted(), by_esp, "{status}");
        assert_eq!(own.is_transient(), transient, "{status}");
        assert_eq!(error.http_status(), Some(status));
    }
}

#[test]
fn a_retry_after_is_seconds_or_a_date() {
    assert_eq!(parse_retry_after(" 120 "), Some(Duration::from_secs(120)));
    let past = parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT");
    assert_eq!(past, Some(Duration::ZERO));
    let far = parse_retry_after("Fri, 01 Jan 2100 00:00:00 GMT").unwrap();
    assert!(far > Duration::from_secs(86_400 * 365));
    let longest = Duration::from_secs(u64::MAX);
    for huge in [
        &u64::MAX.to_string(),
        "18446744073709551616",
        &"9".repeat(400),
    ] {
        assert_eq!(parse_retry_after(huge), Some(longest), "{huge}");
    }
    for nonsense in ["", "-1", "+1", "soon", "1.5"] {
        assert_eq!(parse_retry_after(nonsense), None, "{nonsense}");
    }
}

#[test]
fn an_error_says_what_happened_and_what_the_caller_may_do() {
    let error = SendError::from_http_status("acme", 500).with_message("Oops");
    assert_eq!(
        error.to_string(),
        "acme server error (HTTP 500): Oops; \
         the message may have been accepted"
    );
}

#[test]
fn an_error_keeps_the_server_the_cause_and_the_errors_of_other_members() {
    let cause = std::io::Error::other("broken pipe");
    let error = SendError::new(SendErrorKind::Disconnected, "acme", "no response")
        .with_server("https://api.example.com")
        .with_source(cause);
    assert_eq!(error.server(), Some("https://api.example.com"));
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("broken pipe"));

    let plain = SendError::new(SendErrorKind::Disconnected, "acme", "no response");
    assert_eq!(plain.server(), None);
    assert!(std::error::Error::source(&plain).is_none());
}

#[test]
fn an_error_says_whether_the_esp_or_the_app_left_everybody_out() {
    let message: crate::message::Message = serde_json::from_value(serde_json::json!({
        "from": "shop@example.com", "to": ["ann@example.com"]
    }))
    .unwrap();
    let mut status = SendStatus::unknown("acme", &message);
    for to in message.to.items() {
        status.set(&to.key(), crate::sending::Status::Rejected, None, None);
    }
    let refused = SendError::from_refusal(status.clone());
    assert!(
        refused
            .to_string()
            .starts_with("acme refused every recipient"),
        "{refused}"
    );
    let withheld = SendError::from_refusal(status.clone())
        .without_a_call()
        .to_string();
    assert!(
        withheld.starts_with("all recipients were withheld"),
        "{withheld}"
    );

    let other = SendStatus::unknown("acme", &message);
    assert_ne!(status, other, "the statuses of the recipients differ");
}

#[test]
fn the_faults_of_an_invalid_message_end_without_a_separator() {
    let fault = Fault::new(
        crate::message::FaultKind::NoRecipients,
        "to",
        "no recipient",
    );
    let error = SendError::new(SendErrorKind::InvalidMessage, "acme", "").with_faults(vec![fault]);
    assert_eq!(error.to_string(), "invalid message: to: no recipient");
}
