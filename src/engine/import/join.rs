//! Ids and values of a dimension brought together in slot order, in bounded memory.
//!
//! Where all values fit in memory, each cell finds its own there. Else values and cells are dealt out by a hash of the id; each part
//! finds its values in memory and writes them in slot order, long ones once, and the parts are read side by side, as the cells say.

use super::domain::{Domain, RepeatedId, memory_of};
use super::gather::{Dimension, Fingerprint, Hasher, unzigzag, zigzag};
use crate::engine::column_builder::{PresentSlots, Values};
use crate::engine::late_values::ValueReader;
use crate::engine::meter::Meter;
use crate::engine::mix::Mix;
use crate::engine::spill::{Spill, StreamId, StreamReader, encode_number};
use crate::error::Result;
use crate::format::value;
use crate::model::ValueRef;
use std::collections::HashMap;
use std::sync::Arc;

/// Parts that ids are dealt out to.
const PARTS_MAX: u64 = 4096;

/// A value of so many bytes is not written again for each cell.
const REFERRED_LEN: usize = 256;

/// What a dimension turned out to be.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Survey {
    /// Cells of slots that have a point.
    pub(super) cells: u64,
    /// Cells of slots that have none.
    pub(super) ghosts: u64,
    /// Cells of slots whose key counts at a later slot.
    pub(super) superseded: u64,
    /// Bytes of their values, each counted as often as it occurs.
    pub(super) len: u64,
    /// How often each id is used, ghosts left out.
    pub(super) uses: Fingerprint,
    pub(super) used_values: u64,
    /// Cells whose id has no value, and the first of them: slot and id.
    pub(super) missing: u64,
    pub(super) first_missing: Option<(u32, i64)>,
}

/// The cells of a dimension with their values.
pub(super) struct Joined<'s> {
    cells: Cells<'s>,
    values: JoinedValues,
}

enum JoinedValues {
    Whole(Box<Domain>),
    /// For each part the values of its cells: twice the length, 0 where there is none, and the value; or one more, and where in the
    /// stream the value is.
    Parts {
        spill: Spill,
        parts: Vec<(StreamId, StreamReader)>,
        deal: Deal,
        /// A value that was read again.
        referred: Vec<u8>,
    },
}

/// Why a dimension cannot be imported.
#[derive(Clone, Copy, Debug)]
pub(super) enum JoinError {
    RepeatedId(i64),
    /// The values of all cells have so many bytes or more, which is too many.
    TooLong(u64),
}

impl From<RepeatedId> for JoinError {
    fn from(RepeatedId(id): RepeatedId) -> Self {
        Self::RepeatedId(id)
    }
}

/// The cells of slots that have a point, in slot order.
struct Cells<'s> {
    spill: &'s Spill,
    reader: ValueReader,
    live: &'s PresentSlots,
    /// The slots that have a key, whether it counts or not.
    with_key: &'s PresentSlots,
}

impl Cells<'_> {
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

/// Which part an id is in.
#[derive(Clone, Copy)]
struct Deal {
    mix: Mix,
    parts: u64,
}

impl Deal {
    fn part(self, id: i64) -> usize {
        ((u128::from(self.mix.of(zigzag(id))) * u128::from(self.parts)) >> 64) as usize
    }
}

impl<'s> Joined<'s> {
    /// Brings ids and values together, as long as the values of all cells have at most `len_max` bytes. `cells` is in slot order, in `spill`. `live` has the slots whose key counts, `with_key`
    /// also the others that have one.
    pub(super) fn new(
        dimension: &Dimension,
        cells: StreamId,
        (live, with_key): (&'s PresentSlots, &'s PresentSlots),
        (hasher, len_max): (Hasher, u64),
        (spill, limit): (&'s Spill, usize),
        meter: &mut Meter<'_>,
    ) -> Result<Result<(Self, Survey), JoinError>> {
        let mut cells = Cells { spill, reader: ValueReader::new(cells), live, with_key };
        let mut survey = Survey { ghosts: dimension.ghosts, ..Survey::default() };
        let memory = memory_of(dimension, spill);
        let joined = if memory <= limit as u64 {
            join_whole(dimension, &mut cells, (hasher, len_max), &mut survey, meter)?
        } else {
            let parts = (memory * 2).div_ceil(limit as u64 + 1).clamp(2, PARTS_MAX);
            join_parts(dimension, &mut cells, (hasher, len_max), (parts, limit), &mut survey, meter)?
        };
        Ok(joined.map(|values| (Self { cells, values }, survey)))
    }
}

impl Survey {
    /// Counts a cell without a point, whose slot has a key or not.
    #[inline]
    fn pass(&mut self, has_key: bool) {
        *(if has_key { &mut self.superseded } else { &mut self.ghosts }) += 1;
    }

    /// Counts a cell, whose id has a value of so many bytes or none.
    #[inline]
    fn add(&mut self, (slot, id): (u32, i64), value: Option<usize>, hasher: Hasher) {
        self.uses.add(hasher.number(zigzag(id)));
        if let Some(len) = value {
            self.cells += 1;
            self.len += len as u64;
        } else {
            self.missing += 1;
            self.first_missing = Some(self.first_missing.map_or((slot, id), |first| first.min((slot, id))));
        }
    }
}

fn join_whole(
    dimension: &Dimension,
    cells: &mut Cells<'_>,
    (hasher, len_max): (Hasher, u64),
    survey: &mut Survey,
    meter: &mut Meter<'_>,
) -> Result<Result<JoinedValues, JoinError>> {
    let domain = Domain::read(dimension.values, dimension.ids, dimension.value_count, cells.spill)?;
    let mut domain = match domain {
        Ok(domain) => domain,
        Err(repeated) => return Ok(Err(repeated.into())),
    };
    while let Some(cell) = cells.next(|has_key| survey.pass(has_key))? {
        let len = domain.use_id(cell.1);
        survey.add(cell, len, hasher);
        if survey.len > len_max {
            return Ok(Err(JoinError::TooLong(survey.len)));
        }
        meter.step()?;
    }
    survey.used_values = domain.used_count();
    Ok(Ok(JoinedValues::Whole(Box::new(domain))))
}

fn join_parts(
    dimension: &Dimension,
    cells: &mut Cells<'_>,
    (hasher, len_max): (Hasher, u64),
    (parts, limit): (u64, usize),
    survey: &mut Survey,
    meter: &mut Meter<'_>,
) -> Result<Result<JoinedValues, JoinError>> {
    let mut spill = Spill::new(Arc::clone(cells.spill.storage()), limit);
    let deal = Deal { mix: Mix::new(), parts };
    let streams = |spill: &mut Spill| -> Vec<StreamId> { (0..parts).map(|_| spill.stream()).collect() };
    let (values, ids, found) = (streams(&mut spill), streams(&mut spill), streams(&mut spill));
    let mut counts = vec![0u64; parts as usize];

    let mut reader = StreamReader::new(dimension.values);
    let mut scratch = Vec::new();
    while let Some(id) = reader.u64(cells.spill)? {
        let part = deal.part(id.cast_signed());
        scratch.clear();
        scratch.extend(id.to_le_bytes());
        let Some(tagged) = reader.content(cells.spill)? else { break };
        encode_number(tagged.len() as u64, &mut scratch);
        if let (Some(&stream), Some(count)) = (values.get(part), counts.get_mut(part)) {
            spill.append(stream, &scratch)?;
            spill.append(stream, tagged)?;
            *count += 1;
        }
        meter.step()?;
    }
    while let Some((slot, id)) = cells.next(|has_key| survey.pass(has_key))? {
        if let Some(&stream) = ids.get(deal.part(id)) {
            spill.append(stream, &slot.to_le_bytes())?;
            spill.append(stream, &id.to_le_bytes())?;
        }
        meter.step()?;
    }

    for (((&values, &ids), &found), count) in values.iter().zip(&ids).zip(&found).zip(counts) {
        let mut domain = match Domain::read(values, None, count, &spill)? {
            Ok(domain) => domain,
            Err(repeated) => return Ok(Err(repeated.into())),
        };
        spill.clear(values);
        // Where in the stream each long value is.
        let mut written: HashMap<u32, u64> = HashMap::new();
        let mut reader = StreamReader::new(ids);
        while let Some(slot) = reader.u32(&spill)? {
            let id = reader.u64(&spill)?.unwrap_or_default().cast_signed();
            let len = domain.use_id(id);
            survey.add((slot, id), len, hasher);
            if survey.len > len_max {
                return Ok(Err(JoinError::TooLong(survey.len)));
            }
            let tagged = domain.get(id).unwrap_or_default();
            let place = domain.place(id).filter(|_| tagged.len() >= REFERRED_LEN);
            scratch.clear();
            if let Some(offset) = place.and_then(|place| written.get(&place)) {
                encode_number(tagged.len() as u64 * 2 + 1, &mut scratch);
                encode_number(*offset, &mut scratch);
                spill.append(found, &scratch)?;
            } else {
                encode_number(tagged.len() as u64 * 2, &mut scratch);
                spill.append(found, &scratch)?;
                if let Some(place) = place {
                    written.insert(place, spill.len(found));
                }
                spill.append(found, tagged)?;
            }
            meter.step()?;
        }
        survey.used_values += domain.used_count();
        spill.clear(ids);
    }
    let parts = found.into_iter().map(|found| (found, StreamReader::new(found))).collect();
    Ok(Ok(JoinedValues::Parts { spill, parts, deal, referred: Vec::new() }))
}

impl Values for Joined<'_> {
    fn rewind(&mut self) {
        self.cells.reader.rewind();
        if let JoinedValues::Parts { parts, .. } = &mut self.values {
            parts.iter_mut().for_each(|(_, reader)| reader.rewind());
        }
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        let Self { cells, values } = self;
        match values {
            JoinedValues::Whole(domain) => {
                while let Some((slot, id)) = cells.next(|_| ())? {
                    if let Some(tagged) = domain.get(id) {
                        return Ok(Some((slot, decode(tagged))));
                    }
                }
                Ok(None)
            }
            JoinedValues::Parts { spill, parts, deal, referred } => {
                while let Some((slot, id)) = cells.next(|_| ())? {
                    let part = deal.part(id);
                    let Some((stream, reader)) = parts.get_mut(part) else { break };
                    let number = reader.number(spill)?.unwrap_or_default();
                    let len = (number / 2) as usize;
                    if number % 2 == 1 {
                        let offset = reader.number(spill)?.unwrap_or_default();
                        referred.resize(len, 0);
                        spill.read_at(*stream, offset, referred)?;
                        return Ok(Some((slot, decode(referred))));
                    }
                    if len > 0 {
                        let tagged = parts.get_mut(part).map(|(_, reader)| reader.take(spill, len));
                        return Ok(tagged.transpose()?.flatten().map(|tagged| (slot, decode(tagged))));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// A value that was encoded as it was read: it always decodes.
pub(super) fn decode(tagged: &[u8]) -> ValueRef<'_> {
    value::decode(tagged).unwrap_or(ValueRef::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::late_values::Arrivals;
    use crate::storage::MemoryStorage;
    use std::collections::{BTreeMap, HashSet};

    /// A dimension with random ids, some of which have no value, and cells in random order, some of slots without a point.
    struct Case {
        values: BTreeMap<i64, Vec<u8>>,
        cells: Vec<(u32, i64)>,
        live: PresentSlots,
    }

    impl Case {
        fn new(seed: u64) -> Self {
            let mut state = seed;
            let mut random = move || {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                state >> 20
            };
            let (count, spread) = (random() % 600, [1, 7, 1 << 40][(random() % 3) as usize]);
            let mut values = BTreeMap::new();
            for _ in 0..count {
                let id = (random() % (count * spread)).cast_signed() - 50;
                let mut tagged = Vec::new();
                let len = random() % [1, 90, 600][(seed % 3) as usize];
                value::encode(ValueRef::Text(&format!("{id}{}", "x".repeat(len as usize))), &mut tagged);
                values.insert(id, tagged);
            }
            let ids: Vec<i64> = values.keys().copied().chain([i64::MIN, -51, 0, i64::MAX]).collect();
            let slots: HashSet<u32> = (0..count).map(|_| (random() % (2 * count + 1)) as u32).collect();
            let mut cells: Vec<(u32, i64)> =
                slots.into_iter().map(|slot| (slot, ids[random() as usize % ids.len()])).collect();
            if seed.is_multiple_of(2) {
                cells.sort_unstable();
            }
            let mut live = PresentSlots::default();
            (0..2 * count as u32 + 1).filter(|slot| slot % 5 != 3).for_each(|slot| live.insert(slot));
            Self { values, cells, live }
        }

        /// What is joined, and what the survey says.
        fn joined(&self, limit: usize) -> (Vec<(u32, String)>, Survey) {
            let mut ignore = crate::progress::ignore;
            let mut meter = Meter::new(&mut ignore, "", 0);
            let mut spill = Spill::new(Arc::new(MemoryStorage::new()), limit);
            let values = spill.stream();
            for (id, tagged) in self.values.iter().rev() {
                let mut bytes = id.to_le_bytes().to_vec();
                encode_number(tagged.len() as u64, &mut bytes);
                bytes.extend_from_slice(tagged);
                spill.append(values, &bytes).unwrap();
            }
            let mut cells = Arrivals::new(&mut spill);
            for &(slot, id) in &self.cells {
                let mut bytes = Vec::new();
                encode_number(zigzag(id), &mut bytes);
                cells.push(slot, &bytes, &mut spill).unwrap();
            }
            let cells = cells.ordered(u32::MAX, (&mut spill, limit), &mut meter).unwrap();
            assert_eq!(cells.repeated, None);
            let ids = self.values.keys().next().copied().zip(self.values.keys().last().copied());
            let dimension = Dimension {
                name: "x".into(),
                space: Some(0),
                values,
                value_count: self.values.len() as u64,
                ids,
                next_id: None,
                cells: Arrivals::new(&mut spill),
                ghosts: 0,
                has_mapping: true,
                ref_counts: None,
            };
            let joined = Joined::new(
                &dimension,
                cells.stream,
                (&self.live, &self.live),
                (Hasher::new(), u64::MAX),
                (&spill, limit),
                &mut meter,
            );
            let Ok((mut joined, survey)) = joined.unwrap() else { panic!("no id comes twice") };
            let mut found = Vec::new();
            for pass in 0..2 {
                let before = std::mem::take(&mut found);
                joined.rewind();
                while let Some((slot, value)) = joined.next().unwrap() {
                    found.push((slot, value.as_str().unwrap().to_owned()));
                }
                assert!(pass == 0 || before == found, "the same again");
            }
            (found, survey)
        }
    }

    #[test]
    fn each_cell_gets_the_value_of_its_id_whatever_fits_in_memory() {
        for seed in 0..60 {
            let case = Case::new(seed);
            let mut expected = Vec::new();
            let (mut missing, mut ghosts, mut used) = (Vec::new(), 0, HashSet::new());
            let mut cells = case.cells.clone();
            cells.sort_unstable();
            for (slot, id) in cells {
                match case.values.get(&id) {
                    _ if !case.live.contains(slot) => ghosts += 1,
                    None => missing.push((slot, id)),
                    Some(tagged) => {
                        used.insert(id);
                        expected.push((slot, decode(tagged).as_str().unwrap().to_owned()));
                    }
                }
            }
            for limit in [0, 3000, 1 << 30] {
                let (found, survey) = case.joined(limit);
                assert!(found == expected, "seed {seed}, limit {limit}");
                assert_eq!(survey.cells, expected.len() as u64, "seed {seed}, limit {limit}");
                assert_eq!((survey.missing, survey.ghosts), (missing.len() as u64, ghosts), "seed {seed}");
                assert_eq!(survey.first_missing, missing.first().copied(), "seed {seed}, limit {limit}");
                assert_eq!(survey.used_values, used.len() as u64, "seed {seed}, limit {limit}");
            }
        }
    }

    #[test]
    fn signs_survive() {
        for id in [0, 1, -1, i64::MAX, i64::MIN, 1 << 40, -(1 << 40)] {
            let mut bytes = Vec::new();
            encode_number(zigzag(id), &mut bytes);
            assert_eq!(decode_id(&bytes), id);
        }
    }
}
