//! One store in PostgreSQL for several processes, on the test's own server.

mod server;

use std::process::Stdio;
use std::slice;

use anymail_core::{AddressKey, Reactivation, Suppression, SuppressionReason, SuppressionStore};
use anymail_test_utils::{BounceType, FakePostmark, LoopbackSmtp, suppression_stores};
use futures_util::TryStreamExt;
use suppressions_postgres::PostgresSuppressionStore;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use self::server::Server;

/// Starts a server, or prints why the test is skipped.
async fn server() -> Option<Server> {
    match Server::start().await {
        Ok(server) => Some(server),
        Err(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

#[tokio::test]
async fn the_store_follows_the_contract() {
    let Some(server) = server().await else { return };
    let store = PostgresSuppressionStore::new(server.connect().await);
    suppression_stores::check(&store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_change_the_same_addresses_at_once_agree_in_the_end() {
    let Some(server) = server().await else { return };
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let key = |n: i64| AddressKey::of(&format!("n{n}@example.com"));
    let mut tasks = Vec::new();
    for process in 0..8_i64 {
        // Each has its own pool and finds no table, like a new process.
        let store = PostgresSuppressionStore::new(server.connect().await);
        tasks.push(tokio::spawn(async move {
            for round in 0..10 {
                let at = start + Duration::minutes(10 * round + process);
                let mut all: Vec<_> = (0..50)
                    .map(|n| Suppression::of_key(key(n), SuppressionReason::Unsubscribe, at))
                    .collect();
                if process % 2 == 0 {
                    all.reverse();
                }
                store.add(&all).await.unwrap();
                let ended: Vec<_> = (0..25)
                    .map(|n| Reactivation::of_key(key(n), at + Duration::seconds(1)))
                    .collect();
                store.remove(&ended).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let store = PostgresSuppressionStore::new(server.connect().await);
    let all: Vec<Suppression> = store.list().try_collect().await.unwrap();
    assert_eq!(all.len(), 25);
    for suppression in all {
        assert_eq!(suppression.since, start + Duration::minutes(97));
    }
}

/// A process of the app.
fn app(server: &Server, variables: &[(&str, &str)]) -> Command {
    let mut app = Command::new(env!("CARGO_BIN_EXE_suppressions-postgres"));
    let suppressions = r#"{"store": "postgres", "options": {"url": "env:DATABASE_URL"}}"#;
    app.env_clear()
        .env("DATABASE_URL", server.url())
        .env("ANYMAIL_SUPPRESSIONS", suppressions)
        .env("ANYMAIL_DEFAULT_FROM", "me@example.com")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    app
}

async fn send(server: &Server, variables: &[(&str, &str)], to: &[&str]) -> String {
    let output = app(server, variables).arg("send").args(to).output().await;
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_address_that_bounced_at_one_esp_gets_nothing_from_another_process_through_another_esp()
{
    let Some(server) = server().await else { return };
    let fake = FakePostmark::start().unwrap();
    let url = fake.url();
    let postmark = [
        ("ANYMAIL_BACKEND", "postmark"),
        ("ANYMAIL_POSTMARK_SERVER_TOKEN", "server-token"),
        ("ANYMAIL_POSTMARK_API_URL", &*url),
        ("ANYMAIL_WEBHOOK_SECRET", "hook:secret"),
    ];
    let mut serving = app(&server, &postmark)
        .args(["serve", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let address = listening(&mut serving).await;
    fake.add_webhook(&format!(
        "http://hook:secret@{address}/anymail/postmark/tracking/"
    ));

    let everybody = ["bounced@example.com", "left@example.com", "ann@example.com"];
    let said = send(&server, &postmark, &everybody).await;
    assert_eq!(said.matches("by postmark").count(), 3, "{said}");
    let messages = fake.messages();
    let [bounced, left, _] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    let reports = fake
        .bounce(&bounced.id, BounceType::HardBounce)
        .await
        .unwrap();
    assert!(reports.iter().all(|report| report.status() == Some(200)));
    fake.unsubscribe(&left.id).await.unwrap();

    let smtp = LoopbackSmtp::start().unwrap();
    let url = format!("smtp://127.0.0.1:{}?tls=none", smtp.port());
    let other = [("ANYMAIL_URL", &*url)];
    let said = send(&server, &other, &everybody).await;
    let lines: Vec<_> = said.lines().collect();
    let [bounced, left, ann] = lines.as_slice() else {
        panic!("{said}");
    };
    assert!(
        bounced.contains("hard_bounce, reported by postmark"),
        "{said}"
    );
    assert!(left.contains("unsubscribe, reported by postmark"), "{said}");
    assert_eq!(*ann, "sent ann@example.com by smtp");
    let mails = smtp.messages();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].addresses(), ["ann@example.com"]);
    serving.kill().await.unwrap();

    // While the database is down, messages wait.
    let gone = [
        &other[..],
        &[("DATABASE_URL", "postgres://x@localhost/x?host=/nowhere")],
    ]
    .concat();
    let said = send(&server, &gone, &everybody[2..]).await;
    assert!(said.contains("could not look up suppressions"), "{said}");
    let database = PostgresSuppressionStore::new(server.connect().await);
    let ann = AddressKey::of(everybody[2]);
    let found = database.look_up(slice::from_ref(&ann)).await.unwrap();
    assert_eq!(found, []);
}

async fn listening(process: &mut Child) -> String {
    let output = BufReader::new(process.stdout.take().unwrap());
    let line = output.lines().next_line().await.unwrap().unwrap();
    line.strip_prefix("listening on ").unwrap().to_owned()
}
