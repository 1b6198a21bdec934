//! The welcome mail, and what to tell a person to whom it cannot be sent.

use anymail_core::{
    Accepted, Message, MessageError, OneClickUnsubscribe, SendError, SendErrorKind, Status,
};
use axum::http::StatusCode;
use serde_json::json;

use super::subscribers::Subscriber;

/// The template's name at the ESP.
pub(crate) const TEMPLATE: &str = "newsletter-welcome";

/// The metadata by which an event is found to be about a subscriber. The message id would not
/// do: the first event may come before the answer that bears it.
pub(crate) const SUBSCRIBER: &str = "subscriber";

/// What people unsubscribe from.
pub(crate) const SCOPE: &str = "letter";

/// The mail for somebody who has just signed up.
pub(crate) fn mail(
    subscriber: &Subscriber,
    unsubscribe: &OneClickUnsubscribe,
) -> Result<Message, MessageError> {
    let one_click = unsubscribe.url(&subscriber.address, Some(SCOPE));
    // RFC 8058 knows https only. On loopback there is none, and no mail program that would ask.
    let link = match one_click.starts_with("https://127.0.0.1:") {
        true => one_click.replacen("https://", "http://", 1),
        false => one_click.clone(),
    };
    Message::builder()
        .to(&subscriber.address)
        .template_id(TEMPLATE)
        .merge_global_data(json!({"name": subscriber.name, "unsubscribe_url": link}))
        .one_click_unsubscribe(&one_click)
        .suppression_scope(SCOPE)
        .metadata(SUBSCRIBER, subscriber.id)
        .tag("welcome")
        .track_opens(true)
        .build()
}

/// A failure as a person should hear it, and the HTTP status to say it with.
pub(crate) fn in_words(error: &SendError, email: &str) -> (StatusCode, String) {
    let refused = || error.status()?.recipient(email).map(|row| row.status);
    let (status, words) = match error.kind() {
        SendErrorKind::RecipientsRefused if refused() == Some(Status::Rejected) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "We may not write to this address: mail to it came back, or somebody there asked for \
             no more. Please try another one.",
        ),
        SendErrorKind::RecipientsRefused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Mail cannot be sent to this address. Is there a typing error in it?",
        ),
        _ if error.accepted() == Accepted::Maybe => (
            StatusCode::BAD_GATEWAY,
            "We do not know whether our mail has left. If it is not there in a few minutes, \
             please sign up again.",
        ),
        _ if error.is_transient() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "We cannot send mail just now, and have sent you none. Please try again in a few \
             minutes.",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "We could not send you a mail. The fault is ours, and we have been told.",
        ),
    };
    (status, words.to_owned())
}
