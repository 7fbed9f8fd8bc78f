//! Building a heap: entries placed by the rules of the format, equal contents stored once where asked.

use super::block_writer::BlockWriter;
use crate::error::{Error, Result};
use crate::format::block_file::HEADER_LEN;
use crate::format::column::Encoding;
use crate::format::{heap, value};
use crate::model::ValueRef;
use hashbrown::HashTable;
use twox_hash::XxHash3_64;

/// A heap of text or of tagged values, and the positions of cells in it.
#[derive(Debug)]
pub(super) struct HeapBuilder {
    is_text: bool,
    /// The heap's bytes. Its first byte is that of the file's first section, so that where entries go is known at once.
    bytes: Vec<u8>,
    /// In units of 8 bytes from the start of the heap.
    cells: Vec<u64>,
    /// Positions by content, where equal contents share an entry.
    index: Option<HashTable<u64>>,
    distinct: u64,
}

/// A heap is always the first section.
const HEAP_OFFSET: u64 = HEADER_LEN;

impl HeapBuilder {
    pub(super) fn new(is_text: bool, deduplicate: bool) -> Self {
        Self { is_text, bytes: Vec::new(), cells: Vec::new(), index: deduplicate.then(HashTable::new), distinct: 0 }
    }

    pub(super) fn is_text(&self) -> bool {
        self.is_text
    }

    pub(super) fn distinct_count(&self) -> u64 {
        self.distinct
    }

    /// Adds a cell. A value that is not text turns a heap of text into one of tagged values.
    pub(super) fn push(&mut self, value: ValueRef<'_>) -> Result<()> {
        if let (true, ValueRef::Text(text)) = (self.is_text, value) {
            return self.push_content(text.as_bytes());
        }
        if self.is_text {
            let mut other = Self::new(false, self.index.is_some());
            for index in 0..self.cells.len() {
                other.push(self.value(index))?;
            }
            *self = other;
        }
        let mut tagged = Vec::with_capacity(value::payload_len(value) + 1);
        value::encode(value, &mut tagged);
        self.push_content(&tagged)
    }

    fn push_content(&mut self, content: &[u8]) -> Result<()> {
        let Self { bytes, cells, index, distinct, .. } = self;
        let Some(index) = index else {
            cells.push(append(bytes, content)?);
            *distinct += 1;
            return Ok(());
        };
        let hash = XxHash3_64::oneshot(content);
        if let Some(&position) = index.find(hash, |&position| content_at(bytes, position) == content) {
            cells.push(position);
            return Ok(());
        }
        let position = append(bytes, content)?;
        index.insert_unique(hash, position, |&other| XxHash3_64::oneshot(content_at(bytes, other)));
        cells.push(position);
        *distinct += 1;
        Ok(())
    }

    /// Cells so far.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// A cell that is never read.
    pub(super) fn push_unused(&mut self) {
        self.cells.push(0);
    }

    /// The value of a cell.
    pub(super) fn value(&self, index: usize) -> ValueRef<'_> {
        let content = content_at(&self.bytes, self.cells.get(index).copied().unwrap_or_default());
        let value = if self.is_text { value::decode_payload(value::TAG_TEXT, content) } else { value::decode(content) };
        // Encoded by this builder: it always decodes.
        value.unwrap_or(ValueRef::Null)
    }

    pub(super) fn encoding(&self) -> Encoding {
        let wide = (self.bytes.len() as u64).div_ceil(heap::ENTRY_ALIGNMENT) > u64::from(u32::MAX);
        match (self.is_text, wide) {
            (true, false) => Encoding::Text32,
            (true, true) => Encoding::Text64,
            (false, false) => Encoding::Value32,
            (false, true) => Encoding::Value64,
        }
    }

    pub(super) fn encode_cell(&self, index: usize, out: &mut Vec<u8>) {
        let position = self.cells.get(index).copied().unwrap_or_default();
        match self.encoding().width() {
            4 => out.extend((position as u32).to_le_bytes()),
            _ => out.extend(position.to_le_bytes()),
        }
    }

    /// Writes the heap as the first section of a file.
    pub(super) fn write(&self, kind: u32, writer: &mut BlockWriter<'_>) -> Result<()> {
        debug_assert!(writer.position() == HEAP_OFFSET, "a heap is the first section");
        writer.section(kind, &self.bytes)
    }

    /// Appends one entry to the open section of a file, and returns the file offsets of the entry and of its content.
    pub(super) fn write_entry(content: &[u8], writer: &mut BlockWriter<'_>) -> Result<(u64, u64)> {
        writer.pad_to(heap::place(writer.position(), content.len()))?;
        let entry = writer.position();
        let mut prefix = Vec::with_capacity(6);
        heap::encode_prefix(content.len(), &mut prefix);
        writer.write(&prefix)?;
        let start = writer.position();
        writer.write(content)?;
        writer.pad_to(writer.position().next_multiple_of(heap::ENTRY_ALIGNMENT))?;
        Ok((entry, start))
    }
}

/// Appends an entry and returns its position.
fn append(bytes: &mut Vec<u8>, content: &[u8]) -> Result<u64> {
    let offset = heap::place(HEAP_OFFSET + bytes.len() as u64, content.len()) - HEAP_OFFSET;
    let start = usize::try_from(offset).map_err(|_| Error::invalid_argument("a heap larger than memory"))?;
    bytes.resize(start, 0);
    heap::encode_prefix(content.len(), bytes);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(heap::ENTRY_ALIGNMENT as usize), 0);
    Ok(offset / heap::ENTRY_ALIGNMENT)
}

/// The content of the entry at a position.
fn content_at(bytes: &[u8], position: u64) -> &[u8] {
    let entry = bytes.get((position * heap::ENTRY_ALIGNMENT) as usize..).unwrap_or_default();
    match heap::decode_prefix(entry) {
        Ok((prefix_len, len)) => entry.get(prefix_len..prefix_len + len).unwrap_or_default(),
        Err(_) => &[],
    }
}
