//! Values in slot order from values in order of arrival, where several may come for one slot: the last one counts.
//!
//! Most come in slot order, as each new key has the next slot. The others are late: they are put in order by ranges of slots that
//! fit in memory, and then take their place among the rest.

use super::meter::Meter;
use super::spill::{Spill, StreamId, StreamReader, encode_number};
use super::value_streams::RowValues;
use crate::error::Result;
use crate::format::value;
use crate::model::ValueRef;

/// A value of 7 bytes takes a place of 24, and vectors grow by doubling.
const PLACE_FACTOR: u64 = 8;
/// Ranges that a range is cut into when its values do not fit in memory.
const RANGE_COUNT: u64 = 64;

/// A value that was encoded to be put aside: it always decodes.
pub(super) fn decode(tagged: &[u8]) -> ValueRef<'_> {
    value::decode(tagged).unwrap_or(ValueRef::Null)
}

/// A stream of values, each with the slots passed over since the one before, its length, and its tagged form.
#[derive(Debug)]
pub(super) struct ValueWriter {
    pub(super) stream: StreamId,
    next_slot: u32,
    buffer: Vec<u8>,
}

impl ValueWriter {
    pub(super) const fn new(stream: StreamId) -> Self {
        Self { stream, next_slot: 0, buffer: Vec::new() }
    }

    /// Appends a value. Slots ascend.
    pub(super) fn push(&mut self, slot: u32, tagged: &[u8], spill: &mut Spill) -> Result<()> {
        self.buffer.clear();
        encode_number((slot - self.next_slot).into(), &mut self.buffer);
        encode_number(tagged.len() as u64, &mut self.buffer);
        self.buffer.extend_from_slice(tagged);
        self.next_slot = slot + 1;
        spill.append(self.stream, &self.buffer)
    }
}

/// Reads what a [`ValueWriter`] wrote.
#[derive(Debug)]
pub(super) struct ValueReader {
    reader: StreamReader,
    next_slot: u32,
}

impl ValueReader {
    pub(super) const fn new(stream: StreamId) -> Self {
        Self { reader: StreamReader::new(stream), next_slot: 0 }
    }

    pub(super) fn rewind(&mut self) {
        self.reader.rewind();
        self.next_slot = 0;
    }

    /// The next slot and its tagged value.
    #[inline]
    pub(super) fn next(&mut self, spill: &Spill) -> Result<Option<(u32, &[u8])>> {
        // Nearly all are short, have no gap before them, and are in the buffer as a whole.
        if let Some(&[gap @ 0..0x80, len @ 0..0x80]) = self.reader.peek() {
            let len = usize::from(len) + 2;
            if len <= self.reader.buffered() {
                let slot = self.next_slot + u32::from(gap);
                self.next_slot = slot + 1;
                return Ok(self.reader.take(spill, len)?.and_then(|bytes| bytes.get(2..)).map(|tagged| (slot, tagged)));
            }
        }
        self.next_long(spill)
    }

    fn next_long(&mut self, spill: &Spill) -> Result<Option<(u32, &[u8])>> {
        let Some(gap) = self.reader.number(spill)? else { return Ok(None) };
        let slot = self.next_slot + gap as u32;
        self.next_slot = slot + 1;
        Ok(self.reader.content(spill)?.map(|tagged| (slot, tagged)))
    }
}

/// Values that come in any order of slots.
#[derive(Debug)]
pub(super) struct Arrivals {
    in_order: ValueWriter,
    late: StreamId,
}

/// Values in slot order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ordered {
    /// For a [`ValueReader`].
    pub(super) stream: StreamId,
    /// A slot that counts and that more than one value came for.
    pub(super) repeated: Option<u32>,
    /// Values before the last one of slots that do not count.
    pub(super) passed_over: u64,
}

impl Arrivals {
    pub(super) fn new(spill: &mut Spill) -> Self {
        Self { in_order: ValueWriter::new(spill.stream()), late: spill.stream() }
    }

    /// Appends a value. `spill` is always the same.
    #[inline]
    pub(super) fn push(&mut self, slot: u32, tagged: &[u8], spill: &mut Spill) -> Result<()> {
        if slot >= self.in_order.next_slot {
            self.in_order.push(slot, tagged, spill)
        } else {
            append_late(slot, tagged, self.late, spill)
        }
    }

    /// Puts all in order. A table in memory takes at most `limit` bytes.
    pub(super) fn ordered(self, (spill, limit): (&mut Spill, usize), meter: &mut Meter<'_>) -> Result<Ordered> {
        self.ordered_where(|_| true, (spill, limit), meter)
    }

    /// The same, where slots that do not count may have any number of values.
    pub(super) fn ordered_where(
        self,
        counts: impl Fn(u32) -> bool,
        (spill, limit): (&mut Spill, usize),
        meter: &mut Meter<'_>,
    ) -> Result<Ordered> {
        let Self { in_order, late } = self;
        if spill.len(late) == 0 {
            return Ok(Ordered { stream: in_order.stream, repeated: None, passed_over: 0 });
        }
        // A late slot is below one that came before it.
        let end = in_order.next_slot;
        let (in_order, out) = (in_order.stream, ValueWriter::new(spill.stream()));
        let stream = out.stream;
        let in_order_values = ValueReader::new(in_order);
        let mut merge = Merge { in_order: in_order_values, held: None, out, counts, repeated: None, passed_over: 0 };
        merge.hold(spill)?;
        merge.late(late, 0..end.into(), (spill, limit), meter)?;
        merge.until(u64::MAX, spill, meter)?;
        spill.clear(in_order);
        Ok(Ordered { stream, repeated: merge.repeated, passed_over: merge.passed_over })
    }
}

/// Puts the values of one dimension in slot order, into a stream of `spill`. `values` has rows in place of slots, and `slots` the slot of
/// each row as a u32; both are of other spills. A table in memory takes at most `limit` bytes.
pub(super) fn in_slot_order(
    (mut values, values_spill): (RowValues, &Spill),
    (slots, slots_spill): (StreamId, &Spill),
    (spill, limit): (&mut Spill, usize),
    meter: &mut Meter<'_>,
) -> Result<StreamId> {
    let mut arrivals = Arrivals::new(spill);
    let mut slots = StreamReader::new(slots);
    let mut next_row = 0;
    while let Some((row, tagged)) = values.next(values_spill)? {
        slots.skip(u64::from(row - next_row) * 4);
        next_row = row + 1;
        let slot = slots.u32(slots_spill)?.unwrap_or_default();
        arrivals.push(slot, tagged, spill)?;
        meter.step()?;
    }
    Ok(arrivals.ordered((spill, limit), meter)?.stream)
}

fn append_late(slot: u32, tagged: &[u8], stream: StreamId, spill: &mut Spill) -> Result<()> {
    let mut head = Vec::with_capacity(10);
    head.extend(slot.to_le_bytes());
    encode_number(tagged.len() as u64, &mut head);
    spill.append(stream, &head)?;
    spill.append(stream, tagged)
}

struct Merge<C> {
    in_order: ValueReader,
    /// The next of the values that came in order.
    held: Option<(u32, Vec<u8>)>,
    out: ValueWriter,
    /// Which slots count.
    counts: C,
    /// A slot that counts and that more than one value came for.
    repeated: Option<u32>,
    /// Values before the last one of slots that do not count.
    passed_over: u64,
}

impl<C: Fn(u32) -> bool> Merge<C> {
    fn hold(&mut self, spill: &Spill) -> Result<()> {
        self.held = self.in_order.next(spill)?.map(|(slot, tagged)| (slot, tagged.to_vec()));
        Ok(())
    }

    /// Writes those that came in order up to a slot.
    fn until(&mut self, slot: u64, spill: &mut Spill, meter: &mut Meter<'_>) -> Result<()> {
        while let Some((held, tagged)) = self.held.take_if(|(held, _)| u64::from(*held) < slot) {
            self.out.push(held, &tagged, spill)?;
            self.hold(spill)?;
            meter.step()?;
        }
        Ok(())
    }

    /// Writes the late values of a range of slots, and those between them that came in order.
    fn late(
        &mut self,
        stream: StreamId,
        range: std::ops::Range<u64>,
        (spill, limit): (&mut Spill, usize),
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        // Each value takes a place, too, and the shortest have 7 bytes here.
        if spill.len(stream).saturating_mul(PLACE_FACTOR) > limit as u64 && range.end - range.start > 1 {
            let range_len = (range.end - range.start).div_ceil(RANGE_COUNT);
            let parts: Vec<StreamId> =
                (0..(range.end - range.start).div_ceil(range_len)).map(|_| spill.stream()).collect();
            let mut reader = StreamReader::new(stream);
            while let Some(slot) = reader.u32(spill)? {
                let Some(tagged) = reader.content(spill)?.map(<[u8]>::to_vec) else { break };
                if let Some(&part) = parts.get(((u64::from(slot) - range.start) / range_len) as usize) {
                    append_late(slot, &tagged, part, spill)?;
                }
                meter.step()?;
            }
            spill.clear(stream);
            for (index, part) in parts.into_iter().enumerate() {
                let start = range.start + index as u64 * range_len;
                self.late(part, start..(start + range_len).min(range.end), (spill, limit), meter)?;
            }
            return Ok(());
        }
        let only_last = range.end - range.start == 1;
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        let mut count = 0u64;
        let mut reader = StreamReader::new(stream);
        while let Some(slot) = reader.u32(spill)? {
            let Some(tagged) = reader.content(spill)? else { break };
            count += 1;
            if only_last {
                bytes.clear();
                places.clear();
            }
            places.push((slot, bytes.len(), tagged.len()));
            bytes.extend_from_slice(tagged);
            meter.step()?;
        }
        spill.clear(stream);
        // By slot, then by arrival.
        places.sort_unstable();
        for of_slot in places.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some(&(slot, start, len)) = of_slot.last() else { continue };
            self.until(slot.into(), spill, meter)?;
            // What came in order came before.
            let is_held = self.held.as_ref().is_some_and(|(held, _)| *held == slot);
            if is_held {
                self.hold(spill)?;
            }
            let arrived = if only_last { count } else { of_slot.len() as u64 };
            let more = arrived + u64::from(is_held) - 1;
            if more > 0 && (self.counts)(slot) {
                self.repeated.get_or_insert(slot);
            } else {
                self.passed_over += more;
            }
            self.out.push(slot, bytes.get(start..start + len).unwrap_or_default(), spill)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    #[test]
    fn the_last_value_of_a_slot_counts_and_a_slot_with_several_is_named() {
        let cases: [(&[u32], Option<u32>); 8] = [
            (&[0, 1, 5], None),
            (&[5, 0, 1, 7, 3], None),
            (&[5, 0, 5], Some(5)),
            (&[5, 2, 2], Some(2)),
            (&[5, u32::MAX - 1, 1, 1, 1], Some(1)),
            (&[8, 8], Some(8)),
            (&[9, 9, 9], None),
            (&[11, 9, 9, 11, 9], Some(11)),
        ];
        for (slots, repeated) in cases {
            for limit in [0, 40, 1 << 20] {
                let mut ignore = crate::progress::ignore;
                let mut meter = Meter::new(&mut ignore, "", 0);
                let mut spill = Spill::new(Arc::new(MemoryStorage::new()), limit);
                let mut arrivals = Arrivals::new(&mut spill);
                let mut expected = std::collections::BTreeMap::new();
                for (n, &slot) in slots.iter().enumerate() {
                    let value = vec![n as u8; n * 3];
                    arrivals.push(slot, &value, &mut spill).unwrap();
                    expected.insert(slot, value);
                }
                let counts = |slot| slot != 9;
                let ordered = arrivals.ordered_where(counts, (&mut spill, limit), &mut meter).unwrap();
                assert_eq!(ordered.repeated, repeated, "{slots:?}, limit {limit}");
                let passed_over = slots.iter().filter(|&&slot| slot == 9).count().saturating_sub(1) as u64;
                assert_eq!(ordered.passed_over, passed_over, "{slots:?}, limit {limit}");
                let mut reader = ValueReader::new(ordered.stream);
                for (slot, value) in expected {
                    assert_eq!(reader.next(&spill).unwrap(), Some((slot, &*value)), "{slots:?}, limit {limit}");
                }
                assert!(reader.next(&spill).unwrap().is_none());
            }
        }
    }

    /// One that is late makes all others be copied.
    #[test]
    fn a_copy_of_values_that_came_in_order_can_be_stopped() {
        let mut reports = 0;
        let mut count = |_: crate::progress::Progress| {
            reports += 1;
            std::ops::ControlFlow::Continue(())
        };
        let mut meter = Meter::new(&mut count, "", 0);
        let mut spill = Spill::new(Arc::new(MemoryStorage::new()), 1 << 20);
        let mut arrivals = Arrivals::new(&mut spill);
        for slot in (1..300_000).chain([0]) {
            arrivals.push(slot, &[1], &mut spill).unwrap();
        }
        arrivals.ordered((&mut spill, 1 << 20), &mut meter).unwrap();
        assert!(reports >= 4, "{reports}");
    }
}
