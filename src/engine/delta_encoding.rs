//! How the cells of a delta column are stored, and the heaps that all columns of a patch share.

use super::block_writer::BlockWriter;
use super::column_builder::plain_integer;
use super::heap_builder::write_entry;
use crate::error::Result;
use crate::format::column::{DICTIONARY_COUNT_MAX, ENTRY_LEN, Encoding, Entry, SECTION_TEXT_HEAP, SECTION_VALUE_HEAP};
use crate::format::heap::ENTRY_ALIGNMENT;
use crate::format::value;
use crate::model::ValueRef;
use hashbrown::HashMap;

/// How the cells of one delta column are stored.
#[derive(Debug)]
pub(super) enum DeltaEncoding<'a> {
    Dictionary(DeltaDictionary<'a>),
    Plain(Encoding),
    /// Positions in the heap of text.
    Text,
    /// Positions in the heap of tagged values.
    Value,
}

/// The distinct values of a delta column, in order of first use.
#[derive(Default, Debug)]
pub(super) struct DeltaDictionary<'a> {
    entries: Vec<ValueRef<'a>>,
    counts: Vec<u32>,
    numbers: HashMap<ValueRef<'a>, u32>,
}

/// Bytes of a dictionary entry with its count.
const DICTIONARY_COST: usize = ENTRY_LEN + 4;

impl<'a> DeltaDictionary<'a> {
    /// `None` where another encoding is smaller: `width` is that of its cells.
    fn of(values: &[Option<ValueRef<'a>>], width: usize) -> Option<Self> {
        let count = values.iter().flatten().count();
        let mut dictionary = Self::default();
        for &value in values.iter().flatten() {
            let next = dictionary.entries.len();
            let number = *dictionary.numbers.entry(value).or_insert(next as u32) as usize;
            if number == next {
                if next == DICTIONARY_COUNT_MAX || (next + 1) * DICTIONARY_COST > count * width {
                    return None;
                }
                dictionary.entries.push(value);
                dictionary.counts.push(0);
            }
            if let Some(count) = dictionary.counts.get_mut(number) {
                *count += 1;
            }
        }
        let cells = count * dictionary.encoding().width() as usize;
        (cells + dictionary.entries.len() * DICTIONARY_COST <= count * width).then_some(dictionary)
    }

    fn encoding(&self) -> Encoding {
        match self.entries.len() {
            0..=1 => Encoding::Constant,
            2..=256 => Encoding::Dictionary8,
            _ => Encoding::Dictionary16,
        }
    }
}

impl<'a> DeltaEncoding<'a> {
    pub(super) fn choose(values: &[Option<ValueRef<'a>>]) -> Self {
        let all = |test: fn(ValueRef<'_>) -> bool| values.iter().flatten().all(|&value| test(value));
        let plain = if all(|value| matches!(value, ValueRef::Int(int) if i64::try_from(int).is_ok())) {
            Self::Plain(Encoding::PlainI64)
        } else if all(|value| matches!(value, ValueRef::Int(int) if u64::try_from(int).is_ok())) {
            Self::Plain(Encoding::PlainU64)
        } else if all(|value| matches!(value, ValueRef::Float(_))) {
            Self::Plain(Encoding::PlainF64)
        } else if all(|value| matches!(value, ValueRef::Text(_))) {
            Self::Text
        } else {
            Self::Value
        };
        let width = if matches!(plain, Self::Plain(_)) { 8 } else { 4 };
        DeltaDictionary::of(values, width).map_or(plain, Self::Dictionary)
    }

    pub(super) fn dictionary(&self) -> &[ValueRef<'a>] {
        if let Self::Dictionary(dictionary) = self { &dictionary.entries } else { &[] }
    }

    /// For each dictionary entry the number of cells that refer to it.
    pub(super) fn counts(&self) -> &[u32] {
        if let Self::Dictionary(dictionary) = self { &dictionary.counts } else { &[] }
    }

    /// Adds to the heaps what the cells need there.
    pub(super) fn collect(&self, values: &[Option<ValueRef<'a>>], heaps: &mut Heaps<'a>) {
        match self {
            Self::Dictionary(dictionary) => dictionary.entries.iter().for_each(|&value| heaps.add_entry(value)),
            Self::Plain(_) => {}
            Self::Text => {
                values.iter().flatten().filter_map(|value| value.as_str()).for_each(|text| heaps.add_text(text))
            }
            Self::Value => values.iter().flatten().for_each(|&value| heaps.add_value(value)),
        }
    }

    /// The encoding of cells whose values are in written heaps.
    pub(super) fn encoding(&self, heaps: &Heaps<'_>) -> Encoding {
        match self {
            Self::Dictionary(dictionary) => dictionary.encoding(),
            Self::Plain(encoding) => *encoding,
            Self::Text if heaps.texts.is_wide => Encoding::Text64,
            Self::Text => Encoding::Text32,
            Self::Value if heaps.values.is_wide => Encoding::Value64,
            Self::Value => Encoding::Value32,
        }
    }

    /// Appends a cell; that of a removed slot means nothing.
    pub(super) fn encode_cell(&self, value: Option<ValueRef<'_>>, heaps: &Heaps<'_>, out: &mut Vec<u8>) {
        let number = value.map_or(0, |value| match self {
            Self::Dictionary(dictionary) => dictionary.numbers.get(&value).copied().unwrap_or_default().into(),
            Self::Plain(Encoding::PlainF64) => {
                if let ValueRef::Float(float) = value {
                    float.to_bits()
                } else {
                    0
                }
            }
            Self::Plain(_) => plain_integer(value).map_or(0, |(cell, _, _)| cell),
            Self::Text => value.as_str().map_or(0, |text| heaps.texts.position(&text)),
            Self::Value => heaps.values.position(&value),
        });
        let width = self.encoding(heaps).width() as usize;
        out.extend(number.to_le_bytes().into_iter().take(width));
    }
}

/// The entries of one heap: what they are, and where they went.
#[derive(Debug)]
struct HeapEntries<T> {
    numbers: HashMap<T, usize>,
    /// Offsets of entries and of their contents, from the start of the heap, in the order of `numbers`.
    places: Vec<(u64, u64)>,
    /// Whether positions do not fit in 32 bits.
    is_wide: bool,
}

impl<T> Default for HeapEntries<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), places: Vec::new(), is_wide: false }
    }
}

impl<T: std::hash::Hash + Eq + Copy> HeapEntries<T> {
    fn add(&mut self, content: T) {
        let next = self.numbers.len();
        self.numbers.entry(content).or_insert(next);
    }

    fn place(&self, content: &T) -> (u64, u64) {
        self.numbers.get(content).and_then(|&number| self.places.get(number)).copied().unwrap_or_default()
    }

    fn position(&self, content: &T) -> u64 {
        self.place(content).0 / ENTRY_ALIGNMENT
    }

    fn write(&mut self, kind: u32, writer: &mut BlockWriter<'_>, encode: impl Fn(T, &mut Vec<u8>)) -> Result<()> {
        let mut contents = vec![None; self.numbers.len()];
        for (&content, &number) in &self.numbers {
            if let Some(place) = contents.get_mut(number) {
                *place = Some(content);
            }
        }
        let start = writer.begin_section(kind)?;
        let mut bytes = Vec::new();
        for content in contents.into_iter().flatten() {
            bytes.clear();
            encode(content, &mut bytes);
            let (entry, offset) = write_entry(&bytes, writer)?;
            self.places.push((entry - start, offset - start));
        }
        writer.end_section();
        self.is_wide = self.places.last().is_some_and(|&(entry, _)| u32::try_from(entry / ENTRY_ALIGNMENT).is_err());
        Ok(())
    }
}

/// The heaps of a patch.
#[derive(Default, Debug)]
pub(super) struct Heaps<'a> {
    texts: HeapEntries<&'a str>,
    values: HeapEntries<ValueRef<'a>>,
}

impl<'a> Heaps<'a> {
    fn add_text(&mut self, text: &'a str) {
        self.texts.add(text);
    }

    fn add_value(&mut self, value: ValueRef<'a>) {
        self.values.add(value);
    }

    /// Adds what a dictionary entry keeps in a heap.
    pub(super) fn add_entry(&mut self, value: ValueRef<'a>) {
        match value {
            ValueRef::Text(text) => self.add_text(text),
            value if Entry::is_inline(value::tag(value)) => {}
            value => self.add_value(value),
        }
    }

    /// Writes both heaps; entries keep the order in which they were added.
    pub(super) fn write(&mut self, writer: &mut BlockWriter<'_>) -> Result<()> {
        self.texts.write(SECTION_TEXT_HEAP, writer, |text, out| out.extend_from_slice(text.as_bytes()))?;
        self.values.write(SECTION_VALUE_HEAP, writer, value::encode)
    }

    /// Dictionary entries for values whose heaps are written.
    pub(super) fn encode_entries<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> Vec<u8> {
        let mut out = Vec::new();
        for value in values {
            self.entry(value).encode(&mut out);
        }
        out
    }

    fn entry(&self, value: ValueRef<'_>) -> Entry {
        let tag = value::tag(value);
        let len = value::payload_len(value) as u32;
        match value {
            ValueRef::Text(text) => Entry::Text { offset: self.texts.place(&text).1, len },
            value if Entry::is_inline(tag) => {
                let mut tagged = Vec::new();
                value::encode(value, &mut tagged);
                let mut payload = [0u8; 8];
                for (to, from) in payload.iter_mut().zip(tagged.iter().skip(1)) {
                    *to = *from;
                }
                Entry::Inline { tag, payload: u64::from_le_bytes(payload) }
            }
            // Behind the tag.
            value => Entry::Heap { tag, offset: self.values.place(&value).1 + 1, len },
        }
    }
}
