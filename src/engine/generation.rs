//! The files of one generation, mapped.

use super::axis_tiers::AxisTiers;
use super::base_axis::BaseAxis;
use super::base_column::BaseColumn;
use super::block_file::{BlockFile, OpenError};
use super::cells::Filled;
use super::column_tiers::ColumnTiers;
use super::patch::Patch;
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, NO_DIMENSION};
use crate::format::manifest::{FileEntry, MANIFEST_NAME, Manifest, axis_name, column_name, patch_name};
use crate::model::{DimensionId, ValueRef};
use crate::storage::Storage;
use hashbrown::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A dimension of the base.
#[derive(Debug)]
pub(super) struct BaseDimension {
    pub(super) id: DimensionId,
    pub(super) name: Arc<str>,
    pub(super) column: ColumnTiers,
}

/// Everything that a manifest names.
#[derive(Debug)]
pub(super) struct Generation {
    /// The directory, for messages.
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    axis: AxisTiers,
    dimensions: Vec<BaseDimension>,
    /// The newest first.
    patches: Vec<Arc<Patch>>,
    by_name: HashMap<Arc<str>, usize>,
    by_id: HashMap<DimensionId, usize>,
}

impl Generation {
    /// Reads `MANIFEST`; `None` when there is none.
    pub(super) fn read_manifest(storage: &dyn Storage) -> Result<Option<Manifest>> {
        let Some(region) = storage.read(MANIFEST_NAME)? else { return Ok(None) };
        // Archives are read at aligned addresses.
        let mut aligned = rkyv::util::AlignedVec::<16>::with_capacity(region.len());
        aligned.extend_from_slice(&region);
        match Manifest::decode(&aligned) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(invalid) => Err(Error::corrupt(&storage.path().join(MANIFEST_NAME), invalid)),
        }
    }

    /// Opens every file of a manifest, taking those that an older generation has open from there.
    pub(super) fn open(storage: &dyn Storage, manifest: Manifest, previous: Option<&Self>) -> Result<Self, OpenError> {
        let base_axis = match manifest.axis {
            None => None,
            Some(entry) => Some(open_axis(storage, &manifest, entry, previous)?),
        };
        let mut patches = Vec::with_capacity(manifest.patches.len());
        for &entry in manifest.patches.iter().rev() {
            patches.push(open_patch(storage, &manifest, entry, previous)?);
        }
        let axis = AxisTiers::new(base_axis, &patches);
        if !axis.has_room_for(manifest.slot_count)? {
            let invalid = Invalid::new(120, "manifest", "more slots than its files have");
            return Err(OpenError::Failed(Error::corrupt(&storage.path().join(MANIFEST_NAME), invalid)));
        }
        let mut dimensions = Vec::with_capacity(manifest.dimensions.len());
        for dimension in &manifest.dimensions {
            let id = DimensionId(dimension.id);
            let column = match dimension.file {
                None => None,
                Some(entry) => Some(open_column(storage, &manifest, id, entry, previous)?),
            };
            let deltas = patches.iter().filter_map(|patch| patch.dimension(id).map(Arc::clone)).collect();
            let column = ColumnTiers::new(column, deltas);
            dimensions.push(BaseDimension { id, name: dimension.name.as_str().into(), column });
        }
        let by_name = dimensions.iter().enumerate().map(|(index, d)| (Arc::clone(&d.name), index)).collect();
        let by_id = dimensions.iter().enumerate().map(|(index, d)| (d.id, index)).collect();
        Ok(Self { path: storage.path().to_owned(), manifest, axis, dimensions, patches, by_name, by_id })
    }

    pub(super) fn axis(&self) -> &AxisTiers {
        &self.axis
    }

    /// The newest first.
    pub(super) fn patches(&self) -> &[Arc<Patch>] {
        &self.patches
    }

    pub(super) fn dimensions(&self) -> &[BaseDimension] {
        &self.dimensions
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&BaseDimension> {
        self.dimensions.get(*self.by_name.get(name)?)
    }

    /// A dimension's files.
    #[inline]
    pub(super) fn column(&self, id: DimensionId) -> Option<&ColumnTiers> {
        Some(&self.dimensions.get(*self.by_id.get(&id)?)?.column)
    }

    pub(super) fn is_used(&self, slot: u32) -> Result<bool> {
        Ok(self.axis.tier_of(slot)?.is_some())
    }

    /// Whether a slot has a value in a dimension, and whether that is null.
    pub(super) fn state(&self, id: DimensionId, slot: u32) -> Result<Option<Filled>> {
        let Some(column) = self.column(id) else { return Ok(None) };
        match self.axis.tier_of(slot)? {
            Some(tier) => column.state(slot, tier),
            None => Ok(None),
        }
    }

    /// The value of a slot in a dimension; `None` for a free slot.
    pub(super) fn cell(&self, id: DimensionId, slot: u32) -> Result<Option<ValueRef<'_>>> {
        let Some(column) = self.column(id) else { return Ok(None) };
        match self.axis.tier_of(slot)? {
            Some(tier) => column.get(slot, tier),
            None => Ok(None),
        }
    }

    /// The number of points after one was deleted. Only an axis with fewer tombstones than it states has more keys than points.
    pub(super) fn one_point_less(&self, point_count: u32) -> Result<u32> {
        point_count.checked_sub(1).ok_or_else(|| {
            let invalid = Invalid::new(16, "tombstones", "there are fewer than the axis states");
            let name = self.manifest.axis.map_or_else(|| MANIFEST_NAME.to_owned(), |entry| axis_name(entry.generation));
            Error::corrupt(&self.path.join(name), invalid)
        })
    }

    pub(super) fn next_free(&self, from: u32) -> Result<Option<u32>> {
        self.axis.next_free(from)
    }

    /// Names and lengths of all files.
    pub(super) fn files(&self) -> Vec<(String, u64)> {
        files(&self.manifest)
    }
}

/// Names and lengths of all files that a manifest names.
pub(super) fn files(manifest: &Manifest) -> Vec<(String, u64)> {
    let axis = manifest.axis.map(|entry| (axis_name(entry.generation), entry.file_len));
    let columns = manifest.dimensions.iter().filter_map(|dimension| {
        dimension.file.map(|entry| (column_name(dimension.id, entry.generation), entry.file_len))
    });
    let patches = manifest.patches.iter().map(|entry| (patch_name(entry.generation), entry.file_len));
    axis.into_iter().chain(columns).chain(patches).collect()
}

fn open_axis(
    storage: &dyn Storage,
    manifest: &Manifest,
    entry: FileEntry,
    previous: Option<&Generation>,
) -> Result<Arc<BaseAxis>, OpenError> {
    let shared = previous.and_then(|generation| generation.axis.shared_base());
    if let Some(axis) = shared.filter(|axis| axis.file().entry() == entry) {
        return Ok(Arc::clone(axis));
    }
    let name = axis_name(entry.generation);
    let file = BlockFile::open(storage, &name, entry, &AXIS_MAGIC, manifest.database_id, NO_DIMENSION)?;
    let counts = (file.header().slot_count, file.header().value_count);
    let of_manifest = (manifest.slot_count.into(), manifest.point_count.into());
    if manifest.patches.is_empty() && counts != of_manifest {
        let invalid = crate::format::Invalid::new(88, "file header", "the counts are not those of the manifest");
        return Err(OpenError::Failed(file.corrupt(invalid)));
    }
    Ok(Arc::new(BaseAxis::new(file)))
}

fn open_column(
    storage: &dyn Storage,
    manifest: &Manifest,
    id: DimensionId,
    entry: FileEntry,
    previous: Option<&Generation>,
) -> Result<Arc<BaseColumn>, OpenError> {
    let shared = previous
        .and_then(|generation| generation.dimensions.get(*generation.by_id.get(&id)?)?.column.shared_base())
        .filter(|column| column.file().entry() == entry);
    if let Some(column) = shared {
        return Ok(Arc::clone(column));
    }
    let name = column_name(id.0, entry.generation);
    let file = BlockFile::open(storage, &name, entry, &COLUMN_MAGIC, manifest.database_id, id.0)?;
    Ok(Arc::new(BaseColumn::new(file)))
}

fn open_patch(
    storage: &dyn Storage,
    manifest: &Manifest,
    entry: FileEntry,
    previous: Option<&Generation>,
) -> Result<Arc<Patch>, OpenError> {
    let shared = previous.and_then(|generation| generation.patches.iter().find(|patch| patch.file().entry() == entry));
    match shared {
        Some(patch) => Ok(Arc::clone(patch)),
        None => Patch::open(storage, entry, manifest.database_id).map(Arc::new),
    }
}
