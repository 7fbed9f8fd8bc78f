//! Numbering the distinct ones among many contents in order of first use, in bounded memory at any cardinality.
//!
//! Tried in memory first. Contents whose distinct ones do not fit are dealt out to partitions by hash, which are numbered each by
//! itself, and of whose numbers those of the whole are made in one more pass.

use super::meter::Meter;
use super::spill::{Spill, StreamId, StreamReader, encode_number};
use crate::error::Result;
use crate::storage::Storage;
use hashbrown::HashTable;
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// Partitions are told apart by so many bits of the hash.
const PARTITION_BITS: u32 = 8;
pub(super) const PARTITION_COUNT: usize = 1 << PARTITION_BITS;
/// After so many levels of partitions, what is left has the same hash, and is numbered in memory whatever it takes.
const LEVEL_MAX: u32 = 7;

/// What a file is built with.
pub(super) struct Build<'b, 'p> {
    /// What does not fit in memory while this file is built.
    pub(super) spill: Spill,
    /// Bytes that a table may take, beside the spill's buffers.
    pub(super) limit: usize,
    pub(super) hash_seed: u64,
    pub(super) meter: &'b mut Meter<'p>,
}

/// Parts of a memory budget: at most five are in use at a time; the rest is for buffers of a fixed size.
const SHARES: usize = 6;
/// The smallest share: with less, more would be written and read at once than is worth it.
const SHARE_MIN: usize = 16 << 10;

impl<'b, 'p> Build<'b, 'p> {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        memory_budget: usize,
        hash_seed: u64,
        meter: &'b mut Meter<'p>,
    ) -> Self {
        Self::with_share(storage, Self::share(memory_budget), hash_seed, meter)
    }

    /// With a share of a memory budget for each of spill and table; a table of readers takes a quarter of one.
    pub(super) fn with_share(
        storage: Arc<dyn Storage>,
        share: usize,
        hash_seed: u64,
        meter: &'b mut Meter<'p>,
    ) -> Self {
        let limit = share.max(SHARE_MIN);
        Self { spill: Spill::new(storage, limit), limit, hash_seed, meter }
    }

    /// What one user of a memory budget may take: the buffers of a spill, or a table.
    pub(super) const fn share(memory_budget: usize) -> usize {
        let share = memory_budget / SHARES;
        if share < SHARE_MIN { SHARE_MIN } else { share }
    }
}

/// Contents in order, which can be read again.
pub(super) trait Contents {
    fn rewind(&mut self);
    /// The next one. `spill` is that of the build.
    fn next(&mut self, spill: &Spill) -> Result<Option<&[u8]>>;

    /// Calls `each` with all of them, from the first on.
    fn visit(&mut self, spill: &mut Spill, each: &mut dyn FnMut(&mut Spill, &[u8]) -> Result<()>) -> Result<()> {
        self.rewind();
        while let Some(content) = self.next(spill)? {
            each(spill, content)?;
        }
        Ok(())
    }
}

/// The number of each content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    /// A u32 for each content: the number of the distinct one that it is.
    pub(super) numbers: StreamId,
    pub(super) count: u64,
    pub(super) distinct: u64,
}

/// The contents of a stream, each behind its length.
pub(super) struct StreamContents(StreamReader);

impl StreamContents {
    pub(super) const fn new(id: StreamId) -> Self {
        Self(StreamReader::new(id))
    }
}

impl Contents for StreamContents {
    fn rewind(&mut self) {
        self.0.rewind();
    }

    fn next(&mut self, spill: &Spill) -> Result<Option<&[u8]>> {
        self.0.content(spill)
    }
}

/// The hash that contents are told apart and dealt out by.
#[inline]
pub(super) fn content_hash(content: &[u8], hash_seed: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(hash_seed, content)
}

/// The partition of contents of a hash, of those of one partition of each level above.
#[inline]
pub(super) const fn partition(hash: u64, level: u32) -> u8 {
    (hash >> (u64::BITS - PARTITION_BITS * (level + 1))) as u8
}

/// Appends a content behind its length.
#[inline]
pub(super) fn append_content(stream: StreamId, content: &[u8], spill: &mut Spill) -> Result<()> {
    if let Ok(len @ 0..0x80) = u8::try_from(content.len()) {
        return spill.append_both(stream, len, content);
    }
    let mut prefix = Vec::with_capacity(10);
    encode_number(content.len() as u64, &mut prefix);
    spill.append(stream, &prefix)?;
    spill.append(stream, content)
}

/// Numbers contents.
pub(super) fn number(build: &mut Build<'_, '_>, contents: &mut dyn Contents) -> Result<Numbered> {
    number_level(build, contents, 0, &mut Distinct::default())
}

/// `distinct` is a table to use again.
fn number_level(
    build: &mut Build<'_, '_>,
    contents: &mut dyn Contents,
    level: u32,
    distinct: &mut Distinct,
) -> Result<Numbered> {
    distinct.clear();
    match number_in_memory(build, contents, level, distinct)? {
        Some(numbered) => Ok(numbered),
        None => {
            *distinct = Distinct::default();
            number_partitions(build, contents, level)
        }
    }
}

/// Distinct contents in memory.
#[derive(Default)]
struct Distinct {
    bytes: Vec<u8>,
    entries: Vec<DistinctEntry>,
    index: HashTable<u32>,
}

#[derive(Clone, Copy)]
struct DistinctEntry {
    start: u64,
    len: u32,
    hash: u32,
}

/// Spreads a hash over all bits: of the contents of a partition, the high ones are the same.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Distinct {
    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.index.clear();
    }

    /// The number of a content, and whether it is new; `None` where it is and does not fit.
    fn number(&mut self, content: &[u8], hash: u64, limit: usize) -> Option<u32> {
        let hash = hash as u32;
        let Self { bytes, entries, index } = self;
        let is_same = |&number: &u32| {
            entries.get(number as usize).is_some_and(|entry| {
                let start = entry.start as usize;
                entry.hash == hash && bytes.get(start..start + entry.len as usize) == Some(content)
            })
        };
        if let Some(&number) = index.find(spread(hash), is_same) {
            return Some(number);
        }
        // All of them double when they grow, with the old and the new one there at a time.
        let taken = (bytes.len() + content.len()) * 2 + entries.len() * (2 * size_of::<DistinctEntry>() + 16);
        if taken > limit && !entries.is_empty() {
            return None;
        }
        let number = entries.len() as u32;
        entries.push(DistinctEntry { start: bytes.len() as u64, len: content.len() as u32, hash });
        bytes.extend_from_slice(content);
        let entries = &self.entries;
        self.index.insert_unique(spread(hash), number, |&other| {
            entries.get(other as usize).map_or(0, |entry| spread(entry.hash))
        });
        Some(number)
    }
}

fn number_in_memory(
    build: &mut Build<'_, '_>,
    contents: &mut dyn Contents,
    level: u32,
    distinct: &mut Distinct,
) -> Result<Option<Numbered>> {
    let numbers = build.spill.stream();
    let limit = if level < LEVEL_MAX { build.limit } else { usize::MAX };
    let mut count = 0;
    // Not visited, as this is given up where too many are distinct.
    contents.rewind();
    while let Some(content) = contents.next(&build.spill)? {
        let hash = content_hash(content, build.hash_seed);
        let Some(number) = distinct.number(content, hash, limit) else {
            build.spill.clear(numbers);
            return Ok(None);
        };
        build.spill.append(numbers, &number.to_le_bytes())?;
        build.meter.step()?;
        count += 1;
    }
    Ok(Some(Numbered { numbers, count, distinct: distinct.entries.len() as u64 }))
}

fn number_partitions(build: &mut Build<'_, '_>, contents: &mut dyn Contents, level: u32) -> Result<Numbered> {
    let partitions: Vec<StreamId> = (0..PARTITION_COUNT).map(|_| build.spill.stream()).collect();
    // Which partition each content is in.
    let order = build.spill.stream();
    let mut count = 0;
    let Build { spill, hash_seed, meter, .. } = build;
    contents.visit(spill, &mut |spill, content| {
        let place = partition(content_hash(content, *hash_seed), level);
        if let Some(&partition) = partitions.get(usize::from(place)) {
            append_content(partition, content, spill)?;
        }
        spill.append(order, &[place])?;
        count += 1;
        meter.step()
    })?;
    let mut numbered = Vec::with_capacity(PARTITION_COUNT);
    let mut distinct = Distinct::default();
    for &partition in &partitions {
        numbered.push(number_level(build, &mut StreamContents::new(partition), level + 1, &mut distinct)?);
        build.spill.clear(partition);
    }
    drop(distinct);
    let merged = merge(build, &numbered, (order, None), count)?;
    build.spill.clear(order);
    Ok(merged)
}

/// Contents of a stream of another spill than the build's.
struct OtherContents<'s> {
    spill: &'s Spill,
    contents: StreamContents,
}

impl Contents for OtherContents<'_> {
    fn rewind(&mut self) {
        self.contents.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        self.contents.next(self.spill)
    }
}

/// Numbers the contents of each partition by itself. They were dealt out by [`partition`], in `spill`.
pub(super) fn number_each(build: &mut Build<'_, '_>, partitions: &[StreamId], spill: &Spill) -> Result<Vec<Numbered>> {
    let mut distinct = Distinct::default();
    let mut number = |&id: &StreamId| {
        number_level(build, &mut OtherContents { spill, contents: StreamContents::new(id) }, 1, &mut distinct)
    };
    partitions.iter().map(&mut number).collect()
}

/// The partition of each content, in a spill of its own or in the build's.
type Order<'s> = (StreamId, Option<&'s Spill>);

/// The next partition.
#[inline]
fn next_place(places: &mut StreamReader, (_, other): Order<'_>, spill: &Spill) -> Result<Option<usize>> {
    Ok(places.take(other.unwrap_or(spill), 1)?.and_then(|bytes| bytes.first()).map(|&place| usize::from(place)))
}

/// The numbers of the whole from those of its partitions.
pub(super) fn merge(build: &mut Build<'_, '_>, parts: &[Numbered], order: Order<'_>, count: u64) -> Result<Numbered> {
    let distinct: u64 = parts.iter().map(|part| part.distinct).sum();
    if distinct <= build.limit as u64 / size_of::<u32>() as u64 {
        merge_in_memory(build, parts, order, count)
    } else {
        merge_in_streams(build, parts, order, count)
    }
}

/// Keeps the number in the whole for each number of a partition.
fn merge_in_memory(build: &mut Build<'_, '_>, parts: &[Numbered], order: Order<'_>, count: u64) -> Result<Numbered> {
    let table = |part: &Numbered| (StreamReader::new(part.numbers), Vec::with_capacity(part.distinct as usize));
    let mut tables: Vec<(StreamReader, Vec<u32>)> = parts.iter().map(table).collect();
    let numbers = build.spill.stream();
    let mut distinct = 0u32;
    let mut places = StreamReader::new(order.0);
    while let Some(place) = next_place(&mut places, order, &build.spill)? {
        let Some((reader, table)) = tables.get_mut(place) else { continue };
        let Some(number) = reader.u32(&build.spill)? else { continue };
        // A number is used for the first time when all smaller ones were.
        if number as usize == table.len() {
            table.push(distinct);
            distinct += 1;
        }
        let whole = table.get(number as usize).copied().unwrap_or_default();
        build.spill.append(numbers, &whole.to_le_bytes())?;
        build.meter.step()?;
    }
    parts.iter().for_each(|part| build.spill.clear(part.numbers));
    Ok(Numbered { numbers, count, distinct: distinct.into() })
}

fn merge_in_streams(build: &mut Build<'_, '_>, parts: &[Numbered], order: Order<'_>, count: u64) -> Result<Numbered> {
    let assigned: Vec<StreamId> = parts.iter().map(|_| build.spill.stream()).collect();
    let mut readers: Vec<FirstUses> = parts.iter().map(FirstUses::new).collect();
    let mut distinct = 0u64;
    let mut places = StreamReader::new(order.0);
    while let Some(place) = next_place(&mut places, order, &build.spill)? {
        let (Some(reader), Some(&assigned)) = (readers.get_mut(place), assigned.get(place)) else {
            continue;
        };
        if let Some((_, true)) = reader.next(&build.spill)? {
            build.spill.append(assigned, &distinct.to_le_bytes())?;
            distinct += 1;
        }
        build.meter.step()?;
    }
    drop(readers);
    let mut translations = Vec::with_capacity(parts.len());
    for (part, &assigned) in parts.iter().zip(&assigned) {
        // They are all there at once.
        translations.push(Translation::new(build, part, assigned, 0)?);
    }
    let numbers = build.spill.stream();
    places.rewind();
    while let Some(place) = next_place(&mut places, order, &build.spill)? {
        if let Some(translation) = translations.get_mut(place)
            && let Some(number) = translation.next(&build.spill)?
        {
            build.spill.append(numbers, &(number as u32).to_le_bytes())?;
        }
        build.meter.step()?;
    }
    for ((translation, part), assigned) in translations.into_iter().zip(parts).zip(assigned) {
        translation.clear(&mut build.spill);
        build.spill.clear(part.numbers);
        build.spill.clear(assigned);
    }
    Ok(Numbered { numbers, count, distinct })
}

/// Numbers, and whether each is used for the first time: numbers ascend by first use.
pub(super) struct FirstUses {
    numbers: StreamReader,
    fresh: u32,
}

impl FirstUses {
    pub(super) fn new(numbered: &Numbered) -> Self {
        Self { numbers: StreamReader::new(numbered.numbers), fresh: 0 }
    }

    /// The next number, and whether it is used for the first time.
    #[inline]
    pub(super) fn next(&mut self, spill: &Spill) -> Result<Option<(u32, bool)>> {
        let Some(number) = self.numbers.u32(spill)? else { return Ok(None) };
        let is_first = number == self.fresh;
        self.fresh += u32::from(is_first);
        Ok(Some((number, is_first)))
    }
}

/// What was assigned to the number of each content, where one u64 is assigned to each number.
///
/// What fits in memory is looked up there. Of the rest, first uses are in order, so that theirs is read in order too; the others
/// are put in order beforehand, for a range of numbers at a time whose assignments fit in memory.
pub(super) struct Translation {
    uses: FirstUses,
    assigned: StreamReader,
    again: Again,
}

/// What is assigned to numbers that are used again.
enum Again {
    /// By number, also for first uses.
    Table(Vec<u64>),
    /// The same, where none takes more than 32 bits.
    NarrowTable(Vec<u32>),
    /// For each range of numbers, in order of use.
    Ranges { ranges: Vec<(StreamId, StreamReader)>, range_len: u64 },
}

impl Translation {
    /// `assigned` has a u64 for each number. A table of at most `table_len` bytes may stay in memory.
    pub(super) fn new(
        build: &mut Build<'_, '_>,
        numbered: &Numbered,
        assigned: StreamId,
        table_len: usize,
    ) -> Result<Self> {
        let again = if numbered.count == numbered.distinct {
            Again::Ranges { ranges: Vec::new(), range_len: 1 }
        } else if numbered.distinct <= table_len as u64 / 4
            && let Some(table) = narrow_table(build, assigned, numbered.distinct)?
        {
            Again::NarrowTable(table)
        } else if numbered.distinct <= table_len as u64 / 8 {
            Again::Table(assigned_range(build, assigned, 0, numbered.distinct)?)
        } else {
            Self::ranges(build, numbered, assigned)?
        };
        Ok(Self { uses: FirstUses::new(numbered), assigned: StreamReader::new(assigned), again })
    }

    fn ranges(build: &mut Build<'_, '_>, numbered: &Numbered, assigned: StreamId) -> Result<Again> {
        let range_len = (build.limit as u64 / 8).max(64);
        let again = repeated_numbers(build, numbered, range_len)?;
        let mut ranges = Vec::with_capacity(again.len());
        for (index, &numbers) in again.iter().enumerate() {
            let first = index as u64 * range_len;
            let table = assigned_range(build, assigned, first, range_len.min(numbered.distinct - first))?;
            let out = build.spill.stream();
            let mut reader = StreamReader::new(numbers);
            while let Some(number) = reader.u32(&build.spill)? {
                let value = table.get((u64::from(number) - first) as usize).copied().unwrap_or_default();
                build.spill.append(out, &value.to_le_bytes())?;
                build.meter.step()?;
            }
            build.spill.clear(numbers);
            ranges.push((out, StreamReader::new(out)));
        }
        Ok(Again::Ranges { ranges, range_len })
    }

    /// What is assigned to the next content.
    #[inline]
    pub(super) fn next(&mut self, spill: &Spill) -> Result<Option<u64>> {
        let Some((number, is_first)) = self.uses.next(spill)? else { return Ok(None) };
        match &mut self.again {
            Again::Table(table) => Ok(table.get(number as usize).copied()),
            Again::NarrowTable(table) => Ok(table.get(number as usize).map(|&value| value.into())),
            Again::Ranges { .. } if is_first => self.assigned.u64(spill),
            Again::Ranges { ranges, range_len } => match ranges.get_mut((u64::from(number) / *range_len) as usize) {
                Some((_, reader)) => reader.u64(spill),
                None => Ok(None),
            },
        }
    }

    /// Forgets its streams.
    pub(super) fn clear(self, spill: &mut Spill) {
        if let Again::Ranges { ranges, .. } = self.again {
            ranges.iter().for_each(|&(id, _)| spill.clear(id));
        }
    }
}

/// The numbers that are not first uses, by range.
fn repeated_numbers(build: &mut Build<'_, '_>, numbered: &Numbered, range_len: u64) -> Result<Vec<StreamId>> {
    let ranges: Vec<StreamId> = (0..numbered.distinct.div_ceil(range_len)).map(|_| build.spill.stream()).collect();
    let mut uses = FirstUses::new(numbered);
    while let Some((number, is_first)) = uses.next(&build.spill)? {
        if let (false, Some(&range)) = (is_first, ranges.get((u64::from(number) / range_len) as usize)) {
            build.spill.append(range, &number.to_le_bytes())?;
        }
        build.meter.step()?;
    }
    Ok(ranges)
}

/// What is assigned to all numbers; `None` where something takes more than 32 bits.
fn narrow_table(build: &Build<'_, '_>, assigned: StreamId, count: u64) -> Result<Option<Vec<u32>>> {
    let mut reader = StreamReader::new(assigned);
    let mut table = Vec::with_capacity(count as usize);
    while let Some(value) = reader.u64(&build.spill)? {
        match u32::try_from(value) {
            Ok(value) => table.push(value),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(table))
}

/// What is assigned to a range of numbers.
fn assigned_range(build: &Build<'_, '_>, assigned: StreamId, first: u64, count: u64) -> Result<Vec<u64>> {
    let mut reader = StreamReader::new(assigned);
    reader.skip(first * 8);
    let mut table = Vec::with_capacity(count as usize);
    for _ in 0..count {
        table.push(reader.u64(&build.spill)?.unwrap_or_default());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use std::collections::HashMap;

    fn check(contents: &[Vec<u8>], limit: usize) {
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        let spill = Spill::new(Arc::new(MemoryStorage::new()), limit);
        let mut build = Build { spill, limit, hash_seed: 5, meter: &mut meter };
        let stream = build.spill.stream();
        for content in contents {
            let mut bytes = Vec::new();
            encode_number(content.len() as u64, &mut bytes);
            bytes.extend_from_slice(content);
            build.spill.append(stream, &bytes).unwrap();
        }
        let numbered = number(&mut build, &mut StreamContents::new(stream)).unwrap();
        let mut expected = HashMap::new();
        let mut reader = StreamReader::new(numbered.numbers);
        let assigned = build.spill.stream();
        for content in contents {
            let next = expected.len() as u32;
            let number = *expected.entry(content).or_insert(next);
            assert_eq!(reader.u32(&build.spill).unwrap(), Some(number));
            if number == next {
                build.spill.append(assigned, &(u64::from(number) * 3 + 1).to_le_bytes()).unwrap();
            }
        }
        assert_eq!(reader.u32(&build.spill).unwrap(), None);
        assert_eq!((numbered.count, numbered.distinct), (contents.len() as u64, expected.len() as u64));
        for table_len in [0, 8 * expected.len()] {
            let mut translation = Translation::new(&mut build, &numbered, assigned, table_len).unwrap();
            for content in contents {
                let expected = u64::from(expected[content]) * 3 + 1;
                assert_eq!(translation.next(&build.spill).unwrap(), Some(expected));
            }
            assert_eq!(translation.next(&build.spill).unwrap(), None);
        }
    }

    #[test]
    fn contents_are_numbered_in_order_of_first_use_whatever_fits_in_memory() {
        for (count, distinct) in [(0, 1), (1, 1), (5000, 1), (5000, 70), (5000, 2500), (5000, 1 << 60)] {
            let mut state = 7u64;
            let contents: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    let id = (state >> 4) % distinct;
                    id.to_le_bytes().repeat((id % 7) as usize)
                })
                .collect();
            for limit in [1000, 30_000, 1 << 30] {
                check(&contents, limit);
            }
        }
    }
}
