//! Where webhooks are found: [`webhook_path`], and [`webhook_at`] for servers without a router.

use std::sync::Arc;

use super::webhook::Webhook;

/// The path of a webhook's URL: `/anymail/{esp}/{url_name}/`, for example
/// `/anymail/postbox/tracking/`.
///
/// See [`Webhook::url_name`].
pub fn webhook_path(webhook: &dyn Webhook) -> String {
    format!("/anymail/{}/{}/", webhook.esp(), webhook.url_name())
}

/// The webhook at this path of a URL, with or without the last slash; the first, should there
/// be several.
///
/// For servers that have no router. With the feature `axum`, `webhook_routes` does the same.
pub fn webhook_at<'w>(
    webhooks: &'w [Arc<dyn Webhook>],
    path: &str,
) -> Option<&'w Arc<dyn Webhook>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_there =
        |webhook: &&Arc<dyn Webhook>| webhook_path(&***webhook).strip_suffix('/') == Some(path);
    webhooks.iter().find(is_there)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::receiving::{Event, WebhookAuth, WebhookError, WebhookKind};

    /// An ESP that posts raw mails to URLs that end in `mime` only.
    #[derive(Debug)]
    struct Postbox(WebhookAuth, WebhookKind);

    impl Webhook for Postbox {
        fn esp(&self) -> &str {
            "postbox"
        }

        fn kind(&self) -> WebhookKind {
            self.1
        }

        fn auth(&self) -> &WebhookAuth {
            &self.0
        }

        fn url_name(&self) -> &str {
            match self.1 {
                WebhookKind::Inbound => "inbound_mime",
                kind => kind.as_str(),
            }
        }

        fn read(&self, _: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_webhook_is_found_under_its_name_with_and_without_the_last_slash() {
        let webhook = |kind| -> Arc<dyn Webhook> { Arc::new(Postbox(WebhookAuth::none(), kind)) };
        let webhooks = [WebhookKind::Tracking, WebhookKind::Inbound].map(webhook);
        for (path, expected) in [
            ("/anymail/postbox/tracking/", Some(WebhookKind::Tracking)),
            ("/anymail/postbox/tracking", Some(WebhookKind::Tracking)),
            ("/anymail/postbox/inbound_mime/", Some(WebhookKind::Inbound)),
            ("/anymail/postbox/inbound_mime", Some(WebhookKind::Inbound)),
            ("/anymail/postbox/inbound/", None),
            ("/anymail/postbox/tracking//", None),
            ("/anymail/postbox/", None),
            ("/anymail/Postbox/tracking/", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            let found = webhook_at(&webhooks, path).map(|webhook| webhook.kind());
            assert_eq!(found, expected, "{path}");
        }
    }
}
