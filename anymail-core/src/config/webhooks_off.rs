//! Replaces `webhooks.rs` without the feature `webhooks`: the options of webhooks are known but not
//! used.

use super::find::{Chosen, Finder};
use super::mailer_config::MailerConfig;

#[derive(Debug, Clone, Default)]
pub(super) struct Webhooks;

#[derive(Default)]
pub(super) struct MakingWebhooks;

impl MakingWebhooks {
    pub(super) fn read_secrets(&mut self, _: &mut Finder<'_>) {}

    pub(super) fn make(&mut self, _: &mut Finder<'_>, _: &Chosen<'_>, _: &MailerConfig) {}

    pub(super) fn finish(self, _: &mut Finder<'_>) -> Webhooks {
        Webhooks
    }
}
