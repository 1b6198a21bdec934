//! [`Suite`]: all trials that apply to a backend, and how they are run and reported.

use std::fmt;
use std::sync::Arc;

use anymail_core::{Capabilities, Feature, Support};
use libtest_mimic::{Arguments, Completion, Failed, Trial as Mimic};

use super::harness::{Harness, LocalHarness, SmtpHarness};
use super::profile::Profile;
use super::subject::Subject;
use super::trial::{Stop, Trial};
use super::wire::Faults;
use super::{
    about, addresses, attachments, batch, calls, extra, features, many, messages, network,
    protocol, responses, secrets, signatures, statuses, tasks, templates, together, webhooks,
};

/// The trials that apply to one backend.
///
/// Most backends only need [`main`](super::main). Use this type to run a single trial, for example
/// to prove that it detects a fault.
pub struct Suite {
    subject: Subject,
    profile: Profile,
    trials: Vec<Trial>,
    /// Why there are no trials.
    cannot_start: Option<String>,
}

/// The trial that checks that there are trials. Without it, a harness that cannot create a backend,
/// or a list with a wrong name, would go unnoticed.
const STARTS: &str = "harness::creates_a_backend_and_lists_only_existing_trials";

/// The result of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The rule is kept, or it is broken and a known gap.
    Passed,
    /// The rule is broken, for this reason; or it is a known gap that has closed.
    Failed(String),
    /// The trial was not run, for this reason.
    Skipped(String),
}

impl Suite {
    /// Creates the suite for a backend of an ESP with an HTTP API.
    pub fn new(harness: impl Harness) -> Self {
        Self::over(Subject::Http(Arc::new(harness)))
    }

    /// Creates the suite for a backend that sends over SMTP.
    pub fn smtp(harness: impl SmtpHarness) -> Self {
        Self::over(Subject::Smtp(Arc::new(harness)))
    }

    /// Creates the suite for a backend that makes no calls.
    pub fn local(harness: impl LocalHarness) -> Self {
        Self::over(Subject::Local(Arc::new(harness)))
    }

    fn over(subject: Subject) -> Self {
        let (trials, cannot_start) = match subject.idle_backend() {
            Ok(backend) => {
                let faults = subject.faults();
                let profile = subject.profile();
                let mut trials = trials(backend.capabilities(), &profile, faults.as_ref());
                let kinds = subject.webhook_kinds();
                trials.extend(webhooks::trials(&kinds));
                if subject.signer().is_some() {
                    trials.extend(signatures::trials(&kinds));
                }
                (trials, None)
            }
            Err(Stop::Fail(why) | Stop::Skip(why)) => (Vec::new(), Some(why)),
        };
        Self {
            profile: subject.profile(),
            subject,
            trials,
            cannot_start,
        }
    }

    /// Returns the names of the trials, `topic::what_a_user_relies_on`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let trials = self.trials.iter().map(|trial| &*trial.name);
        std::iter::once(STARTS).chain(trials)
    }

    /// Runs one trial, subject to the backend's skips and known gaps.
    ///
    /// An unknown name is a failure.
    pub fn run(&self, name: &str) -> Outcome {
        if name == STARTS {
            return self.starts().map_or(Outcome::Passed, Outcome::Failed);
        }
        match self.trials.iter().find(|trial| trial.name == name) {
            Some(trial) => run(trial, &self.subject, &self.profile),
            None => Outcome::Failed(format!("unknown trial {name:?} for this backend")),
        }
    }

    /// Runs the suite as the command line requests, and exits the process.
    pub fn main(self) -> ! {
        let arguments = Arguments::from_args();
        let suite = Arc::new(self);
        let mimic = |name: &str| {
            let kind = match listed(&suite.profile.known_gaps, name) {
                Some(_) => "known gap",
                None => "",
            };
            let (suite, own_name) = (Arc::clone(&suite), name.to_owned());
            let run = move || match suite.run(&own_name) {
                Outcome::Passed => Ok(Completion::Completed),
                Outcome::Failed(why) => Err(Failed::from(why)),
                Outcome::Skipped(why) => Ok(Completion::ignored_with(why)),
            };
            Mimic::ignorable_test(name, run).with_kind(kind)
        };
        let mimics = suite.names().map(mimic).collect();
        libtest_mimic::run(&arguments, mimics).exit()
    }

    /// Returns what is wrong with the harness as a whole.
    fn starts(&self) -> Option<String> {
        if let Some(why) = &self.cannot_start {
            return Some(why.clone());
        }
        let lists = [
            ("known_gaps", &self.profile.known_gaps),
            ("skips", &self.profile.skips),
        ];
        for (list, entries) in lists {
            for (name, _) in entries {
                if !self.trials.iter().any(|trial| trial.name == *name) {
                    return Some(format!(
                        "Profile::{list} contains {name:?}, which is not a trial for this backend; \
                         `-- --list` lists them"
                    ));
                }
            }
        }
        let skipped = |trial: &Trial| listed(&self.profile.skips, &trial.name).is_some();
        let all = self.trials.iter().all(skipped);
        all.then(|| "Profile::skips contains every trial".to_owned())
    }
}

/// Lists the names of the trials.
impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// `faults` are the faults that can occur; `None` for a backend that makes no calls.
fn trials(can: &Capabilities, profile: &Profile, faults: Option<&Faults>) -> Vec<Trial> {
    let local = faults.is_none();
    let mut trials = about::trials();
    trials.extend(messages::trials(can));
    trials.extend(addresses::trials(can));
    trials.extend(attachments::trials(can));
    trials.extend(features::trials(can));
    trials.extend(extra::trials(can, local));
    trials.extend(templates::trials(can));
    trials.extend(batch::trials(can));
    trials.extend(many::trials(can, local));
    trials.extend(secrets::trials(faults));
    trials.extend(tasks::trials(local));
    if let Some(faults) = faults {
        trials.extend(calls::trials(can, profile, faults));
        trials.extend(together::trials(can));
        trials.extend(statuses::trials(can));
        trials.extend(network::trials(faults));
        trials.extend(protocol::trials(can, faults));
        trials.extend(responses::trials(
            can.support(Feature::Batch) != Support::No,
        ));
    }
    trials
}

fn listed(list: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    let entry = list.iter().find(|(listed, _)| *listed == name);
    entry.map(|(_, reason)| *reason)
}

fn run(trial: &Trial, subject: &Subject, profile: &Profile) -> Outcome {
    if let Some(reason) = listed(&profile.skips, &trial.name) {
        return Outcome::Skipped(reason.to_owned());
    }
    let gap = listed(&profile.known_gaps, &trial.name);
    match (trial.run(subject), gap) {
        (Ok(()), None) | (Err(Stop::Fail(_)), Some(_)) => Outcome::Passed,
        (Err(Stop::Skip(why)), _) => Outcome::Skipped(why),
        (Err(Stop::Fail(why)), None) => Outcome::Failed(why),
        (Ok(()), Some(reason)) => Outcome::Failed(format!(
            "this known gap has closed ({reason}): remove it from Profile::known_gaps"
        )),
    }
}
