//! How the cells of a delta column are stored.

use super::block_writer::BlockWriter;
use super::column_builder::{Kinds, plain_cell};
use super::delta_heaps::DeltaHeaps;
use super::spill::Spill;
use crate::error::Result;
use crate::format::column::{DICTIONARY_COUNT_MAX, ENTRY_LEN, Encoding};
use crate::format::heap::ENTRY_ALIGNMENT;
use crate::model::ValueRef;
use crate::storage::prefetch;
use hashbrown::HashMap;

/// Values whose contents the processor fetches at a time.
const GROUP_LEN: usize = 32;

/// The values in groups, the contents of each of which have been asked for.
pub(super) fn in_cache<'v, 'a>(values: &'v [Option<ValueRef<'a>>]) -> impl Iterator<Item = Option<ValueRef<'a>>> + 'v {
    values.chunks(GROUP_LEN).flat_map(|group| {
        for value in group.iter().flatten() {
            if let ValueRef::Text(text) = value {
                prefetch(text.as_bytes(), 0);
            }
        }
        group.iter().copied()
    })
}

/// How the cells of one delta column are stored.
#[derive(Debug)]
pub(super) enum DeltaEncoding<'a> {
    Dictionary(DeltaDictionary<'a>),
    Plain(Encoding),
    /// Positions in the heap of text.
    Text,
    /// Positions in the heap of tagged values.
    Value,
}

/// The distinct values of a delta column, in order of first use.
#[derive(Default, Debug)]
pub(super) struct DeltaDictionary<'a> {
    entries: Vec<ValueRef<'a>>,
    counts: Vec<u32>,
    numbers: HashMap<ValueRef<'a>, u32>,
    /// The number of each value that was counted, in their order.
    counted: Vec<u16>,
}

/// Bytes of a dictionary entry with its count.
const DICTIONARY_COST: u64 = ENTRY_LEN as u64 + 4;
/// Bytes of a plain cell, and of a position in a heap.
const PLAIN_WIDTH: u64 = 8;
const POSITION_WIDTH: u64 = 4;

impl<'a> DeltaDictionary<'a> {
    /// Counts a value. False where a dictionary of `entries_max` does not have it and is full.
    fn add(&mut self, value: ValueRef<'a>, entries_max: u64) -> bool {
        let next = self.entries.len();
        let number = *self.numbers.entry(value).or_insert(next as u32) as usize;
        if number == next {
            if next as u64 >= entries_max {
                return false;
            }
            self.entries.push(value);
            self.counts.push(0);
        }
        if let Some(count) = self.counts.get_mut(number) {
            *count += 1;
        }
        self.counted.push(number as u16);
        true
    }

    /// Each value, with the number of cells that have it.
    pub(super) fn for_each(&self, mut each: impl FnMut(ValueRef<'a>, u32)) {
        self.entries.iter().zip(&self.counts).for_each(|(&value, &count)| each(value, count));
    }

    /// Appends the cells of values that were counted, `before` of them in earlier segments.
    fn encode_cells(&self, before: usize, values: &[Option<ValueRef<'a>>], out: &mut Vec<u8>) -> Encoding {
        let encoding = self.encoding();
        let width = encoding.width() as usize;
        let mut counted = self.counted.iter().skip(before);
        for value in values {
            let number = value.and_then(|_| counted.next().copied()).unwrap_or_default();
            out.extend(number.to_le_bytes().into_iter().take(width));
        }
        encoding
    }

    fn encoding(&self) -> Encoding {
        match self.entries.len() {
            0..=1 => Encoding::Constant,
            2..=256 => Encoding::Dictionary8,
            _ => Encoding::Dictionary16,
        }
    }
}

/// After so many values it is estimated whether there are too many distinct ones.
const TRIAL_COUNT: u64 = 1 << 12;
/// How many times more distinct values than a dictionary has room for are surely too many, by the estimate.
const SURELY: u64 = 4;

/// Whether there are far more distinct values than `entries_max`, given how many of the first `count` are distinct: of `n` values drawn from
/// `d` about `n^2 / 2d` have come before.
fn too_many(count: u64, distinct: u64, entries_max: u64) -> bool {
    let repeated = count.saturating_sub(distinct);
    count * count > 2 * SURELY * entries_max.saturating_mul(repeated)
}

/// Sees all values of a delta column, to choose an encoding.
#[derive(Debug)]
pub(super) struct EncodingSurvey<'a> {
    kinds: Kinds,
    count: u64,
    /// `None` once it cannot be the smallest.
    dictionary: Option<DeltaDictionary<'a>>,
    entries_max: u64,
}

impl<'a> EncodingSurvey<'a> {
    /// Of at most so many values.
    pub(super) fn new(count_max: u64) -> Self {
        let entries_max = (count_max.saturating_mul(PLAIN_WIDTH) / DICTIONARY_COST).min(DICTIONARY_COUNT_MAX as u64);
        Self { kinds: Kinds::default(), count: 0, dictionary: Some(DeltaDictionary::default()), entries_max }
    }

    pub(super) fn add(&mut self, value: ValueRef<'a>) {
        self.kinds.add(value);
        self.count += 1;
        let entries_max = self.entries_max;
        let is_too_large = |dictionary: &mut DeltaDictionary<'a>| {
            !dictionary.add(value, entries_max)
                || (self.count == TRIAL_COUNT && too_many(TRIAL_COUNT, dictionary.entries.len() as u64, entries_max))
        };
        if self.dictionary.as_mut().is_some_and(is_too_large) {
            self.dictionary = None;
        }
    }

    /// Values seen.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The values seen, unless there were too many distinct ones.
    pub(super) fn dictionary(&self) -> Option<&DeltaDictionary<'a>> {
        self.dictionary.as_ref()
    }

    /// The encoding that takes the fewest bytes.
    pub(super) fn choose(self) -> DeltaEncoding<'a> {
        let (other, width) = match self.kinds.plain() {
            Some(encoding) => (DeltaEncoding::Plain(encoding), PLAIN_WIDTH),
            None if self.kinds.is_text() => (DeltaEncoding::Text, POSITION_WIDTH),
            None => (DeltaEncoding::Value, POSITION_WIDTH),
        };
        let is_smallest = |dictionary: &DeltaDictionary<'_>| {
            let cells = self.count * dictionary.encoding().width();
            cells + dictionary.entries.len() as u64 * DICTIONARY_COST <= self.count * width
        };
        self.dictionary.filter(is_smallest).map_or(other, DeltaEncoding::Dictionary)
    }
}

impl<'a> DeltaEncoding<'a> {
    pub(super) fn dictionary(&self) -> &[ValueRef<'a>] {
        if let Self::Dictionary(dictionary) = self { &dictionary.entries } else { &[] }
    }

    /// For each dictionary entry the number of cells that refer to it.
    pub(super) fn counts(&self) -> &[u32] {
        if let Self::Dictionary(dictionary) = self { &dictionary.counts } else { &[] }
    }

    /// Appends the cells of a segment to `out` and their contents to the heaps; the cell of a removed slot means nothing. The values come in the
    /// order in which they were surveyed, `before` of them in earlier segments.
    pub(super) fn encode_cells(
        &self,
        (before, values): (usize, &[Option<ValueRef<'a>>]),
        heaps: &mut DeltaHeaps<'a>,
        (writer, spill): (&mut BlockWriter<'_>, &mut Spill),
        out: &mut Vec<u8>,
    ) -> Result<Encoding> {
        if let Self::Dictionary(dictionary) = self {
            return Ok(dictionary.encode_cells(before, values, out));
        }
        let mut numbers = Vec::with_capacity(values.len());
        for value in in_cache(values) {
            let Some(value) = value else {
                numbers.push(0);
                continue;
            };
            numbers.push(match self {
                Self::Dictionary(_) | Self::Plain(_) => plain_cell(value),
                Self::Text => heaps.text(value.as_str().unwrap_or_default(), writer)? / ENTRY_ALIGNMENT,
                Self::Value => heaps.value(value, spill)? / ENTRY_ALIGNMENT,
            });
        }
        let is_wide = numbers.iter().any(|&number| u32::try_from(number).is_err());
        let encoding = match self {
            Self::Dictionary(dictionary) => dictionary.encoding(),
            Self::Plain(encoding) => *encoding,
            Self::Text if is_wide => Encoding::Text64,
            Self::Text => Encoding::Text32,
            Self::Value if is_wide => Encoding::Value64,
            Self::Value => Encoding::Value32,
        };
        let width = encoding.width() as usize;
        for number in numbers {
            out.extend(number.to_le_bytes().into_iter().take(width));
        }
        Ok(encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a dictionary was still possible after values drawn from so many.
    fn has_dictionary(distinct: u64, count: u64) -> bool {
        let mut survey = EncodingSurvey::new(count);
        let mut state = 1u64;
        for _ in 0..count {
            // Constants of Knuth's MMIX generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            survey.add(ValueRef::Int(i128::from((state >> 33) % distinct)));
            if survey.dictionary.is_none() {
                return false;
            }
        }
        true
    }

    #[test]
    fn a_dictionary_is_given_up_early_only_where_it_could_not_hold_all_values() {
        for distinct in [1, 1000, 20_000, 60_000] {
            assert!(has_dictionary(distinct, 300_000), "{distinct}");
        }
        let mut survey = EncodingSurvey::new(300_000);
        (0..TRIAL_COUNT).for_each(|n| survey.add(ValueRef::Int(n.into())));
        assert!(survey.dictionary.is_none());
    }
}
