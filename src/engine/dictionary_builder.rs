//! Building the dictionary of a column: distinct values in order of first use, counted.

use super::block_writer::BlockWriter;
use super::heap_builder::write_entry;
use super::segment_writer::SegmentSurvey;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::column::{
    DICTIONARY_COUNT_MAX, Encoding, Entry, NO_ENTRY, SECTION_COUNTS, SECTION_DICTIONARY, SECTION_DICTIONARY_INDEX,
    SECTION_TEXT_HEAP, SECTION_VALUE_HEAP,
};
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_NULL, TAG_TEXT, TAG_UINT, tag_and_cell};
use hashbrown::HashTable;

/// Distinct values in order of first use.
#[derive(Debug)]
pub(super) struct DictionaryBuilder {
    entries: Vec<DictionaryEntry>,
    /// Tagged values, one after the other.
    values: StreamId,
    index: HashTable<u32>,
    /// The number of each cell's entry, as a u16.
    cells: StreamId,
    cell_count: u64,
    /// The first of the values, which need not be read back to be compared.
    first_values: Vec<u8>,
}

/// Bytes of values that are kept in memory.
const FIRST_VALUES_LEN: usize = 256 << 10;

/// Numbers of entries that are read at once.
const NUMBERS_LEN: usize = 16 << 10;

#[derive(Clone, Copy, Debug)]
struct DictionaryEntry {
    /// Where its tagged value starts.
    start: u64,
    len: u32,
    count: u32,
    hash: u64,
    /// Of a number, its plain cell.
    cell: u64,
    tag: u8,
}

impl DictionaryEntry {
    /// Bytes in a heap.
    fn heap_len(&self) -> u64 {
        (u64::from(self.len) + 1).next_multiple_of(8)
    }
}

impl DictionaryBuilder {
    pub(super) fn new(spill: &mut Spill) -> Self {
        Self {
            entries: Vec::new(),
            values: spill.stream(),
            index: HashTable::new(),
            cells: spill.stream(),
            cell_count: 0,
            first_values: Vec::new(),
        }
    }

    /// Adds a cell with a tagged value; false when the value is new and the dictionary full.
    #[inline]
    pub(super) fn push(&mut self, tagged: &[u8], hash_seed: u64, spill: &mut Spill) -> Result<bool> {
        let hash = value::hash_tagged(tagged, hash_seed);
        let number = match self.find(tagged, hash, spill)? {
            Some(number) => number,
            None if self.entries.len() >= DICTIONARY_COUNT_MAX => return Ok(false),
            None => {
                let number = self.entries.len() as u32;
                self.entries.push(self.new_entry(tagged, hash, spill));
                self.append(tagged, spill)?;
                let entries = &self.entries;
                self.index
                    .insert_unique(hash, number, |&other| entries.get(other as usize).map_or(0, |entry| entry.hash));
                number
            }
        };
        self.push_cell(number, spill)?;
        Ok(true)
    }

    /// Adds a value that is not there yet, without a cell. Values are added in this way or with [`push`](Self::push), not both.
    pub(super) fn push_entry(&mut self, tagged: &[u8], hash_seed: u64, spill: &mut Spill) -> Result<()> {
        let hash = value::hash_tagged(tagged, hash_seed);
        self.entries.push(self.new_entry(tagged, hash, spill));
        spill.append(self.values, tagged)
    }

    fn append(&mut self, tagged: &[u8], spill: &mut Spill) -> Result<()> {
        if self.first_values.len() as u64 == spill.len(self.values)
            && self.first_values.len() + tagged.len() <= FIRST_VALUES_LEN
        {
            self.first_values.extend_from_slice(tagged);
        }
        spill.append(self.values, tagged)
    }

    /// An entry for a value that is about to be appended.
    fn new_entry(&self, tagged: &[u8], hash: u64, spill: &Spill) -> DictionaryEntry {
        let (tag, cell) = tag_and_cell(tagged);
        DictionaryEntry { start: spill.len(self.values), len: tagged.len() as u32, count: 0, hash, cell, tag }
    }

    /// Adds a cell that has the value of an entry.
    #[inline]
    pub(super) fn push_cell(&mut self, number: u32, spill: &mut Spill) -> Result<()> {
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.count += 1;
        }
        self.cell_count += 1;
        spill.append(self.cells, &(number as u16).to_le_bytes())
    }

    /// The entry of a value.
    #[inline]
    fn find(&self, tagged: &[u8], hash: u64, spill: &Spill) -> Result<Option<u32>> {
        let mut failure = Ok(());
        let found = self.index.find(hash, |&number| {
            self.entries.get(number as usize).is_some_and(|entry| {
                if entry.hash != hash || entry.len as usize != tagged.len() {
                    return false;
                }
                let start = entry.start as usize;
                match self.first_values.get(start..start + tagged.len()) {
                    Some(value) => value == tagged,
                    None => spill.matches(self.values, entry.start, tagged).unwrap_or_else(|error| {
                        failure = Err(error);
                        false
                    }),
                }
            })
        });
        let found = found.copied();
        failure.map(|()| found)
    }

    /// Forgets everything.
    pub(super) fn clear(self, spill: &mut Spill) {
        spill.clear(self.values);
        spill.clear(self.cells);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Of each entry the tag and, of a number, its plain cell.
    pub(super) fn tags_and_cells(&self) -> impl Iterator<Item = (u8, u64)> {
        self.entries.iter().map(|entry| (entry.tag, entry.cell))
    }

    /// Where each entry starts in what [`all_values`](Self::all_values) returns, and its length.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, u32)> {
        self.entries.iter().map(|entry| (entry.start, entry.len))
    }

    /// The tagged values of all entries.
    pub(super) fn all_values(&self, spill: &Spill) -> Result<Vec<u8>> {
        let mut bytes = vec![0; spill.len(self.values) as usize];
        spill.read_at(self.values, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// The number of each cell's entry, as a u16.
    pub(super) const fn cells(&self) -> StreamId {
        self.cells
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self.entries.len() {
            0..=1 => Encoding::Constant,
            2..=256 => Encoding::Dictionary8,
            _ => Encoding::Dictionary16,
        }
    }

    pub(super) fn index_len(&self) -> usize {
        (self.entries.len() * 2).next_power_of_two()
    }

    /// Whether another encoding of the same cells takes less space.
    pub(super) fn is_larger_than_other(&self) -> bool {
        let heaps: u64 =
            self.entries.iter().filter(|entry| !Entry::is_inline(entry.tag)).map(DictionaryEntry::heap_len).sum();
        let table_len = (self.entries.len() * 20 + self.index_len() * 4) as u64;
        let all = |test: fn(u8) -> bool| self.entries.iter().all(|entry| test(entry.tag));
        let other = if all(|tag| matches!(tag, TAG_INT | TAG_UINT)) || all(|tag| tag == TAG_FLOAT) {
            self.cell_count * 8
        } else {
            self.cell_count * 4 + self.entries.iter().map(DictionaryEntry::heap_len).sum::<u64>()
        };
        self.cell_count * self.encoding().width() + table_len + heaps > other
    }

    /// Writes cells, presence and dictionary. What was surveyed is in a spill of its own.
    pub(super) fn write_column(
        &self,
        (segments, segments_spill): (&SegmentSurvey, &Spill),
        spill: &Spill,
        writer: &mut BlockWriter<'_>,
    ) -> Result<()> {
        let encoding = self.encoding();
        let mut numbers = StreamReader::new(self.cells);
        let mut cells = segments.begin_cells(encoding, writer)?;
        let (mut rest, mut narrow) = (self.cell_count, Vec::with_capacity(NUMBERS_LEN));
        while rest > 0 {
            let count = rest.min(NUMBERS_LEN as u64);
            let bytes = numbers.take(spill, count as usize * 2)?.unwrap_or_default();
            match encoding.width() {
                0 => cells.extend_empty(count, writer)?,
                1 => {
                    narrow.clear();
                    narrow.extend(bytes.as_chunks::<2>().0.iter().map(|[low, _]| *low));
                    cells.extend(&narrow, writer)?;
                }
                _ => cells.extend(bytes, writer)?,
            }
            rest -= count;
        }
        cells.finish(segments_spill, writer)?;
        self.write(spill, writer)
    }

    /// Writes the sections "text_heap", "value_heap", "dictionary", "counts" and "dictionary_index".
    fn write(&self, spill: &Spill, writer: &mut BlockWriter<'_>) -> Result<()> {
        let mut places = vec![None; self.entries.len()];
        for (kind, is_text) in [(SECTION_TEXT_HEAP, true), (SECTION_VALUE_HEAP, false)] {
            let section = writer.begin_section(kind)?;
            for (entry, place) in self.entries.iter().zip(&mut places) {
                if Entry::is_inline(entry.tag) || (entry.tag == TAG_TEXT) != is_text {
                    continue;
                }
                let tagged = self.tagged(entry, spill)?;
                let content = if is_text { tagged.get(1..).unwrap_or_default() } else { &tagged };
                let (_, start) = write_entry(content, writer)?;
                let (offset, len, tag) = (start - section, entry.len.saturating_sub(1), entry.tag);
                *place = Some(if is_text {
                    Entry::Text { offset, len }
                } else {
                    Entry::Heap { tag, offset: offset + 1, len }
                });
            }
            writer.end_section();
        }
        self.write_entries(&places, spill, writer)?;
        self.write_index(writer)
    }

    fn tagged(&self, entry: &DictionaryEntry, spill: &Spill) -> Result<Vec<u8>> {
        let mut tagged = vec![0; entry.len as usize];
        spill.read_at(self.values, entry.start, &mut tagged)?;
        Ok(tagged)
    }

    fn write_entries(&self, places: &[Option<Entry>], spill: &Spill, writer: &mut BlockWriter<'_>) -> Result<()> {
        let mut bytes = Vec::with_capacity(places.len() * 16);
        let mut counts = Vec::with_capacity(places.len() * 4);
        for (entry, place) in self.entries.iter().zip(places) {
            let written = match place {
                Some(place) => *place,
                None => {
                    let mut payload = [0u8; 8];
                    for (to, from) in payload.iter_mut().zip(self.tagged(entry, spill)?.iter().skip(1)) {
                        *to = *from;
                    }
                    let tag = if entry.len == 0 { TAG_NULL } else { entry.tag };
                    Entry::Inline { tag, payload: u64::from_le_bytes(payload) }
                }
            };
            written.encode(&mut bytes);
            counts.extend(entry.count.to_le_bytes());
        }
        writer.section(SECTION_DICTIONARY, &bytes)?;
        writer.section(SECTION_COUNTS, &counts)
    }

    fn write_index(&self, writer: &mut BlockWriter<'_>) -> Result<()> {
        let len = self.index_len();
        let mut index = vec![NO_ENTRY; len];
        for (number, entry) in self.entries.iter().enumerate() {
            let mut place = entry.hash as usize & (len - 1);
            while index.get(place).is_some_and(|&taken| taken != NO_ENTRY) {
                place = (place + 1) & (len - 1);
            }
            if let Some(empty) = index.get_mut(place) {
                *empty = number as u32;
            }
        }
        let index: Vec<u8> = index.iter().flat_map(|number| number.to_le_bytes()).collect();
        writer.section(SECTION_DICTIONARY_INDEX, &index)
    }
}
