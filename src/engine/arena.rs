//! Append-only memory with one writer and any number of readers that never wait: what the overlay is made of.
//!
//! All of it is safe code: items are written once into `OnceLock`s, and become reachable through atomics afterwards.

use super::mix::Mix;
use crate::storage::prefetch;
use bytemuck::Zeroable;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Items of the first chunk; each further chunk has twice as many.
const FIRST_CHUNK_SHIFT: u32 = 6;
/// Chunks that hold all 2^32 - 1 items.
const CHUNK_COUNT: usize = 27;
/// The most items that are allocated at once, so that the writer never waits for a large piece of memory.
const SEGMENT_SHIFT: u32 = 12;

/// "No item".
pub(super) const NONE: u32 = u32::MAX;

type Segment<T> = OnceLock<Box<[OnceLock<T>]>>;

/// Items numbered from 0 that never move and never change.
#[derive(Debug)]
pub(super) struct Arena<T> {
    chunks: [OnceLock<Box<[Segment<T>]>>; CHUNK_COUNT],
    len: AtomicU32,
}

/// The chunk of an item and its place there.
#[inline]
const fn place(index: u32) -> (usize, usize) {
    let shifted = index as u64 + (1 << FIRST_CHUNK_SHIFT);
    let chunk = shifted.ilog2() - FIRST_CHUNK_SHIFT;
    (chunk as usize, (shifted - (1 << (chunk + FIRST_CHUNK_SHIFT))) as usize)
}

fn unset<T>(count: usize) -> Box<[OnceLock<T>]> {
    (0..count).map(|_| OnceLock::new()).collect()
}

impl<T> Arena<T> {
    pub(super) fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNK_COUNT], len: AtomicU32::new(0) }
    }

    /// Appends an item; `None` when all numbers are taken. One writer at a time.
    pub(super) fn push(&self, item: T) -> Option<u32> {
        let index = self.len.load(Ordering::Relaxed);
        if index == NONE {
            return None;
        }
        let (chunk, at) = place(index);
        let item_count = 1usize << (chunk as u32 + FIRST_CHUNK_SHIFT);
        let segments = self.chunks.get(chunk)?.get_or_init(|| unset((item_count >> SEGMENT_SHIFT).max(1)));
        let segment = segments.get(at >> SEGMENT_SHIFT)?;
        let items = segment.get_or_init(|| unset(item_count.min(1 << SEGMENT_SHIFT)));
        items.get(at & ((1 << SEGMENT_SHIFT) - 1))?.set(item).ok()?;
        self.len.store(index + 1, Ordering::Release);
        Some(index)
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (chunk, at) = place(index);
        let segment = self.chunks.get(chunk)?.get()?.get(at >> SEGMENT_SHIFT)?;
        segment.get()?.get(at & ((1 << SEGMENT_SHIFT) - 1))?.get()
    }

    pub(super) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// The items so far, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).map_while(|index| self.get(index))
    }
}

/// What a hash table has of a key.
pub(super) trait Entry: Zeroable {
    /// The key plus one; 0 for an empty place.
    fn key(&self) -> &AtomicU64;
    /// Numbers of items, plus one each; 0 for none.
    fn items(&self) -> &[AtomicU32];
}

/// The number of one item.
#[derive(Debug, Zeroable)]
#[repr(C)]
pub(super) struct One {
    key: AtomicU64,
    item: AtomicU32,
}

/// The numbers of up to four items, in half a cache line.
#[derive(Debug, Zeroable)]
#[repr(C, align(32))]
pub(super) struct Four {
    key: AtomicU64,
    items: [AtomicU32; 4],
}

impl Entry for One {
    #[inline(always)]
    fn key(&self) -> &AtomicU64 {
        &self.key
    }

    #[inline(always)]
    fn items(&self) -> &[AtomicU32] {
        std::slice::from_ref(&self.item)
    }
}

impl Entry for Four {
    #[inline(always)]
    fn key(&self) -> &AtomicU64 {
        &self.key
    }

    #[inline(always)]
    fn items(&self) -> &[AtomicU32] {
        &self.items
    }
}

/// A hash table from a 64-bit key to the numbers of items; entries are added and changed, never removed.
///
/// It is made of parts that grow by themselves, so that the writer never waits until all of it has grown.
#[derive(Debug)]
pub(super) struct Heads<E = One> {
    parts: [OnceLock<Box<Part<E>>>; 1 << PART_BITS],
    mix: Mix,
}

const PART_BITS: u32 = 4;

/// One part of a table, which grows by filling a table of twice the size and publishing that one. Readers of the old table, which stays,
/// see what was there when they loaded it, and that is no less than what their snapshot covers.
#[derive(Debug)]
struct Part<E> {
    tables: [OnceLock<Box<[E]>>; TABLE_COUNT],
    current: AtomicUsize,
    /// Entries of the current table.
    count: AtomicUsize,
}

const TABLE_COUNT: usize = 32;
/// Entries of the first table of a part; each further one has twice as many.
const FIRST_TABLE_SHIFT: usize = 3;

impl<E: Entry> Part<E> {
    fn new() -> Self {
        Self {
            tables: [const { OnceLock::new() }; TABLE_COUNT],
            current: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    fn table(&self, number: usize) -> &[E] {
        let Some(table) = self.tables.get(number) else { return &[] };
        table.get_or_init(|| bytemuck::zeroed_slice_box(1 << (number + FIRST_TABLE_SHIFT)))
    }

    #[inline]
    fn current(&self) -> Option<&[E]> {
        self.tables.get(self.current.load(Ordering::Acquire))?.get().map(|table| &**table)
    }

    fn set(&self, key: u64, hash: u64, mix: Mix, items: impl Iterator<Item = (usize, u32)>) -> u64 {
        let number = self.current.load(Ordering::Relaxed);
        let table = self.table(number);
        let Some(entry) = find(table, key, hash) else { return 0 };
        let mut new = 0;
        for (place, item) in items {
            if let Some(place) = entry.items().get(place) {
                new += u64::from(place.load(Ordering::Relaxed) == 0);
                place.store(item + 1, Ordering::Release);
            }
        }
        if entry.key().load(Ordering::Relaxed) == 0 {
            entry.key().store(key + 1, Ordering::Release);
            let count = self.count.load(Ordering::Relaxed) + 1;
            self.count.store(count, Ordering::Relaxed);
            if count * 2 > table.len() {
                self.grow(number, table, mix);
            }
        }
        new
    }

    fn grow(&self, number: usize, table: &[E], mix: Mix) {
        let next = self.table(number + 1);
        for entry in table {
            let key = entry.key().load(Ordering::Relaxed);
            if let Some(key) = key.checked_sub(1)
                && let Some(place) = find(next, key, mix.of(key))
            {
                for (to, from) in place.items().iter().zip(entry.items()) {
                    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                place.key().store(key + 1, Ordering::Release);
            }
        }
        self.current.store(number + 1, Ordering::Release);
    }
}

/// The place of a key with a hash in a table, or the empty place where it belongs.
#[inline]
fn find<E: Entry>(table: &[E], key: u64, hash: u64) -> Option<&E> {
    let mask = table.len().wrapping_sub(1);
    let mut at = (hash >> 16) as usize & mask;
    for _ in 0..table.len() {
        let entry = table.get(at)?;
        let found = entry.key().load(Ordering::Acquire);
        if found == key + 1 || found == 0 {
            return Some(entry);
        }
        at = (at + 1) & mask;
    }
    None
}

/// The items of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items<'h>(&'h [AtomicU32]);

impl Items<'_> {
    /// The item at a place, if there is one.
    #[inline]
    pub(super) fn get(self, place: usize) -> Option<u32> {
        self.0.get(place)?.load(Ordering::Acquire).checked_sub(1)
    }
}

impl<E: Entry> Heads<E> {
    pub(super) fn new() -> Self {
        Self { parts: [const { OnceLock::new() }; 1 << PART_BITS], mix: Mix::new() }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().filter_map(OnceLock::get).map(|part| part.count.load(Ordering::Relaxed)).sum()
    }

    /// The items of a key. Keys are below 2^64 - 1.
    #[inline]
    pub(super) fn items(&self, key: u64) -> Option<Items<'_>> {
        let hash = self.mix.of(key);
        let part = self.parts.get((hash >> (64 - PART_BITS)) as usize)?.get()?;
        let entry = find(part.current()?, key, hash)?;
        (entry.key().load(Ordering::Acquire) == key + 1).then(|| Items(entry.items()))
    }

    /// Sets items of a key, each with its place; returns how many of them it did not have. One writer at a time.
    #[inline]
    pub(super) fn set_all(&self, key: u64, items: impl Iterator<Item = (usize, u32)>) -> u64 {
        let hash = self.mix.of(key);
        match self.parts.get((hash >> (64 - PART_BITS)) as usize) {
            Some(part) => part.get_or_init(|| Box::new(Part::new())).set(key, hash, self.mix, items),
            None => 0,
        }
    }

    /// Asks for the cache line on which a key is, or where it will be.
    #[inline]
    pub(super) fn prefetch(&self, key: u64) {
        let hash = self.mix.of(key);
        let part = self.parts.get((hash >> (64 - PART_BITS)) as usize).and_then(OnceLock::get);
        if let Some(table) = part.and_then(|part| part.current()) {
            prefetch(table, (hash >> 16) as usize & table.len().wrapping_sub(1));
        }
    }

    /// The keys so far, each with its items, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Items<'_>)> {
        let tables = self.parts.iter().filter_map(OnceLock::get).filter_map(|part| part.current());
        tables.flatten().filter_map(|entry| {
            let key = entry.key().load(Ordering::Acquire).checked_sub(1)?;
            Some((key, Items(entry.items())))
        })
    }

    /// The keys so far, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        self.iter().map(|(key, _)| key)
    }
}

impl Heads {
    /// The item of a key. Keys are below 2^64 - 1.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        self.items(key)?.get(0)
    }

    /// Sets the item of a key, which is below 2^32 - 1. One writer at a time.
    pub(super) fn set(&self, key: u64, item: u32) {
        self.set_all(key, std::iter::once((0, item)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn items_keep_their_numbers_and_places() {
        let arena = Arena::new();
        let first = arena.push(0u32).and_then(|index| arena.get(index)).unwrap() as *const u32;
        for n in 1..10_000u32 {
            assert_eq!(arena.push(n), Some(n));
        }
        assert!((0..10_000).all(|n| arena.get(n) == Some(&n)));
        assert_eq!(arena.get(10_000), None);
        assert_eq!(arena.get(0).unwrap() as *const u32, first);
        assert_eq!(place(u32::MAX).0, CHUNK_COUNT - 1);
    }

    #[test]
    fn heads_are_found_while_the_table_grows_under_readers() {
        let heads: Arc<Heads> = Arc::new(Heads::new());
        let published = Arc::new(AtomicU64::new(0));
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..3)
            .map(|seed| {
                let (heads, published, done) = (Arc::clone(&heads), Arc::clone(&published), Arc::clone(&done));
                std::thread::spawn(move || {
                    let mut reads = 0u64;
                    while !done.load(Ordering::Relaxed) || reads < 1000 {
                        let end = published.load(Ordering::Acquire);
                        if end > 0 {
                            let key = (reads.wrapping_mul(7919) + seed) % end;
                            assert!(heads.get(key).is_some_and(|item| u64::from(item) >= key), "key {key} of {end}");
                        }
                        reads += 1;
                    }
                })
            })
            .collect();
        for key in 0..50_000u64 {
            heads.set(key, key as u32);
            published.store(key + 1, Ordering::Release);
            heads.set(key / 2, key as u32);
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(heads.get(50_000), None);
        assert_eq!(heads.keys().count(), 50_000);
    }

    #[test]
    fn the_items_of_a_key_lie_in_half_a_cache_line_and_are_set_one_by_one_or_together() {
        assert_eq!((size_of::<Four>(), align_of::<Four>(), size_of::<One>()), (32, 32, 16));
        let heads = Heads::<Four>::new();
        for key in 0..1000 {
            assert_eq!(heads.set_all(key, [(0, 7), (3, key as u32)].into_iter()), 2);
            assert_eq!(heads.set_all(key, [(1, 0), (3, 5)].into_iter()), 1);
        }
        for key in 0..1000 {
            let items = heads.items(key).unwrap();
            assert_eq!([0, 1, 2, 3, 4].map(|place| items.get(place)), [Some(7), Some(0), None, Some(5), None]);
        }
        assert_eq!(heads.len(), 1000);
        assert!(heads.items(1000).is_none());
    }

    /// Slots are chosen by whoever chooses which points to change. With a fixed factor, those whose product with it is small shared one
    /// end of every table, and each change walked past all others.
    #[test]
    fn keys_that_were_close_under_a_fixed_factor_are_found_in_a_few_steps() {
        const FIXED: u64 = 0x9E37_79B9_7F4A_7C15;
        let close = |key: &u64| ((key + 1).wrapping_mul(FIXED) >> 32) & 0xFFFF < 0x400;
        let keys: Vec<u64> = (0..).filter(close).take(10_000).collect();
        let heads: Heads = Heads::new();
        keys.iter().for_each(|&key| heads.set(key, 1));
        let used = |head: &One| head.key.load(Ordering::Relaxed) != 0;
        let longest_of = |part: &Part<One>| {
            part.current()
                .unwrap()
                .chunk_by(|a, b| used(a) == used(b))
                .filter(|run| run.iter().all(used))
                .map(<[_]>::len)
                .max()
        };
        let longest = heads.parts.iter().filter_map(OnceLock::get).filter_map(|part| longest_of(part)).max();
        assert!(longest < Some(400), "{longest:?} places in a row are taken");
    }
}
