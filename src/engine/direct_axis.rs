//! Finding the slot of a key the direct way, in an axis file whose blocks have been verified.

use super::block_file::BlockFile;
use super::cells::Cells;
use super::direct_batch::{GROUP_LEN, GroupChanges, Slots, ones};
use super::perfect_hash::{PerfectHash, VerifiedPerfectHash};
use super::plain_cells::PlainCells;
use super::stored_keys::{FloatKeys, HeapKeys, IntegerKeys, StoredKeys, TaggedKeys, TextKeys};
use super::verified::{Settled, VerifiedBytes, VerifiedSlice};
use crate::format::axis::{Axis, BUCKET_LEN, Bucket, Layout, SECTION_INDEX, SECTION_TOMBSTONES, fingerprint, home};
use crate::format::block_file::Section;
use crate::format::column::Encoding;
use crate::format::value::KeyHasher;
use crate::model::{KeyRef, ValueRef};
use std::sync::atomic::{AtomicBool, Ordering};

/// Buckets that a lookup visits before it takes the long way.
const CHAIN_LEN: usize = 8;

/// Where things are in an axis file.
#[derive(Debug)]
pub(super) struct DirectAxis {
    layout: Layout,
    slot_count: u32,
    /// The encoding of the keys, and where the first is.
    keys: Option<(Encoding, usize)>,
    text_heap: Section,
    value_heap: Section,
    /// Where the buckets are.
    index: usize,
    /// Where level 0 of the tombstones is, if there are any.
    tombstones: Option<usize>,
    hasher: KeyHasher,
    /// What a frozen axis has in place of an index.
    perfect_hash: Option<PerfectHash>,
}

impl DirectAxis {
    pub(super) fn new(
        file: &BlockFile,
        axis: &Axis,
        slot_count: u32,
        cells: Option<&Cells>,
        perfect_hash: Option<&PerfectHash>,
    ) -> Self {
        let tombstones = file.section(SECTION_TOMBSTONES);
        let hash_seed = match axis.layout {
            Layout::Dense { .. } => 0,
            Layout::Indexed { hash_seed, .. } | Layout::Frozen { hash_seed, .. } => hash_seed,
        };
        Self {
            layout: axis.layout,
            slot_count,
            keys: cells.and_then(Cells::uniform_place),
            text_heap: file.text_heap(),
            value_heap: file.value_heap(),
            index: file.section(SECTION_INDEX).offset as usize,
            tombstones: (tombstones.len > 0).then_some(tombstones.offset as usize),
            hasher: KeyHasher::new(hash_seed),
            perfect_hash: perfect_hash.cloned(),
        }
    }

    /// The keys, ready for lookups; `None` where they are stored in a way that the direct way does not know.
    #[inline]
    pub(super) fn table<'a>(&'a self, bytes: VerifiedBytes<'a>) -> Option<KeyTable<'a>> {
        let count = self.slot_count as usize;
        let keys = match (self.layout, self.keys) {
            (Layout::Dense { first_key }, _) => Keys::Dense { first_key },
            (_, Some((Encoding::PlainU64, at))) => Keys::Unsigned(IntegerKeys(bytes.slice(at, count)?)),
            (_, Some((Encoding::PlainI64, at))) => Keys::Signed(IntegerKeys(bytes.slice(at, count)?)),
            (_, Some((Encoding::PlainF64, at))) => Keys::Floats(FloatKeys(bytes.slice(at, count)?)),
            (_, Some((Encoding::Text32, at))) => {
                Keys::Text(TextKeys(HeapKeys { cells: bytes.slice(at, count)?, heap: bytes.heap(self.text_heap)? }))
            }
            (_, Some((Encoding::Value32, at))) => Keys::Tagged(TaggedKeys(HeapKeys {
                cells: bytes.slice(at, count)?,
                heap: bytes.heap(self.value_heap)?,
            })),
            _ => return None,
        };
        let index = match (self.layout, &self.perfect_hash) {
            (Layout::Frozen { .. }, perfect_hash) => Index::Perfect(perfect_hash.as_ref()?.verified(bytes)?),
            (Layout::Indexed { bucket_count, .. }, _) => {
                Index::Buckets(Buckets(bytes.slice(self.index, usize::try_from(bucket_count).ok()?)?))
            }
            (Layout::Dense { .. }, _) => Index::Buckets(Buckets(bytes.slice(0, 0)?)),
        };
        let tombstones = match self.tombstones {
            Some(at) => Some(bytes.slice(at, count.div_ceil(64))?),
            None => None,
        };
        Some(KeyTable {
            keys,
            index,
            hasher: &self.hasher,
            slot_count: self.slot_count,
            tombstones,
            whole: bytes.whole,
        })
    }
}

/// A key of a group whose value is not settled by index, keys and values of the files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Other {
    /// It is at this slot in the files, which patches or overlays may have changed.
    Touched(u32),
    /// Anything is possible.
    Unknown,
}

/// The keys of an axis file.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyTable<'a> {
    pub(super) keys: Keys<'a>,
    pub(super) index: Index<'a>,
    pub(super) hasher: &'a KeyHasher,
    pub(super) slot_count: u32,
    /// A bit for each slot, set where it is free.
    tombstones: Option<VerifiedSlice<'a, 8>>,
    whole: &'a AtomicBool,
}

/// The keys by slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keys<'a> {
    /// Consecutive integers, which are not stored.
    Dense {
        first_key: i64,
    },
    Unsigned(IntegerKeys<'a, false>),
    Signed(IntegerKeys<'a, true>),
    Floats(FloatKeys<'a>),
    Text(TextKeys<'a>),
    Tagged(TaggedKeys<'a>),
}

/// From hashes to slots.
#[derive(Clone, Copy, Debug)]
pub(super) enum Index<'a> {
    Buckets(Buckets<'a>),
    Perfect(VerifiedPerfectHash<'a>),
}

/// One way from hashes to slots.
pub(super) trait SlotIndex {
    /// The slot with a hash of which something holds. `None` as of [`Settled`], and where `holds` has none.
    fn find<const WHOLE: bool>(&self, hash: u64, holds: impl Fn(u32) -> Option<bool>) -> Settled<u32>;

    /// Whether nobody but the candidate can have a key.
    const HAS_ONE_CANDIDATE: bool;

    /// The only slot, or the first of several, that may have a key of a hash. `None` as of [`Settled`], and where it takes more to know.
    fn candidate<const WHOLE: bool>(&self, hash: u64) -> Settled<u32>;

    /// Asks for the first that a search needs.
    fn prefetch(&self, hash: u64);
}

impl SlotIndex for Index<'_> {
    #[inline(always)]
    fn find<const WHOLE: bool>(&self, hash: u64, holds: impl Fn(u32) -> Option<bool>) -> Settled<u32> {
        match self {
            Self::Buckets(buckets) => buckets.find::<WHOLE>(hash, holds),
            Self::Perfect(perfect_hash) => perfect_hash.find::<WHOLE>(hash, holds),
        }
    }

    const HAS_ONE_CANDIDATE: bool = false;

    #[inline(always)]
    fn candidate<const WHOLE: bool>(&self, hash: u64) -> Settled<u32> {
        match self {
            Self::Buckets(buckets) => buckets.candidate::<WHOLE>(hash),
            Self::Perfect(perfect_hash) => perfect_hash.candidate::<WHOLE>(hash),
        }
    }

    #[inline(always)]
    fn prefetch(&self, hash: u64) {
        match self {
            Self::Buckets(buckets) => buckets.prefetch(hash),
            Self::Perfect(perfect_hash) => perfect_hash.prefetch(hash),
        }
    }
}

impl SlotIndex for VerifiedPerfectHash<'_> {
    #[inline(always)]
    fn find<const WHOLE: bool>(&self, hash: u64, holds: impl Fn(u32) -> Option<bool>) -> Settled<u32> {
        match self.slot::<WHOLE>(hash)? {
            Some(slot) => Some(holds(slot)?.then_some(slot)),
            None => Some(None),
        }
    }

    const HAS_ONE_CANDIDATE: bool = true;

    #[inline(always)]
    fn candidate<const WHOLE: bool>(&self, hash: u64) -> Settled<u32> {
        self.slot::<WHOLE>(hash)
    }

    #[inline(always)]
    fn prefetch(&self, hash: u64) {
        self.prefetch_pilot(hash);
    }
}

/// Buckets of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets<'a>(VerifiedSlice<'a, BUCKET_LEN>);

impl SlotIndex for Buckets<'_> {
    #[inline(always)]
    fn find<const WHOLE: bool>(&self, hash: u64, holds: impl Fn(u32) -> Option<bool>) -> Settled<u32> {
        let at = home(hash, self.0.len() as u64) as usize;
        let bucket = Bucket::new(self.0.at::<WHOLE>(at)?);
        for place in bucket.matches(fingerprint(hash)) {
            let slot = bucket.slot(place);
            if holds(slot)? {
                return Some(Some(slot));
            }
        }
        if bucket.overflows() { self.find_further(at, hash, holds) } else { Some(None) }
    }

    const HAS_ONE_CANDIDATE: bool = false;

    #[inline(always)]
    fn candidate<const WHOLE: bool>(&self, hash: u64) -> Settled<u32> {
        let bucket = Bucket::new(self.0.at::<WHOLE>(home(hash, self.0.len() as u64) as usize)?);
        match bucket.matches(fingerprint(hash)).next() {
            Some(place) => Some(Some(bucket.slot(place))),
            None if bucket.overflows() => None,
            None => Some(None),
        }
    }

    #[inline(always)]
    fn prefetch(&self, hash: u64) {
        self.0.prefetch(home(hash, self.0.len() as u64) as usize);
    }
}

impl Buckets<'_> {
    /// Goes on behind a full bucket.
    #[inline(always)]
    fn find_further(&self, mut at: usize, hash: u64, holds: impl Fn(u32) -> Option<bool>) -> Settled<u32> {
        for _ in 1..CHAIN_LEN {
            at = if at + 1 == self.0.len() { 0 } else { at + 1 };
            let bucket = Bucket::new(self.0.at::<false>(at)?);
            for place in bucket.matches(fingerprint(hash)) {
                let slot = bucket.slot(place);
                if holds(slot)? {
                    return Some(Some(slot));
                }
            }
            if !bucket.overflows() {
                return Some(None);
            }
        }
        None
    }
}

impl KeyTable<'_> {
    /// The slot of an integer among keys that are integers, if no slot is free.
    #[inline(always)]
    pub(super) fn plain_slot_of_integer<const WHOLE: bool>(&self, int: i128) -> Settled<u32> {
        match &self.keys {
            Keys::Unsigned(keys) if !self.has_free_slots() => {
                self.find::<WHOLE, _>(keys, IntegerKeys::<false>::bits(int)?)
            }
            Keys::Signed(keys) if !self.has_free_slots() => {
                self.find::<WHOLE, _>(keys, IntegerKeys::<true>::bits(int)?)
            }
            _ => None,
        }
    }

    /// The slot of text among keys that are text, if no slot is free.
    #[inline(always)]
    pub(super) fn plain_slot_of_text<const WHOLE: bool>(&self, text: &str) -> Settled<u32> {
        match &self.keys {
            Keys::Text(keys) if !self.has_free_slots() => self.find::<WHOLE, _>(keys, text),
            _ => None,
        }
    }

    /// The slot of a key.
    #[inline(never)]
    pub(super) fn slot_of(&self, key: ValueRef<'_>) -> Settled<u32> {
        let found = match (&self.keys, key) {
            (Keys::Dense { first_key }, ValueRef::Int(int)) => return self.dense_slot(*first_key, int),
            (Keys::Dense { .. }, _) => None,
            (Keys::Unsigned(keys), _) => self.find::<false, _>(keys, keys.of(key)?),
            (Keys::Signed(keys), _) => self.find::<false, _>(keys, keys.of(key)?),
            (Keys::Text(keys), _) => self.find::<false, _>(keys, keys.of(key)?),
            (Keys::Floats(keys), _) => self.find::<false, _>(keys, keys.of(key)?),
            (Keys::Tagged(keys), _) => self.find::<false, _>(keys, key),
        };
        match found? {
            // An index that leads to a free slot is damaged, which the long way tells.
            Some(slot) => self.is_used(slot)?.then_some(Some(slot)),
            None => Some(None),
        }
    }

    /// Whether there are free slots among those of the file.
    pub(super) const fn has_free_slots(&self) -> bool {
        self.tombstones.is_some()
    }

    #[inline(always)]
    fn find<const WHOLE: bool, K: StoredKeys>(&self, keys: &K, key: K::Key<'_>) -> Settled<u32> {
        let hash = keys.hash(self.hasher, key);
        self.index.find::<WHOLE>(hash, |slot| keys.is_at::<WHOLE>(slot, key))
    }

    /// Whether all that it uses has been verified.
    #[inline(always)]
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    #[inline]
    fn dense_slot(&self, first_key: i64, int: i128) -> Settled<u32> {
        let slot = int.wrapping_sub(i128::from(first_key));
        if slot < 0 || slot >= i128::from(self.slot_count) {
            return Some(None);
        }
        Some(self.is_used(slot as u32)?.then_some(slot as u32))
    }

    /// Whether a slot is in use.
    #[inline(always)]
    pub(super) fn is_used(&self, slot: u32) -> Option<bool> {
        match &self.tombstones {
            _ if slot >= self.slot_count => Some(false),
            None => Some(true),
            Some(words) => {
                let word = u64::from_le_bytes(*words.at::<false>((slot >> 6) as usize)?);
                Some(word & (1 << (slot & 63)) == 0)
            }
        }
    }

    /// The slots of a group of keys; what they need is fetched for all of them before any waits for it. `cells` is called when it is known
    /// where each key is if it is anywhere, and `contents` a while later, so that they ask for more that is needed there.
    #[inline(always)]
    pub(super) fn slots_of(
        &self,
        group: &[KeyRef<'_>],
        slots: &mut Slots,
        (cells, contents): (impl FnOnce(&Slots), impl FnOnce(&Slots)),
    ) {
        // One loop for each kind, so that each is short.
        match &self.keys {
            Keys::Dense { first_key } => {
                for (slot, key) in slots.iter_mut().zip(group) {
                    *slot = match key.value() {
                        ValueRef::Int(int) => self.dense_slot(*first_key, int),
                        _ => None,
                    };
                }
                cells(slots);
                contents(slots);
            }
            Keys::Unsigned(keys) => self.find_group(keys, group, slots, (cells, contents)),
            Keys::Signed(keys) => self.find_group(keys, group, slots, (cells, contents)),
            Keys::Text(keys) => self.find_group(keys, group, slots, (cells, contents)),
            Keys::Floats(keys) => self.find_group(keys, group, slots, (cells, contents)),
            Keys::Tagged(keys) => self.find_group(keys, group, slots, (cells, contents)),
        }
    }

    #[inline]
    fn find_group<K: StoredKeys>(
        &self,
        keys: &K,
        group: &[KeyRef<'_>],
        slots: &mut Slots,
        (cells, contents): (impl FnOnce(&Slots), impl FnOnce(&Slots)),
    ) {
        let mut hashes = [0; GROUP_LEN];
        for (hash, key) in hashes.iter_mut().zip(group) {
            // What cannot be stored is found not to be there further down.
            *hash = keys.of(key.value()).map_or(0, |key| keys.hash(self.hasher, key));
            self.index.prefetch(*hash);
        }
        for (slot, &hash) in slots.iter_mut().zip(&hashes).take(group.len()) {
            *slot = self.index.find::<false>(hash, |_| Some(true));
            if let Some(Some(slot)) = *slot {
                keys.prefetch(slot);
            }
        }
        cells(slots);
        for slot in slots.iter().copied().flatten().flatten() {
            keys.prefetch_content(slot);
        }
        contents(slots);
        for (slot, key) in slots.iter_mut().zip(group) {
            if let Some(Some(candidate)) = *slot {
                *slot = self.confirmed(keys, candidate, keys.of(key.value()));
            } else if keys.of(key.value()).is_none() {
                *slot = None;
            }
        }
    }

    /// The slot that alone has a key's fingerprint, or its pilot, if it has the key.
    #[inline(always)]
    fn confirmed<K: StoredKeys>(&self, keys: &K, slot: u32, key: Option<K::Key<'_>>) -> Settled<u32> {
        match (keys.is_at::<false>(slot, key?)?, &self.tombstones) {
            (true, None) => Some(Some(slot)),
            (true, Some(_)) => self.is_used(slot)?.then_some(Some(slot)),
            // The index may have told of another key with the same fingerprint first; a perfect hash knows no other slot.
            (false, _) => matches!(self.index, Index::Perfect(_)).then_some(None),
        }
    }

    /// Appends the values of the slots of a group of keys, in their order, where all that it takes has been verified; free slots are not
    /// considered. `other` is asked for those that it takes more to know. `None` for other keys than integers and text.
    #[inline(always)]
    pub(super) fn values_of<'v, E>(
        &self,
        group: &[KeyRef<'_>],
        cells: impl PlainCells<'v>,
        changes: impl GroupChanges,
        values: &mut Vec<Option<ValueRef<'v>>>,
        other: impl FnMut(KeyRef<'_>, Other) -> Result<Option<ValueRef<'v>>, E>,
    ) -> Option<Result<(), E>> {
        if !self.is_whole() {
            return None;
        }
        match &self.keys {
            Keys::Unsigned(keys) => Some(self.values_of_plain(keys, group, (&cells, &changes), values, other)),
            Keys::Signed(keys) => Some(self.values_of_plain(keys, group, (&cells, &changes), values, other)),
            Keys::Text(keys) => Some(self.values_of_plain(keys, group, (&cells, &changes), values, other)),
            Keys::Dense { .. } | Keys::Floats(_) | Keys::Tagged(_) => None,
        }
    }

    #[inline(always)]
    fn values_of_plain<'v, K: StoredKeys, E>(
        &self,
        keys: &K,
        group: &[KeyRef<'_>],
        of_slots: (&impl PlainCells<'v>, &impl GroupChanges),
        values: &mut Vec<Option<ValueRef<'v>>>,
        other: impl FnMut(KeyRef<'_>, Other) -> Result<Option<ValueRef<'v>>, E>,
    ) -> Result<(), E> {
        match &self.index {
            Index::Buckets(buckets) => self.each_value((keys, buckets), group, of_slots, values, other),
            Index::Perfect(perfect_hash) => self.each_value((keys, perfect_hash), group, of_slots, values, other),
        }
    }

    #[inline(never)]
    fn each_value<'v, K: StoredKeys, X: SlotIndex, E>(
        &self,
        (keys, index): (&K, &X),
        group: &[KeyRef<'_>],
        (cells, changes): (&impl PlainCells<'v>, &impl GroupChanges),
        values: &mut Vec<Option<ValueRef<'v>>>,
        mut other: impl FnMut(KeyRef<'_>, Other) -> Result<Option<ValueRef<'v>>, E>,
    ) -> Result<(), E> {
        let (mut stored, mut hashes) = ([None; GROUP_LEN], [0; GROUP_LEN]);
        for ((stored, hash), key) in stored.iter_mut().zip(&mut hashes).zip(group) {
            *stored = keys.of(key.value());
            if let Some(key) = *stored {
                *hash = keys.hash(self.hasher, key);
                index.prefetch(*hash);
            }
        }
        // Nowhere: a slot that there is not. The bits of keys of which nothing is known are set.
        let (mut slots, mut unknown) = ([u32::MAX; GROUP_LEN], 0u64);
        for (n, (slot, &hash)) in slots.iter_mut().zip(&hashes).enumerate().take(group.len()) {
            match index.find::<true>(hash, |slot| (slot < self.slot_count).then_some(true)) {
                Some(Some(found)) => {
                    keys.prefetch(found);
                    cells.prefetch(found);
                    changes.prefetch(found);
                    *slot = found;
                }
                Some(None) => {}
                None => unknown |= 1 << n,
            }
        }
        // A bit for each slot of which patches or overlays may say something.
        let mut touched = 0u64;
        for (n, &slot) in slots.iter().enumerate().take(group.len()) {
            keys.prefetch_content(slot);
            cells.prefetch_content(slot);
            // Which slots are touched cannot be guessed: their bits are gathered without a branch, and gone through afterwards.
            touched |= u64::from(!changes.is_untouched(slot)) << n;
        }
        if touched != 0 {
            touched = changes.prefetch_touched(&slots, touched, cells.has_content());
        }
        for (n, ((&slot, &stored), &key)) in slots.iter().zip(&stored).zip(group).enumerate() {
            let is_there = match stored {
                Some(stored) if slot != u32::MAX => match keys.is_at::<true>(slot, stored) {
                    // The index may have told of another key with the same fingerprint first; a perfect hash knows no other slot.
                    Some(false) if !X::HAS_ONE_CANDIDATE => None,
                    is_there => is_there,
                },
                Some(_) if unknown & (1 << n) == 0 => Some(false),
                _ => None,
            };
            // Settled values are written where they are wanted, not by way of what the other cases share.
            let value = match is_there {
                // Those of touched slots as well, in whose place theirs come below.
                Some(true) => match cells.get(slot) {
                    Some(value) => {
                        values.push(value);
                        continue;
                    }
                    None if touched & (1 << n) != 0 => None,
                    None => other(key, Other::Unknown)?,
                },
                is_there => {
                    touched &= !(1 << n);
                    if is_there == Some(false) && !changes.may_have_key(key) {
                        None
                    } else {
                        other(key, Other::Unknown)?
                    }
                }
            };
            values.push(value);
        }
        let first = values.len().saturating_sub(group.len());
        for n in ones(touched) {
            if let (Some(&slot), Some(&key), Some(value)) = (slots.get(n), group.get(n), values.get_mut(first + n)) {
                *value = other(key, Other::Touched(slot))?;
            }
        }
        Ok(())
    }
}
