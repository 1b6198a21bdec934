//! Suppressions in memory: a few dozen bytes for each address, and the latest change wins.
//!
//! Used by the stores in `memory.rs` and `file.rs`, which add limits and persistence.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use time::OffsetDateTime;

use super::suppression::{Reactivation, Suppression, SuppressionOrigin, SuppressionReason};
use crate::message::AddressKey;

/// The number of shards. Listing locks one shard at a time, and growing one is cheap.
pub(super) const SHARDS: usize = 64;

#[derive(Debug)]
pub(super) struct Records {
    shards: [RwLock<HashSet<Packed>>; SHARDS],
    names: RwLock<Names>,
    addresses: AtomicUsize,
    /// Whether there may be addresses with only reactivations.
    has_unsuppressed: AtomicBool,
}

/// A change of an address, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    reason: SuppressionReason,
    /// Numbers of [`Names`].
    scope: u32,
    source: u32,
    holds: bool,
    micros: i64,
    event: Option<String>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            names: RwLock::default(),
            addresses: AtomicUsize::new(0),
            has_unsuppressed: AtomicBool::new(false),
        }
    }

    /// The number of addresses, including those with only reactivations.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.load(Ordering::Relaxed)
    }

    /// The number of suppressions and reactivations.
    pub(super) fn changes(&self) -> usize {
        let changes = |packed: &Packed| packed.records().count();
        let shards = self.shards.iter();
        shards
            .map(|shard| read(shard).iter().map(changes).sum::<usize>())
            .sum()
    }

    pub(super) fn contains(&self, address: &AddressKey) -> bool {
        read(self.shard(address)).contains(address.as_str().as_bytes())
    }

    /// The effective suppressions of these addresses.
    pub(super) fn look_up(&self, addresses: &[AddressKey]) -> Vec<Suppression> {
        let mut found = Vec::new();
        // Locks one shard at a time, and the names only after it: a waiting writer blocks new
        // readers, so readers that hold one lock and wait for another, in different orders, could
        // deadlock.
        for address in addresses {
            let shard = read(self.shard(address));
            if let Some(packed) = shard.get(address.as_str().as_bytes()) {
                packed.suppressions(address, &read(&self.names), &mut found);
            }
        }
        found
    }

    /// The effective suppressions in one shard.
    pub(super) fn list(&self, shard: usize) -> Vec<Suppression> {
        let mut found = Vec::new();
        if let Some(shard) = self.shards.get(shard) {
            let shard = read(shard);
            let names = read(&self.names);
            for packed in &*shard {
                let address = AddressKey::from_compared(packed.address());
                packed.suppressions(&address, &names, &mut found);
            }
        }
        found
    }

    /// The reactivations in one shard.
    pub(super) fn reactivations(&self, shard: usize) -> Vec<Reactivation> {
        let mut found = Vec::new();
        let Some(shard) = self.shards.get(shard) else {
            return found;
        };
        let shard = read(shard);
        let names = read(&self.names);
        for packed in &*shard {
            for record in packed.records().filter(|record| !record.holds) {
                let address = AddressKey::from_compared(packed.address());
                let mut ended = Reactivation::of_key(address, instant(record.micros));
                ended.scope = names.scope(record.scope);
                ended.reasons = vec![record.reason];
                found.push(ended);
            }
        }
        found
    }

    /// Returns whether this changes anything, that is, whether it is newer than what is known.
    pub(super) fn add(&self, suppression: &Suppression) -> bool {
        let record = write(&self.names).record(suppression);
        self.change(&suppression.address, |records| lay(records, record))
    }

    /// Returns whether this changes anything.
    pub(super) fn remove(&self, reactivation: &Reactivation) -> bool {
        let ended = write(&self.names).ended(reactivation);
        self.change(&reactivation.address, |records| {
            let laid = ended.into_iter().map(|record| lay(records, record));
            // Applies all of them, not just the first that changes something.
            laid.fold(false, |any, changed| any | changed)
        })
    }

    /// Whether `add` would change anything.
    pub(super) fn is_news(&self, suppression: &Suppression) -> bool {
        let record = write(&self.names).record(suppression);
        self.would_change(&suppression.address, |records| lay(records, record))
    }

    /// Whether `remove` would change anything.
    pub(super) fn ends_any(&self, reactivation: &Reactivation) -> bool {
        let ended = write(&self.names).ended(reactivation);
        self.would_change(&reactivation.address, |records| {
            ended.into_iter().any(|record| lay(records, record))
        })
    }

    /// Forgets addresses with only reactivations.
    pub(super) fn forget_unsuppressed(&self) {
        if !self.has_unsuppressed.swap(false, Ordering::Relaxed) {
            return;
        }
        for shard in &self.shards {
            let mut shard = write(shard);
            let before = shard.len();
            shard.retain(Packed::holds_any);
            let forgotten = before - shard.len();
            self.addresses.fetch_sub(forgotten, Ordering::Relaxed);
        }
    }

    fn would_change(
        &self,
        address: &AddressKey,
        change: impl FnOnce(&mut Vec<Record>) -> bool,
    ) -> bool {
        let shard = read(self.shard(address));
        let known = shard.get(address.as_str().as_bytes());
        let mut records = known.map(|packed| packed.records().collect());
        change(records.get_or_insert_default())
    }

    fn change(&self, address: &AddressKey, change: impl FnOnce(&mut Vec<Record>) -> bool) -> bool {
        let mut shard = write(self.shard(address));
        let known = shard.get(address.as_str().as_bytes());
        let is_new = known.is_none();
        let mut records = known.map_or_else(Vec::new, |packed| packed.records().collect());
        if !change(&mut records) {
            return false;
        }
        shard.replace(Packed::new(address.as_str(), &records));
        if is_new {
            self.addresses.fetch_add(1, Ordering::Relaxed);
        }
        if !records.iter().any(|record| record.holds) {
            self.has_unsuppressed.store(true, Ordering::Relaxed);
        }
        true
    }

    fn shard(&self, address: &AddressKey) -> &RwLock<HashSet<Packed>> {
        // Cheap, and safe even if somebody picks addresses that fall into one shard: each shard has
        // its own keyed hash.
        let bytes = address.as_str().bytes();
        let sum = bytes.fold(0_usize, |sum, b| sum.wrapping_add(b.into()));
        // The index is below the number of shards.
        #[expect(clippy::indexing_slicing)]
        &self.shards[sum % SHARDS]
    }
}

/// Replaces an older record of the same kind. At equal times, a suppression wins over a
/// reactivation.
fn lay(records: &mut Vec<Record>, new: Record) -> bool {
    let same_kind = |old: &&mut Record| old.reason == new.reason && old.scope == new.scope;
    match records.iter_mut().find(same_kind) {
        None => records.push(new),
        Some(old) => {
            let wins = (new.micros, new.holds) > (old.micros, old.holds);
            if !wins {
                return false;
            }
            *old = new;
        }
    }
    true
}

/// Interns scopes and sources, of which there are few.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    /// 0 is no name.
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: u32) -> Option<&str> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        self.names.get(at).map(String::as_str)
    }

    fn scope(&self, number: u32) -> Option<String> {
        self.name(number).map(str::to_owned)
    }

    fn number_of_scope(&mut self, scope: Option<&str>) -> u32 {
        scope.map_or(0, |scope| self.number(scope))
    }

    fn record(&mut self, suppression: &Suppression) -> Record {
        Record {
            reason: suppression.reason,
            scope: self.number_of_scope(suppression.scope.as_deref()),
            source: self.number(&suppression.origin.source),
            holds: true,
            micros: micros(suppression.since),
            event: suppression.origin.event.clone(),
        }
    }

    fn ended(&mut self, reactivation: &Reactivation) -> Vec<Record> {
        let scope = self.number_of_scope(reactivation.scope.as_deref());
        let ended = reactivation.reasons.iter().map(|reason| Record {
            reason: *reason,
            scope,
            source: 0,
            holds: false,
            micros: micros(reactivation.at),
            event: None,
        });
        ended.collect()
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX)
}

fn instant(micros: i64) -> OffsetDateTime {
    let nanos = i128::from(micros) * 1000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// An address and its records, in one allocation.
///
/// The address's length in two bytes and the address come first. Each record has a byte of flags;
/// scope and source in four bytes each if they are not 0; the time in eight; and the event: 16
/// bytes if it is 32 hexadecimal digits, otherwise two bytes for the length and the text.
#[derive(Debug)]
struct Packed(Box<[u8]>);

const HOLDS: u8 = 1;
const HAS_SCOPE: u8 = 1 << 1;
const HAS_SOURCE: u8 = 1 << 2;
const HEX_EVENT: u8 = 1 << 3;
const TEXT_EVENT: u8 = 1 << 4;
/// The two upper bits but one.
const REASON_SHIFT: u32 = 5;

impl Packed {
    fn new(address: &str, records: &[Record]) -> Self {
        let mut bytes = Vec::with_capacity(address.len() + 2 + 32 * records.len());
        push_text(&mut bytes, address);
        for record in records {
            let event = record.event.as_deref();
            let hex = event.and_then(from_hex);
            let mut flags = reason_number(record.reason) << REASON_SHIFT;
            for (flag, on) in [
                (HOLDS, record.holds),
                (HAS_SCOPE, record.scope != 0),
                (HAS_SOURCE, record.source != 0),
                (HEX_EVENT, hex.is_some()),
                (TEXT_EVENT, event.is_some() && hex.is_none()),
            ] {
                flags |= if on { flag } else { 0 };
            }
            bytes.push(flags);
            for number in [record.scope, record.source] {
                if number != 0 {
                    bytes.extend(number.to_le_bytes());
                }
            }
            bytes.extend(record.micros.to_le_bytes());
            match (hex, event) {
                (Some(hex), _) => bytes.extend(hex),
                (None, Some(event)) => push_text(&mut bytes, event),
                (None, None) => {}
            }
        }
        Self(bytes.into_boxed_slice())
    }

    fn address(&self) -> &str {
        Reader(&self.0).text().unwrap_or_default()
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        let mut reader = Reader(&self.0);
        reader.text();
        std::iter::from_fn(move || reader.record())
    }

    fn holds_any(&self) -> bool {
        self.records().any(|record| record.holds)
    }

    fn suppressions(&self, address: &AddressKey, names: &Names, found: &mut Vec<Suppression>) {
        let holding = self.records().filter(|record| record.holds);
        found.extend(holding.map(|record| {
            let mut origin = SuppressionOrigin::new(names.name(record.source).unwrap_or_default());
            origin.event = record.event;
            let since = instant(record.micros);
            let mut suppression = Suppression::of_key(address.clone(), record.reason, since);
            suppression.scope = names.scope(record.scope);
            suppression.with_origin(origin)
        }));
    }
}

/// Truncates texts whose length does not fit into two bytes. No valid address is that long.
fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let text = text.get(..end).unwrap_or_default();
    bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn number(&mut self, is_there: bool) -> Option<u32> {
        match is_there {
            true => self.take().map(u32::from_le_bytes),
            false => Some(0),
        }
    }

    fn record(&mut self) -> Option<Record> {
        let [flags] = self.take()?;
        let has = |flag| flags & flag != 0;
        Some(Record {
            reason: reason_of(flags >> REASON_SHIFT),
            scope: self.number(has(HAS_SCOPE))?,
            source: self.number(has(HAS_SOURCE))?,
            holds: has(HOLDS),
            micros: i64::from_le_bytes(self.take()?),
            event: if has(HEX_EVENT) {
                Some(to_hex(self.take()?))
            } else if has(TEXT_EVENT) {
                Some(self.text()?.to_owned())
            } else {
                None
            },
        })
    }
}

fn reason_number(reason: SuppressionReason) -> u8 {
    match reason {
        SuppressionReason::HardBounce => 0,
        SuppressionReason::SpamComplaint => 1,
        SuppressionReason::Unsubscribe => 2,
        SuppressionReason::Manual => 3,
    }
}

fn reason_of(number: u8) -> SuppressionReason {
    match number {
        0 => SuppressionReason::HardBounce,
        1 => SuppressionReason::SpamComplaint,
        2 => SuppressionReason::Unsubscribe,
        _ => SuppressionReason::Manual,
    }
}

/// Packs 32 lower-case digits, which most event keys are, into half their length.
fn from_hex(text: &str) -> Option<[u8; 16]> {
    let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 32 || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn to_hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

impl Borrow<[u8]> for Packed {
    fn borrow(&self) -> &[u8] {
        Reader(&self.0).bytes().unwrap_or_default()
    }
}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<[u8]>::borrow(self) == Borrow::<[u8]>::borrow(other)
    }
}

impl Eq for Packed {}

pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
