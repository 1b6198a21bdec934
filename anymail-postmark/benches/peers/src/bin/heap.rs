//! Measures the peak heap in a separate process, because a counting allocator takes time, and
//! because the allocations of other measurements must not count.

use std::error::Error;
use std::pin::pin;

use anymail_core::{Field, Mailer};
use anymail_figures::scenarios;
use anymail_figures::sending::mailer;
use anymail_figures::server::{Kind, Server};
use anymail_figures::smtp::Sink;
use anymail_figures::suppressions;
use futures_util::{StreamExt, stream};
use peak_alloc::PeakAlloc;
use tokio::runtime::Runtime;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Prints two numbers of bytes: the measured one, and the one to compare it with.
fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let what = std::env::args().nth(1);
    match what.as_deref() {
        Some("suppressions") => {
            let before = HEAP.current_usage();
            let store = suppressions::store();
            println!(
                "{} {}",
                HEAP.current_usage() - before,
                suppressions::ADDRESSES
            );
            drop(store);
            return Ok(());
        }
        Some("smtp") => {
            let sink = Sink::start(true)?.ok_or("smtp-sink is not installed (Debian: postfix)")?;
            let mailer = sink.mailer();
            runtime.block_on(mailer.send(&scenarios::small(1)))?;
            let mut message = scenarios::with_attachment(scenarios::LARGE);
            message.metadata = Field::Unset;
            message.tags = Field::Unset;
            let peak = peak_of(|| {
                runtime.block_on(mailer.send(&message)).unwrap();
            });
            println!("{peak} {}", scenarios::LARGE);
            return Ok(());
        }
        _ => {}
    }
    // With a server that is far away, the maximum number of calls is in progress.
    let server = Server::start(Kind::Far)?;
    let mailer = mailer(&server);
    // Things that are created once, such as connections, do not count.
    runtime.block_on(run(&mailer, 10_000));
    let (measured, by) = match what.as_deref() {
        Some("attachment") => {
            let message = scenarios::with_attachment(scenarios::LARGE);
            let peak = peak_of(|| {
                runtime.block_on(mailer.send(&message)).unwrap();
            });
            (peak, scenarios::LARGE)
        }
        Some("stream") => {
            let few = peak_of(|| runtime.block_on(run(&mailer, 10_000)));
            let many = peak_of(|| runtime.block_on(run(&mailer, 1_000_000)));
            (many, few)
        }
        _ => return Err("usage: heap attachment|stream|smtp|suppressions".into()),
    };
    println!("{measured} {by}");
    Ok(())
}

/// Returns the peak of the heap while this runs, without what was allocated before.
fn peak_of(run: impl FnOnce()) -> usize {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    run();
    HEAP.peak_usage() - before
}

async fn run(mailer: &Mailer, messages: usize) {
    let messages = stream::iter((0..messages).map(scenarios::small));
    let mut sent = pin!(mailer.send_stream(messages));
    while let Some((_, result)) = sent.next().await {
        result.unwrap();
    }
}
