//! Writes the `.db` file of the Python package `vector_datalib` (chapter `format-spec/canonical.md`).
//!
//! The header of the frame holds the length of its content, and every map starts with its count, so each column is read
//! twice or more: first a survey that counts and measures, then the writing, which must come to the same length. The same
//! state gives the same bytes. Memory holds the distinct values of one dimension at a time (16 to 40 bytes for each,
//! whatever its length), plus [`KEPT_LEN_MAX`] for value ids that need not be found again; never the output.
//!
//! Depends on the model and the hash of values; what it reads and writes comes in through [`Source`] and [`Write`].

mod encode;
mod ids;
pub(crate) mod read;
mod survey;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use time::isoformat;

use crate::model::{KeyRef, Slot, ValueRef};
use encode::{array_len, map_len, text, uint, value};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::fmt;
use std::io::{self, Write};
use std::ops::ControlFlow;
use survey::{Axis, Column, each_cell};

/// `metadata.version` of a database that was not imported.
pub(crate) const VERSION: &str = "1.4.0-beta";

/// Bytes of value ids that are kept from the survey for the writing, over all dimensions. Dimensions beyond it are hashed again.
const KEPT_LEN_MAX: usize = 64 << 20;

/// How many keys or cells are visited between two reports of progress.
const REPORT_INTERVAL: u32 = 4096;

/// What the writer reads: a database at one point in time, which gives the same answers however often it is asked.
pub(crate) trait Source {
    /// Why a read can fail.
    type Error;

    /// One above the last slot.
    fn slot_count(&self) -> u32;

    /// The key at a slot; `None` for a tombstone.
    fn key(&self, slot: Slot) -> Result<Option<KeyRef<'_>>, Self::Error>;

    /// How many dimensions there are.
    fn dimension_count(&self) -> usize;

    /// The name of a dimension; they are numbered in the order of first use.
    fn dimension_name(&self, dimension: usize) -> &str;

    /// The value of a dimension at a slot. A slot without a key has none.
    fn cell(&self, dimension: usize, slot: Slot) -> Result<Option<ValueRef<'_>>, Self::Error>;

    /// The first value of a dimension at `from` or after it. Worth overriding where dimensions are sparse.
    fn next_cell(&self, dimension: usize, from: Slot) -> Result<Option<(Slot, ValueRef<'_>)>, Self::Error> {
        for slot in (from.0..self.slot_count()).map(Slot) {
            if let Some(value) = self.cell(dimension, slot)? {
                return Ok(Some((slot, value)));
            }
        }
        Ok(None)
    }
}

/// What the file says about itself. The times are as [`isoformat`] makes them.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) version: String,
    pub(crate) created_at: String,
    pub(crate) last_modified: String,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    /// Keys.
    pub(crate) points: u32,
    /// Cells of all dimensions.
    pub(crate) cells: u64,
    /// Bytes of MessagePack, before compression.
    pub(crate) content_len: u64,
}

/// Why nothing usable was written.
#[derive(Debug)]
pub(crate) enum WriteError<E> {
    /// The output failed.
    Io(io::Error),
    /// The database could not be read.
    Source(E),
    /// The caller asked to stop.
    Cancelled,
}

impl<E: fmt::Display> fmt::Display for WriteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => fmt::Display::fmt(error, f),
            Self::Source(error) => fmt::Display::fmt(error, f),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl<E> From<io::Error> for WriteError<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The source gave other answers than before, or more than the format can count.
fn inconsistent<E>(what: &'static str) -> WriteError<E> {
    WriteError::Io(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Writes a database to `out`, in pieces of up to 64 KiB; `out` is neither buffered nor flushed here.
///
/// `progress` is told how many of all cells are done (an empty cell counts too, and each is visited three times), and stops
/// the writing by [`ControlFlow::Break`].
pub(crate) fn write<S: Source, W: Write>(
    source: &S,
    metadata: &Metadata,
    out: W,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Summary, WriteError<S::Error>> {
    write_keeping(source, metadata, out, progress, KEPT_LEN_MAX)
}

fn write_keeping<S: Source, W: Write>(
    source: &S,
    metadata: &Metadata,
    out: W,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    mut kept_len_max: usize,
) -> Result<Summary, WriteError<S::Error>> {
    let columns = u64::try_from(source.dimension_count()).unwrap_or(u64::MAX).saturating_add(1);
    let slots = u64::from(source.slot_count());
    let mut progress = Progress {
        report: progress,
        slots,
        before: 0,
        done: 0,
        total: columns.saturating_mul(slots).saturating_mul(3),
        visits: 0,
    };

    let axis = Axis::survey(source, &mut progress)?;
    let mut columns = Vec::new();
    for dimension in 0..source.dimension_count() {
        let column = Column::survey(source, dimension, kept_len_max, &mut progress)?;
        kept_len_max = kept_len_max.saturating_sub(column.kept_len());
        columns.push(column);
    }
    let contents = Contents { source, metadata, axis, columns };

    let mut measure = Out::<io::Sink> { frame: None, len: 0 };
    contents.write(&mut measure, &mut progress)?;

    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Linked)
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(measure.len));
    let mut out = Out { frame: Some(FrameEncoder::with_frame_info(info, out)), len: 0 };
    contents.write(&mut out, &mut progress)?;
    if out.len != measure.len {
        return Err(inconsistent("the database changed while it was written"));
    }
    if let Some(mut frame) = out.frame {
        frame.try_finish().map_err(io::Error::from)?;
    }
    Ok(Summary {
        points: contents.axis.live,
        cells: contents.columns.iter().fold(0, |sum, column| sum.saturating_add(u64::from(column.cells))),
        content_len: measure.len,
    })
}

/// Tells the caller how far the writing is.
struct Progress<'a> {
    report: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    slots: u64,
    /// Slots of the columns that are done.
    before: u64,
    /// What was reported last: never less again, though keys may be visited once more than planned.
    done: u64,
    total: u64,
    visits: u32,
}

impl Progress<'_> {
    /// The column in hand is done up to `slot`.
    fn at<E>(&mut self, slot: Slot) -> Result<(), WriteError<E>> {
        self.visits = self.visits.wrapping_add(1);
        if self.visits.is_multiple_of(REPORT_INTERVAL) { self.report(u64::from(slot.0)) } else { Ok(()) }
    }

    /// The column in hand is done.
    fn column<E>(&mut self) -> Result<(), WriteError<E>> {
        self.before = self.before.saturating_add(self.slots);
        self.report(0)
    }

    fn report<E>(&mut self, done: u64) -> Result<(), WriteError<E>> {
        self.done = self.done.max(self.before.saturating_add(done));
        match (self.report)(self.done, self.total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(WriteError::Cancelled),
        }
    }
}

/// Counts what goes through it, and compresses it if it has a frame.
struct Out<W: Write> {
    frame: Option<FrameEncoder<W>>,
    len: u64,
}

impl<W: Write> Out<W> {
    /// Whether this only measures; then a part of `len` bytes, which the survey measured, counts as written.
    fn measures(&mut self, len: u64) -> bool {
        if self.frame.is_none() {
            self.len = self.len.saturating_add(len);
        }
        self.frame.is_none()
    }
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(frame) = &mut self.frame {
            frame.write_all(bytes)?;
        }
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything the file holds, surveyed.
struct Contents<'a, S> {
    source: &'a S,
    metadata: &'a Metadata,
    axis: Axis,
    columns: Vec<Column>,
}

impl<S: Source> Contents<'_, S> {
    fn write<W: Write>(&self, out: &mut Out<W>, progress: &mut Progress<'_>) -> Result<(), WriteError<S::Error>> {
        map_len(out, 2)?;
        text(out, "metadata")?;
        map_len(out, 5)?;
        for (name, of) in [
            ("version", &self.metadata.version),
            ("created_at", &self.metadata.created_at),
            ("last_modified", &self.metadata.last_modified),
        ] {
            text(out, name)?;
            text(out, of)?;
        }
        text(out, "total_vector_points")?;
        uint(out, u64::from(self.axis.live))?;
        text(out, "total_dimensions")?;
        uint(out, u64::try_from(self.columns.len()).unwrap_or(u64::MAX))?;

        text(out, "database")?;
        map_len(out, 3)?;
        text(out, "central_axis")?;
        self.write_axis(out, progress)?;
        text(out, "dimensional_spaces")?;
        map_len(out, self.columns.len())?;
        for (dimension, column) in self.columns.iter().enumerate() {
            text(out, self.source.dimension_name(dimension))?;
            self.write_space(dimension, column, out, progress)?;
        }
        text(out, "coordinate_mappings")?;
        map_len(out, self.columns.len())?;
        for (dimension, column) in self.columns.iter().enumerate() {
            text(out, self.source.dimension_name(dimension))?;
            self.write_mapping(dimension, column, out, progress)?;
        }
        Ok(())
    }

    fn write_axis<W: Write>(&self, out: &mut Out<W>, progress: &mut Progress<'_>) -> Result<(), WriteError<S::Error>> {
        let axis = &self.axis;
        map_len(out, 3)?;
        text(out, "vector_points")?;
        array_len(out, axis.slots)?;
        if !out.measures(axis.points_len) {
            for slot in (0..axis.slots).map(Slot) {
                match self.source.key(slot).map_err(WriteError::Source)? {
                    Some(key) => value(out, key.value(), axis.form(slot))?,
                    None => encode::nil(out)?,
                }
                progress.at(slot)?;
            }
            progress.column()?;
        }
        text(out, "coordinate_map")?;
        array_len(out, axis.live)?;
        if !out.measures(axis.map_len) {
            for slot in (0..axis.slots).map(Slot) {
                if let Some(key) = self.source.key(slot).map_err(WriteError::Source)? {
                    encode::key_and_slot(out, key.value(), axis.form(slot), slot)?;
                }
                progress.at(slot)?;
            }
        }
        text(out, "free_slots")?;
        array_len(out, axis.free())?;
        if !out.measures(axis.free_len) {
            let all = if axis.free() == 0 { 0 } else { axis.slots };
            for slot in (0..all).rev().map(Slot) {
                if self.source.key(slot).map_err(WriteError::Source)?.is_none() {
                    uint(out, u64::from(slot.0))?;
                }
                progress.at(Slot(axis.slots))?;
            }
            progress.column()?;
        }
        Ok(())
    }

    fn write_space<W: Write>(
        &self,
        dimension: usize,
        column: &Column,
        out: &mut Out<W>,
        progress: &mut Progress<'_>,
    ) -> Result<(), WriteError<S::Error>> {
        map_len(out, 2)?;
        text(out, "value_domain")?;
        map_len(out, column.values)?;
        if !out.measures(column.domain_len) {
            each_cell(self.source, dimension, column.kept.as_ref(), progress, |cell| {
                if let Some((form, of)) = cell.first {
                    uint(out, u64::from(cell.id))?;
                    value(out, of, form)?;
                }
                Ok(())
            })?;
        }
        text(out, "next_id")?;
        uint(out, u64::from(column.values).saturating_add(1))?;
        Ok(())
    }

    fn write_mapping<W: Write>(
        &self,
        dimension: usize,
        column: &Column,
        out: &mut Out<W>,
        progress: &mut Progress<'_>,
    ) -> Result<(), WriteError<S::Error>> {
        map_len(out, 2)?;
        text(out, "coordinate_to_value_id")?;
        map_len(out, column.cells)?;
        let mut counts = ids::Counts::default();
        if !out.measures(column.mapping_len) {
            each_cell(self.source, dimension, column.kept.as_ref(), progress, |cell| {
                counts.add(cell.id);
                encode::pair(out, cell.slot.0, cell.id)
            })?;
        }
        text(out, "ref_counts")?;
        map_len(out, column.values)?;
        if !out.measures(column.counts_len) {
            for (id, count) in counts.iter() {
                encode::pair(out, id, count)?;
            }
        }
        Ok(())
    }
}
