//! Concurrent tasks with one backend, and cancelled futures.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinSet;

use super::rig::Rig;
use super::statuses::ids;
use super::trial::{Stop, Trial, Verdict, trial};
use crate::fixtures::{plain, plain_to};

pub(super) fn trials(local: bool) -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "tasks::concurrent_tasks_each_get_their_own_result",
            "what your backend shares between calls",
            at_once,
        )
        .on_threads(),
    ];
    if !local {
        const DROPPED: &str = "what your backend holds across an await: a lock, a place in a queue";
        trials.extend([
            trial(
                "tasks::a_dropped_future_leaves_the_backend_usable",
                DROPPED,
                dropped,
            ),
            trial(
                "tasks::a_future_dropped_early_leaves_the_backend_usable",
                DROPPED,
                early,
            ),
        ]);
    }
    trials
}

async fn at_once(rig: Rig) -> Verdict {
    const TASKS: usize = 50;
    let mut tasks = JoinSet::new();
    for i in 0..TASKS {
        let mailer = rig.mailer.clone();
        tasks.spawn(async move {
            let to = format!("to{i}@example.com");
            let result = mailer.send(&plain_to([&*to])).await;
            (to, result)
        });
    }
    while let Some(ended) = tasks.join_next().await {
        let (to, result) = ended.map_err(|error| Stop::fail(error.to_string()))?;
        rig.trust()?;
        match result {
            Ok(status) => {
                let own = status.recipients().any(|it| it.email == to);
                rig.ensure(own, || {
                    format!("the task of {to} got the result {status:?}")
                })?;
                if !rig.is_local() {
                    ids(&rig, &status)?;
                }
            }
            Err(error) => {
                return Err(rig.fail(format!("the message to {to} was not sent: {error}")));
            }
        }
    }
    let mails = rig.mails()?.len();
    rig.ensure(mails == TASKS, || {
        format!("{TASKS} tasks sent {mails} messages")
    })
}

async fn dropped(rig: Rig) -> Verdict {
    // More than a backend's likely limit of connections, permits or workers.
    for _ in 0..20 {
        rig.inject(&rig.faults()?.taken_then_silent)?;
        let message = plain();
        let sending = rig.mailer.send(&message);
        tokio::select! {
            result = sending => {
                return Err(rig.fail(format!("expected no result while the ESP does not respond, got {result:?}")));
            }
            () = rig.wire.next_call() => {} // the ESP has the message; drop the future
        }
    }
    usable(&rig).await
}

async fn early(rig: Rig) -> Verdict {
    for polls in 0..20 {
        let message = plain();
        let mut sending = Box::pin(rig.mailer.send(&message));
        let mut left = polls;
        std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            match sending.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await;
    }
    usable(&rig).await
}

async fn usable(rig: &Rig) -> Verdict {
    rig.all_is_well();
    let mut tasks = JoinSet::new();
    let backend = Arc::clone(&rig.backend);
    for i in 0..10 {
        let mailer = anymail_core::Mailer::new(Arc::clone(&backend));
        tasks.spawn(async move {
            mailer
                .send(&plain_to([&*format!("to{i}@example.com")]))
                .await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended.map_err(|error| Stop::fail(error.to_string()))? {
            return Err(rig.fail(format!(
                "the backend does not work after futures were dropped: {error}"
            )));
        }
    }
    rig.trust()
}
