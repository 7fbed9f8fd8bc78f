//! Append-only memory with one writer and any number of readers that never wait: what the overlay is made of.
//!
//! All of it is safe code: items are written once into `OnceLock`s, and become reachable through atomics afterwards.

use super::mix::Mix;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Items of the first chunk; each further chunk has twice as many.
const FIRST_CHUNK_SHIFT: u32 = 6;
/// Chunks that hold all 2^32 - 1 items.
const CHUNK_COUNT: usize = 27;

/// "No item".
pub(super) const NONE: u32 = u32::MAX;

/// Items numbered from 0 that never move and never change.
#[derive(Debug)]
pub(super) struct Arena<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNK_COUNT],
    len: AtomicU32,
}

/// The chunk of an item and its place there.
#[inline]
const fn place(index: u32) -> (usize, usize) {
    let shifted = index as u64 + (1 << FIRST_CHUNK_SHIFT);
    let chunk = shifted.ilog2() - FIRST_CHUNK_SHIFT;
    (chunk as usize, (shifted - (1 << (chunk + FIRST_CHUNK_SHIFT))) as usize)
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
        let items = self
            .chunks
            .get(chunk)?
            .get_or_init(|| (0..1usize << (chunk as u32 + FIRST_CHUNK_SHIFT)).map(|_| OnceLock::new()).collect());
        items.get(at)?.set(item).ok()?;
        self.len.store(index + 1, Ordering::Release);
        Some(index)
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (chunk, at) = place(index);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
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
/// It grows by filling a table of twice the size and publishing that one. Readers of the old table, which stays, see what
/// was there when they loaded it, and that is no less than what their snapshot covers.
#[derive(Debug)]
pub(super) struct Heads {
    tables: [OnceLock<Box<[Head]>>; TABLE_COUNT],
    current: AtomicUsize,
    /// Entries of the current table.
    count: AtomicUsize,
    mix: Mix,
}

#[derive(Debug)]
struct Head {
    /// The key plus one; 0 for an empty place.
    key: AtomicU64,
    item: AtomicU32,
}

const TABLE_COUNT: usize = 34;
const FIRST_TABLE_SHIFT: usize = 5;

impl Heads {
    pub(super) fn new() -> Self {
        Self {
            tables: [const { OnceLock::new() }; TABLE_COUNT],
            current: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            mix: Mix::new(),
        }
    }

    fn table(&self, number: usize) -> &[Head] {
        let Some(table) = self.tables.get(number) else { return &[] };
        table.get_or_init(|| {
            (0..1usize << (number + FIRST_TABLE_SHIFT))
                .map(|_| Head { key: AtomicU64::new(0), item: AtomicU32::new(NONE) })
                .collect()
        })
    }

    /// The place of a key, or the empty place where it belongs. `key` is the key plus one.
    #[inline]
    fn find<'t>(&self, table: &'t [Head], key: u64) -> Option<&'t Head> {
        let mask = table.len().wrapping_sub(1);
        let mut at = (self.mix.of(key) >> 16) as usize & mask;
        for _ in 0..table.len() {
            let head = table.get(at)?;
            let found = head.key.load(Ordering::Acquire);
            if found == key || found == 0 {
                return Some(head);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The item of a key. Keys are below 2^64 - 1.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        let table = self.tables.get(self.current.load(Ordering::Acquire))?.get()?;
        let key = key.wrapping_add(1);
        let head = self.find(table, key)?;
        if head.key.load(Ordering::Acquire) != key {
            return None;
        }
        Some(head.item.load(Ordering::Acquire)).filter(|&item| item != NONE)
    }

    /// Sets the item of a key. One writer at a time.
    pub(super) fn set(&self, key: u64, item: u32) {
        let number = self.current.load(Ordering::Relaxed);
        let table = self.table(number);
        let key = key.wrapping_add(1);
        let Some(head) = self.find(table, key) else { return };
        if head.key.load(Ordering::Relaxed) == key {
            head.item.store(item, Ordering::Release);
            return;
        }
        head.item.store(item, Ordering::Release);
        head.key.store(key, Ordering::Release);
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(count, Ordering::Relaxed);
        if count * 2 > table.len() {
            self.grow(number, table);
        }
    }

    fn grow(&self, number: usize, table: &[Head]) {
        let next = self.table(number + 1);
        for head in table {
            let key = head.key.load(Ordering::Relaxed);
            if key != 0
                && let Some(place) = self.find(next, key)
            {
                place.item.store(head.item.load(Ordering::Relaxed), Ordering::Release);
                place.key.store(key, Ordering::Release);
            }
        }
        self.current.store(number + 1, Ordering::Release);
    }

    /// The keys so far, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        let table = self.tables.get(self.current.load(Ordering::Acquire)).and_then(OnceLock::get);
        table
            .into_iter()
            .flatten()
            .map(|head| head.key.load(Ordering::Acquire))
            .filter(|&key| key != 0)
            .map(|key| key - 1)
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

    /// Slots are chosen by whoever chooses which points to change. With a fixed factor, those whose product with it is small shared one
    /// end of every table, and each change walked past all others.
    #[test]
    fn keys_that_were_close_under_a_fixed_factor_are_found_in_a_few_steps() {
        const FIXED: u64 = 0x9E37_79B9_7F4A_7C15;
        let close = |key: &u64| ((key + 1).wrapping_mul(FIXED) >> 32) & 0xFFFF < 0x400;
        let keys: Vec<u64> = (0..).filter(close).take(10_000).collect();
        let heads = Heads::new();
        keys.iter().for_each(|&key| heads.set(key, 1));
        let table = heads.table(heads.current.load(Ordering::Relaxed));
        let used = |head: &Head| head.key.load(Ordering::Relaxed) != 0;
        let longest =
            table.chunk_by(|a, b| used(a) == used(b)).filter(|run| run.iter().all(used)).map(<[_]>::len).max();
        assert!(longest < Some(400), "{longest:?} places in a row are taken");
    }
}
