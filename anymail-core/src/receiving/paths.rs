//! The paths of webhooks: [`webhook_path`], and [`webhook_at`] for servers without a router.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};

use super::auth::WebhookAuth;
use super::event::Event;
use super::replay::ReplayGuard;
use super::webhook::{Webhook, WebhookError, WebhookErrorKind, WebhookKind};

/// Returns the path of a webhook's URL: `/anymail/{esp}/{url_name}/`, for example
/// `/anymail/postbox/tracking/`.
///
/// See [`Webhook::url_name`].
pub fn webhook_path(webhook: &dyn Webhook) -> String {
    format!("/anymail/{}/{}/", webhook.esp(), webhook.url_name())
}

/// Finds the first webhook with this path, with or without the trailing slash.
///
/// Use it in servers without a router. With the feature `axum`, `webhook_routes` does the same.
pub fn webhook_at<'w>(
    webhooks: &'w [Arc<dyn Webhook>],
    path: &str,
) -> Option<&'w Arc<dyn Webhook>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_there =
        |webhook: &&Arc<dyn Webhook>| webhook_path(&***webhook).strip_suffix('/') == Some(path);
    webhooks.iter().find(is_there)
}

/// Merges webhooks with the same path into one: two accounts at one ESP post to the same URL with
/// different secrets. The secret in a request selects the webhook.
///
/// `webhook_routes` does this automatically.
pub fn one_for_each_path(
    webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>,
) -> Vec<Arc<dyn Webhook>> {
    let mut by_path: Vec<(String, Vec<Arc<dyn Webhook>>)> = Vec::new();
    for webhook in webhooks {
        let path = webhook_path(&webhook);
        match by_path.iter_mut().find(|(known, _)| *known == path) {
            Some((_, others)) => others.push(webhook),
            None => by_path.push((path, vec![webhook])),
        }
    }
    let one = |(_, mut webhooks): (_, Vec<_>)| match webhooks.len() {
        1 => webhooks.pop(),
        _ => SharedPath::of(webhooks),
    };
    by_path.into_iter().filter_map(one).collect()
}

/// Webhooks of the same ESP and kind with different authentication.
struct SharedPath {
    webhooks: Vec<Arc<dyn Webhook>>,
    first: Arc<dyn Webhook>,
    auth: WebhookAuth,
}

impl SharedPath {
    fn of(webhooks: Vec<Arc<dyn Webhook>>) -> Option<Arc<dyn Webhook>> {
        let auths = webhooks.iter().map(|webhook| webhook.auth().clone());
        Some(Arc::new(Self {
            auth: auths.reduce(WebhookAuth::or)?,
            first: Arc::clone(webhooks.first()?),
            webhooks,
        }))
    }
}

#[deny(clippy::missing_trait_methods)]
impl Webhook for SharedPath {
    fn esp(&self) -> &str {
        self.first.esp()
    }

    fn kind(&self) -> WebhookKind {
        self.first.kind()
    }

    fn url_name(&self) -> &str {
        self.first.url_name()
    }

    fn auth(&self) -> &WebhookAuth {
        &self.auth
    }

    /// The webhook whose secret the request contains must read it, because its options may differ.
    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let is_for = |webhook: &&Arc<dyn Webhook>| webhook.auth().verify(request).is_ok();
        let webhook = self.webhooks.iter().find(is_for);
        webhook.unwrap_or(&self.first).read(request)
    }

    fn body_limit(&self) -> usize {
        let limits = self.webhooks.iter().map(|webhook| webhook.body_limit());
        limits.max().unwrap_or_default()
    }

    fn status(&self, error: WebhookErrorKind) -> StatusCode {
        self.first.status(error)
    }

    fn replay_guard(&self) -> Option<&dyn ReplayGuard> {
        self.webhooks
            .iter()
            .find_map(|webhook| webhook.replay_guard())
    }

    fn parse(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        super::webhook::parse(self, request)
    }
}

impl fmt::Debug for SharedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.webhooks).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    /// An ESP that posts raw messages only to URLs that end in `mime`.
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
    fn a_webhook_is_found_by_its_name_with_and_without_a_trailing_slash() {
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

    #[test]
    fn accounts_that_share_a_url_are_each_accepted_with_their_own_secret() {
        let webhook = |kind, user| -> Arc<dyn Webhook> {
            let auth = WebhookAuth::basic([(user, "pass")]).unwrap();
            Arc::new(Postbox(auth, kind))
        };
        let webhooks = one_for_each_path([
            webhook(WebhookKind::Tracking, "one"),
            webhook(WebhookKind::Inbound, "one"),
            webhook(WebhookKind::Tracking, "two"),
        ]);
        let kinds: Vec<_> = webhooks.iter().map(|webhook| webhook.kind()).collect();
        assert_eq!(kinds, [WebhookKind::Tracking, WebhookKind::Inbound]);
        let post = |webhook: &Arc<dyn Webhook>, token: &str| {
            let request = Request::post("/").header(AUTHORIZATION, format!("Basic {token}"));
            webhook.parse(&request.body(Bytes::new()).unwrap()).is_ok()
        };
        let (one, two, three) = ("b25lOnBhc3M=", "dHdvOnBhc3M=", "dGhyZWU6cGFzcw==");
        for (webhook, expected) in webhooks
            .iter()
            .zip([[true, true, false], [true, false, false]])
        {
            let found = [one, two, three].map(|token| post(webhook, token));
            assert_eq!(found, expected, "{webhook:?}");
        }
    }
}
