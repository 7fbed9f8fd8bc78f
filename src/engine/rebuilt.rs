//! Keys and values by slot, as a rebuild writes them: read once, from the base file where nothing changed, else from all tiers, and put
//! aside in the form that their file will have.

use super::base_column::BaseColumn;
use super::block_writer::BlockWriter;
use super::column_builder::{ColumnBuilder, PresentSlots};
use super::column_tiers::ColumnTiers;
use super::direct_column::{Receiver, Values};
use super::load_columns::{is_written_as_it_is, write_as_it_is};
use super::load_files::SlotValues;
use super::newest_cells::NewestCells;
use super::numbering::Build;
use super::rebuild::Rebuild;
use super::record_streams::DEALT_LEN;
use super::scan::base_segment;
use super::segment::{Segment, SegmentValues};
use super::spill::Spill;
use super::tagged_segment::{Each, SegmentVisitor};
use super::value_streams::{Allowance, LoadFile, RowValues, Taking, ValueStreams};
use crate::error::Result;
use crate::format::column::SEGMENT_LEN;
use crate::format::manifest::FileEntry;
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_TEXT};
use crate::model::{DimensionId, KeyRef, ValueRef};
use std::ops::Range;
use std::sync::Arc;

/// Slots whose cells are asked for before the first of them is used.
const GROUP_LEN: u32 = 64;

/// Keys or values by slot, in streams of their own.
pub(super) struct PutAside {
    streams: ValueStreams,
    spill: Spill,
}

impl PutAside {
    fn new(build: &mut Build<'_, '_>, file: LoadFile, visit: impl FnOnce(&mut Each<'_>) -> Result<()>) -> Result<Self> {
        let dictionaries = build.limit / 8;
        let mut spill = Spill::new(Arc::clone(build.spill.storage()), build.limit - dictionaries);
        let mut streams = ValueStreams::new(file, &mut spill);
        let mut allowance = Allowance { dictionaries, dealt: build.limit / DEALT_LEN, begun: 0 };
        let (hash_seed, meter) = (build.hash_seed, &mut *build.meter);
        // No file is begun, so none has to be of a database.
        let mut taking = Taking { spill: &mut spill, allowance: &mut allowance, hash_seed, database_id: [0; 16] };
        visit(&mut |slot, tagged| {
            meter.step()?;
            streams.push(slot, tagged, &mut taking)
        })?;
        Ok(Self { streams, spill })
    }

    pub(super) fn values(&self) -> Result<SlotValues<'_, RowValues>> {
        Ok(SlotValues { spill: &self.spill, reader: RowValues::new(&self.streams, &self.spill)? })
    }

    /// Writes the file of a column; `None` without values.
    pub(super) fn write_column<'w>(
        &self,
        build: &mut Build<'_, '_>,
        slot_count: u32,
        writer: impl FnOnce() -> Result<BlockWriter<'w>>,
    ) -> Result<Option<FileEntry>> {
        if is_written_as_it_is(&self.streams) {
            return write_as_it_is(build, ((&self.streams, &self.spill), None), slot_count, writer()?).map(Some);
        }
        let mut values = self.values()?;
        let Some(builder) = ColumnBuilder::new(build, &mut values, slot_count)? else { return Ok(None) };
        builder.write(build, writer()?).map(|(file, _)| Some(file))
    }
}

/// Reads all keys once.
pub(super) fn put_aside_keys(
    build: &mut Build<'_, '_>,
    keys: &RebuiltKeys<'_, '_>,
    slot_count: u32,
) -> Result<PutAside> {
    PutAside::new(build, LoadFile::Axis, |each| keys.visit(slot_count, each))
}

/// Reads all values of a dimension once.
pub(super) fn put_aside_values(
    build: &mut Build<'_, '_>,
    values: &mut RebuiltValues<'_, '_>,
    slot_count: u32,
) -> Result<PutAside> {
    PutAside::new(build, LoadFile::Column(values.dimension.0), |each| values.visit(slot_count, each))
}

/// The keys by slot, as they are to be.
pub(super) struct RebuiltKeys<'r, 'a> {
    pub(super) rebuild: &'r Rebuild<'a>,
    /// Slots that have something else than the base.
    pub(super) changed: &'r PresentSlots,
}

impl<'a> RebuiltKeys<'_, 'a> {
    fn visit(&self, slot_count: u32, each: &mut Each<'_>) -> Result<()> {
        let view = self.rebuild.view;
        let base = view.generation.axis().base();
        let direct = base.and_then(|axis| axis.stored_values());
        let mut visitor = SegmentVisitor::default();
        for (number, slots) in segments(slot_count) {
            if self.rebuild.is_unchanged(number, self.changed)
                && let Some(axis) = base
                && let Some(segment) = axis.integers(number as usize, slots.end - slots.start)?
            {
                visitor.visit(&segment, each)?;
                continue;
            }
            visit_slots::<true>(self.rebuild, slots, (direct.as_ref(), self.changed), each, |old| {
                let key = if self.changed.contains(old) {
                    view.key_at(old, u64::MAX)?.map(|(key, _)| key)
                } else {
                    base.map_or(Ok(None), |axis| axis.key_at(old))?
                };
                Ok(key.map(KeyRef::value))
            })?;
        }
        Ok(())
    }
}

/// The values of a dimension by slot, as they are to be.
pub(super) struct RebuiltValues<'r, 'a> {
    rebuild: &'r Rebuild<'a>,
    dimension: DimensionId,
    /// Slots that have something else than the base.
    changed: &'r PresentSlots,
    /// Of these, slots whose occupant may be another one.
    taken: &'r PresentSlots,
    /// Where slots stay where they are.
    newest: Option<NewestCells<'a>>,
}

impl<'r, 'a> RebuiltValues<'r, 'a> {
    pub(super) fn new(
        rebuild: &'r Rebuild<'a>,
        dimension: DimensionId,
        (changed, taken): (&'r PresentSlots, &'r PresentSlots),
    ) -> Self {
        let newest = if rebuild.order.is_none() { NewestCells::new(rebuild.view, dimension) } else { None };
        Self { rebuild, dimension, changed, taken, newest }
    }

    fn visit(&mut self, slot_count: u32, each: &mut Each<'_>) -> Result<()> {
        let Self { rebuild, dimension, changed, taken, newest } = self;
        let view = rebuild.view;
        let base = view.generation.column(*dimension).and_then(ColumnTiers::base);
        let direct = base.and_then(|base| base.direct()?.values(base.file().verified_bytes()));
        let mut visitor = SegmentVisitor::default();
        for (number, slots) in segments(slot_count) {
            if let Some(segment) = unchanged_segment(rebuild, base, number, (&slots, changed))? {
                visitor.visit(&segment, each)?;
                continue;
            }
            visit_slots::<false>(rebuild, slots, (direct.as_ref(), changed), each, |old| match newest {
                _ if !changed.contains(old) => base.map_or(Ok(None), |column| column.get(old)),
                Some(newest) if !taken.contains(old) => newest.get(old),
                _ => view.cell(*dimension, old, u64::MAX),
            })?;
        }
        Ok(())
    }
}

/// A segment that is as the base has it, unless its values lie in a heap, and so are read slot by slot as well.
fn unchanged_segment<'a>(
    rebuild: &Rebuild<'_>,
    base: Option<&'a BaseColumn>,
    number: u32,
    (slots, changed): (&Range<u32>, &PresentSlots),
) -> Result<Option<Segment<'a>>> {
    let Some(base) = base.filter(|_| rebuild.is_unchanged(number, changed)) else { return Ok(None) };
    let slot_count = slots.end - slots.start;
    let segment = base_segment(base, number as usize, slot_count)?;
    let is_by_slot =
        |segment: &Segment<'_>| matches!(segment.values, SegmentValues::Values(_)) && segment.value_count == slot_count;
    Ok(segment.filter(|segment| !is_by_slot(segment)))
}

/// The segments of so many slots.
fn segments(slot_count: u32) -> impl Iterator<Item = (u32, Range<u32>)> {
    (0..slot_count.div_ceil(SEGMENT_LEN)).map(move |number| {
        let first = number * SEGMENT_LEN;
        (number, first..first + SEGMENT_LEN.min(slot_count - first))
    })
}

/// What a read of a value the direct way came to.
enum Read {
    /// It is encoded.
    Value,
    Absent,
    Unknown,
}

/// Encodes what is read, instead of handing it on, which costs as much as reading it does. `KEYS`: only what can be a key.
struct Encode<'t, const KEYS: bool>(&'t mut Vec<u8>);

impl<'a, const KEYS: bool> Receiver<'a> for Encode<'_, KEYS> {
    type Outcome = Read;

    #[inline(always)]
    fn value(self, value: ValueRef<'a>) -> Read {
        if KEYS && KeyRef::checked(value).is_none() {
            return Read::Unknown;
        }
        encode(value, self.0);
        Read::Value
    }

    #[inline(always)]
    fn absent(self) -> Read {
        Read::Absent
    }

    #[inline(always)]
    fn unknown(self) -> Read {
        Read::Unknown
    }
}

/// The tagged form of a value, instead of what is in `out`.
#[inline(always)]
fn encode(value: ValueRef<'_>, out: &mut Vec<u8>) {
    out.clear();
    match value {
        ValueRef::Float(float) => encode_cell(TAG_FLOAT, float.to_bits(), out),
        ValueRef::Int(int) => match i64::try_from(int) {
            Ok(int) => encode_cell(TAG_INT, int.cast_unsigned(), out),
            Err(_) => value::encode(value, out),
        },
        ValueRef::Text(text) => {
            out.push(TAG_TEXT);
            out.extend_from_slice(text.as_bytes());
        }
        value => value::encode(value, out),
    }
}

#[inline(always)]
fn encode_cell(tag: u8, cell: u64, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&cell.to_le_bytes());
}

/// Calls `each` with the values of some slots: what is unchanged is read from the base the direct way, if it can be, and all else by
/// `value`, which is called with the old slot.
fn visit_slots<'v, const KEYS: bool>(
    rebuild: &Rebuild<'_>,
    slots: Range<u32>,
    (direct, changed): (Option<&Values<'_>>, &PresentSlots),
    each: &mut Each<'_>,
    mut value: impl FnMut(u32) -> Result<Option<ValueRef<'v>>>,
) -> Result<()> {
    let mut tagged = Vec::new();
    for first in slots.clone().step_by(GROUP_LEN as usize) {
        let group = first..slots.end.min(first + GROUP_LEN);
        if let Some(direct) = direct {
            if rebuild.order.is_some() {
                group.clone().for_each(|slot| direct.prefetch_cell(rebuild.old_slot(slot)));
            }
            group.clone().for_each(|slot| direct.prefetch_content(rebuild.old_slot(slot)));
        }
        for slot in group {
            let old = rebuild.old_slot(slot);
            let read = match direct {
                Some(direct) if !changed.contains(old) => direct.get::<false, _>(old, Encode::<KEYS>(&mut tagged)),
                _ => Read::Unknown,
            };
            match read {
                Read::Value => each(slot, &tagged)?,
                Read::Absent => {}
                Read::Unknown => {
                    if let Some(value) = value(old)? {
                        encode(value, &mut tagged);
                        each(slot, &tagged)?;
                    }
                }
            }
        }
    }
    Ok(())
}
