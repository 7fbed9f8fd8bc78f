//! Reading a canonical `.db` file with nothing but its specification, and comparing it with the model.

use super::plain::Contents;
use crate::support::order::{Ordered, compare};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use vector_datalib::Value;

/// VECTOR's own ext type, the letter V.
const EXT_VECTOR: i8 = 0x56;

/// MessagePack, with what the format wraps unwrapped.
struct Decoder<'a> {
    bytes: &'a [u8],
}

impl Decoder<'_> {
    fn take(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        taken.to_vec()
    }

    fn number(&mut self, len: usize) -> u64 {
        self.take(len).into_iter().fold(0, |number, byte| number << 8 | u64::from(byte))
    }

    fn text(&mut self, len: usize) -> Value {
        Value::Text(String::from_utf8(self.take(len)).unwrap())
    }

    fn array(&mut self, count: usize) -> Value {
        Value::Array((0..count).map(|_| self.value()).collect())
    }

    fn map(&mut self, count: usize) -> Value {
        Value::Map((0..count).map(|_| (self.value(), self.value())).collect())
    }

    fn ext(&mut self, len: usize) -> Value {
        let code = self.take(1)[0] as i8;
        let data = self.take(len);
        match (code, data.as_slice()) {
            (EXT_VECTOR, [0, rest @ ..]) => Value::ext(EXT_VECTOR, rest.to_vec()),
            (EXT_VECTOR, [1, sign, magnitude @ ..]) => Value::big_int(*sign == 1, magnitude),
            (EXT_VECTOR, [2 | 3, rest @ ..]) => decode(rest),
            (EXT_VECTOR, other) => panic!("VECTOR's ext type with data {other:02x?}"),
            _ => Value::ext(code, data),
        }
    }

    fn sized(&mut self, width: usize) -> usize {
        self.number(width) as usize
    }

    fn value(&mut self) -> Value {
        let marker = self.take(1)[0];
        match marker {
            0x00..=0x7F => Value::from(marker),
            0x80..=0x8F => self.map(usize::from(marker & 0x0F)),
            0x90..=0x9F => self.array(usize::from(marker & 0x0F)),
            0xA0..=0xBF => self.text(usize::from(marker & 0x1F)),
            0xC0 => Value::Null,
            0xC2 | 0xC3 => Value::from(marker == 0xC3),
            0xC4..=0xC6 => {
                let len = self.sized(1 << (marker - 0xC4));
                Value::from(self.take(len))
            }
            0xC7..=0xC9 => {
                let len = self.sized(1 << (marker - 0xC7));
                self.ext(len)
            }
            0xCB => Value::from(f64::from_bits(self.number(8))),
            0xCC..=0xCF => Value::from(self.number(1 << (marker - 0xCC))),
            0xD0 => Value::from(self.number(1) as i8),
            0xD1 => Value::from(self.number(2) as i16),
            0xD2 => Value::from(self.number(4) as i32),
            0xD3 => Value::from(self.number(8) as i64),
            0xD4..=0xD8 => self.ext(1 << (marker - 0xD4)),
            0xD9..=0xDB => {
                let len = self.sized(1 << (marker - 0xD9));
                self.text(len)
            }
            0xDC | 0xDD => {
                let count = self.sized(2 << (marker - 0xDC));
                self.array(count)
            }
            0xDE | 0xDF => {
                let count = self.sized(2 << (marker - 0xDE));
                self.map(count)
            }
            0xE0..=0xFF => Value::from(marker as i8),
            _ => panic!("marker {marker:#x} is not used"),
        }
    }
}

fn decode(bytes: &[u8]) -> Value {
    let mut decoder = Decoder { bytes };
    let value = decoder.value();
    assert!(decoder.bytes.is_empty(), "bytes behind the value");
    value
}

/// The values of a map whose keys are exactly these, in this order.
fn fields<const N: usize>(value: Value, names: [&str; N]) -> [Value; N] {
    let Value::Map(pairs) = value else { panic!("not a map") };
    assert!(pairs.iter().map(|(name, _)| name.as_str()).eq(names.map(Some)), "other fields than {names:?}");
    let values: Vec<Value> = pairs.into_iter().map(|(_, value)| value).collect();
    values.try_into().expect("as many values as names")
}

fn pairs(value: Value) -> Vec<(Value, Value)> {
    let Value::Map(pairs) = value else { panic!("not a map") };
    pairs
}

fn items(value: Value) -> Vec<Value> {
    let Value::Array(values) = value else { panic!("not an array") };
    values
}

fn check_equal(found: &Value, expected: &Value, what: &str) {
    assert!(compare(found, expected).is_eq(), "{what}");
}

/// Compares a file in full.
pub(crate) fn check_file(path: &Path, contents: &Contents) {
    let mut bytes = Vec::new();
    lz4_flex::frame::FrameDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    let [metadata, database] = fields(decode(&bytes), ["metadata", "database"]);
    let names = ["version", "created_at", "last_modified", "total_vector_points", "total_dimensions"];
    let [_, _, _, points, dimensions] = fields(metadata, names);
    check_equal(&points, &Value::from(contents.point_count()), "total_vector_points");
    check_equal(&dimensions, &Value::from(contents.dimensions.len() as u64), "total_dimensions");
    let [axis, spaces, mappings] = fields(database, ["central_axis", "dimensional_spaces", "coordinate_mappings"]);
    check_axis(axis, contents);
    let (spaces, mappings) = (pairs(spaces), pairs(mappings));
    assert_eq!((spaces.len(), mappings.len()), (contents.dimensions.len(), contents.dimensions.len()));
    for (number, ((space_name, space), (mapping_name, mapping))) in spaces.into_iter().zip(mappings).enumerate() {
        assert_eq!(space_name.as_str(), Some(&*contents.dimensions[number]));
        assert_eq!(mapping_name.as_str(), Some(&*contents.dimensions[number]));
        check_dimension(number, space, mapping, contents);
    }
}

fn check_axis(axis: Value, contents: &Contents) {
    let [points, map, free] = fields(axis, ["vector_points", "coordinate_map", "free_slots"]);
    let points = items(points);
    assert_eq!(points.len(), contents.slots.len(), "vector_points");
    for (slot, (found, expected)) in points.iter().zip(&contents.slots).enumerate() {
        let expected = expected.as_ref().map_or(&Value::Null, |point| &*point.key.value);
        check_equal(found, expected, &format!("vector_points[{slot}]"));
    }
    let of = |slot: u32, key: &Value| Value::Array(vec![key.clone(), Value::from(slot)]);
    let expected = contents.points().map(|(slot, point)| of(slot, &point.key.value)).collect();
    check_equal(&map, &Value::Array(expected), "coordinate_map");
    let slots = contents.slots.iter().enumerate().rev();
    let expected = slots.filter(|(_, point)| point.is_none()).map(|(slot, _)| Value::from(slot as u64)).collect();
    check_equal(&free, &Value::Array(expected), "free_slots");
}

fn check_dimension(number: usize, space: Value, mapping: Value, contents: &Contents) {
    let mut ids = BTreeMap::new();
    let (mut domain, mut coordinates, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, point) in contents.points() {
        let Some(value) = point.attributes.get(&number) else { continue };
        let next = ids.len() as u64 + 1;
        let id = *ids.entry(Ordered(&**value)).or_insert(next);
        if id == next {
            domain.push((Value::from(id), (**value).clone()));
            counts.push((id, 0u64));
        }
        counts[id as usize - 1].1 += 1;
        coordinates.push((Value::from(slot), Value::from(id)));
    }
    let [found_domain, next_id] = fields(space, ["value_domain", "next_id"]);
    check_equal(&found_domain, &Value::Map(domain), "value_domain");
    check_equal(&next_id, &Value::from(ids.len() as u64 + 1), "next_id");
    let [found_coordinates, found_counts] = fields(mapping, ["coordinate_to_value_id", "ref_counts"]);
    check_equal(&found_coordinates, &Value::Map(coordinates), "coordinate_to_value_id");
    let counts = counts.into_iter().map(|(id, count)| (Value::from(id), Value::from(count))).collect();
    check_equal(&found_counts, &Value::Map(counts), "ref_counts");
}
