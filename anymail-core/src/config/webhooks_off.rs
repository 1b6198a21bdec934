//! In place of `webhooks.rs` without the feature `webhooks`: the options of webhooks are known, and
//! nothing is made of them.

use super::build::Build;
use super::find::Chosen;
use super::mailer_config::MailerConfig;

#[derive(Debug, Clone, Default)]
pub(super) struct Webhooks;

#[derive(Default)]
pub(super) struct MakingWebhooks;

impl Build<'_> {
    pub(super) fn read_webhook_secrets(&mut self) {}

    pub(super) fn make_webhooks(&mut self, _: &Chosen<'_>, _: &MailerConfig) {}

    pub(super) fn made_webhooks(&mut self) -> Webhooks {
        let MakingWebhooks = self.webhooks;
        Webhooks
    }
}
