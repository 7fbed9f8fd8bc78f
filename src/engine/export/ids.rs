//! Value ids: numbers from 1 by first occurrence in slot order.

use super::values::{CellValues, DictionaryValues};
use super::work::{Work, keep};
use crate::engine::column_builder::HeapContents;
use crate::engine::numbering::{FirstUses, Numbered, number};
use crate::engine::scan::Segments;
use crate::engine::segment::{Dictionary, Segment, SegmentValues};
use crate::engine::spill::{Spill, StreamId};
use crate::error::Result;

/// How the ids of a dimension are found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ids {
    /// All values differ: the ids are 1, 2, 3 and so on.
    Distinct,
    /// By the numbers that the cells have in the column file, which has a dictionary of so many values.
    Dictionary(usize),
    /// They are kept, less one.
    Kept(Numbered),
}

impl Ids {
    /// Those of the cells of a dimension.
    pub(super) fn of(segments: &Segments<'_>, work: &mut Work<'_, '_>) -> Result<Self> {
        if segments.all_differ()? {
            return Ok(Self::Distinct);
        }
        if let Some(dictionary) = Self::of_dictionary(segments, work)? {
            return Ok(dictionary);
        }
        let (mut build, kept) = work.build();
        let numbered = number(&mut build, &mut HeapContents::new(&mut CellValues::new(segments.clone()), false))?;
        if numbered.distinct == numbered.count {
            return Ok(Self::Distinct);
        }
        let numbers = keep(&build.spill, numbered.numbers, kept)?;
        Ok(Self::Kept(Numbered { numbers, ..numbered }))
    }

    /// Where every cell has a number in the one dictionary of the column file.
    fn of_dictionary(segments: &Segments<'_>, work: &mut Work<'_, '_>) -> Result<Option<Self>> {
        let (mut shared, mut has_constant) = (None, false);
        for segment in segments.clone() {
            let segment = segment?;
            match segment.values() {
                _ if segment.value_count() == 0 => {}
                SegmentValues::Constant(_) => has_constant = true,
                SegmentValues::Dictionary8(_, dictionary) | SegmentValues::Dictionary16(_, dictionary)
                    if dictionary.len() == dictionary.shared_len() =>
                {
                    shared = Some(dictionary.clone());
                }
                _ => return Ok(None),
            }
        }
        let Some(dictionary) = shared else { return Ok(Some(Self::Dictionary(usize::from(has_constant)))) };
        let len = dictionary.len();
        // That its values differ is promised by the format, but only known once it was seen.
        let (mut build, _) = work.build();
        let numbered = number(&mut build, &mut HeapContents::new(&mut DictionaryValues::new(dictionary), false))?;
        Ok((numbered.distinct == numbered.count).then_some(Self::Dictionary(len)))
    }

    /// How many cells there are, and how many ids.
    pub(super) fn counts(self, segments: &Segments<'_>, kept: &Spill) -> Result<(u32, u32)> {
        let (mut cells, mut ids) = (0, self.reader());
        let mut last = 0;
        for segment in segments.clone() {
            let segment = segment?;
            cells += segment.value_count() as u32;
            if let Self::Dictionary(_) = self {
                for index in 0..segment.value_count() {
                    let (id, _) = ids.next(kept, &segment, index)?;
                    last = last.max(id);
                }
            }
        }
        Ok(match self {
            Self::Distinct => (cells, cells),
            Self::Dictionary(_) => (cells, last),
            Self::Kept(numbered) => (cells, numbered.distinct as u32),
        })
    }

    /// Reads them from the start.
    pub(super) fn reader(self) -> IdReader {
        match self {
            Self::Distinct => IdReader::Distinct { last: 0 },
            Self::Dictionary(len) => IdReader::Dictionary { ids: vec![0; len], last: 0 },
            Self::Kept(numbered) => IdReader::Kept(FirstUses::new(&numbered)),
        }
    }

    /// How many ids there can be, where some of them come more than once.
    pub(super) fn counted(self) -> usize {
        match self {
            Self::Distinct => 0,
            Self::Dictionary(len) => len,
            Self::Kept(numbered) => numbered.distinct as usize,
        }
    }

    /// Lets go of what is kept.
    pub(super) fn clear(self, kept: &mut Spill) {
        if let Some(numbers) = self.numbers() {
            kept.clear(numbers);
        }
    }

    /// The stream of ids less one.
    pub(super) fn numbers(self) -> Option<StreamId> {
        match self {
            Self::Kept(numbered) => Some(numbered.numbers),
            Self::Distinct | Self::Dictionary(_) => None,
        }
    }
}

/// Reads the ids of cells in slot order.
pub(super) enum IdReader {
    Distinct {
        last: u32,
    },
    /// The id of each number in the dictionary, 0 for none yet.
    Dictionary {
        ids: Vec<u32>,
        last: u32,
    },
    Kept(FirstUses),
}

impl IdReader {
    /// The id of the next cell, which is the value at `index` of a segment; and whether the id is new.
    #[inline]
    pub(super) fn next(&mut self, kept: &Spill, segment: &Segment<'_>, index: usize) -> Result<(u32, bool)> {
        match self {
            Self::Distinct { last } => {
                *last = last.wrapping_add(1);
                Ok((*last, true))
            }
            Self::Dictionary { ids, last } => {
                let (number, dictionary) = match segment.values() {
                    SegmentValues::Dictionary8(numbers, dictionary) => (numbers[index].into(), Some(dictionary)),
                    SegmentValues::Dictionary16(numbers, dictionary) => (numbers[index].into(), Some(dictionary)),
                    _ => (0, None),
                };
                let Some(id) = ids.get_mut::<usize>(number) else {
                    return Err(dictionary.map_or_else(|| kept.end_of_stream(), Dictionary::past_the_end));
                };
                let is_first = *id == 0;
                if is_first {
                    *last += 1;
                    *id = *last;
                }
                Ok((*id, is_first))
            }
            Self::Kept(uses) => match uses.next(kept)? {
                Some((number, is_first)) => Ok((number.wrapping_add(1), is_first)),
                None => Err(kept.end_of_stream()),
            },
        }
    }
}
