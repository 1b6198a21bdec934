//! The welcome message, and what to tell a person who cannot get it.

use anymail_core::{
    Accepted, Message, MessageError, OneClickUnsubscribe, SendError, SendErrorKind, Status,
};
use axum::http::StatusCode;
use serde_json::json;

use super::subscribers::Subscriber;

/// The template's name at the ESP.
pub(crate) const TEMPLATE: &str = "newsletter-welcome";

/// The metadata that tells which subscriber an event is about. The message ID would not be enough:
/// the first event may arrive before the response with the ID.
pub(crate) const SUBSCRIBER: &str = "subscriber";

/// The scope that people unsubscribe from.
pub(crate) const SCOPE: &str = "letter";

/// The message for somebody who has just signed up.
pub(crate) fn mail(
    subscriber: &Subscriber,
    unsubscribe: &OneClickUnsubscribe,
) -> Result<Message, MessageError> {
    let one_click = unsubscribe.url(&subscriber.address, Some(SCOPE));
    // RFC 8058 requires https, which there is not on loopback, and no mail client that would use
    // it.
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

/// A failure in words for the person, and the HTTP status of the page.
pub(crate) fn in_words(error: &SendError, email: &str) -> (StatusCode, String) {
    let refused = || error.status()?.recipient(email).map(|row| row.status);
    let (status, words) = match error.kind() {
        SendErrorKind::RecipientsRefused if refused() == Some(Status::Rejected) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "We cannot send to this address, because an earlier message bounced or was reported as \
             spam, or somebody unsubscribed. Please use another address.",
        ),
        SendErrorKind::RecipientsRefused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "We cannot send to this address. Please check it for typos.",
        ),
        _ if error.accepted() == Accepted::Maybe => (
            StatusCode::BAD_GATEWAY,
            "We do not know whether our message was sent. If it does not arrive in a few minutes, \
             please sign up again.",
        ),
        _ if error.is_transient() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "We cannot send messages right now, and have sent you none. Please try again in a few \
             minutes.",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "We could not send you a message because of a problem on our side.",
        ),
    };
    (status, words.to_owned())
}
