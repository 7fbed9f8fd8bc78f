//! Reading the axis file: keys by slot, slots by key, tombstones.

use super::block_file::BlockFile;
use super::cells::{Cells, SegmentSummary};
use super::direct_axis::DirectAxis;
use super::direct_column::Values;
use super::key_index::KeyIndex;
use super::perfect_hash::{PerfectHash, PerfectHashSections};
use super::scan::integer_segment;
use super::segment::Segment;
use crate::error::Result;
use crate::format::Invalid;
use crate::format::axis::{
    Axis, Layout, SECTION_AXIS, SECTION_INDEX, SECTION_TOMBSTONES, SectionLens, bitmap_word, next_set_bit,
    tombstone_levels,
};
use crate::format::perfect_hash::{SECTION_HASH_PARTS, SECTION_PILOTS, SECTION_REMAP};
use crate::model::{KeyRef, ValueRef, is_key_integer};
use std::sync::OnceLock;

/// The base file of the central axis.
#[derive(Debug)]
pub(super) struct BaseAxis {
    file: BlockFile,
    resolved: OnceLock<Resolved>,
}

#[derive(Debug)]
struct Resolved {
    axis: Axis,
    slot_count: u32,
    /// Absent in a dense axis.
    cells: Option<Cells>,
    index: KeyIndex,
    /// That of a frozen axis.
    perfect_hash: Option<PerfectHash>,
    /// File offset of each level of the tombstones.
    levels: Vec<u64>,
    direct: DirectAxis,
}

impl BaseAxis {
    pub(super) const fn new(file: BlockFile) -> Self {
        Self { file, resolved: OnceLock::new() }
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    #[inline]
    fn resolve(&self) -> Result<&Resolved> {
        match self.resolved.get() {
            Some(resolved) => Ok(resolved),
            None => self.resolve_first(),
        }
    }

    #[cold]
    fn resolve_first(&self) -> Result<&Resolved> {
        let section = self.file.section(SECTION_AXIS);
        let corrupt = |invalid: Invalid| self.file.corrupt(invalid.at(section.offset));
        let slot_count = self.file.header().slot_count;
        let (tombstones, index) = (self.file.section(SECTION_TOMBSTONES), self.file.section(SECTION_INDEX));
        let lens = section_lens(&self.file);
        let axis = Axis::decode(self.file.section_bytes(section)?, slot_count, lens).map_err(corrupt)?;
        let keys_fit = match axis.layout {
            Layout::Dense { first_key } => is_key_integer(i128::from(first_key) + i128::from(slot_count) - 1),
            Layout::Indexed { .. } | Layout::Frozen { .. } => true,
        };
        if self.file.header().value_count + axis.free_count != slot_count || !keys_fit {
            return Err(corrupt(Invalid::new(16, "axis descriptor", "keys and tombstones do not add up to the slots")));
        }
        let cells = match axis.layout {
            Layout::Dense { .. } => None,
            Layout::Indexed { .. } | Layout::Frozen { .. } => Some(Cells::resolve_base(&self.file, slot_count)?),
        };
        let index = match axis.layout {
            Layout::Dense { .. } | Layout::Frozen { .. } => {
                KeyIndex { section: index, bucket_count: 0, hash_seed: 0, chain_len_max: 0 }
            }
            Layout::Indexed { bucket_count, hash_seed, chain_len_max } => {
                KeyIndex { section: index, bucket_count, hash_seed, chain_len_max }
            }
        };
        let perfect_hash = PerfectHash::resolve(&self.file, axis.layout)?;
        let mut levels = Vec::new();
        let mut offset = tombstones.offset;
        for words in tombstone_levels(slot_count).into_iter().take(axis.tombstone_levels as usize) {
            levels.push(offset);
            offset += words * 8;
        }
        let slot_count = u32::try_from(slot_count).unwrap_or(u32::MAX);
        let direct = DirectAxis::new(&self.file, &axis, slot_count, cells.as_ref(), perfect_hash.as_ref());
        Ok(self.resolved.get_or_init(|| Resolved { axis, slot_count, cells, index, perfect_hash, levels, direct }))
    }

    /// What lookups that take the direct way need; `None` where the descriptors are damaged.
    pub(super) fn direct(&self) -> Option<&DirectAxis> {
        self.resolve().ok().map(|resolved| &resolved.direct)
    }

    /// Name of the layout.
    pub(super) fn describe(&self) -> Result<&'static str> {
        let resolved = self.resolve()?;
        Ok(match (&resolved.axis.layout, &resolved.cells) {
            (Layout::Dense { .. }, _) => "dense",
            (Layout::Frozen { .. }, _) => "frozen",
            (_, Some(cells)) => cells.describe().0,
            _ => "indexed",
        })
    }

    /// The slot of a key.
    #[inline]
    pub(super) fn slot_of(&self, key: KeyRef<'_>) -> Result<Option<u32>> {
        let resolved = self.resolve()?;
        match resolved.axis.layout {
            Layout::Dense { first_key } => {
                let ValueRef::Int(int) = key.value() else { return Ok(None) };
                let Some(slot) = int.checked_sub(first_key.into()).and_then(|slot| u32::try_from(slot).ok()) else {
                    return Ok(None);
                };
                let in_use = slot < resolved.slot_count && !self.is_tombstone(resolved, slot)?;
                Ok(in_use.then_some(slot))
            }
            Layout::Indexed { .. } => {
                let holds = |slot| Ok(self.stored_key(resolved, slot)? == Some(key.value()));
                let found = resolved.index.find(&self.file, key, holds)?;
                match found {
                    Some(slot) if self.is_tombstone(resolved, slot)? => {
                        Err(resolved.index.corrupt(&self.file, "an entry that leads to a free slot"))
                    }
                    found => Ok(found),
                }
            }
            Layout::Frozen { .. } => {
                let Some(perfect_hash) = &resolved.perfect_hash else { return Ok(None) };
                let Some(slot) = perfect_hash.find(&self.file, key)? else { return Ok(None) };
                Ok((self.stored_key(resolved, slot)? == Some(key.value())).then_some(slot))
            }
        }
    }

    /// What the perfect hash of a frozen axis consists of.
    pub(super) fn perfect_hash_sections(&self) -> Result<Option<PerfectHashSections<'_>>> {
        self.resolve()?.perfect_hash.as_ref().map(|perfect_hash| perfect_hash.sections(&self.file)).transpose()
    }

    /// The key that a slot of an axis with stored keys holds, tombstones not considered.
    #[inline]
    fn stored_key<'a>(&'a self, resolved: &'a Resolved, slot: u32) -> Result<Option<ValueRef<'a>>> {
        let Some(cells) = &resolved.cells else { return Ok(None) };
        match cells.get(&self.file, slot)? {
            Some(value) => Ok(Some(value)),
            None => Err(resolved.index.corrupt(&self.file, "a slot past the end of the axis")),
        }
    }

    /// The key of a slot; `None` for a tombstone or a slot past the end.
    pub(super) fn key_at(&self, slot: u32) -> Result<Option<KeyRef<'_>>> {
        let resolved = self.resolve()?;
        if slot >= resolved.slot_count || self.is_tombstone(resolved, slot)? {
            return Ok(None);
        }
        if let Layout::Dense { first_key } = resolved.axis.layout {
            return Ok(Some(KeyRef::trusted(ValueRef::Int(i128::from(first_key) + i128::from(slot)))));
        }
        let value = self.stored_key(resolved, slot)?;
        match value.and_then(KeyRef::checked) {
            Some(key) => Ok(Some(key)),
            None => Err(self.file.corrupt(Invalid::new(0, "keys", "a value that cannot be a key"))),
        }
    }

    /// What the descriptor of a segment states of its keys; `None` in a dense axis.
    pub(super) fn summary(&self, number: usize) -> Result<Option<&SegmentSummary>> {
        Ok(self.resolve()?.cells.as_ref().and_then(|cells| cells.summary(number)))
    }

    /// The keys of a segment of `slot_count` slots, if there are no tombstones and all of them are stored integers.
    pub(super) fn integers(&self, number: usize, slot_count: u32) -> Result<Option<Segment<'_>>> {
        let resolved = self.resolve()?;
        match &resolved.cells {
            Some(cells) if resolved.levels.is_empty() => integer_segment(&self.file, cells, number, slot_count),
            _ => Ok(None),
        }
    }

    /// The keys of all slots, for reads of what has been verified, if there are no tombstones and keys are stored.
    pub(super) fn stored_values(&self) -> Option<Values<'_>> {
        let resolved = self.resolve().ok().filter(|resolved| resolved.levels.is_empty())?;
        resolved.cells.as_ref()?.values(self.file.verified_bytes())
    }

    /// Slots of the file.
    pub(super) fn slot_count(&self) -> Result<u32> {
        Ok(self.resolve()?.slot_count)
    }

    /// Whether a slot is in use.
    pub(super) fn is_used(&self, slot: u32) -> Result<bool> {
        let resolved = self.resolve()?;
        Ok(slot < resolved.slot_count && !self.is_tombstone(resolved, slot)?)
    }

    #[inline]
    fn is_tombstone(&self, resolved: &Resolved, slot: u32) -> Result<bool> {
        let Some(&level) = resolved.levels.first() else { return Ok(false) };
        let word = self.file.bytes(level + u64::from(slot >> 6) * 8, 8)?;
        Ok(bitmap_word(word, 0) & (1 << (slot & 63)) != 0)
    }

    /// The first tombstone at or after a slot.
    pub(super) fn next_free(&self, from: u32) -> Result<Option<u32>> {
        let resolved = self.resolve()?;
        let counts = tombstone_levels(resolved.slot_count.into());
        let found = next_set_bit(resolved.levels.len(), from.into(), |level, index| {
            let (Some(&offset), Some(&count)) = (resolved.levels.get(level), counts.get(level)) else { return Ok(0) };
            if index >= count { Ok(0) } else { self.file.bytes(offset + index * 8, 8).map(|word| bitmap_word(word, 0)) }
        })?;
        Ok(found.and_then(|slot| u32::try_from(slot).ok()).filter(|&slot| slot < resolved.slot_count))
    }
}

/// How long the sections are that the descriptor of an axis is about.
pub(super) fn section_lens(file: &BlockFile) -> SectionLens {
    let len = |kind| file.section(kind).len;
    SectionLens {
        tombstones: len(SECTION_TOMBSTONES),
        index: len(SECTION_INDEX),
        hash_parts: len(SECTION_HASH_PARTS),
        pilots: len(SECTION_PILOTS),
        remap: len(SECTION_REMAP),
    }
}
