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

/// A hash table from a 64-bit key to the number of an item; entries are added and changed, never removed.
///
/// Four keys that differ in their two lowest bits only lie on one cache line, so that it pays to give what is used together such keys.
/// The table is made of parts that grow by themselves, so that the writer never waits until all of it has grown.
#[derive(Debug)]
pub(super) struct Heads {
    parts: [OnceLock<Box<Part>>; 1 << PART_BITS],
    mix: Mix,
}

const PART_BITS: u32 = 4;

/// One part of a table, which grows by filling a table of twice the size and publishing that one. Readers of the old table, which stays,
/// see what was there when they loaded it, and that is no less than what their snapshot covers.
#[derive(Debug)]
struct Part {
    tables: [OnceLock<Box<[Line]>>; TABLE_COUNT],
    current: AtomicUsize,
    /// Entries of the current table.
    count: AtomicUsize,
}

/// A cache line.
#[derive(Debug, Zeroable)]
#[repr(C, align(64))]
struct Line([Head; LINE_LEN]);

const LINE_LEN: usize = 4;

#[derive(Debug, Zeroable)]
#[repr(C)]
struct Head {
    /// The key plus one; 0 for an empty place.
    key: AtomicU64,
    item: AtomicU32,
}

const TABLE_COUNT: usize = 32;
/// Lines of the first table of a part; each further one has twice as many.
const FIRST_TABLE_SHIFT: usize = 1;

impl Part {
    fn new() -> Self {
        Self {
            tables: [const { OnceLock::new() }; TABLE_COUNT],
            current: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    fn table(&self, number: usize) -> &[Line] {
        let Some(table) = self.tables.get(number) else { return &[] };
        table.get_or_init(|| bytemuck::zeroed_slice_box(1 << (number + FIRST_TABLE_SHIFT)))
    }

    fn current(&self) -> Option<&[Line]> {
        self.tables.get(self.current.load(Ordering::Acquire))?.get().map(|table| &**table)
    }

    fn replace(&self, key: u64, hash: u64, mix: Mix, item: impl FnOnce(Option<u32>) -> Option<u32>) {
        let number = self.current.load(Ordering::Relaxed);
        let table = self.table(number);
        let Some(head) = find(table, key, hash) else { return };
        let is_new = head.key.load(Ordering::Relaxed) == 0;
        let Some(item) = item((!is_new).then(|| head.item.load(Ordering::Relaxed))) else { return };
        head.item.store(item, Ordering::Release);
        if is_new {
            head.key.store(key + 1, Ordering::Release);
            let count = self.count.load(Ordering::Relaxed) + 1;
            self.count.store(count, Ordering::Relaxed);
            if count * 2 > table.len() * LINE_LEN {
                self.grow(number, table, mix);
            }
        }
    }

    fn grow(&self, number: usize, table: &[Line], mix: Mix) {
        let next = self.table(number + 1);
        for head in table.iter().flat_map(|line| &line.0) {
            let key = head.key.load(Ordering::Relaxed);
            if let Some(key) = key.checked_sub(1)
                && let Some(place) = find(next, key, mix.of(key / LINE_LEN as u64))
            {
                place.item.store(head.item.load(Ordering::Relaxed), Ordering::Release);
                place.key.store(key + 1, Ordering::Release);
            }
        }
        self.current.store(number + 1, Ordering::Release);
    }
}

/// The place of a key with a hash in a table, or the empty place where it belongs.
#[inline]
fn find(table: &[Line], key: u64, hash: u64) -> Option<&Head> {
    let mask = table.len().wrapping_sub(1);
    let (first, mut at) = (key as usize % LINE_LEN, (hash >> 16) as usize & mask);
    for _ in 0..table.len() {
        let line = &table.get(at)?.0;
        for step in 0..LINE_LEN {
            let head = line.get((first + step) % LINE_LEN)?;
            let found = head.key.load(Ordering::Acquire);
            if found == key + 1 || found == 0 {
                return Some(head);
            }
        }
        at = (at + 1) & mask;
    }
    None
}

impl Heads {
    pub(super) fn new() -> Self {
        Self { parts: [const { OnceLock::new() }; 1 << PART_BITS], mix: Mix::new() }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().filter_map(OnceLock::get).map(|part| part.count.load(Ordering::Relaxed)).sum()
    }

    /// The item of a key. Keys are below 2^64 - 1.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        let hash = self.mix.of(key / LINE_LEN as u64);
        let part = self.parts.get((hash >> (64 - PART_BITS)) as usize)?.get()?;
        let head = find(part.current()?, key, hash)?;
        (head.key.load(Ordering::Acquire) == key + 1).then(|| head.item.load(Ordering::Acquire))
    }

    /// Sets the item of a key. One writer at a time.
    pub(super) fn set(&self, key: u64, item: u32) {
        self.replace(key, |_| Some(item));
    }

    /// Sets the item of a key to what a function makes of the one that it has, if any; leaves it where that is `None`. One writer at a time.
    #[inline]
    pub(super) fn replace(&self, key: u64, item: impl FnOnce(Option<u32>) -> Option<u32>) {
        let hash = self.mix.of(key / LINE_LEN as u64);
        if let Some(part) = self.parts.get((hash >> (64 - PART_BITS)) as usize) {
            part.get_or_init(|| Box::new(Part::new())).replace(key, hash, self.mix, item);
        }
    }

    /// Asks for the cache line on which a key is, or where it will be.
    #[inline]
    pub(super) fn prefetch(&self, key: u64) {
        let hash = self.mix.of(key / LINE_LEN as u64);
        let part = self.parts.get((hash >> (64 - PART_BITS)) as usize).and_then(OnceLock::get);
        if let Some(table) = part.and_then(|part| part.current()) {
            prefetch(table, (hash >> 16) as usize & table.len().wrapping_sub(1));
        }
    }

    /// The keys so far, each with its item, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        let tables = self.parts.iter().filter_map(OnceLock::get).filter_map(|part| part.current());
        tables.flatten().flat_map(|line| &line.0).filter_map(|head| {
            let key = head.key.load(Ordering::Acquire).checked_sub(1)?;
            Some((key, head.item.load(Ordering::Acquire)))
        })
    }

    /// The keys so far, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        self.iter().map(|(key, _)| key)
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
        let heads = Arc::new(Heads::new());
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
    fn four_keys_that_differ_in_their_lowest_bits_lie_on_one_cache_line() {
        let heads = Heads::new();
        (0..4).for_each(|key| heads.set(0xABCD_EF00 | key, key as u32));
        let table = heads.parts.iter().find_map(OnceLock::get).and_then(|part| part.current()).unwrap();
        let used = table.iter().map(|line| line.0.iter().filter(|head| head.key.load(Ordering::Relaxed) != 0).count());
        assert_eq!(used.max(), Some(4));
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
        assert!((0..4).all(|key| heads.get(0xABCD_EF00 | key) == Some(key as u32)));
    }

    /// Slots are chosen by whoever chooses which points to change. With a fixed factor, those whose product with it is small shared one
    /// end of every table, and each change walked past all others.
    #[test]
    fn keys_that_were_close_under_a_fixed_factor_are_found_in_a_few_steps() {
        const FIXED: u64 = 0x9E37_79B9_7F4A_7C15;
        let close = |key: &u64| ((key + 1).wrapping_mul(FIXED) >> 32) & 0xFFFF < 0x400;
        let keys: Vec<u64> = (0..).filter(close).take(10_000).collect();
        let heads = Heads::new();
        keys.iter().for_each(|&key| heads.set(key, 1));
        let used = |head: &Head| head.key.load(Ordering::Relaxed) != 0;
        let longest_of = |part: &Part| {
            let heads: Vec<&Head> = part.current().unwrap().iter().flat_map(|line| &line.0).collect();
            heads
                .chunk_by(|a, b| used(a) == used(b))
                .filter(|run| run.iter().all(|head| used(head)))
                .map(<[_]>::len)
                .max()
        };
        let longest = heads.parts.iter().filter_map(OnceLock::get).filter_map(|part| longest_of(part)).max();
        assert!(longest < Some(400), "{longest:?} places in a row are taken");
    }
}
