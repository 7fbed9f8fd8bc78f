//! The manifest: header, and the files that it names.

use super::Inspector;
use super::frame::Expected;
use super::layout;
use super::tree::Inspection;
use crate::error::Error;
use crate::format::block_file::NO_DIMENSION;
use crate::format::bytes;
use crate::format::manifest::{Manifest, axis_name, column_name, patch_name};
use crate::model::nested;
use crate::storage::Region;

const HEADER_LEN: usize = 256;
const ENTRY_LEN: usize = 64;

impl Inspector<'_> {
    /// Adds what the manifest has to the node of its file; the manifest, where it is sound.
    pub(super) fn manifest(&self, node: &mut Inspection) -> Option<Manifest> {
        let path = self.storage.path().join(&node.name);
        let bytes = node.check(self.storage.read(&node.name).map_err(Error::from))??;
        // Structures are read at aligned addresses.
        let bytes = Region::from_bytes(&bytes);
        let mut header = Inspection::new("header");
        header.fields = layout::read(layout::MANIFEST, &bytes);
        let manifest = header.check(Manifest::decode(&bytes).map_err(|invalid| Error::corrupt(&path, invalid)));
        node.children.push(header);
        node.children.push(entries(&bytes, manifest.as_ref()));
        if let Some(manifest) = manifest.as_ref().filter(|manifest| !manifest.properties.is_empty()) {
            let mut properties = Inspection::new("properties");
            let decoded = nested::decode(&manifest.properties).map_err(|error| Error::nested(&path, error));
            if let Some(map) = properties.check(decoded) {
                properties.fields.push(("properties", map));
            }
            node.children.push(properties);
        }
        manifest
    }
}

/// The entries as they are on disk, with their names where the manifest is sound.
fn entries(manifest: &[u8], decoded: Option<&Manifest>) -> Inspection {
    let count = bytes::u32_at(manifest, 20).unwrap_or(0) as usize;
    let mut node = Inspection::new("entries").field("entries", count);
    let names = decoded.map(named_files).unwrap_or_default();
    let records = manifest.get(HEADER_LEN..).unwrap_or_default().chunks_exact(ENTRY_LEN).take(count);
    for (index, record) in records.enumerate() {
        let mut shown = Inspection::new(index.to_string());
        if let Some(named) = names.get(index) {
            shown.name = named.file.clone().unwrap_or_else(|| format!("dimension {}", named.dimension_id));
            if let Some(dimension) = &named.dimension {
                shown = shown.field("dimension", dimension.as_str());
            }
        }
        shown.fields.extend(layout::read(layout::MANIFEST_ENTRY, record));
        node.children.push(shown);
    }
    node
}

/// An entry of a sound manifest.
#[derive(Clone, Debug)]
pub(super) struct NamedFile {
    /// The name of the file; a dimension may have none of its own.
    pub(super) file: Option<String>,
    pub(super) dimension: Option<String>,
    dimension_id: u32,
    pub(super) expected: Option<Expected>,
}

/// All entries, in the order of the manifest.
pub(super) fn named_files(manifest: &Manifest) -> Vec<NamedFile> {
    let database_id = manifest.database_id;
    let expected = |entry, dimension_id| Some(Expected { entry, database_id, dimension_id });
    let whole = |file, entry| NamedFile {
        file: Some(file),
        dimension: None,
        dimension_id: NO_DIMENSION,
        expected: expected(entry, NO_DIMENSION),
    };
    let axis = manifest.axis.iter().map(|&entry| whole(axis_name(entry.generation), entry));
    let dimensions = manifest.dimensions.iter().map(|dimension| NamedFile {
        file: dimension.file.map(|entry| column_name(dimension.id, entry.generation)),
        dimension: Some(dimension.name.clone()),
        dimension_id: dimension.id,
        expected: dimension.file.and_then(|entry| expected(entry, dimension.id)),
    });
    let patches = manifest.patches.iter().map(|&entry| whole(patch_name(entry.generation), entry));
    axis.chain(dimensions).chain(patches).collect()
}
