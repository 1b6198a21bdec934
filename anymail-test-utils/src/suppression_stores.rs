//! Tests whether a store of suppressions keeps the rules of [`SuppressionStore`].
//!
//! How suppressions are used is tested in core.

use std::collections::BTreeSet;

use anymail_core::{
    AddressKey, Reactivation, Suppression, SuppressionOrigin, SuppressionReason, SuppressionStore,
    SuppressionStoreError,
};
use futures_util::TryStreamExt;
use time::{Duration, OffsetDateTime};

use SuppressionReason::{HardBounce, Manual, SpamComplaint, Unsubscribe};

/// Tests all rules of [`SuppressionStore`] on a store that is empty.
///
/// It leaves suppressions behind. Each rule uses addresses of its own.
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
/// The first error of the store.
///
/// # Panics
/// If the store breaks a rule; the message says which one.
pub async fn check(store: &dyn SuppressionStore) -> Result<(), SuppressionStoreError> {
    what_is_added_is_found(store).await?;
    many_addresses_are_found_at_once(store).await?;
    scopes_and_reasons_do_not_mix(store).await?;
    the_time_of_a_change_decides(store).await?;
    a_change_in_any_order_gives_the_same(store).await?;
    a_list_has_what_holds(store).await
}

async fn what_is_added_is_found(store: &dyn SuppressionStore) -> Result<(), SuppressionStoreError> {
    let ann = AddressKey::of("ann@found.example");
    assert_eq!(of(store, &ann).await?, [], "an empty store found something");
    let origin = SuppressionOrigin::new("postbox").with_event("883953f4610542a2a16a77a8eac79483");
    let in_zone = at(5)
        .to_offset(time::macros::offset!(-5))
        .replace_microsecond(416_071)?;
    let suppression = Suppression::of_key(ann.clone(), HardBounce, in_zone)
        .in_scope("Réceipts'; --")
        .with_origin(origin);
    // Repeated in one call, and in another one.
    let twice = [suppression.clone(), suppression.clone()];
    store.add(&twice).await?;
    store.add(&twice).await?;
    let found = of(store, &ann).await?;
    assert_eq!(
        found,
        [suppression],
        "a suppression must be found once, with all of its fields and to the microsecond"
    );
    let eve = AddressKey::of("\"o'hara \\\" \u{e9}\"@found.example");
    let plain = Suppression::of_key(eve.clone(), Manual, at(1));
    store.add(std::slice::from_ref(&plain)).await?;
    assert_eq!(of(store, &eve).await?, [plain], "an odd address is lost");
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
    assert_eq!(found, expected, "a look-up of 1200 addresses is wrong");
    assert_eq!(store.look_up(&[]).await?, [], "nobody was looked up");
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
    assert_eq!(of(store, &bob).await?.len(), all.len(), "one hid another");

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
        "a reactivation ends suppressions of its scope and reasons, and no other"
    );
    Ok(())
}

async fn the_time_of_a_change_decides(
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
        "a suppression from before a reactivation counted, which ended nothing when it came"
    );
    store.add(&suppressed(20)).await?;
    assert_eq!(
        of(store, &cid).await?.len(),
        1,
        "at the same time, a suppression goes over a reactivation"
    );
    store.remove(&ended(20)).await?;
    store.remove(&ended(15)).await?;
    assert_eq!(
        of(store, &cid).await?.len(),
        1,
        "an old reactivation counted"
    );
    store.add(&suppressed(5)).await?;
    let since = of(store, &cid).await?.first().map(|found| found.since);
    assert_eq!(since, Some(at(20)), "an old suppression changed the time");
    store.remove(&ended(30)).await?;
    store.add(&suppressed(25)).await?;
    assert_eq!(
        of(store, &cid).await?,
        [],
        "a suppression from before a reactivation counted, which came when it was ended"
    );
    store.add(&suppressed(40)).await?;
    assert_eq!(of(store, &cid).await?.len(), 1, "a new suppression is lost");
    Ok(())
}

async fn a_change_in_any_order_gives_the_same(
    store: &dyn SuppressionStore,
) -> Result<(), SuppressionStoreError> {
    // Each is a time at which the address is suppressed (true) or reactivated.
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
                "the order {order:?} of {last} changes matters"
            );
        }
    }
    Ok(())
}

async fn a_list_has_what_holds(store: &dyn SuppressionStore) -> Result<(), SuppressionStoreError> {
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
        "a list has each suppression that holds, and none that ended"
    );
    for suppression in &listed {
        let found = of(store, &suppression.address).await?;
        assert!(
            found.contains(suppression),
            "{suppression:?} is listed, and a look-up finds {found:?}"
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
