//! Tests whether a suppression store follows the rules of [`SuppressionStore`].
//!
//! Core tests how suppressions are used.

use std::collections::BTreeSet;

use anymail_core::{
    AddressKey, Reactivation, Suppression, SuppressionOrigin, SuppressionReason, SuppressionStore,
    SuppressionStoreError,
};
use futures_util::TryStreamExt;
use time::{Duration, OffsetDateTime};

use SuppressionReason::{HardBounce, Manual, SpamComplaint, Unsubscribe};

/// Tests all rules of [`SuppressionStore`] on an empty store.
///
/// The test leaves suppressions in the store. Each rule uses separate addresses.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use anymail_core::MemorySuppressionStore;
/// use anymail_test_utils::suppression_stores;
///
/// suppression_stores::check(&MemorySuppressionStore::new()).await?;
/// # Ok::<(), anymail_core::SuppressionStoreError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// Returns the first error of the store.
///
/// # Panics
/// Panics if the store breaks a rule; the panic message names the rule.
pub async fn check(store: &dyn SuppressionStore) -> Result<(), SuppressionStoreError> {
    what_is_added_is_found(store).await?;
    many_addresses_are_found_at_once(store).await?;
    scopes_and_reasons_do_not_mix(store).await?;
    the_latest_change_applies(store).await?;
    the_order_of_changes_does_not_matter(store).await?;
    a_list_contains_what_is_in_effect(store).await
}

async fn what_is_added_is_found(store: &dyn SuppressionStore) -> Result<(), SuppressionStoreError> {
    let ann = AddressKey::of("ann@found.example");
    assert_eq!(
        of(store, &ann).await?,
        [],
        "an empty store returned a suppression"
    );
    let origin = SuppressionOrigin::new("postbox").with_event("883953f4610542a2a16a77a8eac79483");
    let in_zone = at(5)
        .to_offset(time::macros::offset!(-5))
        .replace_microsecond(416_071)?;
    let suppression = Suppression::of_key(ann.clone(), HardBounce, in_zone)
        .in_scope("Réceipts'; --")
        .with_origin(origin);
    // Repeated in the same call and in another one.
    let twice = [suppression.clone(), suppression.clone()];
    store.add(&twice).await?;
    store.add(&twice).await?;
    let found = of(store, &ann).await?;
    assert_eq!(
        found,
        [suppression],
        "a suppression must be found exactly once, with all of its fields and its time to the microsecond"
    );
    let eve = AddressKey::of("\"o'hara \\\" \u{e9}\"@found.example");
    let plain = Suppression::of_key(eve.clone(), Manual, at(1));
    store.add(std::slice::from_ref(&plain)).await?;
    assert_eq!(
        of(store, &eve).await?,
        [plain],
        "an unusual address was lost"
    );
    Ok(())
}

async fn many_addresses_are_found_at_once(
    store: &dyn SuppressionStore,
) -> Result<(), SuppressionStoreError> {
    let key = |n: usize| AddressKey::of(&format!("n{n}@many.example"));
    let suppressed = |n: usize| n.is_multiple_of(3);
    let add: Vec<_> = (0..1200)
        .filter(|n| suppressed(*n))
        .map(|n| Suppression::of_key(key(n), Unsubscribe, at(0)))
        .collect();
    store.add(&add).await?;
    let keys: Vec<_> = (0..1200).map(key).collect();
    let found = store.look_up(&keys).await?;
    let found: BTreeSet<_> = found.into_iter().map(|found| found.address).collect();
    let expected: BTreeSet<_> = add.into_iter().map(|added| added.address).collect();
    assert_eq!(
        found, expected,
        "a lookup of 1200 addresses returned the wrong suppressions"
    );
    assert_eq!(
        store.look_up(&[]).await?,
        [],
        "a lookup of no addresses must return nothing"
    );
    Ok(())
}

async fn scopes_and_reasons_do_not_mix(
    store: &dyn SuppressionStore,
) -> Result<(), SuppressionStoreError> {
    let bob = AddressKey::of("bob@scopes.example");
    let of_bob = |reason, time| Suppression::of_key(bob.clone(), reason, at(time));
    let all = [
        of_bob(HardBounce, 1),
        of_bob(SpamComplaint, 2),
        of_bob(Unsubscribe, 3),
        of_bob(Unsubscribe, 4).in_scope("news"),
        of_bob(Unsubscribe, 5).in_scope("News"),
        of_bob(Manual, 6).in_scope(""),
    ];
    store.add(&all).await?;
    assert_eq!(
        of(store, &bob).await?.len(),
        all.len(),
        "one suppression hid another one"
    );

    let news = Reactivation::of_key(bob.clone(), at(10)).in_scope("news");
    store.remove(&[news]).await?;
    let ended = Reactivation::of_key(bob.clone(), at(10)).only([HardBounce, Manual]);
    store.remove(&[ended]).await?;
    let found = of(store, &bob).await?;
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.scope.as_deref(), found.reason))
        .collect();
    let expected = [
        (None, SpamComplaint),
        (None, Unsubscribe),
        (Some("News"), Unsubscribe),
        (Some(""), Manual),
    ];
    assert_eq!(
        found.iter().collect::<BTreeSet<_>>(),
        expected.iter().collect(),
        "a reactivation must end the suppressions of its scope and reasons, and no others"
    );
    Ok(())
}

async fn the_latest_change_applies(
    store: &dyn SuppressionStore,
) -> Result<(), SuppressionStoreError> {
    let cid = AddressKey::of("cid@times.example");
    let suppressed = |time| [Suppression::of_key(cid.clone(), HardBounce, at(time))];
    let ended = |time| [Reactivation::of_key(cid.clone(), at(time))];

    store.remove(&ended(20)).await?;
    store.add(&suppressed(10)).await?;
    assert_eq!(
        of(store, &cid).await?,
        [],
        "a reactivation that found nothing to end must still end earlier suppressions that arrive later"
    );
    store.add(&suppressed(20)).await?;
    assert_eq!(
        of(store, &cid).await?.len(),
        1,
        "with equal times, a suppression must take precedence over a reactivation"
    );
    store.remove(&ended(20)).await?;
    store.remove(&ended(15)).await?;
    assert_eq!(
        of(store, &cid).await?.len(),
        1,
        "an earlier reactivation must not end a later suppression"
    );
    store.add(&suppressed(5)).await?;
    let since = of(store, &cid).await?.first().map(|found| found.since);
    assert_eq!(
        since,
        Some(at(20)),
        "an earlier suppression must not change the time"
    );
    store.remove(&ended(30)).await?;
    store.add(&suppressed(25)).await?;
    assert_eq!(
        of(store, &cid).await?,
        [],
        "a suppression that is older than the reactivation that ended it must not apply again"
    );
    store.add(&suppressed(40)).await?;
    assert_eq!(
        of(store, &cid).await?.len(),
        1,
        "a new suppression after a reactivation was lost"
    );
    Ok(())
}

async fn the_order_of_changes_does_not_matter(
    store: &dyn SuppressionStore,
) -> Result<(), SuppressionStoreError> {
    // Each change is a time at which the address is suppressed (true) or reactivated (false).
    let changes = [(1, true), (2, false), (3, true), (4, false), (5, true)];
    let orders = [
        [0, 1, 2, 3, 4],
        [4, 3, 2, 1, 0],
        [2, 0, 4, 1, 3],
        [3, 4, 0, 2, 1],
    ];
    for (n, order) in orders.iter().enumerate() {
        for last in [4, 5] {
            let key = AddressKey::of(&format!("order{n}-{last}@any.example"));
            for place in order {
                match changes.iter().take(last).nth(*place) {
                    Some((time, true)) => {
                        let added = Suppression::of_key(key.clone(), Unsubscribe, at(*time));
                        store.add(&[added]).await?;
                    }
                    Some((time, false)) => {
                        let ended = Reactivation::of_key(key.clone(), at(*time));
                        store.remove(&[ended]).await?;
                    }
                    None => {}
                }
            }
            let found = of(store, &key).await?;
            let since: Vec<_> = found.iter().map(|found| found.since).collect();
            let expected = if last == 5 { vec![at(5)] } else { Vec::new() };
            assert_eq!(
                since, expected,
                "the result must not depend on the order of changes: {order:?} of {last}"
            );
        }
    }
    Ok(())
}

async fn a_list_contains_what_is_in_effect(
    store: &dyn SuppressionStore,
) -> Result<(), SuppressionStoreError> {
    let keys = ["a@list.example", "b@list.example", "c@list.example"].map(AddressKey::of);
    let added: Vec<_> = keys
        .iter()
        .map(|key| Suppression::of_key(key.clone(), Manual, at(1)))
        .collect();
    store.add(&added).await?;
    let [_, b, _] = &keys;
    store
        .remove(&[Reactivation::of_key(b.clone(), at(2))])
        .await?;
    let listed: Vec<_> = store.list().try_collect().await?;
    let ours: BTreeSet<_> = listed
        .iter()
        .map(|listed| listed.address.as_str())
        .filter(|address| address.ends_with("@list.example"))
        .collect();
    assert_eq!(
        ours,
        BTreeSet::from(["a@list.example", "c@list.example"]),
        "a list must contain every suppression in effect, and none that has ended"
    );
    for suppression in &listed {
        let found = of(store, &suppression.address).await?;
        assert!(
            found.contains(suppression),
            "the list contains {suppression:?}, but a lookup returns {found:?}"
        );
    }
    Ok(())
}

async fn of(
    store: &dyn SuppressionStore,
    key: &AddressKey,
) -> Result<Vec<Suppression>, SuppressionStoreError> {
    store.look_up(std::slice::from_ref(key)).await
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(seconds)
}
