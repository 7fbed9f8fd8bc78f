//! Decoded arrays and maps, shared by those who read them again: the least recently used give way.
//!
//! A value is found by its encoded bytes, as a whole: an entry can be used again or not, and never be stale. Readers do not wait
//! for each other here: who finds the cache in use decodes.

use crate::error::Result;
use crate::model::{Nested, Value, ValueRef};
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use twox_hash::XxHash3_64;

/// A value takes at most this part of the cache, so that one does not drive out all others.
const SHARE_MAX: usize = 8;

/// What a cache did so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CacheCounts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    /// Bytes in use now.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
pub(crate) struct ValueCache {
    /// In bytes.
    capacity: usize,
    entries: Mutex<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    table: HashTable<Entry>,
    /// Uses, the oldest first, by hash and tick. Only the one with an entry's tick counts.
    uses: VecDeque<(u64, u64)>,
    tick: u64,
    /// Bytes of all entries.
    len: usize,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    bytes: Box<[u8]>,
    value: Arc<Value>,
    /// Bytes that the entry takes.
    len: usize,
    /// When it was last used.
    tick: u64,
}

impl ValueCache {
    /// A cache of so many bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::default(), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// A value that was read: an array or a map from the cache, if it is there, else as `decode` has it.
    pub(crate) fn share<'v>(
        &self,
        value: ValueRef<'v>,
        decode: impl FnOnce(ValueRef<'v>) -> Result<Value>,
    ) -> Result<Arc<Value>> {
        let (ValueRef::Array(nested) | ValueRef::Map(nested)) = value else { return decode(value).map(Arc::new) };
        let hash = XxHash3_64::oneshot(nested.as_bytes());
        if let Some(found) = self.find(hash, nested) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(found);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let decoded = Arc::new(decode(value)?);
        let len = size_of::<Entry>() + nested.as_bytes().len() + memory_len(&decoded);
        if len <= self.capacity / SHARE_MAX {
            self.insert(hash, nested, &decoded, len);
        }
        Ok(decoded)
    }

    pub(crate) fn counts(&self) -> CacheCounts {
        let bytes = self.entries.lock().map_or(0, |entries| entries.len as u64);
        CacheCounts { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed), bytes }
    }

    fn find(&self, hash: u64, nested: Nested<'_>) -> Option<Arc<Value>> {
        let mut entries = self.entries.try_lock().ok()?;
        entries.tick += 1;
        let tick = entries.tick;
        let entry = entries.table.find_mut(hash, |entry| *entry.bytes == *nested.as_bytes())?;
        entry.tick = tick;
        let value = Arc::clone(&entry.value);
        entries.uses.push_back((hash, tick));
        if entries.uses.len() > 2 * entries.table.len() + 64 {
            entries.forget_old_uses();
        }
        Some(value)
    }

    fn insert(&self, hash: u64, nested: Nested<'_>, decoded: &Arc<Value>, len: usize) {
        let value = Arc::clone(decoded);
        let Ok(mut entries) = self.entries.try_lock() else { return };
        if entries.table.find(hash, |entry| *entry.bytes == *nested.as_bytes()).is_some() {
            return;
        }
        while entries.len + len > self.capacity && entries.drop_oldest() {}
        entries.tick += 1;
        let tick = entries.tick;
        let entry = Entry { hash, bytes: nested.as_bytes().into(), value, len, tick };
        entries.table.insert_unique(hash, entry, |entry| entry.hash);
        entries.uses.push_back((hash, tick));
        entries.len += len;
    }
}

impl Entries {
    /// Drops the least recently used entry. False when there is none.
    fn drop_oldest(&mut self) -> bool {
        while let Some((hash, tick)) = self.uses.pop_front() {
            if let Ok(found) = self.table.find_entry(hash, |entry| entry.tick == tick) {
                let (entry, _) = found.remove();
                self.len = self.len.saturating_sub(entry.len);
                return true;
            }
        }
        false
    }

    fn forget_old_uses(&mut self) {
        let table = &self.table;
        self.uses.retain(|&(hash, tick)| table.find(hash, |entry| entry.tick == tick).is_some());
    }
}

/// Bytes that a value takes in memory, about.
fn memory_len(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Ext(ext) => ext.data().len(),
            Value::Array(items) => items.iter().map(memory_len).sum(),
            Value::Map(pairs) => pairs.iter().map(|(key, value)| memory_len(key) + memory_len(value)).sum(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ValueBuf;

    fn array(n: i64) -> Value {
        Value::Array(vec![n.into(), "some text".into(), Value::Array(vec![Value::Null])])
    }

    /// Reads through the cache. Returns whether it was a hit.
    fn read(cache: &ValueCache, value: &Value) -> bool {
        let before = cache.counts().hits;
        let encoded = ValueBuf::try_from(value.clone()).unwrap();
        assert_eq!(*cache.share(encoded.as_ref(), |value| Ok(value.to_value()?)).unwrap(), *value);
        cache.counts().hits > before
    }

    #[test]
    fn the_least_recently_used_give_way_and_the_capacity_holds() {
        let cache = ValueCache::new(8000);
        assert!(!read(&cache, &array(0)) && read(&cache, &array(0)));
        let len = cache.counts().bytes;
        let fit = 8000 / len as i64;
        for n in 1..fit {
            assert!(!read(&cache, &array(n)), "{n}");
            assert!(read(&cache, &array(0)), "0 is used all the time");
        }
        assert!(!read(&cache, &array(1000)), "takes the place of 1");
        assert!(cache.counts().bytes <= 8000);
        assert!(read(&cache, &array(0)) && read(&cache, &array(2)) && !read(&cache, &array(1)));
    }

    #[test]
    fn uses_are_forgotten_so_that_hits_take_no_memory() {
        let cache = ValueCache::new(8000);
        for n in 0..10_000 {
            read(&cache, &array(n % 3));
        }
        assert!(cache.entries.lock().unwrap().uses.len() < 200);
        assert_eq!(cache.counts(), CacheCounts { hits: 9997, misses: 3, bytes: cache.counts().bytes });
    }

    #[test]
    fn large_values_and_scalars_pass_by() {
        let cache = ValueCache::new(8000);
        let large = Value::Array(vec![Value::Null; 100]);
        assert!(!read(&cache, &large) && !read(&cache, &large));
        assert!(!read(&cache, &"text".into()) && !read(&cache, &"text".into()));
        assert_eq!(cache.counts(), CacheCounts { hits: 0, misses: 2, bytes: 0 });
    }

    #[test]
    fn whoever_finds_the_cache_in_use_decodes() {
        let cache = ValueCache::new(8000);
        read(&cache, &array(0));
        let held = cache.entries.lock().unwrap();
        let encoded = ValueBuf::try_from(array(0)).unwrap();
        assert_eq!(*cache.share(encoded.as_ref(), |value| Ok(value.to_value()?)).unwrap(), array(0));
        drop(held);
        assert_eq!((cache.counts().hits, cache.counts().misses), (0, 2));
    }
}
