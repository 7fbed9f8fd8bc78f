//! The axis file: descriptor, keys, tombstones, index.

use super::super::base_axis::section_lens;
use super::super::block_file::BlockFile;
use super::Inspector;
use super::column::Parts;
use super::layout;
use super::tree::Inspection;
use crate::format::Invalid;
use crate::format::axis::{
    Axis, BUCKET_LEN, BUCKET_PLACES, Bucket, NO_SLOT, SECTION_AXIS, SECTION_INDEX, SECTION_TOMBSTONES, bitmap_word,
};
use crate::format::block_file::{AXIS_MAGIC, Section};
use crate::format::perfect_hash::{
    PART_LEN, REMAP_LEN, SECTION_HASH_PARTS, SECTION_PILOTS, SECTION_REMAP, decode_parts,
};

impl Inspector<'_> {
    /// Adds what an axis has to the node of its file.
    pub(super) fn axis(&self, node: &mut Inspection, file: &BlockFile) {
        let (section, tombstones) = (file.section(SECTION_AXIS), file.section(SECTION_TOMBSTONES));
        let index = file.section(SECTION_INDEX);
        let mut descriptor = Inspection::new("axis");
        let mut axis = None;
        if let Some(bytes) = descriptor.check(file.section_bytes(section)) {
            descriptor.fields = layout::read(layout::AXIS, bytes);
            let decoded = Axis::decode(bytes, file.header().slot_count, section_lens(file));
            axis = descriptor.check(decoded.map_err(|invalid| file.corrupt(invalid.at(section.offset))));
        }
        node.children.push(descriptor);
        self.column(node, file, &Parts::of(file));
        if tombstones.len > 0 {
            node.children.push(tombstones_of(file, tombstones, axis));
        }
        if index.len > 0 {
            node.children.push(index_of(file, index));
        }
        if file.section(SECTION_HASH_PARTS).len > 0 {
            node.children.push(self.perfect_hash_of(file));
        }
    }
}

impl Inspector<'_> {
    /// The perfect hash of a frozen axis.
    fn perfect_hash_of(&self, file: &BlockFile) -> Inspection {
        let (section, remap) = (file.section(SECTION_HASH_PARTS), file.section(SECTION_REMAP));
        let remap_count = remap.len / REMAP_LEN as u64;
        let mut node = Inspection::new("perfect_hash").field("pilots", file.section(SECTION_PILOTS).len);
        node = node.field("remap", remap_count);
        let Some(bytes) = node.check(file.section_bytes(section)) else { return node };
        let decoded = decode_parts(bytes, file.header().slot_count, remap_count);
        let parts = node.check(decoded.map_err(|invalid| file.corrupt(invalid.at(section.offset))));
        let Some(numbers) = node.check(file.section_bytes(remap)) else { return node };
        for (index, record) in bytes.as_chunks::<PART_LEN>().0.iter().enumerate() {
            let mut shown = Inspection::new(index.to_string());
            shown.fields = layout::read(layout::HASH_PART, record);
            if let Some(part) = parts.as_ref().and_then(|parts| parts.get(index)) {
                let numbers = numbers.get(part.first_remap as usize * REMAP_LEN..).unwrap_or_default().as_chunks().0;
                let numbers = numbers.iter().take((part.place_count - part.key_count) as usize);
                // A part without keys has nothing to send them to.
                if numbers.clone().any(|number| u32::from_le_bytes(*number) >= part.key_count.max(1)) {
                    let invalid =
                        Invalid::new(remap.offset, "remap", "a number that is not below the keys of its part");
                    shown.problem(file.corrupt(invalid));
                }
            }
            self.list(&mut node, index, shown);
        }
        node
    }
}

fn tombstones_of(file: &BlockFile, section: Section, axis: Option<Axis>) -> Inspection {
    let mut node = Inspection::new("tombstones").field("len", section.len);
    let Some(bytes) = node.check(file.section_bytes(section)) else { return node };
    let words = file.header().slot_count.div_ceil(64);
    let free: u64 = (0..words).map(|word| u64::from(bitmap_word(bytes, word).count_ones())).sum();
    if axis.is_some_and(|axis| axis.free_count != free) {
        let invalid = Invalid::new(section.offset, "tombstones", "their number does not match");
        node.problem(file.corrupt(invalid));
    }
    node.field("free", free)
}

/// A key index, of an axis or a patch.
pub(super) fn index_of(file: &BlockFile, section: Section) -> Inspection {
    let buckets = section.len / BUCKET_LEN as u64;
    let mut node = Inspection::new("index").field("buckets", buckets);
    let Some(bytes) = node.check(file.section_bytes(section)) else { return node };
    let (mut keys, mut full) = (0u64, 0u64);
    for bucket in bytes.as_chunks::<BUCKET_LEN>().0 {
        let bucket = Bucket::new(bucket);
        keys += (0..BUCKET_PLACES).filter(|&place| bucket.slot(place) != NO_SLOT).count() as u64;
        full += u64::from(bucket.overflows());
    }
    let places = buckets.saturating_mul(BUCKET_PLACES as u64);
    node = node.field("places", places).field("keys", keys).field("overflowing_buckets", full);
    let invalid = Invalid::new(section.offset, "index", "it does not have the keys that are stated");
    let stated = file.header().value_count;
    if file.header().magic == AXIS_MAGIC && keys != stated {
        node.problem(file.corrupt(invalid));
    }
    node
}
