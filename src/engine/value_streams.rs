//! The values of a dimension by row, as a load takes them: in a form that is read fast and takes few bytes, for as long as all of them
//! have it.
//!
//! Up to 65,536 distinct values are a dictionary and numbers; numbers of 64 bits and floats are plain cells; texts may be dealt out by
//! hash, as numbering them needs; everything else is tagged values. When a value comes that does not fit, those before it are written
//! again in the next form, which happens at most three times.

use super::block_writer::BegunFile;
use super::dictionary_builder::DictionaryBuilder;
use super::late_values::ValueReader;
use super::numbering::{PARTITION_COUNT, append_content, content_hash, partition};
use super::record_batch::{BATCH_NUMBER_LEN, BatchColumn, NUMBER_LEN, next_value};
use super::spill::{Spill, StreamId, StreamReader, encode_number};
use crate::error::Result;
use crate::format::block_file::Identity;
use crate::format::column::Encoding;
use crate::format::manifest::{axis_name, column_name};
use crate::format::value::{TAG_FLOAT, TAG_INT, TAG_TEXT, TAG_UINT, tag_and_cell};

/// What an entry of a dictionary takes in memory: place, hash and count, its place in the table, and a short value where it is read back.
const ENTRY_COST: usize = 64;
/// Bytes of a short value.
const SHORT_LEN: usize = 32;
/// Numbers of a batch that are appended at once.
const NUMBERS_LEN: usize = 32;
/// The longest chunk that each of many readers reads at once.
const PART_CHUNK_LEN: usize = 16 << 10;

/// What the dimensions of a load may still take beside their streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Bytes of dictionaries.
    pub(super) dictionaries: usize,
    /// Dimensions whose texts may be dealt out, which takes many streams.
    pub(super) dealt: usize,
    /// Files that may be begun while values come, each of which takes a long buffer.
    pub(super) begun: usize,
}

/// The files of a load have this generation.
pub(super) const GENERATION: u64 = 1;

/// A file of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LoadFile {
    Axis,
    /// The column of a dimension.
    Column(u32),
}

impl LoadFile {
    /// Its number among the files of the database.
    pub(super) fn id(self) -> u64 {
        match self {
            Self::Axis => 1,
            Self::Column(index) => u64::from(index) + 2,
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Axis => axis_name(GENERATION),
            Self::Column(index) => column_name(index, GENERATION),
        }
    }
}

/// The values of a dimension.
#[derive(Debug)]
pub(super) struct ValueStreams {
    form: Form,
    file: LoadFile,
    /// For forms other than [`Form::Tagged`]: how many values come before each gap and after the one before it, and how many rows it has.
    gaps: StreamId,
    /// Values since the last gap.
    run: u64,
    next_row: u32,
    count: u64,
    /// More values are distinct than a dictionary takes.
    is_diverse: bool,
    /// What the dictionary takes of the allowance, and whether that was not enough.
    dictionary_cost: usize,
    is_over: bool,
}

/// How the values are kept.
#[derive(Debug)]
pub(super) enum Form {
    /// None came yet. They may be put in a dictionary or not.
    Empty { may_be_few: bool },
    /// Numbers of entries.
    Dictionary(DictionaryBuilder),
    /// Numbers, as plain cells; in their file, if that could be begun.
    Cells { stream: StreamId, kind: CellKind },
    /// Texts behind their lengths, in the order of rows in each partition, and the partition of each.
    Texts { partitions: Vec<StreamId>, order: StreamId },
    /// Each value behind the number of rows passed over and its length.
    Tagged(StreamId),
}

/// Which numbers cells are.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellKind {
    is_float: bool,
    has_negative: bool,
    has_unsigned: bool,
}

impl CellKind {
    /// The kind of one number.
    fn of(tag: u8, cell: u64) -> Option<Self> {
        let is_number = matches!(tag, TAG_INT | TAG_UINT | TAG_FLOAT);
        let has_negative = tag == TAG_INT && cell.cast_signed() < 0;
        is_number.then_some(Self { is_float: tag == TAG_FLOAT, has_negative, has_unsigned: tag == TAG_UINT })
    }

    /// The kind of the numbers of both, if they have one plain encoding.
    fn with(self, other: Self) -> Option<Self> {
        let has_negative = self.has_negative || other.has_negative;
        let has_unsigned = self.has_unsigned || other.has_unsigned;
        (self.is_float == other.is_float && !(has_negative && has_unsigned)).then_some(Self {
            is_float: self.is_float,
            has_negative,
            has_unsigned,
        })
    }

    /// The tag of a cell.
    #[inline]
    pub(super) const fn tag(self, cell: u64) -> u8 {
        if self.is_float {
            TAG_FLOAT
        } else if self.has_unsigned && cell.cast_signed() < 0 {
            TAG_UINT
        } else {
            TAG_INT
        }
    }

    pub(super) const fn encoding(self) -> Encoding {
        match self {
            Self { is_float: true, .. } => Encoding::PlainF64,
            Self { has_unsigned: true, .. } => Encoding::PlainU64,
            _ => Encoding::PlainI64,
        }
    }
}

/// What streams are written with.
pub(super) struct Taking<'t> {
    pub(super) spill: &'t mut Spill,
    pub(super) allowance: &'t mut Allowance,
    pub(super) hash_seed: u64,
    pub(super) database_id: [u8; 16],
}

impl ValueStreams {
    /// Without values, which are for a file. Those of a column may be few; then a dictionary is made of them.
    pub(super) fn new(file: LoadFile, spill: &mut Spill) -> Self {
        let gaps = spill.stream();
        Self::of(Form::Empty { may_be_few: file != LoadFile::Axis }, file, gaps)
    }

    /// Tagged values from the start on, in a single stream.
    pub(super) fn tagged(file: LoadFile, spill: &mut Spill) -> Self {
        let stream = spill.stream();
        Self::of(Form::Tagged(stream), file, stream)
    }

    const fn of(form: Form, file: LoadFile, gaps: StreamId) -> Self {
        Self { form, file, gaps, run: 0, next_row: 0, count: 0, is_diverse: false, dictionary_cost: 0, is_over: false }
    }

    pub(super) const fn form(&self) -> &Form {
        &self.form
    }

    /// Values so far.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Whether it is certain that a dictionary does not take all values.
    pub(super) const fn is_diverse(&self) -> bool {
        self.is_diverse
    }

    /// Where the rows are that have a value, but for [`Form::Tagged`].
    pub(super) fn rows(&self) -> RowNumbers {
        RowNumbers::new(self.gaps)
    }

    /// Bytes of all values.
    pub(super) fn len(&self, spill: &Spill) -> u64 {
        match &self.form {
            Form::Empty { .. } => 0,
            Form::Dictionary(_) => self.count * 2,
            Form::Texts { partitions, .. } => partitions.iter().map(|&partition| spill.len(partition)).sum(),
            Form::Cells { stream, .. } | Form::Tagged(stream) => spill.len(*stream),
        }
    }

    /// Appends the value of a row. Rows ascend.
    #[inline]
    pub(super) fn push(&mut self, row: u32, tagged: &[u8], taking: &mut Taking<'_>) -> Result<()> {
        while !self.take(row, tagged, taking)? {
            self.reform(tagged, taking)?;
        }
        self.next_row = row + 1;
        self.count += 1;
        Ok(())
    }

    /// Appends the values of a batch whose first record is that of a row.
    pub(super) fn push_all(&mut self, first_row: u32, column: &BatchColumn, taking: &mut Taking<'_>) -> Result<()> {
        let (mut rest, mut row) = (&*column.bytes, first_row);
        if let Form::Tagged(stream) = &self.form {
            // They are as in the stream, but that the first gap starts at the batch.
            let Some((gap, tagged)) = next_value(&mut rest) else { return Ok(()) };
            append_tagged(*stream, first_row + gap - self.next_row, tagged, taking.spill)?;
            taking.spill.append(*stream, rest)?;
            self.next_row = first_row + column.next_record();
            self.count += column.count;
            return Ok(());
        }
        loop {
            self.take_numbers(&mut row, &mut rest, taking)?;
            let Some((gap, tagged)) = next_value(&mut rest) else { return Ok(()) };
            row += gap;
            self.push(row, tagged, taking)?;
            row += 1;
        }
    }

    /// Appends the next values of a batch while each row has one, all are numbers, and these are kept as cells.
    fn take_numbers(&mut self, row: &mut u32, rest: &mut &[u8], taking: &mut Taking<'_>) -> Result<()> {
        let Form::Cells { stream, kind } = &mut self.form else { return Ok(()) };
        if *row != self.next_row {
            return Ok(());
        }
        let mut count = 0;
        for numbers in rest.as_chunks::<BATCH_NUMBER_LEN>().0.chunks(NUMBERS_LEN) {
            let mut cells = [[0u8; 8]; NUMBERS_LEN];
            let mut len = 0;
            for (&[gap, number_len, tag, ref number @ ..], cell) in numbers.iter().zip(&mut cells) {
                let other = CellKind::of(tag, u64::from_le_bytes(*number));
                let both = other.filter(|_| (gap, number_len) == (0, NUMBER_LEN)).and_then(|other| kind.with(other));
                let Some(both) = both else { break };
                (*kind, *cell) = (both, *number);
                len += 1;
            }
            taking.spill.append(*stream, cells.get(..len).unwrap_or_default().as_flattened())?;
            count += len;
            if len < NUMBERS_LEN {
                break;
            }
        }
        *rest = rest.get(count * BATCH_NUMBER_LEN..).unwrap_or_default();
        *row += count as u32;
        self.next_row = *row;
        self.count += count as u64;
        self.run += count as u64;
        Ok(())
    }

    /// Appends the value, if it fits the form.
    #[inline]
    fn take(&mut self, row: u32, tagged: &[u8], taking: &mut Taking<'_>) -> Result<bool> {
        match &mut self.form {
            Form::Empty { .. } => return Ok(false),
            Form::Dictionary(dictionary) => {
                if self.is_over {
                    return Ok(false);
                }
                let len = dictionary.len();
                if !dictionary.push(tagged, taking.hash_seed, taking.spill)? {
                    self.is_diverse = true;
                    return Ok(false);
                }
                if dictionary.len() > len {
                    let cost = ENTRY_COST + tagged.len().saturating_sub(SHORT_LEN);
                    match taking.allowance.dictionaries.checked_sub(cost) {
                        Some(rest) => {
                            taking.allowance.dictionaries = rest;
                            self.dictionary_cost += cost;
                        }
                        None => self.is_over = true,
                    }
                }
            }
            Form::Cells { stream, kind } => {
                let (tag, cell) = tag_and_cell(tagged);
                let Some(both) = CellKind::of(tag, cell).and_then(|other| kind.with(other)) else { return Ok(false) };
                *kind = both;
                taking.spill.append(*stream, &cell.to_le_bytes())?;
            }
            Form::Texts { partitions, order } => {
                let Some((&TAG_TEXT, text)) = tagged.split_first() else { return Ok(false) };
                deal_out(text, partitions, *order, taking)?;
            }
            Form::Tagged(stream) => {
                append_tagged(*stream, row - self.next_row, tagged, taking.spill)?;
                return Ok(true);
            }
        }
        if row != self.next_row {
            self.append_gap(row - self.next_row, taking.spill)?;
        }
        self.run += 1;
        Ok(true)
    }

    #[cold]
    fn append_gap(&mut self, rows: u32, spill: &mut Spill) -> Result<()> {
        let mut bytes = Vec::with_capacity(10);
        encode_number(std::mem::take(&mut self.run), &mut bytes);
        encode_number(rows.into(), &mut bytes);
        spill.append(self.gaps, &bytes)
    }

    /// Goes on in a form that also fits one more value.
    #[cold]
    fn reform(&mut self, tagged: &[u8], taking: &mut Taking<'_>) -> Result<()> {
        let form = self.next_form(tagged, taking)?;
        let mut old = RowValues::new(self, taking.spill)?;
        let next_row = std::mem::take(&mut self.next_row);
        while let Some((row, tagged)) = old.next(taking.spill)? {
            match &form {
                Form::Empty { .. } | Form::Dictionary(_) => {}
                Form::Cells { stream, .. } => {
                    taking.spill.append(*stream, &tag_and_cell(tagged).1.to_le_bytes())?;
                }
                Form::Texts { partitions, order } => {
                    deal_out(tagged.get(1..).unwrap_or_default(), partitions, *order, taking)?;
                }
                Form::Tagged(stream) => {
                    append_tagged(*stream, row - self.next_row, tagged, taking.spill)?;
                    self.next_row = row + 1;
                }
            }
        }
        if matches!(form, Form::Tagged(_)) {
            taking.spill.clear(self.gaps);
        } else {
            self.next_row = next_row;
        }
        match std::mem::replace(&mut self.form, form) {
            Form::Empty { .. } => {}
            Form::Dictionary(dictionary) => {
                dictionary.clear(taking.spill);
                taking.allowance.dictionaries += std::mem::take(&mut self.dictionary_cost);
            }
            Form::Texts { partitions, order } => {
                partitions.into_iter().for_each(|partition| taking.spill.clear(partition));
                taking.spill.clear(order);
            }
            Form::Cells { stream, .. } | Form::Tagged(stream) => taking.spill.clear(stream),
        }
        Ok(())
    }

    fn next_form(&self, tagged: &[u8], taking: &mut Taking<'_>) -> Result<Form> {
        let (tag, cell) = tag_and_cell(tagged);
        let kind = CellKind::of(tag, cell);
        let (kind, are_texts) = match &self.form {
            Form::Empty { may_be_few: true } if taking.allowance.dictionaries > 0 => {
                return Ok(Form::Dictionary(DictionaryBuilder::new(taking.spill)));
            }
            Form::Empty { .. } => (kind, false),
            Form::Dictionary(dictionary) => {
                let mut kind = kind;
                let mut are_texts = tag == TAG_TEXT;
                for (tag, cell) in dictionary.tags_and_cells() {
                    kind = kind.and_then(|kind| kind.with(CellKind::of(tag, cell)?));
                    are_texts &= tag == TAG_TEXT;
                }
                (kind, are_texts)
            }
            _ => (None, false),
        };
        if let Some(kind) = kind {
            return Ok(Form::Cells { stream: self.stream_of_cells(taking)?, kind });
        }
        if are_texts && taking.allowance.dealt > 0 {
            taking.allowance.dealt -= 1;
            let partitions = (0..PARTITION_COUNT).map(|_| taking.spill.stream()).collect();
            return Ok(Form::Texts { partitions, order: taking.spill.stream() });
        }
        Ok(Form::Tagged(taking.spill.stream()))
    }

    /// A stream for plain cells: the file's own, where it is certain that it has such cells.
    fn stream_of_cells(&self, taking: &mut Taking<'_>) -> Result<StreamId> {
        let are_final = self.is_diverse || self.file == LoadFile::Axis;
        if !are_final || taking.allowance.begun == 0 {
            return Ok(taking.spill.stream());
        }
        taking.allowance.begun -= 1;
        let identity = Identity { database_id: taking.database_id, file_id: self.file.id() };
        let begun = BegunFile::create(&**taking.spill.storage(), &self.file.name(), identity)?;
        Ok(taking.spill.stream_in(begun))
    }
}

#[inline]
fn deal_out(text: &[u8], partitions: &[StreamId], order: StreamId, taking: &mut Taking<'_>) -> Result<()> {
    let number = partition(content_hash(text, taking.hash_seed), 0);
    if let Some(&partition) = partitions.get(usize::from(number)) {
        append_content(partition, text, taking.spill)?;
    }
    taking.spill.append(order, &[number])
}

#[inline]
fn append_tagged(stream: StreamId, gap: u32, tagged: &[u8], spill: &mut Spill) -> Result<()> {
    match (u8::try_from(gap), u8::try_from(tagged.len())) {
        (Ok(gap @ 0..0x80), Ok(len @ 0..0x80)) => spill.append(stream, &[gap, len])?,
        _ => {
            let mut head = Vec::with_capacity(15);
            encode_number(gap.into(), &mut head);
            encode_number(tagged.len() as u64, &mut head);
            spill.append(stream, &head)?;
        }
    }
    spill.append(stream, tagged)
}

/// Reads the rows that have a value.
#[derive(Debug)]
pub(super) struct RowNumbers {
    gaps: StreamReader,
    /// Values before the next gap, and its rows.
    run: u64,
    gap: u32,
    next_row: u32,
}

impl RowNumbers {
    fn new(gaps: StreamId) -> Self {
        Self { gaps: StreamReader::new(gaps), run: 0, gap: 0, next_row: 0 }
    }

    fn rewind(&mut self) {
        self.gaps.rewind();
        (self.run, self.gap, self.next_row) = (0, 0, 0);
    }

    /// The next row that has a value, and how many from it on have one, at most `limit`. There are as many as asked for.
    #[inline]
    pub(super) fn run(&mut self, limit: u64, spill: &Spill) -> Result<(u32, u64)> {
        while self.run == 0 {
            self.next_row += self.gap;
            (self.run, self.gap) = match self.gaps.number(spill)? {
                Some(run) => (run, self.gaps.number(spill)?.unwrap_or_default() as u32),
                None => (u64::MAX, 0),
            };
        }
        let (first, len) = (self.next_row, self.run.min(limit));
        self.run -= len;
        self.next_row += len as u32;
        Ok((first, len))
    }
}

/// Reads the values of a dimension by row.
#[derive(Debug)]
pub(super) struct RowValues {
    form: FormReader,
    rows: RowNumbers,
    /// All values, and those to come.
    count: u64,
    rest: u64,
    tagged: Vec<u8>,
}

#[derive(Debug)]
enum FormReader {
    Empty,
    Dictionary { numbers: StreamReader, entries: Entries },
    Cells { cells: StreamReader, kind: CellKind },
    Texts { partitions: Vec<StreamReader>, order: StreamReader },
    Tagged(ValueReader),
}

/// The tagged values of a dictionary.
#[derive(Debug)]
struct Entries {
    bytes: Vec<u8>,
    places: Vec<(u64, u32)>,
}

impl Entries {
    fn get(&self, number: u16) -> &[u8] {
        let place = self.places.get(usize::from(number));
        place.and_then(|&(start, len)| self.bytes.get(start as usize..)?.get(..len as usize)).unwrap_or_default()
    }
}

impl RowValues {
    /// Reads what was appended so far.
    pub(super) fn new(values: &ValueStreams, spill: &Spill) -> Result<Self> {
        let form = match &values.form {
            Form::Empty { .. } => FormReader::Empty,
            Form::Dictionary(dictionary) => {
                let entries = Entries { bytes: dictionary.all_values(spill)?, places: dictionary.places().collect() };
                FormReader::Dictionary { numbers: StreamReader::new(dictionary.cells()), entries }
            }
            Form::Cells { stream, kind } => FormReader::Cells { cells: StreamReader::new(*stream), kind: *kind },
            Form::Texts { partitions, order } => {
                FormReader::Texts { partitions: partition_readers(partitions), order: StreamReader::new(*order) }
            }
            Form::Tagged(stream) => FormReader::Tagged(ValueReader::new(*stream)),
        };
        Ok(Self { form, rows: values.rows(), count: values.count, rest: values.count, tagged: Vec::new() })
    }

    /// Starts again.
    pub(super) fn rewind(&mut self) {
        self.rest = self.count;
        self.rows.rewind();
        match &mut self.form {
            FormReader::Empty => {}
            FormReader::Dictionary { numbers: reader, .. } | FormReader::Cells { cells: reader, .. } => reader.rewind(),
            FormReader::Texts { partitions, order } => {
                partitions.iter_mut().for_each(StreamReader::rewind);
                order.rewind();
            }
            FormReader::Tagged(values) => values.rewind(),
        }
    }

    /// The next row that has a value, and the value's tagged form.
    #[inline]
    pub(super) fn next(&mut self, spill: &Spill) -> Result<Option<(u32, &[u8])>> {
        let Self { form, rows, rest, tagged, .. } = self;
        if *rest == 0 {
            return Ok(None);
        }
        *rest -= 1;
        if let FormReader::Tagged(values) = form {
            return values.next(spill);
        }
        let (row, _) = rows.run(1, spill)?;
        tagged.clear();
        match form {
            FormReader::Empty | FormReader::Tagged(_) => return Ok(None),
            FormReader::Dictionary { numbers, entries } => {
                let number = numbers.take(spill, 2)?.and_then(|bytes| bytes.first_chunk());
                return Ok(number.map(|&number| (row, entries.get(u16::from_le_bytes(number)))));
            }
            FormReader::Cells { cells, kind } => {
                let Some(cell) = cells.u64(spill)? else { return Ok(None) };
                tagged.push(kind.tag(cell));
                tagged.extend(cell.to_le_bytes());
            }
            FormReader::Texts { partitions, order } => {
                let place = order.take(spill, 1)?.and_then(|bytes| bytes.first());
                let Some(reader) = place.and_then(|&place| partitions.get_mut(usize::from(place))) else {
                    return Ok(None);
                };
                let Some(text) = reader.content(spill)? else { return Ok(None) };
                tagged.push(TAG_TEXT);
                tagged.extend_from_slice(text);
            }
        }
        Ok(Some((row, tagged)))
    }
}

/// Readers of the streams of many partitions, which are there at once.
pub(super) fn partition_readers(partitions: &[StreamId]) -> Vec<StreamReader> {
    partitions.iter().map(|&partition| StreamReader::with_chunk_len(partition, PART_CHUNK_LEN)).collect()
}

/// Tagged values by row or slot, which can be read again.
pub(super) trait TaggedValues {
    fn rewind(&mut self);
    /// The next row or slot that has a value, and the value's tagged form.
    fn next(&mut self, spill: &Spill) -> Result<Option<(u32, &[u8])>>;
}

impl TaggedValues for RowValues {
    fn rewind(&mut self) {
        Self::rewind(self);
    }

    #[inline]
    fn next(&mut self, spill: &Spill) -> Result<Option<(u32, &[u8])>> {
        Self::next(self, spill)
    }
}

impl TaggedValues for ValueReader {
    fn rewind(&mut self) {
        Self::rewind(self);
    }

    #[inline]
    fn next(&mut self, spill: &Spill) -> Result<Option<(u32, &[u8])>> {
        Self::next(self, spill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::value;
    use crate::model::ValueRef;
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    /// A dimension that is pushed to, and what it should have.
    struct Pushed {
        values: ValueStreams,
        spill: Spill,
        allowance: Allowance,
        expected: Vec<(u32, Vec<u8>)>,
    }

    impl Pushed {
        fn new(limit: usize, dictionaries: usize, dealt: usize) -> Self {
            let mut spill = Spill::new(Arc::new(MemoryStorage::new()), limit);
            let values = ValueStreams::new(LoadFile::Column(0), &mut spill);
            Self { values, spill, allowance: Allowance { dictionaries, dealt, begun: 0 }, expected: Vec::new() }
        }

        fn push(&mut self, row: u32, value: ValueRef<'_>) {
            let mut tagged = Vec::new();
            value::encode(value, &mut tagged);
            let Self { values, spill, allowance, .. } = self;
            values.push(row, &tagged, &mut Taking { spill, allowance, hash_seed: 5, database_id: [7; 16] }).unwrap();
            self.expected.push((row, tagged));
        }

        fn form(&self) -> &'static str {
            match &self.values.form {
                Form::Empty { .. } => "empty",
                Form::Dictionary(_) => "dictionary",
                Form::Cells { .. } => "cells",
                Form::Texts { .. } => "texts",
                Form::Tagged(_) => "tagged",
            }
        }

        /// Twice, as files are built from values that are read again.
        fn check(&self) {
            assert_eq!(self.values.count(), self.expected.len() as u64);
            let mut reader = RowValues::new(&self.values, &self.spill).unwrap();
            for _ in 0..2 {
                for (row, tagged) in &self.expected {
                    let read = reader.next(&self.spill).unwrap();
                    assert_eq!(read, Some((*row, &**tagged)), "as {}", self.form());
                }
                assert_eq!(reader.next(&self.spill).unwrap(), None);
                reader.rewind();
            }
        }
    }

    const MANY: u32 = 70_000;
    const LARGE: i128 = u64::MAX as i128;

    /// Gaps at the start, of one row, of many, and none for a while.
    fn row(n: u32) -> u32 {
        3 + n + n / 1000 * 7 + if n > 500 { 300_000 } else { 0 }
    }

    #[test]
    fn values_are_read_back_from_every_form_whatever_fits_in_memory() {
        for limit in [1000, 1 << 24] {
            for (name, form, is_diverse, value) in [
                ("few", "dictionary", false, (|n| ValueRef::Int((n % 300).into())) as fn(u32) -> ValueRef<'static>),
                ("integers", "cells", true, |n| ValueRef::Int(i128::from(n) - 9)),
                ("unsigned", "cells", true, |n| ValueRef::Int(LARGE - i128::from(n) % 69_000 * 260_000_000_000_000)),
                ("floats", "cells", true, |n| ValueRef::Float(f64::from(n) / 7.0)),
                ("both ends", "tagged", true, |n| ValueRef::Int(if n % 2 == 0 { LARGE } else { -1 } - i128::from(n))),
                ("numbers", "tagged", true, |n| if n == 0 { ValueRef::Float(1.0) } else { ValueRef::Int(n.into()) }),
            ] {
                let mut pushed = Pushed::new(limit, 1 << 30, 1);
                (0..MANY).for_each(|n| pushed.push(row(n), value(n)));
                assert_eq!((pushed.form(), pushed.values.is_diverse()), (form, is_diverse), "{name}");
                pushed.check();
            }
        }
    }

    #[test]
    fn texts_are_dealt_out_where_there_is_memory_for_it() {
        for (dealt, form) in [(1, "texts"), (0, "tagged")] {
            let mut pushed = Pushed::new(1 << 24, 1 << 30, dealt);
            for n in 0..MANY {
                let text = "x".repeat((n % 150) as usize) + &n.to_string();
                pushed.push(row(n), ValueRef::Text(&text));
            }
            assert_eq!((pushed.form(), pushed.allowance.dealt), (form, 0));
            pushed.check();
        }
    }

    #[test]
    fn what_does_not_fit_a_form_ends_it_and_every_value_stays() {
        for (form, last) in
            [("cells", ValueRef::Text("a")), ("texts", ValueRef::Int(1)), ("dictionary", ValueRef::Null)]
        {
            let mut pushed = Pushed::new(1 << 24, 1 << 30, 1);
            for n in 0..if form == "dictionary" { 100 } else { MANY } {
                let text = n.to_string();
                pushed.push(row(n), if form == "cells" { ValueRef::Int(n.into()) } else { ValueRef::Text(&text) });
            }
            assert_eq!(pushed.form(), form);
            pushed.push(row(MANY) + 5, last);
            // A dictionary has values of any type.
            assert_eq!(pushed.form(), if form == "dictionary" { "dictionary" } else { "tagged" });
            pushed.push(row(MANY) + 9, last);
            pushed.check();
        }
    }

    #[test]
    fn a_dictionary_that_takes_too_much_is_given_up_and_its_memory_given_back() {
        let mut pushed = Pushed::new(1 << 24, 50_000, 1);
        let mut n = 0;
        while pushed.form() != "cells" {
            pushed.push(row(n), ValueRef::Int(n.into()));
            assert!((n as usize) < 50_000 / ENTRY_COST + 2, "{n} entries");
            n += 1;
        }
        assert_eq!((pushed.allowance.dictionaries, pushed.values.is_diverse()), (50_000, false));
        pushed.check();
    }
}
