//! [`Settings`]: how a mailer treats messages, whatever its backend.
//!
//! What a setting does is said at the method of `MailerBuilder` that sets it.

use std::time::Duration;

use serde_json::Value;

use super::error::{ConfigFault, ConfigFaultKind as Kind};
use super::read::{Given, Place, Table};
use super::suppression_settings::SuppressionSettings;
use crate::message::{Address, Field, Message, json_problem};
use crate::sending::{
    AllowDomains, MailerBuilder, RedirectTo, RetryPolicy, SendDefaults, UnsupportedPolicy,
};

/// Settings of one mailer, or of all that do not say otherwise.
///
/// In a configuration each stands under its field's name; in the environment under `ANYMAIL_`
/// and that name in upper case.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The sender of messages that name none; short for `send_defaults.from`.
    pub default_from: Option<Address>,
    /// What messages get that do not say otherwise, in the JSON form of a
    /// [`Message`](crate::Message). A mailer's own replace the general ones field by field.
    pub send_defaults: SendDefaults,
    /// Whether to leave out what the ESP does not support
    /// ([`UnsupportedPolicy::Drop`]) instead of refusing the message. `false` by default.
    pub ignore_unsupported_features: Option<bool>,
    /// Whether a message that the ESP refuses for every recipient is no error. `false` by
    /// default.
    pub ignore_recipient_status: Option<bool>,
    /// For staging: every mail goes to this address ([`RedirectTo`]).
    pub redirect_to: Option<Address>,
    /// For staging: mail goes to these domains only ([`AllowDomains`]). A list; in the
    /// environment separated by commas.
    pub allow_domains: Option<AllowDomains>,
    /// Which suppressions to heed ([`SuppressionSettings`]); a table, in the environment JSON.
    /// None by default.
    pub suppressions: Option<SuppressionSettings>,
    /// When to send again by itself; a table, in the environment JSON. Never by default.
    pub retry: Option<RetryPolicy>,
    /// The time limit of one message or batch with all its tries, in seconds. None by default.
    pub time_limit: Option<Duration>,
    /// How many calls are under way at once when many messages are sent. 8 by default.
    pub concurrency: Option<usize>,
}

impl Settings {
    pub(super) fn read(table: &mut Table) -> Self {
        Self {
            default_from: table.read("default_from", address),
            send_defaults: read_defaults(table),
            ignore_unsupported_features: table.read("ignore_unsupported_features", Given::flag),
            ignore_recipient_status: table.read("ignore_recipient_status", Given::flag),
            redirect_to: table.read("redirect_to", address),
            allow_domains: table.read("allow_domains", |given| {
                AllowDomains::new(given.list()?).map_err(|error| given.invalid(error))
            }),
            suppressions: read_suppressions(table),
            retry: table.read("retry", |given| {
                let table = Value::Object(given.table()?);
                serde_json::from_value(table).map_err(|error| given.invalid(json_problem(&error)))
            }),
            time_limit: table.read("time_limit", Given::seconds),
            concurrency: table.read("concurrency", |given| {
                let calls = usize::try_from(given.integer()?);
                calls.map_err(|_| given.invalid("too large"))
            }),
        }
    }

    /// Settings that contradict each other.
    pub(super) fn conflicts(&self, place: &Place) -> Vec<ConfigFault> {
        let both = |a: &str, b: &str| {
            let problem = format!("{} is also set: remove one", place.of(b));
            ConfigFault::new(Kind::Conflict, place.of(a), problem)
        };
        let mut faults = Vec::new();
        if self.default_from.is_some() && !self.send_defaults.message().from.is_unset() {
            faults.push(both("default_from", "send_defaults.from"));
        }
        if self.redirect_to.is_some() && self.allow_domains.is_some() {
            faults.push(both("redirect_to", "allow_domains"));
        }
        faults
    }

    /// The send defaults, the default sender among them.
    pub(super) fn all_defaults(&self) -> SendDefaults {
        let Some(from) = &self.default_from else {
            return self.send_defaults.clone();
        };
        let mut fields = self.send_defaults.message().clone();
        fields.from = Field::Value(from.clone());
        fields.into()
    }

    /// These with `own` in their place where it says something. Send defaults are left alone.
    pub(super) fn replaced_by(&self, own: &Self) -> Self {
        let (general, own) = (self.clone(), own.clone());
        // Both kinds of staging are one setting: a mailer's own kind replaces the general one.
        let stages = own.redirect_to.is_some() || own.allow_domains.is_some();
        let staging = if stages { &own } else { &general };
        Self {
            redirect_to: staging.redirect_to.clone(),
            allow_domains: staging.allow_domains.clone(),
            ignore_unsupported_features: own
                .ignore_unsupported_features
                .or(general.ignore_unsupported_features),
            ignore_recipient_status: own
                .ignore_recipient_status
                .or(general.ignore_recipient_status),
            suppressions: own.suppressions.or(general.suppressions),
            retry: own.retry.or(general.retry),
            time_limit: own.time_limit.or(general.time_limit),
            concurrency: own.concurrency.or(general.concurrency),
            default_from: general.default_from,
            send_defaults: general.send_defaults,
        }
    }

    pub(super) fn policy(&self) -> UnsupportedPolicy {
        match self.ignore_unsupported_features {
            Some(true) => UnsupportedPolicy::Drop,
            _ => UnsupportedPolicy::Refuse,
        }
    }

    /// A mailer's builder with these settings, but for what must come last.
    pub(super) fn apply(&self, mut builder: MailerBuilder) -> MailerBuilder {
        builder = builder.unsupported(self.policy());
        if let Some(ignore) = self.ignore_recipient_status {
            builder = builder.ignore_recipient_status(ignore);
        }
        if let Some(retry) = self.retry {
            builder = builder.retry(retry);
        }
        if let Some(limit) = self.time_limit {
            builder = builder.time_limit(limit);
        }
        if let Some(calls) = self.concurrency {
            builder = builder.concurrency(calls);
        }
        builder
    }

    /// The hooks that must see what all other hooks have done.
    pub(super) fn apply_staging(&self, mut builder: MailerBuilder) -> MailerBuilder {
        if let Some(address) = &self.redirect_to {
            builder = builder.pre_send(RedirectTo::new(address.clone()));
        }
        if let Some(domains) = &self.allow_domains {
            builder = builder.pre_send(domains.clone());
        }
        builder
    }
}

fn read_suppressions(table: &mut Table) -> Option<SuppressionSettings> {
    let given = table.take("suppressions")?;
    let read = SuppressionSettings::read(&given);
    read.map_err(|faults| table.faults.extend(faults)).ok()
}

fn address(given: &Given) -> Result<Address, ConfigFault> {
    let text = given.text()?;
    text.parse().map_err(|error| given.invalid(error))
}

/// Reads `send_defaults` with all that is wrong with each field.
pub(super) fn read_defaults(table: &mut Table) -> SendDefaults {
    let Some(given) = table.take("send_defaults") else {
        return SendDefaults::default();
    };
    let map = match given.table() {
        Ok(map) => map,
        Err(fault) => {
            table.faults.push(fault);
            return SendDefaults::default();
        }
    };
    match Message::from_json_map(map) {
        Ok(message) => message.into(),
        Err(error) => {
            let faults = error.faults().iter().map(|fault| {
                let place = format!("{}.{}", given.place, fault.field());
                ConfigFault::new(Kind::InvalidValue, place, fault.problem())
            });
            table.faults.extend(faults);
            SendDefaults::default()
        }
    }
}
