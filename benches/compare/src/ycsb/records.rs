//! The records of YCSB: ten texts of 100 bytes under a key that looks random. They are functions of their number, so that answers are
//! checked without being kept.

use crate::records::mix;

/// Fields of a record.
pub(crate) const FIELDS: usize = 10;

/// Bytes of a field.
pub(crate) const FIELD_LEN: usize = 100;

/// The names of the fields.
pub(crate) const NAMES: [&str; FIELDS] =
    ["field0", "field1", "field2", "field3", "field4", "field5", "field6", "field7", "field8", "field9"];

/// A field: printable ASCII.
pub(crate) type Field = [u8; FIELD_LEN];

/// All fields of a record, as stores of keys and values keep them: one behind the other.
pub(crate) type Fields = [Field; FIELDS];

/// The hash by which YCSB scatters keys and popular records: that of Fowler, Noll and Vo (FNV-1a, 64 bits) over the eight bytes of a
/// number, the least significant one first, and without its sign.
#[inline]
pub(crate) fn hash(number: u64) -> u64 {
    fnv(&number.to_le_bytes()).cast_signed().unsigned_abs()
}

/// Fowler, Noll, Vo, Eastlake: The FNV non-cryptographic hash algorithm (2012), FNV-1a with 64 bits.
#[inline]
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A key: `user` and the decimal digits of the [`hash`] of the record's number, as YCSB makes it by default (`insertorder=hashed`).
/// Ordered as text is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    /// Zeros follow the text.
    bytes: [u8; 23],
    len: u8,
}

impl Key {
    /// The key of a record.
    #[inline]
    pub(crate) fn of(number: u64) -> Self {
        let hash = hash(number);
        let digits = hash.checked_ilog10().unwrap_or(0) as usize + 1;
        let (mut bytes, mut rest) = ([0; 23], hash);
        bytes[..4].copy_from_slice(b"user");
        for digit in bytes[4..4 + digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Self { bytes, len: 4 + digits as u8 }
    }

    /// Its bytes.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }

    /// The text.
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("it is made of ASCII")
    }
}

/// What a field of a record holds: version 0 as it is loaded or inserted, and others after updates.
#[inline]
pub(crate) fn field(number: u64, field: usize, version: u64) -> Field {
    let seed = mix(mix(number ^ (field as u64 + 1) << 56) ^ version);
    let mut value = [0; FIELD_LEN];
    for (index, bytes) in value.chunks_mut(8).enumerate() {
        // Six random bits in each byte, from the space on.
        let word = (mix(seed.wrapping_add(index as u64)) & 0x3F3F_3F3F_3F3F_3F3F) + 0x2020_2020_2020_2020;
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
    }
    value
}

/// All fields of a record as it is loaded or inserted.
#[inline]
pub(crate) fn fields(number: u64) -> Fields {
    std::array::from_fn(|index| field(number, index, 0))
}

/// Records 0 to `count` - 1 in the order of their keys.
pub(crate) fn in_order_of_keys(count: u64) -> Vec<(Key, u64)> {
    let mut keys: Vec<(Key, u64)> = (0..count).map(|number| (Key::of(number), number)).collect();
    keys.sort_unstable();
    keys
}

/// What reading a field gives: a number that every byte counts for.
#[inline]
pub(crate) fn fold_field(value: &[u8]) -> u64 {
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let start = u64::from_le_bytes(last) ^ (value.len() as u64) << 56;
    words.iter().fold(start, |sum, word| sum.rotate_left(7) ^ u64::from_le_bytes(*word))
}

/// What reading a record gives, of what its fields give in their order.
#[inline]
pub(crate) fn fold_fields(folds: impl IntoIterator<Item = u64>) -> u64 {
    folds.into_iter().fold(0, append)
}

/// Adds a number to a checksum to which the order of numbers makes a difference.
#[inline]
pub(crate) const fn append(sum: u64, number: u64) -> u64 {
    sum.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_hash_is_fnv_1a() {
        // The published values of three texts.
        assert_eq!(fnv(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn keys_are_those_of_ycsb() {
        // The first three that its load phase inserts.
        let keys = [0, 1, 2].map(|number| Key::of(number).as_str().to_owned());
        assert_eq!(keys, ["user6284781860667377211", "user8517097267634966620", "user1820151046732198393"]);
    }

    #[test]
    fn keys_are_all_distinct_and_ordered_as_text_is() {
        let keys = in_order_of_keys(10_000);
        assert!(keys.windows(2).all(|pair| pair[0].0.as_str() < pair[1].0.as_str()));
        let numbers: HashSet<u64> = keys.iter().map(|&(_, number)| number).collect();
        assert_eq!(numbers, (0..10_000).collect::<HashSet<_>>());
        assert!(keys.iter().all(|&(key, number)| key.as_str() == format!("user{}", hash(number))));
    }

    #[test]
    fn fields_are_printable_and_another_one_for_each_number_field_and_version() {
        let mut values = HashSet::new();
        for number in 0..20 {
            for index in 0..FIELDS {
                for version in 0..20 {
                    let value = field(number, index, version);
                    assert!(value.iter().all(|byte| (b' '..=b'_').contains(byte)));
                    assert!(values.insert(value), "record {number}, field {index}, version {version}");
                }
            }
        }
        assert_eq!(fields(3)[7], field(3, 7, 0));
    }

    #[test]
    fn every_byte_counts() {
        let value = field(1, 2, 3);
        let fold = fold_field(&value);
        for index in 0..FIELD_LEN {
            let mut other = value;
            other[index] ^= 1;
            assert_ne!(fold_field(&other), fold, "byte {index}");
        }
        assert_ne!(fold_field(&value[..99]), fold);
        assert_ne!(fold_fields([1, 2]), fold_fields([2, 1]));
    }
}
