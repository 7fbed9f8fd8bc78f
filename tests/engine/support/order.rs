//! An order of values in which two are equal when the engine must hold them for the same: written down a second time,
//! so that the engine's own comparisons are not asked.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use vector_datalib::{Value, ValueRef};

/// A value as a key of an ordered map.
#[derive(Clone, Debug)]
pub(crate) struct Ordered<V>(pub(crate) V);

impl<V: Deref<Target = Value>> Ord for Ordered<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl<V: Deref<Target = Value>> PartialOrd for Ordered<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: Deref<Target = Value>> PartialEq for Ordered<V> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<V: Deref<Target = Value>> Eq for Ordered<V> {}

impl<V: Deref<Target = Value>> Hash for Ordered<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    type_of(value).hash(state);
    match value {
        // Rare: all are of one hash.
        Value::Null | Value::BigInt(_) => {}
        Value::Bool(bool) => bool.hash(state),
        Value::Int(int) => int.hash(state),
        Value::Float(float) => float.to_bits().hash(state),
        Value::Text(text) => text.hash(state),
        Value::Bytes(bytes) => bytes.hash(state),
        Value::Timestamp(time) => (time.seconds(), time.nanoseconds()).hash(state),
        Value::Ext(ext) => (ext.code(), ext.data()).hash(state),
        Value::Array(values) => values.iter().for_each(|value| hash(value, state)),
        Value::Map(pairs) => flat(pairs).into_iter().for_each(|value| hash(value, state)),
    }
}

fn type_of(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::BigInt(_) => 3,
        Value::Float(_) => 4,
        Value::Text(_) => 5,
        Value::Bytes(_) => 6,
        Value::Timestamp(_) => 7,
        Value::Ext(_) => 8,
        Value::Array(_) => 9,
        Value::Map(_) => 10,
    }
}

/// By type, then by content; floats by their bits.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::BigInt(a), Value::BigInt(b)) => {
            let parts = |big: &vector_datalib::BigInt| (big.as_ref().is_negative(), big.as_ref().magnitude().to_vec());
            parts(a).cmp(&parts(b))
        }
        (Value::Float(a), Value::Float(b)) => a.to_bits().cmp(&b.to_bits()),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => {
            (a.seconds(), a.nanoseconds()).cmp(&(b.seconds(), b.nanoseconds()))
        }
        (Value::Ext(a), Value::Ext(b)) => (a.code(), a.data()).cmp(&(b.code(), b.data())),
        (Value::Array(a), Value::Array(b)) => compare_all(&a.iter().collect::<Vec<_>>(), &b.iter().collect::<Vec<_>>()),
        (Value::Map(a), Value::Map(b)) => compare_all(&flat(a), &flat(b)),
        _ => type_of(a).cmp(&type_of(b)),
    }
}

fn flat(pairs: &[(Value, Value)]) -> Vec<&Value> {
    pairs.iter().flat_map(|(key, value)| [key, value]).collect()
}

fn compare_all(a: &[&Value], b: &[&Value]) -> Ordering {
    let first_different = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
    a.len().cmp(&b.len()).then(first_different.unwrap_or(Ordering::Equal))
}

/// Whether a value that was read is the one that was written.
pub(crate) fn same(read: ValueRef<'_>, written: &Value) -> bool {
    match (read, written) {
        (ValueRef::Text(a), Value::Text(b)) => a == b,
        (ValueRef::Bytes(a), Value::Bytes(b)) => a == b.as_slice(),
        (ValueRef::Int(a), Value::Int(b)) => a == *b,
        (ValueRef::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => read.to_value().is_ok_and(|read| compare(&read, written).is_eq()),
    }
}
