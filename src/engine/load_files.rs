//! Building the files of a load: from streams by row, once it is known which rows have the same key.

use super::axis_builder::AxisBuilder;
use super::block_writer::{BegunFile, BlockWriter, FileSpec, Unsynced};
use super::column_builder::{ColumnBuilder, DistinctCells, Values};
use super::index_builder::HashedKeys;
use super::late_values::{ValueReader, decode, in_slot_order};
use super::load_columns::{NumberedRuns, is_written_as_it_is, write_as_it_is, write_axis_of_cells};
use super::meter::Meter;
use super::numbering::{Build, Contents, FirstUses, Numbered, number, number_each};
use super::record_streams::RecordStreams;
use super::spill::Spill;
use super::value_streams::{Form, LoadFile, RowValues, TaggedValues, ValueStreams};
use super::workers::{build_files, thread_count};
use crate::error::Result;
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, Identity, NO_DIMENSION};
use crate::format::column::SECTION_CELLS;
use crate::format::manifest::{DimensionEntry, FileEntry, Manifest};
use crate::format::value;
use crate::model::ValueRef;
use std::sync::{Arc, Mutex, PoisonError};

/// The streams of all records, and the slots of their rows.
pub(super) struct Rows<'s> {
    streams: &'s RecordStreams,
    /// Slots by row, where these are not the same.
    numbering: Option<(Spill, Numbered)>,
    pub(super) slot_count: u32,
    memory_budget: usize,
    /// How many share the memory.
    pub(super) threads: usize,
    /// The files that are written.
    pub(super) unsynced: Unsynced,
    /// What files were built with. To write to a temporary file again costs less than to write to another one.
    spills: Mutex<Vec<Spill>>,
}

/// The keys of all rows.
struct RowKeys<'s> {
    spill: &'s Spill,
    reader: RowValues,
}

impl Contents for RowKeys<'_> {
    fn rewind(&mut self) {
        self.reader.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        Ok(self.reader.next(self.spill)?.map(|(_, tagged)| tagged))
    }
}

/// Whether it is certain that no key comes twice: no two have the same hash.
fn all_differ(build: &mut Build<'_, '_>, keys: &mut RowKeys<'_>, count: u64) -> Result<bool> {
    let mut hashes = DistinctCells::new(build, count);
    let Build { spill, meter, hash_seed, .. } = build;
    keys.visit(spill, &mut |spill, key| {
        meter.step()?;
        hashes.add(value::hash_tagged(key, *hash_seed), spill)
    })?;
    Ok(hashes.count(build)? == count)
}

/// Keys that are consecutive integers.
struct DenseKeys {
    first: i128,
    next: u32,
    count: u32,
}

impl Values for DenseKeys {
    fn rewind(&mut self) {
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        if self.next == self.count {
            return Ok(None);
        }
        let slot = self.next;
        self.next += 1;
        Ok(Some((slot, ValueRef::Int(self.first + i128::from(slot)))))
    }
}

/// Keys in slot order: those of rows whose key did not come before.
struct SlotKeys<'s> {
    spill: &'s Spill,
    reader: RowValues,
    next: u32,
    numbering: Option<(&'s Spill, &'s Numbered)>,
    uses: Option<FirstUses>,
}

impl Values for SlotKeys<'_> {
    fn rewind(&mut self) {
        self.reader.rewind();
        self.next = 0;
        self.uses = self.numbering.map(|(_, numbered)| FirstUses::new(numbered));
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        Ok(self.next_tagged()?.map(|(slot, tagged)| (slot, decode(tagged))))
    }

    fn visit(&mut self, each: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        self.rewind();
        while let Some((slot, tagged)) = self.next_tagged()? {
            each(slot, tagged)?;
        }
        Ok(())
    }
}

impl SlotKeys<'_> {
    #[inline]
    fn next_tagged(&mut self) -> Result<Option<(u32, &[u8])>> {
        if let (Some(uses), Some((spill, _))) = (&mut self.uses, self.numbering) {
            while let Some((_, false)) = uses.next(spill)? {
                self.reader.next(self.spill)?;
            }
        }
        let Some((_, tagged)) = self.reader.next(self.spill)? else { return Ok(None) };
        let slot = self.next;
        self.next += 1;
        Ok(Some((slot, tagged)))
    }
}

/// The values of a dimension in slot order.
pub(super) struct SlotValues<'s, R> {
    pub(super) spill: &'s Spill,
    pub(super) reader: R,
}

impl<R: TaggedValues> Values for SlotValues<'_, R> {
    fn rewind(&mut self) {
        self.reader.rewind();
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        Ok(self.reader.next(self.spill)?.map(|(slot, tagged)| (slot, decode(tagged))))
    }

    fn visit(&mut self, each: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        self.reader.rewind();
        while let Some((slot, tagged)) = self.reader.next(self.spill)? {
            each(slot, tagged)?;
        }
        Ok(())
    }
}

impl<'s> Rows<'s> {
    /// Rows each of which has the slot of its number.
    pub(super) fn new(streams: &'s RecordStreams, row_count: u32, memory_budget: usize) -> Self {
        let unsynced = Unsynced::default();
        let spills = Mutex::default();
        Self { streams, numbering: None, slot_count: row_count, memory_budget, threads: 1, unsynced, spills }
    }

    fn build<'b, 'p>(&self, hash_seed: u64, meter: &'b mut Meter<'p>) -> Build<'b, 'p> {
        let mut build = Build::with_share(Arc::clone(self.streams.spill.storage()), self.share(), hash_seed, meter);
        if let Some(spill) = self.spills.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            build.spill = spill;
        }
        build
    }

    /// What one user of the memory of a thread may take, beside the records. Each thread has a spill and a table; where rows are not in the
    /// order of slots, also the values in that order, and all have the slots.
    const fn share(&self) -> usize {
        self.memory_budget / (if self.numbering.is_none() { 5 } else { 10 } * self.threads)
    }

    /// The hashes of all keys, if a part of them fits in memory.
    fn hashes(&self) -> Option<HashedKeys<'s>> {
        let streams = self.streams;
        let hashes = streams.keys.hashes.as_ref().filter(|_| streams.keys.may_repeat())?;
        let hashed = HashedKeys { hashes, spill: &streams.spill };
        (hashed.table_len() <= self.share() as u64).then_some(hashed)
    }

    /// Finds rows whose key came before.
    pub(super) fn merge(&mut self, hash_seed: u64, (threads, meter): (Option<usize>, &mut Meter<'_>)) -> Result<()> {
        self.threads = thread_count(threads, self.slot_count.into());
        let hashed = self.hashes();
        if let Some(HashedKeys { hashes, spill }) = hashed {
            let jobs = (self.threads, hashes.part_count());
            let differ =
                build_files(jobs, &Unsynced::default(), meter, |part, meter| hashes.all_differ(part, spill, meter))?;
            if differ.into_iter().all(|differ| differ) {
                return Ok(());
            }
        }
        self.threads = 1;
        let mut build = self.build(hash_seed, meter);
        let spill = &self.streams.spill;
        let mut contents = RowKeys { spill, reader: RowValues::new(&self.streams.keys.values, spill)? };
        if hashed.is_none() && all_differ(&mut build, &mut contents, self.slot_count.into())? {
            return Ok(());
        }
        let numbered = number(&mut build, &mut contents)?;
        if numbered.distinct < numbered.count {
            self.slot_count = numbered.distinct as u32;
            self.numbering = Some((build.spill, numbered));
        }
        Ok(())
    }

    /// Writes the axis and the columns, and puts them in the manifest.
    pub(super) fn write_files(
        &mut self,
        manifest: &mut Manifest,
        (threads, meter): (Option<usize>, &mut Meter<'_>),
    ) -> Result<()> {
        manifest.slot_count = self.slot_count;
        manifest.point_count = self.slot_count;
        let dimension_count = self.streams.columns.len();
        self.threads = thread_count(threads, (dimension_count as u64 + 1) * u64::from(self.slot_count));
        let (jobs, empty) = self.file_jobs(manifest);
        meter.add(empty * u64::from(self.slot_count))?;
        let shared = self.number_longest(&jobs, manifest.hash_seed, meter)?;
        let (rows, started) = (&*self, &*manifest);
        let files = build_files((rows.threads, jobs.len()), &rows.unsynced, meter, |index, meter| {
            let Some(job) = jobs.get(index) else { return Ok(None) };
            let mut build = rows.build(started.hash_seed, meter);
            let file = match job.values {
                None => rows.write_axis(started, &mut build).map(Some),
                Some(values) => {
                    let numbered = shared.as_ref().filter(|(job, _)| *job == index).map(|(_, numbered)| numbered);
                    if numbered.is_some() {
                        // They have the other half.
                        build.spill.set_limit(rows.share() / 2);
                    }
                    rows.write_column(started, job.file, (values, numbered), &mut build)
                }
            };
            build.spill.set_limit(build.limit);
            build.spill.empty();
            rows.spills.lock().unwrap_or_else(PoisonError::into_inner).push(build.spill);
            file
        })?;
        manifest.dimensions = vec![DimensionEntry { id: 0, name: String::new(), file: None }; dimension_count];
        for (job, file) in jobs.iter().zip(files) {
            match job.file {
                LoadFile::Axis => manifest.axis = file,
                LoadFile::Column(index) => {
                    if let Some(entry) = manifest.dimensions.get_mut(index as usize) {
                        entry.file = file;
                    }
                }
            }
        }
        Ok(())
    }

    /// Numbers the texts of the longest column of them on all threads, as one thread would work on it after the others are done. Returns
    /// the job of its file, too.
    fn number_longest(
        &self,
        jobs: &[FileJob<'_>],
        hash_seed: u64,
        meter: &mut Meter<'_>,
    ) -> Result<Option<(usize, NumberedRuns)>> {
        let texts = jobs.iter().enumerate().filter_map(|(index, job)| match job.values?.form() {
            Form::Texts { partitions, .. } if is_written_as_it_is(job.values?) => Some((index, job.work, partitions)),
            _ => None,
        });
        let Some((job, _, partitions)) = texts.max_by_key(|&(_, work, _)| work) else { return Ok(None) };
        if self.threads < 2 || self.numbering.is_some() {
            return Ok(None);
        }
        let runs: Vec<_> = partitions.chunks(partitions.len().div_ceil(self.threads)).collect();
        let numbered = build_files((self.threads, runs.len()), &Unsynced::default(), meter, |index, meter| {
            let mut build = self.build(hash_seed, meter);
            build.spill.set_limit(self.share() / (2 * self.threads));
            let run = number_each(&mut build, runs.get(index).copied().unwrap_or_default(), &self.streams.spill)?;
            Ok((run, build.spill))
        });
        numbered.map(|numbered| Some((job, numbered)))
    }

    /// The files to write, and how many dimensions have none.
    fn file_jobs(&self, manifest: &mut Manifest) -> (Vec<FileJob<'s>>, u64) {
        let RecordStreams { spill, keys, columns, .. } = self.streams;
        let mut jobs = Vec::with_capacity(columns.len() + 1);
        let mut job = |file: LoadFile, values, work| {
            manifest.next_file_id = file.id() + 1;
            jobs.push(FileJob { file, values, work });
        };
        if self.slot_count > 0 {
            // The index is as much work as the keys.
            job(LoadFile::Axis, None, 2 * keys.values.len(spill));
        }
        let mut empty = 0;
        for (index, values) in (0..).zip(columns) {
            if values.count() > 0 {
                job(LoadFile::Column(index), Some(values), values.len(spill));
            } else {
                empty += 1;
            }
        }
        if self.threads > 1 {
            // Those that take longest first.
            jobs.sort_by_key(|job| std::cmp::Reverse(job.work));
        }
        (jobs, empty)
    }

    /// A writer of a file, which may have been begun.
    fn writer(
        &self,
        manifest: &Manifest,
        file: LoadFile,
        begun: Option<(&BegunFile, &[u8])>,
    ) -> Result<BlockWriter<'_>> {
        let (magic, dimension_id) = match file {
            LoadFile::Axis => (AXIS_MAGIC, NO_DIMENSION),
            LoadFile::Column(index) => (COLUMN_MAGIC, index),
        };
        let identity = Identity { database_id: manifest.database_id, file_id: file.id() };
        let (storage, unsynced) = (&**self.streams.spill.storage(), &self.unsynced);
        let (name, generation) = (file.name(), manifest.generation);
        let spec = FileSpec { storage, unsynced, name, magic, identity, generation, dimension_id };
        match begun {
            Some((begun, rest)) => Ok(BlockWriter::resume(spec, begun, rest, SECTION_CELLS)),
            None => BlockWriter::create(spec),
        }
    }

    fn write_axis(&self, manifest: &Manifest, build: &mut Build<'_, '_>) -> Result<FileEntry> {
        let RecordStreams { spill, keys, .. } = self.streams;
        let mut dense;
        let mut stored;
        let values: &mut dyn Values = match keys.dense {
            Some(first) => {
                dense = DenseKeys { first, next: 0, count: self.slot_count };
                &mut dense
            }
            None => {
                let numbering = self.numbering.as_ref().map(|(spill, numbered)| (spill, numbered));
                let reader = RowValues::new(&keys.values, spill)?;
                stored = SlotKeys { spill, reader, next: 0, numbering, uses: None };
                &mut stored
            }
        };
        let hashes = if self.numbering.is_none() { self.hashes() } else { None };
        if let (Form::Cells { stream, kind }, None, None) = (keys.values.form(), keys.dense, &self.numbering) {
            let cells = ((*stream, *kind), (&keys.values, spill));
            let writer = self.writer(manifest, LoadFile::Axis, spill.begun(*stream))?;
            return write_axis_of_cells(build, cells, hashes, self.slot_count, writer);
        }
        let builder = AxisBuilder::new(build, values, self.slot_count)?.with_hashes(hashes);
        builder.write(build, self.writer(manifest, LoadFile::Axis, None)?)
    }

    fn write_column(
        &self,
        manifest: &Manifest,
        file: LoadFile,
        (values, numbered): (&ValueStreams, Option<&NumberedRuns>),
        build: &mut Build<'_, '_>,
    ) -> Result<Option<FileEntry>> {
        let limit = self.share();
        let rows_spill = &self.streams.spill;
        let writer = || self.writer(manifest, file, None);
        let Some((slots_spill, rows_numbered)) = &self.numbering else {
            if is_written_as_it_is(values) {
                let begun = match values.form() {
                    Form::Cells { stream, .. } => rows_spill.begun(*stream),
                    _ => None,
                };
                let writer = self.writer(manifest, file, begun)?;
                return write_as_it_is(build, ((values, rows_spill), numbered), self.slot_count, writer).map(Some);
            }
            let mut values = SlotValues { spill: rows_spill, reader: RowValues::new(values, rows_spill)? };
            let Some(builder) = ColumnBuilder::new(build, &mut values, self.slot_count)? else { return Ok(None) };
            return builder.write(build, writer()?).map(|(file, _)| Some(file));
        };
        let mut ordered = Spill::new(Arc::clone(rows_spill.storage()), limit);
        let reader = RowValues::new(values, rows_spill)?;
        let slots = (rows_numbered.numbers, slots_spill);
        let stream = in_slot_order((reader, rows_spill), slots, (&mut ordered, limit), build.meter)?;
        let mut values = SlotValues { spill: &ordered, reader: ValueReader::new(stream) };
        let Some(builder) = ColumnBuilder::new(build, &mut values, self.slot_count)? else { return Ok(None) };
        builder.write(build, writer()?).map(|(file, _)| Some(file))
    }
}

/// A file to be written.
struct FileJob<'s> {
    file: LoadFile,
    /// The values of the dimension whose column it is; none for the axis.
    values: Option<&'s ValueStreams>,
    /// Bytes to read.
    work: u64,
}
