//! The accounting test over SMTP: sends many messages to a server that fails at every stage, and
//! compares the results with the server's own count for each recipient of each message.
//!
//! `ANYMAIL_ACCOUNTING_MESSAGES` makes the run longer than its 3,000 messages, of which a third is
//! sent with TLS; `ANYMAIL_ACCOUNTING_SEED` repeats the faults of an earlier run.
#![cfg(feature = "smtp")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test panics"
)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anymail_core::{
    Accepted, Mailer, Message, RetryPolicy, SendError, SendStatus, SmtpBackend, SmtpConfig,
    SmtpTls, Status,
};
use anymail_test_utils::{LoopbackSmtp, LoopbackTls, SmtpAction, SmtpReply, SmtpStage};

/// Random numbers that a seed reproduces (SplitMix64).
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What an app would record about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Entry {
    /// Not sent yet, or certainly not accepted: to be sent (again).
    Open,
    Sent,
    /// May have been accepted.
    Maybe,
    /// Certainly not accepted, and never will be.
    Refused,
}

/// How often a message has several recipients, and how often it is a batch.
fn recipients(number: usize) -> usize {
    match number % 10 {
        3 | 7 => 3,
        _ => 1,
    }
}

fn is_batch(number: usize) -> bool {
    number % 10 == 7
}

fn address(number: usize, place: usize) -> String {
    // Some recipients are always refused.
    let name = if number % 500 == 403 && place == 1 {
        "gone"
    } else {
        "to"
    };
    format!("{name}-{number}-{place}@example.com")
}

fn message(number: usize, open: &[usize]) -> Message {
    let builder = Message::builder().from("shop@example.com");
    let to = open.iter().map(|place| address(number, *place));
    let mut message = to
        .fold(builder, |builder, to| builder.to(to))
        .subject("Your receipt")
        .text_body("Thank you.\n.\n..\n")
        .build()
        .unwrap();
    if is_batch(number) {
        message.merge_headers.value_or_default();
    }
    message
}

/// A server with a failure at about every twentieth stage.
fn broken_server(seed: u64, tls: LoopbackTls) -> LoopbackSmtp {
    let server = LoopbackSmtp::builder().tls(tls).start().unwrap();
    server.reply_to_recipient(|address| {
        let gone = address.starts_with("gone-");
        gone.then(|| SmtpReply::new(550, "5.1.1 No such user"))
    });
    let actions = SmtpAction::one_of_each();
    server.inject_rule(move |moment| {
        let stage = SmtpStage::ALL.iter().position(|it| *it == moment.stage)? as u64;
        let mut dice = Dice(seed ^ (stage << 56) ^ moment.count);
        if dice.roll(20) != 0 {
            return None;
        }
        let action = actions[dice.roll(actions.len() as u64) as usize].clone();
        let rare = match action {
            // A server that refuses a message and keeps it anyway: no client could detect that.
            SmtpAction::Reply(_) if moment.stage == SmtpStage::Kept => return None,
            // No other reply may be sent unasked (RFC 5321, 3.8). If one is sent just as the client
            // starts, each later reply is taken for the one before it.
            SmtpAction::Reply(ref reply)
                if moment.stage == SmtpStage::Idle && reply.code() != 421 =>
            {
                return None;
            }
            // Makes the client wait for its time limit.
            SmtpAction::Hang => 10,
            // Costs too much time.
            SmtpAction::EndlessLine | SmtpAction::EndlessReply => 20,
            _ => 1,
        };
        (dice.roll(rare) == 0).then_some(action)
    });
    server
}

fn of_status(status: &SendStatus, address: &str) -> Entry {
    match status.recipient(address).unwrap().status {
        Status::Sent | Status::Queued => Entry::Sent,
        Status::Unknown => Entry::Maybe,
        Status::Failed => Entry::Open,
        _ => Entry::Refused,
    }
}

fn of_result(result: &Result<SendStatus, SendError>, address: &str) -> Entry {
    let error = match result {
        Ok(status) => return of_status(status, address),
        Err(error) => error,
    };
    let entry = match error.status() {
        Some(status) => of_status(status, address),
        None if error.accepted() == Accepted::Maybe => Entry::Maybe,
        None => Entry::Open,
    };
    // The error must not promise more than the statuses.
    let promised = error.accepted() == Accepted::No;
    assert!(
        !promised || !matches!(entry, Entry::Maybe | Entry::Sent),
        "{error:?}"
    );
    entry
}

/// The app's records must agree with the server.
fn audit(ledger: &[Vec<Entry>], kept: &HashMap<String, u32>) {
    let mut wrong = Vec::new();
    for (number, entries) in ledger.iter().enumerate() {
        for (place, entry) in entries.iter().enumerate() {
            let address = address(number, place);
            let times = kept.get(&address).copied().unwrap_or(0);
            let right = match entry {
                Entry::Sent => times == 1,
                Entry::Maybe => times <= 1,
                Entry::Refused => times == 0,
                Entry::Open => false,
            };
            if !right {
                wrong.push(format!("{address}: {entry:?}, kept {times} times"));
            }
        }
    }
    let some = &wrong[..wrong.len().min(20)];
    assert!(wrong.is_empty(), "{} wrong: {some:?}", wrong.len());
}

fn from_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_duplicated_or_silently_lost() {
    let messages = from_env("ANYMAIL_ACCOUNTING_MESSAGES", 3_000) as usize;
    let (encrypted, plain) = (messages / 3, messages - messages / 3);
    run(plain, LoopbackTls::None, SmtpTls::None).await;
    // With TLS, nobody knows which bytes of the message are on the wire.
    run(encrypted, LoopbackTls::StartTls, SmtpTls::StartTls).await;
}

async fn run(messages: usize, served: LoopbackTls, tls: SmtpTls) {
    let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let seed = from_env("ANYMAIL_ACCOUNTING_SEED", u64::from(clock.subsec_nanos()));
    println!("ANYMAIL_ACCOUNTING_SEED={seed}");
    let started = Instant::now();
    let server = broken_server(seed, served);
    let mut config = SmtpConfig::new("127.0.0.1")
        .port(server.port())
        .tls(tls)
        .timeout(Duration::from_secs(2))
        .max_connections(16);
    if tls != SmtpTls::None {
        config = config.ca_pem(server.ca_pem());
    }
    let retry = RetryPolicy {
        max_tries: 2,
        first_wait: Duration::from_millis(1),
        ..RetryPolicy::standard()
    };
    let backend = SmtpBackend::new(config).unwrap();
    let mailer = Mailer::builder(backend).retry(retry);
    let mailer = mailer.concurrency(32).build();

    let mut ledger: Vec<_> = (0..messages)
        .map(|number| vec![Entry::Open; recipients(number)])
        .collect();
    let mut kept: HashMap<String, u32> = HashMap::new();
    let mut rounds = 0;
    loop {
        // Send what is open, and never what may have been accepted.
        let open: Vec<(usize, Vec<usize>)> = ledger
            .iter()
            .enumerate()
            .map(|(number, entries)| {
                let places = (0..entries.len()).filter(|place| entries[*place] == Entry::Open);
                (number, places.collect::<Vec<_>>())
            })
            .filter(|(_, places)| !places.is_empty())
            .collect();
        if open.is_empty() {
            break;
        }
        rounds += 1;
        assert!(rounds <= 100, "no end to it");
        for part in open.chunks(1000) {
            let mails: Vec<_> = part.iter().map(|(at, open)| message(*at, open)).collect();
            let results = mailer.send_all(&mails).await;
            assert_eq!(results.len(), part.len());
            for ((number, places), result) in part.iter().zip(&results) {
                for place in places {
                    ledger[*number][*place] = of_result(result, &address(*number, *place));
                }
            }
        }
    }
    drop(mailer);
    // The server may still keep a message that its client has given up.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for mail in server.messages() {
        for recipient in mail.addresses() {
            *kept.entry(recipient.to_owned()).or_default() += 1;
        }
    }
    let entries = || ledger.iter().flatten();
    let count = |wanted| entries().filter(|entry| **entry == wanted).count();
    let (sent, maybe) = (count(Entry::Sent), count(Entry::Maybe));
    let counts = server.counts();
    println!(
        "{messages} messages to {} recipients in {rounds} rounds and {:?}: {sent} sent, {maybe} \
         maybe, {} refused; {} connections, {} mails kept",
        entries().count(),
        started.elapsed(),
        count(Entry::Refused),
        counts.connections,
        counts.messages,
    );
    audit(&ledger, &kept);
    assert!(
        maybe > 0 && rounds > 1,
        "no fault occurred, so nothing was tested"
    );
    server.assert_no_violations();
}
