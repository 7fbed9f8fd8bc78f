//! Which value an id has, in memory.

use crate::error::Result;

/// An id without a value, in a table.
const NO_NUMBER: u32 = u32::MAX;
/// Ids that a table may have for each value.
const SPAN_FACTOR: u64 = 4;

/// The numbers of the values of ids: all ids of a dimension, or a part of them.
#[derive(Debug)]
pub(super) struct Ids {
    numbers: Numbers,
    /// Which ids were asked for.
    used: Vec<u64>,
    used_count: u64,
}

#[derive(Debug)]
enum Numbers {
    /// By id - first.
    Table { first: i64, numbers: Vec<u32> },
    /// For binary search.
    Sorted(Vec<(i64, u32)>),
}

/// More than one value for an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedId(pub(super) i64);

/// Places of a table of all ids between two, if that takes less memory than sorted pairs.
fn table_len(ids: Option<(i64, i64)>, count: u64) -> Option<u64> {
    let (first, last) = ids?;
    let span = u64::try_from(i128::from(last) - i128::from(first) + 1).ok()?;
    (span <= count.saturating_mul(SPAN_FACTOR)).then_some(span)
}

impl Ids {
    /// Bytes of memory that so many ids between two take.
    pub(super) fn memory_len(ids: Option<(i64, i64)>, count: u64) -> u64 {
        let len = table_len(ids, count).map_or(count * size_of::<(i64, u32)>() as u64, |len| len * 4);
        len + len / 32
    }

    /// Of `count` ids and numbers, all between the two of `ids`, if they are known.
    pub(super) fn new(
        ids: Option<(i64, i64)>,
        count: u64,
        mut next: impl FnMut() -> Result<Option<(i64, u32)>>,
    ) -> Result<Result<Self, RepeatedId>> {
        let (numbers, places) = if let (Some((first, _)), Some(len)) = (ids, table_len(ids, count)) {
            let mut numbers = vec![NO_NUMBER; len as usize];
            while let Some((id, number)) = next()? {
                match numbers.get_mut(id.wrapping_sub(first) as usize) {
                    Some(free) if *free == NO_NUMBER => *free = number,
                    _ => return Ok(Err(RepeatedId(id))),
                }
            }
            let places = numbers.len();
            (Numbers::Table { first, numbers }, places)
        } else {
            let mut sorted = Vec::with_capacity(count as usize);
            while let Some(pair) = next()? {
                sorted.push(pair);
            }
            sorted.sort_unstable();
            let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
            if let Some(((id, _), _)) = pairs.find(|((id, _), (other, _))| id == other) {
                return Ok(Err(RepeatedId(*id)));
            }
            let places = sorted.len();
            (Numbers::Sorted(sorted), places)
        };
        Ok(Ok(Self { numbers, used: vec![0; places.div_ceil(64)], used_count: 0 }))
    }

    /// The number of the value of an id, which counts as used from now on.
    #[inline]
    pub(super) fn number(&mut self, id: i64) -> Option<u32> {
        let (place, number) = match &self.numbers {
            Numbers::Table { first, numbers } => {
                // What is below the first id is far above the last one.
                let place = id.wrapping_sub(*first).cast_unsigned() as usize;
                (place, numbers.get(place).copied().filter(|&number| number != NO_NUMBER)?)
            }
            Numbers::Sorted(sorted) => {
                let place = sorted.binary_search_by_key(&id, |&(id, _)| id).ok()?;
                (place, sorted.get(place)?.1)
            }
        };
        if let Some(word) = self.used.get_mut(place >> 6) {
            let bit = 1 << (place & 63);
            self.used_count += u64::from(*word & bit == 0);
            *word |= bit;
        }
        Some(number)
    }

    /// How many ids were asked for and have a value.
    pub(super) const fn used_count(&self) -> u64 {
        self.used_count
    }
}
