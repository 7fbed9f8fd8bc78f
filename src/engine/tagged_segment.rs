//! The values of a column file's segment in their tagged form, all in one pass.

use super::segment::{Dictionary, Segment, SegmentValues};
use crate::error::Result;
use crate::format::value;
use crate::model::ValueRef;

/// Bytes of dictionary entries that stay encoded.
const ENTRIES_LEN: usize = 1 << 20;

/// Values of a heap that are fetched at a time.
const GROUP_LEN: usize = 32;

/// What is called with each slot and its value's tagged form.
pub(super) type Each<'e> = dyn FnMut(u32, &[u8]) -> Result<()> + 'e;

/// Visits segments of one column file.
#[derive(Default, Debug)]
pub(super) struct SegmentVisitor {
    tagged: Vec<u8>,
    /// The tagged entries of the dictionary that were used so far, and where each starts and ends.
    entries: Vec<u8>,
    places: Vec<Option<(usize, usize)>>,
}

impl SegmentVisitor {
    /// Calls `each` with the slots that have a value.
    pub(super) fn visit(&mut self, segment: &Segment<'_>, each: &mut Each<'_>) -> Result<()> {
        match segment.values() {
            SegmentValues::Constant(value) => {
                self.encode(*value);
                slots(segment).try_for_each(|slot| each(slot, &self.tagged))
            }
            SegmentValues::I64(cells) => self.visit_numbers(segment, cells, each),
            SegmentValues::U64(cells) => self.visit_numbers(segment, cells, each),
            SegmentValues::F64(cells) => self.visit_numbers(segment, cells, each),
            SegmentValues::Dictionary8(numbers, dictionary) => self.visit_entries(segment, numbers, dictionary, each),
            SegmentValues::Dictionary16(numbers, dictionary) => self.visit_entries(segment, numbers, dictionary, each),
            SegmentValues::Values(values) => slots(segment).enumerate().try_for_each(|(index, slot)| {
                if index.is_multiple_of(GROUP_LEN) {
                    values.prefetch(index..index + GROUP_LEN);
                }
                self.encode(values.get(index)?);
                each(slot, &self.tagged)
            }),
        }
    }

    fn encode(&mut self, value: ValueRef<'_>) {
        self.tagged.clear();
        value::encode(value, &mut self.tagged);
    }

    fn visit_numbers<'v, T: Copy + Into<ValueRef<'v>>>(
        &mut self,
        segment: &Segment<'_>,
        cells: &[T],
        each: &mut Each<'_>,
    ) -> Result<()> {
        slots(segment).zip(cells).try_for_each(|(slot, &cell)| {
            self.encode(cell.into());
            each(slot, &self.tagged)
        })
    }

    fn visit_entries<N: Copy + Into<usize>>(
        &mut self,
        segment: &Segment<'_>,
        numbers: &[N],
        dictionary: &Dictionary<'_>,
        each: &mut Each<'_>,
    ) -> Result<()> {
        self.places.resize(dictionary.len(), None);
        slots(segment).zip(numbers).try_for_each(|(slot, &number)| {
            let number = number.into();
            if let Some(&Some((start, end))) = self.places.get(number) {
                return each(slot, self.entries.get(start..end).unwrap_or_default());
            }
            self.encode(dictionary.get(number)?);
            if let Some(place) = self.places.get_mut(number)
                && self.entries.len() + self.tagged.len() <= ENTRIES_LEN
            {
                let start = self.entries.len();
                self.entries.extend_from_slice(&self.tagged);
                *place = Some((start, self.entries.len()));
            }
            each(slot, &self.tagged)
        })
    }
}

/// The slots that have a value.
fn slots<'s>(segment: &'s Segment<'_>) -> impl Iterator<Item = u32> + use<'s> {
    let first = segment.first_slot().0;
    segment.offsets().map(move |offset| first + u32::from(offset))
}
