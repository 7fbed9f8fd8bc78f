//! Choices read from the bytes of a fuzz input. Past the end all choices are zero.

use vector_datalib::{Key, Timestamp, Value};

/// Bytes that are being turned into choices.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

/// How deep made-up arrays and maps nest.
const DEPTH_MAX: u32 = 4;

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// At most `len` bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `count`, which is not zero.
    pub fn below(&mut self, count: usize) -> usize {
        if count <= 256 { usize::from(self.u8()) % count } else { usize::from(self.u16()) % count }
    }

    /// One time in `count`, and never past the end.
    pub fn one_in(&mut self, count: u8) -> bool {
        !self.is_empty() && self.u8() % count == count - 1
    }

    /// Text of up to 255 bytes; now and then long.
    pub fn text(&mut self) -> String {
        let len = usize::from(self.u8());
        let text = String::from_utf8_lossy(self.take(len)).into_owned();
        if len == 255 { text.repeat(300) } else { text }
    }

    fn blob(&mut self) -> Vec<u8> {
        let len = usize::from(self.u8());
        let bytes = self.take(len).to_vec();
        if len == 255 { bytes.repeat(300) } else { bytes }
    }

    fn timestamp(&mut self) -> Timestamp {
        let nanoseconds = u32::from_le_bytes(self.array()) % 1_000_000_000;
        Timestamp::new(self.u64().cast_signed(), nanoseconds).expect("the nanoseconds are below one second")
    }

    /// A value of any type.
    pub fn value(&mut self) -> Value {
        self.value_at(0)
    }

    fn value_at(&mut self, depth: u32) -> Value {
        match self.u8() % 16 {
            0 => Value::Null,
            1 => Value::from(self.u8() & 1 == 1),
            // Few different ones, so that dictionaries form.
            2 | 3 => Value::from(self.u8() % 8),
            4 => Value::from(self.u64().cast_signed()),
            5 => Value::from(self.u64()),
            6 => Value::Int(i128::from_le_bytes(self.array())),
            7 => {
                let negative = self.u8() & 1 == 1;
                Value::big_int(negative, &self.blob())
            }
            8 => Value::from(f64::from_bits(self.u64())),
            9 => Value::from(["", "a", "b", "naïve", "€uro", "😀"][self.below(6)]),
            10 => Value::from(self.text()),
            11 => Value::from(self.blob()),
            12 => Value::from(self.timestamp()),
            13 => {
                let code = i8::from_le_bytes(self.array());
                Value::ext(code, self.blob())
            }
            14 if depth < DEPTH_MAX => {
                let count = self.below(5);
                Value::Array((0..count).map(|_| self.value_at(depth + 1)).collect())
            }
            15 if depth < DEPTH_MAX => {
                let count = self.below(4);
                Value::Map((0..count).map(|_| (self.value_at(depth + 1), self.value_at(depth + 1))).collect())
            }
            _ => Value::from(self.u8()),
        }
    }

    /// A key: mostly one of a few.
    pub fn key(&mut self) -> Key {
        match self.u8() % 8 {
            0..=3 => Key::from(self.u8() % 24),
            4 => Key::from(["", "a", "b", "key", "naïve"][self.below(5)]),
            5 => [Key::from(f64::NAN), Key::from(0.0), Key::from(-0.0), Key::from(true), Key::from(1.0)][self.below(5)]
                .clone(),
            // What cannot be a key is replaced, so that the bytes behind it keep their meaning.
            _ => Key::try_from(self.value()).unwrap_or_else(|_| Key::from(self.u8())),
        }
    }

    /// The name of one of a few dimensions.
    pub fn name(&mut self) -> &'static str {
        ["y", "z", "", "../x", "naïve", "nul\0", "j", "k"][self.below(8)]
    }
}
