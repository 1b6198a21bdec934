//! The built-in stores: both follow the contract, and the file store survives damaged files.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anymail_core::{
    AddressKey, FileSuppressionStore, MemorySuppressionStore, Reactivation, Suppression,
    SuppressionOrigin, SuppressionReason, SuppressionStore,
};
use anymail_test_utils::suppression_stores;
use futures_util::TryStreamExt;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const START: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn key(n: usize) -> AddressKey {
    AddressKey::of(&format!("person{n}@example.com"))
}

fn bounced(n: usize, minutes: i64) -> Suppression {
    let since = START + Duration::minutes(minutes);
    Suppression::of_key(key(n), SuppressionReason::HardBounce, since)
}

fn reactivated(n: usize, minutes: i64) -> Reactivation {
    Reactivation::of_key(key(n), START + Duration::minutes(minutes))
}

async fn suppressed(store: &dyn SuppressionStore) -> Vec<String> {
    let all: Vec<_> = store.list().try_collect().await.unwrap();
    let mut names: Vec<_> = all.iter().map(|one| one.address.to_string()).collect();
    names.sort();
    names
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_memory_store_follows_the_contract() {
    suppression_stores::check(&MemorySuppressionStore::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_file_store_follows_the_contract_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("suppressions.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    suppression_stores::check(&store).await.unwrap();
    let mut before: Vec<_> = store.list().try_collect().await.unwrap();
    drop(store);

    let store = FileSuppressionStore::open(&path).unwrap();
    let mut after: Vec<Suppression> = store.list().try_collect().await.unwrap();
    let order = |one: &Suppression| (one.address.clone(), one.scope.clone(), one.reason);
    before.sort_by_key(order);
    after.sort_by_key(order);
    assert!(before.len() > 400);
    assert_eq!(before, after);
    assert_eq!(store.damaged_lines(), []);
    let addresses: HashSet<_> = after.iter().map(|one| &one.address).collect();
    assert!(
        store.addresses() >= addresses.len(),
        "reactivated ones count, too"
    );
}

#[tokio::test]
async fn a_full_memory_store_refuses_new_addresses_and_forgets_no_suppression() {
    let store = MemorySuppressionStore::with_limit(3);
    store
        .add(&[bounced(1, 0), bounced(2, 0), bounced(3, 0)])
        .await
        .unwrap();
    let error = store.add(&[bounced(4, 0)]).await.unwrap_err();
    assert!(
        error.to_string().contains("limit of 3 addresses"),
        "{error}"
    );
    // An address that the store already contains needs no space.
    store.add(&[bounced(3, 5)]).await.unwrap();
    assert_eq!(suppressed(&store).await.len(), 3);

    store.remove(&[reactivated(2, 10)]).await.unwrap();
    store.add(&[bounced(4, 0)]).await.unwrap();
    assert_eq!(
        suppressed(&store).await,
        [
            "person1@example.com",
            "person3@example.com",
            "person4@example.com"
        ]
    );
    assert_eq!(store.addresses(), 3);

    let store = MemorySuppressionStore::with_limit(1);
    store.add(&[bounced(1, 0)]).await.unwrap();
    store.add(&[bounced(2, 0)]).await.unwrap_err();
    store.remove(&[reactivated(1, 1)]).await.unwrap();
    store.add(&[bounced(2, 0)]).await.unwrap();
    store.remove(&[reactivated(2, 1)]).await.unwrap();
    store.add(&[bounced(3, 0)]).await.unwrap();
    assert_eq!(store.addresses(), 1);
}

#[tokio::test]
async fn a_damaged_line_is_reported_by_number_and_nothing_else_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    store
        .add(&[bounced(1, 0), bounced(2, 0), bounced(3, 0)])
        .await
        .unwrap();
    store.remove(&[reactivated(3, 1)]).await.unwrap();
    drop(store);

    let mut text: Vec<Vec<u8>> = lines(&path).into_iter().map(String::into_bytes).collect();
    text.insert(
        1,
        b"{\"suppressed\": {\"address\": \"secret@example.com\"".to_vec(),
    );
    text.insert(3, b"\xff\xfe\x00 not even text".to_vec());
    text.insert(4, b"{\"unknown\": {}}".to_vec());
    text.insert(5, Vec::new());
    text.insert(6, "x".repeat(200_000).into_bytes());
    let nobody = "{\"suppressed\":{\"address\":\"nobody\",\"reason\":\"manual\",\
                  \"since\":\"2026-11-01T12:00:00Z\",\"source\":\"app\"}}";
    text.push(nobody.into());
    // A process that crashes while it writes leaves an incomplete last line.
    text.push(b"{\"suppressed\": {\"addr".to_vec());
    fs::write(&path, text.join(&b'\n')).unwrap();

    let store = FileSuppressionStore::open(&path).unwrap();
    let damaged = store.damaged_lines();
    let numbers: Vec<_> = damaged.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [2, 4, 5, 7, 10, 11]);
    let problems: Vec<_> = damaged.iter().map(|line| &*line.problem).collect();
    assert_eq!(
        problems,
        [
            "unexpected end of the line (column 47)",
            "not valid JSON (column 1)",
            "not a suppression or a reactivation (column 10)",
            "longer than 65536 bytes",
            "no email address",
            "unexpected end of the line (column 21)",
        ]
    );
    let expected = ["person1@example.com", "person2@example.com"];
    assert_eq!(suppressed(&store).await, expected);

    // The next line is not appended to the torn one.
    store.add(&[bounced(4, 0)]).await.unwrap();
    store.compact().await.unwrap();
    let numbers: Vec<_> = store
        .damaged_lines()
        .iter()
        .map(|line| line.number)
        .collect();
    assert_eq!(
        numbers,
        [1, 2, 3, 4, 5, 6],
        "damaged lines are kept at the start"
    );
    drop(store);
    let store = FileSuppressionStore::open(&path).unwrap();
    assert_eq!(suppressed(&store).await.len(), 3);
    assert_eq!(store.damaged_lines().len(), 6);
    assert!(lines(&path)[4].contains("nobody"));
    assert!(lines(&path)[5].ends_with("{\"addr"));
    let kept = lines(&path);
    store.compact().await.unwrap();
    store.compact().await.unwrap();
    assert_eq!(lines(&path)[..6], kept[..6]);
}

#[tokio::test]
async fn a_torn_long_last_line_does_not_swallow_the_next_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    fs::write(&path, "x".repeat(300_000)).unwrap();
    let store = FileSuppressionStore::open(&path).unwrap();
    store.add(&[bounced(1, 0)]).await.unwrap();
    drop(store);
    let store = FileSuppressionStore::open(&path).unwrap();
    assert_eq!(suppressed(&store).await, ["person1@example.com"]);
    assert_eq!(store.damaged_lines().len(), 1);
}

#[tokio::test]
async fn a_second_store_of_the_same_file_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    let error = FileSuppressionStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(error.to_string().contains("another process"), "{error}");
    // Compaction replaces the file; the lock must not go with it.
    store.compact().await.unwrap();
    assert!(FileSuppressionStore::open(&path).is_err());
    drop(store);
    assert!(FileSuppressionStore::open(&path).is_ok());
}

#[tokio::test]
async fn a_change_that_needs_a_line_of_more_than_64_kib_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    let scoped = |length: usize| {
        let mut one = bounced(1, 0);
        one.scope = Some("x".repeat(length));
        one
    };
    store.add(&[scoped(1)]).await.unwrap();
    let rest = lines(&path).last().unwrap().len() - 1;
    store.add(&[scoped(65_536 - rest)]).await.unwrap();
    assert_eq!(lines(&path).last().unwrap().len(), 65_536);
    let error = store.add(&[scoped(65_537 - rest)]).await.unwrap_err();
    let words = "a line of 65537 bytes, more than the limit of 65536";
    assert!(error.to_string().contains(words), "{error}");
    drop(store);
    let store = FileSuppressionStore::open(&path).unwrap();
    assert_eq!(store.damaged_lines(), []);
}

#[tokio::test]
async fn a_repeated_change_does_not_make_the_file_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    for _ in 0..3 {
        store.add(&[bounced(1, 5), bounced(2, 5)]).await.unwrap();
        store.add(&[bounced(1, 0)]).await.unwrap();
        store.remove(&[reactivated(2, 6)]).await.unwrap();
    }
    assert_eq!(lines(&path).len(), 3);
}

#[tokio::test]
async fn a_file_of_mostly_outdated_lines_is_compacted_when_it_is_opened_and_reactivations_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    for round in 0..60 {
        let again: Vec<_> = (0..50).map(|n| bounced(n, 2 * round)).collect();
        store.add(&again).await.unwrap();
    }
    let lift: Vec<_> = (0..10).map(|n| reactivated(n, 1000)).collect();
    store.remove(&lift).await.unwrap();
    assert_eq!(lines(&path).len(), 3010);
    drop(store);

    let store = FileSuppressionStore::open(&path).unwrap();
    assert_eq!(suppressed(&store).await.len(), 40);
    // 40 suppressions, and 10 addresses with a reactivation for each of the four reasons.
    assert_eq!(lines(&path).len(), 80);
    store.add(&[bounced(3, 999)]).await.unwrap();
    assert_eq!(
        suppressed(&store).await.len(),
        40,
        "an old event that arrived late had an effect"
    );
    store.add(&[bounced(3, 1001)]).await.unwrap();
    drop(store);
    let store = FileSuppressionStore::open(&path).unwrap();
    assert_eq!(suppressed(&store).await.len(), 41);
}

#[tokio::test]
async fn a_file_is_compacted_if_it_has_a_thousand_outdated_lines_and_fewer_others() {
    for (useful, outdated, after) in [
        (3, 4, 7),
        (10, 999, 1009),
        (10, 1000, 10),
        (1000, 1000, 2000),
        (1000, 1001, 1000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        let store = FileSuppressionStore::open(&path).unwrap();
        let first: Vec<_> = (0..useful).map(|n| bounced(n, 0)).collect();
        store.add(&first).await.unwrap();
        let again: Vec<_> = (1..=outdated).map(|minute| bounced(0, minute)).collect();
        store.add(&again).await.unwrap();
        drop(store);
        drop(FileSuppressionStore::open(&path).unwrap());
        assert_eq!(lines(&path).len(), after, "{useful} and {outdated}");
    }
}

#[tokio::test]
async fn the_event_of_a_suppression_is_kept_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    let memory = MemorySuppressionStore::new();
    let events = [
        "00112233445566778899aabbccddeeff",
        "00112233445566778899AABBCCDDEEFF",
        "00112233445566778899aabbccddee",
        "+0112233445566778899aabbccddeeff",
        "",
        "é",
    ];
    for (n, event) in events.iter().enumerate() {
        let mut origin = SuppressionOrigin::new("acme");
        origin.event = Some((*event).to_owned());
        let bounced = bounced(n, 0).in_scope("news").with_origin(origin);
        for store in [&store as &dyn SuppressionStore, &memory] {
            store.add(std::slice::from_ref(&bounced)).await.unwrap();
            let found = store.look_up(&[key(n)]).await.unwrap();
            assert_eq!(found, std::slice::from_ref(&bounced));
        }
    }
    // What a memory store keeps of an event has at most 65,535 bytes.
    let mut origin = SuppressionOrigin::new("acme");
    origin.event = Some("é".repeat(40_000));
    memory
        .add(&[bounced(0, 1).in_scope("news").with_origin(origin)])
        .await
        .unwrap();
    let found = memory.look_up(&[key(0)]).await.unwrap();
    assert_eq!(found[0].origin.event, Some("é".repeat(32_767)));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_a_new_file_and_a_symbolic_link_stays_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let link = folder.path().join("link");
    drop(FileSuppressionStore::open(&path).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = FileSuppressionStore::open(&link).unwrap();
    assert!(
        FileSuppressionStore::open(&path).is_err(),
        "the link hid it"
    );
    store.add(&[bounced(1, 0)]).await.unwrap();
    store.compact().await.unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(mode(&path), 0o640);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_path_that_is_not_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = FileSuppressionStore::open(folder.path()).unwrap_err();
    let place = folder.path().display().to_string();
    assert!(error.to_string().contains(&place), "{error}");
    #[cfg(unix)]
    FileSuppressionStore::open("/dev/null").unwrap_err();
}

/// Concurrent changes, listings, and lookups of addresses in different orders.
#[test]
fn concurrent_lookups_listings_and_changes_do_not_deadlock() {
    const ADDRESSES: usize = 200;
    let store = MemorySuppressionStore::new();
    let (done, all_done) = std::sync::mpsc::channel();
    for thread in 0..8 {
        let (store, done) = (store.clone(), done.clone());
        std::thread::spawn(move || {
            let mut keys: Vec<_> = (0..ADDRESSES).map(key).collect();
            keys.rotate_left(thread * 24);
            if thread % 2 == 1 {
                keys.reverse();
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                for round in 0..200 {
                    match thread {
                        0..4 => drop(store.look_up(&keys).await.unwrap()),
                        4 => drop(store.list().try_collect::<Vec<_>>().await.unwrap()),
                        _ => {
                            for n in 0..ADDRESSES {
                                store.add(&[bounced(n, round)]).await.unwrap();
                            }
                        }
                    }
                }
            });
            done.send(()).unwrap();
        });
    }
    for _ in 0..8 {
        let waited = all_done.recv_timeout(std::time::Duration::from_secs(60));
        assert!(waited.is_ok(), "deadlock");
    }
}

#[tokio::test]
async fn changes_that_are_too_long_for_the_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("suppressions.jsonl");
    let store = FileSuppressionStore::open(&path).unwrap();
    let long = || "x".repeat(70_000);
    let error = store.add(&[bounced(1, 0).in_scope(long())]).await;
    assert!(error.unwrap_err().to_string().contains("shorten its scope"));
    let error = store.remove(&[reactivated(1, 0).in_scope(long())]).await;
    error.unwrap_err();
    store.add(&[bounced(2, 0).in_scope("")]).await.unwrap();
    // A line may have 64 KiB.
    let room = 65_536 - lines(&path)[0].len();
    let longest = || "x".repeat(room);
    let error = store.add(&[bounced(3, 0).in_scope(longest() + "x")]).await;
    error.unwrap_err();
    store
        .add(&[bounced(3, 0).in_scope(longest())])
        .await
        .unwrap();
    let before = suppressed(&store).await;
    drop(store);

    let store = FileSuppressionStore::open(&path).unwrap();
    assert_eq!(suppressed(&store).await, before);
    assert!(store.damaged_lines().is_empty());
    drop(store);

    let [short, long] = &lines(&path)[..] else {
        panic!("there are two lines");
    };
    assert_eq!(long.len(), 65_536);
    fs::write(&path, format!("{short}\n{long} \n")).unwrap();
    let store = FileSuppressionStore::open(&path).unwrap();
    let problems = store.damaged_lines();
    let problems: Vec<_> = problems.iter().map(|line| &*line.problem).collect();
    assert_eq!(problems, ["longer than 65536 bytes"]);
}
