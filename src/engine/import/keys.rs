//! The keys of a file: that none comes twice, and that they are what the coordinate map says.

use super::decode;
use super::gather::{CoordinateMap, Gathered, Hasher, Keys};
use crate::engine::column_builder::{PresentSlots, Values};
use crate::engine::late_values::decode as decode_value;
use crate::engine::numbering::{Build, Contents, number};
use crate::engine::spill::{Spill, StreamReader};
use crate::error::{Error, Result};
use crate::format::canonical::read::sink::Sink;
use crate::format::canonical::read::{ImportLimits, quoted};
use crate::model::ValueRef;
use crate::progress::ProgressFn;
use crate::storage::SourceFile;
use std::collections::HashMap;

/// More keys that come twice than this are no torn file.
const REPEATED_MAX: usize = 1 << 18;

/// Keys by slot.
pub(super) struct SlotKeys<'s> {
    spill: &'s Spill,
    reader: StreamReader,
    next: u32,
    /// Slots whose key counts.
    live: &'s PresentSlots,
}

impl<'s> SlotKeys<'s> {
    pub(super) const fn new(keys: &Keys, live: &'s PresentSlots, spill: &'s Spill) -> Self {
        Self { spill, reader: StreamReader::new(keys.stream), next: 0, live }
    }

    /// The next slot and its tagged key.
    fn next_tagged(&mut self) -> Result<Option<(u32, &[u8])>> {
        while let (Some(gap), Some(len)) = (self.reader.number(self.spill)?, self.reader.number(self.spill)?) {
            let slot = self.next.saturating_add(gap as u32);
            self.next = slot.saturating_add(1);
            if self.live.contains(slot) {
                return Ok(self.reader.take(self.spill, len as usize)?.map(|key| (slot, key)));
            }
            self.reader.skip(len);
        }
        Ok(None)
    }
}

impl Values for SlotKeys<'_> {
    fn rewind(&mut self) {
        self.reader.rewind();
        self.next = 0;
    }

    fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
        Ok(self.next_tagged()?.map(|(slot, tagged)| (slot, decode_value(tagged))))
    }
}

/// Keys without their slots.
struct KeyContents<'s>(SlotKeys<'s>);

impl Contents for KeyContents<'_> {
    fn rewind(&mut self) {
        self.0.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        Ok(self.0.next_tagged()?.map(|(_, key)| key))
    }
}

/// A tagged key, for messages: the start of it if it is long.
pub(super) fn shown(tagged: &[u8]) -> String {
    const SHOWN: usize = 200;
    match decode_value(tagged) {
        ValueRef::Text(text) => quoted(text),
        _ if tagged.len() > SHOWN => format!("of {} bytes", tagged.len()),
        key => key.to_string(),
    }
}

/// Keys that come more than once.
#[derive(Default)]
pub(super) struct Repeated {
    /// The slots where a later one has the same key.
    pub(super) superseded: PresentSlots,
    /// The first few of them.
    pub(super) places: Vec<String>,
    /// There are more than a torn file can have, and not all of them were found.
    pub(super) is_incomplete: bool,
}

/// Finds keys that come more than once.
pub(super) fn repeated(build: &mut Build<'_, '_>, keys: &Keys, spill: &Spill) -> Result<Repeated> {
    let mut repeated = Repeated::default();
    if keys.ascending.is_some() {
        return Ok(repeated);
    }
    let slots = || SlotKeys::new(keys, &keys.live, spill);
    let numbered = number(build, &mut KeyContents(slots()))?;
    if numbered.distinct == numbered.count {
        return Ok(repeated);
    }
    // The last slot of each key that comes again.
    let mut last: HashMap<u32, u32> = HashMap::new();
    let mut numbers = StreamReader::new(numbered.numbers);
    let mut fresh = 0;
    let mut keys_by_slot = slots();
    while let (Some(number), Some((slot, _))) = (numbers.u32(&build.spill)?, keys_by_slot.next_tagged()?) {
        build.meter.step()?;
        if number == fresh {
            fresh += 1;
        } else {
            if last.len() < REPEATED_MAX || last.contains_key(&number) {
                last.insert(number, slot);
            } else {
                repeated.is_incomplete = true;
            }
        }
    }
    let mut numbers = StreamReader::new(numbered.numbers);
    let mut keys_by_slot = slots();
    while let (Some(number), Some((slot, key))) = (numbers.u32(&build.spill)?, keys_by_slot.next_tagged()?) {
        build.meter.step()?;
        if let Some(&later) = last.get(&number)
            && later != slot
        {
            repeated.superseded.insert(slot);
            if repeated.places.len() < PLACES_MAX {
                let is_nan = matches!(decode_value(key), ValueRef::Float(float) if float.is_nan());
                let why = if is_nan { ", and keys are the same if their types and bits are" } else { "" };
                let key = shown(key);
                repeated.places.push(format!("the key {key} is at coordinate {slot} and at coordinate {later}{why}"));
            }
        }
    }
    Ok(repeated)
}

/// Where keys and coordinate map disagree.
#[derive(Default, Debug)]
pub(super) struct Disagreement {
    /// Entries of the map that no point has, and the first few of them.
    pub(super) entries: u64,
    pub(super) places: Vec<String>,
    /// The coordinate where the original has a point whose key is null.
    pub(super) null_key: Option<u32>,
    /// Points that no entry has, and the first slot of them.
    pub(super) unmapped: u64,
    pub(super) first_unmapped: Option<u32>,
}

impl Disagreement {
    /// One place where they disagree.
    pub(super) fn reason(self) -> String {
        let unmapped = self.first_unmapped.map(|slot| format!("no entry for the key at coordinate {slot}"));
        self.places.into_iter().next().or(unmapped).unwrap_or_else(|| "they disagree".to_owned())
    }
}

/// Places that are named.
const PLACES_MAX: usize = 20;
/// How often a file is read again for the sake of a better message.
const READINGS_MAX: u32 = 8;

/// Whether keys and coordinate map agree; the rest of the file is not looked at.
pub(super) fn agree(gathered: &Gathered) -> bool {
    match gathered.map {
        CoordinateMap::Unknown => true,
        CoordinateMap::Known { fingerprint, impossible, null_key } => {
            impossible == 0 && null_key.is_none() && fingerprint == gathered.keys.fingerprint
        }
    }
}

/// Finds where they disagree, in one more reading of the file for each range of slots that fits in `limit`. If one place is
/// enough, it is looked for in the first ranges only.
pub(super) fn disagreement(
    source: &SourceFile,
    limits: &ImportLimits,
    gathered: &Gathered,
    (limit, one_is_enough): (usize, bool),
    progress: &mut ProgressFn<'_>,
) -> Result<Disagreement> {
    let mut found = Disagreement::default();
    let range_len = u32::try_from(limit / 9).unwrap_or(u32::MAX).max(1024);
    let mut start = 0;
    let mut readings = 0;
    loop {
        let end = start + u64::from(range_len).min(u64::from(gathered.keys.slot_count) - start);
        let mut audit = Audit::new(gathered, start as u32, end as u32, found)?;
        decode::decode(source, limits, &mut audit, ("comparing keys", progress))?;
        found = audit.finish();
        start = end;
        readings += 1;
        let is_found = !found.places.is_empty() || found.first_unmapped.is_some();
        let is_enough = one_is_enough && (is_found || readings == READINGS_MAX);
        if is_enough || start >= u64::from(gathered.keys.slot_count) {
            return Ok(found);
        }
    }
}

/// Compares the coordinate map with the keys of a range of slots.
struct Audit<'a> {
    gathered: &'a Gathered,
    hasher: Hasher,
    start: u32,
    /// The hash of the key at each slot of the range; 0 where there is none.
    hashes: Vec<u64>,
    matched: Vec<bool>,
    /// The null key was there in this reading.
    has_null_key: bool,
    found: Disagreement,
}

impl<'a> Audit<'a> {
    fn new(gathered: &'a Gathered, start: u32, end: u32, found: Disagreement) -> Result<Self> {
        let hasher = gathered.hasher;
        let mut hashes = vec![0; (end - start) as usize];
        let mut keys = SlotKeys::new(&gathered.keys, &gathered.keys.live, &gathered.spill);
        while let Some((slot, key)) = keys.next_tagged()? {
            if let Some(hash) = slot.checked_sub(start).and_then(|index| hashes.get_mut(index as usize)) {
                *hash = hasher.key(key, slot).max(1);
            }
        }
        let matched = vec![false; hashes.len()];
        Ok(Self { gathered, hasher, start, hashes, matched, has_null_key: false, found })
    }

    fn note(&mut self, place: impl FnOnce() -> String) {
        if self.found.places.len() < PLACES_MAX {
            self.found.places.push(place());
        }
    }

    /// Whether this is the first entry with a null key, and the original has a point there: where `vector_points` has one of null,
    /// which is written as a free place is.
    fn is_null_key(&mut self, coordinate: i128) -> bool {
        let CoordinateMap::Known { null_key: Some(slot), .. } = self.gathered.map else { return false };
        let keys = &self.gathered.keys;
        if coordinate != i128::from(slot) || u64::from(slot) >= keys.slots || keys.live.contains(slot) {
            return false;
        }
        if self.found.null_key.is_none() {
            self.found.null_key = Some(slot);
            self.note(|| format!("the key of the point at coordinate {slot} is null, which no key may be"));
        }
        !std::mem::replace(&mut self.has_null_key, true)
    }

    /// Counts the points that no entry has.
    fn finish(mut self) -> Disagreement {
        let pairs = self.hashes.iter().zip(&self.matched).zip(self.start..);
        for (_, slot) in pairs.filter(|((hash, matched), _)| **hash != 0 && !**matched) {
            self.found.unmapped += 1;
            self.found.first_unmapped.get_or_insert(slot);
        }
        self.found
    }
}

impl Sink for Audit<'_> {
    type Error = Error;

    fn coordinate(&mut self, key: Option<&[u8]>, coordinate: i128) -> Result<()> {
        if key.is_none() && self.is_null_key(coordinate) {
            return Ok(());
        }
        let slot_count = self.gathered.keys.slot_count;
        let slot = u32::try_from(coordinate).ok().filter(|&slot| slot < slot_count);
        let index = match slot {
            Some(slot) => match slot.checked_sub(self.start).filter(|&index| (index as usize) < self.hashes.len()) {
                Some(index) => Some(index as usize),
                // Another range.
                None => return Ok(()),
            },
            // Looked at with the first range.
            None if self.start > 0 => return Ok(()),
            None => None,
        };
        let hash = key.zip(slot).map(|(key, slot)| self.hasher.key(key, slot).max(1));
        let is_same = index.zip(hash).is_some_and(|(index, hash)| self.hashes.get(index) == Some(&hash));
        let matched = index.filter(|_| is_same).and_then(|index| self.matched.get_mut(index));
        let is_repeated = matched.map(|matched| std::mem::replace(matched, true));
        let reason = match is_repeated {
            Some(false) => return Ok(()),
            Some(true) => "twice",
            None if index.is_some_and(|index| self.hashes.get(index).is_some_and(|&hash| hash != 0)) => {
                "where vector_points has another"
            }
            None => "where vector_points has none",
        };
        self.found.entries += 1;
        let key = key.map_or_else(|| "null".to_owned(), shown);
        self.note(|| format!("the key {key} at coordinate {coordinate}, {reason}"));
        Ok(())
    }
}
