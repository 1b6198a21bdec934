//! What a configuration says of who may post to webhooks.
//!
//! The check itself lives in `receiving/auth.rs`.

use super::mailers::Mailers;
use crate::receiving::WebhookAuth;

impl Mailers {
    /// Who may post to the webhooks of a backend's ESP: whoever brings one of the secrets that
    /// are configured for the backend, else of the general ones (feature `webhooks`, on by
    /// default).
    ///
    /// Nothing, where no secret is configured: whether everybody may then post is not for a
    /// missing line to decide.
    ///
    /// ```
    /// use anymail_core::{MailersConfig, Registry};
    ///
    /// let config: MailersConfig = serde_json::from_str(
    ///     r#"{"backend": "memory", "webhook_secret": ["hook:new", "hook:old"]}"#,
    /// )?;
    /// let mailers = config.build(&Registry::new())?;
    /// let auth = mailers.webhook_auth("memory").ok_or("no webhook_secret is configured")?;
    /// assert_eq!(format!("{auth:?}"), "WebhookAuth(2 secrets)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn webhook_auth(&self, backend: &str) -> Option<WebhookAuth> {
        let secrets = self.webhook_secrets(backend).iter();
        let pairs = secrets.filter_map(|secret| secret.expose().split_once(':'));
        // Only what can be a pair has passed the building.
        WebhookAuth::basic(pairs).ok()
    }
}
