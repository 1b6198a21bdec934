//! [`Trial`]: one rule, its name, and how it is run.
//!
//! A trial uses a [`Rig`] (`rig.rs`); the topics list the trials.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::capture::Capture;
use super::rig::Rig;
use super::subject::Subject;
use super::wire::IMPATIENT;

/// Why a trial ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Fail(String),
    Skip(String),
}

impl Stop {
    pub(super) fn fail(why: impl Into<String>) -> Self {
        Self::Fail(why.into())
    }

    pub(super) fn skip(why: impl Into<String>) -> Self {
        Self::Skip(why.into())
    }
}

/// The result of a trial or of one of its steps.
pub(super) type Verdict<T = ()> = Result<T, Stop>;

type Run = dyn Fn(Rig) -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync;

/// One rule.
pub(super) struct Trial {
    /// `topic::what_a_user_relies_on`.
    pub(super) name: String,
    /// Where an author should look when it fails.
    look_at: String,
    timeout: Duration,
    threads: bool,
    traced: bool,
    run: Box<Run>,
}

/// The time limit of a trial. A backend's own time limit is much shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// Creates a rule that `run` tests.
pub(super) fn trial<F, R>(name: impl Into<String>, look_at: impl Into<String>, run: F) -> Trial
where
    F: Fn(Rig) -> R + Send + Sync + 'static,
    R: Future<Output = Verdict> + Send + 'static,
{
    Trial {
        name: name.into(),
        look_at: look_at.into(),
        timeout: Duration::from_secs(30),
        threads: false,
        traced: false,
        run: Box::new(move |rig| Box::pin(run(rig))),
    }
}

impl Trial {
    /// Gives the backend a short time limit for calls.
    pub(super) fn impatient(mut self) -> Self {
        self.timeout = IMPATIENT;
        self
    }

    /// Runs tasks on several threads.
    pub(super) fn on_threads(mut self) -> Self {
        self.threads = true;
        self
    }

    /// Records everything that is traced after the backend was created.
    pub(super) fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Runs the trial with a new rig.
    pub(super) fn run(&self, subject: &Subject) -> Verdict {
        let mut builder = match self.threads {
            true => tokio::runtime::Builder::new_multi_thread(),
            false => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder
            .enable_all()
            .worker_threads(4)
            .build()
            .map_err(|error| Stop::fail(format!("could not start a tokio runtime: {error}")))?;
        let traced = Capture::default();
        let trial = || runtime.block_on(self.run_on(subject, &traced));
        let verdict = match self.traced {
            true => traced.over(trial),
            false => trial(),
        };
        runtime.shutdown_background();
        match verdict {
            Err(Stop::Fail(why)) => {
                Err(Stop::Fail(format!("{why}\n  look at    {}", self.look_at)))
            }
            other => other,
        }
    }

    async fn run_on(&self, subject: &Subject, traced: &Capture) -> Verdict {
        let mut rig = subject.rig(self.timeout)?;
        rig.traced = traced.clone();
        // A separate task, so that a panic fails only this trial.
        let running = tokio::spawn((self.run)(rig));
        match tokio::time::timeout(PATIENCE, running).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(ended)) => Err(Stop::Fail(panicked(ended.try_into_panic().ok()))),
            Err(_) => Err(Stop::fail(format!(
                "the trial did not finish within {PATIENCE:?}, although the backend's time limit is {:?}: \
                 does the harness pass on Target::timeout?",
                self.timeout
            ))),
        }
    }
}

fn panicked(payload: Option<Box<dyn Any + Send>>) -> String {
    let words = payload.as_ref().and_then(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    });
    format!("it panicked: {}", words.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_panics_says_why() {
        assert_eq!(panicked(Some(Box::new("a text"))), "it panicked: a text");
        assert_eq!(
            panicked(Some(Box::new("built".to_owned()))),
            "it panicked: built"
        );
        assert_eq!(panicked(Some(Box::new(7))), "it panicked: ");
    }
}
