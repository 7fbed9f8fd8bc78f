//! Putting a segment together: the column file's cells, and what newer tiers say of some slots.

use super::base_column::BaseColumn;
use super::segment::{Bits, CellSource, CellValues, Dictionary, Segment, SegmentPresence, SegmentValues};
use super::state::DimensionView;
use crate::error::Result;
use crate::format::column::DICTIONARY_COUNT_MAX;
use crate::model::ValueRef;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A place among the base's cells where the merged ones differ.
struct Splice {
    at: usize,
    /// The cell there is left out.
    removes: bool,
    /// The next of the new values comes there.
    inserts: bool,
}

/// Where the values of a merged segment come from.
struct Sources<'s> {
    base: Option<(&'s BaseColumn, Segment<'s>)>,
    /// In the order of slots.
    splices: Vec<Splice>,
    new: Vec<ValueRef<'s>>,
    /// Cells of the base from here on are past the last slot.
    end: usize,
}

/// The segment from slot `first` on, where only the slots at the offsets `touched`, ascending, may differ from the
/// base.
pub(super) fn merge<'s>(
    view: DimensionView<'s>,
    first: u32,
    slot_count: u32,
    base: Option<(&'s BaseColumn, Segment<'s>)>,
    touched: &[u16],
) -> Result<Segment<'s>> {
    let before = base.as_ref().map(|(_, segment)| segment);
    let mut bits: Bits = before.map_or([0; _], Segment::bits);
    let (mut splices, mut new) = (Vec::with_capacity(touched.len()), Vec::with_capacity(touched.len()));
    for &offset in touched.iter().filter(|&&offset| u32::from(offset) < slot_count) {
        let value = view.get_through_tiers(first + u32::from(offset))?;
        let (word, bit) = (&mut bits[usize::from(offset >> 6)], 1 << (offset & 63));
        splices.push(Splice {
            at: before.map_or(0, |segment| segment.rank(offset.into())),
            removes: *word & bit != 0,
            inserts: value.is_some(),
        });
        *word = if value.is_some() { *word | bit } else { *word & !bit };
        new.extend(value.map(ValueRef::canonical));
    }
    clear_from(&mut bits, slot_count as usize);
    let end = before.map_or(0, |segment| segment.rank(slot_count));
    let (presence, value_count) = presence(&bits, slot_count);
    let values = Sources { base, splices, new, end }.values()?;
    Ok(Segment { first, slot_count, value_count, presence, values, summary: None })
}

/// Slots past the end have no value.
pub(super) fn clear_from(bits: &mut Bits, slot_count: usize) {
    for (index, word) in bits.iter_mut().enumerate().skip(slot_count / 64) {
        *word &= if index == slot_count / 64 { (1 << (slot_count % 64)) - 1 } else { 0 };
    }
}

/// The presence, and how many slots have a value.
fn presence(bits: &Bits, slot_count: u32) -> (SegmentPresence<'static>, u32) {
    let mut count = 0;
    let ranked = |&bits: &u64| {
        let rank = u64::from(count);
        count += bits.count_ones();
        [bits, rank]
    };
    let words: Vec<[u64; 2]> = bits.iter().take(slot_count.div_ceil(64) as usize).map(ranked).collect();
    let presence = match count {
        0 => SegmentPresence::None,
        count if count == slot_count => SegmentPresence::All,
        _ => SegmentPresence::Bitmap(Cow::Owned(words)),
    };
    (presence, count)
}

impl<'s> Sources<'s> {
    /// The values, in the base's form where they all have it.
    fn values(self) -> Result<SegmentValues<'s>> {
        let typed = match self.base.as_ref().map(|(_, segment)| segment).filter(|segment| segment.value_count > 0) {
            None => self.plain(),
            Some(segment) => match &segment.values {
                SegmentValues::I64(cells) => {
                    self.all(cells, ValueRef::as_i64).map(|all| SegmentValues::I64(all.into()))
                }
                SegmentValues::U64(cells) => {
                    self.all(cells, ValueRef::as_u64).map(|all| SegmentValues::U64(all.into()))
                }
                SegmentValues::F64(cells) => {
                    self.all(cells, ValueRef::as_f64).map(|all| SegmentValues::F64(all.into()))
                }
                SegmentValues::Constant(_) => self.numbers(&vec![0; segment.value_count()])?,
                SegmentValues::Dictionary8(numbers, _) => {
                    self.numbers(&numbers.iter().map(|&number| number.into()).collect::<Vec<u16>>())?
                }
                SegmentValues::Dictionary16(numbers, _) => self.numbers(numbers)?,
                SegmentValues::Values(_) => None,
            },
        };
        match typed {
            Some(values) => Ok(values),
            None => self.one_by_one(),
        }
    }

    /// The values of new cells alone, as numbers where all are.
    fn plain(&self) -> Option<SegmentValues<'s>> {
        if self.new.is_empty() {
            return None;
        }
        let integers = || self.all(&[], ValueRef::as_i64).map(|all| SegmentValues::I64(all.into()));
        integers().or_else(|| self.all(&[], ValueRef::as_f64).map(|all| SegmentValues::F64(all.into())))
    }

    /// The cells with the new values, where all of these have their type.
    fn all<T: Copy>(&self, cells: &[T], convert: impl Fn(ValueRef<'s>) -> Option<T>) -> Option<Vec<T>> {
        let new: Vec<T> = self.new.iter().map(|&value| convert(value)).collect::<Option<_>>()?;
        Some(self.spliced(cells, &new))
    }

    fn spliced<T: Copy>(&self, cells: &[T], new: &[T]) -> Vec<T> {
        let mut out = Vec::with_capacity(self.end + new.len());
        let (mut from, mut new) = (0, new.iter());
        for splice in &self.splices {
            out.extend_from_slice(cells.get(from..splice.at).unwrap_or_default());
            from = splice.at + usize::from(splice.removes);
            if splice.inserts {
                out.extend(new.next());
            }
        }
        out.extend_from_slice(cells.get(from..self.end).unwrap_or_default());
        out
    }

    /// Numbers of dictionary entries; `None` where there would be more entries than numbers.
    fn numbers(&self, cells: &[u16]) -> Result<Option<SegmentValues<'s>>> {
        let Some((base, _)) = &self.base else { return Ok(None) };
        let (column, base_cells) = base.resolve()?;
        let shared_len = column.dictionary_count as usize;
        let (mut others, mut by_value) = (Vec::new(), HashMap::new());
        let mut new = Vec::with_capacity(self.new.len());
        for &value in &self.new {
            let number = match by_value.entry(value) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    let number = match base.find(value)? {
                        Some(number) => number as usize,
                        None => {
                            others.push(value);
                            shared_len + others.len() - 1
                        }
                    };
                    *unknown.insert(number)
                }
            };
            new.push(number as u16);
        }
        if shared_len + others.len() > DICTIONARY_COUNT_MAX {
            return Ok(None);
        }
        let dictionary = Dictionary { file: base.file(), cells: base_cells, shared_len, others };
        Ok(Some(SegmentValues::Dictionary16(self.spliced(cells, &new).into(), dictionary)))
    }

    fn one_by_one(self) -> Result<SegmentValues<'s>> {
        let mut cells = Vec::new();
        if let Some((_, segment)) = &self.base {
            cells.reserve(segment.value_count());
            for index in 0..segment.value_count() {
                cells.push(segment.value(index)?);
            }
        }
        Ok(SegmentValues::Values(CellValues(CellSource::Memory(self.spliced(&cells, &self.new)))))
    }
}
