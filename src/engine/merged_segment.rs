//! Putting a segment together: the column file's cells, and what newer tiers say of some slots.

use super::base_column::BaseColumn;
use super::segment::{Bits, CellSource, CellValues, Dictionary, Segment, SegmentPresence, SegmentValues};
use super::state::DimensionView;
use crate::error::Result;
use crate::format::column::DICTIONARY_COUNT_MAX;
use crate::model::{Slot, ValueRef};
use std::borrow::Cow;
use std::collections::HashMap;

/// Where the values of a merged segment come from.
struct Sources<'s> {
    base: Option<(&'s BaseColumn, Segment<'s>)>,
    /// Values of touched slots, in slot order.
    new: Vec<ValueRef<'s>>,
    /// For each value its place in the base's, or, from [`Segment::SLOT_COUNT`] on, in `new`.
    order: Vec<u32>,
}

/// The segment from slot `first` on, where only the slots at the offsets `touched` may differ from the base.
pub(super) fn merge<'s>(
    view: DimensionView<'s>,
    first: u32,
    slot_count: u32,
    base: Option<(&'s BaseColumn, Segment<'s>)>,
    touched: &[u16],
) -> Result<Segment<'s>> {
    let mut is_touched: Bits = [0; _];
    let mut values = Vec::with_capacity(touched.len());
    for &offset in touched.iter().filter(|&&offset| u32::from(offset) < slot_count) {
        is_touched[usize::from(offset >> 6)] |= 1 << (offset & 63);
        if let Some(value) = view.get(Slot(first + u32::from(offset)))? {
            values.push((offset, value.canonical()));
        }
    }
    let untouched = base.as_ref().map(|(_, segment)| segment.offsets().enumerate());
    let mut untouched = untouched.into_iter().flatten().filter(|&(_, offset)| {
        u32::from(offset) < slot_count && is_touched[usize::from(offset >> 6)] & (1 << (offset & 63)) == 0
    });
    let (mut offsets, mut order) = (Vec::new(), Vec::new());
    let mut next = untouched.next();
    for (index, &(offset, _)) in values.iter().enumerate() {
        while let Some((cell, before)) = next.filter(|&(_, before)| before < offset) {
            offsets.push(before);
            order.push(cell as u32);
            next = untouched.next();
        }
        offsets.push(offset);
        order.push((Segment::SLOT_COUNT + index) as u32);
    }
    for (cell, offset) in next.into_iter().chain(untouched) {
        offsets.push(offset);
        order.push(cell as u32);
    }
    let new = values.into_iter().map(|(_, value)| value).collect();
    let values = Sources { base, new, order }.values()?;
    let value_count = offsets.len() as u32;
    Ok(Segment { first, slot_count, value_count, presence: presence(&offsets, slot_count), values, summary: None })
}

fn presence(offsets: &[u16], slot_count: u32) -> SegmentPresence<'static> {
    if offsets.is_empty() {
        return SegmentPresence::None;
    }
    if offsets.len() == slot_count as usize {
        return SegmentPresence::All;
    }
    let mut words = vec![[0u64; 2]; slot_count.div_ceil(64) as usize];
    for &offset in offsets {
        if let Some([bits, _]) = words.get_mut(usize::from(offset >> 6)) {
            *bits |= 1 << (offset & 63);
        }
    }
    let mut before = 0;
    for [bits, rank] in &mut words {
        *rank = before;
        before += u64::from(bits.count_ones());
    }
    SegmentPresence::Bitmap(Cow::Owned(words))
}

impl<'s> Sources<'s> {
    /// The values, in the base's form where they all have it.
    fn values(self) -> Result<SegmentValues<'s>> {
        let typed = match self.base.as_ref().map(|(_, segment)| segment).filter(|segment| segment.value_count > 0) {
            None => self.plain(),
            Some(segment) => match &segment.values {
                SegmentValues::I64(cells) => self.all(cells, as_i64).map(|all| SegmentValues::I64(all.into())),
                SegmentValues::U64(cells) => self.all(cells, as_u64).map(|all| SegmentValues::U64(all.into())),
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
        let integers = || self.all(&[], as_i64).map(|all| SegmentValues::I64(all.into()));
        integers().or_else(|| self.all(&[], ValueRef::as_f64).map(|all| SegmentValues::F64(all.into())))
    }

    /// The cells in order, where all new values have their type.
    fn all<T: Copy>(&self, cells: &[T], convert: impl Fn(ValueRef<'s>) -> Option<T>) -> Option<Vec<T>> {
        let new: Vec<T> = self.new.iter().map(|&value| convert(value)).collect::<Option<_>>()?;
        let places = self.order.iter().map(|&place| place as usize);
        places.map(|place| cells_or_new(cells, &new, place).copied()).collect()
    }

    /// Numbers of dictionary entries in order; `None` where there would be more entries than numbers.
    fn numbers(&self, cells: &[u16]) -> Result<Option<SegmentValues<'s>>> {
        let Some((base, _)) = &self.base else { return Ok(None) };
        let (column, base_cells) = base.resolve()?;
        let shared_len = column.dictionary_count as usize;
        let (mut others, mut by_value) = (Vec::new(), HashMap::new());
        let mut new = Vec::with_capacity(self.new.len());
        for &value in &self.new {
            let known = match by_value.get(&value) {
                Some(&number) => number,
                None => {
                    let number = match base.find(value)? {
                        Some(number) => number as usize,
                        None => {
                            others.push(value);
                            shared_len + others.len() - 1
                        }
                    };
                    by_value.insert(value, number);
                    number
                }
            };
            new.push(known as u16);
        }
        if shared_len + others.len() > DICTIONARY_COUNT_MAX {
            return Ok(None);
        }
        let places = self.order.iter().map(|&place| place as usize);
        let numbers: Option<Vec<u16>> = places.map(|place| cells_or_new(cells, &new, place).copied()).collect();
        let dictionary = Dictionary { file: base.file(), cells: base_cells, shared_len, others };
        Ok(numbers.map(|numbers| SegmentValues::Dictionary16(numbers.into(), dictionary)))
    }

    fn one_by_one(self) -> Result<SegmentValues<'s>> {
        let mut values = Vec::with_capacity(self.order.len());
        for place in self.order {
            let place = place as usize;
            match (place.checked_sub(Segment::SLOT_COUNT), &self.base) {
                (Some(new), _) => values.extend(self.new.get(new)),
                (None, Some((_, segment))) => values.push(segment.value(place)?),
                (None, None) => {}
            }
        }
        Ok(SegmentValues::Values(CellValues(CellSource::Memory(values))))
    }
}

fn cells_or_new<'a, T>(cells: &'a [T], new: &'a [T], place: usize) -> Option<&'a T> {
    match place.checked_sub(Segment::SLOT_COUNT) {
        Some(place) => new.get(place),
        None => cells.get(place),
    }
}

fn as_i64(value: ValueRef<'_>) -> Option<i64> {
    value.as_i64()
}

fn as_u64(value: ValueRef<'_>) -> Option<u64> {
    value.as_u64()
}
