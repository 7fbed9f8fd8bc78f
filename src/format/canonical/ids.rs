//! Value ids: numbers from 1 by first occurrence, without a copy of any value.

use super::encode::Form;
use super::{WriteError, inconsistent};
use crate::format::value::hash;
use crate::model::{Slot, ValueRef};
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::io;

/// The ids of the distinct values of one column. Values are compared with the cell of the slot where they first occurred.
pub(super) struct Ids {
    /// Chosen anew for each table, so that nobody can prepare values that collide. Ids do not depend on it.
    seed: u64,
    table: HashTable<Entry>,
    /// The slot where each value first occurred, by id - 1.
    firsts: Vec<u32>,
}

struct Entry {
    /// Half of the hash: grows the table, and spares most comparisons, without reading cells again.
    hash: u32,
    id: u32,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { seed: RandomState::new().hash_one(0u8), table: HashTable::new(), firsts: Vec::new() }
    }

    /// The id of the value at `slot`, and how to write it if it is new. `read` gives the value at an earlier slot.
    pub(super) fn assign<'a, E>(
        &mut self,
        slot: Slot,
        value: ValueRef<'_>,
        read: impl Fn(Slot) -> Result<Option<ValueRef<'a>>, E>,
    ) -> Result<(u32, Option<Form>), WriteError<E>> {
        let integer = python_integer(value);
        // Values that Python calls equal meet in one place of the table.
        let hash = half(hash(integer.map_or(value, ValueRef::Int), self.seed));
        let mut form = Form::Plain;
        let mut failed = None;
        let firsts = &self.firsts;
        let found = self.table.find(spread(hash), |entry| {
            if entry.hash != hash {
                return false;
            }
            let first = usize::try_from(entry.id).ok().and_then(|id| firsts.get(id.checked_sub(1)?));
            let other = match first.map(|&first| read(Slot(first))) {
                Some(Ok(Some(other))) => other,
                Some(Err(error)) => {
                    failed = Some(WriteError::Source(error));
                    return true;
                }
                Some(Ok(None)) | None => {
                    failed = Some(inconsistent("the database changed while it was read"));
                    return true;
                }
            };
            if other == value {
                return true;
            }
            if integer.is_some() && python_integer(other) == integer {
                form = Form::Wrapped;
            }
            false
        });
        match (failed, found) {
            (Some(error), _) => Err(error),
            (None, Some(entry)) => Ok((entry.id, None)),
            (None, None) => {
                let id = u32::try_from(self.firsts.len()).ok().and_then(|len| len.checked_add(1));
                let id = id.ok_or_else(|| inconsistent("more than 2^32 - 1 values in one dimension"))?;
                let grown = |entry: &Entry| spread(entry.hash);
                let no_memory = |_| WriteError::Io(io::ErrorKind::OutOfMemory.into());
                self.table.try_reserve(1, grown).map_err(no_memory)?;
                self.firsts.try_reserve(1).map_err(|_| WriteError::Io(io::ErrorKind::OutOfMemory.into()))?;
                self.table.insert_unique(spread(hash), Entry { hash, id }, grown);
                self.firsts.push(slot.0);
                Ok((id, Some(form)))
            }
        }
    }
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
const fn half(hash: u64) -> u32 {
    hash as u32
}

/// A table wants well mixed bits at both ends (2^64 divided by the golden ratio, which is odd: nothing collides anew).
const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The integer that Python calls equal to a value, where it can also meet it: `1` for `1`, `true` and `1.0`. Integers outside
/// of 64 bits travel as ext values and equal no number.
pub(super) fn python_integer(value: ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::Bool(bool) => Some(i128::from(bool)),
        ValueRef::Int(int) if i64::try_from(int).is_ok() || u64::try_from(int).is_ok() => Some(int),
        ValueRef::Float(float) if (-TWO_POW_63..TWO_POW_64).contains(&float) && float.trunc() == float =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number within 65 bits")]
            Some(float as i128)
        }
        _ => None,
    }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;

/// How often each id occurs.
#[derive(Default)]
pub(super) struct Counts(Vec<u32>);

impl Counts {
    /// Counts one occurrence. New ids come in order.
    pub(super) fn add(&mut self, id: u32) {
        let index = usize::try_from(id).unwrap_or(usize::MAX).saturating_sub(1);
        match self.0.get_mut(index) {
            Some(count) => *count = count.saturating_add(1),
            None => self.0.push(1),
        }
    }

    /// Ids and counts, in the order of ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        (1u32..).zip(self.0.iter().copied())
    }
}
