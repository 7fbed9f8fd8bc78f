//! What must be known before the first byte is written: counts, lengths, and who is wrapped.

use super::encode::{self, Form, key_and_slot, measure, uint, value};
use super::ids::{Counts, Ids, python_integer};
use super::{Progress, Source, WriteError, inconsistent};
use crate::model::{KeyRef, Slot, ValueRef};

/// The central axis, counted and measured.
#[derive(Default)]
pub(super) struct Axis {
    /// One above the last slot that has a key.
    pub(super) slots: u32,
    /// Slots that have a key.
    pub(super) live: u32,
    /// Bytes of the elements of `vector_points`, `coordinate_map` and `free_slots`.
    pub(super) points_len: u64,
    pub(super) map_len: u64,
    pub(super) free_len: u64,
    /// Slots whose key Python calls equal to that of a lower slot; ascending.
    wrapped: Vec<u32>,
}

impl Axis {
    pub(super) fn survey<S: Source>(source: &S, progress: &mut Progress<'_>) -> Result<Self, WriteError<S::Error>> {
        let mut axis = Self::default();
        // Integers alone differ from each other; it takes a boolean or a float for two keys to be equal to Python.
        if axis.measure(source, progress)? {
            let wrapped = wrapped_keys(source, progress)?;
            if !wrapped.is_empty() {
                axis = Self { wrapped, ..Self::default() };
                axis.measure(source, progress)?;
            }
        }
        progress.column()?;
        Ok(axis)
    }

    /// Fills in everything but `wrapped`; returns whether any key is a boolean or a whole float.
    fn measure<S: Source>(&mut self, source: &S, progress: &mut Progress<'_>) -> Result<bool, WriteError<S::Error>> {
        let mut suspicious = false;
        // Bytes of the tombstones since the last key: the ones after the very last are not written.
        let (mut nils_len, mut free_len) = (0u64, 0u64);
        for slot in (0..source.slot_count()).map(Slot) {
            progress.at(slot)?;
            let Some(key) = source.key(slot).map_err(WriteError::Source)?.map(KeyRef::value) else {
                nils_len = nils_len.saturating_add(measure(encode::nil)?);
                free_len = free_len.saturating_add(measure(|out| uint(out, u64::from(slot.0)))?);
                continue;
            };
            suspicious |= !matches!(key, ValueRef::Int(_)) && python_integer(key).is_some();
            let form = self.form(slot);
            self.slots = slot.0.saturating_add(1);
            self.live = self.live.saturating_add(1);
            self.points_len =
                self.points_len.saturating_add(nils_len).saturating_add(measure(|out| value(out, key, form))?);
            self.map_len = self.map_len.saturating_add(measure(|out| key_and_slot(out, key, form, slot))?);
            self.free_len = self.free_len.saturating_add(free_len);
            (nils_len, free_len) = (0, 0);
        }
        Ok(suspicious)
    }

    /// Tombstones before the last key.
    pub(super) fn free(&self) -> u32 {
        self.slots.saturating_sub(self.live)
    }

    /// How the key at a slot is written.
    pub(super) fn form(&self, slot: Slot) -> Form {
        form_of(&self.wrapped, slot.0)
    }
}

fn form_of(wrapped: &[u32], number: u32) -> Form {
    if wrapped.binary_search(&number).is_ok() { Form::Wrapped } else { Form::Plain }
}

/// The slots whose key Python calls equal to that of a lower slot.
fn wrapped_keys<S: Source>(source: &S, progress: &mut Progress<'_>) -> Result<Vec<u32>, WriteError<S::Error>> {
    let read = |slot| source.key(slot).map(|key| key.map(KeyRef::value));
    let mut ids = Ids::new();
    let mut wrapped = Vec::new();
    for slot in (0..source.slot_count()).map(Slot) {
        progress.at(slot)?;
        if let Some(key) = read(slot).map_err(WriteError::Source)?.filter(|&key| python_integer(key).is_some())
            && let (_, Some(Form::Wrapped)) = ids.assign(slot, key, read)?
        {
            wrapped.push(slot.0);
        }
    }
    Ok(wrapped)
}

/// A dimension, counted and measured.
#[derive(Default)]
pub(super) struct Column {
    /// Slots that have a value.
    pub(super) cells: u32,
    /// Distinct values.
    pub(super) values: u32,
    /// Bytes of the pairs of `value_domain`, `coordinate_to_value_id` and `ref_counts`.
    pub(super) domain_len: u64,
    pub(super) mapping_len: u64,
    pub(super) counts_len: u64,
    /// The ids, if they are few enough to keep.
    pub(super) kept: Option<Kept>,
}

/// The value ids of a dimension.
#[derive(Default)]
pub(super) struct Kept {
    /// Slots that have a value, with its id, in the order of slots.
    pairs: Vec<(u32, u32)>,
    /// The ids whose value Python calls equal to one with a lower id; ascending.
    wrapped: Vec<u32>,
}

impl Kept {
    fn len(&self) -> usize {
        size_of_val(&*self.pairs).saturating_add(size_of_val(&*self.wrapped))
    }
}

impl Column {
    pub(super) fn survey<S: Source>(
        source: &S,
        dimension: usize,
        kept_len_max: usize,
        progress: &mut Progress<'_>,
    ) -> Result<Self, WriteError<S::Error>> {
        let mut column = Self::default();
        let mut counts = Counts::default();
        let mut kept = Some(Kept::default());
        each_cell(source, dimension, None, progress, |cell| {
            if let Some((form, of)) = cell.first {
                let len = measure(|out| {
                    uint(out, u64::from(cell.id))?;
                    value(out, of, form)
                })?;
                column.values = cell.id;
                column.domain_len = column.domain_len.saturating_add(len);
                if let (Form::Wrapped, Some(kept)) = (form, &mut kept) {
                    kept.wrapped.push(cell.id);
                }
            }
            column.cells = column.cells.saturating_add(1);
            column.mapping_len = column.mapping_len.saturating_add(pair_len(cell.slot.0, cell.id)?);
            counts.add(cell.id);
            match &mut kept {
                Some(ids) if ids.len() < kept_len_max => ids.pairs.push((cell.slot.0, cell.id)),
                _ => kept = None,
            }
            Ok(())
        })?;
        for (id, count) in counts.iter() {
            column.counts_len = column.counts_len.saturating_add(pair_len(id, count)?);
        }
        if let Some(kept) = &mut kept {
            kept.pairs.shrink_to_fit();
            kept.wrapped.shrink_to_fit();
        }
        column.kept = kept;
        Ok(column)
    }

    /// Bytes of the ids that are kept.
    pub(super) fn kept_len(&self) -> usize {
        self.kept.as_ref().map_or(0, Kept::len)
    }
}

fn pair_len<E>(key: u32, value: u32) -> Result<u64, WriteError<E>> {
    measure(|out| {
        uint(out, u64::from(key))?;
        uint(out, u64::from(value))
    })
}

/// A cell with the id of its value.
pub(super) struct Cell<'a> {
    pub(super) slot: Slot,
    pub(super) id: u32,
    /// The value and how to write it, at its first occurrence.
    pub(super) first: Option<(Form, ValueRef<'a>)>,
}

/// Visits the cells of a dimension in the order of slots, with the ids that the survey kept or by finding them (again).
pub(super) fn each_cell<S: Source>(
    source: &S,
    dimension: usize,
    kept: Option<&Kept>,
    progress: &mut Progress<'_>,
    mut visit: impl FnMut(Cell<'_>) -> Result<(), WriteError<S::Error>>,
) -> Result<(), WriteError<S::Error>> {
    let read = |slot| source.cell(dimension, slot);
    if let Some(kept) = kept {
        let mut last_id = 0;
        for (slot, id) in kept.pairs.iter().map(|&(slot, id)| (Slot(slot), id)) {
            let first = if id > last_id {
                last_id = id;
                let value = read(slot).map_err(WriteError::Source)?;
                let value = value.ok_or_else(|| inconsistent("the database changed while it was written"))?;
                Some((form_of(&kept.wrapped, id), value))
            } else {
                None
            };
            visit(Cell { slot, id, first })?;
            progress.at(slot)?;
        }
    } else {
        let mut ids = Ids::new();
        let mut from = Slot(0);
        while let Some((slot, value)) = source.next_cell(dimension, from).map_err(WriteError::Source)? {
            let (id, form) = ids.assign(slot, value, read)?;
            visit(Cell { slot, id, first: form.map(|form| (form, value)) })?;
            progress.at(slot)?;
            match slot.0.checked_add(1) {
                Some(next) => from = Slot(next),
                None => break,
            }
        }
    }
    progress.column()
}
