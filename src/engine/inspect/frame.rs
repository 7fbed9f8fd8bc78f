//! The frame of axis, column and patch files: header, sections, checksums.

use super::super::block_file::BlockFile;
use super::Inspector;
use super::layout;
use super::tree::Inspection;
use crate::error::Error;
use crate::format::axis::{SECTION_AXIS, SECTION_INDEX, SECTION_TOMBSTONES};
use crate::format::block_file::{HEADER_LEN, Header, SECTION_COUNT_MAX};
use crate::format::column::{
    SECTION_CELLS, SECTION_COLUMN, SECTION_COUNTS, SECTION_DICTIONARY, SECTION_DICTIONARY_INDEX, SECTION_PRESENCE,
    SECTION_SEGMENTS, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP,
};
use crate::format::manifest::FileEntry;
use crate::format::patch::{SECTION_DELTA_COLUMNS, SECTION_PARTS, SECTION_PATCH};
use crate::format::perfect_hash::{SECTION_HASH_PARTS, SECTION_PILOTS, SECTION_REMAP};
use crate::format::{Invalid, bytes};
use crate::storage::Region;

/// Where the sections of a header are, in bytes from its start, and how long one is.
const SECTIONS_OFFSET: usize = 112;
const SECTION_RECORD_LEN: usize = 24;

/// What the manifest says of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) entry: FileEntry,
    pub(super) database_id: [u8; 16],
    pub(super) dimension_id: u32,
}

fn section_name(kind: u32) -> String {
    let name = match kind {
        SECTION_COLUMN => "column",
        SECTION_SEGMENTS => "segments",
        SECTION_CELLS => "cells",
        SECTION_PRESENCE => "presence",
        SECTION_DICTIONARY => "dictionary",
        SECTION_COUNTS => "counts",
        SECTION_DICTIONARY_INDEX => "dictionary_index",
        SECTION_TEXT_HEAP => "text_heap",
        SECTION_VALUE_HEAP => "value_heap",
        SECTION_AXIS => "axis",
        SECTION_TOMBSTONES => "tombstones",
        SECTION_INDEX => "index",
        SECTION_HASH_PARTS => "hash_parts",
        SECTION_PILOTS => "pilots",
        SECTION_REMAP => "remap",
        SECTION_PATCH => "patch",
        SECTION_DELTA_COLUMNS => "delta_columns",
        SECTION_PARTS => "parts",
        other => return format!("unknown {other}"),
    };
    name.to_owned()
}

impl Inspector<'_> {
    /// Adds header, sections and checksums of a block file to its node; the file, where its header can be trusted.
    pub(super) fn frame(
        &self,
        node: &mut Inspection,
        magic: &[u8; 8],
        expected: Option<&Expected>,
    ) -> Option<BlockFile> {
        let path = self.storage.path().join(&node.name);
        let head = node.check(self.storage.read_range(&node.name, 0, HEADER_LEN).map_err(Error::from))??;
        let len = node.check(self.storage.len(&node.name).map_err(Error::from))??;
        // Structures are read at aligned addresses.
        let head = Region::from_bytes(&head);
        let mut shown = Inspection::new("header");
        shown.fields = layout::read(layout::BLOCK_FILE, &head);
        let decoded = Header::decode(&head, len, magic).map_err(|invalid| Error::corrupt(&path, invalid));
        let decoded = shown.check(decoded);
        if let (Some((header, checksum)), Some(expected)) = (&decoded, expected) {
            let FileEntry { file_id, generation, file_len, header_checksum } = expected.entry;
            let same = (header.identity.file_id, header.generation, len, *checksum)
                == (file_id, generation, file_len, header_checksum)
                && header.identity.database_id == expected.database_id
                && header.dimension_id == expected.dimension_id;
            if !same {
                let invalid = Invalid::new(0, "file header", "this is not the file that the manifest names");
                shown.problem(Error::corrupt(&path, invalid));
            }
        }
        node.children.push(shown);
        node.children.push(sections(&head));
        let (header, header_checksum) = decoded?;
        let entry = FileEntry {
            file_id: header.identity.file_id,
            generation: header.generation,
            file_len: len,
            header_checksum,
        };
        let (database_id, dimension_id) = (header.identity.database_id, header.dimension_id);
        let opened = BlockFile::open(self.storage, &node.name, entry, magic, database_id, dimension_id);
        let file = node.check(opened.map_err(super::super::block_file::OpenError::into_error))?;
        node.children.push(checksums(&file));
        Some(file)
    }
}

/// The sections that a header names, whether or not they can be.
fn sections(head: &[u8]) -> Inspection {
    let mut node = Inspection::new("sections");
    let count = bytes::u32_at(head, 80).unwrap_or(0) as usize;
    for index in 0..count.min(SECTION_COUNT_MAX) {
        let record = head.get(SECTIONS_OFFSET + index * SECTION_RECORD_LEN..).unwrap_or_default();
        let Some(kind) = bytes::u32_at(record, 0) else { break };
        let mut section = Inspection::new(section_name(kind));
        section.fields = layout::read(layout::SECTION, record);
        node.children.push(section);
    }
    node
}

/// Every block's checksum, and that of their table. The header's is part of reading it.
fn checksums(file: &BlockFile) -> Inspection {
    let mut problems = Vec::new();
    let _ = file.verify_all(|problem| problems.push(problem), |_| Ok(()));
    let blocks = file.header().block_count();
    let mut node = Inspection::new("checksums").field("blocks", blocks);
    // A table that is bad is the one problem, and says nothing of the blocks.
    let table_is_bad = problems
        .iter()
        .any(|problem| matches!(problem, Error::Corrupt { offset, .. } if *offset == file.header().table_offset));
    if table_is_bad {
        node = node.field("table", "bad");
    } else {
        let bad = problems.len() as u64;
        node = node.field("table", "verified").field("verified", blocks.saturating_sub(bad)).field("bad", bad);
    }
    node.problems = problems;
    node
}
