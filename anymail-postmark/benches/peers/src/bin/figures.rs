//! Prints the table of figures. `benches/README.md` explains it.
//!
//! `figures NAME` prints only that part.

use std::error::Error;
use std::process::Command;

use anymail_figures::server::{self, Kind, Server};
use anymail_figures::smtp::{self, Sink};
use anymail_figures::{addresses, measure, payload, receiving, sending, suppressions};
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next();
    if only.as_deref() == Some("serve") {
        return Ok(server::serve(&arguments.next().unwrap_or_default())?);
    }
    let runtime = Runtime::new()?;
    if only.as_deref() == Some("kept") {
        for row in runtime.block_on(payload::batch()) {
            println!("{row}");
        }
        return Ok(());
    }
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    println!("{}", measure::HEAD);
    if wanted("payload") {
        println!("{}", runtime.block_on(payload::large_attachment()));
    }
    if wanted("heap") {
        println!("{}", measure::heap("attachment")?);
    }
    if wanted("batch") {
        for row in runtime.block_on(payload::batch()) {
            println!("{row}");
        }
        let mut again = Command::new(std::env::current_exe()?);
        again.arg("kept").envs(payload::KEEP_MEMORY).status()?;
    }
    let near = Server::start(Kind::Near)?;
    let far = Server::start(Kind::Far)?;
    let fake = Server::start(Kind::Fake)?;
    if wanted("one") {
        for server in [&near, &far, &fake] {
            println!("{}", sending::one_after_another(&runtime, server));
        }
    }
    if wanted("many") {
        println!("{}", sending::calls_of_many(&runtime, &near));
        for server in [&near, &far, &fake] {
            for row in sending::many(&runtime, server) {
                println!("{row}");
            }
        }
    }
    if wanted("heap") {
        println!("{}", measure::heap("stream")?);
    }
    if wanted("smtp") {
        for pipelining in [false, true] {
            match Sink::start(pipelining)? {
                Some(sink) => println!("{}", smtp::many(&runtime, &sink)),
                None => eprintln!("smtp: skipped: smtp-sink is not installed (Debian: postfix)"),
            }
        }
        println!("{}", measure::heap("smtp")?);
    }
    if wanted("suppressions") {
        println!("{}", suppressions::look_up(&runtime));
        println!("{}", measure::heap("suppressions")?);
    }
    if wanted("receiving") {
        println!("{}", receiving::tracking());
        println!("{}", receiving::inbound());
    }
    if wanted("addresses") {
        println!("{}", addresses::addresses());
    }
    Ok(())
}
