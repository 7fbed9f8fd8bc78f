//! Building column files of a load from the form in which values were taken, where rows are slots and that form is the file's.

use super::block_writer::BlockWriter;
use super::column_builder::{DistinctCells, describe};
use super::dictionary_builder::DictionaryBuilder;
use super::heap_builder::{encoding, section_kind, write_entry, write_numbered_heap};
use super::index_builder::{HashedKeys, IndexSummary, KeyHashSource, write_index};
use super::numbering::{Build, Contents, Numbered, merge, number_each};
use super::segment_writer::{Gathered, SegmentSurvey};
use super::spill::{Spill, StreamId, StreamReader};
use super::value_streams::{CellKind, Form, RowNumbers, RowValues, ValueStreams, partition_readers};
use crate::error::Result;
use crate::format::axis::{Axis, Layout, SECTION_AXIS};
use crate::format::column::{Column, Encoding, SECTION_COLUMN, SEGMENT_LEN};
use crate::format::heap;
use crate::format::manifest::FileEntry;
use crate::format::value::{KeyHasher, TAG_TEXT, TAG_UINT};

/// Cells that are read at once.
const CELLS_LEN: u64 = 8 << 10;

/// The longest chunk of numbers that is read at once, of each partition.
const NUMBERS_CHUNK_LEN: usize = 4 << 10;

/// Texts whose positions are looked up at once.
const GROUP_LEN: usize = 64;

/// Values of a dimension and the spill that they are in.
type Source<'s> = (&'s ValueStreams, &'s Spill);

/// The numbers of texts that were dealt out, in their partitions: of each run of these, with the spill that they are in.
pub(super) type NumberedRuns = Vec<(Vec<Numbered>, Spill)>;

/// The numbers of one partition, in a spill of their own or in the build's.
type NumberedPart<'n> = (Numbered, Option<&'n Spill>);

/// Whether [`write_as_it_is`] writes these values.
pub(super) fn is_written_as_it_is(values: &ValueStreams) -> bool {
    match values.form() {
        Form::Empty { .. } | Form::Tagged(_) => false,
        Form::Dictionary(dictionary) => !dictionary.is_larger_than_other(),
        Form::Cells { .. } | Form::Texts { .. } => values.is_diverse(),
    }
}

/// Writes the file of a column. Texts that were dealt out may have been numbered.
pub(super) fn write_as_it_is(
    build: &mut Build<'_, '_>,
    (source, numbered): (Source<'_>, Option<&NumberedRuns>),
    slot_count: u32,
    mut writer: BlockWriter<'_>,
) -> Result<FileEntry> {
    let (values, spill) = source;
    let (segments, dictionary, distinct_count) = match values.form() {
        Form::Dictionary(dictionary) => {
            let segments = survey_numbers(build, dictionary, source, slot_count)?;
            dictionary.write_column((&segments, &build.spill), spill, &mut writer)?;
            (segments, Some(dictionary), dictionary.len() as u64)
        }
        Form::Cells { stream, kind } => {
            let mut distinct = DistinctCells::new(build, values.count());
            let segments = survey_cells(build, (*stream, *kind), source, slot_count, Some(&mut distinct))?;
            write_cells(build, (*stream, *kind), (&segments, spill), &mut writer)?;
            (segments, None, distinct.count(build)?)
        }
        Form::Texts { partitions, order } => {
            let segments = survey_texts(build, source, slot_count)?;
            let distinct = write_texts(build, (partitions, *order, numbered), source, &segments, &mut writer)?;
            (segments, None, distinct)
        }
        Form::Empty { .. } | Form::Tagged(_) => (SegmentSurvey::new(&mut build.spill), None, 0),
    };
    let column = Column { distinct_count, ..describe(build.hash_seed, &segments, dictionary, slot_count) };
    writer.section(SECTION_COLUMN, &column.encode())?;
    writer.finish(slot_count.into(), segments.value_count())
}

/// Writes the file of an axis whose keys, which are not consecutive, are cells; rows are slots. Their hashes may be known.
pub(super) fn write_axis_of_cells(
    build: &mut Build<'_, '_>,
    ((stream, kind), source): ((StreamId, CellKind), Source<'_>),
    hashes: Option<HashedKeys<'_>>,
    slot_count: u32,
    mut writer: BlockWriter<'_>,
) -> Result<FileEntry> {
    let segments = survey_cells(build, (stream, kind), source, slot_count, None)?;
    write_cells(build, (stream, kind), (&segments, source.1), &mut writer)?;
    let mut keys = KeyCells { spill: source.1, stream, kind, count: slot_count };
    let IndexSummary { bucket_count, hash_seed, chain_len_max } =
        write_index(build, (&mut keys, hashes), slot_count.into(), &mut writer)?;
    let layout = Layout::Indexed { bucket_count, hash_seed, chain_len_max };
    writer.section(SECTION_AXIS, &Axis { layout, tombstone_levels: 0, free_count: 0 }.encode())?;
    writer.finish(slot_count.into(), slot_count.into())
}

/// Keys that are cells, by row.
struct KeyCells<'s> {
    spill: &'s Spill,
    stream: StreamId,
    kind: CellKind,
    count: u32,
}

impl KeyHashSource for KeyCells<'_> {
    fn visit_hashes(&mut self, hash_seed: u64, each: &mut dyn FnMut(u32, u64) -> Result<()>) -> Result<()> {
        let hasher = KeyHasher::new(hash_seed);
        let (mut reader, mut slot) = (StreamReader::new(self.stream), 0);
        while slot < self.count {
            let count = CELLS_LEN.min((self.count - slot).into());
            let Some(bytes) = reader.take(self.spill, count as usize * 8)? else { break };
            for &cell in bytes.as_chunks::<8>().0 {
                let cell = u64::from_le_bytes(cell);
                let is_unsigned = self.kind.tag(cell) == TAG_UINT;
                let hash = if is_unsigned { hasher.hash_u64(cell) } else { hasher.hash_i64(cell.cast_signed()) };
                each(slot, hash)?;
                slot += 1;
            }
        }
        Ok(())
    }
}

/// Surveys values in runs of consecutive slots. `each` gathers what the values of a run are.
fn survey(
    build: &mut Build<'_, '_>,
    (values, spill): Source<'_>,
    slot_count: u32,
    mut each: impl FnMut(u64, &mut Gathered, &mut Spill) -> Result<()>,
) -> Result<SegmentSurvey> {
    let mut segments = SegmentSurvey::new(&mut build.spill);
    let mut rows: RowNumbers = values.rows();
    let (mut rest, mut counted) = (values.count(), 0);
    let mut run = (0, 0);
    while rest > 0 {
        if run.1 == 0 {
            run = rows.run(rest.min(CELLS_LEN), spill)?;
        }
        let (first, len) = run;
        // Up to the end of the segment.
        let now = len.min(u64::from(SEGMENT_LEN - first % SEGMENT_LEN));
        each(now, segments.add_slots(first, now as u32, &mut build.spill)?, &mut build.spill)?;
        run = (first.wrapping_add(now as u32), len - now);
        rest -= now;
        build.meter.step()?;
        if first - counted >= SEGMENT_LEN {
            build.meter.add((first - counted).into())?;
            counted = first;
        }
    }
    build.meter.add((slot_count - counted).into())?;
    segments.finish(slot_count, &mut build.spill)?;
    Ok(segments)
}

fn survey_numbers(
    build: &mut Build<'_, '_>,
    dictionary: &DictionaryBuilder,
    source: Source<'_>,
    slot_count: u32,
) -> Result<SegmentSurvey> {
    let entries: Vec<(u8, u64)> = dictionary.tags_and_cells().collect();
    let are_texts = entries.iter().all(|&(tag, _)| tag == TAG_TEXT);
    let mut numbers = StreamReader::new(dictionary.cells());
    survey(build, source, slot_count, |count, gathered, _| {
        if are_texts {
            gathered.add_tagged(TAG_TEXT, 0);
            return Ok(());
        }
        let bytes = numbers.take(source.1, count as usize * 2)?.unwrap_or_default();
        for &number in bytes.as_chunks::<2>().0 {
            if let Some(&(tag, cell)) = entries.get(usize::from(u16::from_le_bytes(number))) {
                gathered.add_tagged(tag, cell);
            }
        }
        Ok(())
    })
}

/// Surveys plain cells, and adds them to those that are counted.
fn survey_cells(
    build: &mut Build<'_, '_>,
    (stream, kind): (StreamId, CellKind),
    source: Source<'_>,
    slot_count: u32,
    mut distinct: Option<&mut DistinctCells>,
) -> Result<SegmentSurvey> {
    let mut cells = StreamReader::new(stream);
    survey(build, source, slot_count, |count, gathered, spill| {
        let bytes = cells.take(source.1, count as usize * 8)?.unwrap_or_default();
        for &cell in bytes.as_chunks::<8>().0 {
            let cell = u64::from_le_bytes(cell);
            gathered.add_tagged(kind.tag(cell), cell);
            if let Some(distinct) = &mut distinct {
                distinct.add(cell, spill)?;
            }
        }
        Ok(())
    })
}

fn survey_texts(build: &mut Build<'_, '_>, source: Source<'_>, slot_count: u32) -> Result<SegmentSurvey> {
    survey(build, source, slot_count, |_, gathered, _| {
        gathered.add_tagged(TAG_TEXT, 0);
        Ok(())
    })
}

/// Writes plain cells, unless they were written to the file as they came.
fn write_cells(
    build: &mut Build<'_, '_>,
    (stream, kind): (StreamId, CellKind),
    (segments, spill): (&SegmentSurvey, &Spill),
    writer: &mut BlockWriter<'_>,
) -> Result<()> {
    if spill.begun(stream).is_some() {
        return segments.written_cells(kind.encoding()).finish(&build.spill, writer);
    }
    let mut cells = segments.begin_cells(kind.encoding(), writer)?;
    let (mut reader, mut rest) = (StreamReader::new(stream), segments.value_count());
    while rest > 0 {
        let count = rest.min(CELLS_LEN);
        cells.extend(reader.take(spill, count as usize * 8)?.unwrap_or_default(), writer)?;
        rest -= count;
        build.meter.step()?;
    }
    cells.finish(&build.spill, writer)
}

/// Writes a heap of texts and cells that point into it; returns how many texts are distinct.
fn write_texts(
    build: &mut Build<'_, '_>,
    (partitions, order, numbered): (&[StreamId], StreamId, Option<&NumberedRuns>),
    (values, spill): Source<'_>,
    segments: &SegmentSurvey,
    writer: &mut BlockWriter<'_>,
) -> Result<u64> {
    let numbered: Vec<NumberedPart<'_>> = match numbered {
        Some(runs) => runs.iter().flat_map(|(run, spill)| run.iter().map(move |&part| (part, Some(spill)))).collect(),
        None => number_each(build, partitions, spill)?.into_iter().map(|part| (part, None)).collect(),
    };
    let distinct: u64 = numbered.iter().map(|(part, _)| part.distinct).sum();
    // Each takes its length, and what the rules for places leave empty.
    let heap_len_max = values.len(spill) * 2 + distinct * 32;
    let are_narrow = heap_len_max.div_ceil(heap::ENTRY_ALIGNMENT) <= u64::from(u32::MAX);
    if are_narrow && distinct * size_of::<u32>() as u64 <= build.limit as u64 {
        let cells = write_heap(build, (partitions, order, spill), &numbered, writer)?;
        let mut reader = StreamReader::new(cells);
        let mut cells = segments.begin_cells(Encoding::Text32, writer)?;
        let mut rest = segments.value_count();
        while rest > 0 {
            let count = rest.min(CELLS_LEN);
            cells.extend(reader.take(&build.spill, count as usize * 4)?.unwrap_or_default(), writer)?;
            rest -= count;
            build.meter.step()?;
        }
        cells.finish(&build.spill, writer)?;
    } else {
        let numbered: Vec<Numbered> = numbered.iter().map(|part| taken_over(build, part)).collect::<Result<_>>()?;
        let merged = merge(build, &numbered, (order, Some(spill)), values.count())?;
        let mut texts = Texts { spill, reader: RowValues::new(values, spill)? };
        write_numbered_heap(build, &mut texts, &merged, true, writer)?.write_cells(build, segments, writer)?;
    }
    Ok(distinct)
}

/// The numbers of a partition, in the build's spill.
fn taken_over(build: &mut Build<'_, '_>, &(part, other): &NumberedPart<'_>) -> Result<Numbered> {
    let Some(other) = other else { return Ok(part) };
    let numbers = build.spill.stream();
    let (mut reader, mut rest) = (StreamReader::new(part.numbers), part.count);
    while rest > 0 {
        let count = rest.min(CELLS_LEN);
        build.spill.append(numbers, reader.take(other, count as usize * size_of::<u32>())?.unwrap_or_default())?;
        rest -= count;
        build.meter.step()?;
    }
    Ok(Numbered { numbers, ..part })
}

/// The texts of a dimension.
struct Texts<'s> {
    spill: &'s Spill,
    reader: RowValues,
}

impl Contents for Texts<'_> {
    fn rewind(&mut self) {
        self.reader.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        Ok(self.reader.next(self.spill)?.and_then(|(_, tagged)| tagged.get(1..)))
    }
}

/// The texts of one partition, their numbers, and the position of each number so far.
struct Part<'n> {
    texts: StreamReader,
    numbers: StreamReader,
    /// Where the numbers are, if not in the build's spill.
    numbers_spill: Option<&'n Spill>,
    positions: Vec<u32>,
}

/// Writes the heap; returns the positions of all texts in it, as a u32 each.
fn write_heap(
    build: &mut Build<'_, '_>,
    (partitions, order, spill): (&[StreamId], StreamId, &Spill),
    numbered: &[NumberedPart<'_>],
    writer: &mut BlockWriter<'_>,
) -> Result<StreamId> {
    let mut parts: Vec<Part<'_>> = partition_readers(partitions)
        .into_iter()
        .zip(numbered)
        .map(|(texts, &(part, numbers_spill))| Part {
            texts,
            numbers: StreamReader::with_chunk_len(part.numbers, NUMBERS_CHUNK_LEN),
            numbers_spill,
            positions: Vec::with_capacity(part.distinct as usize),
        })
        .collect();
    let cells = build.spill.stream();
    let start = writer.begin_section(section_kind(true))?;
    let mut order = StreamReader::new(order);
    let mut rest = numbered.iter().map(|(part, _)| part.count).sum::<u64>();
    let mut bytes = Vec::with_capacity(GROUP_LEN * size_of::<u32>());
    while rest > 0 {
        let len = rest.min(GROUP_LEN as u64) as usize;
        let places = order.take(spill, len)?.unwrap_or_default();
        // Positions that are known are read for all of the group, so that the processor waits for many at a time.
        let mut group = [(0usize, 0usize, None); GROUP_LEN];
        for (&place, next) in places.iter().zip(&mut group) {
            if let Some(part) = parts.get_mut(usize::from(place)) {
                let numbers_spill = part.numbers_spill.unwrap_or(&build.spill);
                let number = part.numbers.u32(numbers_spill)?.unwrap_or_default() as usize;
                *next = (place.into(), number, part.positions.get(number).copied());
            }
        }
        bytes.clear();
        for &(place, number, known) in group.get(..len).unwrap_or_default() {
            let Some(Part { texts, positions, .. }) = parts.get_mut(place) else { continue };
            let text = texts.content(spill)?.unwrap_or_default();
            let position = match known.or_else(|| positions.get(number).copied()) {
                Some(position) => position,
                // A number is used for the first time when all smaller ones were.
                None => {
                    let position = ((write_entry(text, writer)?.0 - start) / heap::ENTRY_ALIGNMENT) as u32;
                    positions.push(position);
                    position
                }
            };
            bytes.extend(position.to_le_bytes());
        }
        build.spill.append(cells, &bytes)?;
        rest -= len as u64;
        build.meter.step()?;
    }
    debug_assert_eq!(encoding(true, writer.position() - start), Encoding::Text32);
    writer.end_section();
    numbered.iter().filter(|(_, other)| other.is_none()).for_each(|(part, _)| build.spill.clear(part.numbers));
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::block_writer::{FileSpec, Unsynced};
    use crate::engine::meter::Meter;
    use crate::engine::value_streams::{Allowance, LoadFile, Taking};
    use crate::format::block_file::{COLUMN_MAGIC, Identity};
    use crate::format::value;
    use crate::model::ValueRef;
    use crate::storage::{MemoryStorage, Storage};
    use std::sync::Arc;

    const TEXTS: u32 = 150_000;

    /// The file of texts that were dealt out, built with a table of so many bytes, from numbers that are in the build's spill or in others.
    fn column(limit: usize, are_numbered: bool) -> Vec<u8> {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let mut spill = Spill::new(Arc::clone(&storage), 1 << 20);
        let mut values = ValueStreams::new(LoadFile::Column(0), &mut spill);
        let mut allowance = Allowance { dictionaries: 1 << 30, dealt: 1, begun: 0 };
        for n in 0..TEXTS {
            let mut tagged = Vec::new();
            let text = (n.wrapping_mul(0x9E37_79B9) >> 14).to_string();
            value::encode(ValueRef::Text(&text), &mut tagged);
            let mut taking =
                Taking { spill: &mut spill, allowance: &mut allowance, hash_seed: 5, database_id: [7; 16] };
            values.push(n + n / 1000, &tagged, &mut taking).unwrap();
        }
        assert!(is_written_as_it_is(&values));
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        let mut build = Build::with_share(Arc::clone(&storage), limit, 5, &mut meter);
        let unsynced = Unsynced::default();
        let identity = Identity { database_id: [7; 16], file_id: 1 };
        let (name, magic) = ("a".to_owned(), COLUMN_MAGIC);
        let spec =
            FileSpec { storage: &*storage, unsynced: &unsynced, name, magic, identity, generation: 1, dimension_id: 0 };
        let writer = BlockWriter::create(spec).unwrap();
        let Form::Texts { partitions, .. } = values.form() else { panic!("they are dealt out") };
        let numbered: NumberedRuns = partitions
            .chunks(100)
            .map(|run| {
                let mut build = Build::with_share(Arc::clone(&storage), limit, 5, build.meter);
                (number_each(&mut build, run, &spill).unwrap(), build.spill)
            })
            .collect();
        let numbered = are_numbered.then_some(&numbered);
        write_as_it_is(&mut build, ((&values, &spill), numbered), TEXTS + TEXTS / 1000, writer).unwrap();
        storage.read("a").unwrap().unwrap()
    }

    #[test]
    fn dealt_out_texts_give_the_same_file_whether_their_positions_fit_in_memory_or_not() {
        let whole = column(1 << 24, false);
        for (limit, are_numbered) in [(200_000, false), (1 << 24, true), (200_000, true)] {
            assert!(column(limit, are_numbered) == whole, "{limit}, {are_numbered}");
        }
    }
}
