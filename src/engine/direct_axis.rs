//! Finding the slot of a key the direct way, in an axis file whose blocks have been verified.

use super::block_file::BlockFile;
use super::cells::Cells;
use super::direct_batch::GROUP_LEN;
use super::perfect_hash::PerfectHash;
use super::verified::{Settled, VerifiedBytes};
use crate::format::axis::{Axis, BUCKET_LEN, Bucket, Layout, SECTION_INDEX, SECTION_TOMBSTONES, fingerprint, home};
use crate::format::column::Encoding;
use crate::format::heap::ENTRY_ALIGNMENT;
use crate::format::value::{self, KeyHasher};
use crate::model::{KeyRef, ValueRef};

/// Buckets that a lookup visits before it takes the long way.
const CHAIN_LEN: usize = 8;

/// Where things are in an axis file.
#[derive(Debug)]
pub(super) struct DirectAxis {
    keys: Keys,
    slot_count: u32,
    /// Where level 0 of the tombstones is, if there are any.
    tombstones: Option<usize>,
    /// Where the keys' cells and the heap of text are.
    cells: usize,
    heap: usize,
    hasher: KeyHasher,
    index: Index,
    /// What a frozen axis has in place of an index.
    perfect_hash: Option<PerfectHash>,
}

/// How keys are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keys {
    Dense {
        first_key: i64,
    },
    I64,
    U64,
    F64,
    Text,
    /// Of any types, in the heap of values.
    Tagged,
    /// In a way that the direct way does not know.
    Other,
}

/// Where the buckets are.
#[derive(Clone, Copy, Debug)]
struct Index {
    offset: usize,
    bucket_count: u64,
}

/// What the index tells of a slot and a key.
trait IsKey {
    /// Whether a slot, which is below the slot count, holds the key.
    fn is_at(&self, slot: usize) -> Option<bool>;
}

/// Taken to be at the first slot that the index tells.
struct AnyKey;

impl IsKey for AnyKey {
    #[inline(always)]
    fn is_at(&self, _slot: usize) -> Option<bool> {
        Some(true)
    }
}

/// A key that is its eight bytes.
struct FixedKey<'a> {
    bits: u64,
    cells: usize,
    bytes: VerifiedBytes<'a>,
}

impl IsKey for FixedKey<'_> {
    #[inline(always)]
    fn is_at(&self, slot: usize) -> Option<bool> {
        Some(u64::from_le_bytes(*self.bytes.array(self.cells + slot * 8)?) == self.bits)
    }
}

struct TextKey<'a, 'k> {
    text: &'k str,
    cells: usize,
    heap: usize,
    bytes: VerifiedBytes<'a>,
}

impl IsKey for TextKey<'_, '_> {
    #[inline(always)]
    fn is_at(&self, slot: usize) -> Option<bool> {
        let position = u32::from_le_bytes(*self.bytes.array(self.cells + slot * 4)?) as usize;
        let at = self.heap + position * ENTRY_ALIGNMENT as usize;
        let (_, content) = self.bytes.heap_entry(at, self.bytes.text_end)?;
        Some(content == self.text.as_bytes())
    }
}

struct TaggedKey<'a, 'k> {
    key: ValueRef<'k>,
    cells: usize,
    heap: usize,
    bytes: VerifiedBytes<'a>,
}

impl IsKey for TaggedKey<'_, '_> {
    #[inline]
    fn is_at(&self, slot: usize) -> Option<bool> {
        let position = u32::from_le_bytes(*self.bytes.array(self.cells + slot * 4)?) as usize;
        let at = self.heap + position * ENTRY_ALIGNMENT as usize;
        let (_, content) = self.bytes.heap_entry(at, self.bytes.value_end)?;
        Some(value::decode(content).ok()? == self.key)
    }
}

impl DirectAxis {
    pub(super) fn new(
        file: &BlockFile,
        axis: &Axis,
        slot_count: u32,
        cells: Option<&Cells>,
        perfect_hash: Option<&PerfectHash>,
    ) -> Self {
        let (mut keys, mut place, mut bucket_count, mut seed) = (Keys::Other, 0, 0, 0);
        match axis.layout {
            Layout::Dense { first_key } => keys = Keys::Dense { first_key },
            Layout::Indexed { bucket_count: count, hash_seed, .. }
            | Layout::Frozen { bucket_count: count, hash_seed, .. } => {
                (bucket_count, seed) = (count, hash_seed);
                if let Some((encoding, first)) = cells.and_then(Cells::uniform_place) {
                    place = first;
                    keys = match encoding {
                        Encoding::PlainI64 => Keys::I64,
                        Encoding::PlainU64 => Keys::U64,
                        Encoding::PlainF64 => Keys::F64,
                        Encoding::Text32 => Keys::Text,
                        Encoding::Value32 => Keys::Tagged,
                        _ => Keys::Other,
                    };
                }
            }
        }
        let tombstones = file.section(SECTION_TOMBSTONES);
        Self {
            keys,
            slot_count,
            tombstones: (tombstones.len > 0).then_some(tombstones.offset as usize),
            cells: place,
            heap: if keys == Keys::Tagged { file.value_heap() } else { file.text_heap() }.offset as usize,
            hasher: KeyHasher::new(seed),
            index: Index { offset: file.section(SECTION_INDEX).offset as usize, bucket_count },
            perfect_hash: perfect_hash.cloned(),
        }
    }

    /// The slot of a key.
    #[inline(always)]
    pub(super) fn slot_of(&self, bytes: VerifiedBytes<'_>, key: KeyRef<'_>) -> Settled<u32> {
        let Self { cells, heap, .. } = *self;
        let found = match (self.keys, key.value()) {
            (Keys::U64, ValueRef::Int(int)) => {
                let bits = u64::try_from(int).ok()?;
                self.find(bytes, self.hasher.hash_int(int)?, &FixedKey { bits, cells, bytes })?
            }
            (Keys::I64, ValueRef::Int(int)) => {
                let bits = i64::try_from(int).ok()?.cast_unsigned();
                self.find(bytes, self.hasher.hash_int(int)?, &FixedKey { bits, cells, bytes })?
            }
            (Keys::Text, ValueRef::Text(text)) => {
                self.find(bytes, self.hasher.hash_text(text), &TextKey { text, cells, heap, bytes })?
            }
            (Keys::F64 | Keys::Tagged, _) => self.find_other(bytes, key)?,
            (Keys::Dense { first_key }, ValueRef::Int(int)) => {
                let slot = int.wrapping_sub(i128::from(first_key));
                if slot < 0 || slot >= i128::from(self.slot_count) {
                    return Some(None);
                }
                Some(slot as u32)
            }
            _ => return None,
        };
        match (found, self.tombstones) {
            (Some(slot), Some(_)) => self.unless_free(bytes, slot),
            _ => Some(found),
        }
    }

    /// The slot of a key that is a float, or one of several types.
    #[inline(never)]
    fn find_other(&self, bytes: VerifiedBytes<'_>, key: KeyRef<'_>) -> Settled<u32> {
        let Self { cells, heap, .. } = *self;
        let (hash, key) = (self.hasher.hash(key.value()), key.value());
        match (self.keys, key) {
            (Keys::F64, ValueRef::Float(float)) => {
                self.find(bytes, hash, &FixedKey { bits: float.to_bits(), cells, bytes })
            }
            (Keys::Tagged, _) => self.find(bytes, hash, &TaggedKey { key, cells, heap, bytes }),
            _ => None,
        }
    }

    /// Whether a slot is in use.
    #[inline(always)]
    pub(super) fn is_used(&self, bytes: VerifiedBytes<'_>, slot: u32) -> Option<bool> {
        if slot >= self.slot_count {
            return Some(false);
        }
        match self.tombstones {
            None => Some(true),
            Some(tombstones) => {
                let word = u64::from_le_bytes(*bytes.array(tombstones + (slot >> 6) as usize * 8)?);
                Some(word & (1 << (slot & 63)) == 0)
            }
        }
    }

    #[inline]
    fn unless_free(&self, bytes: VerifiedBytes<'_>, slot: u32) -> Settled<u32> {
        if self.is_used(bytes, slot)? {
            return Some(Some(slot));
        }
        // An index that leads to a free slot is damaged, which the long way tells.
        if matches!(self.keys, Keys::Dense { .. }) { Some(None) } else { None }
    }

    /// The slot of a key with a hash.
    #[inline(always)]
    fn find(&self, bytes: VerifiedBytes<'_>, hash: u64, key: &impl IsKey) -> Settled<u32> {
        let Some(perfect_hash) = &self.perfect_hash else { return self.find_in_index(bytes, hash, key) };
        match perfect_hash.direct(bytes, hash)? {
            Some(slot) if slot >= self.slot_count => None,
            Some(slot) => Some(key.is_at(slot as usize)?.then_some(slot)),
            None => Some(None),
        }
    }

    #[inline(always)]
    fn find_in_index(&self, bytes: VerifiedBytes<'_>, hash: u64, key: &impl IsKey) -> Settled<u32> {
        let Index { offset, bucket_count, .. } = self.index;
        let mut at = home(hash, bucket_count);
        for _ in 0..CHAIN_LEN {
            let bucket = Bucket::new(bytes.array(offset + at as usize * BUCKET_LEN)?);
            for place in bucket.matches(fingerprint(hash)) {
                let slot = bucket.slot(place);
                if slot >= self.slot_count {
                    return None;
                }
                if key.is_at(slot as usize)? {
                    return Some(Some(slot));
                }
            }
            if !bucket.overflows() {
                return Some(None);
            }
            at += 1;
            if at == bucket_count {
                at = 0;
            }
        }
        None
    }

    /// First stage of a batch: the hashes of keys, whose buckets or pilots are fetched.
    pub(super) fn start(&self, bytes: VerifiedBytes<'_>, keys: &[KeyRef<'_>], hashes: &mut [u64; GROUP_LEN]) {
        let hasher = &self.hasher;
        // One loop for each kind, so that each is short.
        match self.keys {
            Keys::Dense { .. } => {}
            Keys::U64 | Keys::I64 => self.fetch_starts(bytes, keys, hashes, |key| match key {
                ValueRef::Int(int) => hasher.hash_int(int).unwrap_or_default(),
                other => hasher.hash(other),
            }),
            Keys::Text => self.fetch_starts(bytes, keys, hashes, |key| match key {
                ValueRef::Text(text) => hasher.hash_text(text),
                other => hasher.hash(other),
            }),
            _ => self.fetch_starts(bytes, keys, hashes, |key| hasher.hash(key)),
        }
    }

    #[inline(always)]
    fn fetch_starts(
        &self,
        bytes: VerifiedBytes<'_>,
        keys: &[KeyRef<'_>],
        hashes: &mut [u64; GROUP_LEN],
        hash_of: impl Fn(ValueRef<'_>) -> u64,
    ) {
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = hash_of(key.value());
            bytes.prefetch(match &self.perfect_hash {
                None => self.index.offset + home(*hash, self.index.bucket_count) as usize * BUCKET_LEN,
                Some(perfect_hash) => perfect_hash.start(*hash) as usize,
            });
        }
    }

    /// Second stage: the slot that has the key if any slot has; its key's cell is fetched.
    #[inline(always)]
    pub(super) fn candidate(&self, bytes: VerifiedBytes<'_>, key: KeyRef<'_>, hash: u64) -> Settled<u32> {
        if matches!(self.keys, Keys::Dense { .. }) {
            return self.slot_of(bytes, key);
        }
        let slot = self.find(bytes, hash, &AnyKey)?;
        if let Some(slot) = slot {
            bytes.prefetch(self.cells + ((slot as usize) << self.width_shift()));
        }
        Some(slot)
    }

    /// Third stage, where keys are in a heap: they are fetched.
    pub(super) fn fetch_keys(&self, bytes: VerifiedBytes<'_>, slots: &[Settled<u32>]) {
        if !matches!(self.keys, Keys::Text | Keys::Tagged) {
            return;
        }
        for slot in slots.iter().copied().flatten().flatten() {
            if let Some(position) = bytes.array(self.cells + slot as usize * 4) {
                bytes.prefetch(self.heap + u32::from_le_bytes(*position) as usize * ENTRY_ALIGNMENT as usize);
            }
        }
    }

    /// Last stage: leaves of the candidates those that have the key.
    pub(super) fn confirm(&self, bytes: VerifiedBytes<'_>, keys: &[KeyRef<'_>], slots: &mut [Settled<u32>]) {
        let Self { cells, heap, .. } = *self;
        match self.keys {
            Keys::Dense { .. } => {}
            Keys::U64 => self.confirm_each(bytes, keys, slots, |key, slot| {
                let ValueRef::Int(int) = key else { return Some(false) };
                FixedKey { bits: u64::try_from(int).ok()?, cells, bytes }.is_at(slot)
            }),
            Keys::I64 => self.confirm_each(bytes, keys, slots, |key, slot| {
                let ValueRef::Int(int) = key else { return Some(false) };
                FixedKey { bits: i64::try_from(int).ok()?.cast_unsigned(), cells, bytes }.is_at(slot)
            }),
            Keys::Text => self.confirm_each(bytes, keys, slots, |key, slot| match key {
                ValueRef::Text(text) => TextKey { text, cells, heap, bytes }.is_at(slot),
                _ => Some(false),
            }),
            _ => self.confirm_each(bytes, keys, slots, |key, slot| match (self.keys, key) {
                (Keys::F64, ValueRef::Float(float)) => FixedKey { bits: float.to_bits(), cells, bytes }.is_at(slot),
                (Keys::Tagged, key) => TaggedKey { key, cells, heap, bytes }.is_at(slot),
                _ => Some(false),
            }),
        }
    }

    #[inline(always)]
    fn confirm_each(
        &self,
        bytes: VerifiedBytes<'_>,
        keys: &[KeyRef<'_>],
        slots: &mut [Settled<u32>],
        holds: impl Fn(ValueRef<'_>, usize) -> Option<bool>,
    ) {
        for (candidate, key) in slots.iter_mut().zip(keys) {
            if let Some(Some(slot)) = *candidate {
                *candidate = match holds(key.value(), slot as usize) {
                    Some(true) if self.tombstones.is_none() => continue,
                    Some(true) => self.unless_free(bytes, slot),
                    // The index may have told of another key with the same fingerprint first; a perfect hash knows no other slot.
                    Some(false) => self.perfect_hash.is_some().then_some(None),
                    None => None,
                };
            }
        }
    }

    fn width_shift(&self) -> u32 {
        if matches!(self.keys, Keys::Text | Keys::Tagged) { 2 } else { 3 }
    }
}
