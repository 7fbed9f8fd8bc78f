//! The records that every engine is given: functions of their number, so that nothing has to be kept to check an answer.
//!
//! Record `i` of `n` has a key that ascends with `i`, an age (100 values), a city (1,000), a name (0.43 `n` distinct ones) and a score
//! (all distinct). 8 bytes of key and, on average, 39 of values.

use crate::wide::Shape;
use std::ops::Deref;

/// The number of cities.
pub(crate) const CITIES: u64 = 1000;

/// Names are drawn from 0.496 `n`, of which 0.496 (1 - exp(-1 / 0.496)) = 0.43 `n` are drawn at least once.
const NAMES_PER_THOUSAND: u64 = 496;

/// The finalizer of splitmix64: a bijection on 64-bit numbers that looks random.
///
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014), with Stafford's variant 13 of the constants.
#[inline]
pub(crate) const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Scales a random 64-bit number to one below `bound`.
#[inline]
pub(crate) const fn below(random: u64, bound: u64) -> u64 {
    ((random as u128 * bound as u128) >> 64) as u64
}

/// Text of up to 24 bytes, in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Text {
    bytes: [u8; 24],
    len: u8,
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len.into()]).expect("it is made of ASCII")
    }
}

/// The attributes of a record.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Record {
    /// 0 to 99.
    pub(crate) age: u8,
    /// 6 to 14 bytes, one of [`CITIES`].
    pub(crate) city: Text,
    /// 12 to 24 bytes.
    pub(crate) name: Text,
    /// Another one for each record.
    pub(crate) score: f64,
}

/// The records 0 to `count` - 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    /// How many.
    pub(crate) count: u64,
    /// Of 10,000 records, so many have other attributes than they were loaded with.
    pub(crate) changed: u64,
    /// The attributes that they have.
    pub(crate) shape: Shape,
}

impl Records {
    /// Records as they are loaded.
    pub(crate) const fn new(count: u64) -> Self {
        Self { count, changed: 0, shape: Shape::Four }
    }

    /// Whether a record has other attributes than it was loaded with.
    #[inline]
    pub(crate) fn is_changed(self, number: u64) -> bool {
        self.changed > 0 && below(mix(number ^ 0xC4A6 << 48), 10_000) < self.changed
    }

    /// The number that a record's attributes are made of: another one once they were changed.
    #[inline]
    fn source(self, number: u64) -> u64 {
        if self.is_changed(number) { number | 1 << 40 } else { number }
    }

    /// The attributes of a record.
    #[inline]
    pub(crate) fn get(self, number: u64) -> Record {
        Record { age: self.age(number), city: self.city(number), name: self.name(number), score: self.score(number) }
    }

    /// The age of a record.
    #[inline]
    pub(crate) fn age(self, number: u64) -> u8 {
        below(mix(self.source(number) ^ 0xA6E0 << 48), 100) as u8
    }

    /// The number of a record's city.
    #[inline]
    pub(crate) fn city_number(self, number: u64) -> u64 {
        below(mix(self.source(number) ^ 0xC171 << 48), CITIES)
    }

    /// The city of a record.
    #[inline]
    pub(crate) fn city(self, number: u64) -> Text {
        city(self.city_number(number))
    }

    /// The name of a record.
    #[inline]
    pub(crate) fn name(self, number: u64) -> Text {
        let names = (self.count * NAMES_PER_THOUSAND / 1000).max(1);
        name(below(mix(self.source(number) ^ 0x3A3E << 48), names))
    }

    /// The score of a record: a number of 53 random bits with 20 of them behind the point, and never the same one twice.
    #[inline]
    pub(crate) fn score(self, number: u64) -> f64 {
        const MASK: u64 = (1 << 53) - 1;
        let mut bits = self.source(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) & MASK;
        bits ^= bits >> 27;
        bits = bits.wrapping_mul(0xBF58_476D_1CE4_E5B9) & MASK;
        bits ^= bits >> 29;
        bits as f64 / (1u64 << 20) as f64
    }
}

/// A city by its number.
pub(crate) fn city(number: u64) -> Text {
    const KINDS: [&str; 9] = ["c", "to", "inn", "city", "haven", "bridge", "village", "crossing", "riverside"];
    let kind = KINDS[number as usize % KINDS.len()].as_bytes();
    let mut bytes = [0; 24];
    bytes[..kind.len()].copy_from_slice(kind);
    bytes[kind.len()] = b'-';
    for (place, digit) in bytes[kind.len() + 1..][..4].iter_mut().zip([1000, 100, 10, 1]) {
        *place = b'0' + (number / digit % 10) as u8;
    }
    Text { bytes, len: kind.len() as u8 + 5 }
}

/// A name by its number.
fn name(number: u64) -> Text {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz .-'AE";
    let (first, second) = (mix(number), mix(number ^ 0x5EC0 << 48));
    let mut bytes = [0; 24];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let random = if index < 12 { first } else { second };
        *byte = LETTERS[(random >> (index % 12 * 5)) as usize % 32];
    }
    Text { bytes, len: 12 + below(mix(first), 13) as u8 }
}

/// A kind of key, and how it follows from the number of a record.
pub(crate) trait Key: Copy + Send + Sync + 'static {
    /// The key of a record.
    fn of(number: u64) -> Self;

    /// A key that no record has, near to that of a record.
    fn missing(number: u64) -> Self;
}

/// The kinds of keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum KeyKind {
    /// `u64`.
    Integer,
    /// Text of 20 bytes.
    Text,
}

impl KeyKind {
    /// What options and file names say.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Text => "text",
        }
    }
}

/// The integer key of a record: ascending, with 20 random bits at the end.
#[inline]
const fn integer_key(number: u64) -> u64 {
    (number << 20) | (mix(number ^ 0x0E70 << 48) >> 44)
}

impl Key for u64 {
    #[inline]
    fn of(number: u64) -> Self {
        integer_key(number)
    }

    #[inline]
    fn missing(number: u64) -> Self {
        integer_key(number) ^ 1
    }
}

/// A key of text: `user` and the 16 hexadecimal digits of the integer key, so that the order is the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct TextKey([u8; 20]);

impl TextKey {
    /// Writes 16 digits, eight at a time, by arithmetic on the bytes of a word.
    #[inline]
    fn from_integer(integer: u64) -> Self {
        let mut bytes = *b"user0000000000000000";
        bytes[4..12].copy_from_slice(&hexadecimal((integer >> 32) as u32));
        bytes[12..].copy_from_slice(&hexadecimal(integer as u32));
        Self(bytes)
    }

    /// The text.
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it is made of ASCII")
    }

    /// Its bytes.
    #[inline]
    pub(crate) const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

#[inline]
fn hexadecimal(number: u32) -> [u8; 8] {
    // Half a byte into each byte: first the 16 bits apart, then the bytes, then the halves.
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    // 1 in each byte whose digit is a letter.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (digits + 0x3030_3030_3030_3030 + letters * (b'a' - b'0' - 10) as u64).to_be_bytes()
}

impl Key for TextKey {
    #[inline]
    fn of(number: u64) -> Self {
        Self::from_integer(integer_key(number))
    }

    #[inline]
    fn missing(number: u64) -> Self {
        Self::from_integer(integer_key(number) ^ 1)
    }
}

/// The order in which records are loaded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Order {
    /// By key.
    Sorted,
    /// At random.
    Shuffled,
}

impl Order {
    /// What options and file names say.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sorted => "sorted",
            Self::Shuffled => "shuffled",
        }
    }

    /// The numbers of all records in this order.
    pub(crate) fn numbers(self, count: u64) -> impl Iterator<Item = u64> + Clone {
        let shuffle = Shuffle::new(count);
        (0..count).map(move |number| match self {
            Self::Sorted => number,
            Self::Shuffled => shuffle.place(number),
        })
    }
}

/// A permutation of 0 to `count` - 1 that takes no memory: a Feistel network on the next even number of bits, walked until it comes back
/// into the range.
///
/// Black, Rogaway: Ciphers with arbitrary finite domains (2002), section 4, "cycle-walking".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shuffle {
    count: u64,
    half_bits: u32,
}

impl Shuffle {
    /// A permutation of so many numbers.
    pub(crate) const fn new(count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self { count, half_bits: if bits < 2 { 1 } else { bits.div_ceil(2) } }
    }

    /// Where a number below `count` goes.
    #[inline]
    pub(crate) const fn place(self, number: u64) -> u64 {
        let mut place = self.round_trip(number);
        while place >= self.count {
            place = self.round_trip(place);
        }
        place
    }

    #[inline]
    const fn round_trip(self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        let mut round = 1;
        while round <= 4 {
            (left, right) = (right, left ^ (mix(right ^ round << 56) & mask));
            round += 1;
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn shuffling_is_a_permutation_of_any_number_of_records() {
        for count in [1, 2, 3, 7, 64, 1000, 4097] {
            let shuffled: Vec<u64> = Order::Shuffled.numbers(count).collect();
            let mut sorted = shuffled.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..count), "{count} records");
            assert!(count < 64 || shuffled != sorted, "{count} records stay in order");
        }
    }

    #[test]
    fn names_repeat_as_often_as_promised_and_scores_never() {
        let records = Records::new(100_000);
        let names: HashSet<Text> = (0..records.count).map(|number| records.name(number)).collect();
        assert!((42_500..43_500).contains(&names.len()), "{} distinct names", names.len());
        let scores: HashSet<u64> = (0..records.count).map(|number| records.score(number).to_bits()).collect();
        assert_eq!(scores.len() as u64, records.count);
    }

    #[test]
    fn as_many_records_are_changed_as_promised_and_their_attributes_differ() {
        let before = Records::new(100_000);
        let after = Records { changed: 1000, ..before };
        let changed: Vec<u64> = (0..before.count).filter(|&number| after.is_changed(number)).collect();
        assert!((9_500..10_500).contains(&changed.len()), "{} changed records", changed.len());
        assert!(changed.iter().all(|&number| before.score(number) != after.score(number)));
        let same = (0..before.count).filter(|&number| before.get(number) == after.get(number)).count();
        assert_eq!(same, 100_000 - changed.len());
    }

    #[test]
    fn texts_have_the_lengths_they_should_and_cities_are_all_used() {
        let records = Records::new(100_000);
        let mut cities = HashSet::new();
        for number in 0..records.count {
            let record = records.get(number);
            assert!((12..=24).contains(&record.name.len()) && (6..=14).contains(&record.city.len()), "{record:?}");
            assert!(record.age < 100);
            cities.insert(record.city);
        }
        assert_eq!(cities.len() as u64, CITIES);
    }

    #[test]
    fn keys_ascend_and_missing_ones_are_missing_in_either_kind() {
        let keys: Vec<u64> = (0..100_000).map(u64::of).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!((0..100_000).all(|number| keys.binary_search(&u64::missing(number)).is_err()));
        let texts: Vec<TextKey> = (0..100_000).map(TextKey::of).collect();
        assert!(texts.is_sorted_by(|a, b| a < b));
        assert!((0..100_000).all(|number| texts.binary_search(&TextKey::missing(number)).is_err()));
    }

    #[test]
    fn keys_of_text_are_the_digits_of_the_integer() {
        for number in [0, 1, 0x9876_5432, 0xABC_DEF0_1234] {
            assert_eq!(TextKey::of(number).as_str(), format!("user{:016x}", u64::of(number)));
        }
    }
}
