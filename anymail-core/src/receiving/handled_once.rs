//! [`handled_once`]: webhooks that skip duplicate events.
//!
//! `replay.rs` defines the guard that remembers events.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};

use super::auth::WebhookAuth;
use super::event::Event;
use super::replay::ReplayGuard;
use super::webhook::{Webhook, WebhookError, WebhookErrorKind, WebhookKind};

/// Wraps webhooks so that each event is handled once, as far as this guard remembers.
///
/// All these webhooks share the guard, and a guard can be shared with other webhooks, too.
///
/// ```
/// use std::sync::Arc;
/// use anymail_core::{Event, MemoryReplayGuard, Webhook, handled_once, webhook_routes};
///
/// fn app(webhooks: Vec<Arc<dyn Webhook>>) -> axum::Router {
///     let guard = Arc::new(MemoryReplayGuard::default());
///     webhook_routes(handled_once(webhooks, guard), async |event: Event| {
///         println!("{} says {}, once", event.esp(), event.event_type());
///         Ok::<(), std::io::Error>(())
///     })
/// }
/// ```
pub fn handled_once(
    webhooks: impl IntoIterator<Item = Arc<dyn Webhook>>,
    guard: Arc<dyn ReplayGuard>,
) -> Vec<Arc<dyn Webhook>> {
    let guarded = |webhook| -> Arc<dyn Webhook> {
        Arc::new(Guarded {
            webhook,
            guard: Arc::clone(&guard),
        })
    };
    webhooks.into_iter().map(guarded).collect()
}

struct Guarded {
    webhook: Arc<dyn Webhook>,
    guard: Arc<dyn ReplayGuard>,
}

#[deny(clippy::missing_trait_methods)]
impl Webhook for Guarded {
    fn esp(&self) -> &str {
        self.webhook.esp()
    }

    fn kind(&self) -> WebhookKind {
        self.webhook.kind()
    }

    fn url_name(&self) -> &str {
        self.webhook.url_name()
    }

    fn auth(&self) -> &WebhookAuth {
        self.webhook.auth()
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        self.webhook.read(request)
    }

    fn body_limit(&self) -> usize {
        self.webhook.body_limit()
    }

    fn status(&self, error: WebhookErrorKind) -> StatusCode {
        self.webhook.status(error)
    }

    fn replay_guard(&self) -> Option<&dyn ReplayGuard> {
        Some(&*self.guard)
    }

    fn parse(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        self.webhook.parse(request)
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandledOnce").field(&self.webhook).finish()
    }
}
