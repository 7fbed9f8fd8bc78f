//! Columns: of a dimension's file, of the keys of an axis file, or of a patch.

use super::super::block_file::BlockFile;
use super::super::cells::entry_value;
use super::Inspector;
use super::layout;
use super::tree::Inspection;
use crate::error::Error;
use crate::format::block_file::Section;
use crate::format::column::{
    Column, ENTRY_LEN, NO_ENTRY, SECTION_CELLS, SECTION_COLUMN, SECTION_COUNTS, SECTION_DICTIONARY,
    SECTION_DICTIONARY_INDEX, SECTION_PRESENCE, SECTION_SEGMENTS, SEGMENT_RECORD_LEN, Segment, SegmentKind, Statistics,
};
use crate::format::{bytes, value};
use crate::model::{Value, ValueRef};
use std::collections::BTreeMap;

/// Values with longer payloads are shown by their length and, if they are text, their beginning.
const VALUE_LEN_SHOWN: usize = 256;

/// Where the parts of a column are in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) kind: SegmentKind,
    pub(super) column: Section,
    pub(super) segments: Section,
    pub(super) cells: Section,
    pub(super) presence: Section,
    pub(super) dictionary: Section,
    pub(super) counts: Section,
    pub(super) index: Section,
}

impl Parts {
    /// Those of a file that has one column.
    pub(super) fn of(file: &BlockFile) -> Self {
        Self {
            kind: SegmentKind::Base,
            column: file.section(SECTION_COLUMN),
            segments: file.section(SECTION_SEGMENTS),
            cells: file.section(SECTION_CELLS),
            presence: file.section(SECTION_PRESENCE),
            dictionary: file.section(SECTION_DICTIONARY),
            counts: file.section(SECTION_COUNTS),
            index: file.section(SECTION_DICTIONARY_INDEX),
        }
    }
}

impl Inspector<'_> {
    /// Adds what a column has to the node of its file or delta column.
    pub(super) fn column(&self, node: &mut Inspection, file: &BlockFile, parts: &Parts) {
        if parts.column.len > 0 {
            node.children.push(descriptor(file, parts.column));
        }
        if parts.segments.len > 0 {
            node.children.push(self.segments(file, parts));
        }
        if parts.dictionary.len > 0 {
            node.children.push(self.dictionary(file, parts));
        }
        if parts.index.len > 0 {
            node.children.push(dictionary_index(file, parts.index));
        }
    }

    fn segments(&self, file: &BlockFile, parts: &Parts) -> Inspection {
        let mut node = Inspection::new("segments").field("segments", parts.segments.len / SEGMENT_RECORD_LEN as u64);
        let Some(section) = node.check(file.section_bytes(parts.segments)) else { return node };
        let (mut encodings, mut presences) = (BTreeMap::new(), BTreeMap::new());
        let (mut present, mut nulls, mut removed) = (0u64, 0u64, 0u64);
        let slot_count = file.header().slot_count;
        for (index, record) in section.chunks(SEGMENT_RECORD_LEN).enumerate() {
            let segment = Segment::decode(section, index, parts.kind, slot_count, parts.cells.len, parts.presence.len)
                .map_err(|invalid| file.corrupt(invalid.at(parts.segments.offset)));
            let mut shown = Inspection::new(index.to_string());
            shown.fields = layout::read(layout::SEGMENT, record);
            match segment {
                Ok(segment) => {
                    *encodings.entry(segment.encoding.name()).or_insert(0u64) += 1;
                    *presences.entry(segment.presence.name()).or_insert(0u64) += 1;
                    present += u64::from(segment.present_count);
                    nulls += u64::from(segment.null_count);
                    removed += u64::from(segment.removed.count);
                    tidy(&mut shown, &segment);
                }
                Err(error) => shown.problem(error),
            }
            self.list(&mut node, index, shown);
        }
        let tally = |counts: BTreeMap<&str, u64>| {
            Value::Map(counts.into_iter().map(|(name, count)| (name.into(), count.into())).collect())
        };
        node = node.field("encodings", tally(encodings)).field("presences", tally(presences));
        node = node.field("present_count", present).field("null_count", nulls);
        if parts.kind == SegmentKind::Delta { node.field("removed_count", removed) } else { node }
    }

    fn dictionary(&self, file: &BlockFile, parts: &Parts) -> Inspection {
        let count = (parts.dictionary.len / ENTRY_LEN as u64) as usize;
        let mut node = Inspection::new("dictionary").field("entries", count);
        let counts = node.check(file.section_bytes(parts.counts)).unwrap_or_default();
        let mut cells = 0u64;
        for number in 0..count {
            let mut shown = Inspection::new(number.to_string());
            let used = bytes::u32_at(counts, number.saturating_mul(4));
            cells += u64::from(used.unwrap_or(0));
            match entry_value(file, parts.dictionary, number) {
                Ok(value) => show_value(&mut shown, value, file),
                Err(error) => shown.problem(error),
            }
            shown = shown.field("cells", used);
            self.list(&mut node, number, shown);
        }
        node.field("cells", cells)
    }
}

fn descriptor(file: &BlockFile, section: Section) -> Inspection {
    let mut node = Inspection::new("column");
    let Some(bytes) = node.check(file.section_bytes(section)) else { return node };
    node.fields = layout::read(layout::COLUMN, bytes);
    let decoded = Column::decode(bytes).map_err(|invalid| file.corrupt(invalid.at(section.offset)));
    node.check(decoded);
    node
}

/// Shows minimum and maximum as the numbers that they are, and leaves out what only patches have.
fn tidy(shown: &mut Inspection, segment: &Segment) {
    let bounds: Option<(Value, Value)> = match segment.statistics {
        Statistics::None => None,
        Statistics::I64(minimum, maximum) => Some((minimum.into(), maximum.into())),
        Statistics::U64(minimum, maximum) => Some((minimum.into(), maximum.into())),
        Statistics::F64(minimum, maximum) => Some((minimum.into(), maximum.into())),
    };
    for (name, value) in &mut shown.fields {
        match (&bounds, *name) {
            (Some((minimum, _)), "minimum") => *value = minimum.clone(),
            (Some((_, maximum)), "maximum") => *value = maximum.clone(),
            _ => {}
        }
    }
    let no_removed = segment.removed.count == 0;
    shown.fields.retain(|(name, _)| match *name {
        "minimum" | "maximum" => bounds.is_some(),
        "statistics" => false,
        "statistics_flags" => segment.has_nan,
        name => !(no_removed && name.starts_with("removed")),
    });
}

fn show_value(shown: &mut Inspection, value: ValueRef<'_>, file: &BlockFile) {
    let len = value::payload_len(value);
    if len <= VALUE_LEN_SHOWN {
        let owned = value.to_value().map_err(|error| Error::nested(file.path(), error));
        if let Some(value) = shown.check(owned) {
            shown.fields.push(("value", value));
        }
        return;
    }
    shown.fields.push(("value_len", len.into()));
    if let ValueRef::Text(text) = value {
        shown.fields.push(("starts_with", text.chars().take(VALUE_LEN_SHOWN / 4).collect::<String>().into()));
    }
}

fn dictionary_index(file: &BlockFile, section: Section) -> Inspection {
    let mut node = Inspection::new("dictionary_index").field("places", section.len / 4);
    let Some(index) = node.check(file.section_bytes(section)) else { return node };
    let used = index.as_chunks::<4>().0.iter().filter(|place| u32::from_le_bytes(**place) != NO_ENTRY).count();
    node.field("used", used)
}
