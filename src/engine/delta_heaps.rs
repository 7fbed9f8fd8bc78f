//! The heaps that all delta columns of a patch share.

use super::block_writer::BlockWriter;
use super::heap_builder::write_entry;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::block_file::{BLOCK_LEN, section_start};
use crate::format::column::{Entry, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP};
use crate::format::heap::{self, ENTRY_ALIGNMENT};
use crate::format::value;
use crate::model::ValueRef;
use hashbrown::HashMap;
use std::hash::Hash;

/// Bytes that are copied at once.
const COPY_LEN: usize = 64 << 10;

/// Heaps being written. That of text goes straight to the file; that of tagged values waits in a stream until the other is
/// complete.
#[derive(Debug)]
pub(super) struct DeltaHeaps<'a> {
    /// Where the heap of text starts in the file.
    text_start: u64,
    texts: Places<&'a str>,
    values: Places<ValueRef<'a>>,
    value_heap: StreamId,
}

/// Where contents are in a heap, so that equal ones are stored once. Only so many are remembered, and none where few come again; others are
/// stored again each time that they come.
#[derive(Debug)]
struct Places<T> {
    offsets: HashMap<T, u64>,
    count_max: usize,
    /// Contents of this column that were remembered.
    remembered: usize,
    /// Contents of this column that were stored before.
    found: usize,
    /// Contents of this column do not come again.
    is_off: bool,
}

/// After so many contents of a column were remembered it is known whether some come again.
const TRIAL_COUNT: usize = 1 << 13;
/// Remembering pays where one in so many contents comes again.
const TRIAL_PART: usize = 16;

/// Bytes that a remembered content takes, about.
const PLACE_MEMORY: usize = 96;

impl<T: Hash + Eq> Places<T> {
    fn new(memory: usize) -> Self {
        let count_max = memory / PLACE_MEMORY;
        Self { offsets: HashMap::new(), count_max, remembered: 0, found: 0, is_off: false }
    }

    fn begin_column(&mut self) {
        (self.remembered, self.found, self.is_off) = (0, 0, false);
    }

    fn get(&mut self, content: &T) -> Option<u64> {
        let offset = if self.is_off { None } else { self.offsets.get(content).copied() };
        self.found += usize::from(offset.is_some());
        offset
    }

    fn remember(&mut self, content: T, offset: u64) {
        if self.is_off || self.offsets.len() >= self.count_max {
            return;
        }
        self.offsets.insert(content, offset);
        self.remembered += 1;
        self.is_off = self.remembered == TRIAL_COUNT && self.found < TRIAL_COUNT / TRIAL_PART;
    }
}

impl<'a> DeltaHeaps<'a> {
    /// Starts the heaps at the end of a file. What they remember takes about `memory` bytes.
    pub(super) fn begin(writer: &mut BlockWriter<'_>, spill: &mut Spill, memory: usize) -> Result<Self> {
        Ok(Self {
            text_start: writer.begin_section(SECTION_TEXT_HEAP)?,
            texts: Places::new(memory / 2),
            values: Places::new(memory / 2),
            value_heap: spill.stream(),
        })
    }

    /// The contents that follow are those of another column.
    pub(super) fn begin_column(&mut self) {
        self.texts.begin_column();
        self.values.begin_column();
    }

    /// The offset of a text's entry from the start of its heap.
    pub(super) fn text(&mut self, text: &'a str, writer: &mut BlockWriter<'_>) -> Result<u64> {
        if let Some(offset) = self.texts.get(&text) {
            return Ok(offset);
        }
        let (entry, _) = write_entry(text.as_bytes(), writer)?;
        let offset = entry - self.text_start;
        self.texts.remember(text, offset);
        Ok(offset)
    }

    /// The offset of a tagged value's entry from the start of its heap.
    pub(super) fn value(&mut self, value: ValueRef<'a>, spill: &mut Spill) -> Result<u64> {
        static ZEROS: [u8; BLOCK_LEN as usize] = [0; BLOCK_LEN as usize];
        if let Some(offset) = self.values.get(&value) {
            return Ok(offset);
        }
        let mut tagged = Vec::new();
        value::encode(value, &mut tagged);
        let end = spill.len(self.value_heap);
        // The heap will start a block, or lie within one, so that what is placed by its start is placed by the start of the file.
        let offset = heap::place(end, tagged.len());
        spill.append(self.value_heap, ZEROS.get(..(offset - end) as usize).unwrap_or_default())?;
        let mut prefix = Vec::new();
        heap::encode_prefix(tagged.len(), &mut prefix);
        spill.append(self.value_heap, &prefix)?;
        spill.append(self.value_heap, &tagged)?;
        let end = spill.len(self.value_heap);
        let padding = (end.next_multiple_of(ENTRY_ALIGNMENT) - end) as usize;
        spill.append(self.value_heap, ZEROS.get(..padding).unwrap_or_default())?;
        self.values.remember(value, offset);
        Ok(offset)
    }

    /// The dictionary entry of a value, which goes to a heap where it does not fit in.
    pub(super) fn entry(
        &mut self,
        value: ValueRef<'a>,
        writer: &mut BlockWriter<'_>,
        spill: &mut Spill,
    ) -> Result<Entry> {
        let tag = value::tag(value);
        let len = value::payload_len(value);
        Ok(match value {
            ValueRef::Text(text) => {
                let offset = self.text(text, writer)? + heap::prefix_len(len) as u64;
                Entry::Text { offset, len: len as u32 }
            }
            value if Entry::is_inline(tag) => {
                let mut tagged = Vec::new();
                value::encode(value, &mut tagged);
                let mut payload = [0u8; 8];
                for (to, from) in payload.iter_mut().zip(tagged.iter().skip(1)) {
                    *to = *from;
                }
                Entry::Inline { tag, payload: u64::from_le_bytes(payload) }
            }
            value => {
                // Behind the tag.
                let offset = self.value(value, spill)? + heap::prefix_len(len + 1) as u64 + 1;
                Entry::Heap { tag, offset, len: len as u32 }
            }
        })
    }

    /// Completes both heaps.
    pub(super) fn finish(self, writer: &mut BlockWriter<'_>, spill: &mut Spill) -> Result<()> {
        writer.end_section();
        let len = spill.len(self.value_heap);
        if len == 0 {
            return Ok(());
        }
        // Entries were placed as if the heap started a block. Within one block they may be anywhere.
        let start = section_start(writer.position());
        if start % BLOCK_LEN + len > BLOCK_LEN {
            writer.pad_to(start.next_multiple_of(BLOCK_LEN))?;
        }
        writer.begin_section(SECTION_VALUE_HEAP)?;
        copy(self.value_heap, spill, writer)?;
        writer.end_section();
        Ok(())
    }
}

/// Moves a stream to the end of a file.
pub(super) fn copy(stream: StreamId, spill: &mut Spill, writer: &mut BlockWriter<'_>) -> Result<()> {
    let mut reader = StreamReader::new(stream);
    let mut rest = spill.len(stream);
    while rest > 0 {
        let len = rest.min(COPY_LEN as u64);
        writer.write(reader.take(spill, len as usize)?.unwrap_or_default())?;
        rest -= len;
    }
    spill.clear(stream);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_remembered_in_columns_where_some_come_again() {
        let mut places = Places::new(1 << 30);
        let fill = |places: &mut Places<usize>, start: usize, again: usize| {
            places.begin_column();
            for content in start..start + 2 * TRIAL_COUNT {
                places.remember(content, content as u64);
                if again > 0 && content.is_multiple_of(again) {
                    places.get(&content);
                }
            }
            places.get(&(start + 2 * TRIAL_COUNT - 1)).is_some()
        };
        assert!(!fill(&mut places, 0, 0));
        assert!(fill(&mut places, 1 << 20, TRIAL_PART));
        assert!(!fill(&mut places, 2 << 20, TRIAL_PART * 2));
        places.begin_column();
        assert_eq!(places.get(&1), Some(1));
    }
    use crate::engine::block_writer::{FileSpec, Unsynced};
    use crate::format::block_file::{Identity, NO_DIMENSION, PATCH_MAGIC};
    use crate::storage::{MemoryStorage, Storage};
    use std::sync::Arc;

    /// Whether bytes that take no more than a block lie in one.
    fn lies_well(start: u64, len: u64) -> bool {
        if len > BLOCK_LEN {
            start.is_multiple_of(BLOCK_LEN)
        } else {
            start / BLOCK_LEN == (start + len - 1) / BLOCK_LEN
        }
    }

    #[test]
    fn no_value_crosses_a_block_wherever_the_heap_of_text_ends() {
        for text_len in [0, 100, 30_000, 65_000, 65_533, 70_000] {
            for (count, value_len) in [(1, 100), (10, 100), (3, 30_000), (100, 900), (2, 65_530), (2, 200_000)] {
                let text = "t".repeat(text_len);
                let contents: Vec<Vec<u8>> = (0..count).map(|n| vec![n; value_len]).collect();
                let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
                let mut spill = Spill::new(Arc::clone(&storage), 10_000);
                let unsynced = Unsynced::default();
                let mut writer = BlockWriter::create(FileSpec {
                    storage: &*storage,
                    unsynced: &unsynced,
                    name: "patch-1".to_owned(),
                    magic: PATCH_MAGIC,
                    identity: Identity { database_id: [1; 16], file_id: 1 },
                    generation: 1,
                    dimension_id: NO_DIMENSION,
                })
                .unwrap();
                let mut heaps = DeltaHeaps::begin(&mut writer, &mut spill, 1 << 20).unwrap();
                heaps.text(&text, &mut writer).unwrap();
                let mut offsets = Vec::new();
                for content in &contents {
                    offsets.push(heaps.value(ValueRef::Bytes(content), &mut spill).unwrap());
                    assert_eq!(offsets.last(), Some(&heaps.value(ValueRef::Bytes(content), &mut spill).unwrap()));
                }
                let len = spill.len(heaps.value_heap);
                let text_end = writer.position();
                heaps.finish(&mut writer, &mut spill).unwrap();
                let start = writer.position() - len;
                assert!(start < text_end + 64 || len + 64 > BLOCK_LEN - text_end % BLOCK_LEN, "{text_len} {value_len}");
                for offset in offsets {
                    let entry_len = (heap::prefix_len(value_len + 1) + value_len + 1) as u64;
                    assert!(lies_well(start + offset, entry_len), "{text_len} {count} {value_len}");
                }
            }
        }
    }
}
