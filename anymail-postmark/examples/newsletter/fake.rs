//! [`connect`]: configures the fake Postmark server, like you would configure Postmark once.

use std::net::SocketAddr;

use anymail_test_utils::{FakePostmark, StoredTemplate};
use uuid::Uuid;

use super::welcome::TEMPLATE;

/// Creates the template and the webhooks for the app at `app`. Returns the environment variables
/// with which the app finds the fake server.
pub(crate) fn connect(fake: &FakePostmark, app: SocketAddr) -> [(&'static str, String); 6] {
    fake.add_template(
        StoredTemplate::new(TEMPLATE).subject("Welcome, {{name}}").text_body(
        "Dear {{name}},\n\nthank you for joining the Anvil Letter. It comes on the first of each \
         month.\n\nIf it was not you who signed up, or if you want no more: {{unsubscribe_url}}\n").html_body(
        "<p>Dear {{name}},</p>\
         <p>thank you for joining the <b>Anvil Letter</b>. It comes on the first of each month.</p>\
         <p><small>If it was not you who signed up, or if you want no more: \
         <a href=\"{{unsubscribe_url}}\">unsubscribe</a>.</small></p>"),
    );
    let secret = format!("postmark:{}", Uuid::new_v4());
    let webhook = |kind: &str| format!("http://{secret}@{app}/anymail/postmark/{kind}/");
    fake.add_webhook(&webhook("tracking"));
    fake.set_inbound_webhook(&webhook("inbound"));
    [
        ("ANYMAIL_BACKEND", "postmark".to_owned()),
        ("ANYMAIL_POSTMARK_SERVER_TOKEN", "server-token".to_owned()),
        ("ANYMAIL_POSTMARK_API_URL", fake.url()),
        (
            "ANYMAIL_DEFAULT_FROM",
            "The Anvil Letter <letter@example.com>".to_owned(),
        ),
        ("ANYMAIL_WEBHOOK_SECRET", secret),
        ("ANYMAIL_SUPPRESSIONS", r#"{"store": "memory"}"#.to_owned()),
    ]
}
