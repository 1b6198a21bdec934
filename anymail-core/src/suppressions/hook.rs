//! [`SuppressionHook`]: removes suppressed recipients from messages.
//!
//! A store contains the suppressions; `feed.rs` fills it from an ESP's events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use time::format_description::well_known::Rfc3339;

use super::store::{SuppressionStore, SuppressionStoreError};
use super::suppression::{Suppression, SuppressionReason};
use crate::message::{AddressKey, Message};
use crate::panics::caught;
use crate::sending::{
    HookError, PreSend, PreSendVerdict, SendError, SendErrorKind, Status, Withheld,
};

/// What happens to messages while suppressions cannot be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StoreFailurePolicy {
    /// Nothing is sent, and the caller gets a transient error, after which the message can be sent
    /// again. The default.
    #[default]
    Wait,
    /// Messages are sent without the check. The failure is logged at ERROR.
    Send,
}

/// A pre-send hook that removes suppressed recipients from messages, with any ESP.
///
/// The message's status lists them as [`Rejected`](Status::Rejected), with the reason as the code
/// ([`SuppressionReason::as_str`]) and a description that includes the date. A message that loses
/// all its recipients, or all of `to`, is refused, and the ESP is not called. In a batch, the
/// messages to the others are sent.
///
/// # Which suppressions apply
///
/// A suppression without a scope applies to every message. A suppression in a scope applies to
/// messages with the same [`suppression_scope`](crate::MessageFields::suppression_scope), which can
/// also be set in a mailer's send defaults. So whoever unsubscribed from `news` still gets
/// receipts, and messages without a scope. **Set the scope of every message that people can
/// unsubscribe from.**
///
/// Messages that must be delivered, such as a password reset, need their own scope that is declared
/// [`transactional`](Self::transactional): then only hard bounces and spam complaints apply. To
/// ignore even those, use [`ignoring`](Self::ignoring).
///
/// # Where it runs
///
/// Add it after hooks that add recipients, and before those for staging
/// ([`RedirectTo`](crate::RedirectTo)), which must be last. It belongs to the
/// [`Mailer`](crate::Mailer), so the members of a failover never see suppressed recipients. It
/// looks up all messages that are sent together in one call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use anymail_core::{
///     Address, Mailer, MemoryBackend, MemorySuppressionStore, Message, SendErrorKind,
///     Suppression, SuppressionHook, SuppressionReason, SuppressionStore,
/// };
/// use time::OffsetDateTime;
///
/// let store = MemorySuppressionStore::new();
/// let hook = SuppressionHook::new(store.clone()).transactional("account");
/// let mailer = Mailer::builder(MemoryBackend::new()).pre_send(hook).build();
///
/// let ann: Address = "ann@example.com".parse()?;
/// let left = Suppression::new(&ann, SuppressionReason::Unsubscribe, OffsetDateTime::now_utc());
/// store.add(&[left]).await?;
///
/// let mut message = Message::builder().from("shop@example.com").to("ann@example.com").build()?;
/// let error = mailer.send(&message).await.unwrap_err();
/// assert_eq!(error.kind(), SendErrorKind::RecipientsRefused);
/// assert_eq!(error.esp_code(), Some("unsubscribe"));
///
/// message.suppression_scope = "account".to_owned().into();
/// mailer.send(&message).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SuppressionHook {
    store: Arc<dyn SuppressionStore>,
    on_store_failure: StoreFailurePolicy,
    ignored: BTreeMap<String, BTreeSet<SuppressionReason>>,
}

impl SuppressionHook {
    /// Creates a hook that removes the recipients suppressed in this store.
    pub fn new(store: impl SuppressionStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            on_store_failure: StoreFailurePolicy::default(),
            ignored: BTreeMap::new(),
        }
    }

    /// Sets what happens to messages while the store fails. By default nothing is sent.
    ///
    /// A store that does not respond delays messages for as long as its own timeouts allow.
    #[must_use]
    pub fn on_store_failure(mut self, policy: StoreFailurePolicy) -> Self {
        self.on_store_failure = policy;
        self
    }

    pub(crate) const TRANSACTIONAL: [SuppressionReason; 2] =
        [SuppressionReason::Unsubscribe, SuppressionReason::Manual];

    /// Sends messages with this scope also to recipients who unsubscribed or were suppressed
    /// manually. Hard bounces and spam complaints still apply.
    #[must_use]
    pub fn transactional(self, scope: impl Into<String>) -> Self {
        self.ignoring(scope, Self::TRANSACTIONAL)
    }

    /// Sends messages with this scope in spite of suppressions for these reasons.
    ///
    /// It adds to earlier calls for the same scope. Sending to addresses that bounced, or to people
    /// who complained, damages the sender's reputation.
    #[must_use]
    pub fn ignoring(
        mut self,
        scope: impl Into<String>,
        reasons: impl IntoIterator<Item = SuppressionReason>,
    ) -> Self {
        self.ignored
            .entry(scope.into())
            .or_default()
            .extend(reasons);
        self
    }

    /// Whether a suppression prevents a message to its recipient.
    fn holds(&self, suppression: &Suppression, scope: Option<&str>) -> bool {
        let other_scope = suppression.scope.is_some() && suppression.scope.as_deref() != scope;
        let ignored = scope.and_then(|scope| self.ignored.get(scope));
        !other_scope && !ignored.is_some_and(|reasons| reasons.contains(&suppression.reason))
    }

    fn verdict(&self, message: &Message, found: &Found<'_>) -> PreSendVerdict {
        let scope = message.suppression_scope.value().map(String::as_str);
        let mut withheld = Vec::new();
        for recipient in message.recipients() {
            let of_theirs = found.get(&recipient.key()).into_iter().flatten();
            let holding = of_theirs.filter(|suppression| self.holds(suppression, scope));
            // The most serious reason, and the latest one of that.
            let gravest = holding.min_by_key(|held| (held.reason, std::cmp::Reverse(held.since)));
            if let Some(suppression) = gravest {
                let one = Withheld::new(recipient, Status::Rejected, words(suppression));
                withheld.push(one.with_code(suppression.reason.as_str()));
            }
        }
        match withheld.is_empty() {
            true => PreSendVerdict::Send,
            false => PreSendVerdict::SendWithout(withheld),
        }
    }

    fn store_failed(
        &self,
        error: &SuppressionStoreError,
        esp: &str,
        messages: usize,
    ) -> Vec<Result<PreSendVerdict, HookError>> {
        let wait = || -> Result<_, HookError> {
            let words = format!("could not look up suppressions: {error}");
            let error = SendError::new(SendErrorKind::Hook, esp, words);
            Err(error.with_transient(true).into())
        };
        match self.on_store_failure {
            StoreFailurePolicy::Wait => (0..messages).map(|_| wait()).collect(),
            StoreFailurePolicy::Send => {
                tracing::error!(
                    esp, messages, %error,
                    "could not look up suppressions; sending without checking them"
                );
                (0..messages).map(|_| Ok(PreSendVerdict::Send)).collect()
            }
        }
    }
}

type Found<'a> = HashMap<&'a AddressKey, Vec<&'a Suppression>>;

fn words(suppression: &Suppression) -> String {
    let since = suppression.since.format(&Rfc3339).unwrap_or_default();
    let scope = suppression.scope.as_ref();
    let scope = scope.map_or_else(String::new, |scope| format!(" in {scope:?}"));
    let (reason, source) = (suppression.reason, &suppression.origin.source);
    format!("suppressed{scope} since {since}: {reason}, reported by {source}")
}

#[async_trait]
impl PreSend for SuppressionHook {
    async fn pre_send(
        &self,
        message: &mut Message,
        esp: &str,
    ) -> Result<PreSendVerdict, HookError> {
        let mut verdicts = self.pre_send_many(&mut [message], esp).await;
        verdicts.pop().unwrap_or(Ok(PreSendVerdict::Send))
    }

    async fn pre_send_many(
        &self,
        messages: &mut [&mut Message],
        esp: &str,
    ) -> Vec<Result<PreSendVerdict, HookError>> {
        let recipients = messages.iter().flat_map(|message| message.recipients());
        let keys: Vec<_> = recipients.map(|recipient| recipient.key()).collect();
        if keys.is_empty() {
            return messages.iter().map(|_| Ok(PreSendVerdict::Send)).collect();
        }
        let looked_up = caught(self.store.look_up(&keys)).await;
        // The panic's message may contain an address, so it is left to the program's panic hook.
        let panicked = |_| Err(SuppressionStoreError::from("the store panicked"));
        let suppressions = match looked_up.unwrap_or_else(panicked) {
            Ok(found) => found,
            Err(error) => return self.store_failed(&error, esp, messages.len()),
        };
        let mut found = Found::new();
        for suppression in &suppressions {
            found
                .entry(&suppression.address)
                .or_default()
                .push(suppression);
        }
        let verdict = |message: &&mut Message| match found.is_empty() {
            true => Ok(PreSendVerdict::Send),
            false => Ok(self.verdict(message, &found)),
        };
        messages.iter().map(verdict).collect()
    }
}
