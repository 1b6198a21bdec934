//! Applies what happens to an accepted message: changes the state and notifies webhooks.
//!
//! `payloads.rs` builds the JSON, and `webhooks.rs` posts it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Value, json};

use super::bounce_type::BounceType;
use super::bounces::Bounce;
use super::fields::set;
use super::hooks::{Setting, Trigger};
use super::message::{Mailbox, SentMessage};
use super::payloads;
use super::state::{Fake, Listener, State, now};
use super::streams::{InactiveReason, SuppressionOrigin};
use super::webhooks::{Posting, RetryRule, Target};

/// Why an event could not be triggered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TriggerError {
    /// The fake has accepted no message with this ID.
    UnknownMessage(String),
    /// The bytes are not a valid message.
    NotAMessage,
    /// The fake was dropped in the meantime.
    Stopped,
}

impl fmt::Display for TriggerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMessage(id) => {
                let id: String = id.chars().take(80).collect();
                write!(f, "no message with the ID {id:?} was accepted")
            }
            Self::NotAMessage => f.write_str("could not parse the message: not valid MIME"),
            Self::Stopped => f.write_str("the fake Postmark server was stopped"),
        }
    }
}

impl std::error::Error for TriggerError {}

/// What happens to a message at a recipient's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Bounced(BounceType),
    /// Delivered, and then marked as spam.
    Complained,
}

/// The domain of Postmark's own addresses that bounce. DOC (support article 1239)
const BOUNCE_TESTING: &str = "bounce-testing.postmarkapp.com";

fn fate(message: &SentMessage, recipient: &Mailbox) -> Fate {
    if message.render_error.is_some() {
        return Fate::Bounced(BounceType::TemplateRenderingFailed);
    }
    let (local, domain) = recipient.email.rsplit_once('@').unwrap_or_default();
    if domain.eq_ignore_ascii_case(BOUNCE_TESTING) {
        let wanted = message.header("X-PM-Bounce-Type").unwrap_or(local);
        let kind = BounceType::parse(wanted).unwrap_or(BounceType::HardBounce);
        // A complaint cannot be requested at these addresses. DOC
        let kind = match kind {
            BounceType::SpamComplaint => BounceType::HardBounce,
            kind => kind,
        };
        return Fate::Bounced(kind);
    }
    let local = local.split('+').next().unwrap_or_default();
    match local.to_ascii_lowercase().as_str() {
        "hardbounce" => Fate::Bounced(BounceType::HardBounce),
        "softbounce" => Fate::Bounced(BounceType::SoftBounce),
        "spamcomplaint" => Fate::Complained,
        _ => Fate::Delivered,
    }
}

impl Fake {
    /// Applies `act` to each active recipient of a message.
    fn happen(
        &self,
        id: &str,
        act: impl Fn(&mut State, &Arc<SentMessage>, &Mailbox) -> Vec<Posting>,
    ) -> Result<Vec<Posting>, TriggerError> {
        let mut state = self.state();
        let unknown = || TriggerError::UnknownMessage(id.to_owned());
        let message = Arc::clone(state.message(id).ok_or_else(unknown)?);
        let mut postings = Vec::new();
        for recipient in message.recipients() {
            postings.extend(act(&mut state, &message, recipient));
        }
        Ok(postings)
    }

    pub(super) fn deliver(&self, id: &str) -> Result<Vec<Posting>, TriggerError> {
        self.happen(id, |state, message, recipient| {
            match fate(message, recipient) {
                Fate::Delivered => state.deliver(message, recipient),
                Fate::Bounced(kind) => state.bounced(message, recipient, kind),
                Fate::Complained => {
                    let mut postings = state.deliver(message, recipient);
                    let kind = BounceType::SpamComplaint;
                    postings.extend(state.bounced(message, recipient, kind));
                    postings
                }
            }
        })
    }

    /// Calls the listener with newly accepted messages, and delivers them in the background if the
    /// fake is configured to.
    pub(super) fn announce(&self, messages: &[Arc<SentMessage>]) {
        if let Some(Listener(tell)) = &self.settings.listener {
            for message in messages {
                if catch_unwind(AssertUnwindSafe(|| tell(message))).is_err() {
                    tracing::error!(
                        message_id = message.id,
                        "the on_message listener of a FakePostmark panicked"
                    );
                }
            }
        }
        if self.settings.delivers_at_once {
            let postings = messages.iter().filter_map(|m| self.deliver(&m.id).ok());
            self.post_in_background(postings.flatten().collect());
        }
    }

    pub(super) fn bounce(&self, id: &str, kind: BounceType) -> Result<Vec<Posting>, TriggerError> {
        self.happen(id, |state, message, recipient| {
            state.bounced(message, recipient, kind)
        })
    }

    pub(super) fn open(&self, id: &str) -> Result<Vec<Posting>, TriggerError> {
        self.happen(id, State::opened)
    }

    pub(super) fn click(&self, id: &str, link: &str) -> Result<Vec<Posting>, TriggerError> {
        self.happen(id, |state, message, recipient| {
            state.clicked(message, recipient, link)
        })
    }

    pub(super) fn unsubscribe(&self, id: &str) -> Result<Vec<Posting>, TriggerError> {
        self.happen(id, |state, message, recipient| {
            state.deactivate(message, recipient, InactiveReason::ManualSuppression)
        })
    }
}

impl State {
    fn deliver(&mut self, message: &SentMessage, recipient: &Mailbox) -> Vec<Posting> {
        let details = json!({
            "DeliveryMessage": payloads::DELIVERED,
            "DestinationServer": format!("mx.{}", recipient.domain()),
            "DestinationIP": "127.0.0.1",
        });
        self.note(message, recipient, "Delivered", details);
        let payload = payloads::delivery(message, &recipient.email);
        self.postings(&message.stream, Trigger::Delivery, |_| {
            Some(payload.clone())
        })
    }

    fn bounced(
        &mut self,
        message: &Arc<SentMessage>,
        recipient: &Mailbox,
        kind: BounceType,
    ) -> Vec<Posting> {
        let details = match &message.render_error {
            Some(words) if kind == BounceType::TemplateRenderingFailed => words.clone(),
            _ => format!("smtp;550 5.0.0 {} (by the fake Postmark)", kind.row().name),
        };
        self.bounced_with(message, recipient, kind, details)
    }

    fn bounced_with(
        &mut self,
        message: &Arc<SentMessage>,
        recipient: &Mailbox,
        kind: BounceType,
        details: String,
    ) -> Vec<Posting> {
        let row = kind.row();
        let bounce = Bounce {
            id: self.next_id(),
            kind,
            message: Arc::clone(message),
            email: recipient.email.clone(),
            details,
            at: now(),
            inactive: row.inactive,
        };
        let details = json!({"Summary": bounce.details, "BounceID": bounce.id.to_string()});
        self.note(message, recipient, "Bounced", details);
        let trigger = match kind {
            BounceType::SpamComplaint => Trigger::SpamComplaint,
            _ => Trigger::Bounce,
        };
        let payload = bounce.to_json();
        let mut postings = self.postings(&message.stream, trigger, |setting| {
            let mut payload = payload.clone();
            if setting.option {
                set(&mut payload, "Content", bounce.content());
            }
            Some(payload)
        });
        self.bounces.push(bounce);
        if row.inactive {
            let reason = match kind {
                BounceType::SpamComplaint => InactiveReason::SpamComplaint,
                BounceType::ManuallyDeactivated => InactiveReason::ManualSuppression,
                _ => InactiveReason::HardBounce,
            };
            postings.extend(self.deactivate(message, recipient, reason));
        }
        postings
    }

    /// Bounces a message over SMTP that cannot be sent to a recipient. A server setting decides
    /// whether webhooks are notified. DOC
    pub(super) fn smtp_api_error(
        &mut self,
        message: &Arc<SentMessage>,
        recipient: &Mailbox,
        words: &str,
    ) -> Vec<Posting> {
        let kind = BounceType::SmtpApiError;
        let postings = self.bounced_with(message, recipient, kind, words.to_owned());
        match self.server.flag("EnableSmtpApiErrorHooks") {
            true => postings,
            false => Vec::new(),
        }
    }

    /// Suppresses a recipient; notifies webhooks unless it was already suppressed.
    fn deactivate(
        &mut self,
        message: &SentMessage,
        recipient: &Mailbox,
        reason: InactiveReason,
    ) -> Vec<Posting> {
        let stream = &message.stream;
        let origin = SuppressionOrigin::Recipient;
        if !self.suppress(stream, &recipient.email, reason, origin) {
            return Vec::new();
        }
        let details = json!({"Origin": origin.as_str(), "SuppressSending": "True"});
        self.note(message, recipient, "SubscriptionChanged", details);
        let payload = payloads::suppressed_by(message, &recipient.email, reason);
        subscription_postings(self, stream, payload)
    }

    fn opened(&mut self, message: &Arc<SentMessage>, recipient: &Mailbox) -> Vec<Posting> {
        let first = self.opened.insert((message.id.clone(), recipient.key()));
        let details = json!({"Summary": "Email opened with Chrome 130.0"});
        self.note(message, recipient, "Opened", details);
        let payload = payloads::open(message, &recipient.email, first);
        self.postings(&message.stream, Trigger::Open, |setting| {
            let wanted = first || !setting.option;
            wanted.then(|| payload.clone())
        })
    }

    /// Only the first click of a recipient on a link is reported. DOC
    fn clicked(&mut self, message: &SentMessage, recipient: &Mailbox, link: &str) -> Vec<Posting> {
        let click = (message.id.clone(), recipient.key(), link.to_owned());
        if !self.clicked.insert(click) {
            return Vec::new();
        }
        let payload = payloads::click(message, &recipient.email, link);
        let details = json!({
            "Summary": format!("Tracked link clicked: {link}"),
            "Link": link,
            "ClickLocation": payload.get("ClickLocation"),
        });
        self.note(message, recipient, "LinkClicked", details);
        self.postings(&message.stream, Trigger::Click, |_| Some(payload.clone()))
    }

    /// Adds an event to `MessageEvents`.
    fn note(&mut self, message: &SentMessage, recipient: &Mailbox, kind: &str, details: Value) {
        let event = json!({
            "Recipient": recipient.email,
            "Type": kind,
            "ReceivedAt": now(),
            "Details": details,
        });
        self.events
            .entry(message.id.clone())
            .or_default()
            .push(event);
    }

    /// Creates one posting for each webhook of the stream that is subscribed to an event for which
    /// `payload` returns a payload, and one for the server's own hook, which belongs to the stream
    /// `outbound`.
    fn postings(
        &self,
        stream: &str,
        trigger: Trigger,
        payload: impl Fn(Setting) -> Option<Value>,
    ) -> Vec<Posting> {
        let own = self.own_hook(trigger).filter(|_| stream == "outbound");
        let of_stream = self.webhooks.iter().filter(|hook| hook.stream == stream);
        let of_stream =
            of_stream.filter_map(|hook| Some((hook.target.clone(), hook.wants(trigger)?)));
        let posting = |(target, setting)| {
            Some(Posting {
                target,
                payload: payload(setting)?,
                rule: RetryRule::Outbound,
            })
        };
        own.into_iter()
            .chain(of_stream)
            .filter_map(posting)
            .collect()
    }

    /// The hook in the server's settings, which is older than the webhooks of streams.
    fn own_hook(&self, trigger: Trigger) -> Option<(Target, Setting)> {
        let (key, option) = match trigger {
            Trigger::Open => ("OpenHookUrl", "PostFirstOpenOnly"),
            Trigger::Click => ("ClickHookUrl", ""),
            Trigger::Delivery => ("DeliveryHookUrl", ""),
            Trigger::Bounce => ("BounceHookUrl", "IncludeBounceContentInHook"),
            Trigger::SpamComplaint | Trigger::SubscriptionChange => return None,
        };
        let url = self.server.text(key);
        let setting = Setting {
            enabled: true,
            option: self.server.flag(option),
        };
        (!url.is_empty()).then(|| (Target::new(url), setting))
    }
}

/// Creates the postings for a change that no message caused.
pub(super) fn subscription_postings(state: &State, stream: &str, payload: Value) -> Vec<Posting> {
    state.postings(stream, Trigger::SubscriptionChange, |_| {
        Some(payload.clone())
    })
}
