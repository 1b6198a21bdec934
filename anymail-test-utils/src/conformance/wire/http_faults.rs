//! The faults that can occur over HTTP.

use std::time::Duration;

use anymail_core::{Accepted, SendError, SendErrorKind};
use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::super::harness::FailureKind;
use super::super::responses::nonsense;
use super::{Bare, BareMeaning, Faults, Lost, Teller, Told, WireFault};
use crate::Fault;

pub(in super::super) fn faults() -> Faults {
    Faults {
        lost: lost(),
        told: told(),
        nonsense: nonsense()
            .into_iter()
            .map(|body| WireFault::Http(Fault::Replace(json(200, body))))
            .collect(),
        bare: bare(),
        taken: taken(),
        telling: telling(),
        echoes,
        taken_then_reset: WireFault::Http(Fault::AcceptThenReset),
        taken_then_silent: WireFault::Http(Fault::AcceptThenHang),
        slow: WireFault::Http(Fault::Drip {
            interval: Duration::from_millis(1),
        }),
        endless: WireFault::Http(Fault::Endless),
        taken_then_garbage: WireFault::Http(Fault::Replace(json(200, Bytes::from_static(b"{")))),
        not_now: WireFault::Http(Fault::status(429)),
        says_how_long: true,
        redirects: true,
        judges: false, // the client's library follows the protocol
        has_urls: true,
        a_crash_is_a_no: false,
    }
}

fn lost() -> Vec<Lost> {
    let maybe = Some(Accepted::Maybe);
    let lost = |name: &str, fault, accepted| Lost {
        name: name.to_owned(),
        accepted,
        waits: matches!(fault, Fault::Hang | Fault::AcceptThenHang),
        in_body: matches!(fault, Fault::CutShort { .. }),
        long: false,
        fault: WireFault::Http(fault),
    };
    vec![
        lost("a_connection_reset_at_once", Fault::ResetOnAccept, None),
        lost(
            "a_reset_before_the_request_is_read",
            Fault::ResetBeforeReading,
            None,
        ),
        lost(
            "a_reset_while_the_request_is_read",
            Fault::ResetWhileReading,
            None,
        ),
        lost(
            "a_reset_after_the_request_was_read",
            Fault::ResetAfterReading,
            maybe,
        ),
        lost(
            "a_reset_instead_of_the_response",
            Fault::AcceptThenReset,
            maybe,
        ),
        lost(
            "a_close_instead_of_the_response",
            Fault::AcceptThenClose,
            maybe,
        ),
        lost("no_response_in_time", Fault::Hang, maybe),
        lost(
            "no_response_in_time_though_accepted",
            Fault::AcceptThenHang,
            maybe,
        ),
        lost(
            "a_response_that_ends_early",
            Fault::CutShort { bytes: 1 },
            maybe,
        ),
        lost("a_response_that_is_not_http", Fault::garbage(), maybe),
    ]
}

/// What the ESP, or a server before it, reports with an HTTP status.
///
/// Any server may have sent a page or an empty body, so it proves no more than its status does: see
/// [`SendError::from_http_status`]. The ESP's own error body proves that the ESP refused the
/// request.
fn told() -> Vec<Told> {
    use Accepted::{Maybe, No};
    use SendErrorKind as K;
    let by = Teller::Esp;
    let anybody = |fault| Teller::Anybody(WireFault::Http(fault));
    let page = |status| anybody(Fault::html_page(status));
    let bare = |status| anybody(Fault::status(status));
    let gateway = |status| anybody(gateway_json(status));
    let told = |name: &str, by, kind, accepted, transient| Told {
        name: name.to_owned(),
        by,
        kind,
        accepted,
        transient,
    };
    vec![
        told(
            "a_bad_token",
            by(FailureKind::BadToken),
            K::Authentication,
            No,
            false,
        ),
        told(
            "a_page_of_a_firewall",
            page(403),
            K::Authentication,
            Maybe,
            false,
        ),
        told(
            "a_refused_request",
            by(FailureKind::Refused),
            K::Refused,
            No,
            false,
        ),
        told("a_refusal_by_a_page", page(422), K::Refused, Maybe, false),
        told(
            "a_refusal_without_a_body",
            bare(422),
            K::Refused,
            Maybe,
            false,
        ),
        told(
            "a_proxy_that_refuses_a_large_request",
            page(413),
            K::Refused,
            No,
            false,
        ),
        told(
            "too_many_requests",
            by(FailureKind::RateLimited),
            K::RateLimited,
            No,
            true,
        ),
        told(
            "too_many_requests_by_a_proxys_page",
            page(429),
            K::RateLimited,
            No,
            true,
        ),
        told(
            "too_many_requests_without_a_body",
            bare(429),
            K::RateLimited,
            No,
            true,
        ),
        told(
            "a_server_error_of_the_esp",
            by(FailureKind::Crashed),
            K::ServerError,
            Maybe,
            true,
        ),
        told(
            "a_server_error_page",
            page(500),
            K::ServerError,
            Maybe,
            true,
        ),
        told(
            "a_server_error_without_a_body",
            bare(500),
            K::ServerError,
            Maybe,
            true,
        ),
        told(
            "maintenance",
            by(FailureKind::Unavailable),
            K::ServerError,
            No,
            true,
        ),
        told(
            "maintenance_by_a_proxys_page",
            page(503),
            K::ServerError,
            Maybe,
            true,
        ),
        told(
            "maintenance_by_a_gateways_json",
            gateway(503),
            K::ServerError,
            Maybe,
            true,
        ),
        told(
            "maintenance_without_a_body",
            bare(503),
            K::ServerError,
            Maybe,
            true,
        ),
        told("a_bad_gateway", page(502), K::ServerError, Maybe, true),
        told(
            "a_gateway_that_waited_too_long",
            page(504),
            K::ServerError,
            Maybe,
            true,
        ),
    ]
}

/// What an API gateway before the ESP writes when it got no response.
fn gateway_json(status: u16) -> Fault {
    let body = Bytes::from_static(br#"{"message": "Service Unavailable"}"#);
    Fault::Replace(json(status, body))
}

fn json(status: u16, body: Bytes) -> Response<Bytes> {
    let mut response = with_status(status, body);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn with_status(status: u16, body: Bytes) -> Response<Bytes> {
    let response = Response::builder().status(status);
    response.body(body).unwrap_or_default()
}

fn bare() -> Vec<Bare> {
    let statuses = [
        201, 203, 206, 300, 304, 400, 403, 404, 405, 408, 409, 410, 411, 415, 418, 421, 425, 431,
        451, 499, 500, 501, 502, 503, 504, 505, 520, 521, 524, 599,
    ];
    let meaning = |status| match status {
        // Any server may have written it, so it is a refusal only if the status itself is one.
        400.. => match SendError::from_http_status("", status).accepted() {
            Accepted::No => BareMeaning::NotYes,
            Accepted::Maybe => BareMeaning::Open,
        },
        300.. => BareMeaning::Open,
        _ => BareMeaning::PerhapsYes,
    };
    let bare = |status| Bare {
        fault: WireFault::Http(Fault::status(status)),
        meaning: meaning(status),
    };
    statuses.map(bare).into()
}

fn taken() -> Vec<WireFault> {
    let replaced = |status| Fault::Replace(with_status(status, Bytes::new()));
    let faults = [
        Fault::AcceptThenReset,
        Fault::AcceptThenClose,
        Fault::garbage(),
        replaced(500),
        replaced(502),
        replaced(503),
        replaced(504),
        gateway_json(503),
    ];
    faults.map(WireFault::Http).into()
}

fn telling() -> Vec<WireFault> {
    let faults = [
        Fault::AcceptThenReset,
        Fault::garbage(),
        Fault::html_page(502),
        Fault::not_json(),
        Fault::status(404),
    ];
    faults.map(WireFault::Http).into()
}

fn echoes(words: &str) -> Vec<WireFault> {
    let page = |status| {
        let page = format!("<html>bad request: token={words} </html>");
        WireFault::Http(Fault::Replace(with_status(status, page.into())))
    };
    [401, 500, 200].map(page).into()
}
