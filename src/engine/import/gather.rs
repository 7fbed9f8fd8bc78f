//! What a canonical file holds, put aside as it is read: keys, and for each dimension its values by id and its ids by coordinate.

use super::report::{Metadata, Repairs};
use super::unnamed::Unnamed;
use crate::engine::column_builder::PresentSlots;
use crate::engine::late_values::Arrivals;
use crate::engine::mix::Mix;
use crate::engine::spill::{Spill, StreamId, encode_number};
use crate::error::{Error, Result};
use crate::format::canonical::read::sink::{MetadataText, Missing, Sink, Total};
use crate::format::value;
use crate::model::{Slot, ValueRef};
use std::collections::HashMap;
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// Notes that are kept.
pub(super) const NOTES_MAX: usize = 20;

/// A sum of hashes, whatever the order: two sets with the same sum and count are the same set, but for one chance in 2^64.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint {
    sum: u64,
    count: u64,
}

impl Fingerprint {
    pub(super) const fn add(&mut self, hash: u64) {
        self.sum = self.sum.wrapping_add(hash);
        self.count += 1;
    }

    /// Adds something as often as it is counted.
    pub(super) const fn add_times(&mut self, hash: u64, times: u64) {
        self.sum = self.sum.wrapping_add(hash.wrapping_mul(times));
        self.count = self.count.wrapping_add(times);
    }
}

/// Hashes that nobody can predict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    mix: Mix,
    seed: u64,
}

impl Hasher {
    pub(super) fn new() -> Self {
        let mix = Mix::new();
        Self { mix, seed: mix.of(1) }
    }

    /// Of a tagged key at a slot.
    #[inline]
    pub(super) fn key(self, tagged: &[u8], slot: u32) -> u64 {
        self.mix.of(XxHash3_64::oneshot_with_seed(self.seed, tagged) ^ self.mix.of(slot.into()))
    }

    /// Of a number.
    #[inline]
    pub(super) fn number(self, number: u64) -> u64 {
        self.mix.of(number)
    }
}

/// What `vector_points` has.
#[derive(Debug)]
pub(super) struct Keys {
    /// Each key, tagged, behind the slots passed over since the one before, and its length.
    pub(super) stream: StreamId,
    /// Elements so far.
    pub(super) slots: u64,
    /// One above the last slot that has a key.
    pub(super) slot_count: u32,
    pub(super) live: PresentSlots,
    /// The last key, while all keys are integers in ascending order and so cannot repeat.
    pub(super) ascending: Option<i128>,
    pub(super) fingerprint: Fingerprint,
}

/// What `coordinate_map` has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CoordinateMap {
    /// Nothing to compare.
    Unknown,
    Known {
        fingerprint: Fingerprint,
        /// Entries that no point can have: a coordinate that is none, or a null key once more.
        impossible: u64,
        /// The coordinate of the first null key.
        null_key: Option<u32>,
    },
}

/// One dimension.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) name: Arc<str>,
    /// Its place among the spaces, if it is there.
    pub(super) space: Option<u32>,
    /// Ids and values: the id as eight bytes, and the tagged value behind its length.
    pub(super) values: StreamId,
    pub(super) value_count: u64,
    /// The lowest and the highest id.
    pub(super) ids: Option<(i64, i64)>,
    pub(super) next_id: Option<i128>,
    /// Ids by coordinate, as varints of their zigzag form.
    pub(super) cells: Arrivals,
    /// Pairs whose coordinate is no slot at all.
    pub(super) ghosts: u64,
    /// Whether the mapping was there.
    pub(super) has_mapping: bool,
    pub(super) ref_counts: Option<Fingerprint>,
}

/// Everything that a file holds.
pub(super) struct Gathered {
    pub(super) spill: Spill,
    pub(super) hasher: Hasher,
    pub(super) keys: Keys,
    pub(super) map: CoordinateMap,
    pub(super) free_slots: Option<Fingerprint>,
    pub(super) dimensions: Vec<Dimension>,
    by_name: HashMap<Arc<str>, usize>,
    space_count: u32,
    /// The dimension whose space or mapping is being read.
    current: usize,
    pub(super) metadata: Metadata,
    pub(super) totals: [Option<i128>; 2],
    pub(super) repairs: Repairs,
    /// Which fields were missing or unknown.
    pub(super) notes: Vec<String>,
    pub(super) unnamed: Unnamed,
    /// Whether there is anything of the kind at all.
    pub(super) has_spaces: bool,
    pub(super) has_mappings: bool,
    scratch: Vec<u8>,
}

impl Gathered {
    pub(super) fn new(mut spill: Spill, is_salvage: bool) -> Self {
        let keys = Keys {
            stream: spill.stream(),
            slots: 0,
            slot_count: 0,
            live: PresentSlots::default(),
            ascending: Some(i128::MIN),
            fingerprint: Fingerprint::default(),
        };
        Self {
            spill,
            hasher: Hasher::new(),
            keys,
            map: CoordinateMap::Known { fingerprint: Fingerprint::default(), impossible: 0, null_key: None },
            free_slots: None,
            dimensions: Vec::new(),
            by_name: HashMap::new(),
            space_count: 0,
            current: 0,
            metadata: Metadata::default(),
            totals: [None; 2],
            repairs: Repairs::default(),
            notes: Vec::new(),
            unnamed: Unnamed::new(is_salvage),
            has_spaces: true,
            has_mappings: true,
            scratch: Vec::new(),
        }
    }

    /// The same, without what finds dimensions by name.
    pub(super) fn without_names(mut self) -> Self {
        self.by_name = HashMap::new();
        self
    }

    fn note(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note());
        }
    }

    /// The dimension of a name, made if it is new.
    fn dimension(&mut self, name: &str) -> usize {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        let index = self.dimensions.len();
        let name: Arc<str> = name.into();
        self.dimensions.push(Dimension {
            name: Arc::clone(&name),
            space: None,
            values: self.spill.stream(),
            value_count: 0,
            ids: None,
            next_id: None,
            cells: Arrivals::new(&mut self.spill),
            ghosts: 0,
            has_mapping: false,
            ref_counts: None,
        });
        self.by_name.insert(name, index);
        index
    }
}

/// Numbers of either sign as numbers without, small ones first.
pub(super) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(super) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

impl Sink for Gathered {
    type Error = Error;

    fn slot(&mut self, key: Option<&[u8]>) -> Result<()> {
        let slot = self.keys.slots;
        self.keys.slots += 1;
        let Some(key) = key else { return Ok(()) };
        let Some(slot) = u32::try_from(slot).ok().filter(|&slot| slot <= Slot::MAX.0) else {
            return Err(Error::TooManyPoints);
        };
        self.scratch.clear();
        encode_number((slot - self.keys.slot_count).into(), &mut self.scratch);
        encode_number(key.len() as u64, &mut self.scratch);
        self.spill.append(self.keys.stream, &self.scratch)?;
        self.spill.append(self.keys.stream, key)?;
        self.keys.live.insert(slot);
        self.keys.slot_count = slot + 1;
        self.keys.fingerprint.add(self.hasher.key(key, slot));
        let last = self.keys.ascending.take();
        self.keys.ascending = match value::decode(key) {
            Ok(ValueRef::Int(int)) => last.filter(|&last| int > last).map(|_| int),
            _ => None,
        };
        Ok(())
    }

    fn coordinate(&mut self, key: Option<&[u8]>, coordinate: i128) -> Result<()> {
        if let CoordinateMap::Known { fingerprint, impossible, null_key } = &mut self.map {
            match (key, u32::try_from(coordinate)) {
                (Some(key), Ok(slot)) => fingerprint.add(self.hasher.key(key, slot)),
                (None, Ok(slot)) if null_key.is_none() => *null_key = Some(slot),
                _ => *impossible += 1,
            }
        }
        Ok(())
    }

    fn coordinates_untyped(&mut self) {
        self.map = CoordinateMap::Unknown;
    }

    fn free_slots(&mut self) {
        self.free_slots.get_or_insert_default();
    }

    fn free_slot(&mut self, slot: i128) {
        let slot = u64::try_from(slot).unwrap_or(u64::MAX);
        self.free_slots.get_or_insert_default().add(self.hasher.number(slot));
    }

    fn unnamed(&mut self, name: &[u8]) -> bool {
        self.unnamed.leave_out(name)
    }

    fn space(&mut self, name: &str) -> Result<bool> {
        self.current = self.dimension(name);
        let place = self.space_count;
        self.space_count += 1;
        let Some(dimension) = self.dimensions.get_mut(self.current) else { return Ok(false) };
        Ok(dimension.space.replace(place).is_none())
    }

    fn value(&mut self, id: i64, tagged: &[u8]) -> Result<()> {
        let Some(dimension) = self.dimensions.get_mut(self.current) else { return Ok(()) };
        self.scratch.clear();
        self.scratch.extend(id.to_le_bytes());
        encode_number(tagged.len() as u64, &mut self.scratch);
        self.spill.append(dimension.values, &self.scratch)?;
        self.spill.append(dimension.values, tagged)?;
        dimension.value_count += 1;
        let (low, high) = dimension.ids.unwrap_or((id, id));
        dimension.ids = Some((low.min(id), high.max(id)));
        Ok(())
    }

    fn next_id(&mut self, next_id: i128) {
        if let Some(dimension) = self.dimensions.get_mut(self.current) {
            dimension.next_id = Some(next_id);
        }
    }

    fn mapping(&mut self, name: &str) -> Result<bool> {
        self.current = self.dimension(name);
        let Some(dimension) = self.dimensions.get_mut(self.current) else { return Ok(false) };
        Ok(!std::mem::replace(&mut dimension.has_mapping, true))
    }

    #[inline]
    fn cell(&mut self, coordinate: i128, id: i64) -> Result<()> {
        let Some(dimension) = self.dimensions.get_mut(self.current) else { return Ok(()) };
        match u32::try_from(coordinate).ok().filter(|&slot| slot <= Slot::MAX.0) {
            Some(slot) => {
                self.scratch.clear();
                encode_number(zigzag(id), &mut self.scratch);
                dimension.cells.push(slot, &self.scratch, &mut self.spill)?;
            }
            None => dimension.ghosts += 1,
        }
        Ok(())
    }

    fn ref_counts(&mut self) {
        if let Some(dimension) = self.dimensions.get_mut(self.current) {
            dimension.ref_counts.get_or_insert_default();
        }
    }

    #[inline]
    fn ref_count(&mut self, id: i64, count: i128) {
        let hash = self.hasher.number(zigzag(id));
        if let Some(dimension) = self.dimensions.get_mut(self.current) {
            let counts = dimension.ref_counts.get_or_insert_default();
            // A count that is none does not agree with anything.
            counts.add_times(hash, u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    fn metadata(&mut self, field: MetadataText, text: &str) {
        let to = match field {
            MetadataText::Version => &mut self.metadata.version,
            MetadataText::CreatedAt => &mut self.metadata.created_at,
            MetadataText::LastModified => &mut self.metadata.last_modified,
        };
        *to = Some(text.to_owned());
    }

    fn total(&mut self, field: Total, number: i128) {
        match (field, &mut self.totals) {
            (Total::Points, [points, _]) => *points = Some(number),
            (Total::Dimensions, [_, dimensions]) => *dimensions = Some(number),
        }
    }

    fn missing(&mut self, field: Missing, place: &str) {
        match field {
            Missing::CoordinateMap => self.map = CoordinateMap::Unknown,
            Missing::Spaces => self.has_spaces = false,
            Missing::Mappings => self.has_mappings = false,
            _ => {}
        }
        self.repairs.missing_fields += 1;
        self.note(|| format!("there is no {place}"));
    }

    fn unknown_field(&mut self, place: &str) {
        self.repairs.unknown_fields += 1;
        self.note(|| format!("nobody knows the field {place}"));
    }
}
