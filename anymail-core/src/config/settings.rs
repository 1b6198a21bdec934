//! [`Settings`]: how a mailer treats messages, with any backend.
//!
//! The methods of `MailerBuilder` document what the settings do.

use std::time::Duration;

use serde_json::Value;

use super::error::{ConfigFault, ConfigFaultKind as Kind};
use super::read::{Given, Place, Table};
use super::suppression_settings::SuppressionSettings;
use crate::message::{Address, Field, Message, json_problem};
use crate::sending::{
    AllowDomains, MailerBuilder, RedirectTo, RetryPolicy, SendDefaults, UnsupportedPolicy,
};

/// The settings of one mailer, or of all mailers that do not override them.
///
/// In a configuration, the keys are the names of the fields; in the environment, the variables are
/// `ANYMAIL_` and the name in upper case.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The sender of messages without one. The same as `send_defaults.from`.
    pub default_from: Option<Address>,
    /// Values for fields that a message does not set, in the JSON form of a
    /// [`Message`](crate::Message). A mailer's own values replace the general ones field by field.
    pub send_defaults: SendDefaults,
    /// Whether to drop unsupported features ([`UnsupportedPolicy::Drop`]) instead of refusing the
    /// message. `false` by default.
    pub ignore_unsupported_features: Option<bool>,
    /// Whether to return a status instead of an error if the ESP refuses every recipient. `false`
    /// by default.
    pub ignore_recipient_status: Option<bool>,
    /// For staging: sends every message to this address ([`RedirectTo`]).
    pub redirect_to: Option<Address>,
    /// For staging: sends only to addresses in these domains ([`AllowDomains`]). A list; separated
    /// by commas in the environment.
    pub allow_domains: Option<AllowDomains>,
    /// Which suppressions to honor ([`SuppressionSettings`]). A table; JSON in the environment.
    /// None by default.
    pub suppressions: Option<SuppressionSettings>,
    /// When to retry. A table; JSON in the environment. Never by default.
    pub retry: Option<RetryPolicy>,
    /// The time limit of a message or batch, including retries, in seconds. None by default.
    pub time_limit: Option<Duration>,
    /// The maximum number of concurrent calls when sending many messages. 8 by default.
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

    /// Faults for settings that contradict each other.
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

    /// The send defaults, including the default sender.
    pub(super) fn all_defaults(&self) -> SendDefaults {
        let Some(from) = &self.default_from else {
            return self.send_defaults.clone();
        };
        let mut fields = self.send_defaults.message().clone();
        fields.from = Field::Value(from.clone());
        fields.into()
    }

    /// Overrides these settings with those that `own` sets, except for the send defaults.
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

    /// Applies these settings to a mailer's builder, except for those that must come last.
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

    /// Adds the hooks that must run after all other hooks.
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

/// Reads `send_defaults` and reports all faults in each field.
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
