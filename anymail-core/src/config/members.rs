//! The members of a mailer over other mailers: mailers, backends or URLs.
//!
//! `member_defaults.rs` says which send defaults they share.

use super::backend_url::is_url;
use super::build::{Build, Made};
use super::error::{ConfigFaultKind as Kind, known_names};
use super::mailer_config::MailerConfig;
use super::member_defaults::apart;
use super::read::{Given, Place, Source};
use super::settings::Settings;
use super::suppressions::suppressions_lost;
use crate::backends::Member;
use crate::sending::SendDefaults;

impl Build<'_> {
    /// The members that an option names, and whether they have their own send defaults, which are
    /// removed from `defaults`.
    pub(super) fn members(
        &mut self,
        given: &Given,
        settings: &Settings,
        defaults: &mut SendDefaults,
    ) -> Option<(Vec<Member>, bool)> {
        let names = given
            .list()
            .map_err(|fault| self.find.faults.push(fault))
            .ok()?;
        let mut found: Vec<(String, Made, SendDefaults)> = Vec::new();
        for (at, name) in names.into_iter().enumerate() {
            if !is_url(&name) {
                if let Some((made, own)) = self.member(&name, given, settings) {
                    found.push((name, made, own));
                }
            } else if let Some((made, own)) = self.member_by_url(name, at, given) {
                let same = found.iter().filter(|(_, other, _)| other.name == made.name);
                let name = match same.count() {
                    0 => made.name.clone(),
                    others => format!("{} {}", made.name, others + 1),
                };
                found.push((name, made, own));
            }
        }
        let own: Vec<_> = found.iter().map(|(_, _, own)| own.clone()).collect();
        let apart = apart(defaults, &own);
        for (at, field) in apart.refused {
            if let Some((name, ..)) = found.get(at) {
                let problem = format!(
                    "the member {name:?} has a different send default for {field}, which must be \
                     the same for all members: set it on the mailer that has the members"
                );
                self.find.fault(Kind::Conflict, &given.place, problem);
            }
        }
        *defaults = apart.shared;
        let have_own = apart.own.iter().any(|own| !own.is_empty());
        let members = found.into_iter().zip(&apart.own);
        let members = members
            .map(|((name, made, _), own)| Member::new(name, made.backend).send_defaults(own));
        Some((members.collect(), have_own))
    }

    /// A member's backend and its own send defaults.
    fn member(
        &mut self,
        name: &str,
        given: &Given,
        settings: &Settings,
    ) -> Option<(Made, SendDefaults)> {
        let config = match self.find.config.mailers.get(name) {
            Some(config) => config.clone(),
            None if self.find.registry.get(name).is_some() => self.implied(name),
            None => {
                let mailers = self.find.config.mailers.keys().map(String::as_str);
                let names: Vec<_> = mailers.chain(self.find.registry.names()).collect();
                let known = known_names(name, &names);
                let problem = match given.source {
                    // The URL is a secret.
                    Source::Url => format!("unknown member in the URL{known}"),
                    _ => format!("unknown mailer or backend {name:?}{known}"),
                };
                self.find.fault(Kind::UnknownMailer, &given.place, problem);
                return None;
            }
        };
        if self.open.iter().any(|open| open == name) {
            let problem = format!("the mailer {name:?} cannot be a member of itself");
            self.find.fault(Kind::Conflict, &given.place, problem);
            return None;
        }
        let own = self.find.config.settings.replaced_by(&config.settings);
        if (&own.redirect_to, &own.allow_domains)
            != (&settings.redirect_to, &settings.allow_domains)
        {
            let problem = format!(
                "the member {name:?} has different staging settings (redirect_to, allow_domains), \
                 which would not apply: use the same settings for all mailers"
            );
            self.find.fault(Kind::Conflict, &given.place, problem);
        }
        if let Some(problem) = suppressions_lost(name, &config.settings, settings) {
            self.find.fault(Kind::Conflict, &given.place, problem);
        }
        let made = self.make(name)?;
        if made.members_have_own {
            let problem = format!(
                "the members of its member {name:?} have their own send defaults, which would not apply"
            );
            self.find.fault(Kind::Conflict, &given.place, problem);
        }
        let own = self.specific_defaults(&made.name, &config);
        Some((made, own))
    }

    /// Makes a member that is given as a URL, which has no settings.
    fn member_by_url(
        &mut self,
        url: String,
        at: usize,
        given: &Given,
    ) -> Option<(Made, SendDefaults)> {
        let mut config = MailerConfig::from_url(url);
        config.place = Place::Path(format!("{}[{at}].", given.place));
        let made = self.make_of(&config)?;
        let own = self.specific_defaults(&made.name, &config);
        Some((made, own))
    }

    /// The configuration of a member that is the name of a backend, not of a mailer.
    pub(super) fn implied(&self, name: &str) -> MailerConfig {
        let mut config = MailerConfig::new(name);
        config.place = match &self.find.config.place {
            Place::Path(_) => Place::Path(format!("mailers.{name}.")),
            env => env.clone(),
        };
        config
    }
}
