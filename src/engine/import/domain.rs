//! Values by their ids, in memory.

use super::gather::Dimension;
use crate::engine::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;

/// An id without a value, in a table of places.
const NO_PLACE: u32 = u32::MAX;
/// Bytes for each value beside its own.
const VALUE_COST: u64 = 24;
/// Ids that a table of places may have for each value.
const SPAN_FACTOR: u64 = 4;

/// The values of a dimension, or of a part of its ids.
#[derive(Debug)]
pub(super) struct Domain {
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<u64>,
    places: Places,
    /// Which values were asked for.
    used: Vec<u64>,
    used_count: u64,
}

/// Where the value of an id is.
#[derive(Debug)]
enum Places {
    /// By id - first.
    Table { first: i64, places: Vec<u32> },
    /// By binary search.
    Sorted(Vec<(i64, u32)>),
}

/// More than one value for an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedId(pub(super) i64);

/// Bytes of memory that all values of a dimension take.
pub(super) fn memory_of(dimension: &Dimension, spill: &Spill) -> u64 {
    // Vectors that grow have room for as much again.
    2 * spill.len(dimension.values) + dimension.value_count * VALUE_COST
}

impl Domain {
    /// Reads a stream of ids and values.
    pub(super) fn read(
        stream: StreamId,
        ids: Option<(i64, i64)>,
        value_count: u64,
        spill: &Spill,
    ) -> Result<Result<Self, RepeatedId>> {
        let span = ids.and_then(|(low, high)| u64::try_from(i128::from(high) - i128::from(low) + 1).ok());
        let table_len = span.filter(|&span| span <= value_count.saturating_mul(SPAN_FACTOR) + 64);
        let mut places = match (ids, table_len) {
            (Some((first, _)), Some(len)) => Places::Table { first, places: vec![NO_PLACE; len as usize] },
            _ => Places::Sorted(Vec::new()),
        };
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let mut reader = StreamReader::new(stream);
        while let Some(id) = reader.u64(spill)? {
            let id = id.cast_signed();
            let Some(tagged) = reader.content(spill)? else { break };
            let place = ends.len() as u32;
            bytes.extend_from_slice(tagged);
            ends.push(bytes.len() as u64);
            match &mut places {
                Places::Table { first, places } => match places.get_mut(id.wrapping_sub(*first) as usize) {
                    Some(free) if *free == NO_PLACE => *free = place,
                    _ => return Ok(Err(RepeatedId(id))),
                },
                Places::Sorted(sorted) => sorted.push((id, place)),
            }
        }
        if let Places::Sorted(sorted) = &mut places {
            sorted.sort_unstable();
            let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
            if let Some(((id, _), _)) = pairs.find(|((id, _), (next, _))| id == next) {
                return Ok(Err(RepeatedId(*id)));
            }
        }
        let used = vec![0; ends.len().div_ceil(64)];
        Ok(Ok(Self { bytes, ends, places, used, used_count: 0 }))
    }

    /// The number of the value of an id.
    #[inline]
    pub(super) fn place(&self, id: i64) -> Option<u32> {
        match &self.places {
            Places::Table { first, places } => {
                // What is below the first id is far above the last one.
                let index = id.wrapping_sub(*first).cast_unsigned() as usize;
                places.get(index).copied().filter(|&place| place != NO_PLACE)
            }
            Places::Sorted(sorted) => {
                let found = sorted.binary_search_by_key(&id, |&(id, _)| id).ok()?;
                sorted.get(found).map(|&(_, place)| place)
            }
        }
    }

    /// The tagged value of an id.
    #[inline]
    pub(super) fn get(&self, id: i64) -> Option<&[u8]> {
        let (start, end) = self.range(self.place(id)?)?;
        self.bytes.get(start..end)
    }

    /// Where the bytes of a value are.
    #[inline]
    fn range(&self, place: u32) -> Option<(usize, usize)> {
        let place = place as usize;
        let start = match place.checked_sub(1) {
            Some(before) => self.ends.get(before).copied()?,
            None => 0,
        };
        Some((start as usize, self.ends.get(place).copied()? as usize))
    }

    /// Notes that an id is used; how long its tagged value is, if it has one.
    #[inline]
    pub(super) fn use_id(&mut self, id: i64) -> Option<usize> {
        let place = self.place(id)?;
        if let Some(word) = self.used.get_mut((place >> 6) as usize) {
            let bit = 1 << (place & 63);
            self.used_count += u64::from(*word & bit == 0);
            *word |= bit;
        }
        self.range(place).map(|(start, end)| end - start)
    }

    /// How many values are used.
    pub(super) const fn used_count(&self) -> u64 {
        self.used_count
    }
}
