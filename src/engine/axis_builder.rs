//! Building an axis file from keys in slot order: dense where the keys are consecutive integers, else stored and indexed.

use super::block_writer::BlockWriter;
use super::column_builder::PresentSlots;
use super::heap_builder::HeapBuilder;
use super::segment_writer::{CellSource, write_segments};
use crate::error::{Error, Result};
use crate::format::axis::{
    Axis, BucketBuilder, Layout, SECTION_AXIS, SECTION_INDEX, SECTION_TOMBSTONES, fingerprint, home, tombstone_levels,
};
use crate::format::column::{Encoding, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP};
use crate::format::manifest::FileEntry;
use crate::format::value;
use crate::model::{KeyRef, ValueRef};

/// A longer run of full buckets than this asks for another seed.
const CHAIN_LEN_LIMIT: u32 = 32;
/// Seeds to try before a long chain is accepted.
const SEED_TRIES: u64 = 4;

/// The keys of an axis, gathered in slot order. Slots that are passed over become tombstones.
#[derive(Debug)]
pub(super) struct AxisBuilder {
    present: PresentSlots,
    slot_count: u32,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// No key yet.
    Empty,
    /// The key of slot s is `first` + s.
    Dense {
        first: i64,
    },
    /// One cell for each slot, tombstones included.
    Integers {
        cells: Vec<u64>,
        unsigned: bool,
    },
    Floats(Vec<u64>),
    Heap(HeapBuilder),
}

impl AxisBuilder {
    pub(super) fn new() -> Self {
        Self { present: PresentSlots::default(), slot_count: 0, store: Store::Empty }
    }

    /// Adds the key of a slot. Slots ascend.
    pub(super) fn push(&mut self, slot: u32, key: KeyRef<'_>) -> Result<()> {
        if !self.push_same(slot, key.value())? {
            self.convert(key.value())?;
            self.push_same(slot, key.value())?;
        }
        self.present.insert(slot);
        self.slot_count = slot + 1;
        Ok(())
    }

    /// The key of a slot that has one.
    pub(super) fn key(&self, slot: u32) -> ValueRef<'_> {
        self.store.key(slot)
    }

    pub(super) fn point_count(&self) -> u64 {
        self.present.count()
    }

    pub(super) fn slot_count(&self) -> u32 {
        self.slot_count
    }

    /// Adds a key to the store if it is of the store's kind.
    fn push_same(&mut self, slot: u32, key: ValueRef<'_>) -> Result<bool> {
        match (&mut self.store, key) {
            (store @ Store::Empty, ValueRef::Int(int)) => {
                let Some(first) = int.checked_sub(slot.into()).and_then(|first| i64::try_from(first).ok()) else {
                    return Ok(false);
                };
                *store = Store::Dense { first };
                Ok(true)
            }
            (Store::Dense { first }, ValueRef::Int(int)) => Ok(i128::from(*first) + i128::from(slot) == int),
            (Store::Integers { cells, unsigned }, ValueRef::Int(int)) => {
                let cell =
                    if *unsigned { u64::try_from(int).ok() } else { i64::try_from(int).ok().map(i64::cast_unsigned) };
                let Some(cell) = cell else { return Ok(false) };
                cells.resize(slot as usize, 0);
                cells.push(cell);
                Ok(true)
            }
            (Store::Floats(cells), ValueRef::Float(float)) => {
                cells.resize(slot as usize, 0);
                cells.push(float.to_bits());
                Ok(true)
            }
            (Store::Heap(heap), key) if !heap.is_text() || key.as_str().is_some() => {
                for _ in heap.len()..slot as usize {
                    heap.push_unused();
                }
                heap.push(key)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Changes the store to a kind that holds its keys and `key`.
    fn convert(&mut self, key: ValueRef<'_>) -> Result<()> {
        let old = std::mem::replace(&mut self.store, Store::Empty);
        let end = self.slot_count;
        let all_fit = |fits: fn(i128) -> bool| {
            (0..end).filter(|&slot| self.present.contains(slot)).all(|slot| match old.key(slot) {
                ValueRef::Int(int) => fits(int),
                _ => false,
            }) && matches!(key, ValueRef::Int(int) if fits(int))
        };
        self.store = match (&old, key) {
            (Store::Empty | Store::Dense { .. } | Store::Integers { .. }, ValueRef::Int(_))
                if all_fit(|int| i64::try_from(int).is_ok()) =>
            {
                Store::Integers { cells: Vec::new(), unsigned: false }
            }
            (Store::Empty | Store::Dense { .. } | Store::Integers { .. }, ValueRef::Int(_))
                if all_fit(|int| u64::try_from(int).is_ok()) =>
            {
                Store::Integers { cells: Vec::new(), unsigned: true }
            }
            (Store::Empty, ValueRef::Float(_)) => Store::Floats(Vec::new()),
            (Store::Empty, ValueRef::Text(_)) => Store::Heap(HeapBuilder::new(true, false)),
            _ => Store::Heap(HeapBuilder::new(false, false)),
        };
        for slot in 0..end {
            if self.present.contains(slot) && !self.push_same(slot, old.key(slot))? {
                return Err(Error::invalid_argument("a key that fits no store"));
            }
        }
        Ok(())
    }

    /// Writes the file.
    pub(super) fn finish(self, hash_seed: u64, mut writer: BlockWriter<'_>) -> Result<FileEntry> {
        let Self { present, slot_count, store } = self;
        let layout = match &store {
            Store::Empty => Layout::Dense { first_key: 0 },
            Store::Dense { first } => Layout::Dense { first_key: *first },
            _ => {
                if let Store::Heap(heap) = &store {
                    let kind = if heap.is_text() { SECTION_TEXT_HEAP } else { SECTION_VALUE_HEAP };
                    heap.write(kind, &mut writer)?;
                }
                // Tombstones have a cell too, so that a key is one load from its slot.
                let mut all = PresentSlots::default();
                (0..slot_count).for_each(|slot| all.insert(slot));
                write_segments(&KeyCells { store: &store, present: &present }, &all, slot_count, &mut writer)?;
                let keys = || {
                    let used = (0..slot_count).filter(|&slot| present.contains(slot));
                    used.map(|slot| (slot, store.key(slot)))
                };
                let index = build_index(present.count(), keys, hash_seed);
                index.write(&mut writer)?;
                let BuiltIndex { bucket_count, hash_seed, chain_len_max, .. } = index;
                Layout::Indexed { bucket_count, hash_seed, chain_len_max }
            }
        };
        let free_count = u64::from(slot_count) - present.count();
        let tombstone_levels = if free_count > 0 { write_tombstones(&present, slot_count, &mut writer)? } else { 0 };
        writer.section(SECTION_AXIS, &Axis { layout, tombstone_levels, free_count }.encode())?;
        writer.finish(slot_count.into(), present.count())
    }
}

impl Store {
    fn key(&self, slot: u32) -> ValueRef<'_> {
        let cell = |cells: &[u64]| cells.get(slot as usize).copied().unwrap_or_default();
        match self {
            Self::Empty => ValueRef::Null,
            Self::Dense { first } => ValueRef::Int(i128::from(*first) + i128::from(slot)),
            Self::Integers { cells, unsigned: true } => ValueRef::Int(cell(cells).into()),
            Self::Integers { cells, .. } => ValueRef::Int(cell(cells).cast_signed().into()),
            Self::Floats(cells) => ValueRef::Float(f64::from_bits(cell(cells))),
            Self::Heap(heap) => heap.value(slot as usize),
        }
    }
}

/// The stored keys as a column without gaps.
struct KeyCells<'a> {
    store: &'a Store,
    present: &'a PresentSlots,
}

impl CellSource for KeyCells<'_> {
    fn value(&self, index: usize) -> Option<ValueRef<'_>> {
        let slot = index as u32;
        self.present.contains(slot).then(|| self.store.key(slot))
    }

    fn encoding(&self) -> Encoding {
        match self.store {
            Store::Empty | Store::Dense { .. } | Store::Integers { unsigned: false, .. } => Encoding::PlainI64,
            Store::Integers { .. } => Encoding::PlainU64,
            Store::Floats(_) => Encoding::PlainF64,
            Store::Heap(heap) => heap.encoding(),
        }
    }

    fn encode_cell(&self, index: usize, out: &mut Vec<u8>) {
        match self.store {
            Store::Empty | Store::Dense { .. } => {}
            Store::Integers { cells, .. } | Store::Floats(cells) => {
                out.extend(cells.get(index).copied().unwrap_or_default().to_le_bytes());
            }
            Store::Heap(heap) => heap.encode_cell(index, out),
        }
    }
}

/// A key index, and what its readers need to know.
pub(super) struct BuiltIndex {
    buckets: Vec<BucketBuilder>,
    pub(super) bucket_count: u64,
    pub(super) hash_seed: u64,
    pub(super) chain_len_max: u32,
}

/// Builds the index of `key_count` keys, which `keys` gives with their slots, each time it is called.
pub(super) fn build_index<'k, I>(key_count: u64, keys: impl Fn() -> I, hash_seed: u64) -> BuiltIndex
where
    I: Iterator<Item = (u32, ValueRef<'k>)>,
{
    // Seven tenths full: a lookup then rarely leaves its home bucket.
    let bucket_count = (key_count * 10).div_ceil(8 * 7).max(1);
    let mut tries = 0;
    loop {
        let seed = hash_seed.wrapping_add(tries);
        let mut buckets = vec![BucketBuilder::EMPTY; bucket_count as usize];
        for (slot, key) in keys() {
            let hash = value::hash(key, seed);
            let mut at = home(hash, bucket_count);
            while buckets.get_mut(at as usize).is_some_and(|bucket| !bucket.insert(fingerprint(hash), slot)) {
                at = (at + 1) % bucket_count;
            }
        }
        let chain_len_max = longest_chain(&buckets);
        tries += 1;
        if chain_len_max <= CHAIN_LEN_LIMIT || tries == SEED_TRIES {
            return BuiltIndex { buckets, bucket_count, hash_seed: seed, chain_len_max };
        }
    }
}

/// The most buckets that a lookup visits, of a missing key too: it starts anywhere and goes on while they overflow. Some bucket
/// does not, as not all are full.
fn longest_chain(buckets: &[BucketBuilder]) -> u32 {
    let (mut longest, mut run) = (0, 0);
    // Twice, for runs that go on from the last bucket at the first.
    for bucket in buckets.iter().chain(buckets) {
        run = if bucket.overflows() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    (longest + 1).min(buckets.len() as u32)
}

impl BuiltIndex {
    /// Writes the section.
    pub(super) fn write(&self, writer: &mut BlockWriter<'_>) -> Result<()> {
        writer.begin_section(SECTION_INDEX)?;
        let mut bytes = Vec::new();
        for chunk in self.buckets.chunks(1024) {
            bytes.clear();
            chunk.iter().for_each(|bucket| bucket.encode(&mut bytes));
            writer.write(&bytes)?;
        }
        writer.end_section();
        Ok(())
    }
}

fn write_tombstones(present: &PresentSlots, slot_count: u32, writer: &mut BlockWriter<'_>) -> Result<u32> {
    let levels = tombstone_levels(slot_count.into());
    writer.begin_section(SECTION_TOMBSTONES)?;
    let mut words: Vec<u64> = Vec::new();
    for (level, &count) in levels.iter().enumerate() {
        words = if level == 0 {
            (0..count as usize)
                .map(|word| {
                    let slots = (u64::from(slot_count) - word as u64 * 64).min(64);
                    let used = if slots == 64 { u64::MAX } else { (1 << slots) - 1 };
                    !present.word(word) & used
                })
                .collect()
        } else {
            words
                .chunks(64)
                .map(|below| below.iter().rev().fold(0, |bits, &word| (bits << 1) | u64::from(word != 0)))
                .collect()
        };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        writer.write(&bytes)?;
    }
    writer.end_section();
    Ok(levels.len() as u32)
}
