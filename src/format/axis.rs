//! The axis file (chapter `format-spec/axis.md`): descriptor, tombstones, buckets of the key index.

use super::Invalid;
use super::bytes::{is_zero, record, u64_at};
use super::perfect_hash::{PART_LEN, REMAP_LEN};
use bytemuck::{Pod, Zeroable, must_cast};
use rend::{i64_le, u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};
use wide::{i8x16, i16x16};

/// Section kinds, beside those shared with columns.
pub(crate) const SECTION_AXIS: u32 = 16;
pub(crate) const SECTION_TOMBSTONES: u32 = 17;
pub(crate) const SECTION_INDEX: u32 = 18;

/// An empty place of a bucket.
pub(crate) const NO_SLOT: u32 = u32::MAX;
/// Places of a bucket.
pub(crate) const BUCKET_PLACES: usize = 10;
/// Bytes of a bucket: one cache line.
pub(crate) const BUCKET_LEN: usize = 64;
/// Set in the flags of a bucket that a key passed because it was full.
const OVERFLOW_FLAG: u16 = 1;
/// Where the flags of a bucket are.
const FLAGS_AT: usize = 20;
/// Where the slots of a bucket are.
const SLOTS_AT: usize = 24;

/// The axis descriptor as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct AxisRecord {
    layout: u32_le,
    tombstone_levels: u32_le,
    first_key: i64_le,
    free_count: u64_le,
    bucket_count: u64_le,
    hash_seed: u64_le,
    chain_len_max: u32_le,
    part_count: u32_le,
    reserved: [u8; 16],
}

const _: () = assert!(size_of::<AxisRecord>() == 64);

/// How keys are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// The key of slot s is the integer `first_key` + s.
    Dense { first_key: i64 },
    /// Keys are stored, and found through an index.
    Indexed { bucket_count: u64, hash_seed: u64, chain_len_max: u32 },
    /// Keys are stored, and the slot of each is its rank in a perfect hash.
    Frozen { part_count: u32, bucket_count: u64, hash_seed: u64 },
}

/// Bytes of the sections that the descriptor is about.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct SectionLens {
    pub(crate) tombstones: u64,
    pub(crate) index: u64,
    pub(crate) hash_parts: u64,
    pub(crate) pilots: u64,
    pub(crate) remap: u64,
}

/// What the axis file says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Axis {
    pub(crate) layout: Layout,
    pub(crate) tombstone_levels: u32,
    pub(crate) free_count: u64,
}

impl Axis {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut record: AxisRecord = Zeroable::zeroed();
        record.tombstone_levels = self.tombstone_levels.into();
        record.free_count = self.free_count.into();
        match self.layout {
            Layout::Dense { first_key } => record.first_key = first_key.into(),
            Layout::Indexed { bucket_count, hash_seed, chain_len_max } => {
                record.layout = 1.into();
                record.bucket_count = bucket_count.into();
                record.hash_seed = hash_seed.into();
                record.chain_len_max = chain_len_max.into();
            }
            Layout::Frozen { part_count, bucket_count, hash_seed } => {
                record.layout = 2.into();
                record.part_count = part_count.into();
                record.bucket_count = bucket_count.into();
                record.hash_seed = hash_seed.into();
            }
        }
        bytemuck::bytes_of(&record).to_vec()
    }

    /// Reads the descriptor of an axis of `slot_count` slots.
    pub(crate) fn decode(bytes: &[u8], slot_count: u64, lens: SectionLens) -> Result<Self, Invalid> {
        const SECTION: &str = "axis descriptor";
        let axis: &AxisRecord = record(bytes, 0, SECTION)?;
        let invalid = |offset, reason| Err(Invalid::new(offset, SECTION, reason));
        let layout = match axis.layout.to_native() {
            0 => Layout::Dense { first_key: axis.first_key.to_native() },
            1 => Layout::Indexed {
                bucket_count: axis.bucket_count.to_native(),
                hash_seed: axis.hash_seed.to_native(),
                chain_len_max: axis.chain_len_max.to_native(),
            },
            2 => Layout::Frozen {
                part_count: axis.part_count.to_native(),
                bucket_count: axis.bucket_count.to_native(),
                hash_seed: axis.hash_seed.to_native(),
            },
            _ => return invalid(0, "a layout that this build does not know"),
        };
        let buckets_fit = match layout {
            Layout::Dense { .. } => lens.index == 0,
            Layout::Indexed { bucket_count, chain_len_max, .. } => {
                bucket_count > 0
                    && chain_len_max > 0
                    && u64::from(chain_len_max) <= bucket_count
                    && bucket_count <= u64::from(u32::MAX)
                    && bucket_count.checked_mul(BUCKET_LEN as u64) == Some(lens.index)
            }
            Layout::Frozen { bucket_count, .. } => bucket_count > 0 && lens.pilots == bucket_count && lens.index == 0,
        };
        if !buckets_fit {
            return invalid(24, "the number of buckets does not match the index");
        }
        let parts_fit = match layout {
            Layout::Frozen { part_count, bucket_count, .. } => {
                let records = u64::from(part_count).saturating_add(1);
                let others = (axis.first_key.to_native(), axis.chain_len_max.to_native());
                bucket_count.checked_rem(part_count.into()) == Some(0)
                    && others == (0, 0)
                    && records.checked_mul(PART_LEN as u64) == Some(lens.hash_parts)
                    && lens.remap.is_multiple_of(REMAP_LEN as u64)
            }
            Layout::Dense { .. } | Layout::Indexed { .. } => {
                axis.part_count.to_native() == 0 && lens.hash_parts == 0 && lens.pilots == 0 && lens.remap == 0
            }
        };
        if !parts_fit {
            return invalid(44, "the number of parts does not match the perfect hash");
        }
        let levels = axis.tombstone_levels.to_native();
        let free_count = axis.free_count.to_native();
        let words: u64 = tombstone_levels(slot_count).iter().sum();
        let fits = if free_count == 0 {
            levels == 0 && lens.tombstones == 0
        } else {
            levels as usize == tombstone_levels(slot_count).len()
                && lens.tombstones == words.saturating_mul(8)
                && free_count < slot_count
                && !matches!(layout, Layout::Frozen { .. })
        };
        if !fits {
            return invalid(16, "the tombstones do not match the slots");
        }
        if !is_zero(&axis.reserved) {
            return invalid(48, "reserved bytes are not zero");
        }
        Ok(Self { layout, tombstone_levels: levels, free_count })
    }
}

/// The number of words of each level of a hierarchical bitmap over `slot_count` bits.
pub(crate) fn tombstone_levels(slot_count: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut count = slot_count;
    while count > 0 {
        count = count.div_ceil(64);
        levels.push(count);
        if count == 1 {
            break;
        }
    }
    levels
}

/// The bucket in which a key's search starts.
#[inline]
pub(crate) fn home(hash: u64, bucket_count: u64) -> u64 {
    (hash >> 32).wrapping_mul(bucket_count) >> 32
}

/// The part of the hash that a bucket keeps.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
pub(crate) const fn fingerprint(hash: u64) -> u16 {
    hash as u16
}

/// One bucket, read from a checked block.
#[derive(Clone, Copy)]
pub(crate) struct Bucket<'a>(&'a [u8; BUCKET_LEN]);

impl<'a> Bucket<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8; BUCKET_LEN]) -> Self {
        Self(bytes)
    }

    /// The places that have a fingerprint, in order. Empty ones may be among them.
    #[inline(always)]
    pub(crate) fn matches(self, fingerprint: u16) -> Places {
        // All places are compared at once. Which of them matches cannot be predicted: a branch for each would cost more than the rest of
        // a lookup that is in cache.
        let wanted = i16x16::splat(fingerprint.to_le().cast_signed());
        let (lanes, _) = self.0.as_chunks::<32>();
        let equal = lanes.first().map_or(i16x16::ZERO, |lanes| i16x16::new(must_cast(*lanes)).simd_eq(wanted));
        Places(i8x16::from_i16x16_saturate(equal).to_bitmask() & ((1 << BUCKET_PLACES) - 1))
    }

    /// The slot of a place; [`NO_SLOT`] where it is empty.
    #[inline]
    pub(crate) fn slot(self, place: usize) -> u32 {
        let (slots, _) = self.0.as_chunks::<4>();
        slots.get((SLOTS_AT / 4).wrapping_add(place)).map_or(NO_SLOT, |slot| u32::from_le_bytes(*slot))
    }

    /// Whether a key that has its home here may be in the next bucket.
    #[inline]
    pub(crate) fn overflows(self) -> bool {
        let (words, _) = self.0.as_chunks::<4>();
        words.get(FLAGS_AT / 4).is_some_and(|flags| u32::from_le_bytes(*flags) & u32::from(OVERFLOW_FLAG) != 0)
    }
}

/// Places of a bucket, a bit for each.
#[derive(Clone, Copy)]
pub(crate) struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        Some(place as usize)
    }
}

/// A bucket being filled.
#[derive(Clone, Copy)]
pub(crate) struct BucketBuilder {
    fingerprints: [u16; BUCKET_PLACES],
    flags: u16,
    slots: [u32; BUCKET_PLACES],
}

impl BucketBuilder {
    pub(crate) const EMPTY: Self = Self { fingerprints: [0; BUCKET_PLACES], flags: 0, slots: [NO_SLOT; BUCKET_PLACES] };

    /// Puts a key into the first empty place; marks the bucket as overflowing and returns false when there is none.
    pub(crate) fn insert(&mut self, fingerprint: u16, slot: u32) -> bool {
        match self.fingerprints.iter_mut().zip(&mut self.slots).find(|(_, place)| **place == NO_SLOT) {
            Some((print, place)) => {
                *print = fingerprint;
                *place = slot;
                true
            }
            None => {
                self.flags |= OVERFLOW_FLAG;
                false
            }
        }
    }

    /// Whether a key passed it.
    pub(crate) fn overflows(&self) -> bool {
        self.flags & OVERFLOW_FLAG != 0
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.fingerprints.iter().chain([&self.flags, &0]).flat_map(|number| number.to_le_bytes()));
        out.extend(self.slots.iter().flat_map(|number| number.to_le_bytes()));
    }
}

/// The first set bit at or after `from` of a hierarchical bitmap. `word(level, index)` reads one word of a level.
pub(crate) fn next_set_bit<E>(
    levels: usize,
    from: u64,
    word: impl Fn(usize, u64) -> Result<u64, E>,
) -> Result<Option<u64>, E> {
    // Climb until a word has a set bit at or after the position, then descend to the lowest such bit.
    let mut position = from;
    for level in 0..levels {
        let index = position / 64;
        let shift = position.checked_rem(64).unwrap_or_default();
        let rest = word(level, index)? & u64::MAX.wrapping_shl(u32::try_from(shift).unwrap_or_default());
        if rest != 0 {
            let mut bit = index.saturating_mul(64).saturating_add(u64::from(rest.trailing_zeros()));
            for below in (0..level).rev() {
                let bits = word(below, bit)?;
                if bits == 0 {
                    return Ok(None);
                }
                bit = bit.saturating_mul(64).saturating_add(u64::from(bits.trailing_zeros()));
            }
            return Ok(Some(bit));
        }
        position = index.saturating_add(1);
    }
    Ok(None)
}

/// A word of a bitmap; zero past its end, so that a search ends there.
#[inline]
pub(crate) fn bitmap_word(bytes: &[u8], index: u64) -> u64 {
    usize::try_from(index).ok().and_then(|index| u64_at(bytes, index.checked_mul(8)?)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn next_set_bit_finds_what_a_plain_search_finds() {
        for count in [1u64, 63, 64, 65, 4096, 4097, 300_000] {
            let set: Vec<u64> = (0..count).filter(|n| n % 5003 == 7 || *n == count - 1).collect();
            let mut levels: Vec<Vec<u64>> = Vec::new();
            let mut bits = set.clone();
            for &words in &tombstone_levels(count) {
                let mut level = vec![0u64; words as usize];
                for bit in &bits {
                    level[(bit / 64) as usize] |= 1 << (bit % 64);
                }
                bits = (0..words).filter(|&w| level[w as usize] != 0).collect();
                levels.push(level);
            }
            for from in (0..count).step_by(97).chain(set.iter().copied()).chain([count - 1]) {
                let found = next_set_bit(levels.len(), from, |level, index| {
                    Ok::<_, Infallible>(levels[level].get(index as usize).copied().unwrap_or(0))
                })
                .unwrap();
                assert_eq!(found, set.iter().copied().find(|&bit| bit >= from), "{count} from {from}");
            }
        }
    }

    #[test]
    fn a_full_bucket_says_so() {
        let mut builder = BucketBuilder::EMPTY;
        for n in 0..BUCKET_PLACES as u16 {
            assert!(builder.insert(n % 3 * 100, n.into()));
        }
        assert!(!builder.insert(5, 99));
        let mut bytes = Vec::new();
        builder.encode(&mut bytes);
        let bucket = Bucket::new(bytes.first_chunk().unwrap());
        assert!(bucket.overflows());
        assert_eq!(bytes.len(), BUCKET_LEN);
        let slots = |fingerprint| bucket.matches(fingerprint).map(|place| bucket.slot(place)).collect::<Vec<_>>();
        assert_eq!(slots(0), [0, 3, 6, 9]);
        assert_eq!(slots(200), [2, 5, 8]);
        assert!(slots(500).is_empty());
    }

    #[test]
    fn every_fingerprint_is_found_at_every_place() {
        for fingerprint in [0, 1, 2, 0x7FFF, 0x8000, 0xFFFF] {
            for at in 0..BUCKET_PLACES as u32 {
                let mut builder = BucketBuilder::EMPTY;
                for slot in 0..BUCKET_PLACES as u32 {
                    builder.insert(if slot == at { fingerprint } else { fingerprint ^ 1 }, slot);
                }
                let mut bytes = Vec::new();
                builder.encode(&mut bytes);
                let bucket = Bucket::new(bytes.first_chunk().unwrap());
                let found: Vec<usize> = bucket.matches(fingerprint).collect();
                assert_eq!(found, [at as usize], "{fingerprint}");
                assert!(!bucket.overflows());
            }
        }
    }
}
