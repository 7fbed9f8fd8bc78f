//! The minimal perfect hash of a frozen axis (chapter `format-spec/perfect_hash.md`): from a key's hash to its rank.

use super::Invalid;
use super::bytes::{element_offset, record};
use bytemuck::{Pod, Zeroable};
use rend::{u32_le, u64_le};
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Portable};

/// Section kinds of a frozen axis.
pub(crate) const SECTION_HASH_PARTS: u32 = 19;
pub(crate) const SECTION_PILOTS: u32 = 20;
pub(crate) const SECTION_REMAP: u32 = 21;

/// Bytes of a part's record.
pub(crate) const PART_LEN: usize = 16;
/// Bytes of a number in the remap.
pub(crate) const REMAP_LEN: usize = 4;

/// Spreads pilots over all bits: 2^64 divided by the golden ratio.
const PILOT_SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Brings all bits of a hash into the high ones of the product.
const PLACE_SPREAD: u64 = 0xD6E8_FEB8_6659_FD93;

/// A part's record as it is on disk.
#[derive(Clone, Copy, Pod, Zeroable, Archive, Portable, CheckBytes)]
#[rkyv(as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
struct PartRecord {
    seed: u64_le,
    first_slot: u32_le,
    first_remap: u32_le,
}

const _: () = assert!(size_of::<PartRecord>() == PART_LEN);

/// A part of the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) seed: u64,
    pub(crate) first_slot: u32,
    /// The place of its first number in the remap.
    pub(crate) first_remap: u32,
    pub(crate) key_count: u32,
    /// Places that its keys can be sent to: `key_count` and as many as it has numbers in the remap.
    pub(crate) place_count: u32,
}

/// The upper half of a product.
#[inline]
fn high(a: u64, b: u64) -> u64 {
    (u128::from(a).wrapping_mul(u128::from(b)) >> 64) as u64
}

/// The number of the part, or of the bucket, that a key is in; of so many.
#[inline]
pub(crate) fn number_of(hash: u64, count: u64) -> u64 {
    high(hash, count)
}

/// What a pilot does to the hashes of its bucket.
#[inline]
pub(crate) fn spread_pilot(pilot: u8) -> u64 {
    u64::from(pilot).wrapping_mul(PILOT_SPREAD)
}

/// The place of a hash that its part's seed and a spread pilot were applied to.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it is below a u32")]
pub(crate) fn place(mixed: u64, place_count: u32) -> u32 {
    high(mixed.wrapping_mul(PLACE_SPREAD), place_count.into()) as u32
}

/// Writes the records of parts that follow each other.
pub(crate) fn encode_parts(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(element_offset::<PartRecord>(parts.len().saturating_add(1)));
    let mut put = |seed: u64, first_slot: u32, first_remap: u32| {
        let record = PartRecord { seed: seed.into(), first_slot: first_slot.into(), first_remap: first_remap.into() };
        bytes.extend_from_slice(bytemuck::bytes_of(&record));
    };
    let (mut slots, mut remaps) = (0u32, 0u32);
    for part in parts {
        put(part.seed, part.first_slot, part.first_remap);
        slots = part.first_slot.saturating_add(part.key_count);
        remaps = part.first_remap.saturating_add(part.place_count.saturating_sub(part.key_count));
    }
    put(0, slots, remaps);
    bytes
}

/// Reads the records of the parts of a file of `slot_count` keys, whose remap has `remap_count` numbers.
pub(crate) fn decode_parts(bytes: &[u8], slot_count: u64, remap_count: u64) -> Result<Box<[Part]>, Invalid> {
    const SECTION: &str = "hash parts";
    let count = bytes.len() / PART_LEN;
    let read = |index: usize| record::<PartRecord>(bytes, element_offset::<PartRecord>(index), SECTION);
    let invalid = |index: usize, reason| Invalid::new(element_offset::<PartRecord>(index) as u64, SECTION, reason);
    let mut parts = Vec::with_capacity(count.saturating_sub(1));
    let mut this = read(0)?;
    if this.first_slot.to_native() != 0 || this.first_remap.to_native() != 0 {
        return Err(invalid(0, "the first part does not start with the first slot and number"));
    }
    for index in 1..count {
        let next = read(index)?;
        let (first_slot, first_remap) = (this.first_slot.to_native(), this.first_remap.to_native());
        let keys = next.first_slot.to_native().checked_sub(first_slot);
        let numbers = next.first_remap.to_native().checked_sub(first_remap);
        let places = keys.zip(numbers).and_then(|(keys, numbers)| keys.checked_add(numbers));
        let (Some(key_count), Some(place_count)) = (keys, places) else {
            return Err(invalid(index, "parts that do not follow each other"));
        };
        parts.push(Part { seed: this.seed.to_native(), first_slot, first_remap, key_count, place_count });
        this = next;
    }
    let ends = (u64::from(this.first_slot.to_native()), u64::from(this.first_remap.to_native()), this.seed.to_native());
    if ends != (slot_count, remap_count, 0) {
        return Err(invalid(count.saturating_sub(1), "the parts do not end with the last slot and number"));
    }
    Ok(parts.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_lies_about_them_are_refused() {
        let parts = [
            Part { seed: 7, first_slot: 0, first_remap: 0, key_count: 10, place_count: 13 },
            Part { seed: u64::MAX, first_slot: 10, first_remap: 3, key_count: 0, place_count: 0 },
            Part { seed: 0, first_slot: 10, first_remap: 3, key_count: 5, place_count: 6 },
        ];
        let bytes = encode_parts(&parts);
        assert_eq!(bytes.len(), 4 * PART_LEN);
        assert_eq!(*decode_parts(&bytes, 15, 4).unwrap(), parts);
        assert!(decode_parts(&bytes, 16, 4).is_err() && decode_parts(&bytes, 15, 5).is_err());
        assert!(decode_parts(&[], 0, 0).is_err());
        // The records' first slots and numbers; the last record's seed.
        for (at, lie) in [(8, 1), (12, 1), (24, 16), (28, 9), (40, 9), (44, 2), (56, 9), (60, 2), (48, 1)] {
            let mut bytes = bytes.clone();
            bytes[at] = lie;
            assert!(decode_parts(&bytes, 15, 4).is_err(), "{lie} at byte {at}");
        }
        // A part of more places than there can be.
        let whole = [Part { seed: 0, first_slot: 0, first_remap: 0, key_count: u32::MAX, place_count: u32::MAX }];
        let mut bytes = encode_parts(&whole);
        assert!(decode_parts(&bytes, u64::from(u32::MAX), 0).is_ok());
        bytes[28] = 1;
        assert!(decode_parts(&bytes, u64::from(u32::MAX), 1).is_err());
    }

    type Golden = (u64, u64, u64, u64, u8, u32, (u64, u64, u32));

    /// Hash, parts, buckets, seed, pilot, places; part, bucket, place.
    const GOLDEN: [Golden; 10] = [
        (0, 1, 1, 0, 0, 1, (0, 0, 0)),
        (u64::MAX, 1, 1, 0, 255, 1, (0, 0, 0)),
        (u64::MAX, 3, 300, u64::MAX, 255, 4_294_967_295, (2, 299, 3_173_094_006)),
        (0x8000_0000_0000_0000, 2, 52_430, 0, 1, 133_136, (1, 26_215, 106_633)),
        (0x5BC8_FBBC_BDE5_C099, 77, 2_018_555, 0xD76D_4330_F144_6BEA, 189, 133_136, (27, 723_723, 102_709)),
        (0x7733_0BDB_D721_0DFF, 1, 4, 0x0D46_4138_A623_3255, 230, 26, (0, 1, 4)),
        (0x7814_E8A2_5F2D_D97F, 1, 4, 0x8B33_E968_6179_59CE, 26, 133_136, (0, 1, 63_205)),
        (0xBB2E_DB20_035B_7399, 2, 8, 0x478C_281D_687C_966C, 46, 1031, (1, 5, 404)),
        (0xCC11_D357_C30D_8B76, 2, 8, 0x9E30_691C_2386_42EA, 158, 1031, (1, 6, 1007)),
        (0x0074_5130_21DA_8978, 2, 8, 0xC60A_3CAB_359E_EEFB, 55, 26, (0, 0, 8)),
    ];

    /// Worked out from the chapter with integers of any size, by another program.
    #[test]
    fn hashes_go_where_the_specification_says() {
        for (hash, part_count, bucket_count, seed, pilot, place_count, expected) in GOLDEN {
            let place = place(hash ^ seed ^ spread_pilot(pilot), place_count);
            let found = (number_of(hash, part_count), number_of(hash, bucket_count), place);
            assert_eq!(found, expected, "{hash:#x}");
        }
    }
}
