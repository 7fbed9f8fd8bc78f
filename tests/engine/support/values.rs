//! Random keys and values: every type, the twins that only strict types tell apart, and the sizes where layouts change.

use super::random::Random;
use vector_datalib::{Timestamp, Value};

/// Characters of one to four bytes.
const CHARACTERS: [char; 4] = ['a', 'é', '€', '😀'];
/// Lengths in bytes around the ones where a heap entry stops fitting into a checksum block, or into two.
const LONG: [usize; 3] = [65_536, 131_072, 196_608];

/// Integers at the edges of the types that hold them.
const INTEGERS: [i128; 16] = [
    0,
    1,
    -1,
    255,
    256,
    i32::MAX as i128,
    i64::MAX as i128,
    i64::MIN as i128,
    i64::MAX as i128 + 1,
    u64::MAX as i128,
    u64::MAX as i128 - 1,
    1 << 53,
    (1 << 53) + 1,
    -32,
    -33,
    65_535,
];

const FLOATS: [f64; 10] =
    [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, 9_007_199_254_740_992.0, 0.1];

pub(crate) fn float(random: &mut Random) -> f64 {
    match random.below(6) {
        0 => f64::NAN,
        // Another NaN, with a payload, of either sign.
        1 => f64::from_bits(0x7FF8_0000_0000_0001 | (random.next() & 0x8000_0000_0000_000F)),
        2 => f64::from_bits(random.next()),
        _ => *random.pick(&FLOATS),
    }
}

pub(crate) fn text(random: &mut Random) -> String {
    match random.below(8) {
        0 => String::new(),
        1 => "1".to_owned(),
        // Around the lengths where the prefix of a heap entry grows.
        2 => "x".repeat(random.within(120..128)),
        _ => (0..random.below(12)).map(|_| *random.pick(&CHARACTERS)).collect(),
    }
}

/// Text of more than a checksum block, with characters across the boundary.
pub(crate) fn long_text(random: &mut Random) -> String {
    let len = *random.pick(&LONG) + random.below(16) - 8;
    let character = *random.pick(&CHARACTERS);
    let mut text = "a".repeat(random.below(9));
    let rest = (len - text.len()) / character.len_utf8();
    text.extend(std::iter::repeat_n(character, rest));
    text.push_str(&random.below(4).to_string());
    text
}

pub(crate) fn bytes(random: &mut Random) -> Vec<u8> {
    let len = if random.one_in(10) { random.below(300) } else { random.below(10) };
    (0..len).map(|_| random.next() as u8).collect()
}

pub(crate) fn timestamp(random: &mut Random) -> Timestamp {
    let seconds = match random.below(5) {
        0 => random.below(3) as i64,
        1 => -1,
        2 => 1 << 34,
        3 => i64::from(u32::MAX),
        _ => (random.next() as i64) >> random.below(40),
    };
    let nanoseconds = *random.pick(&[0, 0, 1, 999_999_999]);
    Timestamp::new(seconds, nanoseconds).expect("below a second")
}

fn ext(random: &mut Random) -> Value {
    let code = *random.pick(&[0x56, -1, -2, 0, 1, 127, -128]);
    Value::ext(code, bytes(random))
}

/// An integer that a key can be.
pub(crate) fn integer(random: &mut Random) -> i128 {
    match random.below(4) {
        0 => i128::from(random.next() as i64),
        1 => random.below(20) as i128,
        _ => *random.pick(&INTEGERS),
    }
}

/// An integer of any size.
fn big_integer(random: &mut Random) -> Value {
    match random.below(4) {
        0 => Value::from(i128::from(i64::MIN) - 1),
        1 => Value::from(u128::MAX - (random.next() & 1) as u128),
        2 => Value::from(*random.pick(&[i128::MAX, i128::MIN])),
        _ => Value::big_int(random.one_in(2), &vec![random.next() as u8 | 1; random.within(1..40)]),
    }
}

/// What a key can be, other than long.
pub(crate) fn key(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth < 3 { 12 } else { 10 }) {
        0 | 1 => Value::from(text(random)),
        2..=4 => Value::Int(integer(random)),
        5 => Value::from(float(random)),
        6 => Value::from(random.one_in(2)),
        7 => Value::from(bytes(random)),
        8 => Value::from(timestamp(random)),
        9 => ext(random),
        _ => Value::Array((0..random.below(4)).map(|_| key(random, depth + 1)).collect()),
    }
}

/// Any value, other than long.
pub(crate) fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth < 3 { 10 } else { 7 }) {
        0 => Value::Null,
        1..=5 => key(random, depth),
        6 => big_integer(random),
        7 => Value::Array((0..random.below(4)).map(|_| value(random, depth + 1)).collect()),
        8 => Value::Array(vec![value(random, depth + 1); random.within(14..18)]),
        _ => Value::Map((0..random.below(4)).map(|_| (value(random, depth + 1), value(random, depth + 1))).collect()),
    }
}

/// Values as one column has them: what decides its encoding.
#[derive(Clone, Debug)]
pub(crate) enum Flavor {
    /// Always this one.
    Exactly(Value),
    /// What a function makes of random bits.
    Numbered(fn(u64) -> Value),
    /// One of these.
    Few(Vec<Value>),
    /// Integers from 0 up to this.
    Below(usize),
    Signed,
    /// Integers that mostly need the 64th bit.
    Unsigned,
    /// Negative ones and ones that need the 64th bit.
    BothEnds,
    Floats,
    Texts,
    Any,
    /// Mostly short, sometimes longer than a checksum block.
    Long,
}

impl Flavor {
    pub(crate) fn new(random: &mut Random, long: bool) -> Self {
        match random.below(if long { 14 } else { 12 }) {
            0 => Self::Few(vec![value(random, 0)]),
            1 | 2 => Self::Few((0..random.within(2..7)).map(|_| value(random, 0)).collect()),
            3 => Self::Below(*random.pick(&[3, 255, 256, 257, 1000])),
            4 => Self::Signed,
            5 => Self::Unsigned,
            6 => Self::BothEnds,
            7 => Self::Floats,
            8 | 9 => Self::Texts,
            10 | 11 => Self::Any,
            _ => Self::Long,
        }
    }

    pub(crate) fn value(&self, random: &mut Random) -> Value {
        match self {
            Self::Exactly(value) => value.clone(),
            Self::Numbered(make) => make(random.next()),
            Self::Few(values) => random.pick(values).clone(),
            Self::Below(count) => Value::from(random.below(*count) as u64),
            Self::Signed => Value::from(random.next() as i64),
            Self::Unsigned => Value::from(random.next() >> random.below(2)),
            Self::BothEnds => match random.below(2) {
                0 => Value::from(i64::MIN >> random.below(63)),
                _ => Value::from(u64::MAX - random.below(5) as u64),
            },
            Self::Floats => Value::from(float(random)),
            Self::Texts => Value::from(format!("{}{}", text(random), random.below(1000))),
            Self::Any => value(random, 0),
            Self::Long => match random.below(40) {
                0..=2 => Value::from(long_text(random)),
                3 => Value::from(vec![random.next() as u8; *random.pick(&LONG) - random.below(9)]),
                4 => Value::Array(vec![Value::from(long_text(random)), Value::Null]),
                _ => Value::from(text(random)),
            },
        }
    }
}
