//! The cells of a dimension: which value each has, by number, in slot order and in bounded memory.
//!
//! Values get numbers in the order in which they stand in the file, equal ones the same. Where the numbers of all ids fit in memory,
//! each cell finds its own there. Else ids and cells are dealt out by a hash of the id, each part finds its numbers in memory, and the
//! parts are read side by side, as the cells say.

use super::gather::{Dimension, Fingerprint, Hasher, unzigzag, zigzag};
use super::ids::{Ids, RepeatedId};
use crate::engine::column_builder::{DistinctCells, PresentSlots};
use crate::engine::late_values::ValueReader;
use crate::engine::mix::Mix;
use crate::engine::numbering::{Build, Contents, Numbered, number};
use crate::engine::spill::{Spill, StreamId, StreamReader, encode_number};
use crate::error::Result;
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// Parts that ids are dealt out to.
const PARTS_MAX: u64 = 4096;
/// A cell whose id has no value.
const NO_NUMBER: u32 = u32::MAX;

/// What a dimension turned out to be.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Survey {
    /// Cells of slots that have a point.
    pub(super) cells: u64,
    /// Cells of slots that have none.
    pub(super) ghosts: u64,
    /// Cells of slots whose key counts at a later slot.
    pub(super) superseded: u64,
    /// How often each id is used, ghosts left out.
    pub(super) uses: Fingerprint,
    /// Ids that are used and have a value.
    pub(super) used_values: u64,
    /// Cells whose id has no value, and the first of them: slot and id.
    pub(super) missing: u64,
    pub(super) first_missing: Option<(u32, i64)>,
}

impl Survey {
    /// Counts a cell without a point, whose slot has a key or not.
    #[inline]
    fn pass(&mut self, has_key: bool) {
        *(if has_key { &mut self.superseded } else { &mut self.ghosts }) += 1;
    }

    /// Counts a cell, whose id has a value or not.
    #[inline]
    fn add(&mut self, (slot, id): (u32, i64), has_value: bool, hasher: Hasher) {
        self.uses.add(hasher.number(zigzag(id)));
        if has_value {
            self.cells += 1;
        } else {
            self.missing += 1;
            self.first_missing = Some(self.first_missing.map_or((slot, id), |first| first.min((slot, id))));
        }
    }
}

/// The cells of slots that have a point, in slot order.
pub(super) struct Cells<'s> {
    spill: &'s Spill,
    reader: ValueReader,
    live: &'s PresentSlots,
    /// The slots that have a key, whether it counts or not.
    with_key: &'s PresentSlots,
}

impl<'s> Cells<'s> {
    /// `stream` has slots and ids in slot order, `live` the slots whose key counts, `with_key` also the others that have one.
    pub(super) const fn new(
        stream: StreamId,
        spill: &'s Spill,
        live: &'s PresentSlots,
        with_key: &'s PresentSlots,
    ) -> Self {
        Self { spill, reader: ValueReader::new(stream), live, with_key }
    }

    /// The next slot and id. `passed` is called for each slot without a point: with whether it has a key.
    #[inline]
    fn next(&mut self, mut passed: impl FnMut(bool)) -> Result<Option<(u32, i64)>> {
        while let Some((slot, id)) = self.reader.next(self.spill)? {
            if self.live.contains(slot) {
                return Ok(Some((slot, decode_id(id))));
            }
            passed(self.with_key.contains(slot));
        }
        Ok(None)
    }
}

/// An id as it was put aside.
#[inline]
fn decode_id(bytes: &[u8]) -> i64 {
    let number = bytes.iter().rev().fold(0u64, |number, &byte| (number << 7) | u64::from(byte & 0x7F));
    unzigzag(number)
}

/// Cells and the numbers of their values, in streams of the build's spill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    /// For each cell, how many slots were passed over since the one before.
    pub(super) slots: StreamId,
    /// For each cell the number of its value, as a u32.
    pub(super) numbers: StreamId,
    pub(super) count: u64,
    /// How many numbers are used, if each is first used after all below it.
    pub(super) in_order: Option<u32>,
}

impl Joined {
    fn new(spill: &mut Spill) -> Self {
        Self { slots: spill.stream(), numbers: spill.stream(), count: 0, in_order: Some(0) }
    }
}

/// Writes cells.
struct JoinWriter {
    joined: Joined,
    next_slot: u32,
    buffer: Vec<u8>,
}

impl JoinWriter {
    #[inline]
    fn push(&mut self, slot: u32, number: u32, spill: &mut Spill) -> Result<()> {
        let Self { joined, next_slot, buffer } = self;
        buffer.clear();
        encode_number((slot - *next_slot).into(), buffer);
        *next_slot = slot + 1;
        joined.count += 1;
        joined.in_order = match joined.in_order {
            Some(fresh) if number < fresh => Some(fresh),
            Some(fresh) if number == fresh => Some(fresh + 1),
            _ => None,
        };
        spill.append(joined.slots, buffer)?;
        spill.append(joined.numbers, &number.to_le_bytes())
    }
}

/// Numbers the values of a dimension, which are in `spill`: one number for each id.
pub(super) fn number_values(build: &mut Build<'_, '_>, dimension: &Dimension, spill: &Spill) -> Result<Numbered> {
    let mut contents = DomainContents::new(dimension, spill);
    // Values whose hashes differ are different, as all are in a file of the original.
    let mut hashes = DistinctCells::new(build, dimension.value_count);
    while let Some(content) = contents.next(&build.spill)? {
        hashes.add(XxHash3_64::oneshot_with_seed(build.hash_seed, content), &mut build.spill)?;
        build.meter.step()?;
    }
    if hashes.count(build)? < dimension.value_count {
        return number(build, &mut contents);
    }
    let numbers = build.spill.stream();
    for number in 0..dimension.value_count as u32 {
        build.spill.append(numbers, &number.to_le_bytes())?;
        build.meter.step()?;
    }
    Ok(Numbered { numbers, count: dimension.value_count, distinct: dimension.value_count })
}

/// The values of a dimension in the order of the file.
pub(super) struct DomainContents<'s> {
    spill: &'s Spill,
    reader: StreamReader,
}

impl<'s> DomainContents<'s> {
    pub(super) const fn new(dimension: &Dimension, spill: &'s Spill) -> Self {
        Self { spill, reader: StreamReader::new(dimension.values) }
    }

    /// The next id, whose value is passed over.
    fn next_id(&mut self) -> Result<Option<i64>> {
        let Some(id) = self.reader.u64(self.spill)? else { return Ok(None) };
        let len = self.reader.number(self.spill)?.unwrap_or_default();
        self.reader.skip(len);
        Ok(Some(id.cast_signed()))
    }
}

impl Contents for DomainContents<'_> {
    fn rewind(&mut self) {
        self.reader.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        match self.reader.u64(self.spill)? {
            Some(_) => self.reader.content(self.spill),
            None => Ok(None),
        }
    }
}

/// Finds the number of each cell's value. `values` has those of all ids of the dimension.
pub(super) fn join(
    build: &mut Build<'_, '_>,
    dimension: &Dimension,
    values: &Numbered,
    cells: &mut Cells<'_>,
    hasher: Hasher,
) -> Result<Result<(Joined, Survey), RepeatedId>> {
    let mut survey = Survey { ghosts: dimension.ghosts, ..Survey::default() };
    let mut writer = JoinWriter { joined: Joined::new(&mut build.spill), next_slot: 0, buffer: Vec::new() };
    let mut ids = DomainContents::new(dimension, cells.spill);
    let mut numbers = StreamReader::new(values.numbers);
    let memory_len = Ids::memory_len(dimension.ids, dimension.value_count);
    if memory_len <= build.limit as u64 {
        let next = || Ok(ids.next_id()?.zip(numbers.u32(&build.spill)?));
        let mut ids = match Ids::new(dimension.ids, dimension.value_count, next)? {
            Ok(ids) => ids,
            Err(repeated) => return Ok(Err(repeated)),
        };
        while let Some((slot, id)) = cells.next(|has_key| survey.pass(has_key))? {
            let number = ids.number(id);
            survey.add((slot, id), number.is_some(), hasher);
            if let Some(number) = number {
                writer.push(slot, number, &mut build.spill)?;
            }
            build.meter.step()?;
        }
        survey.used_values = ids.used_count();
        return Ok(Ok((writer.joined, survey)));
    }

    let mut parts = Parts::new(build, dimension.value_count, cells.spill);
    while let Some((id, number)) = ids.next_id()?.zip(numbers.u32(&build.spill)?) {
        parts.push_value(id, number)?;
        build.meter.step()?;
    }
    while let Some((_, id)) = cells.next(|_| ())? {
        parts.push_cell(id)?;
        build.meter.step()?;
    }
    survey.used_values = match parts.find(build)? {
        Ok(used) => used,
        Err(repeated) => return Ok(Err(repeated)),
    };
    cells.reader.rewind();
    while let Some((slot, id)) = cells.next(|has_key| survey.pass(has_key))? {
        let number = parts.next(id)?;
        survey.add((slot, id), number.is_some(), hasher);
        if let Some(number) = number {
            writer.push(slot, number, &mut build.spill)?;
        }
        build.meter.step()?;
    }
    Ok(Ok((writer.joined, survey)))
}

/// Ids dealt out to parts that fit in memory.
struct Parts {
    spill: Spill,
    mix: Mix,
    parts: Vec<Part>,
}

struct Part {
    /// Ids and numbers of values.
    values: StreamId,
    value_count: u64,
    /// The ids of cells.
    cells: StreamId,
    /// The numbers of cells.
    found: StreamReader,
}

impl Parts {
    fn new(build: &Build<'_, '_>, value_count: u64, cells: &Spill) -> Self {
        let mut spill = Spill::new(Arc::clone(cells.storage()), build.limit);
        // Twice what an even share takes, as shares are not quite even.
        let count = (2 * Ids::memory_len(None, value_count)).div_ceil(build.limit as u64 + 1).clamp(2, PARTS_MAX);
        let mut part = || {
            let (values, cells) = (spill.stream(), spill.stream());
            Part { values, value_count: 0, cells, found: StreamReader::new(spill.stream()) }
        };
        let parts = (0..count).map(|_| part()).collect();
        Self { spill, mix: Mix::new(), parts }
    }

    /// The part that an id is in.
    fn part(&mut self, id: i64) -> (Option<&mut Part>, &mut Spill) {
        let place = (u128::from(self.mix.of(zigzag(id))) * self.parts.len() as u128) >> 64;
        (self.parts.get_mut(place as usize), &mut self.spill)
    }

    fn push_value(&mut self, id: i64, number: u32) -> Result<()> {
        if let (Some(part), spill) = self.part(id) {
            part.value_count += 1;
            spill.append(part.values, &id.to_le_bytes())?;
            spill.append(part.values, &number.to_le_bytes())?;
        }
        Ok(())
    }

    fn push_cell(&mut self, id: i64) -> Result<()> {
        match self.part(id) {
            (Some(part), spill) => spill.append(part.cells, &id.to_le_bytes()),
            (None, _) => Ok(()),
        }
    }

    /// Finds the numbers of all cells; how many ids are used.
    fn find(&mut self, build: &mut Build<'_, '_>) -> Result<Result<u64, RepeatedId>> {
        let Self { spill, parts, .. } = self;
        let mut used = 0;
        for part in parts {
            let mut values = StreamReader::new(part.values);
            let next = || Ok(values.u64(spill)?.map(u64::cast_signed).zip(values.u32(spill)?));
            let mut ids = match Ids::new(None, part.value_count, next)? {
                Ok(ids) => ids,
                Err(repeated) => return Ok(Err(repeated)),
            };
            spill.clear(part.values);
            let found = spill.stream();
            let mut cells = StreamReader::new(part.cells);
            while let Some(id) = cells.u64(spill)? {
                let number = ids.number(id.cast_signed()).unwrap_or(NO_NUMBER);
                spill.append(found, &number.to_le_bytes())?;
                build.meter.step()?;
            }
            spill.clear(part.cells);
            part.found = StreamReader::new(found);
            used += ids.used_count();
        }
        Ok(Ok(used))
    }

    /// The number of the next cell, which has this id.
    fn next(&mut self, id: i64) -> Result<Option<u32>> {
        match self.part(id) {
            (Some(part), spill) => Ok(part.found.u32(spill)?.filter(|&number| number != NO_NUMBER)),
            (None, _) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_survive() {
        for id in [0, 1, -1, i64::MAX, i64::MIN, 1 << 40, -(1 << 40)] {
            let mut bytes = Vec::new();
            encode_number(zigzag(id), &mut bytes);
            assert_eq!(decode_id(&bytes), id);
        }
    }
}
