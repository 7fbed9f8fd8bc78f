//! Finding the pilots of one part of a perfect hash, such that each of its keys gets a place of its own.
//!
//! The construction of PtrHash (R. Groot Koerkamp, 2025): buckets by falling size, each with the first pilot whose places are free; where
//! there is none, with the one that drives out the least, and what is driven out is placed again.

use crate::format::perfect_hash::{place, spread_pilot};
use std::collections::BinaryHeap;

/// No bucket has the place.
const FREE: u32 = u32::MAX;
/// Buckets that were placed last are not driven out, lest two of them drive out each other again and again.
const RECENT: usize = 16;
/// Buckets may be placed again so many times as there are buckets, and this often more, before a part is given up.
const EVICTIONS_MIN: usize = 1000;

/// A key: its hash, and the slot that it has so far.
pub(super) type HashedKey = (u64, u32);

/// Why a part has no pilots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failed {
    /// Two keys have the same hash.
    SameHash,
    /// It took too many steps.
    TooManySteps,
}

/// The keys of a part by bucket, and which places they have.
#[derive(Default)]
pub(super) struct PilotSearch {
    /// By bucket, and in it by hash.
    keys: Vec<HashedKey>,
    /// Where the keys of each bucket start, and where the last ones end.
    starts: Vec<u32>,
    /// The hashes of `keys` with the seed of the part applied.
    mixed: Vec<u64>,
    /// The bucket that has each place.
    owners: Vec<u32>,
    /// A bit for each place that is taken.
    taken: Vec<u64>,
    place_count: u32,
}

impl PilotSearch {
    /// Sorts the keys of a part into its buckets. `bucket_of` tells which of them a hash is in.
    pub(super) fn group(
        &mut self,
        keys: &[HashedKey],
        bucket_count: usize,
        bucket_of: impl Fn(u64) -> usize,
    ) -> Result<(), Failed> {
        let Self { keys: grouped, starts, .. } = self;
        starts.clear();
        starts.resize(bucket_count + 1, 0);
        for &(hash, _) in keys {
            if let Some(start) = starts.get_mut(bucket_of(hash) + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in starts.iter_mut() {
            sum += *start;
            *start = sum;
        }
        grouped.clear();
        grouped.resize(keys.len(), (0, 0));
        for &key in keys {
            if let Some(next) = starts.get_mut(bucket_of(key.0))
                && let Some(place) = grouped.get_mut(*next as usize)
            {
                *place = key;
                *next += 1;
            }
        }
        // Each start is the next one's now.
        starts.rotate_right(1);
        if let Some(first) = starts.first_mut() {
            *first = 0;
        }
        for bounds in starts.array_windows::<2>() {
            let bucket = grouped.get_mut(bounds[0] as usize..bounds[1] as usize).unwrap_or_default();
            bucket.sort_unstable();
            if bucket.array_windows::<2>().any(|[a, b]| a.0 == b.0) {
                return Err(Failed::SameHash);
            }
        }
        Ok(())
    }

    fn bounds(&self, bucket: u32) -> (usize, usize) {
        let start = |bucket: usize| self.starts.get(bucket).map_or(0, |&start| start as usize);
        (start(bucket as usize), start(bucket as usize + 1))
    }

    fn size(&self, bucket: u32) -> u32 {
        let (start, end) = self.bounds(bucket);
        (end - start) as u32
    }

    fn mixed(&self, bucket: u32) -> &[u64] {
        let (start, end) = self.bounds(bucket);
        self.mixed.get(start..end).unwrap_or_default()
    }

    /// Finds a pilot for each bucket of the keys that were grouped last.
    pub(super) fn search(&mut self, seed: u64, place_count: u32, pilots: &mut [u8]) -> Result<(), Failed> {
        self.place_count = place_count;
        self.mixed.clear();
        self.mixed.extend(self.keys.iter().map(|&(hash, _)| hash ^ seed));
        self.owners.clear();
        self.owners.resize(place_count as usize, FREE);
        self.taken.clear();
        self.taken.resize((place_count as usize).div_ceil(64), 0);
        pilots.fill(0);

        let mut waiting = BinaryHeap::new();
        let mut recent = [FREE; RECENT];
        let mut evictions = 0;
        for bucket in self.by_falling_size() {
            waiting.push((self.size(bucket), bucket));
            while let Some((_, bucket)) = waiting.pop() {
                let pilot = match self.free_pilot(bucket) {
                    Some(pilot) => pilot,
                    None => {
                        evictions += 1;
                        if evictions > EVICTIONS_MIN + pilots.len() {
                            return Err(Failed::TooManySteps);
                        }
                        let pilot = self.cheapest_pilot(bucket, &recent, evictions as u8)?;
                        self.drive_out(bucket, pilot, pilots, |size, bucket| waiting.push((size, bucket)));
                        if let Some(oldest) = recent.get_mut(evictions % RECENT) {
                            *oldest = bucket;
                        }
                        pilot
                    }
                };
                self.settle(bucket, pilot);
                if let Some(place) = pilots.get_mut(bucket as usize) {
                    *place = pilot;
                }
            }
        }
        Ok(())
    }

    /// The buckets that have keys.
    fn by_falling_size(&self) -> Vec<u32> {
        let bucket_count = self.starts.len().saturating_sub(1) as u32;
        let largest = (0..bucket_count).map(|bucket| self.size(bucket)).max().unwrap_or(0);
        let mut by_size = vec![Vec::new(); largest as usize + 1];
        for bucket in 0..bucket_count {
            if let Some(same) = by_size.get_mut(self.size(bucket) as usize) {
                same.push(bucket);
            }
        }
        by_size.into_iter().skip(1).rev().flatten().collect()
    }

    #[inline]
    fn is_taken(&self, place: u32) -> bool {
        self.taken.get((place >> 6) as usize).is_some_and(|word| word & (1 << (place & 63)) != 0)
    }

    #[inline]
    fn flip(&mut self, place: u32) {
        if let Some(word) = self.taken.get_mut((place >> 6) as usize) {
            *word ^= 1 << (place & 63);
        }
    }

    /// The first pilot that sends the keys of a bucket to free places. These are then taken.
    fn free_pilot(&mut self, bucket: u32) -> Option<u8> {
        let (start, end) = self.bounds(bucket);
        (0..=u8::MAX).find(|&pilot| {
            let spread = spread_pilot(pilot);
            for index in start..end {
                let place = place(self.mixed.get(index).copied().unwrap_or_default() ^ spread, self.place_count);
                if self.is_taken(place) {
                    // Also by a key of the bucket itself.
                    (start..index).for_each(|index| self.flip(self.place_of(index, spread)));
                    return false;
                }
                self.flip(place);
            }
            true
        })
    }

    fn place_of(&self, index: usize, spread: u64) -> u32 {
        place(self.mixed.get(index).copied().unwrap_or_default() ^ spread, self.place_count)
    }

    /// The pilot that drives out the least: the sum of the squares of the sizes of the buckets whose places it takes. Pilots are tried from
    /// `first` on.
    fn cheapest_pilot(&self, bucket: u32, recent: &[u32], first: u8) -> Result<u8, Failed> {
        let (mut least, mut best) = (u64::MAX, None);
        let mut places = Vec::with_capacity(self.mixed(bucket).len());
        'pilots: for pilot in (0..=u8::MAX).map(|pilot| first.wrapping_add(pilot)) {
            let spread = spread_pilot(pilot);
            let mut cost = 0;
            places.clear();
            for &mixed in self.mixed(bucket) {
                let place = place(mixed ^ spread, self.place_count);
                let owner = self.owners.get(place as usize).copied().unwrap_or(FREE);
                if owner != FREE {
                    cost += u64::from(self.size(owner)).pow(2);
                    if cost >= least || recent.contains(&owner) {
                        continue 'pilots;
                    }
                }
                places.push(place);
            }
            places.sort_unstable();
            if places.array_windows::<2>().all(|[a, b]| a != b) {
                (least, best) = (cost, Some(pilot));
            }
        }
        best.ok_or(Failed::TooManySteps)
    }

    /// Frees the places of the buckets that a bucket drives out, and takes its own.
    fn drive_out(&mut self, bucket: u32, pilot: u8, pilots: &[u8], mut driven_out: impl FnMut(u32, u32)) {
        let (start, end) = self.bounds(bucket);
        for index in start..end {
            let place = self.place_of(index, spread_pilot(pilot));
            let owner = self.owners.get(place as usize).copied().unwrap_or(FREE);
            if owner != FREE {
                let spread = pilots.get(owner as usize).map_or(0, |&pilot| spread_pilot(pilot));
                let (start, end) = self.bounds(owner);
                for index in start..end {
                    let place = self.place_of(index, spread);
                    self.flip(place);
                    if let Some(owner) = self.owners.get_mut(place as usize) {
                        *owner = FREE;
                    }
                }
                driven_out(self.size(owner), owner);
            }
        }
        (start..end).for_each(|index| self.flip(self.place_of(index, spread_pilot(pilot))));
    }

    /// Writes down whose the places of a bucket are.
    fn settle(&mut self, bucket: u32, pilot: u8) {
        let (start, end) = self.bounds(bucket);
        for index in start..end {
            let place = self.place_of(index, spread_pilot(pilot));
            if let Some(owner) = self.owners.get_mut(place as usize) {
                *owner = bucket;
            }
        }
    }

    /// The numbers of the remap: for each place from `key_count` on that is taken, a free place before, and 0 for others.
    pub(super) fn remap(&self, key_count: u32) -> Vec<u32> {
        let mut free = (0..key_count).filter(|&place| !self.is_taken(place));
        (key_count..self.place_count)
            .map(|place| if self.is_taken(place) { free.next().unwrap_or_default() } else { 0 })
            .collect()
    }

    /// Calls `each` with the place and the slot so far of each key.
    pub(super) fn for_each_key(&self, pilots: &[u8], mut each: impl FnMut(u32, u32)) {
        for (&pilot, bucket) in pilots.iter().zip(0..) {
            let (start, end) = self.bounds(bucket);
            for index in start..end {
                let slot = self.keys.get(index).map_or(u32::MAX, |&(_, slot)| slot);
                each(self.place_of(index, spread_pilot(pilot)), slot);
            }
        }
    }
}
