//! Lookups that are compiled for one way to store keys, one index and one encoding of values.
//!
//! A processor overlaps as many lookups as it can keep instructions waiting, a few hundred. So their number in each lookup decides how many
//! lookups wait for memory at the same time: choices that are the same for each are made once, when a dimension is taken from a snapshot.

use super::direct::{DirectColumn, DirectKeys};
use super::direct_axis::{Buckets, Index, KeyTable, Keys, SlotIndex};
use super::direct_column::Values;
use super::lookup::{AxisReader, DimensionReader, PlainKey};
use super::perfect_hash::VerifiedPerfectHash;
use super::plain_cells::{DictionaryCells, FloatCells, IntegerCells, PlainCells, TextCells};
use super::stored_keys::{IntegerKeys, StoredKeys, TextKeys};
use crate::error::Result;
use crate::model::{KeyRef, ValueRef};
use std::fmt;

type LookupInteger =
    for<'d, 'x, 'a> fn(&'d DimensionReader<'a>, &'x AxisReader<'a>, i128) -> Result<Option<ValueRef<'a>>>;
type LookupText =
    for<'d, 'x, 'a, 'k> fn(&'d DimensionReader<'a>, &'x AxisReader<'a>, &'k str) -> Result<Option<ValueRef<'a>>>;

/// The functions that look up the keys of an axis and read the values of a dimension. They are only for the readers that they were chosen for.
#[derive(Clone, Copy)]
pub(crate) struct TypedLookup {
    integer: LookupInteger,
    text: LookupText,
}

impl fmt::Debug for TypedLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedLookup").finish_non_exhaustive()
    }
}

impl TypedLookup {
    /// Chooses what fits readers.
    pub(crate) fn new(axis: &AxisReader<'_>, dimension: &DimensionReader<'_>) -> Self {
        let any = Self { integer: lookup_any_integer, text: lookup_any_text };
        let (Some(keys), Some(column)) = (&axis.direct, &dimension.direct) else { return any };
        if keys.table.has_free_slots() {
            return any;
        }
        let (index, values) = (&keys.table.index, &column.values);
        match &keys.table.keys {
            Keys::Unsigned(_) => Self { integer: integer_by_index::<Unsigned>(index, values), ..any },
            Keys::Signed(_) => Self { integer: integer_by_index::<Signed>(index, values), ..any },
            Keys::Text(_) => Self { text: text_by_index(index, values), ..any },
            Keys::Dense { .. } | Keys::Floats(_) | Keys::Tagged(_) => any,
        }
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn lookup<'a>(
        &self,
        dimension: &DimensionReader<'a>,
        axis: &AxisReader<'a>,
        key: KeyRef<'_>,
    ) -> Result<Option<ValueRef<'a>>> {
        match key.value() {
            ValueRef::Int(int) => (self.integer)(dimension, axis, int),
            ValueRef::Text(text) => (self.text)(dimension, axis, text),
            _ => dimension.lookup(axis, key),
        }
    }
}

fn lookup_any_integer<'a>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    int: i128,
) -> Result<Option<ValueRef<'a>>> {
    dimension.lookup_plain(axis, int)
}

fn lookup_any_text<'a>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    text: &str,
) -> Result<Option<ValueRef<'a>>> {
    dimension.lookup_plain(axis, text)
}

fn integer_by_index<K: KeyKind>(index: &Index<'_>, values: &Values<'_>) -> LookupInteger {
    match index {
        Index::Buckets(_) => integer_by_values::<K, InBuckets>(values),
        Index::Perfect(_) => integer_by_values::<K, ByPerfectHash>(values),
    }
}

fn integer_by_values<K: KeyKind, X: IndexKind>(values: &Values<'_>) -> LookupInteger {
    match values {
        Values::I64(_) => lookup::<K, X, Integers<true>, i128>,
        Values::U64(_) => lookup::<K, X, Integers<false>, i128>,
        Values::F64(_) => lookup::<K, X, Floats, i128>,
        Values::Text(..) => lookup::<K, X, Texts, i128>,
        Values::Dictionary8(..) => lookup::<K, X, Dictionary8, i128>,
        Values::Dictionary16(..) => lookup::<K, X, Dictionary16, i128>,
        Values::None | Values::Tagged(..) | Values::Segments(_) => lookup_any_integer,
    }
}

fn text_by_index(index: &Index<'_>, values: &Values<'_>) -> LookupText {
    match index {
        Index::Buckets(_) => text_by_values::<InBuckets>(values),
        Index::Perfect(_) => text_by_values::<ByPerfectHash>(values),
    }
}

fn text_by_values<X: IndexKind>(values: &Values<'_>) -> LookupText {
    match values {
        Values::I64(_) => lookup_text::<X, Integers<true>>,
        Values::U64(_) => lookup_text::<X, Integers<false>>,
        Values::F64(_) => lookup_text::<X, Floats>,
        Values::Text(..) => lookup_text::<X, Texts>,
        Values::Dictionary8(..) => lookup_text::<X, Dictionary8>,
        Values::Dictionary16(..) => lookup_text::<X, Dictionary16>,
        Values::None | Values::Tagged(..) | Values::Segments(_) => lookup_any_text,
    }
}

fn lookup_text<'a, X: IndexKind, V: ValueKind>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    text: &str,
) -> Result<Option<ValueRef<'a>>> {
    lookup::<AllText, X, V, &str>(dimension, axis, text)
}

/// The value of a key. What is not so simple is left to slower functions, which take what this one was called with: with a jump, so that
/// there is nothing to save.
#[inline(always)]
fn lookup<'a, K: KeyKind, X: IndexKind, V: ValueKind, P: PlainKey>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    key: P,
) -> Result<Option<ValueRef<'a>>> {
    if let Some((direct @ DirectKeys { table, changes }, keys)) = K::of(&axis.direct)
        && let Some(index) = X::of(&table.index)
        && let Some((column, values)) = V::of(&dimension.direct)
        && table.is_whole() & column.is_whole()
        && let Some(stored) = keys.of(key.as_key().value())
    {
        let is_there = match index.candidate::<true>(keys.hash(table.hasher, stored)) {
            Some(Some(slot)) => match keys.is_at::<true>(slot, stored) {
                Some(true) if changes.is_some() || !column.is_plain() => {
                    return lookup_changed::<V, P>(dimension, axis, key, slot);
                }
                Some(true) => match values.get(slot) {
                    Some(value) => return Ok(value),
                    None => None,
                },
                // There may be others with the same fingerprint.
                Some(false) if !X::Index::HAS_ONE_CANDIDATE => None,
                is_there => is_there,
            },
            Some(None) => Some(false),
            None if !X::Index::HAS_ONE_CANDIDATE => return lookup_further::<K, X, V, P>(dimension, axis, key),
            None => None,
        };
        if is_there == Some(false) {
            return if direct.has_all_keys() { Ok(None) } else { lookup_inserted(dimension, axis, key) };
        }
    }
    dimension.lookup_plain(axis, key)
}

/// The value of a key that is not in its own bucket, which passed keys on.
#[inline(never)]
fn lookup_further<'a, K: KeyKind, X: IndexKind, V: ValueKind, P: PlainKey>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    key: P,
) -> Result<Option<ValueRef<'a>>> {
    if let Some((DirectKeys { table, changes: None }, keys)) = K::of(&axis.direct)
        && let Some(index) = X::of(&table.index)
        && let Some((column, values)) = V::of(&dimension.direct)
        && column.is_plain()
        && let Some(stored) = keys.of(key.as_key().value())
        && let Some(found) =
            index.find::<true>(keys.hash(table.hasher, stored), |slot| keys.is_at::<true>(slot, stored))
    {
        match found {
            None => return Ok(None),
            Some(slot) => {
                if let Some(value) = values.get(slot) {
                    return Ok(value);
                }
            }
        }
    }
    dimension.lookup_plain(axis, key)
}

/// The value of a key that was at a slot when the base files were written.
#[inline(never)]
fn lookup_changed<'a, V: ValueKind, P: PlainKey>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    key: P,
    slot: u32,
) -> Result<Option<ValueRef<'a>>> {
    if let (Some(keys), Some((column, values))) = (&axis.direct, V::of(&dimension.direct))
        && column.is_untouched(keys, slot)
        && let Some(value) = values.get(slot)
    {
        return Ok(value);
    }
    dimension.lookup_at(axis, key, slot)
}

/// The value of a key that is not in the base files.
#[inline(never)]
fn lookup_inserted<'a, P: PlainKey>(
    dimension: &DimensionReader<'a>,
    axis: &AxisReader<'a>,
    key: P,
) -> Result<Option<ValueRef<'a>>> {
    match &axis.direct {
        Some(keys) if !keys.may_have_key(|| key.as_key()) => Ok(None),
        _ => dimension.lookup_plain(axis, key),
    }
}

/// A way to store keys, known at compile time.
trait KeyKind {
    type Stored<'a>: StoredKeys;

    fn of<'t, 'a>(direct: &'t Option<DirectKeys<'a>>) -> Option<(&'t DirectKeys<'a>, &'t Self::Stored<'a>)>;
}

struct Unsigned;

impl KeyKind for Unsigned {
    type Stored<'a> = IntegerKeys<'a, false>;

    #[inline(always)]
    fn of<'t, 'a>(direct: &'t Option<DirectKeys<'a>>) -> Option<(&'t DirectKeys<'a>, &'t Self::Stored<'a>)> {
        match direct {
            Some(direct @ DirectKeys { table: KeyTable { keys: Keys::Unsigned(keys), .. }, .. }) => {
                Some((direct, keys))
            }
            _ => None,
        }
    }
}

struct Signed;

impl KeyKind for Signed {
    type Stored<'a> = IntegerKeys<'a, true>;

    #[inline(always)]
    fn of<'t, 'a>(direct: &'t Option<DirectKeys<'a>>) -> Option<(&'t DirectKeys<'a>, &'t Self::Stored<'a>)> {
        match direct {
            Some(direct @ DirectKeys { table: KeyTable { keys: Keys::Signed(keys), .. }, .. }) => Some((direct, keys)),
            _ => None,
        }
    }
}

struct AllText;

impl KeyKind for AllText {
    type Stored<'a> = TextKeys<'a>;

    #[inline(always)]
    fn of<'t, 'a>(direct: &'t Option<DirectKeys<'a>>) -> Option<(&'t DirectKeys<'a>, &'t Self::Stored<'a>)> {
        match direct {
            Some(direct @ DirectKeys { table: KeyTable { keys: Keys::Text(keys), .. }, .. }) => Some((direct, keys)),
            _ => None,
        }
    }
}

/// An index, known at compile time.
trait IndexKind {
    type Index<'a>: SlotIndex;

    fn of<'t, 'a>(index: &'t Index<'a>) -> Option<&'t Self::Index<'a>>;
}

struct InBuckets;

impl IndexKind for InBuckets {
    type Index<'a> = Buckets<'a>;

    #[inline(always)]
    fn of<'t, 'a>(index: &'t Index<'a>) -> Option<&'t Self::Index<'a>> {
        if let Index::Buckets(buckets) = index { Some(buckets) } else { None }
    }
}

struct ByPerfectHash;

impl IndexKind for ByPerfectHash {
    type Index<'a> = VerifiedPerfectHash<'a>;

    #[inline(always)]
    fn of<'t, 'a>(index: &'t Index<'a>) -> Option<&'t Self::Index<'a>> {
        if let Index::Perfect(perfect_hash) = index { Some(perfect_hash) } else { None }
    }
}

/// An encoding of values, known at compile time.
trait ValueKind {
    fn of<'t, 'a: 't>(direct: &'t Option<DirectColumn<'a>>) -> Option<(&'t DirectColumn<'a>, impl PlainCells<'a>)>;
}

struct Floats;

impl ValueKind for Floats {
    #[inline(always)]
    fn of<'t, 'a: 't>(direct: &'t Option<DirectColumn<'a>>) -> Option<(&'t DirectColumn<'a>, impl PlainCells<'a>)> {
        match direct {
            Some(column @ DirectColumn { values: Values::F64(cells), .. }) => Some((column, FloatCells(cells))),
            _ => None,
        }
    }
}

struct Integers<const SIGNED: bool>;

impl<const SIGNED: bool> ValueKind for Integers<SIGNED> {
    #[inline(always)]
    fn of<'t, 'a: 't>(direct: &'t Option<DirectColumn<'a>>) -> Option<(&'t DirectColumn<'a>, impl PlainCells<'a>)> {
        match direct {
            Some(column @ DirectColumn { values: Values::I64(cells), .. }) if SIGNED => {
                Some((column, IntegerCells::<SIGNED>(cells)))
            }
            Some(column @ DirectColumn { values: Values::U64(cells), .. }) if !SIGNED => {
                Some((column, IntegerCells::<SIGNED>(cells)))
            }
            _ => None,
        }
    }
}

struct Texts;

impl ValueKind for Texts {
    #[inline(always)]
    fn of<'t, 'a: 't>(direct: &'t Option<DirectColumn<'a>>) -> Option<(&'t DirectColumn<'a>, impl PlainCells<'a>)> {
        match direct {
            Some(column @ DirectColumn { values: Values::Text(cells, heap), .. }) => {
                Some((column, TextCells(cells, heap)))
            }
            _ => None,
        }
    }
}

struct Dictionary8;

impl ValueKind for Dictionary8 {
    #[inline(always)]
    fn of<'t, 'a: 't>(direct: &'t Option<DirectColumn<'a>>) -> Option<(&'t DirectColumn<'a>, impl PlainCells<'a>)> {
        match direct {
            Some(column @ DirectColumn { values: Values::Dictionary8(cells, dictionary), .. }) => {
                Some((column, DictionaryCells(cells, dictionary)))
            }
            _ => None,
        }
    }
}

struct Dictionary16;

impl ValueKind for Dictionary16 {
    #[inline(always)]
    fn of<'t, 'a: 't>(direct: &'t Option<DirectColumn<'a>>) -> Option<(&'t DirectColumn<'a>, impl PlainCells<'a>)> {
        match direct {
            Some(column @ DirectColumn { values: Values::Dictionary16(cells, dictionary), .. }) => {
                Some((column, DictionaryCells(cells, dictionary)))
            }
            _ => None,
        }
    }
}
