//! Suppressions by configuration: for one mailer or all, with built-in stores or an app's own.

use std::sync::Arc;

use anymail_core::{
    Address, AddressKey, ConfigError, Env, Event, EventType, MailersConfig, MemorySuppressionStore,
    Message, OptionFault, OptionSpec, Options, RawBytes, Reactivation, Registry, Suppression,
    SuppressionReason, SuppressionSettings, SuppressionStore, SuppressionStoreError,
    SuppressionStoreFactory, TrackingEvent,
};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use time::OffsetDateTime;

fn config(text: &str) -> MailersConfig {
    toml::from_str(text).unwrap()
}

fn to(email: &str, scope: Option<&str>) -> Message {
    let message = Message::builder().from("shop@example.com").to(email);
    let message = match scope {
        Some(scope) => message.suppression_scope(scope),
        None => message,
    };
    message.build().unwrap()
}

fn suppression(email: &str, reason: SuppressionReason) -> Suppression {
    let address: Address = email.parse().unwrap();
    Suppression::new(&address, reason, OffsetDateTime::now_utc())
}

fn faults(error: &ConfigError) -> Vec<String> {
    error.faults().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn one_line_applies_to_all_mailers_and_a_mailer_can_override_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let text = format!(
        "default = 'main'
         suppressions = {{ file = '{}' }}
         redirect_to = 'qa@example.com'
         [mailers.main]
         backend = 'failover'
         options = {{ members = ['other', 'memory'] }}
         [mailers.other]
         backend = 'memory'
         [mailers.free]
         backend = 'memory'
         suppressions = false
         [mailers.own]
         backend = 'memory'
         suppressions = {{ store = 'memory' }}",
        path.display()
    );
    let config = config(&text);
    let registry = Registry::new();
    let mailers = config.build(&registry).unwrap();
    let store = mailers.suppression_store("main").unwrap();
    let ann = suppression("ann@example.com", SuppressionReason::HardBounce);
    store.add(&[ann]).await.unwrap();
    assert!(mailers.suppression_store("free").is_none());
    let send = async |name: &str| {
        let mailer = mailers.get(name).unwrap();
        mailer.send(&to("ann@example.com", None)).await.is_ok()
    };
    // Nothing is sent, not even to the address that replaces all others in staging.
    assert!(!send("main").await);
    assert!(!send("other").await);
    assert!(send("free").await);
    assert!(send("own").await);
    assert_eq!(registry.outbox().len(), 2);

    // An app that is reconfigured at run time has the same store, and so it does after a restart.
    let again = config.build(&registry).unwrap();
    let mailer = again.default_mailer();
    assert!(mailer.send(&to("ann@example.com", None)).await.is_err());
    let other_process = config.build(&Registry::new()).unwrap_err();
    let told = faults(&other_process);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("suppressions.options.path: "),
        "{told:?}"
    );
    drop((again, mailers, registry, store));
    let restarted = config.build(&Registry::new()).unwrap();
    let mailer = restarted.default_mailer();
    assert!(mailer.send(&to("ann@example.com", None)).await.is_err());
}

#[tokio::test]
async fn scopes_and_streams_can_be_configured() {
    let config = config(
        "backend = 'memory'
         [suppressions]
         store = 'memory'
         transactional = ['account']
         ignore = { law = ['spam_complaint', 'unsubscribe'] }
         streams = { broadcast = 'news', main = '' }",
    );
    let mailers = config.build(&Registry::new()).unwrap();
    let store = mailers.suppression_store("default").unwrap();
    let ann = ["unsubscribe", "spam_complaint"].map(|reason| {
        let reason = SuppressionReason::from_name(reason).unwrap();
        suppression("ann@example.com", reason)
    });
    store.add(&ann[..1]).await.unwrap();
    let goes = async |scope: &str| {
        let mailer = mailers.default_mailer();
        let message = to("ann@example.com", Some(scope));
        mailer.send(&message).await.is_ok()
    };
    assert!(!goes("news").await);
    assert!(goes("account").await);
    store.add(&ann).await.unwrap();
    assert!(!goes("account").await);
    assert!(goes("law").await);

    let feed = mailers.suppression_feed("default").unwrap();
    for (stream, email) in [("broadcast", "bob@x.example"), ("main", "cid@x.example")] {
        let raw = RawBytes::new("{}");
        let mut event = TrackingEvent::new("postbox", EventType::Unsubscribed, email, raw);
        event.recipient = Some(email.into());
        event.stream = Some(stream.into());
        feed.handle(&Event::Tracking(event)).await.unwrap();
    }
    for (email, scope) in [("bob@x.example", Some("news")), ("cid@x.example", None)] {
        let found = store.look_up(&[AddressKey::of(email)]).await.unwrap();
        assert_eq!(found[0].scope.as_deref(), scope);
    }
}

#[test]
fn the_environment_takes_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let json = serde_json::json!({"file": path, "on_store_failure": "send"}).to_string();
    let env = Env::from([
        ("ANYMAIL_BACKEND", "memory"),
        ("ANYMAIL_SUPPRESSIONS", &*json),
    ]);
    let registry = Registry::new();
    let mailers = MailersConfig::from_env(&env, &registry);
    let mailers = mailers.build_in(&env, &registry).unwrap();
    assert!(mailers.suppression_store("default").is_some());
    assert!(path.exists());
    for (value, problem) in [
        ("file.jsonl", "JSON"),
        ("{\"fil\": \"x\"}", "did you mean \"file\"?"),
    ] {
        let env = Env::from([
            ("ANYMAIL_BACKEND", "memory"),
            ("ANYMAIL_SUPPRESSIONS", value),
        ]);
        let error = MailersConfig::from_env(&env, &registry).build_in(&env, &registry);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("ANYMAIL_SUPPRESSIONS"), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn all_faults_are_reported_at_once_and_no_file_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let text = format!(
        "default = 'a'
         [mailers.a]
         backend = 'memory'
         suppressions = {{ store = 'memroy' }}
         [mailers.b]
         backend = 'memory'
         suppressions = {{ store = 'memory', options = {{ limti = 5 }} }}
         [mailers.c]
         backend = 'memory'
         suppressions = {{ store = 'file' }}
         [mailers.d]
         backend = 'memory'
         suppressions = {{ file = 'x', store = 'memory', on_store_failure = 'pray' }}
         [mailers.e]
         backend = 'memory'
         suppressions = {{ file = '{}', ignore = {{ law = ['hard_bonce'] }}, streams = {{ a = 1 }} }}
         [mailers.f]
         backend = 'memory'
         suppressions = {{ transactional = ['x'] }}
         [mailers.g]
         backend = 'memory'
         suppressions = true
         [mailers.h]
         backend = 'memory'
         suppressions = {{ file = '{}' }}",
        path.display(),
        path.display()
    );
    let told = faults(&config(&text).build(&Registry::new()).unwrap_err()).join("\n");
    for expected in [
        "mailers.a.suppressions.store: unknown store \"memroy\"; did you mean \"memory\"?",
        "mailers.b.suppressions.options.limti: unknown memory option; did you mean \"limit\"?",
        "mailers.c.suppressions.options.path: required by file",
        "mailers.d.suppressions.file: store is also set",
        "mailers.d.suppressions.on_store_failure: expected \"wait\" or \"send\"",
        "mailers.e.suppressions.ignore.law: unknown reason \"hard_bonce\"; did you mean \
         \"hard_bounce\"?",
        "mailers.e.suppressions.streams.a: expected a string",
        "mailers.f.suppressions.store: no store is configured",
        "mailers.g.suppressions: expected a table",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in\n{told}");
    }
    assert!(!path.exists());
}

#[test]
fn a_path_in_the_variable_is_a_fault_that_shows_the_form() {
    let env = Env::from([
        ("ANYMAIL_BACKEND", "memory"),
        ("ANYMAIL_SUPPRESSIONS", "suppressions.jsonl"),
    ]);
    let registry = Registry::new();
    let error = MailersConfig::from_env(&env, &registry).build_in(&env, &registry);
    assert_eq!(
        faults(&error.unwrap_err()),
        ["ANYMAIL_SUPPRESSIONS: expected a JSON object, \
          for example {\"file\": \"suppressions.jsonl\"}, or false"]
    );
}

#[test]
fn suppressions_of_a_member_that_would_not_apply_are_a_fault() {
    let text = "default = 'main'
         [mailers.main]
         backend = 'failover'
         options = { members = ['other', 'memory'] }
         [mailers.other]
         backend = 'memory'
         suppressions = { store = 'memory' }";
    let error = config(text).build(&Registry::new()).unwrap_err();
    let told = faults(&error);
    assert!(
        told[0].contains("\"other\" has its own suppressions"),
        "{told:?}"
    );
    let for_all = format!("suppressions = {{ store = 'memory' }}\n{text}");
    config(&for_all).build(&Registry::new()).unwrap();
}

/// A store whose database is down.
#[derive(Debug)]
struct Gone;

#[async_trait]
impl SuppressionStore for Gone {
    async fn look_up(&self, _: &[AddressKey]) -> Result<Vec<Suppression>, SuppressionStoreError> {
        Err("the database is gone".into())
    }

    async fn add(&self, _: &[Suppression]) -> Result<(), SuppressionStoreError> {
        Err("the database is gone".into())
    }

    async fn remove(&self, _: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        Err("the database is gone".into())
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        stream::empty().boxed()
    }
}

#[derive(Debug)]
struct DatabaseFactory;

impl SuppressionStoreFactory for DatabaseFactory {
    fn name(&self) -> &str {
        "database"
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] = [OptionSpec::secret("url", "where it is").required()];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn SuppressionStore>, Vec<OptionFault>> {
        match options.secret("url").map(anymail_core::Secret::expose) {
            Some("db://gone") => Ok(Arc::new(Gone)),
            Some("db://here") => Ok(Arc::new(MemorySuppressionStore::new())),
            _ => Err(OptionFault::new("url", "it is no URL of a database").into()),
        }
    }
}

#[tokio::test]
async fn a_custom_store_can_be_configured_with_a_policy_for_its_failure() {
    let registry = Registry::new().with_suppression_store(DatabaseFactory);
    let env = Env::from([("DATABASE_URL", "db://gone")]);
    for (policy, goes_out) in [("", false), ("wait", false), ("send", true)] {
        let policy = match policy {
            "" => String::new(),
            policy => format!(", on_store_failure = '{policy}'"),
        };
        let config = config(&format!(
            "backend = 'memory'
             suppressions = {{ store = 'database', options = {{ url = 'env:DATABASE_URL' }}{policy} }}"
        ));
        let mailers = config.build_in(&env, &registry).unwrap();
        let result = mailers
            .default_mailer()
            .send(&to("ann@x.example", None))
            .await;
        assert_eq!(result.is_ok(), goes_out, "{policy}");
        if let Err(error) = result {
            assert!(error.is_transient());
        }
    }
    let by_code = SuppressionSettings::new("database").option("url", "db://s3cret");
    assert!(!format!("{by_code:?}").contains("s3cret"));
    let mut config = config("backend = 'memory'");
    config.settings.suppressions = Some(by_code);
    let error = config.build(&registry).unwrap_err().to_string();
    assert!(
        error.contains("suppressions.options.url: it is no URL"),
        "{error}"
    );
    assert!(!error.contains("s3cret"));
}
