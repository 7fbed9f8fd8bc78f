//! Column files (chapter `format-spec/column.md`): descriptors, cells, presence, dictionary entries.

use super::Invalid;
use super::bytes::{is_zero, record, u16_at, u64_at};
use super::value::{TAG_BOOL, TAG_FLOAT, TAG_INT, TAG_MAP, TAG_NULL, TAG_TEXT, TAG_UINT};
use bytemuck::{Pod, Zeroable};
use rend::{u16_le, u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};

/// Section kinds. The axis file uses some of them too.
pub(crate) const SECTION_COLUMN: u32 = 1;
pub(crate) const SECTION_SEGMENTS: u32 = 2;
pub(crate) const SECTION_CELLS: u32 = 3;
pub(crate) const SECTION_PRESENCE: u32 = 4;
pub(crate) const SECTION_DICTIONARY: u32 = 5;
pub(crate) const SECTION_COUNTS: u32 = 6;
pub(crate) const SECTION_DICTIONARY_INDEX: u32 = 7;
pub(crate) const SECTION_TEXT_HEAP: u32 = 8;
pub(crate) const SECTION_VALUE_HEAP: u32 = 9;

/// Slots of a segment.
pub(crate) const SEGMENT_LEN: u32 = 65_536;
/// The same as a shift.
pub(crate) const SEGMENT_SHIFT: u32 = 16;
/// Entries that a dictionary can have.
pub(crate) const DICTIONARY_COUNT_MAX: usize = 65_536;
/// An empty place of the dictionary index.
pub(crate) const NO_ENTRY: u32 = u32::MAX;

/// How a segment's cells are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Constant,
    Dictionary8,
    Dictionary16,
    PlainI64,
    PlainU64,
    PlainF64,
    Text32,
    Value32,
    Text64,
    Value64,
}

impl Encoding {
    pub(crate) const ALL: [Self; 10] = [
        Self::Constant,
        Self::Dictionary8,
        Self::Dictionary16,
        Self::PlainI64,
        Self::PlainU64,
        Self::PlainF64,
        Self::Text32,
        Self::Value32,
        Self::Text64,
        Self::Value64,
    ];

    /// The number on disk.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Constant => 0,
            Self::Dictionary8 => 1,
            Self::Dictionary16 => 2,
            Self::PlainI64 => 3,
            Self::PlainU64 => 4,
            Self::PlainF64 => 5,
            Self::Text32 => 6,
            Self::Value32 => 7,
            Self::Text64 => 8,
            Self::Value64 => 9,
        }
    }

    /// Bytes of a cell.
    pub(crate) const fn width(self) -> u64 {
        match self {
            Self::Constant => 0,
            Self::Dictionary8 => 1,
            Self::Dictionary16 => 2,
            Self::Text32 | Self::Value32 => 4,
            Self::PlainI64 | Self::PlainU64 | Self::PlainF64 | Self::Text64 | Self::Value64 => 8,
        }
    }

    /// Whether cells are numbers of dictionary entries.
    pub(crate) const fn is_dictionary(self) -> bool {
        matches!(self, Self::Constant | Self::Dictionary8 | Self::Dictionary16)
    }

    /// The name in the specification.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Dictionary8 => "dictionary8",
            Self::Dictionary16 => "dictionary16",
            Self::PlainI64 => "plain_i64",
            Self::PlainU64 => "plain_u64",
            Self::PlainF64 => "plain_f64",
            Self::Text32 => "text32",
            Self::Value32 => "value32",
            Self::Text64 => "text64",
            Self::Value64 => "value64",
        }
    }
}

/// Which slots of a segment have a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    None,
    All,
    Bitmap,
    Sorted,
}

impl Presence {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::All, Self::Bitmap, Self::Sorted];

    /// The number on disk.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::All => 1,
            Self::Bitmap => 2,
            Self::Sorted => 3,
        }
    }

    /// The name in the specification.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Bitmap => "bitmap",
            Self::Sorted => "sorted",
        }
    }

    /// Bytes of the structure.
    pub(crate) const fn len(self, slot_count: u32, present_count: u32) -> u64 {
        match self {
            Self::None | Self::All => 0,
            Self::Bitmap => (slot_count.div_ceil(64) as u64).saturating_mul(BITMAP_WORD_LEN as u64),
            Self::Sorted => (present_count as u64).saturating_mul(2),
        }
    }
}

/// Bytes of one word of a presence bitmap with its rank.
const BITMAP_WORD_LEN: usize = 16;

/// The index of slot `offset`'s cell in a presence bitmap; `None` when the slot has no value.
#[inline]
pub(crate) fn bitmap_index(presence: &[u8], offset: u32) -> Option<u32> {
    let word = (offset >> 6) as usize;
    let at = word.checked_mul(BITMAP_WORD_LEN)?;
    let pair: &[u8; 16] = presence.get(at..)?.first_chunk()?;
    let (bits, rank) = pair.split_at(8);
    let bits = u64_at(bits, 0)?;
    let rank = u64_at(rank, 0)?;
    let bit = 1u64 << (offset & 63);
    if bits & bit == 0 {
        return None;
    }
    u32::try_from(rank).ok()?.checked_add((bits & bit.wrapping_sub(1)).count_ones())
}

/// The index of slot `offset`'s cell in a sorted list; `None` when the slot has no value.
#[inline]
pub(crate) fn sorted_index(presence: &[u8], offset: u32) -> Option<u32> {
    let (mut low, mut high) = (0usize, presence.len() / 2);
    while low < high {
        let middle = low.midpoint(high);
        match u32::from(u16_at(presence, middle.checked_mul(2)?)?).cmp(&offset) {
            std::cmp::Ordering::Equal => return u32::try_from(middle).ok(),
            std::cmp::Ordering::Less => low = middle.saturating_add(1),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// The first slot at or after `from` in a bitmap or a sorted list, as an offset into the segment.
pub(crate) fn next_present(presence: Presence, structure: &[u8], from: u32) -> Option<u32> {
    match presence {
        Presence::None | Presence::All => None,
        Presence::Sorted => {
            let (offsets, _) = structure.as_chunks::<2>();
            let at = offsets.partition_point(|offset| u32::from(u16::from_le_bytes(*offset)) < from);
            offsets.get(at).map(|offset| u16::from_le_bytes(*offset).into())
        }
        Presence::Bitmap => {
            let mut seen = from & 63;
            let first = (from >> 6) as usize;
            for (word, start) in structure.as_chunks::<BITMAP_WORD_LEN>().0.iter().zip((0u32..).step_by(64)).skip(first)
            {
                let bits = u64_at(word, 0).unwrap_or_default() & (u64::MAX << seen);
                if bits != 0 {
                    return start.checked_add(bits.trailing_zeros());
                }
                seen = 0;
            }
            None
        }
    }
}

/// Calls `each` with the slots that have a cell and are among `slots`, a bit for each, as offsets into the segment, and with the index of their
/// cell; takes them out of `slots`. Of a bitmap it passes 64 slots at a time where it has none of them.
pub(crate) fn take_present(
    (presence, slot_count): (Presence, u32),
    structure: &[u8],
    slots: &mut [u64],
    mut each: impl FnMut(u32, u32),
) {
    match presence {
        Presence::None => {}
        Presence::Sorted => {
            for (offset, index) in structure.as_chunks::<2>().0.iter().zip(0u32..) {
                let offset = u32::from(u16::from_le_bytes(*offset));
                let bit = 1u64 << (offset & 63);
                if let Some(word) = slots.get_mut((offset >> 6) as usize)
                    && *word & bit != 0
                {
                    *word &= !bit;
                    each(offset, index);
                }
            }
        }
        Presence::All => {
            for (word, start) in slots.iter_mut().zip((0u32..).step_by(64)) {
                let past_end = u64::MAX.checked_shl(slot_count.saturating_sub(start)).unwrap_or(0);
                for_each_bit(*word & !past_end, |bit| each(start.saturating_add(bit), start.saturating_add(bit)));
                *word &= past_end;
            }
        }
        Presence::Bitmap => {
            let words = structure.as_chunks::<BITMAP_WORD_LEN>().0;
            for ((word, slots), start) in words.iter().zip(slots).zip((0u32..).step_by(64)) {
                let bits = u64_at(word, 0).unwrap_or_default();
                let found = bits & *slots;
                if found != 0 {
                    *slots &= !found;
                    let rank = u64_at(word, 8).and_then(|rank| u32::try_from(rank).ok()).unwrap_or(u32::MAX);
                    for_each_bit(found, |bit| {
                        let before = bits & 1u64.wrapping_shl(bit).wrapping_sub(1);
                        each(start.saturating_add(bit), rank.saturating_add(before.count_ones()));
                    });
                }
            }
        }
    }
}

fn for_each_bit(mut bits: u64, mut each: impl FnMut(u32)) {
    while bits != 0 {
        each(bits.trailing_zeros());
        bits &= bits.wrapping_sub(1);
    }
}

/// Appends the slots in a bitmap or a sorted list, as offsets into the segment.
pub(crate) fn present_offsets(presence: Presence, structure: &[u8], out: &mut Vec<u16>) {
    match presence {
        Presence::None | Presence::All => {}
        Presence::Sorted => out.extend(structure.as_chunks::<2>().0.iter().map(|offset| u16::from_le_bytes(*offset))),
        Presence::Bitmap => {
            for (word, start) in structure.as_chunks::<BITMAP_WORD_LEN>().0.iter().zip((0..=u16::MAX).step_by(64)) {
                let mut bits = u64_at(word, 0).unwrap_or_default();
                while bits != 0 {
                    let bit = u16::try_from(bits.trailing_zeros()).unwrap_or_default();
                    out.push(start.saturating_add(bit));
                    bits &= bits.wrapping_sub(1);
                }
            }
        }
    }
}

/// The column descriptor as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct ColumnRecord {
    distinct_count: u64_le,
    null_count: u64_le,
    hash_seed: u64_le,
    dictionary_count: u32_le,
    dictionary_index_len: u32_le,
    segment_len: u32_le,
    segment_count: u32_le,
    value_types: u16_le,
    reserved: [u8; 22],
}

const _: () = assert!(size_of::<ColumnRecord>() == 64);

/// What a column file says of itself as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Column {
    pub(crate) distinct_count: u64,
    pub(crate) null_count: u64,
    pub(crate) hash_seed: u64,
    pub(crate) dictionary_count: u32,
    pub(crate) dictionary_index_len: u32,
    pub(crate) segment_count: u32,
    pub(crate) value_types: u16,
}

impl Column {
    pub(crate) fn encode(&self) -> Vec<u8> {
        bytemuck::bytes_of(&ColumnRecord {
            distinct_count: self.distinct_count.into(),
            null_count: self.null_count.into(),
            hash_seed: self.hash_seed.into(),
            dictionary_count: self.dictionary_count.into(),
            dictionary_index_len: self.dictionary_index_len.into(),
            segment_len: SEGMENT_LEN.into(),
            segment_count: self.segment_count.into(),
            value_types: self.value_types.into(),
            reserved: [0; 22],
        })
        .to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        const SECTION: &str = "column descriptor";
        let column: &ColumnRecord = record(bytes, 0, SECTION)?;
        if column.segment_len != SEGMENT_LEN {
            return Err(Invalid::new(32, SECTION, "a segment length that this build does not know"));
        }
        let (count, index_len) = (column.dictionary_count.to_native(), column.dictionary_index_len.to_native());
        let index_fits = index_len == 0
            || (index_len.is_power_of_two() && u64::from(count).saturating_mul(2) <= u64::from(index_len));
        if count as usize > DICTIONARY_COUNT_MAX || !index_fits {
            return Err(Invalid::new(24, SECTION, "a dictionary larger than allowed or than its index"));
        }
        if !is_zero(&column.reserved) {
            return Err(Invalid::new(42, SECTION, "reserved bytes are not zero"));
        }
        Ok(Self {
            distinct_count: column.distinct_count.to_native(),
            null_count: column.null_count.to_native(),
            hash_seed: column.hash_seed.to_native(),
            dictionary_count: count,
            dictionary_index_len: index_len,
            segment_count: column.segment_count.to_native(),
            value_types: column.value_types.to_native(),
        })
    }
}

/// Minimum and maximum of a segment's numbers.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) enum Statistics {
    #[default]
    None,
    I64(i64, i64),
    U64(u64, u64),
    F64(f64, f64),
}

impl Statistics {
    const fn parts(self) -> (u8, u64, u64) {
        match self {
            Self::None => (0, 0, 0),
            Self::I64(minimum, maximum) => (1, minimum.cast_unsigned(), maximum.cast_unsigned()),
            Self::U64(minimum, maximum) => (2, minimum, maximum),
            Self::F64(minimum, maximum) => (3, minimum.to_bits(), maximum.to_bits()),
        }
    }

    /// Whether all bits are the same: zeros differ by sign.
    pub(crate) fn is(self, other: Self) -> bool {
        self.parts() == other.parts()
    }

    const fn from_parts(kind: u8, minimum: u64, maximum: u64) -> Option<Self> {
        Some(match kind {
            0 => Self::None,
            1 => Self::I64(minimum.cast_signed(), maximum.cast_signed()),
            2 => Self::U64(minimum, maximum),
            3 => Self::F64(f64::from_bits(minimum), f64::from_bits(maximum)),
            _ => return None,
        })
    }
}

/// A segment descriptor as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct SegmentRecord {
    encoding: u8,
    presence: u8,
    statistics: u8,
    statistics_flags: u8,
    value_types: u16_le,
    reserved: u16_le,
    slot_count: u32_le,
    present_count: u32_le,
    null_count: u32_le,
    removed_count: u32_le,
    cells_offset: u64_le,
    cells_len: u64_le,
    presence_offset: u64_le,
    presence_len: u64_le,
    minimum: u64_le,
    maximum: u64_le,
    removed_offset: u64_le,
    removed_len: u64_le,
    removed_presence: u8,
    reserved3: [u8; 3],
    number: u32_le,
}

/// Bytes of a segment descriptor.
pub(crate) const SEGMENT_RECORD_LEN: usize = 96;
const _: () = assert!(size_of::<SegmentRecord>() == SEGMENT_RECORD_LEN);
const FLAG_NAN: u8 = 1;

/// One segment: how its cells are stored and where.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Segment {
    pub(crate) encoding: Encoding,
    pub(crate) presence: Presence,
    pub(crate) statistics: Statistics,
    pub(crate) has_nan: bool,
    pub(crate) value_types: u16,
    pub(crate) slot_count: u32,
    pub(crate) present_count: u32,
    pub(crate) null_count: u32,
    /// From the start of the section "cells".
    pub(crate) cells_offset: u64,
    pub(crate) cells_len: u64,
    /// From the start of the section "presence".
    pub(crate) presence_offset: u64,
    pub(crate) presence_len: u64,
    /// In a delta column: which of the present slots are removed.
    pub(crate) removed: Removed,
    /// The segment covers the slots from 65,536 times this on.
    pub(crate) number: u32,
}

/// The present slots of a delta column's segment that hold nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Removed {
    pub(crate) count: u32,
    /// Not there where none or all are removed.
    pub(crate) presence: Presence,
    /// From the start of the part "presence".
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Removed {
    pub(crate) const NONE: Self = Self { count: 0, presence: Presence::None, offset: 0, len: 0 };
}

/// Whether segments are of a base file, which has all of them in order, or of a delta column, which has some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SegmentKind {
    Base,
    Delta,
}

impl Segment {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (statistics, minimum, maximum) = self.statistics.parts();
        out.extend_from_slice(bytemuck::bytes_of(&SegmentRecord {
            encoding: self.encoding.code(),
            presence: self.presence.code(),
            statistics,
            statistics_flags: if self.has_nan { FLAG_NAN } else { 0 },
            value_types: self.value_types.into(),
            reserved: 0.into(),
            slot_count: self.slot_count.into(),
            present_count: self.present_count.into(),
            null_count: self.null_count.into(),
            removed_count: self.removed.count.into(),
            cells_offset: self.cells_offset.into(),
            cells_len: self.cells_len.into(),
            presence_offset: self.presence_offset.into(),
            presence_len: self.presence_len.into(),
            minimum: minimum.into(),
            maximum: maximum.into(),
            removed_offset: self.removed.offset.into(),
            removed_len: self.removed.len.into(),
            removed_presence: self.removed.presence.code(),
            reserved3: [0; 3],
            number: self.number.into(),
        }));
    }

    /// Reads segment `index` of a section, for a column of `slot_count` slots whose sections "cells" and "presence" have the
    /// lengths given.
    pub(crate) fn decode(
        section: &[u8],
        index: usize,
        kind: SegmentKind,
        slot_count: u64,
        cells_len: u64,
        presence_len: u64,
    ) -> Result<Self, Invalid> {
        const SECTION: &str = "segment descriptor";
        let at = super::bytes::element_offset::<SegmentRecord>(index);
        let invalid = |reason| Invalid::new(at as u64, SECTION, reason);
        let segment: &SegmentRecord = record(section, at, SECTION)?;
        let encoding =
            Encoding::ALL.get(usize::from(segment.encoding)).copied().ok_or(invalid("an unknown encoding"))?;
        let presence =
            Presence::ALL.get(usize::from(segment.presence)).copied().ok_or(invalid("an unknown presence"))?;
        let statistics =
            Statistics::from_parts(segment.statistics, segment.minimum.to_native(), segment.maximum.to_native())
                .ok_or(invalid("unknown statistics"))?;
        let removed = Removed {
            count: segment.removed_count.to_native(),
            presence: Presence::ALL
                .get(usize::from(segment.removed_presence))
                .copied()
                .ok_or(invalid("an unknown presence"))?,
            offset: segment.removed_offset.to_native(),
            len: segment.removed_len.to_native(),
        };
        let number = match kind {
            SegmentKind::Base => u32::try_from(index).map_err(|_| invalid("too many segments"))?,
            SegmentKind::Delta => segment.number.to_native(),
        };
        let of_base = removed == Removed::NONE && segment.number == number;
        if kind == SegmentKind::Base && !of_base {
            return Err(invalid("a base segment that is out of order, or has removed slots"));
        }
        let reserved = segment.reserved == 0 && is_zero(&segment.reserved3);
        if !reserved || segment.statistics_flags > FLAG_NAN {
            return Err(invalid("reserved bytes are not zero"));
        }
        let decoded = Self {
            encoding,
            presence,
            statistics,
            has_nan: segment.statistics_flags & FLAG_NAN != 0,
            value_types: segment.value_types.to_native(),
            slot_count: segment.slot_count.to_native(),
            present_count: segment.present_count.to_native(),
            null_count: segment.null_count.to_native(),
            cells_offset: segment.cells_offset.to_native(),
            cells_len: segment.cells_len.to_native(),
            presence_offset: segment.presence_offset.to_native(),
            presence_len: segment.presence_len.to_native(),
            removed,
            number,
        };
        let first = u64::from(number).saturating_mul(u64::from(SEGMENT_LEN));
        let slots = slot_count.saturating_sub(first).min(u64::from(SEGMENT_LEN));
        decoded.check(slots, cells_len, presence_len).map_err(invalid)?;
        Ok(decoded)
    }

    fn check(&self, slots: u64, cells_len: u64, presence_len: u64) -> Result<(), &'static str> {
        if u64::from(self.slot_count) != slots
            || self.present_count > self.slot_count
            || self.null_count > self.present_count
        {
            return Err("impossible counts");
        }
        let by_presence = match self.presence {
            Presence::None => self.present_count == 0,
            Presence::All => self.present_count == self.slot_count,
            Presence::Bitmap | Presence::Sorted => true,
        };
        if !by_presence {
            return Err("the presence does not match the count");
        }
        let cells = u64::from(self.present_count).saturating_mul(self.encoding.width());
        let presence = self.presence.len(self.slot_count, self.present_count);
        let within = |offset: u64, len: u64, section: u64| {
            offset.is_multiple_of(8) && offset.checked_add(len).is_some_and(|end| end <= section)
        };
        let in_bounds = self.cells_len == cells
            && self.presence_len == presence
            && within(self.cells_offset, self.cells_len, cells_len)
            && within(self.presence_offset, self.presence_len, presence_len);
        if !in_bounds {
            return Err("cells or presence out of bounds");
        }
        let Removed { count, presence, offset, len } = self.removed;
        let some = count > 0 && count < self.present_count;
        let removed_fits = if some {
            matches!(presence, Presence::Bitmap | Presence::Sorted)
                && len == presence.len(self.slot_count, count)
                && within(offset, len, presence_len)
        } else {
            presence == Presence::None && offset == 0 && len == 0
        };
        let values = self.present_count.checked_sub(count);
        if !removed_fits || values.is_none_or(|values| self.null_count > values) {
            return Err("removed slots out of bounds");
        }
        Ok(())
    }
}

/// A dictionary entry as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct EntryRecord {
    tag: u8,
    reserved: [u8; 3],
    len: u32_le,
    payload: u64_le,
}

/// Bytes of a dictionary entry.
pub(crate) const ENTRY_LEN: usize = 16;
const _: () = assert!(size_of::<EntryRecord>() == ENTRY_LEN);

/// A dictionary entry: a small payload in place, or where a longer one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    Inline { tag: u8, payload: u64 },
    Text { offset: u64, len: u32 },
    Heap { tag: u8, offset: u64, len: u32 },
}

impl Entry {
    /// Whether values of a tag are kept in the entry itself.
    pub(crate) const fn is_inline(tag: u8) -> bool {
        matches!(tag, TAG_NULL | TAG_BOOL | TAG_INT | TAG_UINT | TAG_FLOAT)
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let (tag, len, payload) = match self {
            Self::Inline { tag, payload } => (tag, 0, payload),
            Self::Text { offset, len } => (TAG_TEXT, len, offset),
            Self::Heap { tag, offset, len } => (tag, len, offset),
        };
        out.extend_from_slice(bytemuck::bytes_of(&EntryRecord {
            tag,
            reserved: [0; 3],
            len: len.into(),
            payload: payload.into(),
        }));
    }

    /// Reads entry `index` of a dictionary section.
    #[inline]
    pub(crate) fn decode(section: &[u8], index: usize) -> Result<Self, Invalid> {
        let at = super::bytes::element_offset::<EntryRecord>(index);
        let entry: &EntryRecord = record(section, at, "dictionary")?;
        let (tag, len, payload) = (entry.tag, entry.len.to_native(), entry.payload.to_native());
        if entry.reserved != [0; 3] || (Self::is_inline(tag) && len != 0) || tag > TAG_MAP {
            return Err(Invalid::new(at as u64, "dictionary", "an entry that is not valid"));
        }
        Ok(match tag {
            TAG_TEXT => Self::Text { offset: payload, len },
            tag if Self::is_inline(tag) => Self::Inline { tag, payload },
            tag => Self::Heap { tag, offset: payload, len },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_change_these_numbers() {
        for (code, encoding) in Encoding::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(encoding.code()), code);
        }
        for (code, presence) in Presence::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(presence.code()), code);
        }
    }

    #[test]
    fn presence_finds_the_cell_of_each_slot() {
        let present: Vec<u32> = (0..1000).filter(|s| s % 7 == 0 || s % 64 == 63).collect();
        let mut bitmap = Vec::new();
        let mut rank = 0u64;
        for word in 0..1000u32.div_ceil(64) {
            let bits = (0..64).fold(0u64, |bits, bit| bits | (u64::from(present.contains(&(word * 64 + bit))) << bit));
            bitmap.extend(bits.to_le_bytes());
            bitmap.extend(rank.to_le_bytes());
            rank += u64::from(bits.count_ones());
        }
        let sorted: Vec<u8> = present.iter().flat_map(|&s| (s as u16).to_le_bytes()).collect();
        for slot in 0..1000 {
            let expected = present.iter().position(|&s| s == slot).map(|index| index as u32);
            assert_eq!(bitmap_index(&bitmap, slot), expected);
            assert_eq!(sorted_index(&sorted, slot), expected);
            let next = present.iter().copied().find(|&s| s >= slot);
            assert_eq!(next_present(Presence::Bitmap, &bitmap, slot), next);
            assert_eq!(next_present(Presence::Sorted, &sorted, slot), next);
        }
        for (presence, structure) in [(Presence::Bitmap, &bitmap), (Presence::Sorted, &sorted)] {
            let mut offsets = Vec::new();
            present_offsets(presence, structure, &mut offsets);
            assert!(offsets.iter().map(|&offset| u32::from(offset)).eq(present.iter().copied()));
        }
        let all: Vec<u32> = (0..1000).collect();
        for (presence, structure, has) in [
            (Presence::Bitmap, &*bitmap, &present),
            (Presence::Sorted, &*sorted, &present),
            (Presence::All, &[], &all),
            (Presence::None, &[], &Vec::new()),
        ] {
            let is_asked = |slot: u32| slot.is_multiple_of(3) || slot / 64 == 9;
            let bits = |is_in: &dyn Fn(u32) -> bool| -> Vec<u64> {
                (0..16)
                    .map(|word| (0..64).fold(0, |bits, bit| bits | u64::from(is_in(word * 64 + bit)) << bit))
                    .collect()
            };
            let index = |slot: u32| has.iter().position(|&s| s == slot);
            let (mut slots, mut taken) = (bits(&is_asked), Vec::new());
            take_present((presence, 1000), structure, &mut slots, |slot, index| {
                taken.push((slot, Some(index as usize)))
            });
            let expected = (0..1024).filter(|&slot| is_asked(slot) && index(slot).is_some());
            assert_eq!(taken, expected.map(|slot| (slot, index(slot))).collect::<Vec<_>>(), "{presence:?}");
            assert_eq!(slots, bits(&|slot| is_asked(slot) && index(slot).is_none()), "{presence:?}");
        }
        assert_eq!(bitmap_index(&bitmap, 60_000), None, "past the end of the structure");
    }

    #[test]
    fn a_segment_that_lies_is_rejected() {
        let good = Segment {
            encoding: Encoding::Dictionary16,
            presence: Presence::Bitmap,
            statistics: Statistics::I64(-1, 5),
            has_nan: false,
            value_types: 4,
            slot_count: 100,
            present_count: 50,
            null_count: 1,
            cells_offset: 8,
            cells_len: 100,
            presence_offset: 0,
            presence_len: 32,
            removed: Removed::NONE,
            number: 0,
        };
        let read = |segment: &Segment| {
            let mut bytes = Vec::new();
            segment.encode(&mut bytes);
            Segment::decode(&bytes, 0, SegmentKind::Base, 100, 108, 32)
        };
        assert_eq!(read(&good).unwrap(), good);
        let lies: [fn(&mut Segment); 10] = [
            |s| s.slot_count = 99,
            |s| s.present_count = 101,
            |s| s.null_count = 51,
            |s| s.cells_len = 98,
            |s| s.cells_offset = 16,
            |s| s.presence_len = 16,
            |s| s.presence_offset = 8,
            |s| s.presence = Presence::All,
            |s| s.removed.count = 1,
            |s| s.number = 1,
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut segment = good;
            lie(&mut segment);
            assert!(read(&segment).is_err(), "lie {number}");
        }
    }

    #[test]
    fn removed_slots_of_a_delta_segment_are_checked() {
        let good = Segment {
            encoding: Encoding::PlainI64,
            presence: Presence::Sorted,
            statistics: Statistics::None,
            has_nan: false,
            value_types: 4,
            slot_count: 100,
            present_count: 4,
            null_count: 2,
            cells_offset: 0,
            cells_len: 32,
            presence_offset: 0,
            presence_len: 8,
            removed: Removed { count: 2, presence: Presence::Sorted, offset: 8, len: 4 },
            number: 3,
        };
        let read = |segment: &Segment| {
            let mut bytes = Vec::new();
            segment.encode(&mut bytes);
            Segment::decode(&bytes, 0, SegmentKind::Delta, 3 * 65_536 + 100, 32, 16)
        };
        assert_eq!(read(&good).unwrap(), good);
        let all = Removed { count: 4, ..Removed::NONE };
        assert!(read(&Segment { removed: all, null_count: 0, ..good }).is_ok());
        let lies: [fn(&mut Segment); 7] = [
            |s| s.number = 2,
            |s| s.removed.count = 3,
            |s| s.removed.count = 5,
            |s| s.removed.presence = Presence::None,
            |s| s.removed.offset = 16,
            |s| s.removed.len = 2,
            |s| s.null_count = 3,
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut segment = good;
            lie(&mut segment);
            assert!(read(&segment).is_err(), "lie {number}");
        }
    }
}
