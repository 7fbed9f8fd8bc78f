//! Building a column file from values in slot order: picks the encoding, writes cells, presence, dictionary and heaps.

use super::block_writer::BlockWriter;
use super::heap_builder::HeapBuilder;
use super::segment_writer::{CellSource, write_segments};
use crate::error::Result;
use crate::format::column::{
    Column, DICTIONARY_COUNT_MAX, Encoding, Entry, NO_ENTRY, SECTION_COLUMN, SECTION_COUNTS, SECTION_DICTIONARY,
    SECTION_DICTIONARY_INDEX, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP, SEGMENT_LEN,
};
use crate::format::manifest::FileEntry;
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_NULL, TAG_TEXT, TAG_UINT};
use crate::model::ValueRef;
use hashbrown::HashTable;

/// The values of one dimension, gathered in slot order.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    hash_seed: u64,
    present: PresentSlots,
    null_count: u64,
    store: Store,
}

/// Which slots have a value, as a bitmap.
#[derive(Clone, Default, Debug)]
pub(super) struct PresentSlots {
    words: Vec<u64>,
    count: u64,
}

impl PresentSlots {
    pub(super) fn insert(&mut self, slot: u32) {
        let word = (slot >> 6) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << (slot & 63);
        }
        self.count += 1;
    }

    /// Also those of another set. The count is then that of insertions.
    pub(super) fn insert_all(&mut self, other: &Self) {
        self.words.resize(self.words.len().max(other.words.len()), 0);
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
        self.count += other.count;
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        self.word((slot >> 6) as usize) & (1 << (slot & 63)) != 0
    }

    pub(super) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// Cells of the present slots, in order.
#[derive(Debug)]
enum Store {
    /// Few distinct values so far.
    Dictionary(Dictionary),
    /// Integers only, as their low 64 bits.
    Integers { cells: Vec<u64>, negative: bool, unsigned: bool },
    /// Floats only, as bits.
    Floats(Vec<u64>),
    /// Positions in a heap of text or of tagged values.
    Heap(HeapBuilder),
}

/// Distinct values in order of first use.
#[derive(Default, Debug)]
struct Dictionary {
    cells: Vec<u16>,
    entries: Vec<DictionaryEntry>,
    /// Tagged values, one after the other.
    bytes: Vec<u8>,
    index: HashTable<u32>,
}

#[derive(Clone, Copy, Debug)]
struct DictionaryEntry {
    start: usize,
    len: usize,
    count: u32,
    hash: u64,
}

impl Dictionary {
    fn tagged(&self, entry: &DictionaryEntry) -> &[u8] {
        self.bytes.get(entry.start..entry.start + entry.len).unwrap_or_default()
    }

    fn value(&self, number: usize) -> ValueRef<'_> {
        let tagged = self.entries.get(number).map(|entry| self.tagged(entry)).unwrap_or_default();
        // Encoded by this builder: it always decodes.
        value::decode(tagged).unwrap_or(ValueRef::Null)
    }

    /// Adds a cell; false when the value is new and the dictionary full.
    fn push(&mut self, value: ValueRef<'_>, hash_seed: u64, scratch: &mut Vec<u8>) -> bool {
        scratch.clear();
        value::encode(value, scratch);
        let hash = value::hash(value, hash_seed);
        let found = self.index.find(hash, |&number| {
            self.entries.get(number as usize).is_some_and(|entry| self.tagged(entry) == scratch.as_slice())
        });
        let number = match found {
            Some(&number) => number,
            None if self.entries.len() >= DICTIONARY_COUNT_MAX => return false,
            None => {
                let number = self.entries.len() as u32;
                self.entries.push(DictionaryEntry { start: self.bytes.len(), len: scratch.len(), count: 0, hash });
                self.bytes.extend_from_slice(scratch);
                let entries = &self.entries;
                self.index
                    .insert_unique(hash, number, |&other| entries.get(other as usize).map_or(0, |entry| entry.hash));
                number
            }
        };
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.count += 1;
        }
        self.cells.push(number as u16);
        true
    }

    fn cell_width(&self) -> u64 {
        match self.entries.len() {
            0..=1 => 0,
            2..=256 => 1,
            _ => 2,
        }
    }

    fn encoding(&self) -> Encoding {
        match self.cell_width() {
            0 => Encoding::Constant,
            1 => Encoding::Dictionary8,
            _ => Encoding::Dictionary16,
        }
    }

    fn index_len(&self) -> usize {
        (self.entries.len() * 2).next_power_of_two()
    }

    /// Bytes that the dictionary and its cells take on disk.
    fn dictionary_len(&self) -> u64 {
        let heaps: u64 = self.entries.iter().map(|entry| heap_share(self.tagged(entry))).sum();
        self.cells.len() as u64 * self.cell_width() + (self.entries.len() * 20 + self.index_len() * 4) as u64 + heaps
    }

    /// Bytes that the same cells take in the best other encoding.
    fn alternative_len(&self) -> u64 {
        let numbers = self.all(|tag| matches!(tag, TAG_INT | TAG_UINT)) || self.all(|tag| tag == TAG_FLOAT);
        if numbers {
            return self.cells.len() as u64 * 8;
        }
        let heap: u64 = self.entries.iter().map(|entry| (entry.len as u64 + 1).next_multiple_of(8)).sum();
        self.cells.len() as u64 * 4 + heap
    }

    fn all(&self, test: impl Fn(u8) -> bool) -> bool {
        self.entries.iter().all(|entry| self.tagged(entry).first().is_some_and(|&tag| test(tag)))
    }

    /// The same cells in an encoding without a dictionary.
    fn into_other(self, hash_seed: u64) -> Result<Store> {
        let mut store = if self.all(|tag| matches!(tag, TAG_INT | TAG_UINT)) {
            Store::Integers { cells: Vec::with_capacity(self.cells.len()), negative: false, unsigned: false }
        } else if self.all(|tag| tag == TAG_FLOAT) {
            Store::Floats(Vec::with_capacity(self.cells.len()))
        } else {
            Store::Heap(HeapBuilder::new(self.all(|tag| tag == TAG_TEXT), true))
        };
        for &cell in &self.cells {
            store.push(self.value(usize::from(cell)), hash_seed, &mut Vec::new())?;
        }
        Ok(store)
    }
}

/// Bytes of a dictionary value that are kept in a heap.
fn heap_share(tagged: &[u8]) -> u64 {
    match tagged.first() {
        Some(&tag) if Entry::is_inline(tag) => 0,
        _ => (tagged.len() as u64 + 1).next_multiple_of(8),
    }
}

/// The low 64 bits of an integer that has a plain cell.
pub(super) fn plain_integer(value: ValueRef<'_>) -> Option<(u64, bool, bool)> {
    let ValueRef::Int(int) = value else { return None };
    if let Ok(signed) = i64::try_from(int) {
        return Some((signed.cast_unsigned(), signed < 0, false));
    }
    u64::try_from(int).ok().map(|unsigned| (unsigned, false, true))
}

impl Store {
    fn push(&mut self, value: ValueRef<'_>, hash_seed: u64, scratch: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Dictionary(dictionary) => {
                if !dictionary.push(value, hash_seed, scratch) {
                    *self = std::mem::take(dictionary).into_other(hash_seed)?;
                    return self.push(value, hash_seed, scratch);
                }
            }
            Self::Integers { cells, negative, unsigned } => match plain_integer(value) {
                Some((cell, is_negative, is_unsigned))
                    if !((*negative || is_negative) && (*unsigned || is_unsigned)) =>
                {
                    cells.push(cell);
                    *negative |= is_negative;
                    *unsigned |= is_unsigned;
                }
                _ => {
                    let mut heap = HeapBuilder::new(false, true);
                    for &cell in cells.iter() {
                        heap.push(integer_value(cell, *unsigned))?;
                    }
                    heap.push(value)?;
                    *self = Self::Heap(heap);
                }
            },
            Self::Floats(cells) => match value {
                ValueRef::Float(float) => cells.push(float.to_bits()),
                _ => {
                    let mut heap = HeapBuilder::new(false, true);
                    for &bits in cells.iter() {
                        heap.push(ValueRef::Float(f64::from_bits(bits)))?;
                    }
                    heap.push(value)?;
                    *self = Self::Heap(heap);
                }
            },
            Self::Heap(heap) => heap.push(value)?,
        }
        Ok(())
    }
}

fn integer_value(cell: u64, unsigned: bool) -> ValueRef<'static> {
    if unsigned { ValueRef::Int(cell.into()) } else { ValueRef::Int(cell.cast_signed().into()) }
}

impl CellSource for Store {
    fn value(&self, index: usize) -> Option<ValueRef<'_>> {
        Some(match self {
            Self::Dictionary(dictionary) => {
                dictionary.value(dictionary.cells.get(index).copied().unwrap_or_default().into())
            }
            Self::Integers { cells, unsigned, .. } => {
                integer_value(cells.get(index).copied().unwrap_or_default(), *unsigned)
            }
            Self::Floats(cells) => ValueRef::Float(f64::from_bits(cells.get(index).copied().unwrap_or_default())),
            Self::Heap(heap) => heap.value(index),
        })
    }

    fn encoding(&self) -> Encoding {
        match self {
            Self::Dictionary(dictionary) => dictionary.encoding(),
            Self::Integers { unsigned: true, .. } => Encoding::PlainU64,
            Self::Integers { .. } => Encoding::PlainI64,
            Self::Floats(_) => Encoding::PlainF64,
            Self::Heap(heap) => heap.encoding(),
        }
    }

    fn encode_cell(&self, index: usize, out: &mut Vec<u8>) {
        match self {
            Self::Dictionary(dictionary) => {
                let [low, high] = dictionary.cells.get(index).copied().unwrap_or_default().to_le_bytes();
                match dictionary.cell_width() {
                    0 => {}
                    1 => out.push(low),
                    _ => out.extend([low, high]),
                }
            }
            Self::Integers { cells, .. } | Self::Floats(cells) => {
                out.extend(cells.get(index).copied().unwrap_or_default().to_le_bytes());
            }
            Self::Heap(heap) => heap.encode_cell(index, out),
        }
    }
}

impl ColumnBuilder {
    pub(super) fn new(hash_seed: u64) -> Self {
        Self {
            hash_seed,
            present: PresentSlots::default(),
            null_count: 0,
            store: Store::Dictionary(Dictionary::default()),
        }
    }

    /// Adds the value of a slot. Slots ascend.
    pub(super) fn push(&mut self, slot: u32, value: ValueRef<'_>, scratch: &mut Vec<u8>) -> Result<()> {
        self.store.push(value, self.hash_seed, scratch)?;
        self.present.insert(slot);
        self.null_count += u64::from(value.is_null());
        Ok(())
    }

    /// Values so far.
    pub(super) fn len(&self) -> u64 {
        self.present.count()
    }

    /// Whether a slot has a value.
    pub(super) fn contains(&self, slot: u32) -> bool {
        self.present.contains(slot)
    }

    /// Writes the file.
    pub(super) fn finish(self, slot_count: u32, mut writer: BlockWriter<'_>) -> Result<FileEntry> {
        let Self { hash_seed, present, null_count, store } = self;
        let store = match store {
            Store::Dictionary(dictionary) if dictionary.dictionary_len() > dictionary.alternative_len() => {
                dictionary.into_other(hash_seed)?
            }
            store => store,
        };
        // The heap comes first: where its entries go depends on their offset in the file.
        if let Store::Heap(heap) = &store {
            let kind = if heap.is_text() { SECTION_TEXT_HEAP } else { SECTION_VALUE_HEAP };
            heap.write(kind, &mut writer)?;
        }
        let summary = write_segments(&store, &present, slot_count, &mut writer)?;
        let mut column = Column {
            distinct_count: distinct_count(&store),
            null_count,
            hash_seed,
            dictionary_count: 0,
            dictionary_index_len: 0,
            segment_count: slot_count.div_ceil(SEGMENT_LEN),
            value_types: summary.value_types,
        };
        if let Store::Dictionary(dictionary) = &store {
            column.dictionary_count = dictionary.entries.len() as u32;
            column.dictionary_index_len = dictionary.index_len() as u32;
            write_dictionary(dictionary, &mut writer)?;
        }
        writer.section(SECTION_COLUMN, &column.encode())?;
        writer.finish(slot_count.into(), present.count())
    }
}

fn distinct_count(store: &Store) -> u64 {
    match store {
        Store::Dictionary(dictionary) => dictionary.entries.len() as u64,
        Store::Heap(heap) => heap.distinct_count(),
        Store::Integers { cells, .. } | Store::Floats(cells) => {
            let mut sorted = cells.clone();
            sorted.sort_unstable();
            sorted.dedup();
            sorted.len() as u64
        }
    }
}

fn write_dictionary(dictionary: &Dictionary, writer: &mut BlockWriter<'_>) -> Result<()> {
    let mut entries = vec![None; dictionary.entries.len()];
    let tag_of = |entry: &DictionaryEntry| dictionary.tagged(entry).first().copied().unwrap_or(TAG_NULL);
    for (kind, wanted) in [(SECTION_TEXT_HEAP, true), (SECTION_VALUE_HEAP, false)] {
        let section = writer.begin_section(kind)?;
        for (entry, place) in dictionary.entries.iter().zip(&mut entries) {
            let tag = tag_of(entry);
            if Entry::is_inline(tag) || (tag == TAG_TEXT) != wanted {
                continue;
            }
            let tagged = dictionary.tagged(entry);
            let content = if wanted { tagged.get(1..).unwrap_or_default() } else { tagged };
            let (_, start) = HeapBuilder::write_entry(content, writer)?;
            let offset = start - section;
            let len = entry.len.saturating_sub(1) as u32;
            *place =
                Some(if wanted { Entry::Text { offset, len } } else { Entry::Heap { tag, offset: offset + 1, len } });
        }
        writer.end_section();
    }
    let mut bytes = Vec::with_capacity(entries.len() * 16);
    let mut counts = Vec::with_capacity(entries.len() * 4);
    for (entry, place) in dictionary.entries.iter().zip(entries) {
        let inline = || {
            let mut payload = [0u8; 8];
            for (to, from) in payload.iter_mut().zip(dictionary.tagged(entry).iter().skip(1)) {
                *to = *from;
            }
            Entry::Inline { tag: tag_of(entry), payload: u64::from_le_bytes(payload) }
        };
        place.unwrap_or_else(inline).encode(&mut bytes);
        counts.extend(entry.count.to_le_bytes());
    }
    writer.section(SECTION_DICTIONARY, &bytes)?;
    writer.section(SECTION_COUNTS, &counts)?;
    let len = dictionary.index_len();
    let mut index = vec![NO_ENTRY; len];
    for (number, entry) in dictionary.entries.iter().enumerate() {
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
