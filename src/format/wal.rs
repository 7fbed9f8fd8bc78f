//! The write-ahead log (chapter `format-spec/wal.md`): header, records, operations. Replay is the engine's.

use super::bytes::{align_up, is_zero, record, u32_at, u64_at};
use super::value::{TAG_FLOAT, TAG_INT, TAG_TEXT};
use super::{FORMAT_VERSION, Invalid, check_start, value};
use crate::model::{KeyRef, NAME_LEN_MAX, ValueRef};
use bytemuck::{Pod, Zeroable};
use rend::{i64_le, u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};

/// Bytes of the header; the first record follows.
pub(crate) const HEADER_LEN: u64 = HEADER_BYTES as u64;
const HEADER_BYTES: usize = 128;
/// Bytes of a record's header.
pub(crate) const RECORD_HEADER_LEN: usize = 40;
/// Records start at multiples of this.
pub(crate) const RECORD_ALIGNMENT: u64 = 8;
/// The longest record.
pub(crate) const RECORD_LEN_MAX: usize = 0xFFFF_FFF0;

const MAGIC: [u8; 8] = *b"VDBWALG\0";
const CHECKSUM_OFFSET: usize = 124;
const KIND_COMMIT: u32 = 1;
const KIND_MARK: u32 = 2;
const SECTION: &str = "log record";

/// The name of log `number`.
pub(crate) fn wal_name(number: u64) -> String {
    format!("wal-{number}.log")
}

/// The number in a log's name, if it is one.
pub(crate) fn wal_number(name: &str) -> Option<u64> {
    let text = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

/// The header as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct HeaderRecord {
    magic: [u8; 8],
    format_version: u32_le,
    reader_flags: u32_le,
    writer_flags: u32_le,
    reserved: u32_le,
    database_id: [u8; 16],
    number: u64_le,
    salt: u64_le,
    previous_number: u64_le,
    previous_len: u64_le,
    last_sequence: u64_le,
    reserved2: [u8; 44],
    checksum: u32_le,
}

const _: () = assert!(size_of::<HeaderRecord>() as u64 == HEADER_LEN);

/// The header of a record as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RecordFields {
    len: u32_le,
    checksum: u32_le,
    sequence: u64_le,
    commit_time: i64_le,
    synced_through: u64_le,
    kind: u32_le,
    operation_count: u32_le,
}

const _: () = assert!(size_of::<RecordFields>() == RECORD_HEADER_LEN);

/// What a log says of itself and of the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) database_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) salt: u64,
    pub(crate) previous_number: u64,
    pub(crate) previous_len: u64,
    pub(crate) last_sequence: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut header: HeaderRecord = Zeroable::zeroed();
        header.magic = MAGIC;
        header.format_version = FORMAT_VERSION.into();
        header.database_id = self.database_id;
        header.number = self.number.into();
        header.salt = self.salt.into();
        header.previous_number = self.previous_number.into();
        header.previous_len = self.previous_len.into();
        header.last_sequence = self.last_sequence.into();
        header.checksum =
            crc32fast::hash(bytemuck::bytes_of(&header).get(..CHECKSUM_OFFSET).unwrap_or_default()).into();
        bytemuck::bytes_of(&header).to_vec()
    }

    /// Reads and checks a header. `bytes` may be unaligned.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        const SECTION: &str = "log header";
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Invalid::new(0, SECTION, "cut short"))?;
        let checksum = crc32fast::hash(head.get(..CHECKSUM_OFFSET).unwrap_or_default());
        if u32_at(head, CHECKSUM_OFFSET) != Some(checksum) {
            return Err(Invalid::new(0, SECTION, "the checksum does not match"));
        }
        check_start(head, &MAGIC, SECTION)?;
        let mut copy: HeaderRecord = Zeroable::zeroed();
        bytemuck::bytes_of_mut(&mut copy).copy_from_slice(head);
        let header: &HeaderRecord = record(bytemuck::bytes_of(&copy), 0, SECTION)?;
        if header.reserved != 0 || !is_zero(&header.reserved2) {
            return Err(Invalid::new(80, SECTION, "reserved bytes are not zero"));
        }
        Ok(Self {
            database_id: header.database_id,
            number: header.number.to_native(),
            salt: header.salt.to_native(),
            previous_number: header.previous_number.to_native(),
            previous_len: header.previous_len.to_native(),
            last_sequence: header.last_sequence.to_native(),
        })
    }
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Commit { operation_count: u32 },
    Mark,
}

/// A record that has passed its checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) sequence: u64,
    pub(crate) commit_time: i64,
    pub(crate) synced_through: u64,
    pub(crate) kind: Kind,
    pub(crate) body: &'a [u8],
    /// Where the next record starts, from the start of this one.
    pub(crate) padded_len: u64,
}

fn checksum(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(bytes.get(..4).unwrap_or_default());
    hasher.update(bytes.get(8..).unwrap_or_default());
    hasher.finalize()
}

/// Starts a record in `out`, which must be empty: room for the header, then the body follows.
pub(crate) fn begin_record(out: &mut Vec<u8>) {
    out.resize(RECORD_HEADER_LEN, 0);
}

/// Fills in the header of a record whose body is complete, and pads it. Fails when the record is too long.
pub(crate) fn finish_record(
    out: &mut Vec<u8>,
    header: &Header,
    offset: u64,
    record: &Record<'_>,
) -> Result<(), Invalid> {
    let len = match u32::try_from(out.len()) {
        Ok(len) if out.len() <= RECORD_LEN_MAX => len,
        _ => return Err(Invalid::new(offset, SECTION, "a batch longer than a record can be")),
    };
    let (kind, operation_count) = match record.kind {
        Kind::Commit { operation_count } => (KIND_COMMIT, operation_count),
        Kind::Mark => (KIND_MARK, 0),
    };
    let mut fields = RecordFields {
        len: len.into(),
        checksum: 0.into(),
        sequence: record.sequence.into(),
        commit_time: record.commit_time.into(),
        synced_through: record.synced_through.into(),
        kind: kind.into(),
        operation_count: operation_count.into(),
    };
    let head: &mut [u8; RECORD_HEADER_LEN] =
        out.first_chunk_mut().ok_or(Invalid::new(offset, SECTION, "a record without a header"))?;
    head.copy_from_slice(bytemuck::bytes_of(&fields));
    fields.checksum = checksum(header.salt, offset, out).into();
    if let Some(head) = out.first_chunk_mut::<RECORD_HEADER_LEN>() {
        head.copy_from_slice(bytemuck::bytes_of(&fields));
    }
    let padded = align_up(u64::from(len), RECORD_ALIGNMENT);
    out.resize(usize::try_from(padded).unwrap_or(out.len()), 0);
    Ok(())
}

/// Reads the record at the start of `bytes`, which lie at `offset` of a log with a header.
pub(crate) fn decode_record<'a>(bytes: &'a [u8], header: &Header, offset: u64) -> Result<Record<'a>, Invalid> {
    let invalid = |reason| Invalid::new(offset, SECTION, reason);
    let len = u32_at(bytes, 0).ok_or(invalid("cut short"))? as usize;
    if len < RECORD_HEADER_LEN {
        return Err(invalid("no record"));
    }
    let whole = bytes.get(..len).ok_or(invalid("cut short"))?;
    if u32_at(whole, 4) != Some(checksum(header.salt, offset, whole)) {
        return Err(invalid("the checksum does not match"));
    }
    let padded_len = align_up(len as u64, RECORD_ALIGNMENT);
    let padding = usize::try_from(padded_len).ok().and_then(|end| bytes.get(len..end));
    if !is_zero(padding.ok_or(invalid("cut short"))?) {
        return Err(invalid("padding that is not zero"));
    }
    let number = |at| u64_at(whole, at).unwrap_or_default();
    let count = u32_at(whole, 36).unwrap_or_default();
    let body = whole.get(RECORD_HEADER_LEN..).unwrap_or_default();
    let kind = match u32_at(whole, 32) {
        Some(KIND_COMMIT) => Kind::Commit { operation_count: count },
        Some(KIND_MARK) if count == 0 && body.is_empty() => Kind::Mark,
        _ => return Err(invalid("a record of a kind that this build does not know")),
    };
    Ok(Record {
        sequence: number(8),
        commit_time: number(16).cast_signed(),
        synced_through: number(24),
        kind,
        body,
        padded_len,
    })
}

/// The length of what may be, by its fields alone, a record that was written when commit `sequence` was durable, in a log of
/// `log_len` bytes.
pub(crate) fn plausible_len(bytes: &[u8], sequence: u64, log_len: u64) -> Option<u64> {
    let head: &[u8; RECORD_HEADER_LEN] = bytes.first_chunk()?;
    let len = u32_at(head, 0)? as usize;
    let (own, synced) = (u64_at(head, 8)?, u64_at(head, 24)?);
    let (kind, count) = (u32_at(head, 32)?, u32_at(head, 36)?);
    let kind_fits = match kind {
        KIND_COMMIT => count as usize <= len,
        KIND_MARK => len == RECORD_HEADER_LEN && count == 0,
        _ => false,
    };
    // A log has no more commits than there is room for.
    let near = own.checked_sub(sequence).is_some_and(|ahead| ahead <= log_len);
    let fits = len >= RECORD_HEADER_LEN && len <= bytes.len();
    (kind_fits && near && fits && synced >= sequence && synced <= own).then_some(len as u64)
}

/// One step of a commit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Operation<'a> {
    Define { dimension_id: u32, name: &'a str },
    Insert { slot: u32, key: KeyRef<'a>, cells: Cells<'a> },
    Update { slot: u32, cells: Cells<'a> },
    Delete { slot: u32, key: KeyRef<'a> },
}

const CODE_DEFINE: u8 = 1;
const CODE_INSERT: u8 = 2;
const CODE_UPDATE: u8 = 3;
const CODE_DELETE: u8 = 4;

/// The encoded cells of an insert or update; decoded by iterating.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cells<'a> {
    count: u64,
    bytes: &'a [u8],
}

impl<'a> Cells<'a> {
    /// Each cell: the dimension, and the value or `None` where the attribute is removed. The values were checked when the
    /// operation was decoded.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, Option<ValueRef<'a>>)> {
        let mut decoder = Decoder { bytes: self.bytes };
        (0..self.count).map_while(move |_| decoder.cell().ok())
    }
}

fn encode_varint(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = (number & 0x7F).to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn encode_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    encode_varint((value::payload_len(value) as u64).saturating_add(1), out);
    value::encode(value, out);
}

fn encode_cells<'v>(cells: impl ExactSizeIterator<Item = (u32, Option<ValueRef<'v>>)>, out: &mut Vec<u8>) {
    encode_varint(cells.len() as u64, out);
    for (dimension_id, value) in cells {
        if encode_short(dimension_id, value, out).is_some() {
            continue;
        }
        encode_varint(u64::from(dimension_id), out);
        match value {
            Some(value) => encode_value(value, out),
            None => encode_varint(0, out),
        }
    }
}

/// The varint of a number for which one byte is enough.
#[inline]
fn one_byte(number: u64) -> Option<u8> {
    u8::try_from(number).ok().filter(|&number| number < 0x80)
}

/// Appends what most cells are: a number, or a short text, of one of the first dimensions. `None` for others.
#[inline]
fn encode_short(dimension_id: u32, value: Option<ValueRef<'_>>, out: &mut Vec<u8>) -> Option<()> {
    const NUMBER_LEN: u8 = 9;
    let id = one_byte(dimension_id.into())?;
    let (tag, number) = match value? {
        ValueRef::Float(float) => (TAG_FLOAT, float.to_bits()),
        ValueRef::Int(int) => (TAG_INT, i64::try_from(int).ok()?.cast_unsigned()),
        ValueRef::Text(text) => {
            let len = one_byte((text.len() as u64).checked_add(1)?)?;
            out.extend_from_slice(&[id, len, TAG_TEXT]);
            out.extend_from_slice(text.as_bytes());
            return Some(());
        }
        _ => return None,
    };
    // In one piece, which is one copy.
    let head = u128::from(tag) << 16 | u128::from(NUMBER_LEN) << 8 | u128::from(id);
    let cell = u128::from(number) << 24 | head;
    out.extend_from_slice(cell.to_le_bytes().first_chunk::<11>()?);
    Some(())
}

/// Appends the definition of a dimension.
pub(crate) fn encode_define(dimension_id: u32, name: &str, out: &mut Vec<u8>) {
    out.push(CODE_DEFINE);
    encode_varint(u64::from(dimension_id), out);
    encode_varint(name.len() as u64, out);
    out.extend_from_slice(name.as_bytes());
}

/// Appends the insertion of a key at a slot.
pub(crate) fn encode_insert<'v>(
    slot: u32,
    key: KeyRef<'_>,
    cells: impl ExactSizeIterator<Item = (u32, Option<ValueRef<'v>>)>,
    out: &mut Vec<u8>,
) {
    out.push(CODE_INSERT);
    encode_varint(u64::from(slot), out);
    encode_value(key.value(), out);
    encode_cells(cells, out);
}

/// Appends the update of a slot in use.
pub(crate) fn encode_update<'v>(
    slot: u32,
    cells: impl ExactSizeIterator<Item = (u32, Option<ValueRef<'v>>)>,
    out: &mut Vec<u8>,
) {
    out.push(CODE_UPDATE);
    encode_varint(u64::from(slot), out);
    encode_cells(cells, out);
}

/// Appends the deletion of a key.
pub(crate) fn encode_delete(slot: u32, key: KeyRef<'_>, out: &mut Vec<u8>) {
    out.push(CODE_DELETE);
    encode_varint(u64::from(slot), out);
    encode_value(key.value(), out);
}

/// Decodes the operations of a commit, in order. Stops at the first error.
pub(crate) fn operations<'a>(
    body: &'a [u8],
    operation_count: u32,
) -> impl Iterator<Item = Result<Operation<'a>, Invalid>> {
    let mut decoder = Decoder { bytes: body };
    let mut left = u64::from(operation_count).saturating_add(1);
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        if left == 0 {
            let rest = !decoder.bytes.is_empty();
            return rest.then(|| Err(Invalid::new(0, SECTION, "bytes behind the last operation")));
        }
        let operation = decoder.operation();
        if operation.is_err() {
            left = 0;
        }
        Some(operation)
    })
}

struct Decoder<'a> {
    bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Invalid> {
        let (taken, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.bytes.split_at_checked(len))
            .ok_or(Invalid::new(0, SECTION, "an operation that is cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Invalid> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            let digit = u64::from(byte & 0x7F);
            if digit.leading_zeros() < shift {
                break;
            }
            number |= digit.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Invalid::new(0, SECTION, "a number longer than 64 bits"))
    }

    fn u32(&mut self) -> Result<u32, Invalid> {
        u32::try_from(self.varint()?).map_err(|_| Invalid::new(0, SECTION, "a number out of range"))
    }

    fn value(&mut self) -> Result<Option<ValueRef<'a>>, Invalid> {
        let len = self.varint()?;
        let bytes = self.take(len)?;
        if bytes.is_empty() { Ok(None) } else { value::decode(bytes).map(Some) }
    }

    fn key(&mut self) -> Result<KeyRef<'a>, Invalid> {
        self.value()?.and_then(KeyRef::checked).ok_or(Invalid::new(0, SECTION, "a value that cannot be a key"))
    }

    fn cell(&mut self) -> Result<(u32, Option<ValueRef<'a>>), Invalid> {
        Ok((self.u32()?, self.value()?))
    }

    fn cells(&mut self) -> Result<Cells<'a>, Invalid> {
        let count = self.varint()?;
        let start = self.bytes;
        for _ in 0..count {
            self.cell()?;
        }
        let len = start.len().saturating_sub(self.bytes.len());
        Ok(Cells { count, bytes: start.get(..len).unwrap_or_default() })
    }

    fn operation(&mut self) -> Result<Operation<'a>, Invalid> {
        match self.take(1)? {
            [CODE_DEFINE] => {
                let dimension_id = self.u32()?;
                let len = self.varint()?;
                let name = std::str::from_utf8(self.take(len)?)
                    .map_err(|_| Invalid::new(0, SECTION, "a name that is not UTF-8"))?;
                if name.len() > NAME_LEN_MAX || dimension_id == u32::MAX {
                    return Err(Invalid::new(0, SECTION, "a dimension that cannot be"));
                }
                Ok(Operation::Define { dimension_id, name })
            }
            [CODE_INSERT] => Ok(Operation::Insert { slot: self.u32()?, key: self.key()?, cells: self.cells()? }),
            [CODE_UPDATE] => Ok(Operation::Update { slot: self.u32()?, cells: self.cells()? }),
            [CODE_DELETE] => Ok(Operation::Delete { slot: self.u32()?, key: self.key()? }),
            _ => Err(Invalid::new(0, SECTION, "an operation that this build does not know")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { database_id: [1; 16], number: 2, salt: 3, previous_number: 1, previous_len: 256, last_sequence: 9 }
    }

    fn commit() -> Vec<u8> {
        let mut out = Vec::new();
        begin_record(&mut out);
        encode_define(4, "naïve", &mut out);
        encode_insert(7, KeyRef::from("k"), [(4, Some(ValueRef::Float(-0.0))), (5, None)].into_iter(), &mut out);
        encode_update(3, [(4, Some(ValueRef::Null))].into_iter(), &mut out);
        encode_delete(1, KeyRef::from(u64::MAX), &mut out);
        let record = Record {
            sequence: 10,
            commit_time: -5,
            synced_through: 9,
            kind: Kind::Commit { operation_count: 4 },
            body: &[],
            padded_len: 0,
        };
        finish_record(&mut out, &header(), 128, &record).unwrap();
        out
    }

    #[test]
    fn a_record_is_read_back_and_any_change_move_or_cut_is_seen() {
        let bytes = commit();
        let record = decode_record(&bytes, &header(), 128).unwrap();
        assert_eq!((record.sequence, record.commit_time, record.synced_through), (10, -5, 9));
        assert_eq!(record.padded_len, bytes.len() as u64);
        let operations: Vec<_> = operations(record.body, 4).map(Result::unwrap).collect();
        assert_eq!(operations.len(), 4);
        assert_eq!(operations[0], Operation::Define { dimension_id: 4, name: "naïve" });
        let Operation::Insert { slot: 7, key, cells } = operations[1] else { panic!("{operations:?}") };
        assert_eq!(key, KeyRef::from("k"));
        assert_eq!(cells.iter().collect::<Vec<_>>(), [(4, Some(ValueRef::Float(-0.0))), (5, None)]);
        let len = u32_at(&bytes, 0).unwrap() as usize;
        assert_ne!(len, bytes.len(), "this record has padding");
        for offset in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[offset] ^= 1;
            assert!(decode_record(&rotten, &header(), 128).is_err(), "byte {offset}");
            assert!(decode_record(&bytes[..offset], &header(), 128).is_err(), "cut at {offset}");
        }
        assert!(decode_record(&bytes, &header(), 136).is_err(), "moved");
        assert!(decode_record(&bytes, &Header { salt: 4, ..header() }, 128).is_err(), "of another log");
    }

    #[test]
    fn short_cells_are_encoded_as_all_others_are() {
        let texts = [0, 1, 125, 126, 127, 128, 300].map(|len| "t".repeat(len));
        let numbers = [0, -1, i128::from(i64::MAX), i128::from(i64::MAX) + 1, i128::MIN].map(ValueRef::Int);
        let others = [ValueRef::Null, ValueRef::Float(-0.0), ValueRef::Float(f64::NAN), ValueRef::Bytes(b"bytes")];
        let texts = texts.iter().map(|text| ValueRef::Text(text));
        let values: Vec<_> = texts.chain(numbers).chain(others).map(Some).chain([None]).collect();
        for dimension_id in [0, 1, 127, 128, 255, 256, u32::MAX - 2] {
            for &value in &values {
                let (mut encoded, mut expected) = (Vec::new(), vec![1]);
                encode_cells([(dimension_id, value)].into_iter(), &mut encoded);
                encode_varint(dimension_id.into(), &mut expected);
                match value {
                    Some(value) => encode_value(value, &mut expected),
                    None => encode_varint(0, &mut expected),
                }
                assert_eq!(encoded, expected, "{dimension_id}: {value:?}");
            }
        }
    }

    #[test]
    fn a_header_is_read_back_and_any_change_or_cut_is_seen() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes).unwrap(), header());
        for offset in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[offset] ^= 1;
            assert!(Header::decode(&rotten).is_err(), "byte {offset}");
            assert!(Header::decode(&bytes[..offset]).is_err(), "cut at {offset}");
        }
    }

    #[test]
    fn operations_that_lie_are_rejected() {
        let bad: [&[u8]; 7] = [
            &[0],
            &[CODE_UPDATE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            &[CODE_UPDATE, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
            &[CODE_DELETE, 1, 1, value::TAG_NULL],
            &[CODE_DEFINE, 1, 2, 0xC3, 0x28],
            &[CODE_DEFINE, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0],
            &[CODE_UPDATE, 1, 0, 9],
        ];
        for body in bad {
            assert!(operations(body, 1).any(|operation| operation.is_err()), "{body:?}");
        }
        let mut out = Vec::new();
        encode_varint(u64::MAX, &mut out);
        assert_eq!(Decoder { bytes: &out }.varint().unwrap(), u64::MAX);
    }
}
