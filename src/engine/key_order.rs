//! Sorting slots by their keys in bounded memory: runs that fit are sorted, put aside, and merged.
//!
//! A key is compared by its class and eight bytes, which is all there is to integers, floats and booleans; of others, what the eight bytes do not
//! tell is compared whole where these are equal.

use super::column_builder::Values;
use super::numbering::Build;
use super::spill::{Spill, StreamId, StreamReader, encode_number};
use crate::error::Result;
use crate::format::value;
use crate::model::{Nested, ValueRef};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Runs that are merged at once: the buffers of so many readers are within the limit.
const FAN_IN: usize = 256;
/// The longest contents of a run, so that their places fit in 32 bits.
const CONTENTS_LEN_MAX: usize = u32::MAX as usize;

/// Types of keys in their order; integers from 2^63 on apart from those below.
const CLASS_BOOL: u8 = 0;
const CLASS_INT: u8 = 1;
const CLASS_UINT: u8 = 2;
const CLASS_FLOAT: u8 = 3;
const CLASS_TEXT: u8 = 4;
const CLASS_BYTES: u8 = 5;
const CLASS_TIMESTAMP: u8 = 6;
const CLASS_EXT: u8 = 7;
const CLASS_ARRAY: u8 = 8;

const SIGN: u64 = 1 << 63;

/// Class and first bytes: keys whose heads differ are in the order of these.
type Head = (u8, u64);

/// A key of a run: its head, then its slot, or of a class with contents the place of slot and contents.
type Entry = (Head, u32);

/// Up to eight bytes as a number in the order of bytes.
fn prefix(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(padded)
}

/// The head of a key, and what is to be compared where heads are equal; appends that to `contents`.
fn head(key: ValueRef<'_>, contents: &mut Vec<u8>) -> Head {
    match key {
        ValueRef::Int(int) => match i64::try_from(int) {
            Ok(int) => (CLASS_INT, int.cast_unsigned() ^ SIGN),
            Err(_) => (CLASS_UINT, int as u64),
        },
        ValueRef::Float(float) => {
            let bits = float.to_bits();
            (CLASS_FLOAT, if bits & SIGN == 0 { bits | SIGN } else { !bits })
        }
        ValueRef::Text(text) => {
            contents.extend_from_slice(text.as_bytes());
            (CLASS_TEXT, prefix(text.as_bytes()))
        }
        ValueRef::Bytes(bytes) => {
            contents.extend_from_slice(bytes);
            (CLASS_BYTES, prefix(bytes))
        }
        ValueRef::Timestamp(timestamp) => {
            contents.extend(timestamp.nanoseconds().to_be_bytes());
            (CLASS_TIMESTAMP, timestamp.seconds().cast_unsigned() ^ SIGN)
        }
        ValueRef::Ext(ext) => {
            contents.extend_from_slice(ext.data);
            let code = u64::from(ext.code.cast_unsigned() ^ 0x80);
            (CLASS_EXT, (code << 56) | (prefix(ext.data) >> 8))
        }
        ValueRef::Array(nested) => {
            contents.extend_from_slice(nested.as_bytes());
            (CLASS_ARRAY, 0)
        }
        // Not among keys, but for booleans.
        other => (CLASS_BOOL, u64::from(matches!(other, ValueRef::Bool(true)))),
    }
}

const fn has_contents(class: u8) -> bool {
    class >= CLASS_TEXT
}

/// The order of the contents of two keys with the same head.
fn compare_contents(class: u8, a: &[u8], b: &[u8]) -> Ordering {
    if class == CLASS_ARRAY {
        ValueRef::Array(Nested::trusted(a)).cmp(&ValueRef::Array(Nested::trusted(b)))
    } else {
        a.cmp(b)
    }
}

/// Calls `each` with the slots of all keys in the order of keys.
pub(super) fn for_each_by_key(
    build: &mut Build<'_, '_>,
    keys: &mut dyn Values,
    mut each: impl FnMut(u32),
) -> Result<()> {
    let mut runs = Vec::new();
    let mut run = Run::default();
    keys.rewind();
    while let Some((slot, key)) = keys.next()? {
        if !run.add(slot, key, build.limit) {
            runs.push(run.put_aside(build)?);
            run.add(slot, key, build.limit);
        }
        build.meter.step()?;
    }
    if runs.is_empty() {
        run.sort();
        run.for_each(|_, slot, _| {
            each(slot);
            Ok(())
        })?;
        return Ok(());
    }
    runs.push(run.put_aside(build)?);
    drop(run);
    while runs.len() > FAN_IN {
        let rest = runs.split_off(FAN_IN);
        let merged = build.spill.stream();
        merge(build, &runs, |build, head, slot, contents| append(&mut build.spill, merged, head, slot, contents))?;
        runs.iter().for_each(|&run| build.spill.clear(run));
        runs = rest;
        runs.push(merged);
    }
    merge(build, &runs, |_, _, slot, _| {
        each(slot);
        Ok(())
    })?;
    runs.iter().for_each(|&run| build.spill.clear(run));
    Ok(())
}

/// Keys in memory.
#[derive(Default)]
struct Run {
    entries: Vec<Entry>,
    /// Slot, length and contents of each key that has contents.
    contents: Vec<u8>,
}

/// Bytes in front of a key's contents.
const PREFIX_LEN: usize = 8;

impl Run {
    /// Adds a key; false where it does not fit.
    fn add(&mut self, slot: u32, key: ValueRef<'_>, limit: usize) -> bool {
        let start = self.contents.len();
        // Both double when they grow, with the old and the new one there at a time.
        let taken = (start + value::payload_len(key) + PREFIX_LEN + self.entries.len() * size_of::<Entry>()) * 2;
        let fits = taken <= limit && start < CONTENTS_LEN_MAX;
        if !fits && !self.entries.is_empty() {
            return false;
        }
        self.contents.extend(slot.to_le_bytes());
        self.contents.extend([0; 4]);
        let head = head(key, &mut self.contents);
        if has_contents(head.0) {
            let len = (self.contents.len() - start - PREFIX_LEN) as u32;
            if let Some(place) = self.contents.get_mut(start + 4..start + PREFIX_LEN) {
                place.copy_from_slice(&len.to_le_bytes());
            }
            self.entries.push((head, start as u32));
        } else {
            self.contents.truncate(start);
            self.entries.push((head, slot));
        }
        true
    }

    /// Slot and contents of a key that has contents.
    fn slot_and_contents(contents: &[u8], at: u32) -> (u32, &[u8]) {
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes));
        let (prefix, rest) =
            contents.get(at as usize..).and_then(|bytes| bytes.split_at_checked(PREFIX_LEN)).unwrap_or_default();
        let (slot, len) = prefix.split_at_checked(4).unwrap_or_default();
        (number(slot), rest.get(..number(len) as usize).unwrap_or_default())
    }

    fn sort(&mut self) {
        let Self { entries, contents } = self;
        entries.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| match has_contents(a.0.0) {
                true => {
                    let contents_of = |at| Self::slot_and_contents(contents, at).1;
                    compare_contents(a.0.0, contents_of(a.1), contents_of(b.1))
                }
                false => Ordering::Equal,
            })
        });
    }

    fn for_each(&self, mut each: impl FnMut(Head, u32, &[u8]) -> Result<()>) -> Result<()> {
        self.entries.iter().try_for_each(|&(head, at)| {
            let (slot, contents) =
                if has_contents(head.0) { Self::slot_and_contents(&self.contents, at) } else { (at, &[][..]) };
            each(head, slot, contents)
        })
    }

    /// Sorts it into a stream, and is empty then.
    fn put_aside(&mut self, build: &mut Build<'_, '_>) -> Result<StreamId> {
        self.sort();
        let stream = build.spill.stream();
        self.for_each(|head, slot, contents| append(&mut build.spill, stream, head, slot, contents))?;
        self.entries.clear();
        self.contents.clear();
        Ok(stream)
    }
}

/// Appends a key to a stream.
fn append(spill: &mut Spill, stream: StreamId, head: Head, slot: u32, contents: &[u8]) -> Result<()> {
    let mut bytes = [0; 13];
    let (class, rest) = bytes.split_at_mut(1);
    let (prefix, place) = rest.split_at_mut(8);
    class.copy_from_slice(&[head.0]);
    prefix.copy_from_slice(&head.1.to_le_bytes());
    place.copy_from_slice(&slot.to_le_bytes());
    spill.append(stream, &bytes)?;
    if has_contents(head.0) {
        let mut len = Vec::with_capacity(10);
        encode_number(contents.len() as u64, &mut len);
        spill.append(stream, &len)?;
        spill.append(stream, contents)?;
    }
    Ok(())
}

/// The next key of a run that is merged.
struct Next {
    head: Head,
    contents: Vec<u8>,
    slot: u32,
    run: StreamReader,
}

impl Next {
    /// Reads the next key; false at the end.
    fn read(&mut self, spill: &Spill) -> Result<bool> {
        let Some(&class) = self.run.take(spill, 1)?.and_then(|bytes| bytes.first()) else { return Ok(false) };
        self.head = (class, self.run.u64(spill)?.unwrap_or_default());
        self.slot = self.run.u32(spill)?.unwrap_or(u32::MAX);
        self.contents.clear();
        if has_contents(class) {
            self.contents.extend_from_slice(self.run.content(spill)?.unwrap_or_default());
        }
        Ok(true)
    }
}

impl Ord for Next {
    /// The first of all is the greatest, as heaps give that.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_head = other.head.cmp(&self.head);
        by_head.then_with(|| compare_contents(self.head.0, &other.contents, &self.contents))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

/// Calls `each` with the keys of sorted runs in order.
fn merge(
    build: &mut Build<'_, '_>,
    runs: &[StreamId],
    mut each: impl FnMut(&mut Build<'_, '_>, Head, u32, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut heap = BinaryHeap::with_capacity(runs.len());
    for &run in runs {
        let mut next = Next { head: (0, 0), contents: Vec::new(), slot: 0, run: StreamReader::new(run) };
        if next.read(&build.spill)? {
            heap.push(next);
        }
    }
    while let Some(mut next) = heap.peek_mut() {
        each(build, next.head, next.slot, &next.contents)?;
        build.meter.step()?;
        if !next.read(&build.spill)? {
            PeekMut::pop(next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::meter::Meter;
    use super::*;
    use crate::model::{Key, KeyRef, Timestamp, Value};
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    struct Keys<'k>(&'k [Key], usize);

    impl Values for Keys<'_> {
        fn rewind(&mut self) {
            self.1 = 0;
        }

        fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
            let Some(key) = self.0.get(self.1) else { return Ok(None) };
            self.1 += 1;
            Ok(Some((self.1 as u32 - 1, key.as_ref().value())))
        }
    }

    fn check(keys: &[Key], limit: usize) {
        let mut expected: Vec<u32> = (0..keys.len() as u32).collect();
        expected.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        let spill = Spill::new(Arc::new(MemoryStorage::new()), limit);
        let mut build = Build { spill, limit, hash_seed: 5, meter: &mut meter };
        let mut found = Vec::new();
        for_each_by_key(&mut build, &mut Keys(keys, 7), |slot| found.push(slot)).unwrap();
        assert_eq!(found.len(), expected.len(), "limit {limit}");
        for (found, expected) in found.into_iter().zip(expected) {
            assert_eq!(keys[found as usize], keys[expected as usize], "limit {limit}");
        }
    }

    /// Each type, and what its first eight bytes do not tell apart.
    fn keys() -> Vec<Key> {
        let mut keys: Vec<Key> = vec![true.into(), false.into()];
        for int in [0, 1, -1, i64::MIN, i64::MAX, 255, 256, -256] {
            keys.push(int.into());
            keys.push((int as f64 / 3.0).into());
            keys.push(Timestamp::new(int, 5).unwrap().into());
            keys.push(Timestamp::new(int, 0x0100).unwrap().into());
            keys.push(int.to_le_bytes().as_slice().into());
        }
        keys.extend([u64::MAX, 1 << 63, (1 << 63) + 5].map(Key::from));
        keys.extend([-0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Key::from));
        for text in
            ["", "a", "a\0", "a\0\0\0\0\0\0\0", "a\0\0\0\0\0\0\0\0", "b", "prefixed a", "prefixed", "prefixed b"]
        {
            keys.push(text.into());
            keys.push(text.as_bytes().into());
            for code in [-128, -5, 0, 5, 127] {
                keys.push(Key::try_from(Value::ext(code, text.as_bytes().to_vec())).unwrap());
            }
            keys.push(Key::composite([Key::from(text), Key::from(3)]).unwrap());
            keys.push(Key::composite([Key::from(3), Key::from(text)]).unwrap());
        }
        keys.push(Key::composite::<Key>([]).unwrap());
        // By value: as bytes, -1 is above 1.
        keys.extend([-1, 1, 300].map(|int| Key::composite([Key::from(int)]).unwrap()));
        keys
    }

    #[test]
    fn keys_of_all_types_are_in_the_order_of_keys_whatever_the_limit() {
        let mut keys = keys();
        keys.extend((1..3000u64).map(|n| Key::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
        keys.extend((0..500u64).map(|n| Key::from(format!("text {}", n.wrapping_mul(0x9E37_79B9)))));
        let mut seen: Vec<KeyRef<'_>> = keys.iter().map(Key::as_ref).collect();
        seen.sort();
        assert!(seen.array_windows::<2>().all(|[a, b]| a < b), "keys of an axis differ");
        for limit in [0, 100, 3000, 100_000, 1 << 24] {
            check(&keys, limit);
        }
        check(&[], 100);
        check(&keys[..1], 0);
    }
}
