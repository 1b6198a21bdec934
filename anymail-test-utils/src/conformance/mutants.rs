//! [`Mutants`]: backends that are broken on purpose, each with the trials that must detect it.
//!
//! `broken.rs` defines how a backend is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Arguments, Failed, Trial};

use super::broken::{Broken, Sabotage};
use super::harness::{Harness, SmtpHarness};
use super::suite::{Outcome, Suite};

/// Faults that are planted in one backend, one at a time.
///
/// They prove that a suite, with its harness and profile, detects what it should. Each fault lists
/// the trials that must fail. For each of these trials, the run checks that the original backend
/// passes and the broken one fails.
///
/// In `tests/mutants.rs`, with `harness = false` as for the suite itself:
///
/// ```no_run
/// # use anymail_test_utils::conformance::Harness;
/// # fn example<H: Harness>(my_harness: fn() -> H) {
/// use anymail_test_utils::conformance::{Mutants, Sabotage, main_mutants};
///
/// let mutants = Mutants::http("my_esp", my_harness)
///     .plant(
///         "forgets_the_bcc",
///         Sabotage::Message(|message| message.bcc = Default::default()),
///         &["recipients::bcc_arrives_and_nobody_sees_it"],
///     )
///     .plant(
///         "treats_every_response_as_success",
///         Sabotage::Response(|response| *response.status_mut() = http::StatusCode::OK),
///         &["network::a_refused_request_is_reported_correctly"],
///     );
/// main_mutants([mutants])
/// # }
/// ```
pub struct Mutants {
    shape: &'static str,
    unbroken: Arc<LazySuite>,
    break_by: Arc<dyn Fn(Sabotage) -> Suite + Send + Sync>,
    planted: Vec<Planted>,
    of_every_trial: bool,
}

type LazySuite = LazyLock<Suite, Box<dyn FnOnce() -> Suite + Send>>;

struct Planted {
    name: String,
    suite: Arc<LazySuite>,
    caught_by: Vec<String>,
}

fn lazy(make: impl FnOnce() -> Suite + Send + 'static) -> Arc<LazySuite> {
    Arc::new(LazyLock::new(Box::new(make)))
}

impl Mutants {
    /// Creates faults for a backend with an HTTP API. `shape` is its name in lists.
    pub fn http<H: Harness>(shape: &'static str, harness: fn() -> H) -> Self {
        Self {
            shape,
            unbroken: lazy(move || Suite::new(harness())),
            break_by: Arc::new(move |sabotage| Suite::new(Broken::new(harness(), sabotage))),
            planted: Vec::new(),
            of_every_trial: false,
        }
    }

    /// Creates faults for a backend that sends over SMTP.
    pub fn smtp<H: SmtpHarness>(shape: &'static str, harness: fn() -> H) -> Self {
        Self {
            shape,
            unbroken: lazy(move || Suite::smtp(harness())),
            break_by: Arc::new(move |sabotage| Suite::smtp(Broken::new(harness(), sabotage))),
            planted: Vec::new(),
            of_every_trial: false,
        }
    }

    /// Plants a fault.
    #[must_use]
    pub fn plant(self, name: &str, sabotage: Sabotage, caught_by: &[&str]) -> Self {
        let break_by = Arc::clone(&self.break_by);
        self.plant_suite(name, move || break_by(sabotage), caught_by)
    }

    /// Plants a fault for which there is no [`Sabotage`]: `suite` creates the suite with the broken
    /// backend.
    #[must_use]
    pub fn plant_suite(
        mut self,
        name: &str,
        suite: impl FnOnce() -> Suite + Send + 'static,
        caught_by: &[&str],
    ) -> Self {
        self.planted.push(Planted {
            name: name.to_owned(),
            suite: lazy(suite),
            caught_by: caught_by.iter().map(|&trial| trial.to_owned()).collect(),
        });
        self
    }

    /// Uses another suite for the original backend: the one that [`plant_suite`](Self::plant_suite)
    /// breaks, without any fault.
    #[must_use]
    pub fn unbroken(mut self, suite: impl FnOnce() -> Suite + Send + 'static) -> Self {
        self.unbroken = lazy(suite);
        self
    }

    /// Requires at least one fault for every trial of the suite.
    #[must_use]
    pub fn of_every_trial(mut self) -> Self {
        self.of_every_trial = true;
        self
    }

    fn trials(&self, trials: &mut Vec<Trial>) {
        let mut named = BTreeSet::new();
        for planted in &self.planted {
            for rule in &planted.caught_by {
                named.insert(rule.clone());
                let (suite, own) = (Arc::clone(&planted.suite), rule.clone());
                let name = format!("{}: {} is caught by {rule}", self.shape, planted.name);
                trials.push(Trial::test(name, move || match suite.run(&own) {
                    Outcome::Failed(_) => Ok(()),
                    other => Err(format!("the mutant was not detected: {other:?}").into()),
                }));
            }
            if planted.caught_by.is_empty() {
                let name = format!("{}: {} names a trial", self.shape, planted.name);
                trials.push(Trial::test(name, || Err("the fault lists no trial".into())));
            }
        }
        for rule in &named {
            let (suite, own) = (Arc::clone(&self.unbroken), rule.clone());
            let name = format!("{}: the original backend passes {rule}", self.shape);
            trials.push(Trial::test(name, move || match suite.run(&own) {
                Outcome::Passed => Ok(()),
                other => Err(format!("{other:?}").into()),
            }));
        }
        if self.of_every_trial {
            let suite = Arc::clone(&self.unbroken);
            let name = format!("{}: every trial has a mutant", self.shape);
            trials.push(Trial::test(name, move || all_named(&suite, &named)));
        }
    }
}

fn all_named(suite: &Suite, named: &BTreeSet<String>) -> Result<(), Failed> {
    // That there are trials is not a rule for backends.
    let names = suite.names().filter(|name| !name.starts_with("harness::"));
    let left: Vec<_> = names.filter(|name| !named.contains(*name)).collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(format!("these trials have no mutant: {left:#?}").into()),
    }
}

/// Runs the mutants as the command line requests, and exits the process.
///
/// With the argument `--topics`, it prints the faults by topic with their numbers instead.
pub fn main_mutants(all: impl IntoIterator<Item = Mutants>) -> ! {
    let all: Vec<_> = all.into_iter().collect();
    if std::env::args().any(|argument| argument == "--topics") {
        let printed = std::io::stdout()
            .lock()
            .write_all(by_topic(&all).as_bytes());
        std::process::exit(i32::from(printed.is_err()));
    }
    // Some mutants panic, which the trials report; backtraces would hide the rest.
    std::panic::set_hook(Box::new(|_| {}));
    let mut trials = Vec::new();
    for mutants in &all {
        mutants.trials(&mut trials);
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

/// Formats the faults by topic, with their numbers. Each counts in the topic of the first trial
/// that it lists.
fn by_topic(all: &[Mutants]) -> String {
    let mut topics: BTreeMap<&str, Vec<(usize, &Planted)>> = BTreeMap::new();
    for (shape, mutants) in all.iter().enumerate() {
        for planted in &mutants.planted {
            let first = planted.caught_by.first().map_or("", String::as_str);
            let topic = first.split("::").next().unwrap_or_default();
            topics.entry(topic).or_default().push((shape, planted));
        }
    }
    let mut text = format!("{:<14}", "topic");
    for mutants in all {
        text.push_str(&format!(" {:>14}", mutants.shape));
    }
    text.push_str("            all\n");
    let line = |topic: &str, counts: &[usize]| {
        let sum: usize = counts.iter().sum();
        let counts: String = counts.iter().map(|count| format!(" {count:>14}")).collect();
        format!("{topic:<14}{counts} {sum:>14}\n")
    };
    let mut sums = vec![0; all.len()];
    for (topic, planted) in &topics {
        let count = |shape| planted.iter().filter(|(it, _)| *it == shape).count();
        let counts: Vec<_> = (0..all.len()).map(count).collect();
        for (sum, count) in sums.iter_mut().zip(&counts) {
            *sum += count;
        }
        text.push_str(&line(topic, &counts));
    }
    text.push_str(&line("all", &sums));
    for (topic, planted) in &topics {
        text.push_str(&format!("\n{topic}\n"));
        for (shape, planted) in planted {
            let shape = all.get(*shape).map_or("", |mutants| mutants.shape);
            let trials = planted.caught_by.join(", ");
            text.push_str(&format!("  {shape}: {} -> {trials}\n", planted.name));
        }
    }
    text
}

impl std::fmt::Debug for Mutants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.planted.iter().map(|planted| &planted.name);
        f.debug_struct("Mutants")
            .field("shape", &self.shape)
            .field("planted", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_faults_are_listed_and_counted_by_topic() {
        let shape = |shape, trials: &[&str]| {
            let planted = trials.iter().map(|trial| Planted {
                name: format!("breaks_{trial}"),
                suite: lazy(|| panic!("only the names are read")),
                caught_by: vec![(*trial).to_owned()],
            });
            Mutants {
                shape,
                unbroken: lazy(|| panic!("only the names are read")),
                break_by: Arc::new(|_| panic!("only the names are read")),
                planted: planted.collect(),
                of_every_trial: false,
            }
        };
        let text = by_topic(&[
            shape("pigeon", &["headers::a", "headers::b", "network::c"]),
            shape("dove", &["headers::a"]),
        ]);
        let rows: Vec<Vec<_>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["topic", "pigeon", "dove", "all"]);
        assert_eq!(rows[1], ["headers", "2", "1", "3"]);
        assert_eq!(rows[2], ["network", "1", "0", "1"]);
        assert_eq!(rows[3], ["all", "3", "1", "4"]);
        assert!(
            text.contains("  dove: breaks_headers::a -> headers::a\n"),
            "{text}"
        );
    }
}
