//! The canonical `.db` file of a state, in bounded memory.
//!
//! Every map starts with its count, so there is a survey that counts before the writing. The length of the content, which the header of
//! the frame holds, is put there at the end. The same state gives the same bytes, whatever the memory budget.
//!
//! Value ids are numbers by first occurrence. Those of a dimension whose values all differ need no finding, those of one that is
//! dictionary-encoded as a whole are found in passing; the others are numbered in bounded memory ([`numbering`](super::numbering)) and kept
//! from the survey to the writing, 4 bytes a cell, in a spill.

mod axis;
mod column;
mod equality;
mod ids;
mod metadata;
mod output;
mod ref_counts;
mod values;
mod work;

pub use metadata::Metadata;
pub(crate) use work::Scratch;

use super::database::State;
use super::meter::Meter;
use super::scan::Segments;
use super::spill::Spill;
use super::state::DimensionView;
use super::view::Changes;
use crate::error::Result;
use crate::format::canonical::encode;
use crate::format::canonical::structure::{self, AxisCounts, Contents, DimensionCounts, Part};
use crate::progress::ProgressFn;
use axis::{Axis, Keys};
use column::Column;
use output::{Output, WriteError, compress};
use ref_counts::RefCounts;
use std::io::{Seek, Write};
use std::path::Path;
use work::Work;

/// How often a column is visited: once for the survey, twice for the writing.
const VISIT_COUNT: u64 = 3;

impl State {
    /// Writes the canonical file. `path` is for messages.
    pub(crate) fn export(
        &self,
        out: impl Write + Seek + Send,
        path: &Path,
        scratch: &Scratch,
        progress: &mut ProgressFn<'_>,
    ) -> Result<()> {
        Survey::new(self, scratch, progress)
            .and_then(|mut survey| compress(out, |out| structure::write(&mut survey, out)))
            .map_err(|error| error.into_error(path))
    }
}

/// Everything that the file holds, counted.
struct Survey<'s, 'p> {
    metadata: structure::Metadata,
    dimensions: Vec<DimensionView<'s>>,
    /// What the overlays have changed.
    changes: Changes,
    keys: Keys<'s>,
    axis: Axis,
    columns: Vec<Column>,
    /// The ids, and who is wrapped.
    kept: Spill,
    /// Bytes that the counts of ids may take.
    counts_len: usize,
    /// Those of the dimension in hand.
    ref_counts: Option<RefCounts>,
    meter: Meter<'p>,
}

impl<'s, 'p> Survey<'s, 'p> {
    fn new<'f: 'p>(state: &'s State, scratch: &Scratch, progress: &'p mut ProgressFn<'f>) -> Result<Self, WriteError> {
        let dimensions = state.dimensions();
        let total = (dimensions.len() as u64 + 1) * u64::from(state.slot_count()) * VISIT_COUNT;
        let mut meter = Meter::new(progress, "exporting", total);
        let mut kept = scratch.spill();
        let changes = state.changes();
        let keys = Keys::new(state, &changes)?;
        let mut work = Work::new(scratch, &mut kept, &mut meter);
        let axis = Axis::survey(&keys, &mut work)?;
        let mut columns = Vec::with_capacity(dimensions.len());
        for &dimension in &dimensions {
            columns.push(Column::survey(&Segments::since(dimension, &changes), &mut work)?);
        }
        let counts_len = work.counts_len();
        let metadata = state.canonical_metadata();
        Ok(Self { metadata, dimensions, changes, keys, axis, columns, kept, counts_len, ref_counts: None, meter })
    }
}

impl Contents for Survey<'_, '_> {
    type Out = Output;
    type Error = WriteError;

    fn metadata(&self) -> &structure::Metadata {
        &self.metadata
    }

    fn axis(&self) -> AxisCounts {
        AxisCounts { slots: self.axis.slots, points: self.axis.points }
    }

    fn dimension_count(&self) -> usize {
        self.columns.len()
    }

    fn dimension(&self, number: usize) -> DimensionCounts<'_> {
        let name = self.dimensions.get(number).map_or("", |dimension| dimension.name());
        let (cells, values) = self.columns.get(number).map_or((0, 0), |column| (column.cells, column.values));
        DimensionCounts { name, cells, values }
    }

    fn elements(&mut self, part: Part, out: &mut Output) -> Result<(), WriteError> {
        let Self { axis, keys, kept, meter, .. } = self;
        match part {
            Part::Points => axis.write_points(keys, kept, meter, out),
            Part::CoordinateMap => axis.write_map(keys, kept, meter, out),
            Part::FreeSlots => axis.write_free(keys, meter, out),
            Part::ValueDomain(number) | Part::ValueIds(number) | Part::RefCounts(number) => {
                let (Some(&dimension), Some(column)) = (self.dimensions.get(number), self.columns.get(number)) else {
                    return Ok(());
                };
                let segments = || Segments::since(dimension, &self.changes);
                match part {
                    Part::ValueDomain(_) => {
                        column.write_domain(&segments(), kept, meter, out)?;
                        Ok(meter.add(keys.slot_count().into())?)
                    }
                    Part::ValueIds(_) => {
                        let counts = column.write_ids(&segments(), self.counts_len, kept, meter, out)?;
                        self.ref_counts = Some(counts);
                        Ok(())
                    }
                    _ => {
                        if let Some(counts) = self.ref_counts.take() {
                            counts.each(kept, meter, |id, count| Ok(encode::pair(out, id, count)?))?;
                        }
                        column.clear(kept);
                        Ok(())
                    }
                }
            }
        }
    }
}
