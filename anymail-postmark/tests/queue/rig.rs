//! [`Rig`]: the example's queue on a real RabbitMQ, a fake Postmark, and worker processes.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anymail_core::Message;
use anymail_test_utils::FakePostmark;
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::AS_EXAMPLE;
use crate::rabbitmq::RabbitMq;

/// The time limit of every step.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) fake: FakePostmark,
    queue: &'static str,
    pub(crate) amqp_url: String,
    channel: Channel,
    connection: Connection,
    settings: Vec<(&'static str, &'static str)>,
}

/// A message found on a queue.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Rig {
    /// A separate queue for each test, by its name.
    pub(crate) async fn start(
        server: &RabbitMq,
        queue: &'static str,
        settings: &[(&'static str, &'static str)],
    ) -> Self {
        let fake = FakePostmark::builder().token("victim").token("others");
        let fake = fake.start().unwrap();
        fake.server().set_recording(false);
        let amqp_url = server.url();
        let connection = Connection::connect(&amqp_url, ConnectionProperties::default());
        let connection = connection.await.unwrap();
        let rig = Self {
            fake,
            queue,
            amqp_url,
            channel: connection.create_channel().await.unwrap(),
            connection,
            settings: settings.to_vec(),
        };
        rig.publish([]); // declares the queues
        rig
    }

    /// Creates a process that runs the example with these arguments.
    fn example(&self, arguments: &[&str], token: &str) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(arguments)
            .env(AS_EXAMPLE, "1")
            .env("AMQP_URL", &self.amqp_url)
            .env("MAIL_QUEUE", self.queue)
            .env("POSTMARK_SERVER_TOKEN", token)
            .env("POSTMARK_API_URL", self.fake.url())
            .envs(self.settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Publishes messages with the example's publisher.
    pub(crate) fn publish<'a>(&self, messages: impl IntoIterator<Item = (&'a str, &'a Message)>) {
        let mut publisher = self.example(&["publish"], "");
        let mut input = publisher.stdin.take().unwrap();
        for (id, message) in messages {
            writeln!(input, "{}", json!({"id": id, "message": message})).unwrap();
        }
        drop(input);
        finish(publisher);
    }

    /// Puts bytes on the work queue unchanged.
    pub(crate) async fn publish_raw(&self, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish("".into(), self.queue.into(), options, body, properties)
            .await
            .unwrap();
    }

    pub(crate) fn worker(&self, token: &str) -> Worker {
        Worker(Some(self.example(&["work"], token)))
    }

    /// Runs the example's review and returns its output.
    pub(crate) fn review(&self, arguments: &[&str]) -> String {
        let arguments: Vec<_> = ["review"].iter().chain(arguments).copied().collect();
        finish(self.example(&arguments, "others"))
    }

    /// Returns how often Postmark has accepted each message, by the app's ID.
    pub(crate) fn accepted(&self) -> BTreeMap<String, usize> {
        let mut accepted = BTreeMap::new();
        for message in self.fake.messages() {
            *accepted
                .entry(message.metadata["anymail_id"].clone())
                .or_default() += 1;
        }
        accepted
    }

    /// Returns how many messages on a queue no worker has taken.
    pub(crate) async fn count(&self, queue: &str) -> usize {
        let look = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = format!("{}{queue}", self.queue);
        let looking = self
            .channel
            .queue_declare(name.into(), look, FieldTable::default());
        looking.await.unwrap().message_count().try_into().unwrap()
    }

    /// Returns the messages on a queue, without removing them.
    pub(crate) async fn peek(&self, queue: &str) -> Vec<Found> {
        let channel = self.connection.create_channel().await.unwrap();
        let name = format!("{}{queue}", self.queue);
        let mut found = Vec::new();
        while let Some(got) = channel
            .basic_get(name.as_str().into(), BasicGetOptions::default())
            .await
            .unwrap()
        {
            let id = got.properties.message_id().clone().unwrap_or_default();
            let headers = got.properties.headers().iter().flatten();
            let text = |value: &lapin::types::AMQPValue| match value {
                lapin::types::AMQPValue::LongString(text) => text.to_string(),
                lapin::types::AMQPValue::LongLongInt(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            found.push(Found {
                id: id.as_str().to_owned(),
                headers: headers
                    .map(|(key, value)| (key.as_str().to_owned(), text(value)))
                    .collect(),
            });
        }
        channel.close(200, "".into()).await.unwrap();
        // RabbitMQ requeues them with a delay.
        self.until("what was looked at", async || {
            self.count(queue).await >= found.len()
        })
        .await;
        found
    }

    /// Waits until a condition holds. The broker and the fake send no notifications, so this polls.
    pub(crate) async fn until(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !so().await {
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: not within {PATIENCE:?}; accepted {}, on the queue {}, maybe {}, refused {}",
                self.fake.accepted(),
                self.count("").await,
                self.count(".maybe").await,
                self.count(".refused").await,
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A connection to RabbitMQ that can be cut.
pub(crate) struct Cable {
    pub(crate) url: String,
    carrying: JoinHandle<()>,
}

impl Cable {
    pub(crate) async fn to(url: &str) -> Self {
        let (login, server) = url.rsplit_once('@').unwrap();
        let (login, server) = (login.to_owned(), server.to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let carrying = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(server).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
        let url = format!("{login}@127.0.0.1:{port}");
        Self { url, carrying }
    }

    pub(crate) fn cut(self) {
        self.carrying.abort();
    }
}

/// Waits for a process that must succeed; returns its output.
fn finish(process: Child) -> String {
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {said} {errors}",
        output.status
    );
    said
}

/// A worker process. Dropping this value kills it.
pub(crate) struct Worker(Option<Child>);

impl Worker {
    /// Sends SIGKILL: the worker finishes and reports nothing.
    pub(crate) fn kill(mut self) {
        let mut process = self.0.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Sends SIGTERM and waits until the worker reports that it is stopping.
    pub(crate) fn terminate(&mut self) {
        let process = self.0.as_mut().unwrap();
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &process.id().to_string()]);
        assert!(kill.status().unwrap().success());
        let mut said = String::new();
        let mut errors = BufReader::new(process.stderr.as_mut().unwrap());
        errors.read_line(&mut said).unwrap();
        assert!(said.starts_with("stopping"), "{said}");
    }

    /// Waits for its end, which must be successful; returns its output.
    pub(crate) fn finish(mut self) -> String {
        finish(self.0.take().unwrap())
    }

    /// Waits for its end, which must be a failure; returns the reason.
    pub(crate) fn fail(mut self) -> String {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Sends SIGTERM and waits for a successful end.
    pub(crate) fn stop(mut self) -> String {
        self.terminate();
        self.finish()
    }
}

/// Prints the output of a failing test's worker.
impl Drop for Worker {
    fn drop(&mut self) {
        let Some(mut process) = self.0.take() else {
            return;
        };
        let _ = process.kill();
        if let (Ok(output), true) = (process.wait_with_output(), std::thread::panicking()) {
            let errors = String::from_utf8_lossy(&output.stderr);
            eprintln!("a worker ended with {}: {errors}", output.status);
        }
    }
}
