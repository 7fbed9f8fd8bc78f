//! The limit of batches in memory: a table that knows where a key must be before it reads anything, so that a group of keys can be
//! fetched ahead. (hashbrown's table does not tell its addresses.)
//!
//! A bucket is a cache line with five keys and their positions; keys that find no room are in the next one. Groups go through the steps
//! hash, bucket, column and text together, and each step fetches what the next one reads.

use crate::engine::{CityCounts, Engine, Outcome, Reader, Unsupported};
use crate::engines::hashbrown::Columns;
use crate::records::{Order, Records, mix};
use crate::wide::Shape;
use std::path::Path;

/// Keys of a bucket.
const WIDTH: usize = 5;

/// Keys of a group, at most.
const GROUP: usize = 64;

/// The place of a key that is not there.
const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bucket {
    keys: [u64; WIDTH],
    positions: [u32; WIDTH],
    len: u32,
}

/// The table, and the columns.
pub(crate) struct Buckets {
    buckets: Vec<Bucket>,
    columns: Columns,
}

/// Has the processor fetch the cache line of a value.
#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch<T>(value: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program sees, and has no effect on memory.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
}

/// On other processors batches show less than the limit.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch<T>(_value: &T) {}

impl Buckets {
    /// The bucket where a key belongs.
    #[inline]
    fn home(&self, key: u64) -> usize {
        ((u128::from(mix(key)) * self.buckets.len() as u128) >> 64) as usize
    }

    fn insert(&mut self, key: u64, position: u32) {
        let mut index = self.home(key);
        loop {
            let bucket = &mut self.buckets[index];
            let len = bucket.len as usize;
            if len < WIDTH {
                (bucket.keys[len], bucket.positions[len]) = (key, position);
                bucket.len += 1;
                return;
            }
            index = (index + 1) % self.buckets.len();
        }
    }

    /// The position of a key whose search begins in a bucket.
    #[inline]
    fn find(&self, mut index: usize, key: u64) -> u32 {
        loop {
            let bucket = &self.buckets[index];
            let len = bucket.len as usize;
            for place in 0..WIDTH {
                if bucket.keys[place] == key && place < len {
                    return bucket.positions[place];
                }
            }
            if len < WIDTH {
                return NOWHERE;
            }
            index = (index + 1) % self.buckets.len();
        }
    }

    #[inline]
    fn position(&self, key: u64) -> Option<u32> {
        let position = self.find(self.home(key), key);
        (position != NOWHERE).then_some(position)
    }

    /// The positions of a group of keys, and something done to each.
    #[inline]
    fn positions(&self, keys: &[u64], mut found: impl FnMut(u32)) -> [u32; GROUP] {
        let mut homes = [0; GROUP];
        for (home, &key) in homes.iter_mut().zip(keys) {
            *home = self.home(key);
            prefetch(&self.buckets[*home]);
        }
        let mut positions = [NOWHERE; GROUP];
        for ((position, &home), &key) in positions.iter_mut().zip(&homes).zip(keys) {
            *position = self.find(home, key);
            if *position != NOWHERE {
                found(*position);
            }
        }
        positions
    }
}

impl Engine<u64> for Buckets {
    type Reader = &'static Self;

    const IN_MEMORY: bool = true;
    const ONLY_READ: Option<&'static str> = Some("nothing that it keeps is durable");

    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        Self::open(path, records, order).map(drop)
    }

    fn open(_path: &Path, records: Records, order: Order) -> Outcome<Self> {
        if records.shape != Shape::Four {
            return Err(Unsupported("its columns are those of four attributes").into());
        }
        // 0.7 of all places are used.
        let count = (records.count as usize * 2).div_ceil(7).max(2);
        let empty = Bucket { keys: [0; WIDTH], positions: [0; WIDTH], len: 0 };
        let mut buckets = Self { buckets: vec![empty; count], columns: Columns::new(records, order) };
        for (number, position) in order.numbers(records.count).zip(0..) {
            buckets.insert(crate::records::Key::of(number), position);
        }
        Ok(buckets)
    }

    fn reader(&'static self) -> Outcome<&'static Self> {
        Ok(self)
    }
}

impl Reader<u64> for &'static Buckets {
    #[inline]
    fn score(&self, key: &u64) -> Outcome<Option<f64>> {
        Ok(self.position(*key).map(|position| self.columns.score(position)))
    }

    #[inline]
    fn age(&self, key: &u64) -> Outcome<Option<u64>> {
        Ok(self.position(*key).map(|position| self.columns.age(position)))
    }

    #[inline]
    fn city<T>(&self, key: &u64, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.position(*key).map(|position| see(self.columns.city(position))))
    }

    #[inline]
    fn name<T>(&self, key: &u64, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.position(*key).map(|position| see(self.columns.name(position))))
    }

    #[inline]
    fn point(&self, key: &u64) -> Outcome<Option<u64>> {
        Ok(self.position(*key).map(|position| self.columns.point(position)))
    }

    fn sum(&self) -> Outcome<f64> {
        Ok(self.columns.sum())
    }

    fn city_counts(&self) -> Outcome<CityCounts> {
        Ok(self.columns.city_counts())
    }

    #[inline]
    fn scores(&self, keys: &[u64], mut see: impl FnMut(Option<f64>)) -> Outcome<()> {
        for keys in keys.chunks(GROUP) {
            let positions = self.positions(keys, |position| prefetch(self.columns.score_ref(position)));
            for &position in &positions[..keys.len()] {
                see((position != NOWHERE).then(|| self.columns.score(position)));
            }
        }
        Ok(())
    }

    #[inline]
    fn names(&self, keys: &[u64], mut see: impl FnMut(Option<&[u8]>)) -> Outcome<()> {
        for keys in keys.chunks(GROUP) {
            let positions = self.positions(keys, |position| prefetch(self.columns.name_start_ref(position)));
            for &position in &positions[..keys.len()] {
                if position != NOWHERE
                    && let Some(first) = self.columns.name(position).first()
                {
                    prefetch(first);
                }
            }
            for &position in &positions[..keys.len()] {
                see((position != NOWHERE).then(|| self.columns.name(position)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Key;

    #[test]
    fn every_key_is_found_and_no_other_one() {
        let records = Records::new(10_000);
        let buckets: &'static Buckets =
            Box::leak(Box::new(Buckets::open(Path::new(""), records, Order::Shuffled).unwrap()));
        let keys: Vec<u64> = (0..records.count).flat_map(|number| [u64::of(number), u64::missing(number)]).collect();
        let (mut scores, mut names) = (Vec::new(), Vec::new());
        (&buckets).scores(&keys, |score| scores.push(score)).unwrap();
        (&buckets).names(&keys, |name| names.push(name.map(<[u8]>::to_vec))).unwrap();
        for number in 0..records.count {
            let (found, missing) = (2 * number as usize, 2 * number as usize + 1);
            assert_eq!((scores[found], scores[missing]), (Some(records.score(number)), None));
            assert_eq!(names[found].as_deref(), Some(records.name(number).as_bytes()));
            assert_eq!(names[missing], None);
            assert_eq!((&buckets).score(&keys[found]).unwrap(), scores[found]);
            assert_eq!((&buckets).score(&keys[missing]).unwrap(), None);
        }
        // What an empty place holds is no key.
        assert_eq!((&buckets).score(&0).unwrap(), None);
    }
}
