//! Patch files (chapter `format-spec/patch.md`): descriptor and directory of delta columns.

use super::Invalid;
use super::bytes::{is_zero, record};
use bytemuck::{Pod, Zeroable};
use rend::{i64_le, u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};

/// Section kinds, beside those shared with axis and columns.
pub(crate) const SECTION_PATCH: u32 = 32;
pub(crate) const SECTION_DELTA_COLUMNS: u32 = 33;
pub(crate) const SECTION_PARTS: u32 = 34;

/// The dimension id of the axis' delta column.
pub(crate) const AXIS_DELTA: u32 = u32::MAX;
const FLAG_NO_COUNTS: u32 = 1;

/// The patch descriptor as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct PatchRecord {
    delta_column_count: u32_le,
    base_next: u32_le,
    chain_len_max: u32_le,
    reserved: u32_le,
    bucket_count: u64_le,
    hash_seed: u64_le,
    reserved2: [u8; 32],
}

const _: () = assert!(size_of::<PatchRecord>() == 64);

/// What a patch file says of itself as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct PatchDescriptor {
    pub(crate) delta_column_count: u32,
    /// The base's tombstones that are still free are those from here on.
    pub(crate) base_next: u32,
    pub(crate) chain_len_max: u32,
    pub(crate) bucket_count: u64,
    pub(crate) hash_seed: u64,
}

impl PatchDescriptor {
    pub(crate) fn encode(&self) -> Vec<u8> {
        bytemuck::bytes_of(&PatchRecord {
            delta_column_count: self.delta_column_count.into(),
            base_next: self.base_next.into(),
            chain_len_max: self.chain_len_max.into(),
            reserved: 0.into(),
            bucket_count: self.bucket_count.into(),
            hash_seed: self.hash_seed.into(),
            reserved2: [0; 32],
        })
        .to_vec()
    }

    /// Reads the descriptor of a patch whose directory and index have the lengths given.
    pub(crate) fn decode(bytes: &[u8], directory_len: u64, index_len: u64) -> Result<Self, Invalid> {
        const SECTION: &str = "patch descriptor";
        let patch: &PatchRecord = record(bytes, 0, SECTION)?;
        let invalid = |offset, reason| Err(Invalid::new(offset, SECTION, reason));
        let bucket_count = patch.bucket_count.to_native();
        let chain_len_max = patch.chain_len_max.to_native();
        if u64::from(patch.delta_column_count.to_native()).checked_mul(ENTRY_LEN as u64) != Some(directory_len) {
            return invalid(0, "the number of delta columns does not match");
        }
        let chain_fits = if bucket_count == 0 {
            chain_len_max == 0
        } else {
            chain_len_max > 0 && u64::from(chain_len_max) <= bucket_count && bucket_count <= u64::from(u32::MAX)
        };
        if !chain_fits || bucket_count.checked_mul(super::axis::BUCKET_LEN as u64) != Some(index_len) {
            return invalid(16, "the number of buckets does not match the index");
        }
        if patch.reserved != 0 || !is_zero(&patch.reserved2) {
            return invalid(32, "reserved bytes are not zero");
        }
        Ok(Self {
            delta_column_count: patch.delta_column_count.to_native(),
            base_next: patch.base_next.to_native(),
            chain_len_max,
            bucket_count,
            hash_seed: patch.hash_seed.to_native(),
        })
    }
}

/// A place in the section "parts", as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct PartRecord {
    offset: u64_le,
    len: u64_le,
}

/// An entry of the directory as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct EntryRecord {
    dimension_id: u32_le,
    flags: u32_le,
    points_change: i64_le,
    nulls_change: i64_le,
    parts: [PartRecord; PART_COUNT],
    reserved: [u8; 8],
}

/// Bytes of an entry.
pub(crate) const ENTRY_LEN: usize = 160;
const _: () = assert!(size_of::<EntryRecord>() == ENTRY_LEN);
/// Parts of a delta column.
pub(crate) const PART_COUNT: usize = 8;

/// The parts of a delta column, in the order of the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Column,
    Segments,
    Cells,
    Presence,
    Dictionary,
    Counts,
    ChangedValues,
    Changes,
}

/// Offset in the file and length.
pub(crate) type Extent = (u64, u64);

/// One delta column: whose, how its counts change, and where its parts are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct DeltaEntry {
    pub(crate) dimension_id: u32,
    /// Whether the dimension's values can be counted without a scan.
    pub(crate) has_counts: bool,
    pub(crate) points_change: i64,
    pub(crate) nulls_change: i64,
    pub(crate) parts: [Extent; PART_COUNT],
}

impl DeltaEntry {
    pub(crate) fn part(&self, part: Part) -> Extent {
        self.parts.get(part as usize).copied().unwrap_or_default()
    }

    pub(crate) fn set_part(&mut self, part: Part, extent: Extent) {
        if let Some(place) = self.parts.get_mut(part as usize) {
            *place = extent;
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(bytemuck::bytes_of(&EntryRecord {
            dimension_id: self.dimension_id.into(),
            flags: if self.has_counts { 0.into() } else { FLAG_NO_COUNTS.into() },
            points_change: self.points_change.into(),
            nulls_change: self.nulls_change.into(),
            parts: self.parts.map(|(offset, len)| PartRecord { offset: offset.into(), len: len.into() }),
            reserved: [0; 8],
        }));
    }
}

/// Reads the directory: entries in order, their parts inside of the section "parts" (offset and length).
pub(crate) fn decode_directory(bytes: &[u8], section: Extent) -> Result<Vec<DeltaEntry>, Invalid> {
    const SECTION: &str = "delta column";
    let (mut entries, mut extents): (Vec<DeltaEntry>, Vec<Extent>) = (Vec::new(), Vec::new());
    for at in (0..bytes.len()).step_by(ENTRY_LEN) {
        let invalid = |reason| Err(Invalid::new(at as u64, SECTION, reason));
        let entry: &EntryRecord = record(bytes, at, SECTION)?;
        let dimension_id = entry.dimension_id.to_native();
        if entries.last().is_some_and(|last| last.dimension_id >= dimension_id) {
            return invalid("entries out of order");
        }
        let flags = entry.flags.to_native();
        if flags & !FLAG_NO_COUNTS != 0 || !is_zero(&entry.reserved) {
            return invalid("reserved bytes are not zero");
        }
        let parts = entry.parts.map(|part| (part.offset.to_native(), part.len.to_native()));
        let (start, len) = section;
        let fits = |&(offset, part_len): &Extent| {
            (offset == 0 && part_len == 0)
                || (offset % 8 == 0
                    && offset.checked_sub(start).and_then(|at| at.checked_add(part_len)).is_some_and(|end| end <= len))
        };
        if !parts.iter().all(fits) {
            return invalid("a part outside of its section");
        }
        extents.extend(parts);
        entries.push(DeltaEntry {
            dimension_id,
            has_counts: flags & FLAG_NO_COUNTS == 0,
            points_change: entry.points_change.to_native(),
            nulls_change: entry.nulls_change.to_native(),
            parts,
        });
    }
    if overlap(&mut extents) {
        return Err(Invalid::new(24, SECTION, "parts share bytes"));
    }
    Ok(entries)
}

/// Whether any two of some extents share bytes. They are put in order; in order already, this costs O(extents).
pub(crate) fn overlap(extents: &mut Vec<Extent>) -> bool {
    extents.retain(|&(_, len)| len > 0);
    extents.sort_unstable();
    extents.windows(2).any(|pair| match *pair {
        [(offset, len), (next, _)] => offset.saturating_add(len) > next,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dimension_id: u32) -> DeltaEntry {
        let mut entry =
            DeltaEntry { dimension_id, has_counts: dimension_id != 1, points_change: -3, ..DeltaEntry::default() };
        let start = 512 + 72 * u64::from(dimension_id.min(2));
        entry.set_part(Part::Column, (start, 64));
        entry.set_part(Part::Changes, (start + 64, 8));
        entry
    }

    fn directory(entries: &[DeltaEntry]) -> rkyv::util::AlignedVec {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| entry.encode(&mut bytes));
        let mut aligned = rkyv::util::AlignedVec::new();
        aligned.extend_from_slice(&bytes);
        aligned
    }

    #[test]
    fn a_directory_is_read_back() {
        let entries = [entry(0), entry(1), entry(AXIS_DELTA)];
        assert_eq!(decode_directory(&directory(&entries), (512, 512)).unwrap(), entries);
    }

    #[test]
    fn a_directory_that_lies_is_rejected() {
        let rejects = |entries: &[DeltaEntry]| decode_directory(&directory(entries), (512, 512)).is_err();
        assert!(rejects(&[entry(1), entry(0)]), "out of order");
        assert!(rejects(&[entry(1), entry(1)]), "twice");
        for extent in [(1016, 16), (504, 8), (513, 1), (0, 8), (u64::MAX - 7, 16)] {
            let mut bad = entry(0);
            bad.set_part(Part::Cells, extent);
            assert!(rejects(&[bad]), "{extent:?}");
        }
        assert!(decode_directory(&directory(&[entry(0)])[..ENTRY_LEN - 1], (512, 512)).is_err());
    }

    #[test]
    fn parts_share_no_bytes() {
        let rejects = |entries: &[DeltaEntry]| decode_directory(&directory(entries), (512, 512)).is_err();
        let with = |id, part, extent| {
            let mut entry = DeltaEntry { dimension_id: id, ..DeltaEntry::default() };
            entry.set_part(part, extent);
            entry
        };
        let first = with(0, Part::Cells, (512, 16));
        assert!(!rejects(&[first, with(1, Part::Cells, (528, 8))]), "one behind the other");
        assert!(!rejects(&[with(0, Part::Cells, (528, 8)), with(1, Part::Cells, (512, 16))]), "in any order");
        for extent in [(512, 16), (520, 8), (520, 100), (512, 1)] {
            assert!(rejects(&[first, with(1, Part::Segments, extent)]), "{extent:?}");
        }
        let mut same = first;
        same.set_part(Part::Presence, (520, 16));
        assert!(rejects(&[same]), "within one column");
    }

    #[test]
    fn a_descriptor_is_read_back_and_checked() {
        let descriptor =
            PatchDescriptor { delta_column_count: 2, base_next: 3, chain_len_max: 1, bucket_count: 5, hash_seed: 6 };
        let mut aligned: rkyv::util::AlignedVec = rkyv::util::AlignedVec::new();
        aligned.extend_from_slice(&descriptor.encode());
        assert_eq!(PatchDescriptor::decode(&aligned, 320, 320).unwrap(), descriptor);
        assert!(PatchDescriptor::decode(&aligned, 160, 320).is_err());
        assert!(PatchDescriptor::decode(&aligned, 320, 64).is_err());
        assert!(PatchDescriptor::decode(&aligned[..63], 320, 320).is_err());
    }
}
