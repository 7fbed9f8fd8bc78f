//! The files of one generation, mapped.

use super::base_axis::BaseAxis;
use super::base_column::BaseColumn;
use super::block_file::{BlockFile, OpenError};
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, NO_DIMENSION};
use crate::format::manifest::{FileEntry, MANIFEST_NAME, Manifest, axis_name, column_name};
use crate::model::{DimensionId, KeyRef};
use crate::storage::Storage;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A dimension of the base.
#[derive(Clone, Debug)]
pub(super) struct BaseDimension {
    pub(super) id: DimensionId,
    pub(super) name: Arc<str>,
    /// `None` when no slot of the base has a value.
    pub(super) column: Option<Arc<BaseColumn>>,
}

/// Everything that a manifest names.
#[derive(Debug)]
pub(super) struct Generation {
    /// The directory, for messages.
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    axis: Option<Arc<BaseAxis>>,
    dimensions: Vec<BaseDimension>,
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
        let axis = match manifest.axis {
            None => None,
            Some(entry) => Some(open_axis(storage, &manifest, entry, previous)?),
        };
        let mut dimensions = Vec::with_capacity(manifest.dimensions.len());
        for dimension in &manifest.dimensions {
            let id = DimensionId(dimension.id);
            let column = match dimension.file {
                None => None,
                Some(entry) => Some(open_column(storage, &manifest, id, entry, previous)?),
            };
            dimensions.push(BaseDimension { id, name: dimension.name.as_str().into(), column });
        }
        let by_name = dimensions.iter().enumerate().map(|(index, d)| (Arc::clone(&d.name), index)).collect();
        let by_id = dimensions.iter().enumerate().map(|(index, d)| (d.id, index)).collect();
        Ok(Self { path: storage.path().to_owned(), manifest, axis, dimensions, by_name, by_id })
    }

    pub(super) fn axis(&self) -> Option<&BaseAxis> {
        self.axis.as_deref()
    }

    pub(super) fn dimensions(&self) -> &[BaseDimension] {
        &self.dimensions
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&BaseDimension> {
        self.dimensions.get(*self.by_name.get(name)?)
    }

    /// A dimension's base file.
    #[inline]
    pub(super) fn column(&self, id: DimensionId) -> Option<&BaseColumn> {
        self.dimensions.get(*self.by_id.get(&id)?)?.column.as_deref()
    }

    /// The slot of a key.
    #[inline]
    pub(super) fn slot_of(&self, key: KeyRef<'_>) -> Result<Option<u32>> {
        self.axis.as_ref().map_or(Ok(None), |axis| axis.slot_of(key))
    }

    /// The key of a slot.
    pub(super) fn key_at(&self, slot: u32) -> Result<Option<KeyRef<'_>>> {
        self.axis.as_ref().map_or(Ok(None), |axis| axis.key_at(slot))
    }

    pub(super) fn is_used(&self, slot: u32) -> Result<bool> {
        self.axis.as_ref().map_or(Ok(false), |axis| axis.is_used(slot))
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
        self.axis.as_ref().map_or(Ok(None), |axis| axis.next_free(from))
    }

    /// Names and lengths of all files.
    pub(super) fn files(&self) -> Vec<(String, u64)> {
        let axis = self.manifest.axis.map(|entry| (axis_name(entry.generation), entry.file_len));
        let columns = self.manifest.dimensions.iter().filter_map(|dimension| {
            dimension.file.map(|entry| (column_name(dimension.id, entry.generation), entry.file_len))
        });
        axis.into_iter().chain(columns).collect()
    }
}

fn open_axis(
    storage: &dyn Storage,
    manifest: &Manifest,
    entry: FileEntry,
    previous: Option<&Generation>,
) -> Result<Arc<BaseAxis>, OpenError> {
    if let Some(axis) = previous.and_then(|generation| generation.axis.as_ref()).filter(|a| a.file().entry() == entry) {
        return Ok(Arc::clone(axis));
    }
    let name = axis_name(entry.generation);
    let file = BlockFile::open(storage, &name, entry, &AXIS_MAGIC, manifest.database_id, NO_DIMENSION)?;
    let counts = (file.header().slot_count, file.header().value_count);
    if counts != (manifest.slot_count.into(), manifest.point_count.into()) {
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
        .and_then(|generation| generation.dimensions.get(*generation.by_id.get(&id)?)?.column.as_ref())
        .filter(|column| column.file().entry() == entry);
    if let Some(column) = shared {
        return Ok(Arc::clone(column));
    }
    let name = column_name(id.0, entry.generation);
    let file = BlockFile::open(storage, &name, entry, &COLUMN_MAGIC, manifest.database_id, id.0)?;
    Ok(Arc::new(BaseColumn::new(file)))
}
