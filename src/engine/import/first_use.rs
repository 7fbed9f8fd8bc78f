//! Numbers of values by the file become numbers by first use: the lower the slot of its first cell, the lower a value's number.

use super::gather::Dimension;
use super::join::{DomainContents, Joined};
use crate::engine::late_values::{Arrivals, ValueReader};
use crate::engine::numbered_column::NumberedCells;
use crate::engine::numbering::{Build, Contents, FirstUses, Numbered, number};
use crate::engine::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;

/// A value without a cell, in a table.
const NO_NUMBER: u32 = u32::MAX;

/// Numbers the values of cells anew. `values` has the numbers by the file, of which `joined` has those of the cells; `spill` has the values.
pub(super) fn by_first_use(
    build: &mut Build<'_, '_>,
    joined: &Joined,
    (dimension, values, spill): (&Dimension, &Numbered, &Spill),
) -> Result<NumberedCells> {
    let (numbered, mut renumbering) = if let Some(used) = joined.in_order {
        let numbered = Numbered { numbers: joined.numbers, count: joined.count, distinct: used.into() };
        (numbered, Renumbering::None(used))
    } else if values.distinct <= build.limit as u64 / 4 {
        in_memory(build, joined, values.distinct)?
    } else {
        in_streams(build, joined)?
    };
    let mut contents = DomainContents::new(dimension, spill);
    let mut uses = FirstUses::new(values);
    let mut arrivals = Arrivals::new(&mut build.spill);
    while let (Some((old, is_first)), Some(tagged)) = (uses.next(&build.spill)?, contents.next(&build.spill)?) {
        if is_first && let Some(new) = renumbering.of(old, &build.spill)? {
            arrivals.push(new, tagged, &mut build.spill)?;
        }
        build.meter.step()?;
    }
    drop(renumbering);
    let values = arrivals.ordered((&mut build.spill, build.limit), build.meter)?.stream;
    Ok(NumberedCells { slots: joined.slots, numbered, values })
}

/// The new number of each old one that is used.
enum Renumbering {
    /// They are the same, and so many are used.
    None(u32),
    /// By old number.
    Table(Vec<u32>),
    /// Old numbers in order, each with the new one.
    Stream { reader: ValueReader, next: Option<(u32, u32)> },
}

impl Renumbering {
    /// The new number of an old one. Old ones ascend from call to call.
    fn of(&mut self, old: u32, spill: &Spill) -> Result<Option<u32>> {
        match self {
            Self::None(used) => Ok((old < *used).then_some(old)),
            Self::Table(table) => Ok(table.get(old as usize).copied().filter(|&new| new != NO_NUMBER)),
            Self::Stream { reader, next } => {
                if next.is_none() {
                    *next = reader
                        .next(spill)?
                        .and_then(|(old, new)| Some((old, u32::from_le_bytes(new.try_into().ok()?))));
                }
                Ok(next.take_if(|(next, _)| *next == old).map(|(_, new)| new))
            }
        }
    }
}

fn in_memory(build: &mut Build<'_, '_>, joined: &Joined, distinct: u64) -> Result<(Numbered, Renumbering)> {
    let mut table = vec![NO_NUMBER; distinct as usize];
    let mut fresh = 0;
    let numbers = build.spill.stream();
    let mut reader = StreamReader::new(joined.numbers);
    while let Some(old) = reader.u32(&build.spill)? {
        if let Some(new) = table.get_mut(old as usize) {
            if *new == NO_NUMBER {
                *new = fresh;
                fresh += 1;
            }
            build.spill.append(numbers, &new.to_le_bytes())?;
        }
        build.meter.step()?;
    }
    build.spill.clear(joined.numbers);
    Ok((Numbered { numbers, count: joined.count, distinct: fresh.into() }, Renumbering::Table(table)))
}

fn in_streams(build: &mut Build<'_, '_>, joined: &Joined) -> Result<(Numbered, Renumbering)> {
    let numbered = number(build, &mut Numbers(StreamReader::new(joined.numbers)))?;
    let mut arrivals = Arrivals::new(&mut build.spill);
    let mut old = StreamReader::new(joined.numbers);
    let mut uses = FirstUses::new(&numbered);
    while let (Some(old), Some((new, is_first))) = (old.u32(&build.spill)?, uses.next(&build.spill)?) {
        if is_first {
            arrivals.push(old, &new.to_le_bytes(), &mut build.spill)?;
        }
        build.meter.step()?;
    }
    build.spill.clear(joined.numbers);
    let ordered: StreamId = arrivals.ordered((&mut build.spill, build.limit), build.meter)?.stream;
    Ok((numbered, Renumbering::Stream { reader: ValueReader::new(ordered), next: None }))
}

/// Old numbers as contents to be numbered.
struct Numbers(StreamReader);

impl Contents for Numbers {
    fn rewind(&mut self) {
        self.0.rewind();
    }

    fn next(&mut self, spill: &Spill) -> Result<Option<&[u8]>> {
        self.0.take(spill, 4)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::{Hasher, zigzag};
    use super::super::ids::RepeatedId;
    use super::super::join::{Cells, Survey, join, number_values};
    use super::*;
    use crate::engine::column_builder::PresentSlots;
    use crate::engine::late_values::decode;
    use crate::engine::meter::Meter;
    use crate::engine::spill::encode_number;
    use crate::format::value;
    use crate::model::ValueRef;
    use crate::storage::MemoryStorage;
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::sync::Arc;

    /// A dimension with random ids, some of which have no value and some the same as another, and cells in random order, some of slots
    /// without a point.
    struct Case {
        /// In the order of the file.
        values: Vec<(i64, Vec<u8>)>,
        cells: Vec<(u32, i64)>,
        live: PresentSlots,
    }

    struct Found {
        /// Slots and values.
        cells: Vec<(u32, Vec<u8>)>,
        /// Distinct values.
        by_number: Vec<Vec<u8>>,
        survey: Survey,
    }

    impl Case {
        fn new(seed: u64) -> Self {
            let mut state = seed;
            let mut random = move || {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                state >> 20
            };
            let (count, spread) = (random() % 600 + 1, [1, 7, 1 << 40][(random() % 3) as usize]);
            let mut values = BTreeMap::new();
            for n in 0..count {
                let id = if seed.is_multiple_of(4) { n } else { random() % (count * spread) }.cast_signed() - 50;
                let mut tagged = Vec::new();
                let text =
                    format!("{}{}", id % 97, "x".repeat((random() % [1, 90, 600][(seed % 3) as usize]) as usize));
                let text = if seed.is_multiple_of(5) { id.to_string() } else { text };
                value::encode(ValueRef::Text(&text), &mut tagged);
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
            let mut values: Vec<(i64, Vec<u8>)> = values.into_iter().collect();
            if !seed.is_multiple_of(3) {
                values.reverse();
            }
            Self { values, cells, live }
        }

        /// The dimension, put aside, and its cells in slot order.
        fn put_aside(&self, spill: &mut Spill, limit: usize, meter: &mut Meter<'_>) -> (Dimension, StreamId) {
            let values = spill.stream();
            for (id, tagged) in &self.values {
                let mut bytes = id.to_le_bytes().to_vec();
                encode_number(tagged.len() as u64, &mut bytes);
                bytes.extend_from_slice(tagged);
                spill.append(values, &bytes).unwrap();
            }
            let mut cells = Arrivals::new(spill);
            for &(slot, id) in &self.cells {
                let mut bytes = Vec::new();
                encode_number(zigzag(id), &mut bytes);
                cells.push(slot, &bytes, spill).unwrap();
            }
            let cells = cells.ordered((spill, limit), meter).unwrap();
            assert_eq!(cells.repeated, None);
            let ids = self.values.iter().map(|(id, _)| *id);
            let dimension = Dimension {
                name: "x".into(),
                space: Some(0),
                values,
                value_count: self.values.len() as u64,
                ids: ids.clone().min().zip(ids.max()),
                next_id: None,
                cells: Arrivals::new(spill),
                ghosts: 0,
                has_mapping: true,
                ref_counts: None,
            };
            (dimension, cells.stream)
        }

        /// What comes of it where so many bytes fit in memory.
        fn found(&self, limit: usize) -> Result<Found, RepeatedId> {
            let mut ignore = crate::progress::ignore;
            let mut meter = Meter::new(&mut ignore, "", 0);
            let storage = Arc::new(MemoryStorage::new());
            let mut spill = Spill::new(Arc::clone(&storage) as _, limit);
            let (dimension, cells) = self.put_aside(&mut spill, limit, &mut meter);
            let mut build = Build::new(storage, 1 << 20, 5, &mut meter);
            build.limit = limit;
            build.spill.set_limit(limit);
            let values = number_values(&mut build, &dimension, &spill).unwrap();
            let mut cells = Cells::new(cells, &spill, &self.live, &self.live);
            let (joined, survey) = join(&mut build, &dimension, &values, &mut cells, Hasher::new()).unwrap()?;
            let numbered = by_first_use(&mut build, &joined, (&dimension, &values, &spill)).unwrap();
            let mut distinct = Vec::new();
            let mut reader = ValueReader::new(numbered.values);
            while let Some((number, tagged)) = reader.next(&build.spill).unwrap() {
                assert_eq!(number as usize, distinct.len(), "each number has a value");
                distinct.push(tagged.to_vec());
            }
            assert_eq!(numbered.numbered.distinct, distinct.len() as u64);
            let mut slots = StreamReader::new(numbered.slots);
            let mut uses = FirstUses::new(&numbered.numbered);
            let (mut found, mut next) = (Vec::new(), 0);
            let mut fresh = 0;
            while let Some(gap) = slots.number(&build.spill).unwrap() {
                let slot = next + gap as u32;
                next = slot + 1;
                let (number, _) = uses.next(&build.spill).unwrap().unwrap();
                assert!(number <= fresh, "numbers are in order of first use");
                fresh += u32::from(number == fresh);
                found.push((slot, distinct[number as usize].clone()));
            }
            assert!(uses.next(&build.spill).unwrap().is_none());
            assert_eq!(numbered.numbered.count, found.len() as u64);
            Ok(Found { cells: found, by_number: distinct, survey })
        }
    }

    #[test]
    fn each_cell_gets_the_value_of_its_id_whatever_fits_in_memory() {
        for seed in 0..60 {
            let case = Case::new(seed);
            let values: HashMap<i64, &Vec<u8>> = case.values.iter().map(|(id, tagged)| (*id, tagged)).collect();
            let mut expected = Vec::new();
            let (mut missing, mut ghosts, mut used) = (Vec::new(), 0, HashSet::new());
            let mut cells = case.cells.clone();
            cells.sort_unstable();
            for (slot, id) in cells {
                match values.get(&id) {
                    _ if !case.live.contains(slot) => ghosts += 1,
                    None => missing.push((slot, id)),
                    Some(&tagged) => {
                        used.insert(id);
                        expected.push((slot, tagged.clone()));
                    }
                }
            }
            let distinct: HashSet<&Vec<u8>> = expected.iter().map(|(_, tagged)| tagged).collect();
            for limit in [1000, 4000, 1 << 30] {
                let Found { cells, by_number, survey } = case.found(limit).unwrap();
                assert!(cells == expected, "seed {seed}, limit {limit}");
                assert_eq!(by_number.len(), distinct.len(), "seed {seed}, limit {limit}: equal values are one");
                assert_eq!(survey.cells, expected.len() as u64, "seed {seed}, limit {limit}");
                assert_eq!((survey.missing, survey.ghosts), (missing.len() as u64, ghosts), "seed {seed}");
                assert_eq!(survey.first_missing, missing.first().copied(), "seed {seed}, limit {limit}");
                assert_eq!(survey.used_values, used.len() as u64, "seed {seed}, limit {limit}");
                assert!(by_number.iter().all(|tagged| matches!(decode(tagged), ValueRef::Text(_))));
            }
        }
    }

    #[test]
    fn an_id_with_two_values_is_named_whatever_fits_in_memory() {
        for seed in 0..20 {
            let mut case = Case::new(seed);
            let (id, _) = case.values[case.values.len() / 2];
            case.values.push((id, vec![value::TAG_NULL]));
            for limit in [1000, 1 << 30] {
                let found = case.found(limit).err().map(|RepeatedId(id)| id);
                assert_eq!(found, Some(id), "seed {seed}, limit {limit}");
            }
        }
    }
}
