//! What the fuzz targets and `any_reply.rs` do with any unsubscribe request and any suppression file.
//!
//! A panic in this code is a bug in the library.

#![allow(dead_code, reason = "each target uses one of the functions")]
#![allow(clippy::expect_used, reason = "a failing test panics")]

use std::path::Path;
use std::time::Duration;

use anymail_core::{
    Address, FileSuppressionStore, HmacSha256Keys, MemorySuppressionStore, OneClickUnsubscribe,
    Suppression, SuppressionReason, SuppressionStore,
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, Request};
use time::OffsetDateTime;

const URL: &str = "https://app.example.com/unsubscribe";
const SCOPE: &str = "news";
const THOUSAND_YEARS: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// A request that a mail client sends with a token of ours, in the form that
/// [`unsubscribe_token`] takes.
pub(crate) fn signed_request() -> String {
    let url = one_click(&MemorySuppressionStore::new()).url(&ann(), Some(SCOPE));
    let token = url.strip_prefix(URL).expect("below the URL");
    format!("{}\nList-Unsubscribe=One-Click", token.trim_matches('/'))
}

/// An unsubscribe request: the token in the first line, followed by the body.
pub(crate) fn unsubscribe_token(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (token, body) = input.split_at(end.unwrap_or(input.len()));
    let token = String::from_utf8_lossy(token);
    for method in [Method::GET, Method::POST] {
        let request = Request::builder().method(&method);
        let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
        let Ok(request) = request.uri(format!("{URL}/{token}")).body(body) else {
            return;
        };
        let store = MemorySuppressionStore::new();
        let response = run(one_click(&store).answer(&request));
        let added = run(all(&store));
        if method == Method::GET {
            assert!(
                added.is_empty(),
                "a look at the page unsubscribes: {added:?}"
            );
        }
        // No other token was ever signed.
        for suppression in &added {
            assert_eq!(suppression.address, ann().key());
            assert_eq!(suppression.scope.as_deref(), Some(SCOPE));
            assert_eq!(response.status(), 200);
        }
    }
}

/// A suppression file. Everything that is read from it or added to it survives a restart and a
/// compaction.
pub(crate) fn suppression_file(input: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("suppressions.jsonl");
    std::fs::write(&path, input).expect("a file");
    let open = |path: &Path| FileSuppressionStore::open(path).expect("any file can be opened");
    let store = open(&path);
    assert!(store.damaged_lines().len() <= input.len() + 1);
    let added = Suppression::new(&ann(), SuppressionReason::Manual, OffsetDateTime::now_utc());
    run(store.add(&[added.in_scope(SCOPE)])).expect("room on the disk");
    let before = run(all(&store));
    drop(store);

    let store = open(&path);
    assert_eq!(run(all(&store)), before, "changed by a restart");
    run(store.compact()).expect("room on the disk");
    assert_eq!(run(all(&store)), before, "changed by compacting");
    drop(store);
    assert_eq!(
        run(all(&open(&path))),
        before,
        "changed in the compacted file"
    );
}

fn ann() -> Address {
    Address::parse("ann@example.com").expect("an address")
}

fn one_click(store: &MemorySuppressionStore) -> OneClickUnsubscribe {
    let keys = HmacSha256Keys::new(["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).expect("a key");
    let one_click = OneClickUnsubscribe::new(store.clone(), URL, keys).expect("a URL");
    one_click.max_age(THOUSAND_YEARS)
}

/// Sorted, because a store promises no order.
async fn all(store: &dyn SuppressionStore) -> Vec<Suppression> {
    let mut all: Vec<_> = store.list().try_collect().await.expect("a list");
    all.sort_by_cached_key(|one| format!("{one:?}"));
    all
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().expect("a runtime").block_on(future)
}
