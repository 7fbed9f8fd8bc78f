//! Building a key index, bucket after bucket, in bounded memory.
//!
//! Keys go in by home bucket, those of one home by slot: so all that may be in a bucket is known once the keys of homes up to it are
//! seen, and a full bucket passes the rest on to the next. What the last bucket passes on goes to the first ones, which is why it has to
//! be known before these are written.

use super::block_writer::BlockWriter;
use super::column_builder::Values;
use super::key_hashes::KeyHashes;
use super::numbering::Build;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::axis::{BUCKET_PLACES, BucketBuilder, SECTION_INDEX, fingerprint, home};
use crate::format::value;
use std::collections::VecDeque;

/// A longer run of full buckets than this asks for another seed.
const CHAIN_LEN_LIMIT: u32 = 32;
/// Seeds to try before a long chain is accepted.
const SEED_TRIES: u64 = 4;
/// Bytes of a key while its part of the index is put in order.
const PLACE_LEN: u64 = 12;
/// The same until then: its slot, its home from the first one of the part, and its fingerprint.
const ENTRY_LEN: u64 = 8;
/// Parts of an index, unless they would have more homes than an entry can tell apart.
const PARTS_MAX: u64 = 4096;
const RANGE_LEN_MAX: u64 = 1 << 16;
/// Entries that are read at once.
const READ_LEN: u64 = 1 << 10;
/// Keys of a part: they are then in a cache of the processor while they are put in order.
const PART_LEN: u64 = 32 << 10;

/// What readers need to know of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexSummary {
    pub(super) bucket_count: u64,
    pub(super) hash_seed: u64,
    pub(super) chain_len_max: u32,
}

/// A key's home bucket, slot and fingerprint.
type Place = (u32, u32, u16);

/// The hashes of keys, under the seed of the build, whose slots are their rows.
#[derive(Clone, Copy)]
pub(super) struct HashedKeys<'s> {
    pub(super) hashes: &'s KeyHashes,
    pub(super) spill: &'s Spill,
}

impl HashedKeys<'_> {
    /// Bytes that the keys of one part take at most while they are put in order.
    pub(super) fn table_len(&self) -> u64 {
        4 * PLACE_LEN * self.hashes.longest(self.spill)
    }
}

/// Keys in slot order.
pub(super) trait KeyHashSource {
    /// Calls `each` with all slots that have a key, and its hash.
    fn visit_hashes(&mut self, hash_seed: u64, each: &mut dyn FnMut(u32, u64) -> Result<()>) -> Result<()>;
}

/// Those of other values.
pub(super) struct KeysOf<'k>(pub(super) &'k mut dyn Values);

impl KeyHashSource for KeysOf<'_> {
    fn visit_hashes(&mut self, hash_seed: u64, each: &mut dyn FnMut(u32, u64) -> Result<()>) -> Result<()> {
        self.0.visit(&mut |slot, key| each(slot, value::hash_tagged(key, hash_seed)))
    }
}

/// Keys by home bucket, dealt out so that those of one range of buckets fit in memory.
struct IndexParts<'s> {
    bucket_count: u64,
    source: PartSource<'s>,
}

enum PartSource<'s> {
    /// Places, in streams of the build.
    Places {
        range_len: u64,
        parts: Vec<StreamId>,
    },
    Hashes(HashedKeys<'s>),
}

/// Writes the section of an index of `key_count` keys, whose hashes may be known.
pub(super) fn write_index(
    build: &mut Build<'_, '_>,
    (keys, hashes): (&mut dyn KeyHashSource, Option<HashedKeys<'_>>),
    key_count: u64,
    writer: &mut BlockWriter<'_>,
) -> Result<IndexSummary> {
    // Three quarters full: a lookup then rarely leaves its home bucket.
    let bucket_count = (key_count * 4).div_ceil(BUCKET_PLACES as u64 * 3).max(1);
    let mut tries = 0;
    loop {
        let hash_seed = build.hash_seed.wrapping_add(tries);
        let parts = match hashes {
            Some(hashes) if tries == 0 => IndexParts { bucket_count, source: PartSource::Hashes(hashes) },
            _ => IndexParts::new(build, keys, bucket_count, key_count, hash_seed)?,
        };
        tries += 1;
        let (longest, passed_on) = parts.count_runs(build)?;
        if longest < CHAIN_LEN_LIMIT || tries == SEED_TRIES {
            let last = if passed_on == 0 { VecDeque::new() } else { parts.fill(build, |_| Ok(()))? };
            let chain_len_max = parts.write(build, last, writer)?;
            parts.clear(build);
            return Ok(IndexSummary { bucket_count, hash_seed, chain_len_max });
        }
        parts.clear(build);
    }
}

impl IndexParts<'_> {
    fn new(
        build: &mut Build<'_, '_>,
        keys: &mut dyn KeyHashSource,
        bucket_count: u64,
        key_count: u64,
        hash_seed: u64,
    ) -> Result<Self> {
        // A quarter of the limit, as parts are not quite even and are there twice while they are put in order.
        let part_len = PART_LEN.min(build.limit as u64 / (4 * PLACE_LEN)).max(1);
        let count = key_count.div_ceil(part_len).clamp(1, PARTS_MAX);
        let range_len = bucket_count.div_ceil(count).clamp(1, RANGE_LEN_MAX);
        let parts: Vec<StreamId> = (0..bucket_count.div_ceil(range_len)).map(|_| build.spill.stream()).collect();
        let Build { spill, meter, .. } = build;
        keys.visit_hashes(hash_seed, &mut |slot, hash| {
            let home = home(hash, bucket_count);
            let (part, offset) = (home / range_len, home % range_len);
            let entry = offset << 48 | u64::from(fingerprint(hash)) << 32 | u64::from(slot);
            if let Some(&part) = parts.get(part as usize) {
                spill.append(part, &entry.to_le_bytes())?;
            }
            meter.step()
        })?;
        Ok(Self { bucket_count, source: PartSource::Places { range_len, parts } })
    }

    fn clear(self, build: &mut Build<'_, '_>) {
        if let PartSource::Places { parts, .. } = self.source {
            parts.iter().for_each(|&part| build.spill.clear(part));
        }
    }

    const fn part_count(&self) -> usize {
        match &self.source {
            PartSource::Places { parts, .. } => parts.len(),
            PartSource::Hashes(hashed) => hashed.hashes.part_count(),
        }
    }

    /// The buckets of a part. The next part may have keys of the last of them, too, unless this is the last one.
    fn range(&self, index: usize) -> std::ops::Range<u64> {
        match &self.source {
            PartSource::Places { range_len, .. } => {
                let first = index as u64 * range_len;
                first..(first + range_len).min(self.bucket_count)
            }
            PartSource::Hashes(_) => {
                let start = |part| home(KeyHashes::first_hash(part), self.bucket_count);
                let end = if index + 1 < self.part_count() { start(index + 1) } else { self.bucket_count };
                start(index)..end
            }
        }
    }

    /// Calls `each` with the keys of a part.
    fn visit(&self, build: &mut Build<'_, '_>, index: usize, mut each: impl FnMut(Place)) -> Result<()> {
        match &self.source {
            PartSource::Places { parts, .. } => {
                let Some(&part) = parts.get(index) else { return Ok(()) };
                let mut reader = StreamReader::new(part);
                let first = self.range(index).start as u32;
                let mut rest = build.spill.len(part) / ENTRY_LEN;
                while rest > 0 {
                    let count = rest.min(READ_LEN);
                    let bytes = reader.take(&build.spill, (count * ENTRY_LEN) as usize)?.unwrap_or_default();
                    for &entry in bytes.as_chunks::<{ ENTRY_LEN as usize }>().0 {
                        let entry = u64::from_le_bytes(entry);
                        each((first + (entry >> 48) as u32, entry as u32, (entry >> 32) as u16));
                    }
                    rest -= count;
                    build.meter.step()?;
                }
                Ok(())
            }
            PartSource::Hashes(HashedKeys { hashes, spill }) => {
                let bucket_count = self.bucket_count;
                hashes.visit(index, spill, build.meter, |hash, slot| {
                    each((home(hash, bucket_count) as u32, slot, fingerprint(hash)));
                })
            }
        }
    }

    /// The longest run of buckets that pass keys on, and how many the last one does.
    fn count_runs(&self, build: &mut Build<'_, '_>) -> Result<(u32, u64)> {
        let (mut longest, mut run, mut passed_on) = (0u32, 0u32, 0u64);
        let mut carried = 0u32;
        for index in 0..self.part_count() {
            let range = self.range(index);
            let mut counts = vec![0u32; (range.end - range.start) as usize];
            let mut later = 0;
            match counts.first_mut() {
                Some(first) => *first = std::mem::take(&mut carried),
                None => later = std::mem::take(&mut carried),
            }
            self.visit(build, index, |(home, ..)| match counts.get_mut((u64::from(home) - range.start) as usize) {
                Some(count) => *count += 1,
                None => later += 1,
            })?;
            carried = later;
            for count in counts {
                passed_on = (passed_on + u64::from(count)).saturating_sub(BUCKET_PLACES as u64);
                run = if passed_on > 0 { run + 1 } else { 0 };
                longest = longest.max(run);
            }
        }
        Ok((longest, passed_on))
    }

    /// Fills the buckets in order; returns what the last one passes on.
    fn fill(
        &self,
        build: &mut Build<'_, '_>,
        mut each: impl FnMut(&mut BucketBuilder) -> Result<()>,
    ) -> Result<VecDeque<Place>> {
        let mut waiting: VecDeque<Place> = VecDeque::new();
        // Those of the next range.
        let mut carried: Vec<Place> = Vec::new();
        for index in 0..self.part_count() {
            let range = self.range(index);
            // Parts of less than a bucket only pass them on.
            let mut places = if range.is_empty() { Vec::new() } else { std::mem::take(&mut carried) };
            let is_mixed = !places.is_empty();
            self.visit(build, index, |place| {
                if u64::from(place.0) < range.end { places.push(place) } else { carried.push(place) }
            })?;
            let mut sorted = by_home(&places, &range);
            if is_mixed {
                // Slots of the first bucket came in two pieces.
                let first = sorted.partition_point(|&(home, ..)| u64::from(home) == range.start);
                sorted.get_mut(..first).unwrap_or_default().sort_unstable_by_key(|&(_, slot, _)| slot);
            }
            let mut rest = sorted.iter().copied().peekable();
            for at in self.range(index) {
                let mut bucket = BucketBuilder::EMPTY;
                while let Some(&(_, slot, fingerprint)) = waiting.front()
                    && bucket.insert(fingerprint, slot)
                {
                    waiting.pop_front();
                }
                while let Some(place) = rest.next_if(|&(home, ..)| u64::from(home) == at) {
                    let (_, slot, fingerprint) = place;
                    if !waiting.is_empty() || !bucket.insert(fingerprint, slot) {
                        waiting.push_back(place);
                    }
                }
                each(&mut bucket)?;
            }
        }
        Ok(waiting)
    }

    /// Writes the buckets, the first of which take what the last one passes on. Returns the longest chain.
    fn write(&self, build: &mut Build<'_, '_>, mut last: VecDeque<Place>, writer: &mut BlockWriter<'_>) -> Result<u32> {
        let mut bytes = Vec::new();
        let mut runs = Runs::default();
        writer.begin_section(SECTION_INDEX)?;
        self.fill(build, |bucket| {
            while let Some(&(_, slot, fingerprint)) = last.front()
                && bucket.insert(fingerprint, slot)
            {
                last.pop_front();
            }
            runs.add(bucket.overflows());
            bytes.clear();
            bucket.encode(&mut bytes);
            writer.write(&bytes)
        })?;
        writer.end_section();
        Ok((runs.longest() + 1).min(self.bucket_count as u32))
    }
}

/// Keys of a range of buckets in the order of their homes; those of one home stay in theirs.
fn by_home(places: &[Place], range: &std::ops::Range<u64>) -> Vec<Place> {
    let at = |home: u32| (u64::from(home) - range.start) as usize;
    // Where the next key of each home goes.
    let mut next = vec![0u32; (range.end - range.start) as usize + 1];
    for &(home, ..) in places {
        if let Some(count) = next.get_mut(at(home) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut next {
        sum += *start;
        *start = sum;
    }
    let mut sorted = vec![(0, 0, 0); places.len()];
    for &place in places {
        if let Some(next) = next.get_mut(at(place.0))
            && let Some(to) = sorted.get_mut(*next as usize)
        {
            *to = place;
            *next += 1;
        }
    }
    sorted
}

/// Runs of overflowing buckets, round the end: a lookup starts anywhere and goes on while they overflow. Some bucket does not, as not
/// all are full.
#[derive(Default)]
struct Runs {
    /// The one that starts at the first bucket, once it is over.
    first: Option<u32>,
    current: u32,
    longest: u32,
}

impl Runs {
    fn add(&mut self, overflows: bool) {
        if overflows {
            self.current += 1;
            self.longest = self.longest.max(self.current);
        } else {
            self.first.get_or_insert(self.current);
            self.current = 0;
        }
    }

    fn longest(&self) -> u32 {
        self.longest.max(self.current + self.first.unwrap_or(0))
    }
}
