//! A canonical `.db` file becomes a new database, in bounded memory.
//!
//! The file is read once: keys, values by id and ids by coordinate are put aside as they come ([`gather`]), so the order of fields does
//! not matter. Then keys are checked ([`keys`]), and one file is built after the other, each dimension's cells and values brought together
//! on the way ([`join`], [`first_use`]). `vector_points` is the truth about keys; what follows from the rest is compared and counted, never used.

mod decode;
mod first_use;
mod gather;
mod ids;
mod join;
mod keys;
mod report;
mod unnamed;

pub use report::{ImportReport, Losses, Repairs};

use self::decode::{Container, Decoded};
use self::first_use::by_first_use;
use self::gather::{Dimension, Fingerprint, Gathered, Hasher, Keys, NOTES_MAX};
use self::ids::RepeatedId;
use self::join::{Cells, Survey};
use self::keys::SlotKeys;
use super::axis_builder::AxisBuilder;
use super::block_writer::{BlockWriter, FileSpec, Unsynced};
use super::column_builder::PresentSlots;
use super::database::{new_manifest, replace_manifest};
use super::late_values::Arrivals;
use super::meter::Meter;
use super::numbered_column::{NumberedCells, NumberedColumn};
use super::numbering::Build;
use super::spill::Spill;
use crate::error::{Error, Result};
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, Identity, NO_DIMENSION};
use crate::format::canonical::read::{ImportLimits, quoted};
use crate::format::manifest::{DimensionEntry, FileEntry, Manifest, axis_name, column_name};
use crate::progress::ProgressFn;
use crate::storage::{ReplaceError, SourceFile, Storage};
use std::path::Path;
use std::sync::Arc;

/// Losses that are named.
const LOST_MAX: usize = 20;

/// How to import.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImportOptions {
    /// Bytes.
    pub(crate) memory_budget: usize,
    pub(crate) limits: ImportLimits,
    /// Save what can be saved of a file that contradicts itself.
    pub(crate) salvage: bool,
}

/// Writes the database that a file holds into an empty directory.
pub(crate) fn import(
    source: &SourceFile,
    storage: Arc<dyn Storage>,
    options: ImportOptions,
    progress: &mut ProgressFn<'_>,
) -> Result<ImportReport> {
    let limit = Build::share(options.memory_budget);
    let spill = Spill::new(Arc::clone(&storage), limit);
    let mut gathered = Gathered::new(spill, options.salvage);
    let Decoded { container, trailing } =
        decode::decode(source, &options.limits, &mut gathered, ("reading", progress))?;
    let mut losses = Losses::default();
    let mut lost = Vec::new();
    let mut null_key = None;
    if !keys::agree(&gathered) {
        let found = keys::disagreement(source, &options.limits, &gathered, (limit, !options.salvage), progress)?;
        if !options.salvage {
            return Err(contradiction(source.path(), "coordinate_map", found.reason(), true));
        }
        gathered.repairs.unmapped_points = found.unmapped;
        losses.coordinates = found.entries;
        losses.null_keys = found.null_key.iter().count() as u64;
        null_key = found.null_key;
        lost = found.places;
    }
    let Gathered {
        spill,
        hasher,
        keys,
        free_slots,
        mut dimensions,
        metadata,
        totals,
        mut repairs,
        mut notes,
        unnamed,
        has_spaces,
        has_mappings,
        ..
    } = gathered.without_names();
    let (dimensions_lost, places) = unnamed.into_losses();
    losses.dimensions = dimensions_lost;
    lost.extend(places);
    lost.truncate(LOST_MAX);
    repairs.trailing_bytes = trailing;
    repairs.trailing_tombstones = keys.slots - u64::from(keys.slot_count);
    // Releases before 1.4 did not have all fields.
    if container != Container::Lz4 {
        repairs.missing_fields = 0;
        notes.clear();
    }
    for dimension in &dimensions {
        let missing = match dimension.space {
            None if has_spaces => "dimensional_spaces",
            Some(_) if has_mappings && !dimension.has_mapping && dimension.value_count > 0 => "coordinate_mappings",
            _ => continue,
        };
        repairs.missing_fields += 1;
        if notes.len() < NOTES_MAX {
            notes.push(format!("there is no {missing}[{}]", quoted(&dimension.name)));
        }
    }
    // Those without a space come last.
    dimensions.sort_by_key(|dimension| dimension.space.unwrap_or(u32::MAX));
    let new = new_manifest(metadata.properties());
    let manifest = Manifest { generation: 1, last_sequence: 1, last_commit_time: new.created_at, ..new };
    let (container, version) = (container.name(), metadata.version);
    let report = ImportReport { container, version, points: 0, dimensions: 0, cells: 0, repairs, losses, lost, notes };
    let with_key = null_key.map(|slot| {
        let mut with_key = keys.live.clone();
        with_key.insert(slot);
        with_key
    });
    let held = Held { spill, hasher, keys, with_key, free_slots, totals };
    Importer { source, storage, options, manifest, unsynced: Unsynced::default(), report }
        .run(held, dimensions, progress)
}

/// What cannot be true; whether a salvage would get past it.
fn contradiction(path: &Path, place: &str, reason: String, salvage: bool) -> Error {
    Error::Rejected { path: path.to_owned(), place: format!("in {place}"), reason, salvage }
}

/// What was read, as far as building files needs it.
struct Held {
    spill: Spill,
    hasher: Hasher,
    keys: Keys,
    /// The slots that had a point, where one of them had a key of null.
    with_key: Option<PresentSlots>,
    free_slots: Option<Fingerprint>,
    totals: [Option<i128>; 2],
}

/// Builds the files.
struct Importer<'a> {
    source: &'a SourceFile,
    storage: Arc<dyn Storage>,
    options: ImportOptions,
    manifest: Manifest,
    unsynced: Unsynced,
    report: ImportReport,
}

impl Importer<'_> {
    fn run(
        mut self,
        mut held: Held,
        dimensions: Vec<Dimension>,
        progress: &mut ProgressFn<'_>,
    ) -> Result<ImportReport> {
        let files = dimensions.len() as u64 + 1;
        let mut meter = Meter::new(progress, "writing columns", files * u64::from(held.keys.slot_count));
        let live = self.live(&held, &mut meter)?;
        self.write_axis(&held, &live, &mut meter)?;
        for dimension in dimensions {
            self.import_dimension(dimension, &mut held, &live, &mut meter)?;
        }
        self.manifest.next_dimension_id = self.manifest.dimensions.len() as u64;
        self.report.dimensions = self.manifest.dimensions.len() as u64;
        let real = [i128::from(self.report.points), i128::from(self.report.dimensions)];
        let wrong = held.totals.iter().zip(real).filter(|(stored, real)| stored.is_some_and(|stored| stored != *real));
        self.report.repairs.totals = wrong.count() as u64;
        self.unsynced.sync()?;
        self.storage.sync_directory()?;
        replace_manifest(&*self.storage, &self.manifest).map_err(ReplaceError::into_storage_error)?;
        Ok(self.report)
    }

    fn build<'b, 'p>(&self, meter: &'b mut Meter<'p>) -> Build<'b, 'p> {
        Build::new(Arc::clone(&self.storage), self.options.memory_budget, self.manifest.hash_seed, meter)
    }

    /// What a new file is, apart from its contents.
    fn spec<'s>(
        manifest: &mut Manifest,
        (storage, unsynced): (&'s dyn Storage, &'s Unsynced),
        name: String,
        magic: [u8; 8],
    ) -> FileSpec<'s> {
        let identity = Identity { database_id: manifest.database_id, file_id: manifest.next_file_id };
        manifest.next_file_id += 1;
        let generation = manifest.generation;
        FileSpec { storage, unsynced, name, magic, identity, generation, dimension_id: NO_DIMENSION }
    }

    fn lose(&mut self, places: Vec<String>) {
        self.report.lost.extend(places);
        self.report.lost.truncate(LOST_MAX);
    }

    /// The slots that have a point.
    fn live(&mut self, held: &Held, meter: &mut Meter<'_>) -> Result<PresentSlots> {
        let mut build = self.build(meter);
        let repeated = keys::repeated(&mut build, &held.keys, &held.spill)?;
        if let Some(place) = repeated.places.first()
            && (!self.options.salvage || repeated.is_incomplete)
        {
            let salvage = !repeated.is_incomplete;
            return Err(contradiction(self.source.path(), "vector_points", place.clone(), salvage));
        }
        let live = held.keys.live.without(&repeated.superseded);
        self.report.losses.repeated_keys = repeated.superseded.count();
        self.lose(repeated.places);
        self.report.points = live.count();
        Ok(live)
    }

    fn write_axis(&mut self, held: &Held, live: &PresentSlots, meter: &mut Meter<'_>) -> Result<()> {
        let slot_count = held.keys.slot_count;
        let mut free = Fingerprint::default();
        for slot in 0..slot_count {
            if !held.keys.live.contains(slot) {
                free.add(held.hasher.number(slot.into()));
            }
            meter.step()?;
        }
        self.report.repairs.free_slots = u64::from(held.free_slots.is_some_and(|stored| stored != free));
        self.manifest.slot_count = slot_count;
        self.manifest.point_count = live.count() as u32;
        if slot_count == 0 {
            return Ok(());
        }
        let mut build = self.build(meter);
        let mut keys = SlotKeys::new(&held.keys, live, &held.spill);
        let builder = AxisBuilder::new(&mut build, &mut keys, slot_count)?;
        let spec = Self::spec(&mut self.manifest, (&*self.storage, &self.unsynced), axis_name(1), AXIS_MAGIC);
        self.manifest.axis = Some(builder.write(&mut build, BlockWriter::create(spec)?)?);
        Ok(())
    }

    fn import_dimension(
        &mut self,
        mut dimension: Dimension,
        held: &mut Held,
        live: &PresentSlots,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        let limit = Build::share(self.options.memory_budget);
        meter.add(0)?;
        let cells = std::mem::replace(&mut dimension.cells, Arrivals::new(&mut held.spill));
        let with_key = held.with_key.as_ref().unwrap_or(&held.keys.live);
        let has_point = |slot| with_key.contains(slot);
        let cells = cells.ordered_where(has_point, (&mut held.spill, limit), meter)?;
        dimension.ghosts += cells.passed_over;
        if let Some(slot) = cells.repeated {
            let reason = format!("coordinate {slot} has more than one value id");
            return Err(self.contradiction("coordinate_mappings", &dimension, reason, false));
        }
        let mut build = self.build(meter);
        let values = join::number_values(&mut build, &dimension, &held.spill)?;
        let mut slots = Cells::new(cells.stream, &held.spill, live, with_key);
        let (joined, survey) = match join::join(&mut build, &dimension, &values, &mut slots, held.hasher)? {
            Ok(joined) => joined,
            Err(RepeatedId(id)) => {
                let reason = format!("more than one value has the id {id}");
                return Err(self.contradiction("dimensional_spaces", &dimension, reason, false));
            }
        };
        self.count(&dimension, &survey)?;
        if joined.count == 0 {
            build.meter.add(held.keys.slot_count.into())?;
        }
        // A mapping without a space and without cells is no dimension.
        if dimension.space.is_some() {
            let file = if joined.count == 0 {
                None
            } else {
                let cells = by_first_use(&mut build, &joined, (&dimension, &values, &held.spill))?;
                self.report.repairs.repeated_values += survey.used_values - cells.numbered.distinct;
                Some(self.write_column(&mut build, cells, held.keys.slot_count)?)
            };
            let id = self.manifest.dimensions.len() as u32;
            self.manifest.dimensions.push(DimensionEntry { id, name: (*dimension.name).to_owned(), file });
        }
        held.spill.clear(cells.stream);
        held.spill.clear(dimension.values);
        Ok(())
    }

    fn contradiction(&self, part: &str, dimension: &Dimension, reason: String, salvage: bool) -> Error {
        contradiction(self.source.path(), &format!("{part}[{}]", quoted(&dimension.name)), reason, salvage)
    }

    /// Counts what was wrong with a dimension.
    fn count(&mut self, dimension: &Dimension, survey: &Survey) -> Result<()> {
        if let Some((slot, id)) = survey.first_missing {
            let reason = format!("coordinate {slot} has the value id {id}, which has no value");
            if !self.options.salvage {
                return Err(self.contradiction("coordinate_mappings", dimension, reason, true));
            }
            let (name, missing) = (quoted(&dimension.name), survey.missing);
            let cells = if missing == 1 { "cell" } else { "cells" };
            self.lose(vec![format!("{missing} {cells} of dimension {name}: {reason}")]);
        }
        if dimension.value_count > 0 && survey.cells == 0 && self.report.notes.len() < NOTES_MAX {
            let (name, count) = (quoted(&dimension.name), dimension.value_count);
            self.report.notes.push(format!("no point has a value of the dimension {name}, which has {count}"));
        }
        let repairs = &mut self.report.repairs;
        repairs.ref_counts += u64::from(dimension.ref_counts.is_some_and(|stored| stored != survey.uses));
        let next_id = dimension.next_id.zip(dimension.ids);
        repairs.next_ids += u64::from(next_id.is_some_and(|(next, (_, highest))| next <= i128::from(highest)));
        repairs.ghost_mappings += survey.ghosts;
        repairs.unused_values += dimension.value_count - survey.used_values;
        self.report.losses.cells += survey.missing + survey.superseded;
        self.report.cells += survey.cells;
        Ok(())
    }

    fn write_column(&mut self, build: &mut Build<'_, '_>, cells: NumberedCells, slot_count: u32) -> Result<FileEntry> {
        let id = self.manifest.dimensions.len() as u32;
        let column = NumberedColumn::new(build, cells, slot_count)?;
        let spec = Self::spec(&mut self.manifest, (&*self.storage, &self.unsynced), column_name(id, 1), COLUMN_MAGIC);
        column.write(build, BlockWriter::create(FileSpec { dimension_id: id, ..spec })?)
    }
}
