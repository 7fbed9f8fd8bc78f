//! Patch files: descriptor, delta columns, index of inserted keys.

use super::super::block_file::BlockFile;
use super::Inspector;
use super::axis::index_of;
use super::column::Parts;
use super::layout;
use super::tree::Inspection;
use crate::format::axis::SECTION_INDEX;
use crate::format::block_file::Section;
use crate::format::column::{ENTRY_LEN as DICTIONARY_ENTRY_LEN, SegmentKind};
use crate::format::patch::{
    AXIS_DELTA, DeltaEntry, ENTRY_LEN, Part, PatchDescriptor, SECTION_DELTA_COLUMNS, SECTION_PARTS, SECTION_PATCH,
    decode_directory,
};

const PARTS: [(Part, &str); 8] = [
    (Part::Column, "column"),
    (Part::Segments, "segments"),
    (Part::Cells, "cells"),
    (Part::Presence, "presence"),
    (Part::Dictionary, "dictionary"),
    (Part::Counts, "counts"),
    (Part::ChangedValues, "changed_values"),
    (Part::Changes, "changes"),
];

impl Inspector<'_> {
    /// Adds what a patch has to the node of its file.
    pub(super) fn patch(&self, node: &mut Inspection, file: &BlockFile) {
        let (section, directory) = (file.section(SECTION_PATCH), file.section(SECTION_DELTA_COLUMNS));
        let index = file.section(SECTION_INDEX);
        let mut descriptor = Inspection::new("patch");
        if let Some(bytes) = descriptor.check(file.section_bytes(section)) {
            descriptor.fields = layout::read(layout::PATCH, bytes);
            let decoded = PatchDescriptor::decode(bytes, directory.len, index.len);
            descriptor.check(decoded.map_err(|invalid| file.corrupt(invalid.at(section.offset))));
        }
        node.children.push(descriptor);
        node.children.push(self.delta_columns(file, directory));
        if index.len > 0 {
            node.children.push(index_of(file, index));
        }
    }

    fn delta_columns(&self, file: &BlockFile, directory: Section) -> Inspection {
        let mut node = Inspection::new("delta_columns").field("delta_columns", directory.len / ENTRY_LEN as u64);
        let Some(bytes) = node.check(file.section_bytes(directory)) else { return node };
        let parts = file.section(SECTION_PARTS);
        let entries = decode_directory(bytes, (parts.offset, parts.len))
            .map_err(|invalid| file.corrupt(invalid.at(directory.offset)));
        let entries = node.check(entries).unwrap_or_default();
        for (index, record) in bytes.chunks(ENTRY_LEN).enumerate() {
            let mut shown = Inspection::new(index.to_string());
            shown.fields = layout::read(layout::DELTA_COLUMN, record);
            if let Some(entry) = entries.get(index) {
                self.delta_column(&mut shown, file, entry);
            }
            node.children.push(shown);
        }
        node
    }

    fn delta_column(&self, node: &mut Inspection, file: &BlockFile, entry: &DeltaEntry) {
        node.name = match entry.dimension_id {
            AXIS_DELTA => "axis".to_owned(),
            id => format!("dimension {id}"),
        };
        let section = |part: Part| {
            let (offset, len) = entry.part(part);
            Section { kind: 0, offset, len }
        };
        let mut parts = Inspection::new("parts");
        for (part, name) in PARTS {
            let Section { offset, len, .. } = section(part);
            if len > 0 {
                parts.children.push(Inspection::new(name).field("offset", offset).field("len", len));
            }
        }
        node.children.push(parts);
        let column = Parts {
            kind: SegmentKind::Delta,
            column: section(Part::Column),
            segments: section(Part::Segments),
            cells: section(Part::Cells),
            presence: section(Part::Presence),
            dictionary: section(Part::Dictionary),
            counts: section(Part::Counts),
            index: Section { kind: 0, offset: 0, len: 0 },
        };
        self.column(node, file, &column);
        let changed = section(Part::ChangedValues).len / DICTIONARY_ENTRY_LEN as u64;
        if changed > 0 {
            node.children.push(Inspection::new("changes").field("changed_values", changed));
        }
    }
}
